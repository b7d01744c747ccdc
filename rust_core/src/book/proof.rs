//! Checksums by which exchanges let a kept book be proven.

use super::levels::{Kept, Levels};
use crate::number::{POWERS_OF_TEN, Usual, Value, Wide};
use crate::order_book::Level;
use crate::record::{Decimal, Room};
use crate::steps;

/// Whose rule a checksum follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// <https://docs.kraken.com/exchange/guides/websockets/book-checksum-v2.md>: CRC-32 of the ten
    /// best asks, then of the ten best bids: the digits of price and size as they are sent, without
    /// the point and without zeros at the beginning.
    Kraken,
    /// <https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-order-book-channel>:
    /// signed CRC-32 of the 25 best bids and asks in turn, joined by colons.
    Okx,
}

impl Checksum {
    /// How many levels a side it is made of.
    pub const fn levels(self) -> usize {
        match self {
            Checksum::Kraken => 10,
            Checksum::Okx => 25,
        }
    }
}

/// What a checksum says of a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Match,
    Mismatch,
    /// It tells nothing, as none has matched yet.
    Unknown,
}

/// The most decimals that count as the precision of an instrument. No exchange has more, and each
/// decimal takes time at every checksum.
pub const MAX_SCALE: usize = 64;

/// After this many checksums in a row that do not match, only the decimals seen since then count.
const RELEARN_AFTER: u32 = 16;

/// What is known of how numbers are written, and texts that are used again.
///
/// Numbers count as they were sent, but upstream may have read and written them, so that zeros at
/// the end are lost. They come back by padding to the most decimals that were seen, which all
/// numbers have at the exchange. Only levels that count teach them: a removal may be written anyhow.
#[derive(Clone, Debug)]
pub struct Proof {
    /// The decimals of prices and sizes.
    pub places: [usize; 2],
    /// Whether settings say the places.
    is_given: bool,
    /// The places with which a checksum has matched last: before the first a mismatch tells nothing.
    pub proven_places: Option<[usize; 2]>,
    /// The places seen since the last base or relearning.
    pub recent_places: [usize; 2],
    /// The number of checksums in a row that did not match.
    pub failed: u32,
    /// Which of asks and bids have changed since the last checksum.
    touched: [bool; 2],
    /// What is long is made for the first checksum: most exchanges have none.
    texts: Option<Box<Texts>>,
}

/// The digits of both sides, and the text of which the checksum is.
#[derive(Clone, Debug)]
struct Texts {
    asks: SideText,
    bids: SideText,
    all: [u8; TEXT_BYTES],
}

impl Default for Texts {
    fn default() -> Self {
        Texts { asks: SideText::default(), bids: SideText::default(), all: [0; TEXT_BYTES] }
    }
}

/// Room for both sides, and for the last block to exceed them.
const TEXT_BYTES: usize = (2 * LINES + 1) * LINE_BYTES;

impl Proof {
    pub fn new(places: Option<[usize; 2]>) -> Self {
        Proof {
            places: places.unwrap_or_default().map(|scale| scale.min(Wide::PLACES)),
            is_given: places.is_some(),
            proven_places: None,
            recent_places: [0; 2],
            failed: 0,
            touched: [true; 2],
            texts: None,
        }
    }

    /// Learns with how many decimals the levels of a message are written. A base that has levels
    /// outweighs what was learned before it.
    pub fn learn(&mut self, seen: [usize; 2], is_base: bool) {
        if is_base && seen != [0; 2] {
            self.recent_places = seen;
        } else {
            self.recent_places = most(self.recent_places, seen);
        }
        let places = if is_base { self.recent_places } else { most(self.places, seen) };
        if places != self.places && !self.is_given {
            self.set_places(places);
        }
    }

    /// Takes over what a checkpoint says, as far as an exchange may write so many decimals.
    pub fn restore(
        &mut self,
        places: [usize; 2],
        proven_places: Option<[usize; 2]>,
        recent_places: [usize; 2],
        failed: u32,
    ) {
        let sane =
            |places: [usize; 2]| places.map(|scale| if scale > MAX_SCALE { 0 } else { scale });
        if !self.is_given {
            self.places = sane(places);
        }
        self.proven_places = proven_places.map(sane);
        (self.recent_places, self.failed) = (sane(recent_places), failed);
    }

    /// Notes which of asks and bids a message has changed.
    pub fn touch(&mut self, [asks, bids]: [bool; 2]) {
        self.touched = [self.touched[0] || asks, self.touched[1] || bids];
    }

    /// Whether a book has this checksum.
    pub fn verify(&mut self, checksum: Checksum, levels: &Levels, sent: i64) -> Verdict {
        let touched = std::mem::take(&mut self.touched);
        if checksum == Checksum::Kraken
            && let Some(best) = best_as_usual(levels)
        {
            self.touched = [true; 2]; // the texts are not those of the next usual book
            return self.verify_levels(checksum, &best, [true; 2], sent);
        }
        self.verify_levels(checksum, levels, touched, sent)
    }

    fn verify_levels(
        &mut self,
        checksum: Checksum,
        levels: &Levels,
        touched: [bool; 2],
        sent: i64,
    ) -> Verdict {
        if self.matches(checksum, levels, touched, sent)
            || (!self.is_given && self.matches_otherwise(checksum, levels, sent))
        {
            if levels.counts() != [0; 2] {
                self.proven_places = Some(self.places); // of which an empty book shows nothing
            }
            self.failed = 0;
            return Verdict::Match;
        }
        self.failed = self.failed.wrapping_add(1);
        if self.failed.is_multiple_of(RELEARN_AFTER) && !self.is_given {
            self.set_places(self.recent_places);
            self.recent_places = [0; 2];
        }
        // before one has matched, what fails may be our notion of how numbers are written
        if self.proven_places.is_some() { Verdict::Mismatch } else { Verdict::Unknown }
    }

    /// Returns whether a book has this checksum if its numbers have the known decimals.
    fn matches(
        &mut self,
        checksum: Checksum,
        levels: &Levels,
        touched: [bool; 2],
        sent: i64,
    ) -> bool {
        steps::count(checksum.levels());
        match (checksum, levels) {
            (Checksum::Kraken, Levels::Usual(bids, asks)) => {
                self.kraken(bids, asks, touched) == sent
            }
            (Checksum::Kraken, Levels::Wide(bids, asks)) => {
                i64::from(crc32fast::hash(&self.long_text(bids, asks))) == sent
            }
            (Checksum::Okx, Levels::Usual(bids, asks)) => self.is_okx(bids, asks, sent),
            (Checksum::Okx, Levels::Wide(bids, asks)) => self.is_okx(bids, asks, sent),
        }
    }

    /// Whether a book has this checksum if its numbers are written in another way. More decimals than
    /// the exchange's may have been seen, or it may write fewer by now. What fits is kept.
    #[cold]
    fn matches_otherwise(&mut self, checksum: Checksum, levels: &Levels, sent: i64) -> bool {
        let learned = self.places;
        let proven = self.proven_places;
        let mut others = vec![proven.unwrap_or(learned)];
        // numbers of OKX come as text, so they are as they were sent, or all padded
        if checksum == Checksum::Kraken {
            let shown = shown_places(levels);
            others.push(shown);
            for known in [Some(learned), proven].into_iter().flatten() {
                others.extend([[known[0], shown[1]], [shown[0], known[1]]]);
            }
        }
        let mut tried = vec![learned];
        for places in others {
            if tried.contains(&places) {
                continue;
            }
            tried.push(places);
            self.set_places(places);
            if self.matches(checksum, levels, [true; 2], sent) {
                return true;
            }
        }
        self.set_places(learned);
        false
    }

    fn kraken(
        &mut self,
        bids: &Kept<Usual, true>,
        asks: &Kept<Usual, false>,
        touched: [bool; 2],
    ) -> i64 {
        let crc = match self.text(bids, asks, touched) {
            Some(text) => crc32fast::hash(text),
            None => crc32fast::hash(&self.long_text(bids, asks)),
        };
        crc.into()
    }

    /// Writes the text of which the checksum is, unless a number is very long.
    fn text(
        &mut self,
        bids: &Kept<Usual, true>,
        asks: &Kept<Usual, false>,
        [asks_touched, bids_touched]: [bool; 2],
    ) -> Option<&[u8]> {
        let texts = self.texts.get_or_insert_default();
        if asks_touched || texts.asks.is_empty() {
            texts.asks.update_to(asks, self.places)?;
        }
        if bids_touched || texts.bids.is_empty() {
            texts.bids.update_to(bids, self.places)?;
        }
        let mut room = Room(&mut texts.all);
        texts.asks.append(&mut room);
        texts.bids.append(&mut room);
        let left = room.0.len();
        Some(&texts.all[..TEXT_BYTES - left])
    }

    fn set_places(&mut self, places: [usize; 2]) {
        self.places = places;
        self.forget();
    }

    /// Lets all digits be written anew.
    fn forget(&mut self) {
        if let Some(texts) = &mut self.texts {
            texts.asks.clear();
            texts.bids.clear();
        }
    }

    /// The same of any numbers.
    #[cold]
    fn long_text<V: Value>(&mut self, bids: &Kept<V, true>, asks: &Kept<V, false>) -> Vec<u8> {
        self.forget();
        let mut text = String::new();
        for level in best(asks).into_iter().chain(best(bids)) {
            for (value, places) in [&level.price, &level.size].into_iter().zip(self.places) {
                let exponent = V::PLACES - places.min(V::PLACES);
                let unit = V::power_of_ten(exponent).unwrap_or_else(V::one);
                text += &(value.clone() / unit).to_string();
                text += &"0".repeat(places.saturating_sub(V::PLACES));
            }
        }
        text.into_bytes()
    }

    #[cold]
    fn is_okx<V: Decimal>(&self, bids: &Kept<V, true>, asks: &Kept<V, false>, sent: i64) -> bool {
        [None, Some(self.places)].into_iter().any(|places| {
            let number = |value: &V, which: usize| {
                let text = value.to_text();
                places.map_or(text.clone(), |places| padded(&text, places[which]))
            };
            let level =
                |level: &Level<V>| [number(&level.price, 0), number(&level.size, 1)].join(":");
            let count = Checksum::Okx.levels();
            let bids: Vec<_> = bids.best_first().take(count).map(level).collect();
            let asks: Vec<_> = asks.best_first().take(count).map(level).collect();
            let pairs = (0..count).flat_map(|rank| [bids.get(rank), asks.get(rank)]);
            let text = pairs.flatten().map(String::as_str).collect::<Vec<_>>().join(":");
            i64::from(crc32fast::hash(text.as_bytes()).cast_signed()) == sent
        })
    }
}

/// The digits of a side's best levels. Mostly a few change, so the others are kept.
#[derive(Clone, Debug)]
struct SideText {
    lines: [Line; LINES],
    /// Which line is that of the best level, of the next one, and so on; behind the first `count`
    /// stand those that are free.
    ranks: [u8; LINES],
    count: usize,
}

const LINES: usize = Checksum::Kraken.levels();

/// A level and its digits.
#[derive(Clone, Debug)]
struct Line {
    level: Level<Usual>,
    digits: [u8; LINE_BYTES],
    length: usize,
}

/// Room for two numbers of 64 bits, and in blocks that are copied at once.
const LINE_BYTES: usize = 48;

impl Default for SideText {
    fn default() -> Self {
        let line = || Line { level: Level::default(), digits: [0; LINE_BYTES], length: 0 };
        SideText {
            lines: std::array::from_fn(|_| line()),
            ranks: std::array::from_fn(|rank| u8::try_from(rank).unwrap_or(0)),
            count: 0,
        }
    }
}

impl SideText {
    fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn clear(&mut self) {
        self.count = 0;
    }

    fn update_to<const HIGHEST: bool>(
        &mut self,
        side: &Kept<Usual, HIGHEST>,
        places: [usize; 2],
    ) -> Option<()> {
        match side.best_last(LINES) {
            Some(best) => self.update(best.iter().rev(), places),
            None => self.update(side.best_first().take(LINES), places),
        }
    }

    /// Takes over the best levels; nothing if a number is too long for its line.
    fn update<'l>(
        &mut self,
        best: impl Iterator<Item = &'l Level<Usual>>,
        places: [usize; 2],
    ) -> Option<()> {
        let mut rank = 0;
        for level in best {
            let stands = &self.lines[usize::from(self.ranks[rank])].level;
            let is_same = rank < self.count && stands == level; // as most are
            if !is_same && self.find(rank, level) {
                self.lines[usize::from(self.ranks[rank])].write(level, places)?;
            }
            rank += 1;
        }
        self.count = rank;
        Some(())
    }

    /// Lets a level stand at this rank; whether it is to be written there. Those of lower ranks
    /// stand already, those of higher ones are as they were before.
    fn find(&mut self, rank: usize, level: &Level<Usual>) -> bool {
        let is_it = |line: &u8| self.lines[usize::from(*line)].level.price == level.price;
        match self.ranks[rank..self.count.max(rank)].iter().position(is_it) {
            Some(0) => {}
            Some(removed) => {
                self.ranks[rank..self.count].rotate_left(removed);
                self.count -= removed;
            }
            None => {
                self.count = (self.count + 1).clamp(rank + 1, LINES);
                self.ranks[rank..self.count].rotate_right(1);
                return true;
            }
        }
        self.lines[usize::from(self.ranks[rank])].level.size != level.size
    }

    /// All lines, the best one first.
    fn append(&self, text: &mut Room) {
        for line in &self.ranks[..self.count] {
            let Line { digits, length, .. } = &self.lines[usize::from(*line)];
            *text.block() = *digits;
            text.advance(*length);
        }
    }
}

impl Line {
    fn write(&mut self, level: &Level<Usual>, places: [usize; 2]) -> Option<()> {
        self.level = level.clone();
        let mut room = Room(&mut self.digits);
        for (value, places) in [level.price, level.size].into_iter().zip(places) {
            room.whole(without_point(value, places)?);
        }
        let left = room.0.len();
        self.length = LINE_BYTES - left;
        Some(())
    }
}

/// A number of so many decimals as a whole number, if 64 bits hold it.
fn without_point(value: Usual, places: usize) -> Option<u64> {
    let exponent = Usual::PLACES.checked_sub(places)?;
    POWERS_OF_TEN[exponent].divide(value.unsigned_abs()).map(|(number, _)| number)
}

/// A plain number with at least so many decimals.
fn padded(text: &str, places: usize) -> String {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if places == 0 && fraction.is_empty() {
        return text.to_owned();
    }
    let zeros = "0".repeat(places.saturating_sub(fraction.len()));
    format!("{whole}.{fraction}{zeros}")
}

/// The levels of which Kraken's checksum is made.
fn best<V: Value, const HIGHEST: bool>(side: &Kept<V, HIGHEST>) -> Vec<&Level<V>> {
    side.best_first().take(Checksum::Kraken.levels()).collect()
}

/// The fewest decimals that all numbers of the best levels can be written with.
fn shown_places(levels: &Levels) -> [usize; 2] {
    fn of<V: Decimal>(bids: &Kept<V, true>, asks: &Kept<V, false>) -> [usize; 2] {
        let levels = best(bids).into_iter().chain(best(asks));
        let scale = |value: &V| value.scale().min(MAX_SCALE);
        levels.fold([0; 2], |places, level| most(places, [scale(&level.price), scale(&level.size)]))
    }
    match levels {
        Levels::Usual(bids, asks) => of(bids, asks),
        Levels::Wide(bids, asks) => of(bids, asks),
    }
}

/// The best levels of a wide book in usual values, if these hold them: they do in almost all books,
/// and their checksums take a small part of the time.
fn best_as_usual(levels: &Levels) -> Option<Levels> {
    fn usual<V: Value, const HIGHEST: bool>(
        side: &Kept<V, HIGHEST>,
    ) -> Option<Kept<Usual, HIGHEST>> {
        let usual = |level: &Level<V>| {
            Some(Level { price: level.price.as_usual()?, size: level.size.as_usual()? })
        };
        Kept::restored(best(side).into_iter().map(usual).collect::<Option<_>>()?)
    }
    let Levels::Wide(bids, asks) = levels else { return None };
    Some(Levels::Usual(usual(bids)?, usual(asks)?))
}

fn most(one: [usize; 2], other: [usize; 2]) -> [usize; 2] {
    [one[0].max(other[0]), one[1].max(other[1])]
}
