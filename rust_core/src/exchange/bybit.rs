//! Bybit v5: kept books of the depth that their topic names, tickers of a rolling 24 hours.

use super::prelude::*;
use crate::json::shape::Pair;

pub struct Bybit;

impl Rules for Bybit {
    const NAME: &'static str = "bybit";
    const PAYLOAD: &'static [&'static str] = &["data"];
    const NUMBERS_RESTART: bool = true;
    const CHANGE_BASIS: ChangeBasis = ChangeBasis::Rolling24h;
    const WIRE: Wire = Wire {
        region: "Asia",
        instruments: &["{COIN}USDT"],
        currency: Currency::Dollar,
        depth: 50,
        books: Books::Changes,
        numbers: Numbers::Short,
        size_places: 6,
        rate_places: 4,
        derived: Derived::ChangeSinceOpening,
        nothing: r#""""#,
        quirks: &[Quirk::Snapshot, Quirk::RepeatedSnapshot, Quirk::Restart],
        ticker: r#"{"topic":"tickers.{instrument}","ts":{time_ms},"type":"snapshot",
            "cs":{sequence},"data":{"symbol":"{instrument}","lastPrice":"{trade}",
            "highPrice24h":"{max}","lowPrice24h":"{min}","prevPrice24h":"{opening}",
            "volume24h":"{volume}","turnover24h":"{quote_volume}","price24hPcnt":"{rate}",
            "usdIndexPrice":"{average}"}}"#,
        flattened: r#"{"ts":{time_ms},"lastPrice":"{trade}","highPrice24h":"{max}",
            "lowPrice24h":"{min}","prevPrice24h":"{opening}","volume24h":"{volume}",
            "price24hPcnt":"{rate}"}"#,
        order_book: r#"{"topic":"orderbook.50.{instrument}","ts":{sent_ms},"type":"delta",
            "data":{"s":"{instrument}","b":[{bids}],"a":[{asks}],"u":{count},"seq":{sequence}},
            "cts":{time_ms}}"#,
        snapshot: Some(
            r#"{"topic":"orderbook.50.{instrument}","ts":{sent_ms},"type":"snapshot",
            "data":{"s":"{instrument}","b":[{bids}],"a":[{asks}],"u":{count},"seq":{sequence}},
            "cts":{time_ms}}"#,
        ),
        level: r#"["{price}","{size}"]"#,
        control: &[
            r#"{"success":true,"ret_msg":"subscribe","conn_id":"simulated-7c2","op":"subscribe"}"#,
            r#"{"success":true,"ret_msg":"pong","conn_id":"simulated-7c2","op":"ping"}"#,
            r#"{"op":"pong","args":["{time_ms}"],"conn_id":"simulated-7c2"}"#,
            r#"{"success":false,"ret_msg":"error:handler not found","conn_id":"simulated-7c2",
            "op":"subscribe"}"#,
        ],
    };

    /// <https://bybit-exchange.github.io/docs/v5/websocket/public/ticker>: the rate that is sent
    /// is rounded, so it is computed.
    #[inline(always)]
    fn ticker(key: &[u8]) -> Meaning {
        match key {
            b"prevPrice24h" => Meaning::Column(Column::Opening),
            b"lastPrice" => Meaning::Column(Column::Trade),
            b"highPrice24h" => Meaning::Column(Column::Max),
            b"lowPrice24h" => Meaning::Column(Column::Min),
            b"volume24h" => Meaning::Column(Column::Volume),
            b"symbol" => Meaning::Instrument,
            b"ts" => Meaning::Time(0),
            b"topic" => Meaning::Kind(&["tickers."]),
            _ => Meaning::Nothing,
        }
    }

    fn complete<V: Value>(ticker: &mut Ticker<V>) -> Result<()> {
        ticker.previous_close_is_opening();
        ticker.change_since(Column::Opening)?;
        ticker.rate_of(Column::Opening)
    }

    /// <https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook>: a snapshot, which may
    /// come again at any time, then changes. `cts`, which stands beside the payload, is the time
    /// of the matching engine; `ts` that of sending.
    #[inline(always)]
    fn order_book<T: Text>(
        key: &[u8],
        reader: &mut Reader<T>,
        book: &mut OrderBook<T::Value>,
    ) -> Result<()> {
        match key {
            b"a" => book.asks.keep(reader, Pair),
            b"b" => book.bids.keep(reader, Pair),
            b"u" => {
                read_once(&mut book.sequence.last, reader)?;
                book.sequence.first = book.sequence.last; // each message is one change
                Ok(())
            }
            b"s" => book.read_instrument(reader),
            b"cts" => book.time.read(1, reader),
            b"ts" => book.time.read(0, reader),
            b"topic" => reader.apart(|reader| feed(reader, book)),
            b"type" => book.read_form(reader, b"snapshot", b"delta"),
            _ => reader.skip(),
        }
    }

    /// <https://bybit-exchange.github.io/docs/v5/ws/connect>: what has a topic is data, and of
    /// answers those of type `COMMAND_RESP` alone have a payload, the topics.
    fn control(message: &Members) -> Option<Control> {
        let is_response = message.get("type") == b"COMMAND_RESP";
        if message.has("topic") || (message.holds("data") && !is_response) {
            return None;
        }
        let operation = [message.get("op"), message.get("ret_msg")];
        if operation.iter().any(|word| matches!(*word, b"pong" | b"ping")) {
            return Some(Control::Heartbeat);
        }
        match message.get("success") {
            b"false" => Some(Control::Error),
            b"true" => Some(Control::Subscription),
            _ if is_response || message.has("op") => Some(Control::Subscription),
            _ => None,
        }
    }
}

/// The topic says how deep the book is: `orderbook.50.BTCUSDT`.
fn feed<T: Text>(reader: &mut Reader<T>, book: &mut OrderBook<T::Value>) -> Result<()> {
    book.read_feed(reader)?;
    let rest = book.feed.strip_prefix(b"orderbook.").ok_or(Error::Kind)?;
    let depth = rest.split(|byte| *byte == b'.').next().unwrap_or_default();
    book.depth = std::str::from_utf8(depth).ok().and_then(|depth| depth.parse().ok());
    Ok(())
}
