//! An order book that is kept from message to message, and how far it can be trusted.

pub mod checkpoint;
pub mod levels;
mod proof;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;

use crate::exchange::Exchange;
use crate::number::Value;
use crate::order_book::{Form, OrderBook, Sequence, UNCUT};
use crate::time::Micros;
use levels::{Levels, Touch};
pub use proof::{Checksum, MAX_SCALE};
use proof::{Proof, Verdict};

/// How far a book can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quality {
    /// It has no base yet: levels may be missing.
    Warming,
    /// It began with a snapshot or is proven by a checksum, and nothing was missed since.
    Valid,
    /// A message was missed, or it contradicts what its exchange says.
    Suspect,
    /// It is maintained no more. Its next message begins a new book.
    Dropped,
}

impl Quality {
    pub const fn name(self) -> &'static str {
        match self {
            Quality::Warming => "warming",
            Quality::Valid => "valid",
            Quality::Suspect => "suspect",
            Quality::Dropped => "dropped",
        }
    }

    pub fn find(name: &str) -> Option<Self> {
        [Quality::Warming, Quality::Valid, Quality::Suspect].into_iter().find(|q| q.name() == name)
    }
}

/// Why the quality of a book has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A whole book has come.
    Snapshot,
    /// A checksum proves it, or fails.
    Checksum,
    /// The message does not follow the last one.
    Gap,
    /// It has been crossed for too many messages.
    Crossed,
    /// This program failed while it took in a message.
    Internal,
    /// So many other books were updated since that it was dropped.
    Limit,
}

impl Reason {
    pub const fn name(self) -> &'static str {
        match self {
            Reason::Snapshot => "snapshot",
            Reason::Checksum => "checksum",
            Reason::Gap => "gap",
            Reason::Crossed => "crossed",
            Reason::Internal => "internal",
            Reason::Limit => "limit",
        }
    }
}

/// What happened to a book since it is kept here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct History {
    pub gaps: u64,
    pub checksums_matched: u64,
    pub checksums_failed: u64,
    pub outdated: u64,
    pub crossed: u64,
    pub locked: u64,
    /// Messages whose record was held back.
    pub held_back: u64,
}

impl History {
    /// How often it was noticed that something is missing.
    fn missed(&self) -> u64 {
        self.gaps + self.checksums_failed
    }
}

/// What settings say of a book.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms {
    /// How many levels a side, where neither message nor snapshot says it.
    pub depth: usize,
    /// How many messages in a row may leave it crossed.
    pub crossed_grace: u32,
}

/// How many decimals prices and sizes of an instrument have, if that is known.
pub type KnownPlaces<'k> = &'k dyn Fn(&[u8]) -> Option<[usize; 2]>;

/// What a message that was taken in tells of the book.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// Why the quality of the book has changed, if it has.
    pub reason: Option<Reason>,
    /// Whether a message before it was missed.
    pub is_lossy: bool,
}

/// Where a message stands to what the book has taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Follows,
    Repeats,
    Gap,
}

/// After so many older messages in a row it is not they that are old: the exchange numbers anew.
pub const MOST_REPEATED: u32 = 1000;

/// Both sides of a book, and what is known of it.
#[derive(Clone, Debug)]
pub struct Book {
    pub levels: Levels,
    pub quality: Quality,
    /// The last change that it has taken in, where the exchange numbers them.
    pub last: Option<i64>,
    pub history: History,
    /// The offset of the last message that it has taken in, where messages have one.
    pub offset: Option<i64>,
    time: Option<Micros>,
    pub expected_depth: usize,
    depth: usize,
    /// Whether the next change is known to build on it.
    is_adopted: bool,
    crossed: u32,
    /// How many messages in a row were older than it.
    pub repeated: u32,
    proof: Proof,
}

impl Book {
    /// A book of which nothing is known yet.
    pub fn new(depth: usize, places: Option<[usize; 2]>) -> Self {
        let depth = depth.min(UNCUT);
        Book {
            levels: Levels::default(),
            quality: Quality::Warming,
            last: None,
            history: History::default(),
            offset: None,
            time: None,
            expected_depth: depth,
            depth,
            is_adopted: false,
            crossed: 0,
            repeated: 0,
            proof: Proof::new(places),
        }
    }

    /// Takes in a message and judges the book anew; nothing if the book is later already.
    pub fn take<V: Value>(
        &mut self,
        message: &OrderBook<V>,
        exchange: &Exchange,
        terms: &Terms,
    ) -> Option<Judgement> {
        let order = if std::mem::take(&mut self.is_adopted) {
            Order::Follows
        } else {
            self.order(message, exchange.numbers_restart)
        };
        if order == Order::Repeats && self.repeated < MOST_REPEATED {
            self.repeated += 1;
            self.history.outdated += 1;
            return None;
        }
        self.repeated = 0;
        let mut reason = None;
        let (quality, missed) = (self.quality, self.history.missed());
        if message.form != Form::Delta {
            self.begin(message, exchange.depths);
            reason = self.becomes(Quality::Valid, Reason::Snapshot);
        } else if order != Order::Follows && self.quality != Quality::Warming {
            self.history.gaps += 1;
            reason = self.becomes(Quality::Suspect, Reason::Gap);
        }
        self.levels.take(message, self.depth);
        if self.quality != Quality::Valid && self.can_be_proven(exchange.checksum) {
            self.levels.uncross(message);
        }
        self.last = message.sequence.last.or(self.last);
        self.time = message.time.micros().or(self.time);
        reason = self.verify(message, exchange.checksum).or(reason);
        reason = self.look_at_touch(terms.crossed_grace).or(reason);
        reason = reason.filter(|_| self.quality != quality); // it may be as before after all
        Some(Judgement { reason, is_lossy: self.history.missed() > missed })
    }

    /// Becomes the whole book that the next change builds on.
    pub fn adopt(&mut self, base: &Levels, last: i64) -> Option<Reason> {
        self.levels = base.clone();
        self.last = Some(last);
        self.crossed = 0;
        self.is_adopted = true;
        self.becomes(Quality::Valid, Reason::Snapshot)
    }

    /// Forgets what a message may have left half done. The next base makes the book valid again.
    pub fn abandon(&mut self, places: Option<[usize; 2]>) {
        let Book { last, history, offset, time, expected_depth, .. } = *self;
        let book = Book::new(expected_depth, places);
        *self = Book { quality: Quality::Suspect, last, history, offset, time, ..book };
    }

    /// A snapshot that is longer than expected tells that a deeper book was subscribed.
    fn begin<V: Value>(&mut self, message: &OrderBook<V>, depths: &[usize]) {
        let longer = message.bids.levels.len().max(message.asks.levels.len());
        let deeper = depths.iter().find(|depth| **depth >= longer).or(depths.last());
        self.depth = self.expected_depth.max(deeper.copied().unwrap_or(0));
        self.crossed = 0; // what was crossed before is gone
    }

    fn becomes(&mut self, quality: Quality, reason: Reason) -> Option<Reason> {
        let before = std::mem::replace(&mut self.quality, quality);
        (before != quality).then_some(reason)
    }

    fn order<V: Value>(&self, message: &OrderBook<V>, numbers_restart: bool) -> Order {
        let age = message.time.micros().zip(self.time).map(|(time, taken)| time.cmp(&taken));
        let (older, same) = (age == Some(Ordering::Less), age == Some(Ordering::Equal));
        let Sequence { previous, first, last } = message.sequence;
        let Some((last, taken)) = last.zip(self.last) else {
            // the checksum would tell if this were wrong
            let repeats = older && message.checksum.is_some();
            return if repeats { Order::Repeats } else { Order::Follows };
        };
        if older && numbers_restart {
            return Order::Repeats; // whatever its number, which may be of before a restart
        }
        if message.form != Form::Delta {
            return if older && last < taken { Order::Repeats } else { Order::Follows };
        }
        let repeats = last <= taken && (same || !numbers_restart);
        match previous {
            Some(previous) if previous == taken => Order::Follows,
            None if first.is_none_or(|first| first <= taken.saturating_add(1)) && last > taken => {
                Order::Follows
            }
            _ if repeats => Order::Repeats,
            _ => Order::Gap,
        }
    }

    /// Whether a checksum covers all of the book.
    fn can_be_proven(&self, checksum: Option<Checksum>) -> bool {
        checksum.is_some_and(|kind| self.depth <= kind.levels())
    }

    fn verify<V: Value>(
        &mut self,
        message: &OrderBook<V>,
        checksum: Option<Checksum>,
    ) -> Option<Reason> {
        let kind = checksum?;
        let is_other = message.form != Form::Delta || self.quality != Quality::Valid;
        let sides = [&message.asks.levels, &message.bids.levels];
        self.proof.touch(sides.map(|side| is_other || !side.is_empty()));
        let seen = [0, 1].map(|which| message.asks.places[which].max(message.bids.places[which]));
        self.proof.learn(seen, message.form != Form::Delta);
        let sent = message.checksum.filter(|sent| *sent != 0 || kind != Checksum::Okx)?;
        match self.proof.verify(kind, &self.levels, sent) {
            Verdict::Match => {
                self.history.checksums_matched += 1;
                let is_proven = self.can_be_proven(checksum);
                is_proven.then(|| self.becomes(Quality::Valid, Reason::Checksum)).flatten()
            }
            Verdict::Mismatch => {
                if self.quality != Quality::Valid {
                    return None; // what follows the first one tells nothing new
                }
                self.history.checksums_failed += 1;
                self.becomes(Quality::Suspect, Reason::Checksum)
            }
            Verdict::Unknown => None,
        }
    }

    fn look_at_touch(&mut self, grace: u32) -> Option<Reason> {
        match self.levels.touch() {
            Touch::Crossed => {
                self.history.crossed += 1;
                self.crossed = self.crossed.saturating_add(1);
            }
            Touch::Locked => {
                self.history.locked += 1;
                self.crossed = 0;
            }
            Touch::Normal => self.crossed = 0,
        }
        let too_long = self.crossed > grace && self.quality == Quality::Valid;
        too_long.then(|| self.becomes(Quality::Suspect, Reason::Crossed)).flatten()
    }
}
