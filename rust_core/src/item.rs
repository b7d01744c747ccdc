//! One item: read in the first way that succeeds, and what becomes of it.

use memchr::memchr;

use crate::batch::{Change, Counts, Input, Kind, Oddity, Row};
use crate::book::Quality;
use crate::book::levels::Touch;
use crate::books::{Books, Place, Published};
use crate::control;
use crate::draft::Drafts;
use crate::error::{Error, Result};
use crate::exchange::{ALL, SPELLINGS, Spelling};
use crate::json::Reader;
use crate::json::block::Block;
use crate::json::string::{simplify, unescape};
use crate::json::text::{Compact, Escaped, Long, Plain};
use crate::layout::Layout;
use crate::number::{Usual, Wide};
use crate::order_book::OrderBook;
use crate::record::{Decimal, Output, Records, Times};
use crate::ticker::{Column, Ticker};
use crate::time::Micros;

/// Decodes items of one kind; keeps the order books.
#[derive(Debug)]
pub struct Items {
    kind: Kind,
    pub books: Books,
    pub records: Records,
    usual: Scratch<Usual>,
    wide: Scratch<Wide>,
    text: Vec<u8>,
    simple: Vec<u8>,
}

/// Memory that is used again for each item.
#[derive(Debug, Default)]
struct Scratch<V> {
    tickers: Drafts<Ticker<V>>,
    /// By exchange, in the order of `ALL`, and spelling.
    layouts: [[Layout; SPELLINGS]; ALL.len()],
    order_books: Drafts<OrderBook<V>>,
}

/// What is the same for all items of an envelope.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    pub exchange: usize,
    pub symbol: &'a [u8],
    /// The Kafka value: which of the batch it is, and itself.
    pub index: usize,
    pub input: Input<'a>,
    pub row: &'a Row,
    pub now: Micros,
}

impl Source<'_> {
    /// The times of a message.
    fn times(&self, exchange: Option<Micros>) -> Times {
        Times { exchange, ingested: self.input.ingested(), now: self.now }
    }
}

/// Where it is noted what becomes of items.
pub struct Tally<'t> {
    pub counts: &'t mut Counts,
    pub changes: &'t mut Vec<Change>,
}

impl Items {
    pub fn new(kind: Kind, output: Output) -> Self {
        Items {
            kind,
            books: Books::default(),
            records: Records::new(output),
            usual: Scratch::default(),
            wide: Scratch::default(),
            text: Vec::new(),
            simple: Vec::new(),
        }
    }

    /// Decodes one item: as it stands; if that fails, its text unescaped; if a number does not
    /// fit, with wider ones; and what is no message of this kind may be a control message.
    ///
    /// Nothing behind this function decodes escapes of ASCII characters, except in names: an item
    /// that has such escapes is read from its simplified text alone. `has_escapes` is that of the
    /// envelope.
    pub fn decode(
        &mut self,
        item: Part,
        has_escapes: bool,
        source: Source,
        tally: &mut Tally,
    ) -> Result<()> {
        match item.exactly() {
            [b'"', inside @ .., b'"'] if has_escapes => {
                self.unescaped(inside, has_escapes, source, tally)
            }
            [b'"', inside @ .., b'"'] => match self.escaped(item, source, tally) {
                Err(_) => self.unescaped(inside, has_escapes, source, tally),
                done => done,
            },
            [b'{' | b'[', ..] => self.plain(item, has_escapes, source, tally),
            _ => Err(Error::Syntax),
        }
    }

    /// Whichever spelling it is, either reads it: the right one sooner.
    fn escaped(&mut self, item: Part, source: Source, tally: &mut Tally) -> Result<()> {
        let inside = Part { bytes: &item.bytes[1..], length: item.length - 2 };
        if looks_compact(inside.bytes) {
            self.with_usual::<Compact>(inside, source, tally)
        } else {
            self.with_usual::<Escaped>(inside, source, tally)
        }
    }

    fn unescaped(
        &mut self,
        inside: &[u8],
        has_escapes: bool,
        source: Source,
        tally: &mut Tally,
    ) -> Result<()> {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        let result = unescape(inside, &mut text).and_then(|()| {
            let length = text.len();
            text.extend_from_slice(&[b' '; SLACK]);
            self.plain(Part { bytes: &text, length }, has_escapes, source, tally)
        });
        self.text = text;
        result
    }

    fn plain(
        &mut self,
        item: Part,
        has_escapes: bool,
        source: Source,
        tally: &mut Tally,
    ) -> Result<()> {
        if has_escapes && memchr(b'\\', item.exactly()).is_some() {
            return self.simplified(item, source, tally);
        }
        let result = self.of_any_length(item, source, tally);
        result.or_else(|error| count_control(item, source, tally, error))
    }

    #[cold]
    #[inline(never)]
    fn simplified(&mut self, item: Part, source: Source, tally: &mut Tally) -> Result<()> {
        let mut text = std::mem::take(&mut self.simple);
        text.clear();
        simplify(item.exactly(), &mut text);
        let length = text.len();
        text.extend_from_slice(&[b' '; SLACK]);
        let simple = Part { bytes: &text, length };
        let result = self.of_any_length(simple, source, tally);
        let result = result.or_else(|error| count_control(simple, source, tally, error));
        self.simple = text;
        result
    }

    fn of_any_length(&mut self, item: Part, source: Source, tally: &mut Tally) -> Result<()> {
        match self.with_usual::<Plain>(item, source, tally) {
            Err(Error::Range) => self.with_wide(item, source, tally),
            result => result,
        }
    }

    fn with_usual<T: Spelling<Value = Usual>>(
        &mut self,
        item: Part,
        source: Source,
        tally: &mut Tally,
    ) -> Result<()> {
        let Items { kind, usual, books, records, .. } = self;
        read::<T>(item, *kind, source, &mut Sink { scratch: usual, books, records, tally })
    }

    #[cold]
    fn with_wide(&mut self, item: Part, source: Source, tally: &mut Tally) -> Result<()> {
        let Items { kind, wide, books, records, .. } = self;
        read::<Long>(item, *kind, source, &mut Sink { scratch: wide, books, records, tally })
    }
}

/// Whether no space stands behind the first colon, if there is one soon.
fn looks_compact(text: &[u8]) -> bool {
    let (blocks, _) = text[..text.len().min(96)].as_chunks();
    let mut colons = blocks.iter().map(|block| Block::load(block).equal_to(b':').bits());
    let Some((at, colons)) = (0..).step_by(16).zip(&mut colons).find(|(_, colons)| *colons != 0)
    else {
        return false;
    };
    text.get(at + colons.trailing_zeros() as usize + 1) != Some(&b' ')
}

/// Counts an item that is no message of its kind as a control message, if it is one.
fn count_control(item: Part, source: Source, tally: &mut Tally, error: Error) -> Result<()> {
    let control = control::control(item.exactly(), &ALL[source.exchange]).ok_or(error)?;
    tally.counts.control[control as usize] += 1;
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
struct Sink<'s, 't, V> {
    scratch: &'s mut Scratch<V>,
    books: &'s mut Books,
    records: &'s mut Records,
    tally: &'s mut Tally<'t>,
}

/// Reads all messages of an item; only when all are sound does any take effect.
fn read<T: Spelling>(
    item: Part,
    kind: Kind,
    source: Source,
    sink: &mut Sink<'_, '_, T::Value>,
) -> Result<()>
where
    T::Value: Decimal,
{
    match kind {
        Kind::Ticker => tickers::<T>(item, source, sink),
        Kind::OrderBook => order_books::<T>(item, source, sink),
    }
}

fn tickers<T: Spelling>(item: Part, source: Source, sink: &mut Sink<'_, '_, T::Value>) -> Result<()>
where
    T::Value: Decimal,
{
    let readers = T::readers(&ALL[source.exchange]);
    let Scratch { tickers: drafts, layouts, .. } = &mut *sink.scratch;
    drafts.clear(sink.records.is_extended());
    let layout = &mut layouts[source.exchange][T::PLACE];
    let mut reader = Reader::<T>::new(item.bytes);
    let is_known = layout.read(&mut reader, drafts) && item.check_end(&mut reader).is_ok();
    if !is_known {
        drafts.clear(sink.records.is_extended());
        reader = Reader::new(item.bytes);
        (readers.tickers)(&mut reader, drafts)?;
        item.check_end(&mut reader)?;
    }
    if drafts.is_empty() {
        return Err(Error::Syntax);
    }
    for ticker in drafts.iter_mut() {
        if ticker.get(Column::Trade).is_none() {
            return Err(Error::TradePrice);
        }
        (readers.complete)(ticker)?;
    }
    if !is_known {
        layout.learn::<T>(item.exactly(), &ALL[source.exchange], sink.records.is_extended());
    }
    let counts = &mut *sink.tally.counts;
    for ticker in drafts.iter_mut() {
        let times = source.times(ticker.time.micros());
        let basis = ALL[source.exchange].change_basis;
        sink.records.ticker(ticker, item.bytes, times, basis);
        counts.records += 1;
        counts.note_if(sink.records.is_stale(times), Oddity::Stale);
    }
    counts.decoded += 1;
    Ok(())
}

fn order_books<T: Spelling>(
    item: Part,
    source: Source,
    sink: &mut Sink<'_, '_, T::Value>,
) -> Result<()>
where
    T::Value: Decimal,
{
    let exchange = &ALL[source.exchange];
    let drafts = &mut sink.scratch.order_books;
    drafts.clear(sink.records.is_extended());
    let mut reader = Reader::<T>::new(item.bytes);
    (T::readers(exchange).order_books)(&mut reader, drafts)?;
    item.check_end(&mut reader)?;
    if drafts.is_empty() {
        return Err(Error::Syntax);
    }
    for message in drafts.iter_mut() {
        message.check()?;
    }
    let before = sink.records.count();
    let mut held = Held::default();
    for message in drafts.iter_mut() {
        publish(message, source, sink.books, sink.records, sink.tally, &mut held);
    }
    let counts = &mut *sink.tally.counts;
    let written = sink.records.count() - before;
    counts.records += written;
    match (written, held) {
        (1.., _) => counts.decoded += 1,
        (0, Held { outdated: true, .. }) => counts.outdated += 1,
        (0, Held { suspect: true, .. }) => counts.suspect += 1,
        (0, _) => counts.warming += 1,
    }
    Ok(())
}

/// Why messages of an item left no record.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    outdated: bool,
    suspect: bool,
}

/// Lets an order-book message take effect, and writes its record if it is to be published.
fn publish<V: Decimal>(
    message: &OrderBook<V>,
    source: Source,
    books: &mut Books,
    records: &mut Records,
    tally: &mut Tally,
    held: &mut Held,
) {
    let place =
        Place { exchange: source.exchange, symbol: source.symbol, offset: source.input.offset };
    let times = source.times(message.time.micros());
    let counts = &mut *tally.counts;
    let touch =
        match books.publish(place, message, &source.row.terms(), &|name| source.row.places(name)) {
            Published::Outdated => {
                held.outdated = true;
                return;
            }
            Published::Whole => {
                let mismatch = message.bids.contradicts_total() || message.asks.contradicts_total();
                counts.note_if(mismatch, Oddity::TotalsMismatch);
                records.whole_book(message, times, mismatch);
                message.touch()
            }
            Published::Kept(book, judgement) => {
                counts.note_if(judgement.is_lossy, Oddity::Gap);
                if let Some(reason) = judgement.reason {
                    tally.changes.push(Change {
                        index: source.index,
                        exchange: ALL[source.exchange].name,
                        instrument: String::from_utf8_lossy(&message.instrument).into_owned(),
                        quality: book.quality,
                        reason,
                    });
                }
                if book.quality != Quality::Valid && !source.row.publish_all {
                    held.suspect |= book.quality == Quality::Suspect;
                    book.history.held_back += 1;
                    return;
                }
                records.kept_book(book, &message.instrument, times);
                book.levels.touch()
            }
        };
    counts.note_if(touch == Touch::Crossed, Oddity::Crossed);
    counts.note_if(touch == Touch::Locked, Oddity::Locked);
    counts.note_if(records.is_stale(times), Oddity::Stale);
}
