//! The derived figures of an order book, from both sides' levels to JSON members.
//!
//! With b and a the best bid's and the best ask's price, and qb and qa their sizes:
//!
//! | member | definition | known as |
//! |---|---|---|
//! | `best_bid_size`, `best_ask_size` | qb; qa | |
//! | `mid_price` | (b + a) / 2 | mid-price |
//! | `spread_bps` | 10000 · (a - b) / mid | relative quoted spread, in basis points |
//! | `weighted_mid` | (b · qa + a · qb) / (qa + qb) | weighted mid-price (Gatheral and Oomen, 2010); often called micro-price, but Stoikov's (2018) is another one, estimated from past books |
//! | `imbalance_l1` | (qb - qa) / (qb + qa) | queue imbalance (Gould and Bonart, 2016) |
//! | `imbalance_{N}` | the same of the best N levels' total sizes | order-book imbalance, depth imbalance |
//! | `bid_depth_{X}bps` | total size of bids at mid · (1 - X / 10000) or above | market depth (so Kaiko, who give 0.1, 1 and 2 %) |
//! | `ask_depth_{X}bps` | total size of asks at mid · (1 + X / 10000) or below | |
//!
//! What divides by zero or needs a best price that is not there is null. So an imbalance is 1 or -1
//! if one side is empty, and null only if both are. A locked or crossed book is no special case.
//!
//! A number that has finitely many decimals has all of them; any other is rounded to ten.

mod quotient;
#[cfg(test)]
mod tests;

use crate::number::Value;
use crate::order_book::Level;
use quotient::{Exact, decimal, quotient, weighted_mean};

/// Which figures are asked for, beside those that always are.
#[derive(Clone, Debug)]
pub struct Figures {
    imbalances: Vec<Imbalance>,
    depths: Vec<Depth>,
}

#[derive(Clone, Debug)]
struct Imbalance {
    levels: usize,
    name: String,
}

#[derive(Clone, Debug)]
struct Depth {
    bps: u32,
    bid_name: String,
    ask_name: String,
}

impl Figures {
    /// They are written in ascending order, each once.
    pub fn new(imbalance_levels: &[usize], depth_bps: &[u32]) -> Self {
        let imbalance = |levels| Imbalance { levels, name: format!(",\"imbalance_{levels}\":") };
        let depth = |bps| Depth {
            bps,
            bid_name: format!(",\"bid_depth_{bps}bps\":"),
            ask_name: format!(",\"ask_depth_{bps}bps\":"),
        };
        Figures {
            imbalances: ascending(imbalance_levels).into_iter().map(imbalance).collect(),
            depths: ascending(depth_bps).into_iter().map(depth).collect(),
        }
    }

    /// Writes all of them as JSON members, each with a comma before it. The levels are those with a
    /// price and a size, best first.
    pub fn write<'b, V: Value + 'b>(
        &self,
        out: &mut Vec<u8>,
        bids: impl Iterator<Item = &'b Level<V>> + Clone,
        asks: impl Iterator<Item = &'b Level<V>> + Clone,
    ) {
        let before = out.len();
        if self.attempt(out, bids.clone(), asks.clone(), V::as_usual).is_none() {
            out.truncate(before);
            let fits = self.attempt(out, bids, asks, |value| Some(value.widened()));
            debug_assert!(fits.is_some(), "wide values hold any sum and any product");
        }
    }

    /// The same with numbers of one kind, unless one does not fit.
    fn attempt<'b, V: Value + 'b, E: Exact>(
        &self,
        out: &mut Vec<u8>,
        bids: impl Iterator<Item = &'b Level<V>> + Clone,
        asks: impl Iterator<Item = &'b Level<V>> + Clone,
        convert: impl Fn(&V) -> Option<E> + Copy,
    ) -> Option<()> {
        let best_bid = best(bids.clone(), convert)?;
        let best_ask = best(asks.clone(), convert)?;
        let (lowest_bids, highest_asks) = match (&best_bid, &best_ask) {
            (Some(bid), Some(ask)) => self.bounds(&bid.price.checked_add(&ask.price)?)?,
            _ => Default::default(),
        };
        let bids = self.totals(bids, convert, &lowest_bids, |price, lowest| price >= lowest)?;
        let asks = self.totals(asks, convert, &highest_asks, |price, highest| price <= highest)?;

        write_best(out, best_bid.as_ref(), best_ask.as_ref())?;
        for (i, imbalance) in self.imbalances.iter().enumerate() {
            write_imbalance(out, &imbalance.name, &bids.of_best[i], &asks.of_best[i])?;
        }
        for (i, depth) in self.depths.iter().enumerate() {
            write_value(out, &depth.bid_name, bids.within.get(i));
            write_value(out, &depth.ask_name, asks.within.get(i));
        }
        Some(())
    }

    /// For each depth the lowest price that its bids may have, and the highest one of its asks.
    fn bounds<E: Exact>(&self, twice_mid: &E) -> Option<(Vec<E>, Vec<E>)> {
        // prices are whole numbers of units, so that rounded bounds part them as exact ones would
        let whole = E::from(2 * BPS);
        let bounds = self.depths.iter().map(|depth| {
            let lowest = twice_mid.checked_mul(&E::from(BPS - i64::from(depth.bps)))?;
            let highest = twice_mid.checked_mul(&E::from(BPS + i64::from(depth.bps)))?;
            Some((lowest.div_ceil(&whole), highest.div_floor(&whole)))
        });
        bounds.collect()
    }

    /// Adds up one side's sizes, as far as it takes.
    #[inline(always)]
    fn totals<'b, V: Value + 'b, E: Exact>(
        &self,
        levels: impl Iterator<Item = &'b Level<V>>,
        convert: impl Fn(&V) -> Option<E>,
        bounds: &[E],
        reaches: impl Fn(&E, &E) -> bool,
    ) -> Option<Totals<E>> {
        let mut of_best = vec![E::zero(); self.imbalances.len()];
        let mut within = vec![E::zero(); bounds.len()];
        let mut counts = self.imbalances.iter().zip(&mut of_best);
        let mut bounds = bounds.iter().zip(&mut within);
        let (mut next_count, mut next_bound) = (counts.next(), bounds.next());
        let mut total = E::zero();
        for (before, Level { price, size }) in levels.enumerate() {
            while let Some((imbalance, of_best)) = &mut next_count
                && imbalance.levels == before
            {
                of_best.clone_from(&total);
                next_count = counts.next();
            }
            while let Some((bound, within)) = &mut next_bound
                && !reaches(&convert(price)?, bound)
            {
                within.clone_from(&total);
                next_bound = bounds.next();
            }
            if next_count.is_none() && next_bound.is_none() {
                break;
            }
            total = total.checked_add(&convert(size)?)?;
        }
        for (_, of_best) in next_count.into_iter().chain(counts) {
            of_best.clone_from(&total);
        }
        for (_, within) in next_bound.into_iter().chain(bounds) {
            within.clone_from(&total);
        }
        Some(Totals { of_best, within })
    }
}

const BPS: i64 = 10_000;

/// One side's total sizes: of so many levels for each imbalance, and within each bound.
struct Totals<E> {
    of_best: Vec<E>,
    within: Vec<E>,
}

fn ascending<T: Ord + Copy>(numbers: &[T]) -> Vec<T> {
    let mut numbers = numbers.to_vec();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// The first level, if there is one; nothing at all if it does not fit.
#[expect(clippy::option_option, reason = "no level is not the same as one that does not fit")]
fn best<'b, V: 'b, E>(
    mut levels: impl Iterator<Item = &'b Level<V>>,
    convert: impl Fn(&V) -> Option<E>,
) -> Option<Option<Level<E>>> {
    match levels.next() {
        Some(Level { price, size }) => {
            Some(Some(Level { price: convert(price)?, size: convert(size)? }))
        }
        None => Some(None),
    }
}

/// Writes what comes of the best levels alone.
fn write_best<E: Exact>(
    out: &mut Vec<u8>,
    bid: Option<&Level<E>>,
    ask: Option<&Level<E>>,
) -> Option<()> {
    write_value(out, ",\"best_bid_size\":", bid.map(|bid| &bid.size));
    write_value(out, ",\"best_ask_size\":", ask.map(|ask| &ask.size));
    if let Some((bid, ask)) = bid.zip(ask) {
        let twice_mid = bid.price.checked_add(&ask.price)?;
        out.extend_from_slice(b",\"mid_price\":");
        decimal(out, &twice_mid.checked_mul(&E::from(5))?, E::PLACES + 1);
        out.extend_from_slice(b",\"spread_bps\":");
        let spread = ask.price.checked_sub(&bid.price)?;
        quotient(out, &spread.checked_mul(&E::from(2 * BPS))?, &twice_mid);
        out.extend_from_slice(b",\"weighted_mid\":");
        weighted_mean(out, [&bid.price, &ask.price], [&ask.size, &bid.size]);
    } else {
        out.extend_from_slice(b",\"mid_price\":null,\"spread_bps\":null,\"weighted_mid\":null");
    }
    let size = |level: Option<&Level<E>>| level.map_or_else(E::zero, |level| level.size.clone());
    write_imbalance(out, ",\"imbalance_l1\":", &size(bid), &size(ask))
}

fn write_value<E: Exact>(out: &mut Vec<u8>, name: &str, value: Option<&E>) {
    out.extend_from_slice(name.as_bytes());
    match value {
        Some(value) => decimal(out, value, E::PLACES),
        None => out.extend_from_slice(b"null"),
    }
}

fn write_imbalance<E: Exact>(out: &mut Vec<u8>, name: &str, bids: &E, asks: &E) -> Option<()> {
    out.extend_from_slice(name.as_bytes());
    quotient(out, &bids.checked_sub(asks)?, &bids.checked_add(asks)?);
    Some(())
}
