//! OKX: kept books of 400 levels, tickers of a rolling 24 hours.

use super::prelude::*;
use crate::json::shape::Pair;
use crate::order_book::Form;

pub struct Okx;

impl Rules for Okx {
    const NAME: &'static str = "okx";
    const PAYLOAD: &'static [&'static str] = &["data"];
    const CHECKSUM: Option<Checksum> = Some(Checksum::Okx);
    const NUMBERS_RESTART: bool = true;
    const CHANGE_BASIS: ChangeBasis = ChangeBasis::Rolling24h;
    const WIRE: Wire = Wire {
        region: "Asia",
        instruments: &["{COIN}-USDT", "{COIN}-USDC"],
        currency: Currency::Dollar,
        depth: 400,
        books: Books::Changes,
        numbers: Numbers::Short,
        size_places: 8,
        rate_places: 0,
        derived: Derived::ChangeSinceOpening,
        nothing: r#""""#,
        quirks: &[
            Quirk::Snapshot,
            Quirk::RepeatedSnapshot,
            Quirk::KeepAlive,
            Quirk::KeepAlive,
            Quirk::NumbersReset,
        ],
        ticker: r#"{"arg":{"channel":"tickers","instId":"{instrument}"},
            "data":[{"instType":"SPOT","instId":"{instrument}","last":"{trade}",
            "lastSz":"{trade_size}","askPx":"{ask_price}","askSz":"{ask_size}",
            "bidPx":"{bid_price}","bidSz":"{bid_size}","open24h":"{opening}","high24h":"{max}",
            "low24h":"{min}","sodUtc0":"{average}","sodUtc8":"{average}",
            "volCcy24h":"{quote_volume}","vol24h":"{volume}","ts":"{time_ms}"}]}"#,
        flattened: r#"{"ts":"{time_ms}","open24h":"{opening}","last":"{trade}","high24h":"{max}",
            "low24h":"{min}","vol24h":"{volume}"}"#,
        order_book: r#"{"arg":{"channel":"books","instId":"{instrument}"},"action":"update",
            "data":[{"asks":[{asks}],"bids":[{bids}],"ts":"{time_ms}","checksum":0,
            "seqId":{sequence},"prevSeqId":{previous_sequence}}]}"#,
        snapshot: Some(
            r#"{"arg":{"channel":"books","instId":"{instrument}"},"action":"snapshot",
            "data":[{"asks":[{asks}],"bids":[{bids}],"ts":"{time_ms}","checksum":0,
            "seqId":{sequence},"prevSeqId":-1}]}"#,
        ),
        level: r#"["{price}","{size}","0","{orders}"]"#,
        control: &[
            r#"{"event":"subscribe","arg":{"channel":"books","instId":"{instrument}"},
            "connId":"5e0c91ab"}"#,
            r#"{"event":"error","code":"60012","msg":"Invalid request: {\"op\":\"subscribe\"}",
            "connId":"5e0c91ab"}"#,
            r#"{"event":"notice","code":"64008",
            "msg":"The connection will soon be closed for a service upgrade."}"#,
            r#"{"event":"channel-conn-count","channel":"books","connCount":"1",
            "connId":"5e0c91ab"}"#,
            "pong",
        ],
    };

    /// <https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-tickers-channel>: no
    /// change is sent; `vol24h` is in the base currency on spot markets.
    #[inline(always)]
    fn ticker(key: &[u8]) -> Meaning {
        match key {
            b"open24h" => Meaning::Column(Column::Opening),
            b"last" => Meaning::Column(Column::Trade),
            b"high24h" => Meaning::Column(Column::Max),
            b"low24h" => Meaning::Column(Column::Min),
            b"vol24h" => Meaning::Column(Column::Volume),
            b"ts" => Meaning::Time(0),
            b"arg" => Meaning::Object(|key| match key {
                b"instId" => Meaning::Instrument,
                b"channel" => Meaning::Kind(&["tickers"]),
                _ => Meaning::Nothing,
            }),
            _ => Meaning::Nothing,
        }
    }

    fn complete<V: Value>(ticker: &mut Ticker<V>) -> Result<()> {
        ticker.previous_close_is_opening();
        ticker.change_since(Column::Opening)?;
        ticker.rate_of(Column::Opening)
    }

    /// <https://www.okx.com/docs-v5/en/#order-book-trading-market-data>: a snapshot, then changes;
    /// a level is price, size, a zero and a count of orders. `books5` and `bbo-tbt` have no
    /// `action`: each of their messages is whole. `checksum` is 0 since 2026-06-23.
    #[inline(always)]
    fn order_book<T: Text>(
        key: &[u8],
        reader: &mut Reader<T>,
        book: &mut OrderBook<T::Value>,
    ) -> Result<()> {
        match key {
            b"asks" => book.asks.keep_for_checksum(reader, Pair),
            b"bids" => book.bids.keep_for_checksum(reader, Pair),
            b"seqId" => read_once(&mut book.sequence.last, reader),
            b"prevSeqId" => read_once(&mut book.sequence.previous, reader),
            b"checksum" => read_once(&mut book.checksum, reader),
            b"ts" => book.time.read(0, reader),
            b"action" => book.read_form(reader, b"snapshot", b"update"),
            b"arg" if reader.peek() == Some(b'{') => reader.apart(|reader| {
                reader.object(|reader, key| match key {
                    b"channel" => feed(reader, book),
                    b"instId" => book.read_instrument(reader),
                    _ => reader.skip(),
                })
            }),
            _ => reader.skip(),
        }
    }

    /// <https://www.okx.com/docs-v5/en/#websocket-api>: what has a payload is no event.
    fn control(message: &Members) -> Option<Control> {
        match message.get("event") {
            _ if message.holds("data") => None,
            b"subscribe" | b"unsubscribe" => Some(Control::Subscription),
            b"error" => Some(Control::Error),
            b"notice" => Some(Control::Notice),
            b"" => None,
            _ => Some(Control::Status),
        }
    }
}

/// The channel says how deep the book is.
fn feed<T: Text>(reader: &mut Reader<T>, book: &mut OrderBook<T::Value>) -> Result<()> {
    book.becomes(Form::Whole); // unless an action says more
    book.read_feed(reader)?;
    book.depth = match &book.feed[..] {
        b"books" | b"books-l2-tbt" => Some(400),
        b"books50-l2-tbt" => Some(50),
        b"books5" => Some(5),
        b"bbo-tbt" => Some(1),
        feed if feed.starts_with(b"books") => None,
        _ => return Err(Error::Kind),
    };
    Ok(())
}
