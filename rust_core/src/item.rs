//! One item: read in the first way that succeeds, and what becomes of it.

use memchr::memchr;

use crate::batch::{Change, Counts, Input, Kind, Oddity, Row};
use crate::book::levels::Touch;
use crate::book::{Quality, Reason};
use crate::books::{Books, Place, Published};
use crate::control::{self, Sorts};
use crate::draft::{Draft, Drafts, Part as MessagePart};
use crate::error::{Error, Result};
use crate::exchange::{ALL, Exchange, SPELLINGS, Spelling};
use crate::json::Reader;
use crate::json::block::Block;
use crate::json::string::{simplify, unescape};
use crate::json::text::{Compact, Escaped, Long, Plain};
use crate::layout::Layout;
use crate::number::{Usual, Value, Wide};
use crate::order_book::{Form, OrderBook};
use crate::record::{Decimal, Output, Records, Times};
use crate::steps;
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
    /// The messages of an item that were rejected while others of it were not.
    pub parts: &'t mut Vec<RejectedPart>,
}

/// A rejected message, as an item of its own, and why.
#[derive(Debug)]
pub struct RejectedPart {
    pub item: Vec<u8>,
    pub error: Error,
}

impl Items {
    pub fn new(kind: Kind, output: Output, book_limit: usize) -> Self {
        Items {
            kind,
            books: Books::new(book_limit),
            records: Records::new(output),
            usual: Scratch::default(),
            wide: Scratch::default(),
            text: Vec::new(),
            simple: Vec::new(),
        }
    }

    /// Forgets what an item may have left half done at which this program failed.
    pub fn abandon(&mut self, records: (usize, u64)) {
        (self.usual, self.wide) = (Scratch::default(), Scratch::default());
        (self.text, self.simple) = (Vec::new(), Vec::new());
        self.records.go_back(records);
    }

    /// Decodes one item: as it stands; if that fails, its text unescaped; if a number does not
    /// fit, with wider ones; and what is no message of this kind may be a control message. Of an
    /// item that is an array, or has one, messages that cannot be read may cost themselves alone.
    ///
    /// Nothing behind this function decodes escapes of ASCII characters, except in names: an item
    /// that has such escapes is read from its simplified text alone. `has_escapes` is that of the
    /// envelope.
    pub fn decode(
        &mut self,
        item: Part,
        has_escapes: bool,
        source: &Source,
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
            [b'{' | b'[', ..] => self.plain(item, has_escapes, false, source, tally),
            _ => Err(Error::Syntax),
        }
    }

    /// Whichever spelling it is, either reads it: the right one sooner.
    fn escaped(&mut self, item: Part, source: &Source, tally: &mut Tally) -> Result<()> {
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
        source: &Source,
        tally: &mut Tally,
    ) -> Result<()> {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        let result = unescape(inside, &mut text).and_then(|()| {
            let length = text.len();
            text.extend_from_slice(&[b' '; SLACK]);
            self.plain(Part { bytes: &text, length }, has_escapes, true, source, tally)
        });
        text.clear();
        text.shrink_to(KEPT_TEXT_BYTES);
        self.text = text;
        result
    }

    /// `is_string` tells whether the text was that of a JSON string.
    fn plain(
        &mut self,
        item: Part,
        has_escapes: bool,
        is_string: bool,
        source: &Source,
        tally: &mut Tally,
    ) -> Result<()> {
        if has_escapes && memchr(b'\\', item.exactly()).is_some() {
            return self.simplified(item, is_string, source, tally);
        }
        let result = self.of_any_length(item, source, tally);
        result.or_else(|error| self.otherwise(item, is_string, source, tally, error))
    }

    #[cold]
    #[inline(never)]
    fn simplified(
        &mut self,
        item: Part,
        is_string: bool,
        source: &Source,
        tally: &mut Tally,
    ) -> Result<()> {
        let mut text = std::mem::take(&mut self.simple);
        text.clear();
        simplify(item.exactly(), &mut text);
        let length = text.len();
        text.extend_from_slice(&[b' '; SLACK]);
        let simple = Part { bytes: &text, length };
        let result = self.of_any_length(simple, source, tally);
        let result =
            result.or_else(|error| self.otherwise(simple, is_string, source, tally, error));
        text.clear();
        text.shrink_to(KEPT_TEXT_BYTES);
        self.simple = text;
        result
    }

    /// Lets an item that cannot be read as a whole be control messages, or be read in parts.
    #[cold]
    #[inline(never)]
    fn otherwise(
        &mut self,
        item: Part,
        is_string: bool,
        source: &Source,
        tally: &mut Tally,
        error: Error,
    ) -> Result<()> {
        steps::count(2 * item.length);
        if let Some(sorts) = control::control(item.exactly(), &ALL[source.exchange]) {
            let messages = count_control(&sorts, tally.counts);
            tally.counts.items += messages - 1;
            return Ok(());
        }
        let is_array = item.exactly().trim_ascii_start().first() == Some(&b'[');
        if !is_array && ALL[source.exchange].payload.is_empty() {
            return Err(error);
        }
        let result = self.apart(item, is_string, source, tally, error);
        self.wide.release();
        result
    }

    /// Reads the messages of an item apart from each other. What is no message is a control message or
    /// rejected alone; but where changes to books are among the messages, all of them are rejected
    /// together, as changes build on each other. If nothing is gained, that fails with `error`.
    #[cold]
    #[inline(never)]
    fn apart(
        &mut self,
        item: Part,
        is_string: bool,
        source: &Source,
        tally: &mut Tally,
        error: Error,
    ) -> Result<()> {
        let text = item.exactly();
        let exchange = &ALL[source.exchange];
        let mut reader = Reader::<Long>::new(text);
        let mut parts = Vec::new();
        let Items { kind, wide, books, records, .. } = self;
        match kind {
            Kind::Ticker => {
                wide.tickers.clear(records.is_extended());
                (exchange.tickers_apart)(&mut reader, &mut wide.tickers, &mut parts)
                    .map_err(|_| error)?;
                check_parts(&mut parts, &mut wide.tickers, |ticker| {
                    complete::<Long>(ticker, source)
                });
            }
            Kind::OrderBook => {
                wide.order_books.clear(records.is_extended());
                (exchange.order_books_apart)(&mut reader, &mut wide.order_books, &mut parts)
                    .map_err(|_| error)?;
                check_parts(&mut parts, &mut wide.order_books, OrderBook::check);
            }
        }
        if !reader.is_at_end() {
            return Err(error);
        }
        let sorts = take_control(&mut parts, text, exchange);
        let sound: Vec<usize> = parts.iter().filter_map(|part| part.draft.ok()).collect();
        let rejected: Vec<_> =
            parts.iter().filter_map(|part| Some((part, part.draft.err()?))).collect();
        let around = rejected.iter().map(|(part, _)| part.around()).max().unwrap_or(0);
        let is_bounded =
            around <= MAX_AROUND_BYTES || around.saturating_mul(rejected.len()) <= text.len();
        let has_changes = *kind == Kind::OrderBook
            && sound.iter().any(|at| wide.order_books.at(*at).form == Form::Delta);
        let messages = u64::from(!sound.is_empty()) + sorts.iter().sum::<u64>();
        if messages == 0 || !is_bounded || (has_changes && !rejected.is_empty()) {
            return Err(error);
        }
        let more = messages + count(rejected.len()) - 1;
        for (part, error) in rejected {
            let item = part.alone(text);
            let item = if is_string { in_string(&item) } else { item };
            tally.parts.push(RejectedPart { item, error });
        }
        if !sound.is_empty() {
            let mut sink = Sink { scratch: wide, books, records, tally };
            match kind {
                Kind::Ticker => publish_tickers(text, Some(&sound), source, &mut sink),
                Kind::OrderBook => publish_order_books(Some(&sound), source, &mut sink),
            }
        }
        tally.counts.items += more;
        count_control(&sorts, tally.counts);
        Ok(())
    }

    fn of_any_length(&mut self, item: Part, source: &Source, tally: &mut Tally) -> Result<()> {
        match self.with_usual::<Plain>(item, source, tally) {
            Err(Error::Range) => self.with_wide(item, source, tally),
            result => result,
        }
    }

    fn with_usual<T: Spelling<Value = Usual>>(
        &mut self,
        item: Part,
        source: &Source,
        tally: &mut Tally,
    ) -> Result<()> {
        let Items { kind, usual, books, records, .. } = self;
        read::<T>(item, *kind, source, &mut Sink { scratch: usual, books, records, tally })
    }

    #[cold]
    fn with_wide(&mut self, item: Part, source: &Source, tally: &mut Tally) -> Result<()> {
        let Items { kind, wide, books, records, .. } = self;
        let mut sink = Sink { scratch: wide, books, records, tally };
        let result = read::<Long>(item, *kind, source, &mut sink);
        self.wide.release();
        result
    }
}

impl<V: Value> Scratch<V> {
    /// Gives back the memory of drafts, where these are rare.
    fn release(&mut self) {
        (self.tickers, self.order_books) = (Drafts::default(), Drafts::default());
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

/// Counts control messages; their number.
fn count_control(sorts: &Sorts, counts: &mut Counts) -> u64 {
    for (count, more) in counts.control.iter_mut().zip(sorts) {
        *count += more;
    }
    sorts.iter().sum()
}

/// Judges the messages that could be read apart from each other.
fn check_parts<D: Draft>(
    parts: &mut [MessagePart],
    drafts: &mut Drafts<D>,
    mut check: impl FnMut(&mut D) -> Result<()>,
) {
    for part in parts {
        if let Ok(at) = part.draft
            && let Err(error) = drafts.visit_at(at, &mut check)
        {
            part.draft = Err(error);
        }
    }
}

/// Removes the elements that are control messages; their sorts.
fn take_control(parts: &mut Vec<MessagePart>, text: &[u8], exchange: &Exchange) -> Sorts {
    let mut sorts = Sorts::default();
    let mut kept = Vec::with_capacity(parts.len());
    for element in parts.chunk_by(|one, other| one.element == other.element) {
        let is_data = element.iter().any(|part| part.draft.is_ok());
        match control::control(&text[element[0].element.clone()], exchange) {
            Some(found) if !is_data => {
                for (count, more) in sorts.iter_mut().zip(found) {
                    *count += more;
                }
            }
            _ => kept.extend_from_slice(element),
        }
    }
    *parts = kept;
    sorts
}

/// JSON text as a JSON string.
fn in_string(text: &[u8]) -> Vec<u8> {
    serde_json::to_vec(&String::from_utf8_lossy(text)).unwrap_or_default()
}

fn count(number: impl TryInto<u64>) -> u64 {
    number.try_into().unwrap_or(u64::MAX)
}

/// How many bytes around a payload may be repeated with each payload that is rejected alone, if they
/// come to more than the item in all.
const MAX_AROUND_BYTES: usize = 512;

/// How much memory is kept for the next text that must be unescaped.
const KEPT_TEXT_BYTES: usize = 1 << 20;

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
    source: &Source,
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

fn tickers<T: Spelling>(
    item: Part,
    source: &Source,
    sink: &mut Sink<'_, '_, T::Value>,
) -> Result<()>
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
    drafts.visit(|ticker| complete::<T>(ticker, source))?;
    if !is_known {
        layout.learn::<T>(item.exactly(), &ALL[source.exchange], sink.records.is_extended());
    }
    publish_tickers(item.bytes, None, source, sink);
    Ok(())
}

/// Computes what a ticker does not say, and checks what it must say.
#[inline(always)]
fn complete<T: Spelling>(ticker: &mut Ticker<T::Value>, source: &Source) -> Result<()> {
    if ticker.get(Column::Trade).is_none() {
        return Err(Error::TradePrice);
    }
    (T::readers(&ALL[source.exchange]).complete)(ticker)
}

/// Writes the records of an item's tickers, or of some of them.
#[inline(always)]
fn publish_tickers<V: Decimal>(
    text: &[u8],
    some: Option<&[usize]>,
    source: &Source,
    sink: &mut Sink<'_, '_, V>,
) {
    let counts = &mut *sink.tally.counts;
    let records = &mut *sink.records;
    let before = records.count();
    let publish = |ticker: &mut Ticker<V>| {
        let times = source.times(ticker.time.micros());
        let basis = ALL[source.exchange].change_basis;
        records.ticker(ticker, text, times, basis);
        counts.note_if(records.is_stale(times), Oddity::Stale);
        Ok(())
    };
    let _: Result<()> = sink.scratch.tickers.visit_some(some, publish); // it never fails
    counts.records += sink.records.count() - before;
    counts.decoded += 1;
}

fn order_books<T: Spelling>(
    item: Part,
    source: &Source,
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
    drafts.visit(OrderBook::check)?;
    publish_order_books(None, source, sink);
    Ok(())
}

/// Lets an item's order-book messages take effect, or some of them.
#[inline(always)]
fn publish_order_books<V: Decimal>(
    some: Option<&[usize]>,
    source: &Source,
    sink: &mut Sink<'_, '_, V>,
) {
    let before = sink.records.count();
    let mut held = Held::default();
    let Sink { scratch, books, records, tally } = sink;
    let publish = |message: &mut OrderBook<V>| {
        publish(message, source, books, records, tally, &mut held);
        while let Some(loss) = books.drop_oldest() {
            tally.changes.push(Change::of(loss, source.index, Reason::Limit));
        }
        Ok(())
    };
    let _: Result<()> = scratch.order_books.visit_some(some, publish); // it never fails
    sink.books.finish();
    let counts = &mut *sink.tally.counts;
    let written = sink.records.count() - before;
    counts.records += written;
    match (written, held) {
        (1.., _) => counts.decoded += 1,
        (0, Held { outdated: true, .. }) => counts.outdated += 1,
        (0, Held { suspect: true, .. }) => counts.suspect += 1,
        (0, _) => counts.warming += 1,
    }
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
    source: &Source,
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
