//! What one order-book message says, before it takes effect.

mod side;
#[cfg(test)]
mod tests;

use crate::book::levels::Touch;
use crate::draft::Draft;
use crate::error::{Error, Result};
use crate::json::Reader;
use crate::json::shape::Shape;
use crate::json::text::Text;
use crate::number::Value;
use crate::time::EventTime;
use side::levels;
pub use side::{Level, Side, Top};

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

/// The depth of a feed that has no limit of its own.
pub const UNCUT: usize = side::MOST_LEVELS;

/// The numbers by which an exchange lets its messages be put in order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sequence {
    /// The last change before the message.
    pub previous: Option<i64>,
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
    /// What the exchange has computed from the best levels after the message.
    pub checksum: Option<i64>,
    pub time: EventTime,
    /// A delta may lack a side, which then has not changed.
    pub sides_optional: bool,
    /// Deltas are numbered, and mean nothing without.
    pub numbered: bool,
    /// How many words say of which kind the message is.
    pub kind_words: u8,
    form_words: u8,
    /// Whether instrument and feed are those of the object around the payload.
    borrowed: [bool; 2],
    /// Whether more will be told of the book than the usual record has.
    extended: bool,
}

impl<V: Value> Draft for OrderBook<V> {
    fn reset(&mut self, extended: bool) {
        self.bids.reset(extended);
        self.asks.reset(extended);
        self.extended = extended;
        self.form = Form::Unsaid;
        self.instrument.clear();
        self.feed.clear();
        self.depth = None;
        self.sequence = Sequence::default();
        self.checksum = None;
        self.time = EventTime::default();
        self.sides_optional = false;
        self.numbered = false;
        (self.kind_words, self.form_words) = (0, 0);
    }

    fn inherit(&mut self, outer: &Self) {
        self.becomes(outer.form);
        self.depth = self.depth.or(outer.depth);
        self.time.inherit(&outer.time);
        self.sides_optional |= outer.sides_optional;
        self.numbered |= outer.numbered;
    }

    #[inline(always)]
    fn borrow_names(&mut self, outer: &mut Self) {
        self.borrowed = [
            self.instrument.is_empty() && !outer.instrument.is_empty(),
            self.feed.is_empty() && !outer.feed.is_empty(),
        ];
        self.swap_borrowed(outer);
    }

    #[inline(always)]
    fn return_names(&mut self, outer: &mut Self) {
        self.swap_borrowed(outer);
        self.borrowed = [false; 2];
    }
}

impl<V: Value> OrderBook<V> {
    #[inline(always)]
    fn swap_borrowed(&mut self, outer: &mut Self) {
        let [instrument, feed] = self.borrowed;
        if instrument {
            std::mem::swap(&mut self.instrument, &mut outer.instrument);
        }
        if feed {
            std::mem::swap(&mut self.feed, &mut outer.feed);
        }
    }

    /// Notes what the message says of its form.
    pub fn becomes(&mut self, form: Form) {
        self.form = self.form.max(form);
    }

    /// Reads units, each an ask and a bid: both prices, then both sizes.
    #[inline(always)]
    pub fn units<T: Text<Value = V>>(
        &mut self,
        reader: &mut Reader<T>,
        unit: impl Shape<4>,
    ) -> Result<()> {
        let (asks, bids) = (self.asks.begin_sum()?, self.bids.begin_sum()?);
        if self.extended {
            return levels(reader, unit, |[ask, bid, ask_size, bid_size]| {
                asks.add(ask, ask_size)?;
                bids.add(bid, bid_size)
            });
        }
        levels(reader, unit, |[ask, bid, ask_size, bid_size]| {
            asks.top.add(ask.value, &ask_size.value)?;
            bids.top.add(bid.value, &bid_size.value)
        })
    }

    /// Reads the name of the instrument, where only extended records say it.
    #[inline(always)]
    pub fn read_instrument_if_extended<T: Text>(&mut self, reader: &mut Reader<T>) -> Result<()> {
        if self.extended { self.read_instrument(reader) } else { reader.skip() }
    }

    /// Reads the name of the instrument.
    #[inline(always)]
    pub fn read_instrument<T: Text>(&mut self, reader: &mut Reader<T>) -> Result<()> {
        reader.apart(|reader| name_once(&mut self.instrument, reader))
    }

    /// Reads the name of the feed.
    #[inline(always)]
    pub fn read_feed<T: Text>(&mut self, reader: &mut Reader<T>) -> Result<()> {
        reader.apart(|reader| name_once(&mut self.feed, reader))
    }

    /// Reads the word by which a message says that it is a snapshot or a change.
    #[inline(always)]
    pub fn read_form<T: Text>(
        &mut self,
        reader: &mut Reader<T>,
        snapshot: &[u8],
        delta: &[u8],
    ) -> Result<()> {
        self.form_words += 1;
        let word = reader.string()?;
        self.becomes(match word {
            _ if self.form_words > 1 => return Err(Error::Duplicate),
            _ if word == snapshot => Form::Snapshot,
            _ if word == delta => Form::Delta,
            _ => return Err(Error::Kind),
        });
        Ok(())
    }

    /// How the best prices of a whole book stand to each other.
    pub fn touch(&self) -> Touch {
        Touch::of(self.bids.top.best.as_ref(), self.asks.top.best.as_ref())
    }

    /// Checks what must hold before the message takes effect, and sums up a whole book whose
    /// levels were collected.
    pub fn check(&mut self) -> Result<()> {
        if self.bids.is_summed || self.asks.is_summed {
            self.becomes(Form::Whole);
        }
        let complete = self.bids.is_seen && self.asks.is_seen;
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

/// Reads a name that may stand in a message once.
#[inline(never)]
fn name_once<T: Text>(into: &mut Vec<u8>, reader: &mut Reader<T>) -> Result<()> {
    if into.is_empty() { reader.name(into) } else { Err(Error::Duplicate) }
}
