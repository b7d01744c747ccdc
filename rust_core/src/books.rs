//! All order books that are kept, by exchange and instrument; those updated longest ago are dropped
//! where they are too many.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use hashbrown::HashMap;
use hashbrown::hash_map::EntryRef;
use serde::{Deserialize, Serialize};

use crate::book::checkpoint::{Damage, Sides, open, seal};
use crate::book::levels::Levels;
use crate::book::{Book, History, Judgement, KnownPlaces, MOST_REPEATED, Quality, Terms};
use crate::exchange::ALL;
use crate::number::Value;
use crate::order_book::{Form, OrderBook, Sequence};
use crate::steps;
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
#[derive(Debug)]
pub struct Books {
    exchanges: [OfExchange; ALL.len()],
    /// The most entries of all exchanges and both tables.
    limit: usize,
    count: usize,
    /// Counts messages. Restored entries count by their offsets.
    clock: u64,
    /// Each entry once, and when it was updated, or earlier.
    queue: BinaryHeap<Reverse<(u64, EntryId)>>,
    /// The key of an entry that the present message has added.
    new_key: Option<Arc<[u8]>>,
    /// What was dropped while checkpoints were restored.
    pub dropped: Vec<Loss>,
    /// Entries that were dropped and whose checkpoints are to be removed.
    removed: Vec<EntryId>,
    /// The entry that a message is taking effect on.
    at_work: Option<(usize, Table)>,
}

/// Which table of which exchange, and the key there.
type EntryId = (usize, Table, Arc<[u8]>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Table {
    Kept,
    Whole,
}

impl Table {
    const fn name(self) -> &'static str {
        match self {
            Table::Kept => "kept",
            Table::Whole => "whole",
        }
    }
}

/// A book that was dropped, or of which not all is known any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    pub exchange: &'static str,
    pub instrument: String,
    pub quality: Quality,
}

#[derive(Debug, Default)]
struct OfExchange {
    /// Where the key of a message is written, and that of a base which it may build on.
    key: Vec<u8>,
    base_key: Vec<u8>,
    kept: HashMap<Arc<[u8]>, Entry<Book>>,
    /// What came whole and numbered: by feed and instrument, or by the envelope's symbol where the
    /// message does not name its instrument.
    whole: HashMap<Arc<[u8]>, Entry<Whole>>,
}

/// What is kept, and whether its checkpoint is still true.
#[derive(Debug)]
struct Entry<T> {
    content: T,
    is_changed: bool,
    /// Whether a checkpoint of it may exist.
    is_saved: bool,
    /// Up to which offset it knows the messages, if it was restored.
    restored: Option<i64>,
    /// When it was last updated.
    updated: u64,
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
    /// Keeps up to `limit` books; whole books that are numbered count too.
    pub fn new(limit: usize) -> Self {
        Books {
            exchanges: Default::default(),
            limit: limit.max(1),
            count: 0,
            clock: 0,
            queue: BinaryHeap::new(),
            new_key: None,
            dropped: Vec::new(),
            removed: Vec::new(),
            at_work: None,
        }
    }

    /// Lets a message take effect. `drop_oldest` is to follow.
    pub fn publish<V: Value>(
        &mut self,
        place: Place,
        message: &OrderBook<V>,
        terms: &Terms,
        places: KnownPlaces,
    ) -> Published<'_> {
        self.clock += 1;
        let now = self.clock;
        let books = &mut self.exchanges[place.exchange];
        let table = match message.form {
            Form::Unsaid | Form::Whole => Table::Whole,
            Form::Snapshot | Form::Delta => Table::Kept,
        };
        self.at_work = Some((place.exchange, table));
        let new_key = &mut self.new_key;
        let published = match table {
            Table::Whole => books.whole(place, message, now, new_key),
            Table::Kept => books.keep(place, message, terms, places, now, new_key),
        };
        if let Some(key) = self.new_key.take() {
            self.count += 1;
            self.queue.push(Reverse((now, (place.exchange, table, key))));
        }
        published
    }

    /// No message is taking effect any more.
    pub fn finish(&mut self) {
        self.at_work = None;
    }

    /// Drops the entry that was updated longest ago, if there are too many.
    #[inline]
    pub fn drop_oldest(&mut self) -> Option<Loss> {
        if self.count > self.limit { self.drop_one() } else { None }
    }

    /// The queue may have an entry too early, as updates leave it alone: it is put back then, once for
    /// all updates before.
    #[cold]
    #[inline(never)]
    fn drop_one(&mut self) -> Option<Loss> {
        while let Some(Reverse((queued, id))) = self.queue.pop() {
            steps::count(1);
            let (exchange, table, key) = &id;
            let books = &mut self.exchanges[*exchange];
            let entry = match table {
                Table::Kept => books.kept.get(key).map(|entry| (entry.updated, entry.is_saved)),
                Table::Whole => books.whole.get(key).map(|entry| (entry.updated, entry.is_saved)),
            };
            let Some((updated, is_saved)) = entry else { continue };
            if updated > queued {
                self.queue.push(Reverse((updated, id)));
                continue;
            }
            match table {
                Table::Kept => drop(books.kept.remove(key)),
                Table::Whole => drop(books.whole.remove(key)),
            }
            self.count -= 1;
            let loss = loss(*exchange, key, Quality::Dropped);
            if is_saved {
                self.removed.push(id);
            }
            return Some(loss);
        }
        None
    }

    /// After a failure of this program: makes the book suspect that a message was taking effect on.
    pub fn abandon(&mut self, places: impl Fn(usize, &[u8]) -> Option<[usize; 2]>) -> Option<Loss> {
        let (exchange, table) = self.at_work.take()?;
        let books = &mut self.exchanges[exchange];
        self.count = 0; // it may have failed while an entry was being added
        let key = std::mem::take(&mut books.key);
        let loss = match table {
            Table::Kept => books.kept.get_mut(&key[..]).and_then(|entry| {
                let (_, instrument) = split_key(&key);
                let quality = entry.content.quality;
                entry.content.abandon(places(exchange, instrument));
                entry.is_changed = true;
                (quality != Quality::Suspect).then(|| loss(exchange, &key, Quality::Suspect))
            }),
            Table::Whole => {
                let id = books.whole.remove_entry(&key[..]);
                if let Some((key, Entry { is_saved: true, .. })) = id {
                    self.removed.push((exchange, table, key));
                }
                None
            }
        };
        self.queue = self.all_ids().map(Reverse).collect();
        self.count = self.queue.len();
        loss
    }

    fn all_ids(&self) -> impl Iterator<Item = (u64, EntryId)> {
        self.exchanges.iter().enumerate().flat_map(|(exchange, books)| {
            let kept = books
                .kept
                .iter()
                .map(move |(key, entry)| (entry.updated, (exchange, Table::Kept, Arc::clone(key))));
            let whole = books.whole.iter().map(move |(key, entry)| {
                (entry.updated, (exchange, Table::Whole, Arc::clone(key)))
            });
            kept.chain(whole)
        })
    }

    /// What has changed since the last call: names and contents of checkpoints; without content where
    /// a book was dropped, so that its checkpoint is to be removed.
    pub fn checkpoints(&mut self) -> Vec<(String, Option<Vec<u8>>)> {
        let removed = std::mem::take(&mut self.removed);
        let mut changed: Vec<_> = removed
            .into_iter()
            .map(|(exchange, table, key)| (checkpoint_name(exchange, table, &key), None))
            .collect();
        for (exchange, books) in self.exchanges.iter_mut().enumerate() {
            for (key, entry) in books.kept.iter_mut().filter(|(_, entry)| entry.is_changed) {
                (entry.is_changed, entry.is_saved) = (false, true);
                let name = checkpoint_name(exchange, Table::Kept, key);
                let content = entry.content.stored(&name);
                changed.push((name, Some(content)));
            }
            for (key, entry) in books.whole.iter_mut().filter(|(_, entry)| entry.is_changed) {
                (entry.is_changed, entry.is_saved) = (false, true);
                let name = checkpoint_name(exchange, Table::Whole, key);
                let content = entry.content.stored(&name);
                changed.push((name, Some(content)));
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
        let parts: Name = serde_json::from_str(name).map_err(|_| Damage::Broken)?;
        let (exchange, table, feed, instrument) = parts;
        let place = ALL.iter().position(|known| known.name == exchange).ok_or(Damage::Newer)?;
        let instrument = instrument.as_bytes();
        let key: Arc<[u8]> = key(feed.as_bytes(), instrument).into();
        let books = &mut self.exchanges[place];
        let (table, updated, is_new) = match &table[..] {
            "kept" => {
                let book = Book::restored(name, content, places(place, instrument))?;
                // where no message says how deep the book is
                let is_told = !ALL[place].depths.is_empty();
                if is_told && book.expected_depth != depth(place) {
                    return Err(Damage::Depth);
                }
                let entry = Entry::restored(check_offset(book.offset, before)?, book);
                let updated = entry.updated;
                (Table::Kept, updated, books.kept.insert(Arc::clone(&key), entry).is_none())
            }
            "whole" => {
                let whole = Whole::restored(name, content)?;
                let entry = Entry::restored(check_offset(whole.offset, before)?, whole);
                let updated = entry.updated;
                (Table::Whole, updated, books.whole.insert(Arc::clone(&key), entry).is_none())
            }
            _ => return Err(Damage::Newer),
        };
        self.clock = self.clock.max(updated);
        if is_new {
            self.count += 1;
            self.queue.push(Reverse((updated, (place, table, key))));
        }
        while let Some(loss) = self.drop_oldest() {
            self.dropped.push(loss);
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
    fn whole<V: Value>(
        &mut self,
        place: Place,
        message: &OrderBook<V>,
        now: u64,
        new_key: &mut Option<Arc<[u8]>>,
    ) -> Published<'_> {
        let Some(last) = message.sequence.last else { return Published::Whole };
        let name = if message.instrument.is_empty() { place.symbol } else { &message.instrument };
        write_key(&mut self.key, &message.feed, name);
        let entry = entry(&mut self.whole, &self.key, Whole::default, new_key);
        let is_first = new_key.is_some();
        if !entry.begins(place.offset, now) {
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
        now: u64,
        new_key: &mut Option<Arc<[u8]>>,
    ) -> Published<'_> {
        write_key(&mut self.key, &message.feed, &message.instrument);
        let content =
            || Book::new(message.depth.unwrap_or(terms.depth), places(&message.instrument));
        let entry = entry(&mut self.kept, &self.key, content, new_key);
        let may_build = message.form == Form::Delta && message.feed.is_empty();
        if !entry.begins(place.offset, now) {
            if may_build {
                use_base(&mut self.whole, &mut self.base_key, place, message);
            }
            return Published::Outdated;
        }
        let book = &mut entry.content;
        book.offset = place.offset;
        let quality = book.quality;
        let mut adopted = None;
        if may_build && !self.whole.is_empty() {
            let base_key = &mut self.base_key;
            match find_base(&mut self.whole, base_key, book.last, place.symbol, message) {
                Base::Later if book.repeated < MOST_REPEATED => {
                    book.repeated += 1;
                    book.history.outdated += 1;
                    return Published::Outdated;
                }
                Base::None | Base::Later => {}
                Base::Fits(base, last) => adopted = book.adopt(base, last),
            }
        }
        #[cfg(test)]
        crate::fault::strike(&message.instrument);
        match book.take(message, &ALL[place.exchange], terms) {
            None => Published::Outdated,
            Some(judgement) => {
                let reason = judgement.reason.or(adopted).filter(|_| book.quality != quality);
                Published::Kept(book, Judgement { reason, ..judgement })
            }
        }
    }
}

/// The entry of a key; `new_key` becomes the key as it is kept if the entry is new.
#[inline]
fn entry<'m, T>(
    entries: &'m mut HashMap<Arc<[u8]>, Entry<T>>,
    key: &[u8],
    content: impl FnOnce() -> T,
    new_key: &mut Option<Arc<[u8]>>,
) -> &'m mut Entry<T> {
    match entries.entry_ref(key) {
        EntryRef::Occupied(entry) => entry.into_mut(),
        EntryRef::Vacant(entry) => {
            let key: Arc<[u8]> = key.into();
            *new_key = Some(Arc::clone(&key));
            entry.insert_with_key(key, Entry::new(content()))
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

    /// Returns whether a change goes on from this base: it begins at or before the number after it,
    /// and ends after its number.
    fn fits<V: Value>(&self, message: &OrderBook<V>) -> bool {
        let Sequence { previous, first, last } = message.sequence;
        first.zip(last).is_some_and(|(first, last)| {
            last > self.last
                && (previous == Some(self.last) || first <= self.last.saturating_add(1))
        })
    }

    fn stored(&mut self, name: &str) -> Vec<u8> {
        let base = self.arranged().map(Sides::of);
        let &mut Whole { offset, last, time: time_us, repeated, is_fresh, is_anew, .. } = self;
        seal(name, &StoredWhole { offset, last, time_us, repeated, is_fresh, is_anew, base })
    }

    fn restored(name: &str, bytes: &[u8]) -> Result<Self, Damage> {
        let stored: StoredWhole = open(name, bytes)?;
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
    whole: &'w mut HashMap<Arc<[u8]>, Entry<Whole>>,
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
        } else if base.fits(message) {
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

/// Marks the base of a change as used where the book that built on it was restored from a later
/// checkpoint than the base. Else the base would look as if another book, or a change that comes once
/// more, could build on it.
#[cold]
#[inline(never)]
fn use_base<V: Value>(
    whole: &mut HashMap<Arc<[u8]>, Entry<Whole>>,
    key: &mut Vec<u8>,
    place: Place,
    message: &OrderBook<V>,
) {
    for name in [&message.instrument[..], place.symbol] {
        write_key(key, &[], name);
        let Some(entry) = whole.get_mut(&key[..]) else { continue };
        let base = &mut entry.content;
        let is_usable = base.base.is_some() && base.is_fresh && base.fits(message);
        if is_usable && entry.restored.is_none_or(|restored| place.offset > Some(restored)) {
            base.is_fresh = false;
            entry.is_changed = true;
            return;
        }
    }
}

impl<T> Entry<T> {
    fn new(content: T) -> Self {
        Entry { content, is_changed: true, is_saved: false, restored: None, updated: 0 }
    }

    /// The entry of a checkpoint of an offset.
    fn restored(offset: Option<i64>, content: T) -> Self {
        let updated = offset.and_then(|offset| offset.try_into().ok()).unwrap_or(0);
        Entry { content, is_changed: false, is_saved: true, restored: offset, updated }
    }

    /// Notes that a message is about to have an effect; whether it may have one.
    fn begins(&mut self, offset: Option<i64>, now: u64) -> bool {
        self.updated = now; // also what it ignores was once an update
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
fn split_key(key: &[u8]) -> (&[u8], &[u8]) {
    let end = key.iter().position(|byte| *byte == 0).unwrap_or(0);
    (&key[..end], key.get(end + 1..).unwrap_or_default())
}

/// The same as text.
fn names(key: &[u8]) -> (String, String) {
    let (feed, instrument) = split_key(key);
    [feed, instrument].map(|name| String::from_utf8_lossy(name).into_owned()).into()
}

fn checkpoint_name(exchange: usize, table: Table, key: &[u8]) -> String {
    let (feed, instrument) = names(key);
    let name: Name = (ALL[exchange].name.into(), table.name().into(), feed, instrument);
    serde_json::to_string(&name).unwrap_or_default()
}

fn loss(exchange: usize, key: &[u8], quality: Quality) -> Loss {
    let (_, instrument) = names(key);
    Loss { exchange: ALL[exchange].name, instrument, quality }
}
