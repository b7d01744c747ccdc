//! The true order book: both sides to below the depth that anybody is shown, in integers.

use super::coins::Scale;
use super::dice::Dice;

/// A price in units of the instrument, and the size that stands there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    pub price: i64,
    pub size: i64,
}

/// How many more levels than those shown there are at least, and at most.
const BELOW: (usize, usize) = (3, 40);

/// One side, the best level last.
#[derive(Clone, Debug)]
pub struct Side {
    levels: Vec<Level>,
    /// 1 for bids and -1 for asks: prices times this grow towards the best.
    sign: i64,
    depth: usize,
    /// The prices in the view that were touched, with the size there before; 0 is none.
    touched: Vec<Level>,
}

impl Side {
    fn new(sign: i64, depth: usize) -> Self {
        Side { levels: Vec::new(), sign, depth, touched: Vec::new() }
    }

    /// The levels that the exchange shows, the best last.
    pub fn view(&self) -> &[Level] {
        &self.levels[self.levels.len().saturating_sub(self.depth)..]
    }

    fn best(&self) -> i64 {
        self.levels.last().map_or(0, |level| level.price)
    }

    fn find(&self, price: i64) -> Result<usize, usize> {
        let key = price * self.sign;
        self.levels.binary_search_by_key(&key, |level| level.price * self.sign)
    }

    /// Sets the size at a price; 0 removes the level. Notes what that changes in the view.
    fn set(&mut self, level: Level) {
        let hidden = self.levels.len().saturating_sub(self.depth);
        match self.find(level.price) {
            Ok(at) if level.size > 0 => {
                let before = std::mem::replace(&mut self.levels[at], level);
                self.note(at >= hidden, before);
            }
            Ok(at) => {
                let before = self.levels.remove(at);
                self.note(at >= hidden, before);
                if at >= hidden && hidden > 0 {
                    self.note(true, Level { size: 0, ..self.levels[hidden - 1] }); // comes into view
                }
            }
            Err(_) if level.size == 0 => {}
            Err(at) => {
                let last = (self.levels.len() >= self.depth).then(|| self.levels[hidden]);
                self.levels.insert(at, level);
                self.note(at >= hidden, Level { size: 0, ..level });
                if let Some(last) = last {
                    self.note(at > hidden, last); // goes out of view
                }
            }
        }
    }

    fn note(&mut self, is_shown: bool, before: Level) {
        if is_shown && self.touched.iter().all(|level| level.price != before.price) {
            self.touched.push(before);
        }
    }

    /// The size that is shown at a price, and whether any is there at all.
    fn shown(&self, price: i64) -> (i64, bool) {
        match self.find(price) {
            Ok(at) if at + self.depth >= self.levels.len() => (self.levels[at].size, true),
            Ok(_) => (0, true),
            Err(_) => (0, false),
        }
    }

    /// Writes down how the view differs from the one when the message began, in any order.
    pub fn changes(&self, tell_pushed_out: bool, changes: &mut Vec<Level>, dice: &mut Dice) {
        changes.clear();
        for before in &self.touched {
            let (size, exists) = self.shown(before.price);
            if size != before.size && (size > 0 || !exists || tell_pushed_out) {
                changes.push(Level { size, ..*before });
            }
        }
        dice.shuffle(changes);
    }

    /// Adds levels below when there are too few, takes them away when there are too many.
    fn refill(&mut self, scale: &Scale, dice: &mut Dice) {
        let (least, most) = (self.depth + BELOW.0, self.depth + BELOW.1);
        while self.levels.len() < least {
            let worst = self.levels.first().map_or(scale.prices.middle, |level| level.price);
            let price = worst - self.sign * scale.prices.step * dice.between(1, 3);
            if price <= 0 {
                break;
            }
            self.set(Level { price, size: scale.size(dice) });
        }
        if self.levels.len() > most {
            self.levels.drain(..(BELOW.1 - BELOW.0) / 2);
        }
    }
}

/// Both sides, never crossed.
#[derive(Clone, Debug)]
pub struct TrueBook {
    pub bids: Side,
    pub asks: Side,
    scale: Scale,
}

impl TrueBook {
    pub fn new(depth: usize, scale: Scale, dice: &mut Dice) -> Self {
        let (mut bids, mut asks) = (Side::new(1, depth), Side::new(-1, depth));
        bids.refill(&scale, dice);
        asks.refill(&scale, dice);
        TrueBook { bids, asks, scale }
    }

    /// Lets some orders come, go and meet.
    pub fn step(&mut self, dice: &mut Dice) {
        self.bids.touched.clear();
        self.asks.touched.clear();
        for _ in 0..=dice.below(8) {
            self.order(dice);
        }
        if dice.once_in(4) {
            self.trade(dice);
        }
        self.bids.refill(&self.scale, dice);
        self.asks.refill(&self.scale, dice);
    }

    /// An order, the more probable the better: a new level, another size or no level any more.
    fn order(&mut self, dice: &mut Dice) {
        let is_bid = dice.once_in(2);
        let (side, opposite) =
            if is_bid { (&mut self.bids, &self.asks) } else { (&mut self.asks, &self.bids) };
        let view = side.view();
        let reach = dice.place(view.len()) + 1;
        let near = view[view.len() - 1 - dice.place(reach)].price;
        let price = near + self.scale.prices.step * dice.between(-2, 2);
        let crosses = (opposite.best() - price) * side.sign <= 0;
        if price <= 0 || crosses {
            return;
        }
        let is_cancelled = view.len() > 1 && dice.once_in(3) && side.find(price).is_ok();
        side.set(Level { price, size: if is_cancelled { 0 } else { self.scale.size(dice) } });
    }

    /// Takes the best level away and lets the other side come nearer by as much.
    fn trade(&mut self, dice: &mut Dice) {
        let middle = self.scale.prices.middle;
        let far = middle / 20;
        let is_up = match self.bids.best() - middle {
            away if away > far => false,
            away if away < -far => true,
            _ => dice.once_in(2),
        };
        let (taken, nearer) =
            if is_up { (&mut self.asks, &mut self.bids) } else { (&mut self.bids, &mut self.asks) };
        if taken.levels.len() > 1 {
            let price = taken.best();
            taken.set(Level { price, size: 0 });
            nearer.set(Level { price, size: self.scale.size(dice) });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::coins::COINS;
    use super::*;

    /// Both the changes that tell all and those that do not lead to the same view.
    #[test]
    fn changes_make_the_view() {
        let kraken = crate::exchange::Exchange::find(b"kraken").unwrap();
        let wire = crate::exchange::ALL[kraken].wire;
        let mut dice = Dice::new(1, 0);
        let mut book = TrueBook::new(10, Scale::new(&COINS[1], &wire), &mut dice);
        let view = |side: &Side| -> BTreeMap<i64, i64> {
            side.view().iter().map(|level| (level.price, level.size)).collect()
        };
        let mut told = view(&book.asks);
        let mut untold = told.clone();
        let mut changes = Vec::new();
        for _ in 0..20_000 {
            book.step(&mut dice);
            assert!(book.bids.best() < book.asks.best());
            for (tell, kept) in [(true, &mut told), (false, &mut untold)] {
                book.asks.changes(tell, &mut changes, &mut dice);
                kept.extend(changes.iter().map(|level| (level.price, level.size)));
                kept.retain(|_, size| *size > 0);
                *kept = std::mem::take(kept).into_iter().take(if tell { 99 } else { 10 }).collect();
                assert_eq!(*kept, view(&book.asks));
            }
        }
    }
}
