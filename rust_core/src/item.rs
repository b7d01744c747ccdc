//! One item: read in the first way that succeeds, and what becomes of it.

use crate::batch::{Counts, Kind};
use crate::book::Summary;
use crate::books::{Books, Published};
use crate::control;
use crate::draft::Drafts;
use crate::error::{Error, Result};
use crate::exchange::{ALL, Spelling};
use crate::json::Reader;
use crate::json::string::{simplify, unescape};
use crate::json::text::{Compact, Escaped, Long, Plain};
use crate::number::{Usual, Wide};
use crate::order_book::OrderBook;
use crate::record::{Decimal, Records};
use crate::ticker::{Column, Ticker};
use crate::time::Micros;

/// Decodes items of one kind; keeps the order books.
#[derive(Debug)]
pub struct Items {
    kind: Kind,
    books: Books,
    pub records: Records,
    usual: Scratch<Usual>,
    wide: Scratch<Wide>,
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
pub struct Source<'a> {
    pub exchange: usize,
    pub symbol: &'a [u8],
    pub depth: usize,
    /// The time of messages that have none.
    pub time: Micros,
}

impl Items {
    pub fn new(kind: Kind) -> Self {
        Items {
            kind,
            books: Books::default(),
            records: Records::default(),
            usual: Scratch::default(),
            wide: Scratch::default(),
            text: Vec::new(),
        }
    }

    /// Decodes one item: as it stands; if that fails, its text unescaped; if a number does not
    /// fit, with wider ones; and what is no message of this kind may be a control message.
    pub fn decode(&mut self, item: Part, source: Source, counts: &mut Counts) -> Result<()> {
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
        match self.of_any_length(item, source, counts) {
            Err(Error::Escape) => {
                let text = simplify(item.exactly())?;
                let item = Part { bytes: &text, length: text.len() };
                let result = self.of_any_length(item, source, counts);
                result.or_else(|error| count_control(item, source, counts, error))
            }
            result => result.or_else(|error| count_control(item, source, counts, error)),
        }
    }

    fn of_any_length(&mut self, item: Part, source: Source, counts: &mut Counts) -> Result<()> {
        match self.with_usual::<Plain>(item, source, counts) {
            Err(Error::Range) => self.with_wide(item, source, counts),
            result => result,
        }
    }

    fn with_usual<T: Spelling<Value = Usual>>(
        &mut self,
        item: Part,
        source: Source,
        counts: &mut Counts,
    ) -> Result<()> {
        let Items { kind, usual, books, records, .. } = self;
        read::<T>(item, *kind, source, &mut Sink { scratch: usual, books, records, counts })
    }

    #[cold]
    fn with_wide(&mut self, item: Part, source: Source, counts: &mut Counts) -> Result<()> {
        let Items { kind, wide, books, records, .. } = self;
        read::<Long>(item, *kind, source, &mut Sink { scratch: wide, books, records, counts })
    }
}

/// Counts an item that is no message of its kind as a control message, if it is one.
fn count_control(item: Part, source: Source, counts: &mut Counts, error: Error) -> Result<()> {
    let classify = ALL[source.exchange].control;
    let control = control::control(item.exactly(), classify).ok_or(error)?;
    counts.control[control as usize] += 1;
    Ok(())
}

/// Bytes behind a text that let its last numbers be read as fast as the others.
const SLACK: usize = 32;

/// Text at the beginning of longer bytes. It is read without looking for its end first, and what
/// was read must have ended there.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    pub bytes: &'a [u8],
    pub length: usize,
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
