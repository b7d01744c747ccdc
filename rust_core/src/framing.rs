//! Framing: records into Kafka values, in their order.

use memchr::memchr_iter;

use crate::batch::{Kind, Run};

/// A value is mostly below this, whatever number of records it may have: brokers take a megabyte
/// by default, keys and all else of a batch included.
pub const MOST_VALUE_BYTES: usize = 900_000;

/// Where finished values go.
pub trait Values {
    fn take(&mut self, value: Value);
}

/// What becomes a Kafka record.
#[derive(Clone, Copy, Debug)]
pub struct Value<'a> {
    pub exchange: &'static str,
    /// In milliseconds: that of the newest input which it has a record of; none where that has none.
    pub timestamp: Option<i64>,
    /// Its records, each with a line break behind.
    lines: &'a [u8],
    is_array: bool,
}

impl Value<'_> {
    /// How long it is.
    pub fn size(&self) -> usize {
        // commas and a bracket where line breaks are, and a bracket before; or no line break
        if self.is_array { self.lines.len() + 1 } else { self.lines.len() - 1 }
    }

    /// Appends it.
    pub fn write(&self, into: &mut Vec<u8>) {
        let (lines, _) = self.lines.split_at(self.lines.len() - 1);
        if !self.is_array {
            into.extend_from_slice(lines);
            return;
        }
        into.push(b'[');
        let start = into.len();
        into.extend_from_slice(lines);
        for end in memchr_iter(b'\n', lines) {
            into[start + end] = b',';
        }
        into.push(b']');
    }
}

/// Puts records into values. Full ones leave at once, the others when they are flushed.
#[derive(Debug)]
pub struct Framer {
    is_array: bool,
    most_records: usize,
    waiting: Waiting,
}

/// Records that do not fill a value yet, all of one exchange.
#[derive(Debug, Default)]
struct Waiting {
    exchange: &'static str,
    timestamp: Option<i64>,
    lines: Vec<u8>,
    records: usize,
}

impl Framer {
    /// Values are arrays of up to so many records, or else one record each.
    pub fn new(is_array: bool, most_records: usize) -> Self {
        let most_records = if is_array { most_records.max(1) } else { 1 };
        Framer { is_array, most_records, waiting: Waiting::default() }
    }

    /// Takes in what was decoded: lines, and whose they are.
    pub fn add(&mut self, lines: &[u8], runs: &[Run], values: &mut impl Values) {
        let mut lines = Lines(lines);
        for run in runs {
            if self.waiting.exchange != run.exchange {
                self.flush(values);
                self.waiting.exchange = run.exchange;
            }
            let mut left = usize::try_from(run.records).unwrap_or(usize::MAX);
            while left > 0 {
                self.waiting.timestamp = self.waiting.timestamp.max(run.timestamp);
                let count = left.min(self.most_records - self.waiting.records);
                let some = lines.next(count);
                left -= count;
                if self.waiting.records == 0 && count == self.most_records {
                    self.put(some, values);
                    self.waiting.timestamp = None;
                    continue;
                }
                self.waiting.lines.extend_from_slice(some);
                self.waiting.records += count;
                if self.waiting.records == self.most_records {
                    self.flush(values);
                }
            }
        }
    }

    /// Lets go what waits.
    pub fn flush(&mut self, values: &mut impl Values) {
        if self.waiting.records > 0 {
            let lines = std::mem::take(&mut self.waiting.lines);
            self.put(&lines, values);
            self.waiting.lines = lines;
        }
        self.waiting.lines.clear();
        (self.waiting.records, self.waiting.timestamp) = (0, None);
    }

    /// As one value, or as several where one would be too long.
    fn put(&self, lines: &[u8], values: &mut impl Values) {
        let mut lines = Lines(lines);
        while !lines.0.is_empty() {
            let lines = lines.up_to(MOST_VALUE_BYTES);
            let &Waiting { exchange, timestamp, .. } = &self.waiting;
            values.take(Value { exchange, timestamp, lines, is_array: self.is_array });
        }
    }
}

/// Lines that are taken from the beginning.
struct Lines<'a>(&'a [u8]);

impl<'a> Lines<'a> {
    /// The next so many.
    fn next(&mut self, count: usize) -> &'a [u8] {
        let end = memchr_iter(b'\n', self.0).nth(count - 1);
        self.split(end.map_or(self.0.len(), |end| end + 1))
    }

    /// As many as come to fewer than so many bytes, but one at least.
    fn up_to(&mut self, bytes: usize) -> &'a [u8] {
        if self.0.len() < bytes {
            return self.split(self.0.len());
        }
        let ends = memchr_iter(b'\n', self.0).map(|end| end + 1);
        let fitting = ends.clone().take_while(|end| *end < bytes).last();
        self.split(fitting.or_else(|| ends.clone().next()).unwrap_or(self.0.len()))
    }

    fn split(&mut self, at: usize) -> &'a [u8] {
        let (lines, rest) = self.0.split_at(at);
        self.0 = rest;
        lines
    }
}

/// The key of an exchange's records, a JSON string: `"UpbitTicker"`, quotes included.
pub fn key(exchange: &str, kind: Kind) -> Vec<u8> {
    let kind = match kind {
        Kind::Ticker => "Ticker",
        Kind::OrderBook => "Orderbook",
    };
    let (first, rest) = exchange.split_at(exchange.len().min(1));
    format!("\"{}{rest}{kind}\"", first.to_ascii_uppercase()).into_bytes()
}
