//! The records that downstream reads: JSON, one a line.

mod decimal;
mod figures;
mod room;
#[cfg(test)]
mod tests;

use std::fmt::{Arguments, Display};
use std::io::Write;

use crate::book::levels::{Kept, Levels, Touch};
use crate::book::{Book, Quality};
use crate::exchange::ChangeBasis;
use crate::order_book::{Level, OrderBook, Side, Top};
use crate::ticker::{COLUMNS, Column, Ticker};
use crate::time::{Clock, Micros};
pub use decimal::Decimal;
pub use figures::Figures;
pub use room::Room;
use room::{Fragment, fragment, fragment_of};

/// What records are to have.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// The figures of extended records; without them records are the usual ones.
    pub extended: Option<Figures>,
    /// How long before Kafka's time an exchange's may be, before what it says is stale.
    pub stale_after: Micros,
}

/// The times of a message.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// That of the event, by the exchange.
    pub exchange: Option<Micros>,
    /// When Kafka took it in.
    pub ingested: Option<Micros>,
    pub now: Micros,
}

impl Times {
    /// The time of the record.
    fn event(self) -> Micros {
        self.exchange.or(self.ingested).unwrap_or(self.now)
    }
}

/// Records, a line break behind each.
#[derive(Debug, Default)]
pub struct Records {
    buffer: Vec<u8>,
    length: usize,
    /// About as long as the last ones were in all.
    expected: usize,
    count: u64,
    head: Vec<u8>,
    clock: Clock,
    output: Output,
}

/// What an extended record says of a book besides its levels.
struct Told<'m> {
    instrument: &'m [u8],
    quality: Quality,
    totals_mismatch: Option<bool>,
    sequence: Option<i64>,
    times: Times,
}

/// What ends a record.
const END: &[u8] = b"}\n";

/// More than all that is written of a record besides its head and its numbers.
const FIXED_BYTES: usize = 1024;

/// What stands before the value of each column: where it is text, and where it is null.
const COLUMN_NAMES: [[Fragment; 2]; COLUMNS] = [
    column("{\"", "opening_price"),
    column(",\"", "trade_price"),
    column(",\"", "max_price"),
    column(",\"", "min_price"),
    column(",\"", "prev_closing_price"),
    column(",\"", "acc_trade_volume_24h"),
    column(",\"", "signed_change_price"),
    column(",\"", "signed_change_rate"),
];

const fn column(before: &str, name: &str) -> [Fragment; 2] {
    [fragment_of([before, name, "\":\""]), fragment_of([before, name, "\":"])]
}

impl Records {
    pub fn new(output: Output) -> Self {
        Records { output, ..Records::default() }
    }

    pub fn is_extended(&self) -> bool {
        self.output.extended.is_some()
    }

    /// Whether what an exchange said was old when Kafka took it in.
    #[inline(always)]
    pub fn is_stale(&self, times: Times) -> bool {
        let lag = times.ingested.zip(times.exchange).map(|(ingested, event)| ingested - event);
        lag.is_some_and(|lag| lag > self.output.stale_after)
    }

    /// All records so far.
    pub fn lines(&self) -> &[u8] {
        &self.buffer[..self.length]
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    /// Where the next record begins, to go back to.
    pub fn place(&self) -> (usize, u64) {
        (self.length, self.count)
    }

    /// Takes back all records from a place on.
    pub fn go_back(&mut self, (length, count): (usize, u64)) {
        (self.length, self.count) = (length, count);
    }

    pub fn clear(&mut self) {
        (self.length, self.count) = (0, 0);
    }

    /// Hands all records over. Nothing is kept, as there may be many decoders and few at work.
    pub fn take(&mut self) -> Vec<u8> {
        let mut lines = std::mem::take(&mut self.buffer);
        lines.truncate(self.length);
        lines.shrink_to_fit();
        self.expected = self.length + self.length / 8;
        self.clear();
        lines
    }

    /// The records that follow are of this envelope and begin alike. `symbol` is written as it is.
    pub fn begin(&mut self, region: &str, market: &[u8], symbol: &[u8]) {
        self.head.clear();
        for part in [b"{\"region\":\"", region.as_bytes(), b"\",\"market\":\""] {
            self.head.extend_from_slice(part);
        }
        self.head.extend(market.iter().map(u8::to_ascii_uppercase));
        for part in [b"\",\"coin_symbol\":\"", symbol, b"\""] {
            self.head.extend_from_slice(part);
        }
    }

    /// Writes the record of a message that is the whole book.
    pub fn whole_book<V: Decimal>(
        &mut self,
        message: &OrderBook<V>,
        times: Times,
        totals_mismatch: bool,
    ) {
        let OrderBook { bids, asks, .. } = message;
        self.order_book(&bids.top, &asks.top, times.event());
        if self.is_extended() {
            let is_declared = bids.declared.is_some() || asks.declared.is_some();
            let told = Told {
                instrument: &message.instrument,
                quality: Quality::Valid,
                totals_mismatch: is_declared.then_some(totals_mismatch),
                sequence: message.sequence.last,
                times,
            };
            let (bids, asks) = (best_first(bids), best_first(asks));
            self.extend_book(&told, bids.iter().copied(), asks.iter().copied());
        }
    }

    /// Writes the record of a book that is kept.
    pub fn kept_book(&mut self, book: &Book, instrument: &[u8], times: Times) {
        let told = Told {
            instrument,
            quality: book.quality,
            totals_mismatch: None,
            sequence: book.last,
            times,
        };
        match &book.levels {
            Levels::Usual(bids, asks) => self.sides(&told, bids, asks),
            Levels::Wide(bids, asks) => self.sides(&told, bids, asks),
        }
    }

    fn sides<V: Decimal>(&mut self, told: &Told, bids: &Kept<V, true>, asks: &Kept<V, false>) {
        self.order_book(&bids.top(), &asks.top(), told.times.event());
        if self.is_extended() {
            self.extend_book(told, bids.best_first(), asks.best_first());
        }
    }

    /// Writes the record of an order book: exact JSON numbers.
    fn order_book<V: Decimal>(&mut self, bids: &Top<V, true>, asks: &Top<V, false>, time: Micros) {
        let (bid, ask) = (bids.best.as_ref(), asks.best.as_ref());
        let spread = bid.zip(ask).map(|(bid, ask)| ask.clone() - bid.clone());
        self.write::<V>(|room, clock| {
            room.fragment(&const { fragment(",\"highest_bid\":") });
            room.decimal_or_null(bid);
            room.fragment(&const { fragment(",\"lowest_ask\":") });
            room.decimal_or_null(ask);
            room.fragment(&const { fragment(",\"spread\":") });
            room.decimal_or_null(spread.as_ref());
            room.fragment(&const { fragment(",\"total_bid_volume\":") });
            bids.total.write(room);
            room.fragment(&const { fragment(",\"total_ask_volume\":") });
            asks.total.write(room);
            room.fragment(&const { fragment(",\"timestamp\":\"") });
            *room.block() = *clock.text(time);
            room.advance(32);
            room.fragment(&const { fragment("\"}\n") });
        });
    }

    /// Writes the record of a ticker: exact decimal strings, copied from the message where they
    /// stand there as they must be.
    #[inline(never)]
    pub fn ticker<V: Decimal>(
        &mut self,
        ticker: &Ticker<V>,
        message: &[u8],
        times: Times,
        basis: ChangeBasis,
    ) {
        let time = times.event();
        self.write::<V>(|room, _| {
            room.fragment(&const { fragment(",\"timestamp\":") });
            room.milliseconds(time);
            room.fragment(&const { fragment(",\"data\":[") });
            for ([text, null], column) in COLUMN_NAMES.iter().zip(Column::ALL) {
                if let Some((stands, length)) = ticker.text(column, message) {
                    room.quoted(text, stands, length);
                } else if let Some(value) = ticker.get(column) {
                    room.fragment(text);
                    value.write(room);
                    room.fragment(&const { fragment("\"") });
                } else {
                    room.fragment(null);
                    room.fragment(&const { fragment("null") });
                }
            }
            room.fragment(&const { fragment("}]}\n") });
        });
        if self.is_extended() {
            let quality = if self.is_stale(times) { "stale" } else { "valid" };
            let mut members = Members::default();
            members.name("instrument", &ticker.instrument);
            members.text("quality", quality);
            members.times(times, &mut self.clock);
            members.text("change_basis", basis.name());
            self.extend(&members.0);
        }
    }

    /// Adds to the record of a book what an extended one says.
    fn extend_book<'l, V: Decimal + 'l>(
        &mut self,
        told: &Told,
        bids: impl ExactSizeIterator<Item = &'l Level<V>> + Clone,
        asks: impl ExactSizeIterator<Item = &'l Level<V>> + Clone,
    ) {
        let best = |level: Option<&'l Level<V>>| level.map(|level| &level.price);
        let touch = Touch::of(best(bids.clone().next()), best(asks.clone().next()));
        let quality = match told.quality {
            Quality::Valid if self.is_stale(told.times) => "stale",
            quality => quality.name(),
        };
        let mut members = Members::default();
        members.name("instrument", told.instrument);
        members.text("quality", quality);
        members.text("book_state", touch.name());
        members.plain("totals_mismatch", told.totals_mismatch);
        members.plain("bid_levels", Some(bids.len()));
        members.plain("ask_levels", Some(asks.len()));
        if let Some(figures) = &self.output.extended {
            figures.write(&mut members.0, bids, asks);
        }
        members.times(told.times, &mut self.clock);
        members.plain("sequence", told.sequence);
        self.extend(&members.0);
    }

    /// Adds members to the last record.
    fn extend(&mut self, members: &[u8]) {
        self.length -= END.len();
        let length = self.length + members.len() + END.len();
        if self.buffer.len() < length {
            self.grow(members.len() + END.len());
        }
        self.buffer[self.length..length].copy_from_slice(&[members, END].concat());
        self.length = length;
    }

    /// Writes one record of numbers of this kind.
    #[inline(always)]
    fn write<V: Decimal>(&mut self, record: impl FnOnce(&mut Room, &mut Clock)) {
        let most = FIXED_BYTES + self.head.len() + COLUMNS * (V::DIGITS + 4);
        if self.buffer.len() < self.length + most {
            self.grow(most);
        }
        let mut room = Room(&mut self.buffer[self.length..]);
        room.text(&self.head);
        record(&mut room, &mut self.clock);
        let left = room.0.len();
        self.length = self.buffer.len() - left;
        self.count += 1;
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, more: usize) {
        let length = (self.buffer.len() * 2).max(self.expected).max(self.length) + more;
        self.buffer.resize(length, 0);
    }
}

/// The levels of a message that count, in order.
fn best_first<V: Decimal, const HIGHEST: bool>(side: &Side<V, HIGHEST>) -> Vec<&Level<V>> {
    let alive = |level: &&Level<V>| level.price.is_positive() && level.size.is_positive();
    let mut levels: Vec<_> = side.levels.iter().filter(alive).collect();
    levels.sort_by(|a, b| if HIGHEST { b.price.cmp(&a.price) } else { a.price.cmp(&b.price) });
    levels
}

/// What an extended record says more: JSON members, a comma before each.
#[derive(Debug, Default)]
struct Members(Vec<u8>);

impl Members {
    /// A number or a truth value; null if there is none.
    fn plain(&mut self, name: &str, value: Option<impl Display>) {
        match value {
            Some(value) => self.add(format_args!(",\"{name}\":{value}")),
            None => self.add(format_args!(",\"{name}\":null")),
        }
    }

    /// A text that needs no escapes.
    fn text(&mut self, name: &str, text: &str) {
        self.add(format_args!(",\"{name}\":\"{text}\""));
    }

    /// A name as the exchange has it; null if there is none.
    fn name(&mut self, name: &str, value: &[u8]) {
        let value = (!value.is_empty()).then(|| String::from_utf8_lossy(value));
        self.plain(name, value.and_then(|value| serde_json::to_string(&value).ok()));
    }

    fn times(&mut self, times: Times, clock: &mut Clock) {
        for (name, time) in [("exchange_time", times.exchange), ("ingest_time", times.ingested)] {
            match time {
                Some(time) => self.text(name, &String::from_utf8_lossy(clock.text(time))),
                None => self.plain(name, None::<u8>),
            }
        }
    }

    fn add(&mut self, member: Arguments) {
        self.0.write_fmt(member).expect("a buffer in memory takes all");
    }
}
