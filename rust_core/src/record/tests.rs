//! Written values against formatting that is slow and obvious.

use proptest::prelude::*;

use super::Records;
use crate::number::{Usual, Value, Wide};
use crate::order_book::Top;
use crate::record::Decimal;

/// How a record writes a value.
fn written<V: Decimal>(value: &V) -> String {
    let mut records = Records::default();
    let bids = Top::<V, true> { best: None, total: value.clone() };
    records.order_book(&bids, &Top::<V, false>::default(), 0);
    let text = String::from_utf8(records.lines().to_vec()).unwrap();
    let (_, rest) = text.split_once("\"total_bid_volume\":").unwrap();
    rest.split_once(',').unwrap().0.to_owned()
}

fn by_school(value: Usual) -> String {
    let (whole, fraction) =
        (value.unsigned_abs() / 10u128.pow(18), value.unsigned_abs() % 10u128.pow(18));
    let sign = if value < 0 { "-" } else { "" };
    let text = format!("{sign}{whole}.{fraction:018}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

proptest! {
    #[test]
    fn usual_and_wide_values(bits in any::<i128>(), shift in 0u32..127, zeros in 0u32..30) {
        let value = (bits >> shift) / 10i128.pow(zeros) * 10i128.pow(zeros);
        prop_assert_eq!(written(&value), by_school(value));
        prop_assert_eq!(written(&value.widened()), by_school(value));
    }
}

#[test]
fn borders() {
    for value in
        [0, 1, -1, 10i128.pow(18), 10i128.pow(26), 10i128.pow(34), i128::MAX, i128::MIN + 1]
    {
        assert_eq!(written(&value), by_school(value));
    }
    let longest = Wide::parse(format!("{}.{}", "9".repeat(400), "9".repeat(400)).as_bytes());
    assert_eq!(written(&longest.unwrap().value).len(), 801);
}

#[test]
fn a_record_of_the_longest_values_and_a_long_symbol() {
    let longest = Wide::parse(format!("{}.{}", "9".repeat(400), "9".repeat(400)).as_bytes());
    let longest = longest.unwrap().value;
    let mut records = Records::default();
    records.begin("Asia", b"okx", "s".repeat(100_000).as_bytes());
    let bids = Top::<Wide, true> { best: Some(longest.clone()), total: longest.clone() };
    let asks = Top::<Wide, false> { best: Some(longest.clone()), total: longest };
    for _ in 0..3 {
        records.order_book(&bids, &asks, 0);
    }
    assert_eq!(records.count(), 3);
    assert!(records.lines().starts_with(b"{\"region\":\"Asia\",\"market\":\"OKX\","));
}
