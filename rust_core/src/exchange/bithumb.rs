//! Bithumb: Upbit's messages, with the time of a book in microseconds.

use super::prelude::*;
use super::upbit::Upbit;

pub struct Bithumb;

impl Rules for Bithumb {
    const NAME: &'static str = "bithumb";
    /// Of answers like those of the older REST API: `{"status":"0000","data":…}`.
    const PAYLOAD: &'static [&'static str] = &["data"];
    const CHANGE_BASIS: ChangeBasis = ChangeBasis::PrevClose;
    const WIRE: Wire = Wire {
        region: "Korea",
        instruments: &["KRW-{COIN}"],
        currency: Currency::Won,
        depth: 15,
        books: Books::Whole,
        numbers: Numbers::Short,
        size_places: 4,
        rate_places: 8,
        derived: Derived::Nothing,
        nothing: "null",
        quirks: &[Quirk::ShortSide, Quirk::Crossed, Quirk::Snapshot, Quirk::Dust],
        ticker: r#"{"type":"ticker","code":"{instrument}","opening_price":{opening},
            "high_price":{max},"low_price":{min},"trade_price":{trade},
            "prev_closing_price":{prev_closing},"change":"{direction}",
            "change_price":{absolute_change},"signed_change_price":{change},
            "change_rate":{absolute_rate},"signed_change_rate":{rate},
            "trade_volume":{trade_size},"acc_trade_volume":{day_volume},
            "acc_trade_volume_24h":{volume},"acc_trade_price":{day_quote_volume},
            "acc_trade_price_24h":{quote_volume},"trade_date":"20261102","trade_time":"090000",
            "trade_timestamp":{time_ms},"ask_bid":"BID","acc_ask_volume":{trade_size},
            "acc_bid_volume":{trade_size},"highest_52_week_price":{year_max},
            "highest_52_week_date":"2026-05-20","lowest_52_week_price":{year_min},
            "lowest_52_week_date":"2025-12-01","market_state":"ACTIVE",
            "is_trading_suspended":false,"delisting_date":"","market_warning":"NONE",
            "timestamp":{time_ms},"stream_type":"REALTIME"}"#,
        flattened: Upbit::WIRE.flattened,
        order_book: r#"{"type":"orderbook","code":"{instrument}","total_ask_size":{total_ask},
            "total_bid_size":{total_bid},"orderbook_units":[{units}],"level":1,
            "timestamp":{time_us},"stream_type":"REALTIME"}"#,
        snapshot: Some(
            r#"{"type":"orderbook","code":"{instrument}","total_ask_size":{total_ask},
            "total_bid_size":{total_bid},"orderbook_units":[{units}],"level":1,
            "timestamp":{time_us},"stream_type":"SNAPSHOT"}"#,
        ),
        level: Upbit::WIRE.level,
        control: &[
            r#"{"status":"UP"}"#,
            r#"{"status":"0000","resmsg":"Connected Successfully"}"#,
            r#"{"status":"0000","resmsg":"Filter Registered Successfully"}"#,
            r#"{"status":"5100","resmsg":"Invalid Filter Syntax"}"#,
            r#"{"error":{"name":"WRONG_FORMAT","message":"요청을 읽을 수 없습니다."}}"#,
        ],
    };

    /// <https://apidocs.bithumb.com/reference/현재가-ticker>
    #[inline(always)]
    fn ticker(key: &[u8]) -> Meaning {
        Upbit::ticker(key)
    }

    fn complete<V: Value>(ticker: &mut Ticker<V>) -> Result<()> {
        Upbit::complete(ticker)
    }

    /// <https://apidocs.bithumb.com/reference/호가-orderbook>: up to 15 units; a size can be 0 at
    /// a price that is alive (less than 0.0001 stands there).
    #[inline(always)]
    fn order_book<T: Text>(
        key: &[u8],
        reader: &mut Reader<T>,
        book: &mut OrderBook<T::Value>,
    ) -> Result<()> {
        Upbit::order_book(key, reader, book)
    }

    /// `{"status":"UP"}`, errors, and those of the older socket: `{"status":"5100","resmsg":"…"}`.
    /// What has a type or a payload is data.
    fn control(message: &Members) -> Option<Control> {
        if message.has("type") || message.has("ty") || message.holds("data") {
            return None;
        }
        let response = message.get("resmsg");
        match message.get("status") {
            b"" => None,
            b"0000" if response.starts_with(b"Filter") => Some(Control::Subscription),
            status if status != b"0000" && !response.is_empty() => Some(Control::Error),
            _ => Some(Control::Status),
        }
    }
}
