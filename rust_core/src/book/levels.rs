//! The levels of a kept book: both sides in order, and their exact totals.

use crate::error::{Error, Result};
use crate::number::{Usual, Value, Wide};
use crate::order_book::{Form, Level, OrderBook, Top};

/// Both sides of a book, in whichever values hold it.
#[derive(Clone, Debug)]
pub enum Levels {
    Usual(Kept<Usual, true>, Kept<Usual, false>),
    Wide(Kept<Wide, true>, Kept<Wide, false>),
}

/// How the best prices of both sides stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    /// The best bid is below the best ask, or a side is empty.
    Normal,
    /// They are equal.
    Locked,
    /// The best bid is above the best ask.
    Crossed,
}

impl Touch {
    pub const fn name(self) -> &'static str {
        match self {
            Touch::Normal => "normal",
            Touch::Locked => "locked",
            Touch::Crossed => "crossed",
        }
    }

    pub fn of<V: Ord>(bid: Option<&V>, ask: Option<&V>) -> Self {
        match bid.zip(ask) {
            Some((bid, ask)) if bid > ask => Touch::Crossed,
            Some((bid, ask)) if bid == ask => Touch::Locked,
            _ => Touch::Normal,
        }
    }
}

impl Default for Levels {
    fn default() -> Self {
        Levels::Usual(Kept::default(), Kept::default())
    }
}

impl Levels {
    /// Takes in a message and cuts both sides to `depth`.
    pub fn take<V: Value>(&mut self, message: &OrderBook<V>, depth: usize) {
        if self.take_as_they_are(message, depth).is_err() {
            self.widen();
            // sizes are absolute, so what was taken in before is only set once more
            let fits = self.take_as_they_are(message, depth);
            debug_assert!(fits.is_ok(), "wide values hold the sum of any levels");
        }
        self.narrow();
    }

    /// Takes over the levels of a whole book as they stand there; `arrange` is to follow.
    pub fn hold<V: Value>(&mut self, message: &OrderBook<V>) {
        let (new_bids, new_asks) = (&message.bids.levels, &message.asks.levels);
        if let Levels::Wide(..) = self {
            *self = Levels::default();
        }
        if let Levels::Usual(bids, asks) = self
            && bids.hold(new_bids, V::as_usual).and(asks.hold(new_asks, V::as_usual)).is_none()
        {
            let (mut bids, mut asks) = (Kept::default(), Kept::default());
            bids.hold(new_bids, |value| Some(value.widened()));
            asks.hold(new_asks, |value| Some(value.widened()));
            *self = Levels::Wide(bids, asks);
        }
    }

    /// Puts in order what is held.
    pub fn arrange(&mut self) {
        if self.arrange_as_they_are().is_err() {
            self.widen();
            let fits = self.arrange_as_they_are();
            debug_assert!(fits.is_ok(), "wide values hold the sum of any levels");
        }
        self.narrow();
    }

    /// Takes away what is older than the message and contradicts it: levels of the other side that
    /// its levels cross. Only a book that lacks levels has such ones, as nobody told it of their end.
    pub fn uncross<V: Value>(&mut self, message: &OrderBook<V>) {
        match self {
            Levels::Usual(bids, asks) => {
                if Touch::of(bids.best_price(), asks.best_price()) == Touch::Crossed {
                    let best = |levels: &[Level<V>], highest| best_of(levels, highest)?.as_usual();
                    asks.drop_up_to(best(&message.bids.levels, true));
                    bids.drop_up_to(best(&message.asks.levels, false));
                }
            }
            Levels::Wide(..) => {}
        }
    }

    /// How many bids and asks there are.
    pub fn counts(&self) -> [usize; 2] {
        match self {
            Levels::Usual(bids, asks) => [bids.levels.len(), asks.levels.len()],
            Levels::Wide(bids, asks) => [bids.levels.len(), asks.levels.len()],
        }
    }

    pub fn touch(&self) -> Touch {
        match self {
            Levels::Usual(bids, asks) => Touch::of(bids.best_price(), asks.best_price()),
            Levels::Wide(bids, asks) => Touch::of(bids.best_price(), asks.best_price()),
        }
    }

    fn take_as_they_are<V: Value>(&mut self, message: &OrderBook<V>, depth: usize) -> Result<()> {
        match self {
            Levels::Usual(bids, asks) => {
                bids.take(&message.bids.levels, message.form, depth, V::as_usual)?;
                asks.take(&message.asks.levels, message.form, depth, V::as_usual)
            }
            Levels::Wide(bids, asks) => {
                let widened = |value: &V| Some(value.widened());
                bids.take(&message.bids.levels, message.form, depth, widened)?;
                asks.take(&message.asks.levels, message.form, depth, widened)
            }
        }
    }

    fn arrange_as_they_are(&mut self) -> Result<()> {
        match self {
            Levels::Usual(bids, asks) => bids.arrange().and_then(|()| asks.arrange()),
            Levels::Wide(bids, asks) => bids.arrange().and_then(|()| asks.arrange()),
        }
    }

    /// Which values hold a book depends on the book alone, never on what it was before.
    fn narrow(&mut self) {
        if let Levels::Wide(bids, asks) = self
            && let Some((bids, asks)) = bids.narrowed().zip(asks.narrowed())
        {
            *self = Levels::Usual(bids, asks);
        }
    }

    #[cold]
    fn widen(&mut self) {
        if let Levels::Usual(bids, asks) = self {
            *self = Levels::Wide(bids.widened(), asks.widened());
        }
    }
}

/// The best price at which levels that are not removed stand.
fn best_of<V: Value>(levels: &[Level<V>], highest: bool) -> Option<&V> {
    let prices = levels.iter().filter(|level| level.size.is_positive()).map(|level| &level.price);
    if highest { prices.max() } else { prices.min() }
}

/// So many changes are made one by one; more are sorted in, as each may move all levels.
const FEW: usize = 64;

/// One side, the best level last, as most changes are near the best and so move little.
#[derive(Clone, Debug, Default)]
pub struct Kept<V, const HIGHEST: bool> {
    levels: Vec<Level<V>>,
    total: V,
}

impl<V: Value, const HIGHEST: bool> Kept<V, HIGHEST> {
    fn take<From>(
        &mut self,
        levels: &[Level<From>],
        form: Form,
        depth: usize,
        convert: impl Fn(&From) -> Option<V>,
    ) -> Result<()> {
        let level = |level: &Level<From>| {
            Some(Level { price: convert(&level.price)?, size: convert(&level.size)? })
        };
        if form == Form::Delta && levels.len() <= FEW {
            for from in levels {
                self.set(level(from).ok_or(Error::Range)?)?;
            }
        } else {
            // all of them, before any takes effect
            let new: Option<Vec<_>> = levels.iter().rev().map(level).collect();
            let before = std::mem::replace(&mut self.levels, new.ok_or(Error::Range)?);
            if form == Form::Delta {
                self.levels.extend(before);
            }
            self.arrange()?;
        }
        self.truncate(depth);
        Ok(())
    }

    /// Takes over levels, last first; nothing if one does not fit.
    fn hold<From>(
        &mut self,
        levels: &[Level<From>],
        convert: impl Fn(&From) -> Option<V>,
    ) -> Option<()> {
        self.levels.clear();
        for level in levels.iter().rev() {
            self.levels.push(Level { price: convert(&level.price)?, size: convert(&level.size)? });
        }
        Some(())
    }

    /// Puts levels in order, which stand here last first.
    fn arrange(&mut self) -> Result<()> {
        self.levels
            .sort_by(|a, b| if HIGHEST { a.price.cmp(&b.price) } else { b.price.cmp(&a.price) });
        // of several at one price the last of the message counts, which is the first of these
        self.levels.dedup_by(|later, first| later.price == first.price);
        self.levels.retain(|level| level.price.is_positive() && level.size.is_positive());
        let sum = |sum: V, level: &Level<V>| sum.checked_add(&level.size);
        self.total = self.levels.iter().try_fold(V::zero(), sum).ok_or(Error::Range)?;
        Ok(())
    }

    /// Sets the size at a price; zero removes the level. The total stays exact, as it is only
    /// added to and subtracted from.
    fn set(&mut self, level: Level<V>) -> Result<()> {
        if level.price.is_zero() {
            return Ok(());
        }
        let at = self.position(&level.price);
        let before = self.levels.get(at).filter(|before| before.price == level.price);
        let change = match before {
            Some(before) => level.size.clone() - before.size.clone(),
            None => level.size.clone(),
        };
        self.total = self.total.checked_add(&change).ok_or(Error::Range)?;
        match (before.is_some(), level.size.is_zero()) {
            (true, true) => drop(self.levels.remove(at)),
            (true, false) => self.levels[at].size = level.size,
            (false, true) => {}
            (false, false) => self.levels.insert(at, level),
        }
        Ok(())
    }

    /// How many levels are worse than this price: steps doubling from the best, then halving.
    fn position(&self, price: &V) -> usize {
        let worse =
            |level: &Level<V>| if HIGHEST { level.price < *price } else { level.price > *price };
        let (mut high, mut step) = (self.levels.len(), 1);
        while high > 0 {
            let low = high.saturating_sub(step);
            if worse(&self.levels[low]) {
                return low + 1 + self.levels[low + 1..high].partition_point(worse);
            }
            high = low;
            step *= 2;
        }
        0
    }

    /// Keeps only the best `depth` levels: exchanges send no removal for a level that falls out.
    fn truncate(&mut self, depth: usize) {
        let beyond = self.levels.len().saturating_sub(depth);
        for level in self.levels.drain(..beyond) {
            self.total = self.total.clone() - level.size;
        }
    }

    /// Best price and total.
    pub fn top(&self) -> Top<V, HIGHEST> {
        Top { best: self.best_price().cloned(), total: self.total.clone() }
    }

    /// The levels, the best one first.
    pub fn best_first(&self) -> impl ExactSizeIterator<Item = &Level<V>> + Clone {
        self.levels.iter().rev()
    }

    /// The side that has these levels, the best one first; nothing if they are not in order.
    pub fn restored(mut best_first: Vec<Level<V>>) -> Option<Self> {
        best_first.reverse();
        let is_in_order = best_first.is_sorted_by(|worse, better| {
            if HIGHEST { worse.price < better.price } else { worse.price > better.price }
        });
        let are_alive = |level: &Level<V>| level.price.is_positive() && level.size.is_positive();
        let sum = |sum: V, level: &Level<V>| sum.checked_add(&level.size);
        let total = best_first.iter().try_fold(V::zero(), sum)?;
        (is_in_order && best_first.iter().all(are_alive))
            .then_some(Kept { levels: best_first, total })
    }

    fn best_price(&self) -> Option<&V> {
        self.levels.last().map(|level| &level.price)
    }

    /// Takes away the levels that are as good as this price or better.
    fn drop_up_to(&mut self, price: Option<V>) {
        let Some(price) = price else { return };
        let is_crossed = |level: &Level<V>| {
            if HIGHEST { level.price >= price } else { level.price <= price }
        };
        while self.levels.last().is_some_and(is_crossed) {
            if let Some(level) = self.levels.pop() {
                self.total = self.total.clone() - level.size;
            }
        }
    }

    /// The same in usual values, if these can hold it.
    fn narrowed(&self) -> Option<Kept<Usual, HIGHEST>> {
        let narrowed = |level: &Level<V>| {
            Some(Level { price: level.price.as_usual()?, size: level.size.as_usual()? })
        };
        let total = self.total.as_usual()?;
        Some(Kept { levels: self.levels.iter().map(narrowed).collect::<Option<_>>()?, total })
    }

    fn widened(&self) -> Kept<Wide, HIGHEST> {
        let widened =
            |level: &Level<V>| Level { price: level.price.widened(), size: level.size.widened() };
        let levels: Vec<_> = self.levels.iter().map(widened).collect();
        let total = levels.iter().map(|level| &level.size).sum();
        Kept { levels, total }
    }
}
