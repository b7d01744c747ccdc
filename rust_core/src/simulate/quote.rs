//! The tickers of one instrument.

use super::coins::Scale;
use super::dice::Dice;
use super::field::Field;
use super::form::Form;
use super::stamp::Stamp;
use super::template::Value;
use super::wire::{Derived, Wire};

/// Prices and sizes in units of the instrument.
#[derive(Clone, Debug)]
pub struct Quote {
    pub scale: Scale,
    rate_places: u8,
    is_since_closing: bool,
    opening: i64,
    trade: i64,
    max: i64,
    min: i64,
    prev_closing: i64,
    volume: i64,
    trade_size: i64,
    /// The column that this message has no value for.
    missing: Option<Field>,
}

impl Quote {
    pub fn new(wire: &Wire, scale: Scale, dice: &mut Dice) -> Self {
        let is_since_closing = matches!(
            wire.derived,
            Derived::Nothing | Derived::RateOfPrevClosing | Derived::ChangeSincePrevClosing
        );
        let mut quote = Quote {
            scale,
            rate_places: wire.rate_places,
            is_since_closing,
            opening: 0,
            trade: scale.prices.middle,
            max: 0,
            min: 0,
            prev_closing: 0,
            volume: 0,
            trade_size: 0,
            missing: None,
        };
        quote.begin_day(dice);
        quote
    }

    /// Lets the market go on to the next message.
    pub fn step(&mut self, dice: &mut Dice) {
        if dice.once_in(300) {
            self.begin_day(dice);
        }
        let prices = self.scale.prices;
        let moved = self.trade + prices.step * dice.between(-4, 4);
        if (moved - prices.middle).abs() < prices.middle / 10 {
            self.trade = moved;
        }
        self.max = self.max.max(self.trade);
        self.min = self.min.min(self.trade);
        self.trade_size = self.scale.size(dice);
        self.volume += self.trade_size;
        self.missing = dice.once_in(40).then(|| Field::COLUMNS[dice.place(Field::COLUMNS.len())]);
        self.missing.take_if(|field| *field == Field::Trade);
    }

    /// Now and then nobody knows a price of the day before, and it is 0.
    fn begin_day(&mut self, dice: &mut Dice) {
        let prices = self.scale.prices;
        let far = prices.middle / prices.step / 20;
        let mut near = || prices.middle + prices.step * dice.between(-far, far);
        (self.opening, self.prev_closing) = (near(), near());
        (self.max, self.min) = (self.trade.max(self.opening), self.trade.min(self.opening));
        if dice.once_in(3) {
            self.prev_closing = self.opening;
        }
        if dice.once_in(12) {
            (self.opening, self.prev_closing) = (0, 0);
        }
        self.volume = self.scale.volume(dice);
    }

    /// The column as it is sent, in its units.
    pub fn sent(&self, column: Field) -> Option<(i64, u8)> {
        match self.value(column) {
            Value::Number(units, places) => Some((units, places)),
            _ => None,
        }
    }

    pub fn write(&self, out: &mut Vec<u8>, form: &Form, stamp: &Stamp) {
        form.message.write(out, |field| match stamp.value(field) {
            Value::Nothing => self.value(field),
            value => value,
        });
    }

    fn value(&self, field: Field) -> Value {
        let price = |price| Value::Number(price, self.scale.prices.places);
        let size = |size| Value::Number(size, self.scale.size_places);
        let rate = |rate| Value::Number(rate, self.rate_places);
        match field {
            field if self.missing == Some(field) => Value::Nothing,
            Field::Opening => price(self.opening),
            Field::Trade => price(self.trade),
            Field::Max => price(self.max),
            Field::Min => price(self.min),
            Field::PrevClosing => price(self.prev_closing),
            Field::Change => price(self.change()),
            Field::AbsoluteChange => price(self.change().abs()),
            Field::AskPrice => price(self.trade + self.scale.prices.step),
            Field::BidPrice => price(self.trade - self.scale.prices.step),
            Field::Average => price(i64::midpoint(self.max, self.min)),
            Field::YearMax => price(self.max * 2),
            Field::YearMin => price(self.min / 2),
            Field::Volume => size(self.volume),
            Field::DayVolume => size(self.volume / 2),
            Field::TradeSize | Field::AskSize | Field::BidSize => size(self.trade_size),
            Field::Rate => rate(self.change_by_base(1)),
            Field::AbsoluteRate => rate(self.change_by_base(1).abs()),
            Field::Percentage => rate(self.change_by_base(100)),
            Field::QuoteVolume => Value::Number(self.quote_volume(), 2),
            Field::DayQuoteVolume => Value::Number(self.quote_volume() / 2, 2),
            Field::Direction => Value::Text(["FALL", "EVEN", "RISE"][direction(self.change())]),
            _ => Value::Nothing,
        }
    }

    fn base(&self) -> i64 {
        if self.is_since_closing { self.prev_closing } else { self.opening }
    }

    fn change(&self) -> i64 {
        self.trade - self.base()
    }

    /// The rate as the exchange rounds it, `scale` times.
    fn change_by_base(&self, scale: i128) -> i64 {
        if self.base() == 0 {
            return 0;
        }
        let numerator = i128::from(self.change()) * scale * 10i128.pow(self.rate_places.into());
        let base = i128::from(self.base());
        let rounded = (2 * numerator.abs() + base) / (2 * base) * numerator.signum();
        i64::try_from(rounded).expect("prices move by a few per cent")
    }

    /// In hundredths.
    fn quote_volume(&self) -> i64 {
        let scale = u32::from(self.scale.size_places + self.scale.prices.places - 2);
        let exact = i128::from(self.volume) * i128::from(self.trade) / 10i128.pow(scale);
        i64::try_from(exact).expect("nobody has as much money")
    }
}

/// 0 down, 1 nowhere, 2 up
fn direction(change: i64) -> usize {
    usize::try_from(change.signum() + 1).unwrap_or_default()
}
