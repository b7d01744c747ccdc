//! The levels of a kept book: both sides in order, and their exact totals.

use crate::error::{Error, Result};
use crate::number::{Usual, Value, Wide};
use crate::order_book::{Form, Level, OrderBook, Top};
use crate::steps;

/// Both sides of a book. `Usual` values hold almost every book. `Wide` values hold any book; one whose
/// numbers have become usual again may stay wide for some time. Both follow the same rules, so
/// nothing but the speed depends on the choice.
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
        if message.form != Form::Delta && matches!(self, Levels::Wide(..)) {
            *self = Levels::default(); // the message replaces all levels, so it alone decides
        }
        if self.take_as_they_are(message, depth).is_err() {
            self.widen();
            // sizes are absolute, so what was taken in before is only set once more
            let fits = self.take_as_they_are(message, depth);
            debug_assert!(fits.is_ok(), "wide values hold the sum of any levels");
        }
        if let Levels::Wide(..) = self {
            self.narrow_if_paid_for();
        }
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
    }

    /// Removes the levels that the message contradicts: those of the other side that its levels
    /// cross. Only a book that lacks levels has such levels, as no message told of their end.
    pub fn uncross<V: Value>(&mut self, message: &OrderBook<V>) {
        if self.touch() != Touch::Crossed {
            return;
        }
        let (new_bids, new_asks) = (&message.bids.levels, &message.asks.levels);
        match self {
            Levels::Usual(bids, asks) => {
                let (bid, ask) =
                    (bids.best_of(new_bids, V::as_usual), asks.best_of(new_asks, V::as_usual));
                asks.drop_up_to(bid);
                bids.drop_up_to(ask);
            }
            Levels::Wide(bids, asks) => {
                let widened = |value: &V| Some(value.widened());
                let (bid, ask) = (bids.best_of(new_bids, widened), asks.best_of(new_asks, widened));
                asks.drop_up_to(bid);
                bids.drop_up_to(ask);
            }
        }
    }

    /// How many bids and asks there are.
    pub fn counts(&self) -> [usize; 2] {
        match self {
            Levels::Usual(bids, asks) => [bids.len(), asks.len()],
            Levels::Wide(bids, asks) => [bids.len(), asks.len()],
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

    /// Returns to usual values if these can hold the book. Looking at all levels is paid for by as
    /// many changes and messages since the last look, so a wide book costs no more in proportion.
    #[cold]
    #[inline(never)]
    fn narrow_if_paid_for(&mut self) {
        let Levels::Wide(bids, asks) = self else { return };
        let changes = bids.unpaid + asks.unpaid + 1;
        if changes < bids.len() + asks.len() {
            bids.unpaid += 1;
            return;
        }
        (bids.unpaid, asks.unpaid) = (0, 0);
        if let Some((bids, asks)) = bids.narrowed().zip(asks.narrowed()) {
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

/// Up to this number of changes is made one by one.
const FEW_CHANGES: usize = 64;

/// More changes are sorted into a side of up to this many levels for each of them, as sorting goes
/// through all levels.
const LEVELS_PER_SORTED_CHANGE: usize = 16;

/// The number of levels of a full chunk. The best levels are up to twice as many, so books of the
/// depths that exchanges offer have no chunks. In tests chunks are short, so that books have many.
const CHUNK: usize = if cfg!(test) { 4 } else { 1024 };

/// One side. The best levels stand together, the best one last, as most changes are near the best and
/// so move little. In a very deep book the levels behind them stand in chunks, so that a change far
/// from the best moves one chunk and not the book.
#[derive(Clone, Debug, Default)]
pub struct Kept<V, const HIGHEST: bool> {
    /// Not empty unless the side is.
    near: Vec<Level<V>>,
    /// The worst chunk first, in each the worst level first. None is empty.
    far: Vec<Vec<Level<V>>>,
    far_count: usize,
    total: V,
    /// Changes since all levels were last looked at for whether usual values hold them.
    unpaid: usize,
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
        self.unpaid += levels.len();
        let is_sorted_in =
            levels.len() > FEW_CHANGES && levels.len() * LEVELS_PER_SORTED_CHANGE >= self.len();
        if form == Form::Delta && !is_sorted_in {
            for from in levels {
                self.set(level(from).ok_or(Error::Range)?)?;
            }
        } else {
            // all of them, before any takes effect
            let new: Option<Vec<_>> = levels.iter().rev().map(level).collect();
            let new = new.ok_or(Error::Range)?;
            if !self.far.is_empty() {
                self.gather();
            }
            let before = std::mem::replace(&mut self.near, new);
            if form == Form::Delta {
                self.near.extend(before);
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
        self.near.clear();
        if self.near.capacity() > 2 * CHUNK || !self.far.is_empty() {
            *self = Kept::default(); // one long book is no reason to keep memory for all
        }
        for level in levels.iter().rev() {
            self.near.push(Level { price: convert(&level.price)?, size: convert(&level.size)? });
        }
        Some(())
    }

    /// Puts levels in order, which stand here last first.
    fn arrange(&mut self) -> Result<()> {
        if !self.far.is_empty() {
            self.gather();
        }
        steps::count(self.near.len());
        self.near
            .sort_by(|a, b| if HIGHEST { a.price.cmp(&b.price) } else { b.price.cmp(&a.price) });
        // of several at one price the last of the message counts, which is the first of these
        self.near.dedup_by(|later, first| later.price == first.price);
        self.near.retain(|level| level.price.is_positive() && level.size.is_positive());
        let sum = |sum: V, level: &Level<V>| sum.checked_add(&level.size);
        self.total = self.near.iter().try_fold(V::zero(), sum).ok_or(Error::Range)?;
        if self.near.len() > 2 * CHUNK {
            self.spread();
        }
        Ok(())
    }

    /// Brings all levels together again, the worst first.
    #[cold]
    #[inline(never)]
    fn gather(&mut self) {
        let near = std::mem::take(&mut self.near);
        self.near = std::mem::take(&mut self.far).into_iter().flatten().chain(near).collect();
        self.far_count = 0;
    }

    /// Moves all but the best levels into chunks.
    #[cold]
    #[inline(never)]
    fn spread(&mut self) {
        let best = self.near.split_off(self.near.len() - CHUNK);
        let worse = std::mem::replace(&mut self.near, best);
        steps::count(worse.len());
        self.far_count += worse.len();
        let mut worse = worse.into_iter();
        while worse.len() > 0 {
            self.far.push(worse.by_ref().take(CHUNK).collect());
        }
    }

    /// The number of levels.
    pub fn len(&self) -> usize {
        self.near.len() + self.far_count
    }

    /// Sets the size at a price; zero removes the level. The total stays exact, as it is only
    /// added to and subtracted from.
    fn set(&mut self, level: Level<V>) -> Result<()> {
        if level.price.is_zero() {
            return Ok(());
        }
        let at = self.position(&level.price);
        let before = self.near.get(at).filter(|before| before.price == level.price);
        if before.is_none() && at == 0 && !self.far.is_empty() {
            return self.set_far(level);
        }
        self.total = self.total.checked_add(&level.more_than(before)).ok_or(Error::Range)?;
        match (before.is_some(), level.size.is_zero()) {
            (true, true) => {
                steps::count(self.near.len() - at);
                self.near.remove(at);
                if self.near.is_empty() {
                    self.refill();
                }
            }
            (true, false) => self.near[at].size = level.size,
            (false, true) => {}
            (false, false) => {
                steps::count(self.near.len() - at);
                self.near.insert(at, level);
                if self.near.len() > 2 * CHUNK {
                    self.spread();
                }
            }
        }
        Ok(())
    }

    /// Sets the size at a price that is worse than those of the best levels.
    #[cold]
    #[inline(never)]
    fn set_far(&mut self, level: Level<V>) -> Result<()> {
        let is_worse = |other: &Level<V>| Self::is_worse(other, &level.price);
        // of a price between the chunks and the best levels the last chunk takes care
        let place = self.far.partition_point(|chunk| chunk.last().is_some_and(is_worse));
        let place = place.min(self.far.len() - 1);
        let chunk = &mut self.far[place];
        steps::count(chunk.len());
        let at = chunk.partition_point(is_worse);
        let before = chunk.get(at).filter(|before| before.price == level.price);
        self.total = self.total.checked_add(&level.more_than(before)).ok_or(Error::Range)?;
        match (before.is_some(), level.size.is_zero()) {
            (true, true) => {
                chunk.remove(at);
                self.far_count -= 1;
                let is_short = chunk.len() < CHUNK / 4;
                if chunk.is_empty() {
                    self.far.remove(place);
                } else if is_short && place > 0 && self.far[place - 1].len() < CHUNK / 2 {
                    let chunk = self.far.remove(place);
                    self.far[place - 1].extend(chunk);
                }
            }
            (true, false) => chunk[at].size = level.size,
            (false, true) => {}
            (false, false) => {
                chunk.insert(at, level);
                self.far_count += 1;
                if chunk.len() > 2 * CHUNK {
                    let better = chunk.split_off(CHUNK);
                    chunk.shrink_to_fit();
                    self.far.insert(place + 1, better);
                }
            }
        }
        Ok(())
    }

    /// Lets the best chunk follow where no best level is left.
    #[cold]
    #[inline(never)]
    fn refill(&mut self) {
        if let Some(chunk) = self.far.pop() {
            self.far_count -= chunk.len();
            self.near = chunk;
        }
    }

    fn is_worse(level: &Level<V>, price: &V) -> bool {
        if HIGHEST { level.price < *price } else { level.price > *price }
    }

    /// How many of the best levels are worse than this price: steps doubling from the best, then
    /// halving.
    fn position(&self, price: &V) -> usize {
        let worse = |level: &Level<V>| Self::is_worse(level, price);
        let (mut high, mut step) = (self.near.len(), 1);
        while high > 0 {
            let low = high.saturating_sub(step);
            if worse(&self.near[low]) {
                return low + 1 + self.near[low + 1..high].partition_point(worse);
            }
            high = low;
            step *= 2;
        }
        0
    }

    /// Keeps only the best `depth` levels: exchanges send no removal for a level that falls out.
    fn truncate(&mut self, depth: usize) {
        let mut beyond = self.len().saturating_sub(depth);
        while beyond > 0 {
            let worst = self.far.first_mut().unwrap_or(&mut self.near);
            let count = beyond.min(worst.len());
            steps::count(worst.len());
            for level in worst.drain(..count) {
                self.total = self.total.clone() - level.size;
            }
            beyond -= count;
            if let Some(chunk) = self.far.first() {
                self.far_count -= count;
                if chunk.is_empty() {
                    self.far.remove(0);
                }
            }
        }
    }

    /// Best price and total.
    pub fn top(&self) -> Top<V, HIGHEST> {
        Top { best: self.best_price().cloned(), total: self.total.clone() }
    }

    /// The levels, the best one first.
    pub fn best_first(&self) -> BestFirst<'_, V> {
        BestFirst { now: self.near.iter(), far: self.far.iter(), left: self.len() }
    }

    /// The best levels up to a number, the best one last, if they stand together, as they mostly do.
    #[inline(always)]
    pub fn best_last(&self, most: usize) -> Option<&[Level<V>]> {
        match self.near.len().checked_sub(most) {
            Some(from) => Some(&self.near[from..]),
            None => self.far.is_empty().then_some(&self.near),
        }
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
            .then(|| Self::of_ordered(best_first, total))
    }

    /// The side that has these levels, the worst one first.
    fn of_ordered(levels: Vec<Level<V>>, total: V) -> Self {
        let mut side = Kept { near: levels, total, ..Kept::default() };
        if side.near.len() > 2 * CHUNK {
            side.spread();
        }
        side
    }

    fn best_price(&self) -> Option<&V> {
        self.near.last().map(|level| &level.price)
    }

    /// Returns whether a level stands at this price.
    fn has(&self, price: &V) -> bool {
        let is_worse = |level: &Level<V>| Self::is_worse(level, price);
        let best_is_worse = |chunk: &Vec<Level<V>>| chunk.last().is_some_and(is_worse);
        let chunk = self.far.get(self.far.partition_point(best_is_worse)).unwrap_or(&self.near);
        chunk.get(chunk.partition_point(is_worse)).is_some_and(|level| level.price == *price)
    }

    /// The best price of a message at which a level stands here.
    fn best_of<From>(
        &self,
        levels: &[Level<From>],
        convert: impl Fn(&From) -> Option<V>,
    ) -> Option<V> {
        let prices = levels.iter().filter_map(|level| convert(&level.price));
        let prices = prices.filter(|price| self.has(price));
        if HIGHEST { prices.max() } else { prices.min() }
    }

    /// Removes the levels that are as good as this price or better.
    fn drop_up_to(&mut self, price: Option<V>) {
        let Some(price) = price else { return };
        while self.near.last().is_some_and(|level| !Self::is_worse(level, &price)) {
            if let Some(level) = self.near.pop() {
                self.total = self.total.clone() - level.size;
            }
            if self.near.is_empty() {
                self.refill();
            }
        }
    }

    /// The same in usual values, if these can hold it.
    fn narrowed(&self) -> Option<Kept<Usual, HIGHEST>> {
        let total = self.total.as_usual()?;
        let narrowed = |level: &Level<V>| {
            steps::count(1);
            Some(Level { price: level.price.as_usual()?, size: level.size.as_usual()? })
        };
        let levels = self.worst_first().map(narrowed).collect::<Option<_>>()?;
        Some(Kept::of_ordered(levels, total))
    }

    fn widened(&self) -> Kept<Wide, HIGHEST> {
        steps::count(self.len());
        let widened =
            |level: &Level<V>| Level { price: level.price.widened(), size: level.size.widened() };
        let levels: Vec<_> = self.worst_first().map(widened).collect();
        // the total of usual values may be what did not fit
        let total = levels.iter().map(|level| &level.size).sum();
        Kept::of_ordered(levels, total)
    }

    fn worst_first(&self) -> impl Iterator<Item = &Level<V>> {
        self.far.iter().flatten().chain(&self.near)
    }
}

impl<V: Value> Level<V> {
    /// Returns how much larger the size is than that of the level before it, if there was one.
    #[inline(always)]
    fn more_than(&self, before: Option<&Self>) -> V {
        match before {
            Some(before) => self.size.clone() - before.size.clone(),
            None => self.size.clone(),
        }
    }
}

/// The levels of a side, the best one first.
#[derive(Clone, Debug)]
pub struct BestFirst<'k, V> {
    now: std::slice::Iter<'k, Level<V>>,
    far: std::slice::Iter<'k, Vec<Level<V>>>,
    left: usize,
}

impl<'k, V> Iterator for BestFirst<'k, V> {
    type Item = &'k Level<V>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let level = if let Some(level) = self.now.next_back() {
            level
        } else {
            self.now = self.far.next_back()?.iter();
            self.now.next_back()?
        };
        self.left -= 1;
        Some(level)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<V> ExactSizeIterator for BestFirst<'_, V> {}
