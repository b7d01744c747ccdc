//! Laws about what no content may do, over generated streams: panic, take steps out of proportion, or
//! cost another message than its own.

use proptest::prelude::*;

use crate::batch::{Counts, Decoder, Input, Kind, Outcome, Output, Row};
use crate::exchange::{ALL, Exchange};
use crate::fault::STRUCK;
use crate::steps;

fn decoder(kind: Kind) -> Decoder {
    let row = |exchange| Row { exchange, depth: 5_000, crossed_grace: 10, ..Row::default() };
    Decoder::new(kind, (0..ALL.len()).map(row).collect(), Output::default(), 100)
}

fn envelope(market: &str, items: &[String]) -> Vec<u8> {
    let items = items.join(",");
    format!(r#"{{"market":"{market}","symbol":"A","data":[{items}]}}"#).into_bytes()
}

fn decode(decoder: &mut Decoder, value: &[u8]) -> Outcome {
    decoder.decode([Input { value, timestamp: Some(1_793_577_600_000), offset: None }])
}

fn counts(outcome: &Outcome, exchange: &str) -> Counts {
    outcome.counts[Exchange::find(exchange.as_bytes()).unwrap()]
}

fn levels(levels: &[(String, String)]) -> String {
    let levels: Vec<_> = levels.iter().map(|(p, s)| format!(r#"["{p}","{s}"]"#)).collect();
    levels.join(",")
}

fn okx(action: &str, bids: &[(String, String)], asks: &[(String, String)], rest: &str) -> String {
    format!(
        r#"{{"arg":{{"channel":"books-all","instId":"A"}},"action":"{action}","data":[{{"bids":[{}],"asks":[{}]{rest}}}]}}"#,
        levels(bids),
        levels(asks)
    )
}

/// Numbers that are long in one way or the other.
fn number() -> impl Strategy<Value = String> {
    let digits = |count: usize| "7".repeat(count);
    prop_oneof![
        8 => (1u32..50).prop_map(|number| number.to_string()),
        1 => Just("0".to_owned()),
        1 => (1usize..80_000).prop_map(|zeros| format!("1.{}", "0".repeat(zeros))),
        1 => (1u32..200_000).prop_map(|exponent| format!("0e-{exponent}")),
        1 => (1u32..400).prop_map(|exponent| format!("1e-{exponent}")),
        1 => (19usize..300).prop_map(digits),
        1 => (19usize..300).prop_map(move |count| format!("1.{}", digits(count))),
    ]
}

fn side() -> impl Strategy<Value = Vec<(String, String)>> {
    proptest::collection::vec((number(), number()), 0..5)
}

proptest! {
    /// Whatever numbers come with a checksum: no fault, and the same after a restart.
    #[test]
    fn checksums_of_any_numbers(
        messages in proptest::collection::vec(
            (any::<bool>(), side(), side(), prop_oneof![Just(0i64), Just(1), -9i64..9]), 1..6
        ),
        is_kraken in any::<bool>(),
    ) {
        let market = if is_kraken { "KRAKEN" } else { "OKX" };
        let mut decoder = decoder(Kind::OrderBook);
        for (number, (is_snapshot, bids, asks, checksum)) in messages.iter().enumerate() {
            let rest = format!(r#","checksum":{checksum},"seqId":{},"prevSeqId":{number}"#, number + 1);
            let item = if is_kraken {
                kraken(*is_snapshot, bids, asks, *checksum)
            } else {
                okx(if *is_snapshot { "snapshot" } else { "update" }, bids, asks, &rest)
            };
            let outcome = decode(&mut decoder, &envelope(market, &[item]));
            prop_assert!(outcome.rejects.iter().all(|reject| reject.fault.is_none()));
            for (name, content) in decoder.checkpoints() {
                prop_assert_eq!(decoder.restore(&name, &content.unwrap(), i64::MAX), Ok(()));
            }
        }
    }

    /// Steps are in proportion to bytes, whatever a book holds and wherever it changes.
    #[test]
    fn steps_of_any_stream(
        count in 0usize..3_000,
        wide in proptest::option::of(0usize..3_000),
        changes in proptest::collection::vec(change(), 1..200),
    ) {
        let mut snapshot: Vec<_> =
            (1..=count).map(|price| (price.to_string(), "1".to_owned())).collect();
        if let Some(wide) = wide {
            snapshot.push((format!("{wide}.{}", "3".repeat(30)), "1".to_owned()));
        }
        let mut decoder = decoder(Kind::OrderBook);
        let first = envelope("OKX", &[okx("snapshot", &snapshot, &[], "")]);
        steps::counted();
        decode(&mut decoder, &first);
        let taken = steps::counted();
        prop_assert!(taken <= STEPS_A_BYTE * first.len() + STEPS, "{} of {}", taken, first.len());
        let (mut bytes, mut taken) = (0, 0);
        for (bids, asks) in changes {
            let value = envelope("OKX", &[okx("update", &bids, &asks, "")]);
            decode(&mut decoder, &value);
            bytes += value.len();
            taken += steps::counted();
            // the levels themselves may be gone through twice, to widen and to narrow them
            let most = STEPS_A_BYTE * bytes + 2 * count + STEPS;
            prop_assert!(taken <= most, "{} of {}", taken, bytes);
        }
    }

    /// At most the limit of books is kept, those updated last, and each drop is reported.
    #[test]
    fn books_beyond_the_limit(
        names in proptest::collection::vec(0u32..300, 1..600),
        limit in 1usize..120,
    ) {
        let rows = (0..ALL.len()).map(|exchange| Row { exchange, depth: 10, ..Row::default() });
        let mut decoder = Decoder::new(Kind::OrderBook, rows.collect(), Output::default(), limit);
        let (mut latest, mut dropped, mut removed): (Vec<u32>, u64, usize) = (Vec::new(), 0, 0);
        for (number, name) in names.iter().enumerate() {
            let item = format!(
                r#"{{"topic":"orderbook.1.{name}","type":"snapshot","data":{{"s":"{name}","b":[],"a":[],"u":1}}}}"#
            );
            let outcome = decode(&mut decoder, &envelope("BYBIT", &[item]));
            latest.retain(|other| other != name);
            latest.push(*name);
            if latest.len() > limit {
                let oldest = latest.remove(0).to_string();
                let change = outcome.changes.iter().find(|change| change.reason.name() == "limit");
                prop_assert_eq!(change.map(|change| &change.instrument), Some(&oldest));
                dropped += 1;
            }
            if number % 50 == 0 {
                removed += decoder.checkpoints().iter().filter(|(_, content)| content.is_none()).count();
            }
            prop_assert_eq!(decoder.books().len(), latest.len());
            prop_assert_eq!(counts(&outcome, "bybit").oddities[5] > 0, outcome.changes.iter().any(
                |change| change.reason.name() == "limit"
            ));
        }
        let mut kept: Vec<_> = decoder.books().into_iter().map(|book| book.instrument).collect();
        let mut wanted: Vec<_> = latest.iter().map(u32::to_string).collect();
        kept.sort();
        wanted.sort();
        prop_assert_eq!(kept, wanted);
        prop_assert!(u64::try_from(removed).unwrap() <= dropped);
    }
}

/// Prices and sizes.
type Changes = Vec<(String, String)>;

/// Reading goes over a text up to six times; a change moves at most a chunk and what a search visits.
const STEPS_A_BYTE: usize = 8;
const STEPS: usize = 1_000;

/// A small message: nothing, a level anywhere, or one that usual values do not hold, put or removed.
fn change() -> impl Strategy<Value = (Changes, Changes)> {
    let level = (0u32..3_500, 0u32..2).prop_map(|(p, s)| (p.to_string(), s.to_string()));
    let wide =
        (0u32..9, 0u32..2).prop_map(|(p, s)| (format!("{p}.{}", "3".repeat(30)), s.to_string()));
    let any = prop_oneof![4 => level, 1 => wide];
    (proptest::collection::vec(any.clone(), 0..3), proptest::collection::vec(any, 0..2))
}

fn kraken(
    is_snapshot: bool,
    bids: &[(String, String)],
    asks: &[(String, String)],
    checksum: i64,
) -> String {
    let levels = |levels: &[(String, String)]| {
        let level =
            |(price, size): &(String, String)| format!(r#"{{"price":{price},"qty":{size}}}"#);
        levels.iter().map(level).collect::<Vec<_>>().join(",")
    };
    let kind = if is_snapshot { "snapshot" } else { "update" };
    format!(
        r#"{{"channel":"book","type":"{kind}","data":[{{"symbol":"A","bids":[{}],"asks":[{}],"checksum":{checksum}}}]}}"#,
        levels(bids),
        levels(asks)
    )
}

/// A fault of this program costs its item; the book that was at work is suspect until its next base.
#[test]
fn a_fault_costs_one_item() {
    let mut decoder = decoder(Kind::OrderBook);
    let message = |name: &str, kind: &str, number: u32| {
        format!(
            r#"{{"topic":"orderbook.1.A","type":"{kind}","data":{{"s":"{name}","b":[["1","{number}"]],"a":[],"u":{number}}}}}"#
        )
    };
    let struck = std::str::from_utf8(STRUCK).unwrap();
    let items = [
        message("A", "snapshot", 1),
        message(struck, "snapshot", 2),
        "1".to_owned(),
        message("A", "delta", 2),
    ];
    let outcome = decode(&mut decoder, &envelope("BYBIT", &items));
    let rejects: Vec<_> =
        outcome.rejects.iter().map(|reject| (reject.item, reject.error.code())).collect();
    assert_eq!(rejects, [(Some(1), "internal"), (Some(2), "not_json")]);
    let reject = &outcome.rejects[0];
    assert!(reject.fault.as_ref().is_some_and(|fault| fault.contains("fault.rs")), "{reject:?}");
    assert!(reject.value.windows(struck.len()).any(|part| part == STRUCK));
    let counts = counts(&outcome, "bybit");
    assert_eq!((counts.items, counts.decoded, counts.records, counts.rejected), (4, 2, 2, 2));
    assert_eq!(decoder.records().split(|byte| *byte == b'\n').count(), 3);
    let changes: Vec<_> = outcome.changes.iter().map(|change| &change.instrument[..]).collect();
    assert_eq!(changes, ["A", struck]);
    assert_eq!(outcome.changes[1].quality.name(), "suspect");
    assert_eq!(outcome.changes[1].reason.name(), "internal");
    let again = decode(&mut decoder, &envelope("BYBIT", &items[1..2]));
    assert!(again.changes.is_empty(), "it is suspect already");
}

#[test]
fn a_fault_makes_its_book_suspect() {
    let mut books = crate::books::Books::new(10);
    let bybit = Exchange::find(b"bybit").unwrap();
    let place = crate::books::Place { exchange: bybit, symbol: b"A", offset: None };
    let mut message = crate::order_book::OrderBook::<i128>::default();
    message.becomes(crate::order_book::Form::Snapshot);
    message.instrument = b"A".to_vec();
    let terms = crate::book::Terms { depth: 10, crossed_grace: 10 };
    books.publish(place, &message, &terms, &|_| None);
    // as if it had failed right here
    let loss = books.abandon(|_, _| None).unwrap();
    assert_eq!((&loss.instrument[..], loss.quality.name()), ("A", "suspect"));
    assert_eq!(books.states()[0].quality.name(), "suspect");
    books.publish(place, &message, &terms, &|_| None);
    assert_eq!(books.states()[0].quality.name(), "valid");
    books.finish();
    assert_eq!(books.abandon(|_, _| None), None);
}
