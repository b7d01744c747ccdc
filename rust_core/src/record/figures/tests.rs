//! Figures against rational numbers, added up the slow and obvious way.

use std::fmt::Write;

use num_bigint::BigInt;
use num_integer::Integer;
use num_rational::Ratio;
use num_traits::{One, Pow, Signed, ToPrimitive, Zero};
use proptest::collection::vec;
use proptest::prelude::*;

use super::Figures;
use super::quotient::{big_quotient, small_quotient};
use crate::number::{Usual, Value, Wide};
use crate::order_book::Level;

type Rational = Ratio<BigInt>;

/// Price and size of each level, best first.
type Levels = Vec<(Rational, Rational)>;

const IMBALANCE_LEVELS: [usize; 4] = [0, 1, 3, 10];
const DEPTH_BPS: [u32; 6] = [0, 1, 10, 5_000, 10_000, u32::MAX];

/// What must be written of a book.
fn by_definition(bids: &Levels, asks: &Levels) -> String {
    let int = |number: i64| Rational::from(BigInt::from(number));
    let mut members = String::new();
    let mut member = |name: &str, value: Option<Rational>| {
        let text = value.map_or_else(|| "null".to_owned(), |value| by_school(&value));
        write!(members, ",\"{name}\":{text}").unwrap();
    };
    let ratio = |numerator: Rational, denominator: Rational| {
        (!denominator.is_zero()).then(|| numerator / denominator)
    };
    let best = bids.first().zip(asks.first());
    let mid = best.map(|(bid, ask)| (&bid.0 + &ask.0) / int(2));
    member("best_bid_size", bids.first().map(|level| level.1.clone()));
    member("best_ask_size", asks.first().map(|level| level.1.clone()));
    member("mid_price", mid.clone());
    let spread = best.map(|(bid, ask)| &ask.0 - &bid.0);
    member("spread_bps", spread.zip(mid.clone()).map(|(spread, mid)| int(10_000) * spread / mid));
    member(
        "weighted_mid",
        best.map(|(bid, ask)| (&bid.0 * &ask.1 + &ask.0 * &bid.1) / (&bid.1 + &ask.1)),
    );
    let total = |levels: &Levels, holds: &dyn Fn(usize, &Rational) -> bool| -> Rational {
        let counted = levels.iter().enumerate().filter(|(i, level)| holds(*i, &level.0));
        counted.map(|(_, level)| &level.1).sum()
    };
    let imbalance = |levels: usize| {
        let (bids, asks) = (total(bids, &|i, _| i < levels), total(asks, &|i, _| i < levels));
        ratio(&bids - &asks, bids + asks)
    };
    member("imbalance_l1", imbalance(1));
    for levels in IMBALANCE_LEVELS {
        member(&format!("imbalance_{levels}"), imbalance(levels));
    }
    for bps in DEPTH_BPS {
        let part = int(bps.into()) / int(10_000);
        let lowest = mid.clone().map(|mid| mid * (int(1) - &part));
        let highest = mid.clone().map(|mid| mid * (int(1) + &part));
        let bid_depth = lowest.map(|lowest| total(bids, &|_, price| *price >= lowest));
        let ask_depth = highest.map(|highest| total(asks, &|_, price| *price <= highest));
        member(&format!("bid_depth_{bps}bps"), bid_depth);
        member(&format!("ask_depth_{bps}bps"), ask_depth);
    }
    members
}

/// Long division, digit by digit.
fn by_school(value: &Rational) -> String {
    let mut reduced = value.denom().clone();
    for factor in [2, 5] {
        while reduced.is_multiple_of(&BigInt::from(factor)) {
            reduced /= factor;
        }
    }
    let has_end = reduced.is_one();
    let (mut whole, mut rest) = value.numer().abs().div_rem(value.denom());
    let mut digits: Vec<u8> = Vec::new();
    while !rest.is_zero() && (has_end || digits.len() < 10) {
        let (digit, next) = (rest * 10u8).div_rem(value.denom());
        digits.push(digit.to_u8().unwrap());
        rest = next;
    }
    let mut carry = rest * 2u8 > *value.denom();
    for digit in digits.iter_mut().rev() {
        *digit += u8::from(carry);
        carry = *digit == 10;
        *digit %= 10;
    }
    whole += u8::from(carry);
    while digits.last() == Some(&0) {
        digits.pop();
    }
    let sign =
        if value.is_negative() && !(whole.is_zero() && digits.is_empty()) { "-" } else { "" };
    let point = if digits.is_empty() { "" } else { "." };
    let fraction: String = digits.into_iter().map(|digit| char::from(b'0' + digit)).collect();
    format!("{sign}{whole}{point}{fraction}")
}

fn rational<V: Value>(value: &V) -> Rational {
    let unit: BigInt = Pow::pow(BigInt::from(10), Wide::PLACES);
    Rational::new(value.widened(), unit)
}

fn rationals<V: Value>(levels: &[Level<V>]) -> Levels {
    levels.iter().map(|level| (rational(&level.price), rational(&level.size))).collect()
}

fn figures() -> Figures {
    let repeated = [IMBALANCE_LEVELS, IMBALANCE_LEVELS].concat();
    let descending: Vec<u32> = DEPTH_BPS.iter().rev().copied().collect();
    Figures::new(&repeated, &descending)
}

fn written<V: Value>(bids: &[Level<V>], asks: &[Level<V>]) -> String {
    let mut out = b"before".to_vec();
    figures().write(&mut out, bids.iter(), asks.iter());
    String::from_utf8(out).unwrap().strip_prefix("before").unwrap().to_owned()
}

/// As written without 128-bit sums.
fn written_with_wide_sums<V: Value>(bids: &[Level<V>], asks: &[Level<V>]) -> String {
    let mut out = Vec::new();
    let widened = |value: &V| Some(value.widened());
    figures().attempt(&mut out, bids.iter(), asks.iter(), widened).unwrap();
    String::from_utf8(out).unwrap()
}

/// A positive number: mostly of few digits, sometimes any.
fn usual() -> impl Strategy<Value = Usual> {
    prop_oneof![
        4 => (1i128..100, 0u32..36).prop_map(|(digits, zeros)| digits * 10i128.pow(zeros)),
        4 => (1i128..10i128.pow(9), 6u32..20).prop_map(|(digits, zeros)| digits * 10i128.pow(zeros)),
        1 => (0u32..126).prop_map(|power| 1 << power),
        1 => (0u32..54).prop_map(|power| 5i128.pow(power)),
        1 => (any::<i128>(), 0u32..126).prop_map(|(bits, shift)| {
            (bits.unsigned_abs() >> shift >> 1).max(1).cast_signed()
        }),
        1 => Just(Usual::MAX),
    ]
}

fn wide() -> impl Strategy<Value = Wide> {
    prop_oneof![
        (any::<u64>(), 0usize..780)
            .prop_map(|(digits, zeros)| Wide::from(digits | 1) * Pow::pow(Wide::from(10), zeros)),
        "[1-9][0-9]{0,799}".prop_map(|digits| digits.parse().unwrap()),
        usual().prop_map(|value| value.widened()),
    ]
}

fn side<V: Value + 'static>(value: BoxedStrategy<V>) -> impl Strategy<Value = Vec<Level<V>>> {
    let level = (value.clone(), value).prop_map(|(price, size)| Level { price, size });
    vec(level, 0..14)
}

/// Bids and asks of any prices, so that books are crossed as often as not; sometimes locked.
fn sides<V: Value + 'static>(
    value: BoxedStrategy<V>,
) -> impl Strategy<Value = (Vec<Level<V>>, Vec<Level<V>>)> {
    (side(value.clone()), side(value), 0..8).prop_map(|(mut bids, mut asks, chance)| {
        asks.sort_by(|a, b| a.price.cmp(&b.price));
        if let (0, Some(ask)) = (chance, asks.first()) {
            bids.retain(|bid| bid.price < ask.price);
            bids.push(ask.clone());
        }
        bids.sort_by(|a, b| b.price.cmp(&a.price));
        (bids, asks)
    })
}

/// A book as it mostly is: few ticks around a price.
fn narrow() -> impl Strategy<Value = (Vec<Level<Usual>>, Vec<Level<Usual>>)> {
    let level = || (0i128..300, 1i128..1_000_000, 0u32..6);
    (1_000i128..10_000_000, 8u32..18, vec(level(), 0..20), vec(level(), 0..20)).prop_map(
        |(price, zeros, bids, asks)| {
            let tick = 10i128.pow(zeros);
            let side = |levels: Vec<(i128, i128, u32)>, sign: i128| -> Vec<Level<Usual>> {
                let level = |(ticks, size, zeros): (i128, i128, u32)| Level {
                    price: (price + sign * (ticks - 2)) * tick,
                    size: size * 10i128.pow(10 + zeros),
                };
                let mut levels: Vec<_> = levels.into_iter().map(level).collect();
                levels.sort_by_key(|level| sign * level.price);
                levels
            };
            (side(bids, -1), side(asks, 1))
        },
    )
}

proptest! {
    #[test]
    fn narrow_books((bids, asks) in narrow()) {
        let expected = by_definition(&rationals(&bids), &rationals(&asks));
        prop_assert_eq!(&written(&bids, &asks), &expected);
        prop_assert_eq!(&written_with_wide_sums(&bids, &asks), &expected);
    }

    #[test]
    fn books_of_any_usual_values((bids, asks) in sides(usual().boxed())) {
        let expected = by_definition(&rationals(&bids), &rationals(&asks));
        prop_assert_eq!(&written(&bids, &asks), &expected);
        prop_assert_eq!(&written_with_wide_sums(&bids, &asks), &expected);
    }

    #[test]
    fn quotients(numerator in usual(), denominator in usual(), is_negative: bool) {
        let numerator = if is_negative { -numerator } else { numerator };
        let (big_numerator, big_denominator) = (numerator.into(), denominator.into());
        let (mut small, mut big) = (Vec::new(), Vec::new());
        big_quotient(&mut big, &big_numerator, &big_denominator);
        let expected = by_school(&Rational::new(big_numerator, big_denominator));
        prop_assert_eq!(String::from_utf8(big).unwrap(), expected.clone());
        let magnitudes = (numerator.unsigned_abs(), denominator.unsigned_abs());
        match small_quotient(&mut small, is_negative, magnitudes.0, magnitudes.1) {
            Some(()) => prop_assert_eq!(String::from_utf8(small).unwrap(), expected),
            None => prop_assert!(small.is_empty()),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))] // long division of long numbers is slow

    #[test]
    fn books_of_wide_values((bids, asks) in sides(wide().boxed())) {
        let expected = by_definition(&rationals(&bids), &rationals(&asks));
        prop_assert_eq!(&written(&bids, &asks), &expected);
    }
}

/// Levels of decimals: `price size, price size`.
fn book(text: &str) -> Vec<Level<Usual>> {
    let number = |text: &str| Usual::parse(text.as_bytes()).unwrap().value;
    let level = |(price, size): (&str, &str)| Level { price: number(price), size: number(size) };
    text.split_terminator(", ").map(|text| level(text.split_once(' ').unwrap())).collect()
}

/// What is written of two sides, with an imbalance of two levels and a depth of ten basis points.
fn example(bids: &str, asks: &str) -> String {
    let mut out = Vec::new();
    Figures::new(&[2], &[10]).write(&mut out, book(bids).iter(), book(asks).iter());
    String::from_utf8(out).unwrap()
}

#[test]
fn a_book_by_hand() {
    assert_eq!(
        example("99.99 3, 99.9 1, 99.89 5", "100.01 1, 100.1 0.5, 100.11 7"),
        ",\"best_bid_size\":3,\"best_ask_size\":1,\"mid_price\":100,\"spread_bps\":2,\
         \"weighted_mid\":100.005,\"imbalance_l1\":0.5,\"imbalance_2\":0.4545454545,\
         \"bid_depth_10bps\":4,\"ask_depth_10bps\":1.5"
    );
}

#[test]
fn one_side_or_none() {
    assert_eq!(
        example("", "0.5 2"),
        ",\"best_bid_size\":null,\"best_ask_size\":2,\"mid_price\":null,\"spread_bps\":null,\
         \"weighted_mid\":null,\"imbalance_l1\":-1,\"imbalance_2\":-1,\
         \"bid_depth_10bps\":null,\"ask_depth_10bps\":null"
    );
    assert_eq!(
        example("", ""),
        ",\"best_bid_size\":null,\"best_ask_size\":null,\"mid_price\":null,\"spread_bps\":null,\
         \"weighted_mid\":null,\"imbalance_l1\":null,\"imbalance_2\":null,\
         \"bid_depth_10bps\":null,\"ask_depth_10bps\":null"
    );
}

#[test]
fn locked_and_crossed() {
    let locked = example("7 1", "7 3");
    assert!(locked.contains(",\"mid_price\":7,\"spread_bps\":0,\"weighted_mid\":7,"), "{locked}");
    let crossed = example("3 1", "1 1");
    assert!(crossed.contains(",\"mid_price\":2,\"spread_bps\":-10000,"), "{crossed}");
    // neither best price is near the mid
    assert!(crossed.ends_with(",\"bid_depth_10bps\":1,\"ask_depth_10bps\":1"), "{crossed}");
}

#[test]
fn a_depth_that_ends_between_two_units() {
    let side = |prices: [Usual; 2]| prices.map(|price| Level { price, size: 10i128.pow(18) });
    let (bids, asks) = (side([10_001, 10_000]), side([10_002, 10_003]));
    let mut out = Vec::new();
    Figures::new(&[], &[1, 2]).write(&mut out, bids.iter(), asks.iter());
    let text = String::from_utf8(out).unwrap();
    // one basis point reaches from 10000.49985 to 10002.50015
    let depths =
        ",\"bid_depth_1bps\":1,\"ask_depth_1bps\":1,\"bid_depth_2bps\":2,\"ask_depth_2bps\":2";
    assert!(text.ends_with(depths), "{text}");
}

#[test]
fn ends_and_rounding() {
    let text = |numerator: i128, denominator: i128| {
        let mut out = Vec::new();
        super::quotient(&mut out, &numerator, &denominator);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(text(2, 3), "0.6666666667");
    assert_eq!(text(-2, 3), "-0.6666666667");
    assert_eq!(text(1, 4096), "0.000244140625");
    assert_eq!(text(3 * 7, 4096 * 7), "0.000732421875");
    assert_eq!(text(1, 5i128.pow(14)), "0.00000000016384");
    assert_eq!(text(-1, 30_000_000_000), "0");
    assert_eq!(text(-2, 30_000_000_000), "-0.0000000001");
    assert_eq!(text(29_999_999_999, 30_000_000_000), "1");
    assert_eq!(text(1, 20_000_000_000), "0.00000000005");
    assert_eq!(text(Usual::MAX, 1), Usual::MAX.to_string());
    assert_eq!(text(5, 0), "null");
}
