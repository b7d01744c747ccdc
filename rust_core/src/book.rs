//! An order book that is kept from message to message.

#[cfg(test)]
mod tests;

use crate::error::{Error, Result};
use crate::number::{Usual, Value, Wide};
use crate::order_book::{Form, Level, OrderBook, Top};

/// Both sides of a book, and what its exchange numbers it with.
#[derive(Clone, Debug)]
pub struct Book {
    sides: Sides,
    expected_depth: usize,
    depth: usize,
    /// The last change that the book has taken in, where the exchange numbers them.
    pub last: Option<i64>,
}

/// Best prices and totals, in whichever values hold the book.
#[derive(Clone, Debug)]
pub enum Summary {
    Usual(Top<Usual, true>, Top<Usual, false>),
    Wide(Top<Wide, true>, Top<Wide, false>),
}

#[derive(Clone, Debug)]
enum Sides {
    Usual(Kept<Usual, true>, Kept<Usual, false>),
    Wide(Kept<Wide, true>, Kept<Wide, false>),
}

impl Book {
    pub fn new(depth: usize) -> Self {
        Book {
            sides: Sides::Usual(Kept::default(), Kept::default()),
            expected_depth: depth,
            depth,
            last: None,
        }
    }

    /// Takes in a message and cuts the book to its depth. `depths` are those that its exchange
    /// offers: a snapshot that is longer than expected tells that a deeper one was subscribed.
    pub fn take<V: Value>(&mut self, message: &OrderBook<V>, depths: &[usize]) {
        if message.form != Form::Delta {
            let longer = message.bids.levels.len().max(message.asks.levels.len());
            let deeper = depths.iter().find(|depth| **depth >= longer).or(depths.last());
            self.depth = self.expected_depth.max(deeper.copied().unwrap_or(0));
            if matches!(self.sides, Sides::Wide(..)) {
                self.sides = Sides::Usual(Kept::default(), Kept::default());
            }
        }
        if self.sides.take(message, self.depth).is_err() {
            self.sides.widen();
            // sizes are absolute, so what was taken in before is only set once more
            let fits = self.sides.take(message, self.depth);
            debug_assert!(fits.is_ok(), "wide values hold the sum of any levels");
        }
        self.last = message.sequence.last.or(self.last);
    }

    pub fn summary(&self) -> Summary {
        match &self.sides {
            Sides::Usual(bids, asks) => Summary::Usual(bids.top(), asks.top()),
            Sides::Wide(bids, asks) => Summary::Wide(bids.top(), asks.top()),
        }
    }
}

impl Sides {
    fn take<V: Value>(&mut self, message: &OrderBook<V>, depth: usize) -> Result<()> {
        match self {
            Sides::Usual(bids, asks) => {
                bids.take(&message.bids.levels, message.form, depth, V::as_usual)?;
                asks.take(&message.asks.levels, message.form, depth, V::as_usual)
            }
            Sides::Wide(bids, asks) => {
                let widened = |value: &V| Some(value.widened());
                bids.take(&message.bids.levels, message.form, depth, widened)?;
                asks.take(&message.asks.levels, message.form, depth, widened)
            }
        }
    }

    #[cold]
    fn widen(&mut self) {
        if let Sides::Usual(bids, asks) = self {
            *self = Sides::Wide(bids.widened(), asks.widened());
        }
    }
}

/// So many changes are made one by one; more are sorted in, as each may move all levels.
const FEW: usize = 64;

/// One side, the best level last, as most changes are near the best and so move little.
#[derive(Clone, Debug, Default)]
struct Kept<V, const HIGHEST: bool> {
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
            let before = std::mem::take(&mut self.levels);
            for from in levels.iter().rev() {
                self.levels.push(level(from).ok_or(Error::Range)?);
            }
            if form == Form::Delta {
                self.levels.extend(before);
            }
            self.arrange()?;
        }
        self.truncate(depth);
        Ok(())
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

    fn top<const SIDE: bool>(&self) -> Top<V, SIDE> {
        Top { best: self.levels.last().map(|level| level.price.clone()), total: self.total.clone() }
    }

    fn widened(&self) -> Kept<Wide, HIGHEST> {
        let widened =
            |level: &Level<V>| Level { price: level.price.widened(), size: level.size.widened() };
        let levels: Vec<_> = self.levels.iter().map(widened).collect();
        let total = levels.iter().map(|level| &level.size).sum();
        Kept { levels, total }
    }
}
