//! Values in, records and rejects out: the one call that Python makes for a batch.

use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

use hashbrown::HashMap;

use crate::book::Summary;
use crate::books::{Books, Published};
use crate::control::{self, CONTROLS};
use crate::envelope::Envelope;
use crate::error::{Error, Result};
use crate::exchange::{ALL, Drafts, Exchange, Spelling};
use crate::json::Reader;
use crate::json::string::{simplify, unescape};
use crate::json::text::{Compact, Escaped, Long, Plain};
use crate::number::{Usual, Wide};
use crate::order_book::OrderBook;
use crate::record::{Decimal, Records};
use crate::ticker::{Column, Ticker};
use crate::time::{LATEST, Micros};

/// What the topic holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Ticker,
    OrderBook,
}

/// What the settings say of one exchange.
#[derive(Clone, Debug)]
pub struct Row {
    /// Where in `ALL` the exchange stands.
    pub exchange: usize,
    /// `Asia`, `Korea` or `NE`.
    pub region: String,
    /// How many levels a side an order book is subscribed with, where no message says it.
    pub depth: usize,
}

/// One Kafka value.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    pub value: &'a [u8],
    /// The time of the Kafka record, in milliseconds.
    pub timestamp: Option<i64>,
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
    /// An envelope with the item alone; or the whole value, as it came.
    pub value: Vec<u8>,
}

/// What became of the items of one exchange: each was decoded, or a control message, or held back
/// for one of two reasons, or rejected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub items: u64,
    /// Items that left at least one record.
    pub decoded: u64,
    /// Records: one for each message, of which an item may hold several.
    pub records: u64,
    pub control: [u64; CONTROLS.len()],
    /// Items whose book has no base yet.
    pub warming: u64,
    /// Items that are older than their book.
    pub outdated: u64,
    pub rejected: u64,
}

/// What became of a batch.
#[derive(Debug, Default)]
pub struct Outcome {
    pub envelopes: u64,
    pub rejects: Vec<Reject>,
    /// In the order of `ALL`.
    pub counts: [Counts; ALL.len()],
}

/// Decodes batches of one kind; keeps the order books from batch to batch.
#[derive(Debug)]
pub struct Decoder {
    kind: Kind,
    rows: HashMap<usize, Row>,
    books: Books,
    records: Records,
    usual: Scratch<Usual>,
    wide: Scratch<Wide>,
    items: Vec<Range<usize>>,
    text: Vec<u8>,
}

/// Memory that is used again for each item.
#[derive(Debug, Default)]
struct Scratch<V> {
    tickers: Drafts<Ticker<V>>,
    order_books: Drafts<OrderBook<V>>,
}

/// What is the same for all items of an envelope.
#[derive(Clone, Copy, Debug)]
struct Source<'a> {
    exchange: usize,
    symbol: &'a [u8],
    depth: usize,
    /// The time of messages that have none.
    time: Micros,
}

impl Decoder {
    pub fn new(kind: Kind, rows: Vec<Row>) -> Self {
        Decoder {
            kind,
            rows: rows.into_iter().map(|row| (row.exchange, row)).collect(),
            books: Books::default(),
            records: Records::default(),
            usual: Scratch::default(),
            wide: Scratch::default(),
            items: Vec::new(),
            text: Vec::new(),
        }
    }

    /// Decodes a batch. The records are `records()` until the next call.
    pub fn decode<'a>(&mut self, inputs: impl IntoIterator<Item = Input<'a>>) -> Outcome {
        self.records.clear();
        let mut outcome = Outcome::default();
        let now = now();
        for (index, input) in inputs.into_iter().enumerate() {
            outcome.envelopes += 1;
            let kafka = input.timestamp.and_then(|milliseconds| milliseconds.checked_mul(1000));
            let time = kafka.filter(|time| (0..=LATEST).contains(time)).unwrap_or(now);
            if let Err((error, exchange)) = self.envelope(input.value, time, index, &mut outcome) {
                let exchange = exchange.map(|exchange: usize| ALL[exchange].name);
                let value = input.value.to_vec();
                outcome.rejects.push(Reject { index, item: None, exchange, error, value });
            }
        }
        outcome
    }

    /// The records of the last batch, a line each.
    pub fn records(&self) -> &[u8] {
        self.records.lines()
    }

    fn envelope(
        &mut self,
        value: &[u8],
        time: Micros,
        index: usize,
        outcome: &mut Outcome,
    ) -> Result<(), (Error, Option<usize>)> {
        let mut items = std::mem::take(&mut self.items);
        let envelope = Envelope::split(value, &mut items).map_err(|error| (error, None))?;
        let exchange = Exchange::find(&envelope.market).ok_or((Error::Market, None))?;
        let row = self.rows.get(&exchange).ok_or((Error::Market, Some(exchange)))?;
        let region = envelope.region.as_deref().and_then(region).unwrap_or(&row.region);
        self.records.begin(region, &envelope.market, envelope.symbol);
        let source = Source { exchange, symbol: envelope.symbol, depth: row.depth, time };
        let is_text = value.is_ascii() || std::str::from_utf8(value).is_ok();
        for (number, item) in items.iter().enumerate() {
            let counts = &mut outcome.counts[exchange];
            counts.items += 1;
            let decoded = if is_text || std::str::from_utf8(&value[item.clone()]).is_ok() {
                self.item(Part { bytes: &value[item.start..], length: item.len() }, source, counts)
            } else {
                Err(Error::Utf8)
            };
            if let Err(error) = decoded {
                counts.rejected += 1;
                let value = envelope.with_only(value, item.clone());
                let exchange = Some(ALL[exchange].name);
                outcome.rejects.push(Reject { index, item: Some(number), exchange, error, value });
            }
        }
        self.items = items;
        Ok(())
    }

    /// Decodes one item: as it stands; if that fails, its text unescaped; if a number does not
    /// fit, with wider ones; and what is no message of this kind may be a control message.
    fn item(&mut self, item: Part, source: Source, counts: &mut Counts) -> Result<()> {
        match item.exactly() {
            [b'"', inside @ .., b'"'] => match self.escaped(item, source, counts) {
                Err(_) => self.unescaped(inside, source, counts),
                done => done,
            },
            [b'{' | b'[', ..] => self.plain(item, source, counts),
            _ => Err(Error::Syntax),
        }
    }

    /// Whichever spelling it is, either reads it: the right one sooner.
    fn escaped(&mut self, item: Part, source: Source, counts: &mut Counts) -> Result<()> {
        let inside = Part { bytes: &item.bytes[1..], length: item.length - 2 };
        let colon = inside.exactly().iter().take(100).position(|byte| *byte == b':');
        let compact = colon.is_some_and(|colon| inside.bytes.get(colon + 1) != Some(&b' '));
        if compact {
            self.with_usual::<Compact>(inside, source, counts)
        } else {
            self.with_usual::<Escaped>(inside, source, counts)
        }
    }

    fn unescaped(&mut self, inside: &[u8], source: Source, counts: &mut Counts) -> Result<()> {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        let result = unescape(inside, &mut text).and_then(|()| {
            let length = text.len();
            text.extend_from_slice(&[b' '; SLACK]);
            self.plain(Part { bytes: &text, length }, source, counts)
        });
        self.text = text;
        result
    }

    fn plain(&mut self, item: Part, source: Source, counts: &mut Counts) -> Result<()> {
        let result = match self.with_usual::<Plain>(item, source, counts) {
            Err(Error::Range) => self.with_wide(item, source, counts),
            Err(Error::Escape) => {
                let text = simplify(item.exactly())?;
                let item = Part { bytes: &text, length: text.len() };
                match self.with_usual::<Plain>(item, source, counts) {
                    Err(Error::Range) => self.with_wide(item, source, counts),
                    result => result,
                }
            }
            result => result,
        };
        let Err(error) = result else { return Ok(()) };
        let classify = ALL[source.exchange].control;
        let control = control::control(item.exactly(), classify).ok_or(error)?;
        counts.control[control as usize] += 1;
        Ok(())
    }

    fn with_usual<T: Spelling<Value = Usual>>(
        &mut self,
        item: Part,
        source: Source,
        counts: &mut Counts,
    ) -> Result<()> {
        let Decoder { kind, usual, books, records, .. } = self;
        read::<T>(item, *kind, source, &mut Sink { scratch: usual, books, records, counts })
    }

    #[cold]
    fn with_wide(&mut self, item: Part, source: Source, counts: &mut Counts) -> Result<()> {
        let Decoder { kind, wide, books, records, .. } = self;
        read::<Long>(item, *kind, source, &mut Sink { scratch: wide, books, records, counts })
    }
}

/// Bytes behind a text that let its last numbers be read as fast as the others.
const SLACK: usize = 32;

/// Text at the beginning of longer bytes. It is read without looking for its end first, and what
/// was read must have ended there.
#[derive(Clone, Copy)]
struct Part<'a> {
    bytes: &'a [u8],
    length: usize,
}

impl<'a> Part<'a> {
    fn exactly(self) -> &'a [u8] {
        &self.bytes[..self.length]
    }

    fn check_end<T: Spelling>(self, reader: &mut Reader<T>) -> Result<()> {
        let read = |reader: &Reader<T>| self.bytes.len() - reader.rest().len();
        if read(reader) < self.length {
            reader.space();
        }
        // white space may have led on into the slack, nothing else
        let is_blank = || self.bytes[self.length..read(reader)].trim_ascii().is_empty();
        if read(reader) >= self.length && is_blank() { Ok(()) } else { Err(Error::Syntax) }
    }
}

/// Where the messages of an item go.
struct Sink<'s, V> {
    scratch: &'s mut Scratch<V>,
    books: &'s mut Books,
    records: &'s mut Records,
    counts: &'s mut Counts,
}

/// Reads all messages of an item; only when all are sound does any take effect.
fn read<T: Spelling>(
    item: Part,
    kind: Kind,
    source: Source,
    sink: &mut Sink<T::Value>,
) -> Result<()>
where
    T::Value: Decimal,
{
    match kind {
        Kind::Ticker => tickers::<T>(item, source, sink),
        Kind::OrderBook => order_books::<T>(item, source, sink),
    }
}

fn tickers<T: Spelling>(item: Part, source: Source, sink: &mut Sink<T::Value>) -> Result<()>
where
    T::Value: Decimal,
{
    let readers = T::readers(&ALL[source.exchange]);
    let drafts = &mut sink.scratch.tickers;
    drafts.clear();
    let mut reader = Reader::<T>::new(item.bytes);
    (readers.tickers)(&mut reader, drafts)?;
    item.check_end(&mut reader)?;
    if drafts.is_empty() {
        return Err(Error::Syntax);
    }
    for ticker in drafts.iter_mut() {
        if ticker.get(Column::Trade).is_none() {
            return Err(Error::TradePrice);
        }
        (readers.complete)(ticker)?;
    }
    for ticker in drafts.iter_mut() {
        sink.records.ticker(ticker, item.bytes, ticker.time.micros().unwrap_or(source.time));
        sink.counts.records += 1;
    }
    sink.counts.decoded += 1;
    Ok(())
}

fn order_books<T: Spelling>(item: Part, source: Source, sink: &mut Sink<T::Value>) -> Result<()>
where
    T::Value: Decimal,
{
    let exchange = &ALL[source.exchange];
    let drafts = &mut sink.scratch.order_books;
    drafts.clear();
    let mut reader = Reader::<T>::new(item.bytes);
    (T::readers(exchange).order_books)(&mut reader, drafts)?;
    item.check_end(&mut reader)?;
    if drafts.is_empty() {
        return Err(Error::Syntax);
    }
    for message in drafts.iter_mut() {
        message.check()?;
    }
    let (before, mut outdated) = (sink.records.count(), false);
    for message in drafts.iter_mut() {
        let time = message.time.micros().unwrap_or(source.time);
        let records = &mut *sink.records;
        match sink.books.publish(source.exchange, source.symbol, source.depth, message) {
            Published::Warming => {}
            Published::Outdated => outdated = true,
            Published::Whole => records.order_book(&message.bids.top, &message.asks.top, time),
            Published::Kept(Summary::Usual(bids, asks)) => records.order_book(&bids, &asks, time),
            Published::Kept(Summary::Wide(bids, asks)) => records.order_book(&bids, &asks, time),
        }
    }
    let written = sink.records.count() - before;
    sink.counts.records += written;
    match (written, outdated) {
        (1.., _) => sink.counts.decoded += 1,
        (0, true) => sink.counts.outdated += 1,
        (0, false) => sink.counts.warming += 1,
    }
    Ok(())
}

/// The region as records have it, of an envelope's own word for it.
fn region(text: &[u8]) -> Option<&'static str> {
    ["Asia", "Korea", "NE"].into_iter().find(|region| region.as_bytes().eq_ignore_ascii_case(text))
}

fn now() -> Micros {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Micros::try_from(elapsed.as_micros()).unwrap_or(Micros::MAX)
}
