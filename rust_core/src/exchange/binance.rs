//! Binance spot: whole books that name neither instrument nor time, kept books, one-letter tickers.

use super::prelude::*;
use crate::json::shape::Pair;
use crate::order_book::{Form, UNCUT};

pub struct Binance;

impl Rules for Binance {
    const NAME: &'static str = "binance";
    const PAYLOAD: &'static [&'static str] = &["data"];
    const WHOLE_IS_BASE: bool = true;
    const CHANGE_BASIS: ChangeBasis = ChangeBasis::Rolling24h;
    const WIRE: Wire = Wire {
        region: "NE",
        instruments: &["{COIN}USDT"],
        currency: Currency::Dollar,
        depth: 20,
        books: Books::Whole,
        numbers: Numbers::Fixed(8),
        size_places: 5,
        rate_places: 3,
        derived: Derived::RateOfOpening,
        nothing: "null",
        quirks: &[Quirk::ShortSide, Quirk::Crossed],
        ticker: r#"{"e":"24hrTicker","E":{time_ms},"s":"{instrument}","p":"{change}",
            "P":"{percentage}","w":"{average}","x":"{prev_closing}","c":"{trade}",
            "Q":"{trade_size}","b":"{bid_price}","B":"{bid_size}","a":"{ask_price}",
            "A":"{ask_size}","o":"{opening}","h":"{max}","l":"{min}","v":"{volume}",
            "q":"{quote_volume}","O":{day_ago_ms},"C":{time_ms},"F":{previous_sequence},
            "L":{sequence},"n":{count}}"#,
        flattened: r#"{"E":{time_ms},"o":"{opening}","c":"{trade}","h":"{max}","l":"{min}",
            "x":"{prev_closing}","v":"{volume}","p":"{change}","P":"{percentage}"}"#,
        order_book: r#"{"lastUpdateId":{sequence},"bids":[{bids}],"asks":[{asks}]}"#,
        snapshot: None,
        level: r#"["{price}","{size}"]"#,
        control: &[
            r#"{"result":null,"id":1}"#,
            r#"{"error":{"code":2,"msg":"Invalid request: invalid stream"},"id":3}"#,
            r#"{"code":3,"msg":"Invalid JSON: expected value"}"#,
            r#"{"e":"serverShutdown","E":{time_ms}}"#,
        ],
    };

    /// <https://github.com/binance/binance-spot-api-docs/blob/master/web-socket-streams.md#individual-symbol-ticker-streams>:
    /// `x` is the last price before the 24 hours, so the previous close in that sense only.
    #[inline(always)]
    fn ticker(key: &[u8]) -> Meaning {
        match key {
            b"o" => Meaning::Column(Column::Opening),
            b"c" => Meaning::Column(Column::Trade),
            b"h" => Meaning::Column(Column::Max),
            b"l" => Meaning::Column(Column::Min),
            b"x" => Meaning::Column(Column::PrevClosing),
            b"v" => Meaning::Column(Column::Volume),
            b"p" => Meaning::Column(Column::Change),
            b"s" => Meaning::Instrument,
            b"E" => Meaning::Time(0),
            b"e" => Meaning::Kind(&["24hrTicker", "24hrMiniTicker"]),
            _ => Meaning::Nothing,
        }
    }

    fn complete<V: Value>(ticker: &mut Ticker<V>) -> Result<()> {
        ticker.rate_of(Column::Opening)
    }

    /// <https://github.com/binance/binance-spot-api-docs/blob/master/web-socket-streams.md#diff-depth-stream>.
    /// Partial books are whole, under `bids` and `asks`, and so is what REST gives as a base;
    /// changes are under `b` and `a`.
    #[inline(always)]
    fn order_book<T: Text>(
        key: &[u8],
        reader: &mut Reader<T>,
        book: &mut OrderBook<T::Value>,
    ) -> Result<()> {
        match key {
            b"bids" => book.bids.sum_and_keep(reader, Pair),
            b"asks" => book.asks.sum_and_keep(reader, Pair),
            b"b" => {
                book.becomes(Form::Delta);
                (book.depth, book.numbered) = (Some(UNCUT), true);
                book.bids.keep(reader, Pair)
            }
            b"a" => book.asks.keep(reader, Pair),
            b"lastUpdateId" | b"u" => read_once(&mut book.sequence.last, reader),
            b"U" => read_once(&mut book.sequence.first, reader),
            b"pu" => read_once(&mut book.sequence.previous, reader),
            b"s" => book.read_instrument(reader),
            b"E" => book.time.read(0, reader),
            b"e" => expect_word(&mut book.kind_words, reader, &["depthUpdate"]),
            b"stream" => reader.apart(|reader| instrument(reader, book)),
            _ => reader.skip(),
        }
    }

    /// Answers have an `id`, and so do those of the API, which are not of a stream. The result of an
    /// answer that is no data is null, a single value, a list of names, or an object that has one of a few
    /// members: <https://github.com/binance/binance-spot-api-docs/blob/master/web-socket-api.md>.
    fn control(message: &Members) -> Option<Control> {
        let is_data = match message.get("result") {
            [b'[', names @ ..] => !matches!(names.trim_ascii_start(), [b'"' | b']', ..]),
            _ => message.holds("result") && {
                let result = message.within("result");
                !["subscriptionId", "serverTime", "apiKey"].iter().any(|name| result.has(name))
            },
        };
        let is_answer = message.has("id") && (message.has("result") || message.has("status"));
        match message.get("e") {
            b"" if message.within("data").get("e") == b"serverShutdown" => Some(Control::Notice),
            b"serverShutdown" => Some(Control::Notice),
            _ if !message.get("error").is_empty() => Some(Control::Error),
            _ if message.has("code") && message.has("msg") => Some(Control::Error),
            b"" if is_answer && !is_data && !message.holds("data") => Some(Control::Subscription),
            _ => None,
        }
    }
}

/// `btcusdt@depth20@100ms`
fn instrument<T: Text>(reader: &mut Reader<T>, book: &mut OrderBook<T::Value>) -> Result<()> {
    book.read_instrument(reader)?;
    let name = book.instrument.iter().position(|byte| *byte == b'@');
    book.instrument.truncate(name.unwrap_or(book.instrument.len()));
    book.instrument.make_ascii_uppercase();
    Ok(())
}
