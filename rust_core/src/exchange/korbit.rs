//! Korbit, which is Digital X since 2026: whole books, rolling tickers against the previous close.

use super::prelude::*;
use crate::json::shape::{Names, Object};

/// A level. `amt` and `quoteVolume`, which grouped books have too, are amounts of money and no sizes.
#[derive(Clone, Copy)]
struct Level;

impl Names<2> for Level {
    const NAMES: [&'static str; 2] = ["price", "qty"];
}

pub struct Korbit;

impl Rules for Korbit {
    const NAME: &'static str = "korbit";
    const ALIASES: &'static [&'static str] = &["digitalx"];
    const PAYLOAD: &'static [&'static str] = &["data"];
    const CHANGE_BASIS: ChangeBasis = ChangeBasis::PrevClose;
    const WIRE: Wire = Wire {
        region: "Korea",
        instruments: &["{coin}_krw"],
        currency: Currency::Won,
        depth: 30,
        books: Books::Whole,
        numbers: Numbers::Short,
        size_places: 8,
        rate_places: 2,
        derived: Derived::RateOfPrevClosing,
        nothing: "null",
        quirks: &[Quirk::ShortSide, Quirk::Crossed, Quirk::Snapshot],
        ticker: r#"{"symbol":"{instrument}","timestamp":{time_ms},"type":"ticker",
            "data":{"open":"{opening}","high":"{max}","low":"{min}","close":"{trade}",
            "prevClose":"{prev_closing}","priceChange":"{change}",
            "priceChangePercent":"{percentage}","volume":"{volume}",
            "quoteVolume":"{quote_volume}","bestAskPrice":"{ask_price}",
            "bestBidPrice":"{bid_price}","lastTradedAt":{sent_ms}}}"#,
        flattened: r#"{"timestamp":{time_ms},"open":"{opening}","close":"{trade}","high":"{max}",
            "low":"{min}","prevClose":"{prev_closing}","volume":"{volume}",
            "priceChange":"{change}","priceChangePercent":"{percentage}"}"#,
        order_book: r#"{"symbol":"{instrument}","timestamp":{sent_ms},"type":"orderbook",
            "data":{"timestamp":{time_ms},"asks":[{asks}],"bids":[{bids}]}}"#,
        snapshot: Some(
            r#"{"symbol":"{instrument}","timestamp":{sent_ms},"type":"orderbook","snapshot":true,
            "data":{"timestamp":{time_ms},"asks":[{asks}],"bids":[{bids}]}}"#,
        ),
        level: r#"{"price":"{price}","qty":"{size}"}"#,
        control: &[
            r#"{"status":"success","requestId":1}"#,
            r#"{"status":"fail","code":"INVALID_SYMBOL","message":"invalid_symbol","requestId":2}"#,
        ],
    };

    /// <https://docs.digitalx.miraeasset.com/llms/en/websocket_api/public.md>: the change in
    /// percent that is sent is rounded, so the rate is computed.
    #[inline(always)]
    fn ticker(key: &[u8]) -> Meaning {
        match key {
            b"open" => Meaning::Column(Column::Opening),
            b"close" => Meaning::Column(Column::Trade),
            b"high" => Meaning::Column(Column::Max),
            b"low" => Meaning::Column(Column::Min),
            b"prevClose" => Meaning::Column(Column::PrevClosing),
            b"volume" => Meaning::Column(Column::Volume),
            b"priceChange" => Meaning::Column(Column::Change),
            b"symbol" => Meaning::Instrument,
            b"timestamp" => Meaning::Time(0),
            b"type" => Meaning::Kind(&["ticker"]),
            _ => Meaning::Nothing,
        }
    }

    fn complete<V: Value>(ticker: &mut Ticker<V>) -> Result<()> {
        ticker.rate_of(Column::PrevClosing)
    }

    /// <https://docs.digitalx.miraeasset.com/llms/en/websocket_api/public.md>: 30 levels a side, all of them in every message. The `timestamp` around
    /// the payload is the server's, that inside is the book's.
    #[inline(always)]
    fn order_book<T: Text>(
        key: &[u8],
        reader: &mut Reader<T>,
        book: &mut OrderBook<T::Value>,
    ) -> Result<()> {
        match key {
            b"asks" => book.asks.sum(reader, Object(Level)),
            b"bids" => book.bids.sum(reader, Object(Level)),
            b"symbol" => book.read_instrument_if_extended(reader),
            b"timestamp" => book.time.read(0, reader),
            b"type" => expect_word(&mut book.kind_words, reader, &["orderbook"]),
            _ => reader.skip(),
        }
    }

    /// `{"status":"success","requestId":1}`; data never has a `status`.
    fn control(message: &Members) -> Option<Control> {
        match message.get("status") {
            _ if message.holds("data") => None,
            b"success" => Some(Control::Subscription),
            b"" => None,
            _ => Some(Control::Error),
        }
    }
}
