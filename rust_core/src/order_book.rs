//! What one order-book message says, before it takes effect.

use crate::error::{Error, Result};
use crate::exchange::Draft;
use crate::json::Reader;
use crate::json::shape::Shape;
use crate::json::text::Text;
use crate::number::{Number, Value};
use crate::time::EventTime;

/// What the levels of a message are to the book. What is said later in this list outweighs what
/// is said earlier, as both the object around a payload and the payload may speak of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    #[default]
    Unsaid,
    /// The whole book, published as it is. No book is kept of it.
    Whole,
    /// Changes to the book that is kept.
    Delta,
    /// The whole book, onto which changes will follow.
    Snapshot,
}

/// The depth of a feed that is never cut.
pub const UNCUT: usize = usize::MAX;

/// A price and the size that stands there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Level<V> {
    pub price: V,
    pub size: V,
}

/// The numbers by which an exchange lets its messages be put in order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sequence {
    /// The first change that the message holds.
    pub first: Option<i64>,
    /// The last change that the message holds.
    pub last: Option<i64>,
}

/// One order-book message.
#[derive(Clone, Debug, Default)]
pub struct OrderBook<V> {
    pub bids: Side<V, true>,
    pub asks: Side<V, false>,
    pub form: Form,
    /// The instrument, as the exchange names it; empty if the message does not say.
    pub instrument: Vec<u8>,
    /// The feed, where an exchange has several for one instrument.
    pub feed: Vec<u8>,
    /// How many levels a side was subscribed, if the message says.
    pub depth: Option<usize>,
    pub sequence: Sequence,
    pub time: EventTime,
    /// A delta may lack a side, which then has not changed.
    pub sides_optional: bool,
    /// Deltas are numbered, and mean nothing without.
    pub numbered: bool,
}

impl<V: Value> Draft for OrderBook<V> {
    fn reset(&mut self) {
        self.bids.reset();
        self.asks.reset();
        self.form = Form::Unsaid;
        self.instrument.clear();
        self.feed.clear();
        self.depth = None;
        self.sequence = Sequence::default();
        self.time = EventTime::default();
        self.sides_optional = false;
        self.numbered = false;
    }

    fn inherit(&mut self, outer: &Self) {
        self.becomes(outer.form);
        if self.instrument.is_empty() {
            self.instrument.extend_from_slice(&outer.instrument);
        }
        self.feed.extend_from_slice(&outer.feed);
        self.depth = self.depth.or(outer.depth);
        self.time.inherit(&outer.time);
        self.sides_optional |= outer.sides_optional;
        self.numbered |= outer.numbered;
    }
}

impl<V: Value> OrderBook<V> {
    /// Notes what the message says of its form.
    pub fn becomes(&mut self, form: Form) {
        self.form = self.form.max(form);
    }

    /// Reads all bids of a book that is published as it is.
    pub fn bids<T: Text<Value = V>>(
        &mut self,
        reader: &mut Reader<T>,
        level: impl Shape<2>,
    ) -> Result<()> {
        self.becomes(Form::Whole);
        let bids = self.bids.begin()?;
        levels(reader, level, |[price, size]| bids.top.add(price.value, &size.value))
    }

    /// Reads all asks of a book that is published as it is.
    pub fn asks<T: Text<Value = V>>(
        &mut self,
        reader: &mut Reader<T>,
        level: impl Shape<2>,
    ) -> Result<()> {
        self.becomes(Form::Whole);
        let asks = self.asks.begin()?;
        levels(reader, level, |[price, size]| asks.top.add(price.value, &size.value))
    }

    /// Reads units, each an ask and a bid: both prices, then both sizes.
    pub fn units<T: Text<Value = V>>(
        &mut self,
        reader: &mut Reader<T>,
        unit: impl Shape<4>,
    ) -> Result<()> {
        self.becomes(Form::Whole);
        let (asks, bids) = (self.asks.begin()?, self.bids.begin()?);
        levels(reader, unit, |[ask, bid, ask_size, bid_size]| {
            asks.top.add(ask.value, &ask_size.value)?;
            bids.top.add(bid.value, &bid_size.value)
        })
    }

    /// Reads all bids of a book that is published as it is, and on which changes may build.
    pub fn base_bids<T: Text<Value = V>>(
        &mut self,
        reader: &mut Reader<T>,
        level: impl Shape<2>,
    ) -> Result<()> {
        self.becomes(Form::Whole);
        let bids = self.bids.begin()?;
        levels(reader, level, |[price, size]| {
            bids.top.add(price.value.clone(), &size.value)?;
            bids.keep(price, size)
        })
    }

    /// Reads all asks of a book that is published as it is, and on which changes may build.
    pub fn base_asks<T: Text<Value = V>>(
        &mut self,
        reader: &mut Reader<T>,
        level: impl Shape<2>,
    ) -> Result<()> {
        self.becomes(Form::Whole);
        let asks = self.asks.begin()?;
        levels(reader, level, |[price, size]| {
            asks.top.add(price.value.clone(), &size.value)?;
            asks.keep(price, size)
        })
    }

    /// Reads bids for a book that is kept.
    pub fn kept_bids<T: Text<Value = V>>(
        &mut self,
        reader: &mut Reader<T>,
        level: impl Shape<2>,
    ) -> Result<()> {
        let bids = self.bids.begin()?;
        levels(reader, level, |[price, size]| bids.keep(price, size))
    }

    /// Reads asks for a book that is kept.
    pub fn kept_asks<T: Text<Value = V>>(
        &mut self,
        reader: &mut Reader<T>,
        level: impl Shape<2>,
    ) -> Result<()> {
        let asks = self.asks.begin()?;
        levels(reader, level, |[price, size]| asks.keep(price, size))
    }

    /// Reads the name of the instrument.
    pub fn read_instrument<T: Text>(&mut self, reader: &mut Reader<T>) -> Result<()> {
        if !self.instrument.is_empty() {
            return Err(Error::Duplicate);
        }
        if let Some(name) = reader.string_if_any()? {
            self.instrument.extend_from_slice(name);
        }
        Ok(())
    }

    /// Checks what must hold before the message takes effect, and sums up a whole book whose
    /// levels were collected.
    pub fn check(&mut self) -> Result<()> {
        let complete = self.bids.seen && self.asks.seen;
        let may_lack = self.form == Form::Delta && self.sides_optional;
        if !complete && !may_lack {
            return Err(Error::Side);
        }
        let numbers = (self.sequence.first, self.sequence.last);
        match (self.form, numbers) {
            (Form::Unsaid, _) => Err(Error::Form),
            (Form::Whole, _) => self.bids.sum_up().and_then(|()| self.asks.sum_up()),
            _ if self.instrument.is_empty() => Err(Error::Instrument),
            (Form::Delta, (None, _) | (_, None)) | (Form::Snapshot, (_, None)) if self.numbered => {
                Err(Error::Sequence)
            }
            _ => Ok(()),
        }
    }
}

/// One side of a message: summed up, or level by level.
#[derive(Clone, Debug, Default)]
pub struct Side<V, const HIGHEST: bool> {
    pub top: Top<V, HIGHEST>,
    pub levels: Vec<Level<V>>,
    seen: bool,
}

impl<V: Value, const HIGHEST: bool> Side<V, HIGHEST> {
    fn begin(&mut self) -> Result<&mut Self> {
        if self.seen {
            return Err(Error::Duplicate);
        }
        self.seen = true;
        Ok(self)
    }

    #[inline(always)]
    fn keep(&mut self, price: Number<V>, size: Number<V>) -> Result<()> {
        if price.value.is_negative() || size.value.is_negative() {
            return Err(Error::Number);
        }
        self.levels.push(Level { price: price.value, size: size.value });
        Ok(())
    }

    fn sum_up(&mut self) -> Result<()> {
        if self.top.best.is_none() && !self.levels.is_empty() {
            self.top = Top::of(&self.levels)?;
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.top = Top::default();
        self.levels.clear();
        self.seen = false;
    }
}

/// The best price of a side and the exact total of its sizes.
#[derive(Clone, Debug, Default)]
pub struct Top<V, const HIGHEST: bool> {
    pub best: Option<V>,
    pub total: V,
}

impl<V: Value, const HIGHEST: bool> Top<V, HIGHEST> {
    /// Adds a level. One of price or size zero is padding and does not count.
    #[inline(always)]
    fn add(&mut self, price: V, size: &V) -> Result<()> {
        if !price.is_positive() || !size.is_positive() {
            let negative = price.is_negative() || size.is_negative();
            return if negative { Err(Error::Number) } else { Ok(()) };
        }
        self.total = self.total.checked_add(size).ok_or(Error::Range)?;
        let better = self
            .best
            .as_ref()
            .is_none_or(|best| if HIGHEST { price > *best } else { price < *best });
        if better {
            self.best = Some(price);
        }
        Ok(())
    }

    /// The same of levels that were collected.
    fn of(levels: &[Level<V>]) -> Result<Self> {
        let mut top = Self::default();
        for Level { price, size } in levels {
            top.add(price.clone(), size)?;
        }
        Ok(top)
    }
}

/// Reads an array of levels; null is an empty one.
#[inline(never)]
fn levels<const N: usize, T: Text>(
    reader: &mut Reader<T>,
    shape: impl Shape<N>,
    mut add: impl FnMut([Number<T::Value>; N]) -> Result<()>,
) -> Result<()> {
    let mut local = *reader; // which registers hold, whatever `reader` points to
    let mut more = !local.null() && local.open_array()?;
    while more {
        add(shape.read(&mut local)?)?;
        more = local.next_element()?;
    }
    *reader = local;
    Ok(())
}
