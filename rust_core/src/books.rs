//! All order books that are kept, by exchange and instrument.

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use crate::book::checkpoint::{Damage, Sides, open, seal};
use crate::book::levels::Levels;
use crate::book::{Book, History, Judgement, KnownPlaces, MOST_REPEATED, Quality, Terms};
use crate::exchange::ALL;
use crate::number::Value;
use crate::order_book::{Form, OrderBook};
use crate::time::Micros;

/// What a message leaves to be published.
#[derive(Debug)]
pub enum Published<'b> {
    /// The message itself, which is the whole book.
    Whole,
    /// The book that is kept, as it is after the message.
    Kept(&'b mut Book, Judgement),
    /// Nothing, as the book has taken in this message, or a later one, already.
    Outdated,
}

/// Where a message comes from.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Where in `ALL` its exchange stands.
    pub exchange: usize,
    /// That of the envelope.
    pub symbol: &'a [u8],
    /// Of the Kafka record, if it is from Kafka.
    pub offset: Option<i64>,
}

/// The order books of all exchanges.
#[derive(Debug, Default)]
pub struct Books {
    exchanges: [OfExchange; ALL.len()],
}

#[derive(Debug, Default)]
struct OfExchange {
    /// Where the key of a message is written.
    key: Vec<u8>,
    kept: HashMap<Vec<u8>, Entry<Book>>,
    /// What came whole and numbered: by feed and instrument, or by the envelope's symbol where the
    /// message does not name its instrument.
    whole: HashMap<Vec<u8>, Entry<Whole>>,
}

/// What is kept, and whether its checkpoint is still true.
#[derive(Debug)]
struct Entry<T> {
    content: T,
    is_changed: bool,
    /// Up to which offset it knows the messages, if it was restored.
    restored: Option<i64>,
}

/// Whole books of an instrument.
#[derive(Debug, Default)]
struct Whole {
    offset: Option<i64>,
    last: i64,
    time: Option<Micros>,
    repeated: u32,
    /// The last one, where changes may build on it that come in messages of another form. Few do,
    /// so it is put in order only then.
    base: Option<Levels>,
    /// Whether no change has built on it yet.
    is_fresh: bool,
    /// Whether the levels of the base are in order.
    is_arranged: bool,
    /// Whether its numbers have begun anew, below those of changes before it.
    is_anew: bool,
}

/// The same as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredWhole {
    offset: Option<i64>,
    last: i64,
    time_us: Option<Micros>,
    repeated: u32,
    is_fresh: bool,
    is_anew: bool,
    base: Option<Sides>,
}

/// What is known of a kept book.
#[derive(Clone, Debug)]
pub struct State {
    pub exchange: &'static str,
    pub feed: String,
    pub instrument: String,
    pub quality: Quality,
    pub levels: [usize; 2],
    pub history: History,
}

/// What a checkpoint is of: exchange, `kept` or `whole`, feed and instrument.
type Name = (String, String, String, String);

impl Books {
    /// Lets a message take effect.
    pub fn publish<V: Value>(
        &mut self,
        place: Place,
        message: &OrderBook<V>,
        terms: &Terms,
        places: KnownPlaces,
    ) -> Published<'_> {
        let books = &mut self.exchanges[place.exchange];
        match message.form {
            Form::Unsaid | Form::Whole => books.whole(place, message),
            Form::Snapshot | Form::Delta => books.keep(place, message, terms, places),
        }
    }

    /// What has changed since the last call: names and contents of checkpoints.
    pub fn checkpoints(&mut self) -> Vec<(String, Vec<u8>)> {
        let mut changed = Vec::new();
        for (exchange, books) in ALL.iter().zip(&mut self.exchanges) {
            let mut add = |table: &str, key: &[u8], content: Vec<u8>| {
                let (feed, instrument) = names(key);
                let name: Name = (exchange.name.into(), table.into(), feed, instrument);
                changed.push((serde_json::to_string(&name).unwrap_or_default(), content));
            };
            for (key, entry) in books.kept.iter_mut().filter(|(_, entry)| entry.is_changed) {
                entry.is_changed = false;
                add("kept", key, entry.content.stored());
            }
            for (key, entry) in books.whole.iter_mut().filter(|(_, entry)| entry.is_changed) {
                entry.is_changed = false;
                add("whole", key, entry.content.stored());
            }
        }
        changed
    }

    /// Takes in a checkpoint. Messages up to its offset then have no effect on what it is of.
    pub fn restore(
        &mut self,
        name: &str,
        content: &[u8],
        before: i64,
        depth: impl Fn(usize) -> usize,
        places: impl Fn(usize, &[u8]) -> Option<[usize; 2]>,
    ) -> Result<(), Damage> {
        let name: Name = serde_json::from_str(name).map_err(|_| Damage::Broken)?;
        let (exchange, table, feed, instrument) = name;
        let place = ALL.iter().position(|known| known.name == exchange).ok_or(Damage::Newer)?;
        let instrument = instrument.as_bytes();
        let books = &mut self.exchanges[place];
        match &table[..] {
            "kept" => {
                let book = Book::restored(content, places(place, instrument))?;
                // where no message says how deep the book is
                let is_told = !ALL[place].depths.is_empty();
                if is_told && book.expected_depth != depth(place) {
                    return Err(Damage::Depth);
                }
                let restored = check_offset(book.offset, before)?;
                let entry = Entry { content: book, is_changed: false, restored };
                books.kept.insert(key(feed.as_bytes(), instrument), entry);
            }
            "whole" => {
                let whole = Whole::restored(content)?;
                let restored = check_offset(whole.offset, before)?;
                let entry = Entry { content: whole, is_changed: false, restored };
                books.whole.insert(key(feed.as_bytes(), instrument), entry);
            }
            _ => return Err(Damage::Newer),
        }
        Ok(())
    }

    /// What is known of each kept book.
    pub fn states(&self) -> Vec<State> {
        let mut states = Vec::new();
        for (exchange, books) in ALL.iter().zip(&self.exchanges) {
            states.extend(books.kept.iter().map(|(key, Entry { content: book, .. })| {
                let (feed, instrument) = names(key);
                let (quality, levels) = (book.quality, book.levels.counts());
                let history = book.history;
                State { exchange: exchange.name, feed, instrument, quality, levels, history }
            }));
        }
        states
    }
}

impl OfExchange {
    /// A whole book is published as it is, if it is not older than the last one.
    fn whole<V: Value>(&mut self, place: Place, message: &OrderBook<V>) -> Published<'_> {
        let Some(last) = message.sequence.last else { return Published::Whole };
        let name = if message.instrument.is_empty() { place.symbol } else { &message.instrument };
        let mut is_first = false;
        write_key(&mut self.key, &message.feed, name);
        let entry = self.whole.entry_ref(&self.key[..]).or_insert_with(|| {
            is_first = true;
            Entry::new(Whole::default())
        });
        if !entry.begins(place.offset) {
            return Published::Outdated;
        }
        let whole = &mut entry.content;
        whole.offset = place.offset;
        let time = message.time.micros();
        let is_later = time.zip(whole.time).is_some_and(|(time, taken)| time > taken);
        let begins_anew = is_first || (ALL[place.exchange].numbers_restart && is_later);
        if last <= whole.last && !begins_anew && whole.repeated < MOST_REPEATED {
            whole.repeated += 1;
            return Published::Outdated;
        }
        whole.is_anew = !is_first && last <= whole.last;
        (whole.last, whole.time, whole.repeated) = (last, time.or(whole.time), 0);
        if ALL[place.exchange].whole_is_base {
            whole.base.get_or_insert_default().hold(message);
            (whole.is_fresh, whole.is_arranged) = (true, false);
        }
        Published::Whole
    }

    /// A snapshot or a change goes into the book that is kept.
    fn keep<V: Value>(
        &mut self,
        place: Place,
        message: &OrderBook<V>,
        terms: &Terms,
        places: KnownPlaces,
    ) -> Published<'_> {
        write_key(&mut self.key, &message.feed, &message.instrument);
        let entry = self.kept.entry_ref(&self.key[..]).or_insert_with(|| {
            let depth = message.depth.unwrap_or(terms.depth);
            Entry::new(Book::new(depth, places(&message.instrument)))
        });
        if !entry.begins(place.offset) {
            return Published::Outdated;
        }
        let book = &mut entry.content;
        book.offset = place.offset;
        let mut adopted = None;
        let may_build = message.form == Form::Delta && message.feed.is_empty();
        if may_build && !self.whole.is_empty() {
            match find_base(&mut self.whole, &mut self.key, book.last, place.symbol, message) {
                Base::Later if book.repeated < MOST_REPEATED => {
                    book.repeated += 1;
                    book.history.outdated += 1;
                    return Published::Outdated;
                }
                Base::None | Base::Later => {}
                Base::Fits(base, last) => adopted = book.adopt(base, last),
            }
        }
        match book.take(message, &ALL[place.exchange], terms) {
            None => Published::Outdated,
            Some(judgement) => {
                let reason = judgement.reason.or(adopted);
                Published::Kept(book, Judgement { reason, ..judgement })
            }
        }
    }
}

impl Whole {
    /// The base, its levels in order.
    fn arranged(&mut self) -> Option<&Levels> {
        let base = self.base.as_mut()?;
        if !std::mem::replace(&mut self.is_arranged, true) {
            base.arrange();
        }
        Some(base)
    }

    fn stored(&mut self) -> Vec<u8> {
        let base = self.arranged().map(Sides::of);
        let &mut Whole { offset, last, time: time_us, repeated, is_fresh, is_anew, .. } = self;
        seal(&StoredWhole { offset, last, time_us, repeated, is_fresh, is_anew, base })
    }

    fn restored(bytes: &[u8]) -> Result<Self, Damage> {
        let stored: StoredWhole = open(bytes)?;
        let StoredWhole { offset, last, time_us: time, repeated, is_fresh, is_anew, base } = stored;
        let base = base.map(|base| base.levels()).transpose()?;
        let is_arranged = true;
        Ok(Whole { offset, last, time, repeated, base, is_fresh, is_arranged, is_anew })
    }
}

/// A whole book on which a change may build.
enum Base<'w> {
    None,
    /// It has taken in the change already.
    Later,
    /// It is this book, after the change of this number.
    Fits(&'w Levels, i64),
}

/// The base of a change, where there is one that no change has built on yet. `taken` is the last
/// change that the kept book has taken in; keys are written into `key`.
fn find_base<'w, V: Value>(
    whole: &'w mut HashMap<Vec<u8>, Entry<Whole>>,
    key: &mut Vec<u8>,
    taken: Option<i64>,
    symbol: &[u8],
    message: &OrderBook<V>,
) -> Base<'w> {
    let Some((first, last)) = message.sequence.first.zip(message.sequence.last) else {
        return Base::None;
    };
    let goes_on = match message.sequence.previous {
        Some(previous) => taken == Some(previous),
        None => taken.is_some_and(|taken| first <= taken.saturating_add(1)),
    };
    let (mut is_before, mut is_fitting) = (false, false);
    // one that comes once more would take the book back
    let is_news = |base: &Whole| base.is_anew || taken.is_none_or(|taken| last > taken);
    for name in [&message.instrument[..], symbol] {
        write_key(key, &[], name);
        let base = whole.get(&key[..]).map(|entry| &entry.content);
        let base = base.filter(|base| base.base.is_some() && base.is_fresh && is_news(base));
        let Some(base) = base else { continue };
        if last <= base.last {
            is_before |= !goes_on;
        } else if message.sequence.previous == Some(base.last)
            || first <= base.last.saturating_add(1)
        {
            is_fitting = true;
            break;
        }
    }
    if is_fitting && let Some(entry) = whole.get_mut(&key[..]) {
        entry.is_changed = true;
        entry.content.is_fresh = false;
        let last = entry.content.last;
        return entry.content.arranged().map_or(Base::None, |base| Base::Fits(base, last));
    }
    if is_before { Base::Later } else { Base::None }
}

impl<T> Entry<T> {
    fn new(content: T) -> Self {
        Entry { content, is_changed: true, restored: None }
    }

    /// Notes that a message is about to have an effect; whether it may have one.
    fn begins(&mut self, offset: Option<i64>) -> bool {
        if let Some(restored) = self.restored {
            if offset.is_some_and(|offset| offset <= restored) {
                return false;
            }
            self.restored = None;
        }
        self.is_changed = true;
        true
    }
}

/// What is ahead of where reading begins has seen messages that are yet to come.
fn check_offset(offset: Option<i64>, before: i64) -> Result<Option<i64>, Damage> {
    if offset.is_some_and(|offset| offset >= before) { Err(Damage::Ahead) } else { Ok(offset) }
}

/// The name of a kept book: which of the feeds of which instrument.
fn key(feed: &[u8], instrument: &[u8]) -> Vec<u8> {
    let mut key = Vec::new();
    write_key(&mut key, feed, instrument);
    key
}

fn write_key(key: &mut Vec<u8>, feed: &[u8], instrument: &[u8]) {
    key.clear();
    key.extend_from_slice(feed);
    key.push(0);
    key.extend_from_slice(instrument);
}

/// Feed and instrument of a key.
fn names(key: &[u8]) -> (String, String) {
    let end = key.iter().position(|byte| *byte == 0).unwrap_or(0);
    let (feed, instrument) = (&key[..end], &key[end + 1..]);
    [feed, instrument].map(|name| String::from_utf8_lossy(name).into_owned()).into()
}
