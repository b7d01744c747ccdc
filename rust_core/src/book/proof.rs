//! Checksums by which exchanges let a kept book be proven.

use super::levels::{Kept, Levels};
use crate::number::{POWERS_OF_TEN, Usual, Value, Wide};
use crate::order_book::{Level, Places};
use crate::record::Decimal;

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
    /// It cannot be computed from what was sent.
    Unknown,
}

/// What is known of how numbers are written, and texts that are used again.
///
/// Numbers count as they were sent, but upstream may have read and written them, so that zeros at
/// the end are lost. They come back by padding to the most decimals that were seen, which all
/// numbers have at the exchange.
#[derive(Clone, Debug)]
pub struct Proof {
    pub places: [usize; 2],
    /// Whether settings say the places.
    pub is_given: bool,
    /// Whether numbers of one kind came with different decimals.
    pub is_rewritten: bool,
    /// The places with which a checksum has matched last: before the first a mismatch tells nothing.
    pub proven_places: Option<[usize; 2]>,
    asks: SideText,
    bids: SideText,
}

/// Numbers of more digits may have been changed where upstream took them for binary floats.
const EXACT_DIGITS: u32 = 15;

impl Proof {
    pub fn new(places: Option<[usize; 2]>) -> Self {
        Proof {
            places: places.unwrap_or_default(),
            is_given: places.is_some(),
            is_rewritten: false,
            proven_places: None,
            asks: SideText::default(),
            bids: SideText::default(),
        }
    }

    /// Notes how the numbers of a message were written.
    pub fn learn(&mut self, seen: &Places) {
        for which in [0, 1] {
            let (most, fewest) = (seen.most[which], seen.fewest[which]);
            if most > self.places[which] && !self.is_given {
                // what was seen before had fewer
                self.is_rewritten |= self.places[which] > 0;
                let mut places = self.places;
                places[which] = most;
                self.set_places(places);
            }
            self.is_rewritten |= fewest < self.places[which];
        }
    }

    /// Whether a book has this checksum. `touched` tells which of asks and bids have changed.
    pub fn verify(
        &mut self,
        checksum: Checksum,
        levels: &Levels,
        touched: [bool; 2],
        sent: i64,
    ) -> Verdict {
        let matches = match (checksum, levels) {
            (Checksum::Kraken, Levels::Usual(bids, asks)) => {
                self.is_kraken(bids, asks, touched, sent)
            }
            (Checksum::Kraken, Levels::Wide(bids, asks)) => {
                i64::from(crc32fast::hash(&self.wide_text(bids, asks))) == sent
            }
            (Checksum::Okx, Levels::Usual(bids, asks)) => self.is_okx(bids, asks, sent),
            (Checksum::Okx, Levels::Wide(bids, asks)) => self.is_okx(bids, asks, sent),
        };
        if matches {
            self.proven_places = Some(self.places);
            return Verdict::Match;
        }
        // before one has matched, what fails may be our notion of how numbers are written
        let is_exact = checksum != Checksum::Kraken || !self.may_be_inexact(levels);
        match self.proven_places {
            Some(_) if is_exact => Verdict::Mismatch,
            _ => Verdict::Unknown,
        }
    }

    fn is_kraken(
        &mut self,
        bids: &Kept<Usual, true>,
        asks: &Kept<Usual, false>,
        touched: [bool; 2],
        sent: i64,
    ) -> bool {
        if self.kraken(bids, asks, touched) == sent {
            return true;
        }
        if self.is_given {
            return false;
        }
        // more decimals than the exchange's may have been seen, or it may write fewer by now
        let learnt = self.places;
        let shown = shown_places(&best(asks)).max_each(shown_places(&best(bids)));
        let others = [self.proven_places, Some(shown)].into_iter().flatten();
        for places in others.filter(|places| *places != learnt) {
            self.set_places(places);
            if self.kraken(bids, asks, [true; 2]) == sent {
                return true;
            }
        }
        self.set_places(learnt);
        false
    }

    fn kraken(
        &mut self,
        bids: &Kept<Usual, true>,
        asks: &Kept<Usual, false>,
        [asks_touched, bids_touched]: [bool; 2],
    ) -> i64 {
        if asks_touched || self.asks.is_empty() {
            self.asks.update(asks.best_first().take(Checksum::Kraken.levels()), self.places);
        }
        if bids_touched || self.bids.is_empty() {
            self.bids.update(bids.best_first().take(Checksum::Kraken.levels()), self.places);
        }
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.asks.text);
        hasher.update(&self.bids.text);
        hasher.finalize().into()
    }

    fn set_places(&mut self, places: [usize; 2]) {
        self.places = places;
        self.asks.clear();
        self.bids.clear();
    }

    #[cold]
    fn wide_text(&self, bids: &Kept<Wide, true>, asks: &Kept<Wide, false>) -> Vec<u8> {
        let mut text = String::new();
        for level in best(asks).into_iter().chain(best(bids)) {
            for (value, places) in [&level.price, &level.size].into_iter().zip(self.places) {
                let unit = Wide::power_of_ten(Wide::PLACES.saturating_sub(places));
                text += &(value / unit.unwrap_or_default()).to_string();
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

    /// Whether upstream may have changed a number that is in the checksum.
    #[cold]
    fn may_be_inexact(&self, levels: &Levels) -> bool {
        let Levels::Usual(bids, asks) = levels else { return self.is_rewritten };
        let unit = |which: usize| 10u128.pow(18 - capped(self.places[which]));
        let limits = [0, 1].map(|which| 10u128.pow(EXACT_DIGITS).checked_mul(unit(which)));
        let exceeds = |value: &Usual, which: usize| {
            limits[which].is_some_and(|limit| value.unsigned_abs() >= limit)
        };
        self.is_rewritten
            && best(asks)
                .into_iter()
                .chain(best(bids))
                .any(|level| exceeds(&level.price, 0) || exceeds(&level.size, 1))
    }
}

/// The digits of a side's best levels. Mostly a level or two change, so the others are copied.
#[derive(Clone, Debug, Default)]
struct SideText {
    levels: Vec<Level<Usual>>,
    /// Where in the text each of them ends.
    ends: Vec<usize>,
    text: Vec<u8>,
    before: Before,
}

/// What a text was from the first level on that is another now.
#[derive(Clone, Debug, Default)]
struct Before {
    levels: Vec<Level<Usual>>,
    ends: Vec<usize>,
    text: Vec<u8>,
}

impl SideText {
    fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }

    fn clear(&mut self) {
        self.levels.clear();
        self.ends.clear();
        self.text.clear();
    }

    fn update<'l>(
        &mut self,
        best: impl Iterator<Item = &'l Level<Usual>> + Clone,
        places: [usize; 2],
    ) {
        let SideText { levels, ends, text, before } = self;
        let same = best.clone().zip(&*levels).take_while(|(new, old)| new == old).count();
        let kept = if same == 0 { 0 } else { ends[same - 1] };
        refill(&mut before.levels, levels, same);
        refill(&mut before.ends, ends, same);
        refill(&mut before.text, text, kept);
        let mut next = 0;
        for level in best.skip(same) {
            let moved = before.levels[next..].iter().position(|old| old == level);
            if let Some(skipped) = moved {
                next += skipped;
                let start = if next == 0 { kept } else { before.ends[next - 1] };
                text.extend_from_slice(&before.text[start - kept..before.ends[next] - kept]);
                next += 1;
            } else {
                digits(text, level.price, places[0]);
                digits(text, level.size, places[1]);
            }
            levels.push(level.clone());
            ends.push(text.len());
        }
    }
}

/// Moves what stands from there on into a vector that is used again.
fn refill<T>(into: &mut Vec<T>, from: &mut Vec<T>, start: usize) {
    into.clear();
    into.extend(from.drain(start..));
}

/// Writes a number of so many decimals without its point.
fn digits(text: &mut Vec<u8>, value: Usual, places: usize) {
    let value = value.unsigned_abs();
    let exponent = 18 - capped(places);
    let mut buffer = itoa::Buffer::new();
    let digits = match POWERS_OF_TEN[exponent as usize].divide(value) {
        Some((number, _)) => buffer.format(number),
        None => buffer.format(value / 10u128.pow(exponent)),
    };
    text.extend_from_slice(digits.as_bytes());
}

/// Usual values have no more decimals than this.
fn capped(places: usize) -> u32 {
    u32::try_from(places.min(Usual::PLACES)).unwrap_or(0)
}

/// A plain number with so many decimals.
fn padded(text: &str, places: usize) -> String {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if places == 0 && fraction.is_empty() {
        return text.to_owned();
    }
    format!("{whole}.{fraction:0<places$}")
}

/// The levels of which Kraken's checksum is made.
fn best<V: Value, const HIGHEST: bool>(side: &Kept<V, HIGHEST>) -> Vec<&Level<V>> {
    side.best_first().take(Checksum::Kraken.levels()).collect()
}

/// The fewest decimals that all of these numbers can be written with.
fn shown_places(levels: &[&Level<Usual>]) -> [usize; 2] {
    let places = |value: Usual| {
        let zeros = (0..18).take_while(|zeros| value % 10i128.pow(zeros + 1) == 0).count();
        Usual::PLACES - zeros
    };
    let most = |value: fn(&Level<Usual>) -> Usual| {
        levels.iter().map(|level| places(value(level))).max().unwrap_or(0)
    };
    [most(|level| level.price), most(|level| level.size)]
}

trait MaxEach {
    fn max_each(self, other: Self) -> Self;
}

impl MaxEach for [usize; 2] {
    fn max_each(self, other: Self) -> Self {
        [self[0].max(other[0]), self[1].max(other[1])]
    }
}
