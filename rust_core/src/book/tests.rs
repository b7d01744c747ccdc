//! A kept book against a map.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::checkpoint::Sides;
use super::levels::Levels;
use super::{Book, Terms};
use crate::exchange::{ALL, Exchange};
use crate::number::{Usual, Value, Wide};
use crate::order_book::{Form, Level, OrderBook, UNCUT};
use crate::record::Decimal;

type Changes = Vec<(i128, i128)>;

fn message<V: Value>(
    form: Form,
    bids: &Changes,
    asks: &Changes,
    value: fn(i128) -> V,
) -> OrderBook<V> {
    let mut message = OrderBook::default();
    message.becomes(form);
    let level = |(price, size): &(i128, i128)| Level { price: value(*price), size: value(*size) };
    message.bids.levels.extend(bids.iter().map(level));
    message.asks.levels.extend(asks.iter().map(level));
    message
}

/// What the book must be: best first, cut to depth.
#[derive(Default)]
struct Map(BTreeMap<i128, i128>);

impl Map {
    fn take(
        &mut self,
        form: Form,
        changes: &Changes,
        depth: usize,
        worst: fn(&Self) -> Option<i128>,
    ) {
        if form == Form::Snapshot {
            self.0.clear();
        }
        for &(price, size) in changes.iter().filter(|(price, _)| *price > 0) {
            if size == 0 {
                self.0.remove(&price)
            } else {
                self.0.insert(price, size)
            };
        }
        while self.0.len() > depth {
            let worst = worst(self).unwrap();
            self.0.remove(&worst);
        }
    }

    fn lowest(&self) -> Option<i128> {
        self.0.keys().next().copied()
    }

    fn highest(&self) -> Option<i128> {
        self.0.keys().next_back().copied()
    }
}

fn changes() -> impl Strategy<Value = Changes> {
    let level = (0i128..40, prop_oneof![Just(0i128), 1i128..1000]);
    prop_oneof![
        9 => proptest::collection::vec(level.clone(), 0..12),
        1 => proptest::collection::vec(level, 60..90),
    ]
}

fn form() -> impl Strategy<Value = Form> {
    prop_oneof![1 => Just(Form::Snapshot), 6 => Just(Form::Delta)]
}

/// Some whose sum does not fit usual values, and prices that stand there twice.
fn changes_of_any_size() -> impl Strategy<Value = Changes> {
    let size = prop_oneof![0..9i128, Just(i128::MAX / 3)];
    proptest::collection::vec((0..20i128, size), 0..12)
}

proptest! {
    #[test]
    fn what_is_held_is_a_whole_book_once_it_is_arranged(
        held in changes_of_any_size(),
        bids in changes_of_any_size(),
        asks in changes_of_any_size(),
    ) {
        let [before, whole] =
            [(&held, &held), (&bids, &asks)].map(|(bids, asks)| message(Form::Whole, bids, asks, |v| v));
        let (mut lazy, mut eager) = (Levels::default(), Levels::default());
        lazy.hold(&before);
        lazy.hold(&whole);
        lazy.arrange();
        eager.take(&whole, UNCUT);
        prop_assert_eq!(shown(&lazy), shown(&eager));
        lazy.arrange();
        prop_assert_eq!(shown(&lazy), shown(&eager));
    }

    #[test]
    fn as_a_map(
        steps in proptest::collection::vec((form(), changes(), changes(), any::<bool>()), 1..30),
        depth in 1usize..60,
    ) {
        let mut levels = Levels::default();
        let (mut bids, mut asks) = (Map::default(), Map::default());
        for (form, bid_changes, ask_changes, is_wide) in steps {
            if is_wide {
                let wide = message(form, &bid_changes, &ask_changes, |value| value.widened());
                levels.take::<Wide>(&wide, depth);
            } else {
                let usual = message(form, &bid_changes, &ask_changes, |value| value);
                levels.take::<Usual>(&usual, depth);
            }
            bids.take(form, &bid_changes, depth, Map::lowest);
            asks.take(form, &ask_changes, depth, Map::highest);
            let Levels::Usual(bid, ask) = &levels else { panic!("all of it fits") };
            prop_assert_eq!(bid.top().best, bids.highest());
            prop_assert_eq!(ask.top().best, asks.lowest());
            prop_assert_eq!(bid.top().total, bids.0.values().sum::<i128>());
            prop_assert_eq!(ask.top().total, asks.0.values().sum::<i128>());
            let best_first = bid.best_first().map(|level| level.price).collect::<Vec<_>>();
            prop_assert_eq!(best_first, bids.0.keys().rev().copied().collect::<Vec<_>>());
            prop_assert_eq!(ask.best_first().len(), asks.0.len());
            prop_assert_eq!(ask.best_first().count(), asks.0.len());
        }
    }

    /// A book that has been wide for a while is the same as one that is usual, whatever comes.
    #[test]
    fn wide_as_usual(
        first in (changes(), changes()),
        steps in proptest::collection::vec((form(), changes(), changes()), 1..12),
        depth in 1usize..60,
    ) {
        let (mut usual, mut wide) = (Levels::default(), Levels::default());
        let snapshot = message(Form::Snapshot, &first.0, &first.1, |value| value);
        usual.take(&snapshot, depth);
        wide.take(&snapshot, depth);
        wide.take(&message(Form::Delta, &vec![(50, i128::MAX), (51, i128::MAX)], &vec![], |v| v), 100);
        wide.take(&message(Form::Delta, &vec![(50, 0), (51, 0)], &vec![], |value| value), 100);
        usual.take(&message(Form::Delta, &vec![(50, 1), (51, 1)], &vec![], |value| value), 100);
        usual.take(&message(Form::Delta, &vec![(50, 0), (51, 0)], &vec![], |value| value), 100);
        for (form, bids, asks) in steps {
            let message = message(form, &bids, &asks, |value| value);
            for levels in [&mut usual, &mut wide] {
                levels.take(&message, depth);
                levels.uncross(&message);
            }
            prop_assert_eq!(shown(&usual), shown(&wide));
            prop_assert_eq!(usual.touch(), wide.touch());
        }
    }
}

/// All that is seen of levels.
fn shown(levels: &Levels) -> (String, [String; 2]) {
    let totals = match levels {
        Levels::Usual(bids, asks) => [bids.top().total.to_text(), asks.top().total.to_text()],
        Levels::Wide(bids, asks) => [bids.top().total.to_text(), asks.top().total.to_text()],
    };
    (serde_json::to_string(&Sides::of(levels)).unwrap(), totals)
}

#[test]
fn levels_widen_when_their_numbers_do() {
    let mut levels = Levels::default();
    levels.take(&message(Form::Snapshot, &vec![(5, i128::MAX)], &vec![(9, 1)], |value| value), 3);
    levels.take(&message(Form::Delta, &vec![(4, 2), (3, i128::MAX)], &vec![], |value| value), 3);
    let Levels::Wide(bids, asks) = levels else { panic!("it does not fit") };
    assert_eq!(bids.top().total, i128::MAX.widened() * 2 + 2i128.widened());
    assert_eq!(bids.top().best, Some(5.widened()));
    assert_eq!(asks.top().best, Some(9.widened()));
}

#[test]
fn a_snapshot_that_fits_makes_them_usual_again() {
    let mut levels = Levels::default();
    let long = message(Form::Snapshot, &vec![(5, i128::MAX), (4, 1)], &vec![], |value| value);
    levels.take(&long, 3);
    assert!(matches!(levels, Levels::Wide(..)));
    levels.take(&message(Form::Snapshot, &vec![(5, 2)], &vec![], |value| value), 3);
    assert!(matches!(levels, Levels::Usual(..)));
}

#[test]
fn a_long_snapshot_tells_the_depth() {
    let levels = |count: i128| (1..=count).map(|price| (price, 1)).collect::<Changes>();
    let kraken = &ALL[Exchange::find(b"kraken").unwrap()];
    let mut book = Book::new(10, None);
    let mut count_after = |form, count| {
        let message = message(form, &levels(count), &vec![], |value| value);
        book.take(&message, kraken, &Terms::default());
        book.levels.counts()[0]
    };
    for (count, kept) in [(12, 12), (30, 30), (4, 4)] {
        assert_eq!(count_after(Form::Snapshot, count), kept);
    }
    assert_eq!(count_after(Form::Delta, 14), 10);
}
