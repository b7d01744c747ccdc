//! The market again from the same seed, and what the decoder makes of it against the truth.

use super::*;
use crate::batch::{Decoder, Input, Row};
use crate::record::Output;

const ENOUGH: usize = 2_000_000;
const KINDS: [Kind; 2] = [Kind::Ticker, Kind::OrderBook];

#[test]
fn same_arguments_same_bytes_however_cut() {
    for exchange in 0..ALL.len() {
        for kind in KINDS {
            let market = |seed| Market::new(exchange, kind, Style::Exchange, seed, true);
            let whole = market(7).envelopes(200_000);
            let mut cut = market(7);
            let mut parts = Block::default();
            while parts.lines.len() < whole.lines.len() {
                let part = cut.envelopes(1);
                parts.lines.extend(part.lines);
                parts.truth.extend(part.truth);
            }
            assert_eq!((parts.lines, parts.truth), (whole.lines.clone(), whole.truth));
            assert_ne!(market(8).envelopes(200_000).lines, whole.lines);
        }
    }
}

#[test]
fn truth_changes_nothing() {
    for kind in KINDS {
        let lines =
            |truth| Market::new(4, kind, Style::Flattened, 1, truth).envelopes(100_000).lines;
        assert_eq!(lines(true), lines(false));
    }
}

#[test]
fn style_changes_no_truth() {
    for kind in KINDS {
        let truth = |style| Market::new(0, kind, style, 1, true).envelopes(400_000).truth;
        let (exchange, reserialised) = (truth(Style::Exchange), truth(Style::Reserialised));
        let common = exchange.len().min(reserialised.len());
        assert_eq!(exchange[..common], reserialised[..common]);
    }
}

#[test]
fn tickers_as_sent() {
    each_exchange(Kind::Ticker, Style::Exchange);
}

#[test]
fn tickers_reserialised() {
    each_exchange(Kind::Ticker, Style::Reserialised);
}

#[test]
fn tickers_flattened() {
    each_exchange(Kind::Ticker, Style::Flattened);
}

#[test]
fn order_books_as_sent() {
    each_exchange(Kind::OrderBook, Style::Exchange);
}

#[test]
fn order_books_reserialised() {
    each_exchange(Kind::OrderBook, Style::Reserialised);
}

fn each_exchange(kind: Kind, style: Style) {
    for (exchange, rules) in ALL.iter().enumerate() {
        let block = Market::new(exchange, kind, style, 20_261_123, true).envelopes(ENOUGH);
        let (region, depth) = (rules.wire.region.to_owned(), rules.wire.depth);
        let row = Row { exchange, region, depth, ..Row::default() };
        let mut decoder = Decoder::new(kind, vec![row], Output::default(), 10_000);
        let values = block.lines.split(|byte| *byte == b'\n').filter(|value| !value.is_empty());
        let inputs =
            values.map(|value| Input { value, timestamp: Some(1_800_000_000_000), offset: None });
        let outcome = decoder.decode(inputs);
        if let Some(reject) = outcome.rejects.first() {
            let value = String::from_utf8_lossy(&reject.value);
            panic!("{}: {:?} {:.2000}", rules.name, reject.error, value);
        }
        let counts = &outcome.counts[exchange];
        assert_eq!(outcome.envelopes as u64, block.envelopes);
        assert_eq!(counts.items, block.items);
        assert_eq!(counts.control.iter().sum::<u64>(), block.control);
        assert_eq!(counts.records, block.items - block.control, "{}", rules.name);
        compare(rules.name, decoder.records(), &block.truth);
    }
}

fn compare(exchange: &str, records: &[u8], truth: &[u8]) {
    let lines =
        |text| String::from_utf8(text).unwrap().lines().map(str::to_owned).collect::<Vec<_>>();
    let (records, truth) = (lines(records.to_vec()), lines(truth.to_vec()));
    for (number, (record, truth)) in records.iter().zip(&truth).enumerate() {
        assert_eq!(&masked(record, truth), truth, "{exchange}, line {number}");
    }
    assert_eq!(records.len(), truth.len(), "{exchange}");
}

/// The record without its time where the truth has none: the clock or Kafka said it.
fn masked(record: &str, truth: &str) -> String {
    const KEY: &str = "\"timestamp\":";
    if !truth.contains("\"timestamp\":null") {
        return record.to_owned();
    }
    let (before, after) = record.split_once(KEY).unwrap();
    let end = after.find([',', '}']).unwrap();
    format!("{before}{KEY}null{}", &after[end..])
}
