//! Values in, records and rejects out: the one call that Python makes for a batch.

use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::book::checkpoint::Damage;
use crate::book::{Quality, Reason, Terms};
use crate::books::{Loss, State};
use crate::control::CONTROLS;
use crate::envelope::Envelope;
use crate::error::{Error, Result};
use crate::exchange::{ALL, Exchange};
use crate::fault;
use crate::item::{Items, Part, RejectedPart, Source, Tally};
pub use crate::record::{Figures, Output};
use crate::time::{LATEST, Micros};

/// What the topic holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Ticker,
    OrderBook,
}

/// What the settings say of one exchange.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// Where in `ALL` the exchange stands.
    pub exchange: usize,
    /// `Asia`, `Korea` or `NE`.
    pub region: String,
    /// How many levels a side an order book is subscribed with, where no message says it.
    pub depth: usize,
    /// Whether books are published that are not valid.
    pub publish_all: bool,
    /// How many messages in a row may leave a kept book crossed.
    pub crossed_grace: u32,
    /// By instrument, how many decimals its prices and sizes have, where that is known.
    pub precision: std::collections::HashMap<String, (usize, usize)>,
}

impl Input<'_> {
    /// When Kafka took it in.
    pub fn ingested(&self) -> Option<Micros> {
        let time = self.timestamp.and_then(|milliseconds| milliseconds.checked_mul(1000));
        time.filter(|time| (1..=LATEST).contains(time))
    }
}

impl Row {
    pub fn terms(&self) -> Terms {
        Terms { depth: self.depth, crossed_grace: self.crossed_grace }
    }

    pub fn places(&self, instrument: &[u8]) -> Option<[usize; 2]> {
        let (price, size) = self.precision.get(std::str::from_utf8(instrument).ok()?)?;
        Some([*price, *size])
    }
}

/// One Kafka value.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    pub value: &'a [u8],
    /// The time of the Kafka record, in milliseconds.
    pub timestamp: Option<i64>,
    /// Its offset.
    pub offset: Option<i64>,
}

/// What was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Which value of the batch it came from.
    pub index: usize,
    /// Which item of the envelope, unless it is all of the value.
    pub item: Option<usize>,
    pub exchange: Option<&'static str>,
    pub error: Error,
    /// Where and why this program failed, if that is the reason.
    pub fault: Option<String>,
    /// An envelope with the item alone; or the whole value, as it came.
    pub value: Vec<u8>,
}

/// What became of the items of one exchange: each was decoded, or a control message, or held back
/// for one of three reasons, or rejected; and what is odd about books, message by message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub items: u64,
    /// Items that left at least one record.
    pub decoded: u64,
    /// Records: one for each message, of which an item may hold several.
    pub records: u64,
    pub control: [u64; CONTROLS.len()],
    /// Items whose book has no base yet.
    pub warming: u64,
    /// Items whose book is not to be trusted any more.
    pub suspect: u64,
    /// Items that are older than their book.
    pub outdated: u64,
    pub rejected: u64,
    pub oddities: [u64; ODDITIES.len()],
}

/// What can be odd about a book or a ticker.
pub const ODDITIES: [&str; 6] = ["gap", "crossed", "locked", "totals_mismatch", "stale", "dropped"];

/// The same as places in `ODDITIES`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// A message of a kept book is missing, or a checksum has failed.
    Gap,
    /// The best bid is above the best ask.
    Crossed,
    /// They are equal.
    Locked,
    /// The totals that the message declares are not the sums of its levels.
    TotalsMismatch,
    /// The exchange's time is long before Kafka's.
    Stale,
    /// A book was dropped, as there were too many and it was updated longest ago.
    Dropped,
}

impl Counts {
    #[inline(always)]
    pub fn note_if(&mut self, is_so: bool, oddity: Oddity) {
        self.oddities[oddity as usize] += u64::from(is_so);
    }
}

/// A kept book whose quality has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which value of the batch has changed it.
    pub index: usize,
    pub exchange: &'static str,
    pub instrument: String,
    pub quality: Quality,
    pub reason: Reason,
}

impl Change {
    pub fn of(loss: Loss, index: usize, reason: Reason) -> Self {
        let Loss { exchange, instrument, quality } = loss;
        Change { index, exchange, instrument, quality, reason }
    }
}

/// Records that stand together, all of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Which value of the batch they came from.
    pub index: usize,
    pub exchange: &'static str,
    pub records: u64,
    /// That of the input.
    pub timestamp: Option<i64>,
}

/// What became of a batch.
#[derive(Debug, Default)]
pub struct Outcome {
    /// When its decoding began.
    now: Micros,
    pub envelopes: usize,
    /// How many bytes the values had.
    pub bytes: usize,
    /// Whose the records are, in their order. A value without records is not among them.
    pub runs: Vec<Run>,
    pub rejects: Vec<Reject>,
    pub changes: Vec<Change>,
    /// In the order of `ALL`.
    pub counts: [Counts; ALL.len()],
}

impl Outcome {
    /// Counts the books that were dropped, by their exchanges, among the changes from a place on.
    fn count_dropped(&mut self, from: usize) {
        for change in self.changes[from..].iter().filter(|change| change.reason == Reason::Limit) {
            if let Some(exchange) = Exchange::find(change.exchange.as_bytes()) {
                self.counts[exchange].note_if(true, Oddity::Dropped);
            }
        }
    }
}

/// Decodes batches of one kind; keeps the order books from batch to batch.
#[derive(Debug)]
pub struct Decoder {
    /// In the order of `ALL`.
    rows: [Option<Row>; ALL.len()],
    items: Items,
    ranges: Vec<Range<usize>>,
    parts: Vec<RejectedPart>,
}

impl Decoder {
    /// Keeps up to `book_limit` order books.
    pub fn new(kind: Kind, rows: Vec<Row>, output: Output, book_limit: usize) -> Self {
        let mut by_exchange = [const { None }; ALL.len()];
        for row in rows {
            let exchange = row.exchange;
            by_exchange[exchange] = Some(row);
        }
        let items = Items::new(kind, output, book_limit);
        Decoder { rows: by_exchange, items, ranges: Vec::new(), parts: Vec::new() }
    }

    /// Checkpoints of the books that have changed since the last call: their names and contents; no
    /// content where a book was dropped, whose checkpoint is to be removed.
    pub fn checkpoints(&mut self) -> Vec<(String, Option<Vec<u8>>)> {
        self.items.books.checkpoints()
    }

    /// Takes in a checkpoint, before the first batch.
    pub fn restore(&mut self, name: &str, content: &[u8], before: i64) -> Result<(), Damage> {
        let rows = &self.rows;
        let depth = |exchange: usize| rows[exchange].as_ref().map_or(0, |row| row.depth);
        let places =
            |exchange: usize, instrument: &[u8]| rows[exchange].as_ref()?.places(instrument);
        self.items.books.restore(name, content, before, depth, places)
    }

    /// What is known of each kept book.
    pub fn books(&self) -> Vec<State> {
        self.items.books.states()
    }

    /// Decodes a batch. The records are `records()` until the next call.
    pub fn decode<'a>(&mut self, inputs: impl IntoIterator<Item = Input<'a>>) -> Outcome {
        let mut outcome = self.begin();
        for input in inputs {
            self.take(input, &mut outcome);
        }
        outcome
    }

    /// Begins a batch whose values come one by one.
    pub fn begin(&mut self) -> Outcome {
        self.items.records.clear();
        let mut outcome = Outcome { now: now(), ..Outcome::default() };
        let dropped = self.items.books.dropped.drain(..);
        outcome.changes.extend(dropped.map(|loss| Change::of(loss, 0, Reason::Limit)));
        outcome.count_dropped(0);
        outcome
    }

    /// Decodes the next value of a batch.
    pub fn take(&mut self, input: Input, outcome: &mut Outcome) {
        let index = outcome.envelopes;
        outcome.envelopes += 1;
        outcome.bytes += input.value.len();
        if let Err((error, exchange)) = self.envelope(input, index, outcome) {
            let exchange = exchange.map(|exchange: usize| ALL[exchange].name);
            let (fault, value) = (None, input.value.to_vec());
            outcome.rejects.push(Reject { index, item: None, exchange, error, fault, value });
        }
    }

    /// Sets aside a value of which only the beginning is known.
    pub fn reject_beginning(value: &[u8], outcome: &mut Outcome) {
        let index = outcome.envelopes;
        outcome.envelopes += 1;
        outcome.bytes += value.len();
        let (error, fault, value) = (Error::Length, None, value.to_vec());
        outcome.rejects.push(Reject { index, item: None, exchange: None, error, fault, value });
    }

    /// The records of the last batch, a line each.
    pub fn records(&self) -> &[u8] {
        self.items.records.lines()
    }

    /// Hands them over.
    pub fn take_records(&mut self) -> Vec<u8> {
        self.items.records.take()
    }

    fn envelope(
        &mut self,
        input: Input,
        index: usize,
        outcome: &mut Outcome,
    ) -> Result<(), (Error, Option<usize>)> {
        let value = input.value;
        let Decoder { rows, items, ranges, parts } = self;
        let envelope = Envelope::split(value, ranges).map_err(|error| (error, None))?;
        let exchange = Exchange::find(&envelope.market).ok_or((Error::Market, None))?;
        let row = rows[exchange].as_ref().ok_or((Error::Market, Some(exchange)))?;
        let region = envelope.region.as_deref().and_then(region).unwrap_or(&row.region);
        items.records.begin(region, &envelope.market, &envelope.symbol);
        let now = outcome.now;
        let source = Source { exchange, symbol: &envelope.name, index, input, row, now };
        let before = outcome.counts[exchange].records;
        let changes_before = outcome.changes.len();
        let mut work =
            Work { items, parts, ranges, envelope: &envelope, source, next: 0, records: (0, 0) };
        while let Err(fault) = fault::caught(|| work.go_on(outcome)) {
            let places =
                |exchange: usize, instrument: &[u8]| rows[exchange].as_ref()?.places(instrument);
            work.abandon(fault, places, outcome);
        }
        outcome.count_dropped(changes_before);
        let records = outcome.counts[exchange].records - before;
        if records > 0 {
            let (exchange, timestamp) = (ALL[exchange].name, input.timestamp);
            outcome.runs.push(Run { index, exchange, records, timestamp });
        }
        Ok(())
    }
}

/// The items of an envelope, and how far they are decoded. Faults are caught outside of the loop over
/// them, as that takes time.
struct Work<'w, 'e> {
    items: &'w mut Items,
    parts: &'w mut Vec<RejectedPart>,
    ranges: &'w [Range<usize>],
    envelope: &'w Envelope<'e>,
    source: Source<'w>,
    /// The item that is being decoded.
    next: usize,
    /// Where its records begin.
    records: (usize, u64),
}

impl Work<'_, '_> {
    /// Decodes the items that are left.
    fn go_on(&mut self, outcome: &mut Outcome) {
        let Source { exchange, input, .. } = self.source;
        let (ranges, envelope, source) = (self.ranges, self.envelope, self.source);
        let value = input.value;
        let is_text = value.is_ascii() || std::str::from_utf8(value).is_ok();
        for (number, item) in ranges.iter().enumerate().skip(self.next) {
            self.next = number;
            self.records = self.items.records.place();
            let counts = &mut outcome.counts[exchange];
            counts.items += 1;
            let decoded = if is_text || std::str::from_utf8(&value[item.clone()]).is_ok() {
                let part = Part { bytes: &value[item.start..], length: item.len() };
                let (changes, parts) = (&mut outcome.changes, &mut *self.parts);
                let tally = &mut Tally { counts, changes, parts };
                self.items.decode(part, envelope.has_escapes(number), &source, tally)
            } else {
                Err(Error::Utf8)
            };
            if decoded.is_err() || !self.parts.is_empty() {
                self.set_aside(decoded, &value[item.clone()], outcome);
            }
        }
        self.next = ranges.len();
    }

    /// Rejects the item, or the messages of it that could not be read.
    #[cold]
    #[inline(never)]
    fn set_aside(&mut self, decoded: Result<()>, item: &[u8], outcome: &mut Outcome) {
        for RejectedPart { item, error } in std::mem::take(self.parts) {
            self.reject(&item, error, None, outcome);
        }
        if let Err(error) = decoded {
            self.reject(item, error, None, outcome);
        }
    }

    /// Sets the item aside at which this program failed, and takes back what came of it. What is odd
    /// about books stays counted, as their messages have taken effect.
    #[cold]
    #[inline(never)]
    fn abandon(
        &mut self,
        fault: String,
        places: impl Fn(usize, &[u8]) -> Option<[usize; 2]>,
        outcome: &mut Outcome,
    ) {
        self.parts.clear();
        self.items.abandon(self.records);
        let loss = self.items.books.abandon(places);
        let change = loss.map(|loss| Change::of(loss, self.source.index, Reason::Internal));
        outcome.changes.extend(change);
        if let Some(item) = self.ranges.get(self.next) {
            let item = &self.source.input.value[item.clone()];
            self.reject(item, Error::Internal, Some(fault), outcome);
        }
        self.next += 1;
    }

    #[cold]
    #[inline(never)]
    fn reject(&self, item: &[u8], error: Error, fault: Option<String>, outcome: &mut Outcome) {
        let Source { exchange, index, input, .. } = self.source;
        outcome.counts[exchange].rejected += 1;
        let value = self.envelope.with_only(input.value, item);
        let (item, exchange) = (Some(self.next), Some(ALL[exchange].name));
        outcome.rejects.push(Reject { index, item, exchange, error, fault, value });
    }
}

/// The region as records have it, of an envelope's own word for it.
fn region(text: &[u8]) -> Option<&'static str> {
    ["Asia", "Korea", "NE"].into_iter().find(|region| region.as_bytes().eq_ignore_ascii_case(text))
}

fn now() -> Micros {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Micros::try_from(elapsed.as_micros()).unwrap_or(Micros::MAX)
}
