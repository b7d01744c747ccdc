//! Gate.io v4 spot: whole or kept books, tickers with a change in percent alone.

use super::prelude::*;
use crate::json::shape::Pair;
use crate::order_book::{Form, UNCUT};

pub struct Gateio;

impl Rules for Gateio {
    const NAME: &'static str = "gateio";
    const PAYLOAD: &'static [&'static str] = &["result"];
    const WHOLE_IS_BASE: bool = true;
    const CHANGE_BASIS: ChangeBasis = ChangeBasis::Rolling24h;
    const WIRE: Wire = Wire {
        region: "Asia",
        instruments: &["{COIN}_USDT"],
        currency: Currency::Dollar,
        depth: 100,
        books: Books::Whole,
        numbers: Numbers::Short,
        size_places: 8,
        rate_places: 4,
        derived: Derived::OpeningFromPercentage,
        nothing: "null",
        quirks: &[Quirk::ShortSide, Quirk::Crossed],
        ticker: r#"{"time":{time_s},"time_ms":{time_ms},"channel":"spot.tickers",
            "event":"update","result":{"currency_pair":"{instrument}","last":"{trade}",
            "lowest_ask":"{ask_price}","highest_bid":"{bid_price}",
            "change_percentage":"{percentage}","base_volume":"{volume}",
            "quote_volume":"{quote_volume}","high_24h":"{max}","low_24h":"{min}"}}"#,
        flattened: r#"{"time_ms":{time_ms},"last":"{trade}","high_24h":"{max}","low_24h":"{min}",
            "highest_bid":"{bid_price}","base_volume":"{volume}",
            "change_percentage":"{percentage}"}"#,
        order_book: r#"{"time":{sent_s},"time_ms":{sent_ms},"channel":"spot.order_book",
            "event":"update","result":{"t":{time_ms},"lastUpdateId":{sequence},
            "s":"{instrument}","l":"100","bids":[{bids}],"asks":[{asks}]}}"#,
        snapshot: None,
        level: r#"["{price}","{size}"]"#,
        control: &[
            r#"{"time":{time_s},"time_ms":{time_ms},"conn_id":"simulated",
            "channel":"spot.order_book","event":"subscribe","payload":["{instrument}","100",
            "100ms"],"result":{"status":"success"}}"#,
            r#"{"time":{time_s},"time_ms":{time_ms},"channel":"spot.tickers","event":"subscribe",
            "error":{"code":2,"message":"unknown currency pair"},"result":{"status":"fail"}}"#,
            r#"{"time":{time_s},"time_ms":{time_ms},"channel":"spot.pong","event":"",
            "result":null}"#,
        ],
    };

    /// <https://www.gate.com/docs/developers/apiv4/ws/en/#tickers-channel>: the percentage is
    /// against the price of 24 hours ago, which is not sent, but follows from it. The time stands
    /// beside the payload.
    #[inline(always)]
    fn ticker(key: &[u8]) -> Meaning {
        match key {
            b"last" => Meaning::Column(Column::Trade),
            b"high_24h" => Meaning::Column(Column::Max),
            b"low_24h" => Meaning::Column(Column::Min),
            b"base_volume" => Meaning::Column(Column::Volume),
            b"change_percentage" => Meaning::Column(Column::Rate),
            b"currency_pair" => Meaning::Instrument,
            b"time_ms" => Meaning::Time(1),
            b"time" => Meaning::Time(0),
            b"channel" => Meaning::Kind(&["spot.tickers"]),
            _ => Meaning::Nothing,
        }
    }

    fn complete<V: Value>(ticker: &mut Ticker<V>) -> Result<()> {
        ticker.opening_from_percentage()?;
        ticker.previous_close_is_opening();
        ticker.change_since(Column::Opening)
    }

    /// <https://www.gate.com/docs/developers/apiv4/ws/en/#order-book-channel>. `spot.order_book`
    /// has whole books under `bids` and `asks`. `spot.order_book_update` and `spot.obu` have
    /// changes under `b` and `a`, whole ones where `full` is true, and may lack a side.
    #[inline(always)]
    fn order_book<T: Text>(
        key: &[u8],
        reader: &mut Reader<T>,
        book: &mut OrderBook<T::Value>,
    ) -> Result<()> {
        match key {
            b"bids" => book.bids.sum_and_keep(reader, Pair),
            b"asks" => book.asks.sum_and_keep(reader, Pair),
            b"b" => book.bids.keep(reader, Pair),
            b"a" => book.asks.keep(reader, Pair),
            b"lastUpdateId" | b"u" => read_once(&mut book.sequence.last, reader),
            b"U" => read_once(&mut book.sequence.first, reader),
            b"full" => {
                let full = reader.apart(Reader::skipped)? == b"true";
                book.becomes(if full { Form::Snapshot } else { Form::Delta });
                Ok(())
            }
            b"s" => reader.apart(|reader| instrument(reader, book)),
            b"t" => book.time.read(2, reader),
            b"time_ms" => book.time.read(1, reader),
            b"time" => book.time.read(0, reader),
            b"channel" => reader.apart(|reader| channel(reader, book)),
            _ => reader.skip(),
        }
    }

    /// <https://www.gate.com/docs/developers/apiv4/ws/en/#server-response>: the result of an answer is
    /// null or says a status.
    fn control(message: &Members) -> Option<Control> {
        let result = message.within("result");
        if message.holds("result") && !result.has("status") {
            return None;
        }
        let channel = message.get("channel");
        if channel.ends_with(b".pong") || channel.ends_with(b".ping") {
            return Some(Control::Heartbeat);
        }
        if !matches!(message.get("event"), b"subscribe" | b"unsubscribe") {
            return None;
        }
        let failed = !message.get("error").is_empty() || result.get("status") == b"fail";
        Some(if failed { Control::Error } else { Control::Subscription })
    }
}

/// The channel tells changes from whole books.
fn channel<T: Text>(reader: &mut Reader<T>, book: &mut OrderBook<T::Value>) -> Result<()> {
    let feed = std::mem::take(&mut book.feed);
    book.read_feed(reader)?;
    let channel = std::mem::replace(&mut book.feed, feed); // which tells no books apart
    match &channel[..] {
        b"spot.order_book_update" | b"spot.obu" => {
            book.becomes(Form::Delta);
            (book.sides_optional, book.numbered) = (true, true);
            Ok(())
        }
        b"" | b"spot.order_book" => Ok(()),
        _ => Err(Error::Kind),
    }
}

/// `BTC_USDT`, or `ob.BTC_USDT.50`, which is a feed of its own and says how deep its book is.
fn instrument<T: Text>(reader: &mut Reader<T>, book: &mut OrderBook<T::Value>) -> Result<()> {
    book.read_instrument(reader)?;
    let Some(name) = book.instrument.strip_prefix(b"ob.") else {
        book.depth = Some(UNCUT);
        return Ok(());
    };
    let end = name.iter().rposition(|byte| *byte == b'.').unwrap_or(name.len());
    let depth = std::str::from_utf8(name.get(end + 1..).unwrap_or_default());
    book.depth = depth.ok().and_then(|depth| depth.parse().ok());
    let name = name[..end].to_vec();
    book.feed = std::mem::replace(&mut book.instrument, name);
    Ok(())
}
