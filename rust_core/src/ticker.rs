//! What one ticker message says, in the eight columns of a record.

use crate::draft::Draft;
use crate::error::{Error, Result};
use crate::exchange::expect_word;
use crate::json::Reader;
use crate::json::text::Text;
use crate::number::{Value, Wide, quotient};
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

impl Column {
    /// All of them, in their order.
    pub const ALL: [Column; COLUMNS] = [
        Column::Opening,
        Column::Trade,
        Column::Max,
        Column::Min,
        Column::PrevClosing,
        Column::Volume,
        Column::Change,
        Column::Rate,
    ];

    #[inline(always)]
    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

pub const COLUMNS: usize = 8;

/// How many decimals a computed rate has.
const RATE_PLACES: usize = 10;

/// What a member of a ticker message says.
#[derive(Clone, Copy, Debug)]
pub enum Meaning {
    Column(Column),
    /// When it was, and of which rank that time is.
    Time(u8),
    Instrument,
    /// Of which kind the message is, in one of these words: see `expect_word`.
    Kind(&'static [&'static str]),
    /// What the members of an object say; nothing if it is none.
    Object(fn(&[u8]) -> Meaning),
    Nothing,
}

/// One ticker message.
#[derive(Clone, Debug, Default)]
pub struct Ticker<V> {
    values: [V; COLUMNS],
    texts: [TextAt; COLUMNS],
    pub time: EventTime,
    /// The instrument, as the exchange names it, if records are to say it.
    pub instrument: Vec<u8>,
    /// Whether the instrument is that of the object around the payload.
    is_borrowed: bool,
    extended: bool,
    /// How many words say of which kind the message is.
    pub kind_words: u8,
    /// One bit for each column that was read, be it null.
    read: u8,
    /// One bit for each column that has a value.
    present: u8,
    /// One bit for each column that stands in the message as a record has it.
    plain: u8,
    trade_places: usize,
}

/// Where a text stands.
#[derive(Clone, Copy, Debug, Default)]
struct TextAt {
    /// How many bytes are left of the message where the text begins.
    left: usize,
    length: usize,
}

impl<V: Value> Draft for Ticker<V> {
    fn reset(&mut self, extended: bool) {
        self.time = EventTime::default();
        self.instrument.clear();
        self.extended = extended;
        (self.read, self.present, self.plain, self.kind_words) = (0, 0, 0, 0);
    }

    fn inherit(&mut self, outer: &Self) {
        self.time.inherit(&outer.time);
    }

    #[inline(always)]
    fn borrow_names(&mut self, outer: &mut Self) {
        self.is_borrowed = self.extended && self.instrument.is_empty();
        if self.is_borrowed {
            std::mem::swap(&mut self.instrument, &mut outer.instrument);
        }
    }

    #[inline(always)]
    fn return_names(&mut self, outer: &mut Self) {
        if std::mem::take(&mut self.is_borrowed) {
            std::mem::swap(&mut self.instrument, &mut outer.instrument);
        }
    }
}

impl<V: Value> Ticker<V> {
    /// Reads what a member says, or steps over it.
    #[inline(always)]
    pub fn take<T: Text<Value = V>>(
        &mut self,
        meaning: Meaning,
        reader: &mut Reader<T>,
    ) -> Result<()> {
        match meaning {
            Meaning::Column(column) => self.read(column, reader),
            Meaning::Time(rank) => self.time.read(rank, reader),
            Meaning::Instrument => self.read_instrument(reader),
            Meaning::Kind(words) => expect_word(&mut self.kind_words, reader, words),
            Meaning::Object(members) if reader.peek() == Some(b'{') => {
                reader.apart(|reader| self.read_object(members, reader))
            }
            Meaning::Object(_) | Meaning::Nothing => reader.skip(),
        }
    }

    /// The same as a call.
    #[inline(never)]
    pub fn take_apart<T: Text<Value = V>>(
        &mut self,
        meaning: Meaning,
        reader: &mut Reader<T>,
    ) -> Result<()> {
        self.take(meaning, reader)
    }

    #[inline(never)]
    fn read_object<T: Text<Value = V>>(
        &mut self,
        members: fn(&[u8]) -> Meaning,
        reader: &mut Reader<T>,
    ) -> Result<()> {
        reader.object(|reader, key| self.take_apart(members(key), reader))
    }

    /// Reads a column; null and an empty string are nothing.
    #[inline(always)]
    pub fn read<T: Text<Value = V>>(
        &mut self,
        column: Column,
        reader: &mut Reader<T>,
    ) -> Result<()> {
        let bit = column.bit();
        if self.read & bit != 0 {
            return Err(Error::Duplicate);
        }
        self.read |= bit;
        let Some(number) = reader.number_if_any()? else { return Ok(()) };
        if let Some(length) = number.plain() {
            self.texts[column as usize] = TextAt { left: number.rest.len(), length };
            self.plain |= bit;
        }
        if column == Column::Trade {
            self.trade_places = number.places();
        }
        self.values[column as usize] = number.value;
        self.present |= bit;
        Ok(())
    }

    /// Reads the name of the instrument, where records are to say it.
    #[inline(always)]
    fn read_instrument<T: Text>(&mut self, reader: &mut Reader<T>) -> Result<()> {
        if self.extended && self.instrument.is_empty() {
            reader.apart(|reader| reader.name(&mut self.instrument))
        } else {
            reader.skip()
        }
    }

    #[inline(always)]
    pub fn get(&self, column: Column) -> Option<&V> {
        (self.present & column.bit() != 0).then(|| &self.values[column as usize])
    }

    /// The column's text in the message, with all that follows it, and its length, where it
    /// stands there as a record has it.
    #[inline(always)]
    pub fn text<'m>(&self, column: Column, message: &'m [u8]) -> Option<(&'m [u8], usize)> {
        if self.plain & column.bit() == 0 {
            return None;
        }
        let TextAt { left, length } = self.texts[column as usize];
        message.get(message.len().checked_sub(left)?..).map(|text| (text, length))
    }

    fn set(&mut self, column: Column, value: Option<V>) {
        self.plain &= !column.bit();
        self.present &= !column.bit();
        if let Some(value) = value {
            self.values[column as usize] = value;
            self.present |= column.bit();
        }
    }

    /// The price 24 hours ago is the previous close too, where a market never closes.
    pub fn previous_close_is_opening(&mut self) {
        self.set(Column::PrevClosing, self.get(Column::Opening).cloned());
        if self.plain & Column::Opening.bit() != 0 {
            self.texts[Column::PrevClosing as usize] = self.texts[Column::Opening as usize];
            self.plain |= Column::PrevClosing.bit();
        }
    }

    /// The change of the price is that from `since` to the last trade.
    pub fn change_since(&mut self, since: Column) -> Result<()> {
        let difference = self.difference(Column::Trade, since)?;
        self.set(Column::Change, difference);
        Ok(())
    }

    /// The opening price is that from which the change, as sent, led to the last trade.
    pub fn opening_before_change(&mut self) -> Result<()> {
        let difference = self.difference(Column::Trade, Column::Change)?;
        self.set(Column::Opening, difference);
        Ok(())
    }

    /// The rate is the change as a fraction of `base`.
    pub fn rate_of(&mut self, base: Column) -> Result<()> {
        let rate = match (self.get(Column::Change), self.get(base)) {
            (Some(change), Some(base)) => quotient(change, base, RATE_PLACES)?,
            _ => None,
        };
        self.set(Column::Rate, rate);
        Ok(())
    }

    /// The rate was sent in percent: makes a fraction of it, and of that the opening price,
    /// rounded to the decimals of the last trade.
    ///
    /// These are the decimals with which the price is written: zeros at its end count, and an exponent
    /// is counted in. They follow from the text of the price alone, not from the kind of value that
    /// other columns need. No opening price has more decimals than `Wide` values.
    ///
    /// # Errors
    ///
    /// `Error::Range` if a number, or the opening price with its decimals, needs wider values.
    pub fn opening_from_percentage(&mut self) -> Result<()> {
        let Some(percentage) = self.get(Column::Rate) else { return Ok(()) };
        let hundred = V::power_of_ten(V::PLACES + 2).ok_or(Error::Range)?;
        let rate = quotient(percentage, &hundred, RATE_PLACES)?;
        if let Some(trade) = self.get(Column::Trade) {
            let places = self.trade_places.min(Wide::PLACES);
            if places > V::PLACES {
                return Err(Error::Range);
            }
            // trade / (1 + percentage / 100), without rounding in between
            let trade =
                trade.checked_mul(&V::power_of_ten(2).ok_or(Error::Range)?).ok_or(Error::Range)?;
            let growth = percentage.checked_add(&hundred).ok_or(Error::Range)?;
            let opening = quotient(&trade, &growth, places)?;
            self.set(Column::Opening, opening);
        }
        self.set(Column::Rate, rate);
        Ok(())
    }

    fn difference(&self, from: Column, less: Column) -> Result<Option<V>> {
        match (self.get(from), self.get(less)) {
            (Some(from), Some(less)) => from.checked_sub(less).map(Some).ok_or(Error::Range),
            _ => Ok(None),
        }
    }
}
