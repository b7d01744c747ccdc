//! What one ticker message says, in the eight columns of a record.

use crate::error::{Error, Result};
use crate::exchange::Draft;
use crate::json::Reader;
use crate::json::text::Text;
use crate::number::{self, Value, quotient};
use crate::time::EventTime;

/// The columns of a ticker record, in its order. Prices are in the quote currency, the volume in
/// the base currency, the rate is a fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Column {
    Opening,
    Trade,
    Max,
    Min,
    PrevClosing,
    Volume,
    Change,
    Rate,
}

pub const COLUMNS: usize = 8;

/// How many decimals a computed rate has.
const RATE_PLACES: usize = 10;

#[derive(Clone, Debug, Default)]
pub struct Ticker<V> {
    pub columns: [Option<V>; COLUMNS],
    pub time: EventTime,
    seen: u8,
    trade_places: usize,
}

impl<V: Value> Draft for Ticker<V> {
    fn reset(&mut self) {
        *self = Ticker::default();
    }

    fn inherit(&mut self, outer: &Self) {
        self.time.inherit(&outer.time);
    }
}

impl<V: Value> Ticker<V> {
    /// Reads a column; null and an empty string are nothing.
    #[inline(always)]
    pub fn read<T: Text<Value = V>>(
        &mut self,
        column: Column,
        reader: &mut Reader<T>,
    ) -> Result<()> {
        let bit = 1 << column as u8;
        if self.seen & bit != 0 {
            return Err(Error::Duplicate);
        }
        self.seen |= bit;
        self.columns[column as usize] = reader.number_if_any()?.map(|number| number.value);
        Ok(())
    }

    /// Reads the price of the last trade, and how many decimals it is written with.
    pub fn read_trade<T: Text<Value = V>>(&mut self, reader: &mut Reader<T>) -> Result<()> {
        let text = reader.clone().number_if_any()?.map_or(&b""[..], |number| number.text);
        self.trade_places = number::places_as_written(text).min(V::PLACES);
        self.read(Column::Trade, reader)
    }

    pub fn get(&self, column: Column) -> Option<&V> {
        self.columns[column as usize].as_ref()
    }

    /// The price 24 hours ago is the previous close too, where a market never closes.
    pub fn previous_close_is_opening(&mut self) {
        self.columns[Column::PrevClosing as usize] = self.get(Column::Opening).cloned();
    }

    /// The change of the price is that from `since` to the last trade.
    pub fn change_since(&mut self, since: Column) -> Result<()> {
        self.columns[Column::Change as usize] = self.difference(Column::Trade, since)?;
        Ok(())
    }

    /// The opening price is that from which the change, as sent, led to the last trade.
    pub fn opening_before_change(&mut self) -> Result<()> {
        self.columns[Column::Opening as usize] = self.difference(Column::Trade, Column::Change)?;
        Ok(())
    }

    /// The rate is the change as a fraction of `base`.
    pub fn rate_of(&mut self, base: Column) -> Result<()> {
        self.columns[Column::Rate as usize] = match (self.get(Column::Change), self.get(base)) {
            (Some(change), Some(base)) => quotient(change, base, RATE_PLACES)?,
            _ => None,
        };
        Ok(())
    }

    /// The rate was sent in percent: makes a fraction of it, and of that the opening price,
    /// rounded to the decimals of the last trade.
    pub fn opening_from_percentage(&mut self) -> Result<()> {
        let Some(percentage) = self.get(Column::Rate) else { return Ok(()) };
        let hundred = V::power_of_ten(V::PLACES + 2).ok_or(Error::Range)?;
        let rate = quotient(percentage, &hundred, RATE_PLACES)?;
        if let Some(trade) = self.get(Column::Trade) {
            // trade / (1 + percentage / 100), without rounding in between
            let trade =
                trade.checked_mul(&V::power_of_ten(2).ok_or(Error::Range)?).ok_or(Error::Range)?;
            let growth = percentage.checked_add(&hundred).ok_or(Error::Range)?;
            self.columns[Column::Opening as usize] = quotient(&trade, &growth, self.trade_places)?;
        }
        self.columns[Column::Rate as usize] = rate;
        Ok(())
    }

    fn difference(&self, from: Column, less: Column) -> Result<Option<V>> {
        match (self.get(from), self.get(less)) {
            (Some(from), Some(less)) => from.checked_sub(less).map(Some).ok_or(Error::Range),
            _ => Ok(None),
        }
    }
}
