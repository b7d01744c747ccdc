//! The records that downstream reads, written as JSON text.

use crate::fixed::Fixed;
use crate::time::Time;

/// A best price, if there is one, and a total.
pub type Top = (Option<Fixed>, Fixed);

/// What an order book comes to.
pub struct Book {
    pub bids: Top,
    pub asks: Top,
    pub time: Option<Time>,
}

/// Opening, trade, max, min, previous close, volume, change and rate.
pub type Columns = [Option<Fixed>; 8];

pub struct Ticker {
    pub columns: Columns,
    pub time: Option<Time>,
}

const NAMES: [&[u8]; 8] = [
    b"{\"opening_price\":",
    b",\"trade_price\":",
    b",\"max_price\":",
    b",\"min_price\":",
    b",\"prev_closing_price\":",
    b",\"acc_trade_volume_24h\":",
    b",\"signed_change_price\":",
    b",\"signed_change_rate\":",
];

/// How each record of an envelope begins.
pub fn head(out: &mut Vec<u8>, region: &str, market: &str, symbol: &str) {
    out.clear();
    let names =
        [(&b"{\"region\":"[..], region), (b",\"market\":", market), (b",\"coin_symbol\":", symbol)];
    for (name, value) in names {
        out.extend_from_slice(name);
        sonic_rs::to_writer(&mut *out, value).expect("a Vec takes all");
    }
}

/// Nothing if the spread does not fit.
pub fn book(out: &mut Vec<u8>, head: &[u8], book: &Book, otherwise: Time) -> Option<()> {
    let spread = match (book.bids.0, book.asks.0) {
        (Some(bid), Some(ask)) => Some(ask.minus(bid)?),
        _ => None,
    };
    out.extend_from_slice(head);
    out.extend_from_slice(b",\"highest_bid\":");
    number(out, book.bids.0);
    out.extend_from_slice(b",\"lowest_ask\":");
    number(out, book.asks.0);
    out.extend_from_slice(b",\"spread\":");
    number(out, spread);
    out.extend_from_slice(b",\"total_bid_volume\":");
    book.bids.1.write(out);
    out.extend_from_slice(b",\"total_ask_volume\":");
    book.asks.1.write(out);
    out.extend_from_slice(b",\"timestamp\":\"");
    book.time.unwrap_or(otherwise).write_text(out);
    out.extend_from_slice(b"\"}");
    Some(())
}

pub fn ticker(out: &mut Vec<u8>, head: &[u8], ticker: &Ticker, otherwise: Time) {
    out.extend_from_slice(head);
    out.extend_from_slice(b",\"timestamp\":");
    ticker.time.unwrap_or(otherwise).write_milliseconds(out);
    out.extend_from_slice(b",\"data\":[");
    for (name, value) in NAMES.iter().zip(ticker.columns) {
        out.extend_from_slice(name);
        match value {
            Some(value) => {
                out.push(b'"');
                value.write(out);
                out.push(b'"');
            }
            None => out.extend_from_slice(b"null"),
        }
    }
    out.extend_from_slice(b"}]}");
}

fn number(out: &mut Vec<u8>, value: Option<Fixed>) {
    match value {
        Some(value) => value.write(out),
        None => out.extend_from_slice(b"null"),
    }
}
