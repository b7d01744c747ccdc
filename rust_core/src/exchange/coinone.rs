//! Coinone: whole books whose asks come worst first, tickers of the Korean day without a change.

use super::prelude::*;
use crate::json::shape::{Names, Object};

/// A level.
#[derive(Clone, Copy)]
struct Level;

impl Names<2> for Level {
    const NAMES: [&'static str; 2] = ["price", "qty"];
}

/// A level in short form.
#[derive(Clone, Copy)]
struct ShortLevel;

impl Names<2> for ShortLevel {
    const NAMES: [&'static str; 2] = ["p", "q"];
}

pub struct Coinone;

impl Rules for Coinone {
    const NAME: &'static str = "coinone";
    const PAYLOAD: &'static [&'static str] = &["data", "d"];
    const CHANGE_BASIS: ChangeBasis = ChangeBasis::PrevClose;
    const WIRE: Wire = Wire {
        region: "Korea",
        instruments: &["{COIN}"],
        currency: Currency::Won,
        depth: 16,
        books: Books::WholeWorstAskFirst,
        numbers: Numbers::Short,
        size_places: 8,
        rate_places: 8,
        derived: Derived::ChangeSincePrevClosing,
        nothing: "null",
        quirks: &[Quirk::ShortSide, Quirk::Crossed],
        ticker: r#"{"response_type":"DATA","channel":"TICKER","data":{"quote_currency":"KRW",
            "target_currency":"{instrument}","timestamp":{time_ms},
            "quote_volume":"{quote_volume}","target_volume":"{volume}","high":"{max}",
            "low":"{min}","first":"{opening}","last":"{trade}","volume_power":"104.17",
            "ask_best_price":"{ask_price}","ask_best_qty":"{ask_size}",
            "bid_best_price":"{bid_price}","bid_best_qty":"{bid_size}","id":"{time_ms}001",
            "yesterday_high":"{year_max}","yesterday_low":"{year_min}",
            "yesterday_first":"{average}","yesterday_last":"{prev_closing}",
            "yesterday_quote_volume":"{quote_volume}","yesterday_target_volume":"{day_volume}"}}"#,
        flattened: r#"{"timestamp":{time_ms},"first":"{opening}","last":"{trade}","high":"{max}",
            "low":"{min}","yesterday_last":"{prev_closing}","target_volume":"{volume}"}"#,
        order_book: r#"{"response_type":"DATA","channel":"ORDERBOOK",
            "data":{"quote_currency":"KRW","target_currency":"{instrument}",
            "timestamp":{sent_ms},"id":"{time_ms}001","asks":[{asks}],"bids":[{bids}]}}"#,
        snapshot: None,
        level: r#"{"price":"{price}","qty":"{size}"}"#,
        control: &[
            r#"{"response_type":"CONNECTED","data":{"session_id":"0e9c3a5d-simulated"}}"#,
            r#"{"response_type":"SUBSCRIBED","channel":"ORDERBOOK",
            "data":{"quote_currency":"KRW","target_currency":"{instrument}"}}"#,
            r#"{"response_type":"PONG"}"#,
            r#"{"response_type":"ERROR","error_code":160012,"message":"Invalid Topic"}"#,
        ],
    };

    /// <https://docs.coinone.co.kr/reference/public-websocket-ticker>: all columns, the volume
    /// included, are since 0:00 in Seoul. Each key has a short form, format `SHORT`.
    #[inline(always)]
    fn ticker(key: &[u8]) -> Meaning {
        match key {
            b"first" | b"fi" => Meaning::Column(Column::Opening),
            b"last" | b"la" => Meaning::Column(Column::Trade),
            b"high" | b"hi" => Meaning::Column(Column::Max),
            b"low" | b"lo" => Meaning::Column(Column::Min),
            b"yesterday_last" | b"yla" => Meaning::Column(Column::PrevClosing),
            b"target_volume" | b"tv" => Meaning::Column(Column::Volume),
            b"target_currency" | b"tc" => Meaning::Instrument,
            b"timestamp" | b"t" => Meaning::Time(0),
            b"channel" | b"c" => Meaning::Kind(&["TICKER"]),
            _ => Meaning::Nothing,
        }
    }

    fn complete<V: Value>(ticker: &mut Ticker<V>) -> Result<()> {
        ticker.change_since(Column::PrevClosing)?;
        ticker.rate_of(Column::PrevClosing)
    }

    /// <https://docs.coinone.co.kr/reference/public-websocket-orderbook>: 16 levels a side, all of
    /// them in every message. The asks are turned round by never asking where a level stands: the
    /// lowest is the best.
    #[inline(always)]
    fn order_book<T: Text>(
        key: &[u8],
        reader: &mut Reader<T>,
        book: &mut OrderBook<T::Value>,
    ) -> Result<()> {
        match key {
            b"asks" => book.asks.sum(reader, Object(Level)),
            b"bids" => book.bids.sum(reader, Object(Level)),
            b"a" => book.asks.sum(reader, Object(ShortLevel)),
            b"b" => book.bids.sum(reader, Object(ShortLevel)),
            b"id" | b"i" => {
                book.sequence.last = book.time.read_id(1, reader)?;
                Ok(())
            }
            b"target_currency" | b"tc" => book.read_instrument(reader),
            b"timestamp" | b"t" => book.time.read(0, reader),
            b"channel" | b"c" => expect_word(&mut book.kind_words, reader, &["ORDERBOOK"]),
            _ => reader.skip(),
        }
    }

    /// <https://docs.coinone.co.kr/reference/public-websocket-1>
    fn control(message: &Members) -> Option<Control> {
        let response = [message.get("response_type"), message.get("r")].concat();
        match &response[..] {
            b"SUBSCRIBED" | b"UNSUBSCRIBED" => Some(Control::Subscription),
            b"PONG" => Some(Control::Heartbeat),
            b"CONNECTED" => Some(Control::Status),
            b"ERROR" => Some(Control::Error),
            _ => None,
        }
    }
}
