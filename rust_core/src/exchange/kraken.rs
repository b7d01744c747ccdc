//! Kraken v2: kept books of bare numbers, tickers with the change since 24 hours ago.

use super::prelude::*;
use crate::json::shape::{Names, Object};

/// A level.
#[derive(Clone, Copy)]
struct Level;

impl Names<2> for Level {
    const NAMES: [&'static str; 2] = ["price", "qty"];
}

pub struct Kraken;

impl Rules for Kraken {
    const NAME: &'static str = "kraken";
    const PAYLOAD: &'static [&'static str] = &["data"];
    const DEPTHS: &'static [usize] = &[10, 25, 100, 500, 1000];
    const CHECKSUM: Option<Checksum> = Some(Checksum::Kraken);
    const CHANGE_BASIS: ChangeBasis = ChangeBasis::Rolling24h;
    const WIRE: Wire = Wire {
        region: "NE",
        instruments: &["{COIN}/USD"],
        currency: Currency::Dollar,
        depth: 10,
        books: Books::ChangesUntoldBelow,
        numbers: Numbers::Fixed(0),
        size_places: 8,
        rate_places: 2,
        derived: Derived::OpeningFromChange,
        nothing: "null",
        quirks: &[Quirk::Snapshot, Quirk::RepeatedSnapshot, Quirk::ToldTwice],
        ticker: r#"{"channel":"ticker","type":"update","data":[{"symbol":"{instrument}",
            "bid":{bid_price},"bid_qty":{bid_size},"ask":{ask_price},"ask_qty":{ask_size},
            "last":{trade},"volume":{volume},"vwap":{average},"low":{min},"high":{max},
            "change":{change},"change_pct":{percentage},"trades":{count},
            "timestamp":"{time_rfc3339}"}]}"#,
        flattened: r#"{"last":{trade},"ask":{ask_price},"high":{max},"low":{min},
            "volume":{volume},"change":{change},"change_pct":{percentage}}"#,
        order_book: r#"{"channel":"book","type":"update","data":[{"symbol":"{instrument}",
            "bids":[{bids}],"asks":[{asks}],"checksum":{checksum},"timestamp":"{time_rfc3339}"}]}"#,
        snapshot: Some(
            r#"{"channel":"book","type":"snapshot","data":[{"symbol":"{instrument}",
            "bids":[{bids}],"asks":[{asks}],"checksum":{checksum},"timestamp":"{time_rfc3339}"}]}"#,
        ),
        level: r#"{"price":{price},"qty":{size}}"#,
        control: &[
            r#"{"channel":"heartbeat"}"#,
            r#"{"method":"pong","time_in":"{time_rfc3339}","time_out":"{time_rfc3339}"}"#,
            r#"{"channel":"status","type":"update","data":[{"version":"2.0.10","system":"online",
            "api_version":"v2","connection_id":13834774380200032777}]}"#,
            r#"{"method":"subscribe","result":{"channel":"book","depth":10,"snapshot":true,
            "symbol":"{instrument}"},"success":true,"time_in":"{time_rfc3339}",
            "time_out":"{time_rfc3339}"}"#,
            r#"{"error":"Currency pair not supported","method":"subscribe","success":false,
            "time_in":"{time_rfc3339}","time_out":"{time_rfc3339}"}"#,
        ],
    };

    /// <https://docs.kraken.com/exchange/api-reference/spot-websocket-v2/ticker>: the percentage
    /// is rounded, so the rate is computed. Older messages have no time.
    #[inline(always)]
    fn ticker(key: &[u8]) -> Meaning {
        match key {
            b"last" => Meaning::Column(Column::Trade),
            b"high" => Meaning::Column(Column::Max),
            b"low" => Meaning::Column(Column::Min),
            b"volume" => Meaning::Column(Column::Volume),
            b"change" => Meaning::Column(Column::Change),
            b"symbol" => Meaning::Instrument,
            b"timestamp" => Meaning::Time(0),
            b"channel" => Meaning::Kind(&["ticker"]),
            _ => Meaning::Nothing,
        }
    }

    fn complete<V: Value>(ticker: &mut Ticker<V>) -> Result<()> {
        ticker.opening_before_change()?;
        ticker.previous_close_is_opening();
        ticker.rate_of(Column::Opening)
    }

    /// <https://docs.kraken.com/exchange/api-reference/spot-websocket-v2/book.md>: a snapshot, then
    /// changes; what falls out of the depth is not removed by any message.
    #[inline(always)]
    fn order_book<T: Text>(
        key: &[u8],
        reader: &mut Reader<T>,
        book: &mut OrderBook<T::Value>,
    ) -> Result<()> {
        match key {
            b"asks" => book.asks.keep_for_checksum(reader, Object(Level)),
            b"bids" => book.bids.keep_for_checksum(reader, Object(Level)),
            b"checksum" => read_once(&mut book.checksum, reader),
            b"symbol" => book.read_instrument(reader),
            b"timestamp" => book.time.read(0, reader),
            b"channel" => expect_word(&mut book.kind_words, reader, &["book"]),
            b"type" => book.read_form(reader, b"snapshot", b"update"),
            _ => reader.skip(),
        }
    }

    /// <https://docs.kraken.com/exchange/api-reference/spot-websocket-v2/status>, and the events
    /// of version 1. Of channels that are not data, `status` alone has a payload.
    fn control(message: &Members) -> Option<Control> {
        let word = [message.get("channel"), message.get("method"), message.get("event")].concat();
        match &word[..] {
            b"status" => Some(Control::Status),
            _ if message.holds("data") => None,
            b"heartbeat" | b"ping" | b"pong" => Some(Control::Heartbeat),
            b"systemStatus" => Some(Control::Status),
            b"subscribe" | b"unsubscribe" if message.get("success") == b"false" => {
                Some(Control::Error)
            }
            b"subscriptionStatus" if message.get("status") == b"error" => Some(Control::Error),
            b"subscribe" | b"unsubscribe" | b"subscriptionStatus" => Some(Control::Subscription),
            _ => None,
        }
    }
}
