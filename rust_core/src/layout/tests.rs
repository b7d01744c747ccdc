//! What was learnt changes nothing: a decoder that has seen other messages says of each what one
//! says that has seen none.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::{BEST, Layout, MISS, MOST_BYTES, REST};
use crate::batch::{Counts, Decoder, Input, Kind, Reject, Row};
use crate::control::control;
use crate::draft::Drafts;
use crate::envelope::Envelope;
use crate::exchange::{ALL, Exchange};
use crate::json::Reader;
use crate::json::string::unescape;
use crate::json::text::Plain;
use crate::record::{Figures, Output};
use crate::simulate::{Market, Style};

/// How a message is damaged, or merely changed.
#[derive(Clone, Debug)]
enum Change {
    /// Nothing, so that there is something to learn.
    None,
    /// Another value behind one of the colons, if it is a scalar.
    Value(Index, &'static str),
    /// Another member before one of the keys.
    Member(Index, &'static str),
    /// A byte more, less or different.
    Insert(Index, u8),
    Remove(Index),
    Replace(Index, u8),
}

impl Change {
    fn apply(&self, item: &mut Vec<u8>) {
        match self {
            Change::None => {}
            Change::Value(which, value) => {
                let colons = positions(item, b':');
                if colons.is_empty() {
                    return;
                }
                let start = colons[which.index(colons.len())] + 1;
                let length = item[start..].iter().position(|byte| b",}]".contains(byte));
                let value = spelled(value, item);
                item.splice(start..start + length.unwrap_or(0), value.bytes());
            }
            Change::Member(which, member) => {
                let commas = positions(item, b',');
                if commas.is_empty() {
                    return;
                }
                let at = commas[which.index(commas.len())];
                let member = spelled(member, item);
                item.splice(at..at, member.bytes());
            }
            Change::Insert(at, byte) => item.insert(at.index(item.len()), *byte),
            Change::Remove(at) => {
                item.remove(at.index(item.len()));
            }
            Change::Replace(at, byte) => {
                let at = at.index(item.len());
                item[at] = *byte;
            }
        }
    }
}

/// Text as it stands in this item.
fn spelled(text: &str, item: &[u8]) -> String {
    text.replace('"', if item[0] == b'"' { "\\\"" } else { "\"" })
}

fn positions(text: &[u8], byte: u8) -> Vec<usize> {
    (0..text.len()).filter(|at| text[*at] == byte).collect()
}

const VALUES: &[&str] = &[
    "null",
    "\"\"",
    "\"A\"",
    "0",
    "-0.10",
    "\"1.5\"",
    "1e-7",
    "12345678901234567890.1",
    "\"2026-11-25T10:02:03.000004Z\"",
    "1764064923000",
    "{\"a\":1,\"b\":[]}",
    "[1, 2]",
    "true",
    " 7 ",
    "\"\\\\n\"",
    "1 2",
    "\"ticker\"",
    " ",
    "  ",
    "",
    " {",
    " [1",
    "\"B\"",
];

/// Members that mean something somewhere.
const MEMBERS: &[&str] = &[
    ",\"data\":1",
    ",\"data\":\"x\"",
    ",\"data\":{\"last\":5}",
    ",\"result\":null",
    ",\"d\":[{\"la\":\"5\"}]",
    ",\"arg\":null",
    ",\"arg\":{\"channel\":\"tickers\",\"instId\":\"A\"}",
    ",\"type\":\"ticker\"",
    ",\"channel\":\"ticker\"",
    ",\"last\":7",
    ",\"ts\":1764064923000",
    ",\"symbol\":\"A\"",
    ",\"a\":1",
    ",\"a\":\"\"",
];

fn change() -> impl Strategy<Value = Change> {
    let bytes = || select(b"\"\\{}[],: 0123456789.eE-+tfnua\n\x00\xff".to_vec());
    prop_oneof![
        3 => Just(Change::None),
        2 => (any::<Index>(), select(VALUES)).prop_map(|(at, value)| Change::Value(at, value)),
        2 => (any::<Index>(), select(MEMBERS)).prop_map(|(at, text)| Change::Member(at, text)),
        1 => (any::<Index>(), bytes()).prop_map(|(at, byte)| Change::Insert(at, byte)),
        1 => any::<Index>().prop_map(Change::Remove),
        1 => (any::<Index>(), bytes()).prop_map(|(at, byte)| Change::Replace(at, byte)),
    ]
}

fn decoder(exchange: usize, is_extended: bool) -> Decoder {
    let row = Row { exchange, region: "Korea".to_owned(), depth: 30, ..Row::default() };
    let extended = is_extended.then(|| Figures::new(&[], &[]));
    let output = Output { extended, ..Output::default() };
    Decoder::new(Kind::Ticker, vec![row], output, 100)
}

/// Items of a simulated market.
fn items(exchange: usize, style: Style, seed: u64, bytes: usize) -> Vec<Vec<u8>> {
    let lines = Market::new(exchange, Kind::Ticker, style, seed, false).envelopes(bytes).lines;
    let mut ranges = Vec::new();
    let mut items = Vec::new();
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        Envelope::split(line, &mut ranges).unwrap();
        items.extend(ranges.iter().map(|range| line[range.clone()].to_vec()));
    }
    items
}

fn said_of(decoder: &mut Decoder, value: &[u8]) -> (String, Vec<Reject>, [Counts; ALL.len()]) {
    let outcome =
        decoder.decode([Input { value, timestamp: Some(1_800_000_000_000), offset: None }]);
    let records = String::from_utf8(decoder.records().to_vec()).unwrap();
    (records, outcome.rejects, outcome.counts)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn what_was_learnt_changes_nothing(
        exchange in 0..ALL.len(),
        style in select(vec![Style::Exchange, Style::Reserialised, Style::Flattened]),
        is_extended in any::<bool>(),
        seed in any::<u64>(),
        changes in vec(change(), 1..60),
    ) {
        let mut learned = decoder(exchange, is_extended);
        for (mut item, change) in items(exchange, style, seed, 60_000).into_iter().zip(changes) {
            change.apply(&mut item);
            let head = format!(r#"{{"market":"{}","symbol":"S","data":["#, ALL[exchange].name);
            let value = [head.as_bytes(), &item, b"]}"].concat();
            let expected = said_of(&mut decoder(exchange, is_extended), &value);
            let text = String::from_utf8_lossy(&value).into_owned();
            prop_assert_eq!(said_of(&mut learned, &value), expected, "{}", text);
        }
    }
}

/// Keys of each exchange that mean something, and of values some that might.
const KEYS: &[(&str, &[&str])] = &[
    ("okx", &["last", "ts", "data", "arg", "open24h", "a"]),
    ("bybit", &["lastPrice", "ts", "data", "topic", "symbol", "a"]),
    ("coinone", &["last", "t", "data", "d", "channel", "target_currency", "a"]),
    ("upbit", &["trade_price", "timestamp", "type", "code", "opening_price", "a"]),
];
const ODD_VALUES: &[&str] = &[
    "1",
    "2.50",
    "\"3\"",
    "\"\"",
    "\"x\"",
    "null",
    "\"a\\nb\"",
    "\"tickers\"",
    "\"tickers.A\"",
    "\"TICKER\"",
    "\"ticker\"",
    "{\"last\":5,\"lastPrice\":5}",
    "[{\"last\":5,\"lastPrice\":5}]",
    "{\"channel\":\"tickers\"}",
    "{\"channel\":\"tickers\",\"instId\":\"A\"}",
    "{",
    "[1",
    "{}",
    "",
    " ",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]
    #[test]
    fn whatever_the_same_keys_hold_later(
        (market, keys) in select(KEYS).prop_flat_map(|(market, keys)| {
            (Just(market), vec(select(keys), 1..5))
        }),
        space in select(&["", " "][..]),
        is_text in any::<bool>(),
        is_extended in any::<bool>(),
        rows in vec(vec(select(ODD_VALUES), 4), 1..8),
    ) {
        let exchange = Exchange::find(market.as_bytes()).unwrap();
        let trade = KEYS.iter().find(|(name, _)| *name == market).unwrap().1[0];
        let mut learned = decoder(exchange, is_extended);
        for row in rows {
            let member = |(key, value): (&&str, &&str)| format!(",{space}\"{key}\":{space}{value}");
            let members: String = keys.iter().zip(&row).map(member).collect();
            let mut item = format!("{{\"{trade}\":{space}7{members}}}");
            if is_text {
                item = format!("\"{}\"", item.replace('\\', "\\\\").replace('"', "\\\""));
            }
            let value = format!(r#"{{"market":"{market}","symbol":"S","data":[{item}]}}"#);
            let expected = said_of(&mut decoder(exchange, is_extended), value.as_bytes());
            prop_assert_eq!(said_of(&mut learned, value.as_bytes()), expected, "{}", value);
        }
    }
}

/// Reads a sound message; whether the layout was of use.
fn is_known(layout: &mut Layout, text: &[u8], exchange: usize, is_extended: bool) -> bool {
    let mut drafts = Drafts::default();
    drafts.clear(is_extended);
    let is_known = layout.read(&mut Reader::<Plain>::new(text), &mut drafts);
    if !is_known {
        layout.learn::<Plain>(text, &ALL[exchange], is_extended);
    }
    is_known
}

/// Messages of each exchange as they come in one envelope, unescaped.
fn messages(exchange: usize, style: Style) -> Vec<Vec<u8>> {
    let plain = |item: Vec<u8>| match &item[..] {
        [b'"', inside @ .., b'"'] => {
            let mut text = Vec::new();
            unescape(inside, &mut text).unwrap();
            text
        }
        _ => item,
    };
    let is_ticker = |text: &Vec<u8>| control(text, &ALL[exchange]).is_none();
    items(exchange, style, 7, 400_000).into_iter().map(plain).filter(is_ticker).collect()
}

#[test]
fn most_messages_are_laid_out_as_others_were() {
    for (exchange, rules) in ALL.iter().enumerate() {
        for style in [Style::Exchange, Style::Reserialised, Style::Flattened] {
            for is_extended in [false, true] {
                let mut layout = Layout::default();
                let messages = messages(exchange, style);
                let known =
                    messages.iter().map(|text| is_known(&mut layout, text, exchange, is_extended));
                let known = known.filter(|is_known| *is_known).count();
                let (name, count) = (rules.name, messages.len());
                assert!(known * 10 > count * 9, "{name} {style:?}: {known} of {count}");
            }
        }
    }
}

#[test]
fn what_does_not_help_is_left_for_a_while() {
    let okx = Exchange::find(b"okx").unwrap();
    let mut layout = Layout::default();
    let texts = [&b"{\"last\":1,\"ts\":2}"[..], b"{\"ts\":2,\"last\":1}"];
    let mut at_rest = 0;
    for text in texts.iter().cycle().take(20_000) {
        assert!(!is_known(&mut layout, text, okx, false));
        at_rest += usize::from(layout.rest > 0);
    }
    assert!(at_rest > 19_000, "{at_rest}");
    for _ in 0..REST + 2 {
        is_known(&mut layout, texts[0], okx, false);
    }
    assert!(is_known(&mut layout, texts[0], okx, false), "it may again");
}

#[test]
fn an_exception_is_not_learnt() {
    let okx = Exchange::find(b"okx").unwrap();
    let mut layout = Layout::default();
    let (usual, other) = (b"{\"last\":1}", b"{\"last\":1,\"ts\":2}");
    for _ in 0..=2 * MISS {
        is_known(&mut layout, usual, okx, false);
    }
    assert!(!is_known(&mut layout, other, okx, false));
    assert!(is_known(&mut layout, usual, okx, false));
    for _ in 0..2 * BEST {
        is_known(&mut layout, other, okx, false);
    }
    assert!(is_known(&mut layout, other, okx, false), "not for ever");
}

#[test]
fn long_messages_and_many_payloads_are_not_learnt() {
    let okx = Exchange::find(b"okx").unwrap();
    let long = format!("{{\"last\":1,\"a\":\"{}\"}}", "x".repeat(MOST_BYTES));
    for text in [&b"{\"data\":[{\"last\":1},{\"last\":2}]}"[..], b"{\"data\":[]}", long.as_bytes()]
    {
        let mut layout = Layout::default();
        for _ in 0..5 {
            assert!(!is_known(&mut layout, text, okx, false));
        }
        assert!(layout.steps.is_empty());
    }
}
