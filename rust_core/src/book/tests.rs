//! A kept book against a map.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{Book, Summary};
use crate::number::{Usual, Value, Wide};
use crate::order_book::{Form, Level, OrderBook};

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

proptest! {
    #[test]
    fn as_a_map(
        steps in proptest::collection::vec((form(), changes(), changes(), any::<bool>()), 1..30),
        depth in 1usize..20,
    ) {
        let mut book = Book::new(depth);
        let (mut bids, mut asks) = (Map::default(), Map::default());
        for (form, bid_changes, ask_changes, is_wide) in steps {
            if is_wide {
                let wide = message(form, &bid_changes, &ask_changes, |value| value.widened());
                book.take::<Wide>(&wide, &[]);
            } else {
                book.take::<Usual>(&message(form, &bid_changes, &ask_changes, |value| value), &[]);
            }
            bids.take(form, &bid_changes, depth, Map::lowest);
            asks.take(form, &ask_changes, depth, Map::highest);
            let Summary::Usual(bid, ask) = book.summary() else { panic!("all of it fits") };
            prop_assert_eq!(bid.best, bids.highest());
            prop_assert_eq!(ask.best, asks.lowest());
            prop_assert_eq!(bid.total, bids.0.values().sum::<i128>());
            prop_assert_eq!(ask.total, asks.0.values().sum::<i128>());
        }
    }
}

#[test]
fn a_book_widens_when_its_numbers_do() {
    let mut book = Book::new(3);
    book.take(&message(Form::Snapshot, &vec![(5, i128::MAX)], &vec![(9, 1)], |value| value), &[]);
    book.take(&message(Form::Delta, &vec![(4, 2), (3, i128::MAX)], &vec![], |value| value), &[]);
    let Summary::Wide(bids, asks) = book.summary() else { panic!("it does not fit") };
    assert_eq!(bids.total, i128::MAX.widened() * 2 + 2i128.widened());
    assert_eq!((bids.best, asks.best), (Some(5.widened()), Some(9.widened())));
}

#[test]
fn a_snapshot_that_fits_makes_it_usual_again() {
    let mut book = Book::new(3);
    book.take(&message(Form::Snapshot, &vec![(5, i128::MAX), (4, 1)], &vec![], |value| value), &[]);
    assert!(matches!(book.summary(), Summary::Wide(..)));
    book.take(&message(Form::Snapshot, &vec![(5, 2)], &vec![], |value| value), &[]);
    assert!(matches!(book.summary(), Summary::Usual(..)));
}

#[test]
fn a_long_snapshot_tells_the_depth() {
    let levels = |count: i128| (1..=count).map(|price| (price, 1)).collect::<Changes>();
    let mut book = Book::new(10);
    let total = |book: &Book| match book.summary() {
        Summary::Usual(bids, _) => bids.total,
        Summary::Wide(..) => 0,
    };
    for (count, kept) in [(12, 12), (30, 30), (4, 4)] {
        let snapshot = message(Form::Snapshot, &levels(count), &vec![], |value| value);
        book.take(&snapshot, &[10, 25, 100]);
        assert_eq!(total(&book), kept);
    }
    book.take(&message(Form::Delta, &levels(14), &vec![], |value| value), &[10, 25, 100]);
    assert_eq!(total(&book), 10);
}
