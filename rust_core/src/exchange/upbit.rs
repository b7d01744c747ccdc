//! Upbit: whole books in units of an ask and a bid, tickers of the UTC day.

use super::prelude::*;
use crate::json::shape::{Names, Object};

/// An ask and a bid.
#[derive(Clone, Copy)]
struct Unit;

impl Names<4> for Unit {
    const NAMES: [&'static str; 4] = ["ask_price", "bid_price", "ask_size", "bid_size"];
}

/// An ask and a bid in short form.
#[derive(Clone, Copy)]
struct SimpleUnit;

impl Names<4> for SimpleUnit {
    const NAMES: [&'static str; 4] = ["ap", "bp", "as", "bs"];
}

pub struct Upbit;

impl Rules for Upbit {
    const NAME: &'static str = "upbit";
    const CHANGE_BASIS: ChangeBasis = ChangeBasis::PrevClose;
    const WIRE: Wire = Wire {
        region: "Korea",
        instruments: &["KRW-{COIN}"],
        currency: Currency::Won,
        depth: 30,
        books: Books::Whole,
        numbers: Numbers::Java,
        size_places: 8,
        rate_places: 10,
        derived: Derived::Nothing,
        nothing: "null",
        quirks: &[Quirk::ShortSide, Quirk::Crossed, Quirk::Snapshot],
        ticker: r#"{"type":"ticker","code":"{instrument}","opening_price":{opening},
            "high_price":{max},"low_price":{min},"trade_price":{trade},
            "prev_closing_price":{prev_closing},"acc_trade_price":{day_quote_volume},
            "change":"{direction}","change_price":{absolute_change},
            "signed_change_price":{change},"change_rate":{absolute_rate},
            "signed_change_rate":{rate},"ask_bid":"ASK","trade_volume":{trade_size},
            "acc_trade_volume":{day_volume},"trade_date":"20261102","trade_time":"000000",
            "trade_timestamp":{time_ms},"acc_ask_volume":{trade_size},
            "acc_bid_volume":{trade_size},"highest_52_week_price":{year_max},
            "highest_52_week_date":"2026-05-20","lowest_52_week_price":{year_min},
            "lowest_52_week_date":"2025-12-01","trade_status":null,"market_state":"ACTIVE",
            "market_state_for_ios":null,"is_trading_suspended":false,"delisting_date":null,
            "market_warning":"NONE","timestamp":{time_ms},"acc_trade_price_24h":{quote_volume},
            "acc_trade_volume_24h":{volume},"stream_type":"REALTIME"}"#,
        flattened: r#"{"timestamp":{time_ms},"opening_price":{opening},"trade_price":{trade},
            "high_price":{max},"low_price":{min},"prev_closing_price":{prev_closing},
            "acc_trade_volume_24h":{volume},"signed_change_price":{change},
            "signed_change_rate":{rate}}"#,
        order_book: r#"{"type":"orderbook","code":"{instrument}","timestamp":{time_ms},
            "total_ask_size":{total_ask},"total_bid_size":{total_bid},
            "orderbook_units":[{units}],"stream_type":"REALTIME","level":0}"#,
        snapshot: Some(
            r#"{"type":"orderbook","code":"{instrument}","timestamp":{time_ms},
            "total_ask_size":{total_ask},"total_bid_size":{total_bid},
            "orderbook_units":[{units}],"stream_type":"SNAPSHOT","level":0}"#,
        ),
        level: r#"{"ask_price":{ask_price},"bid_price":{bid_price},"ask_size":{ask_size},
            "bid_size":{bid_size}}"#,
        control: &[
            r#"{"status":"UP"}"#,
            r#"{"error":{"name":"WRONG_FORMAT","message":"요청을 읽을 수 없습니다."}}"#,
        ],
    };

    /// <https://docs.upbit.com/kr/reference/websocket-ticker>: the rate is a fraction, the change
    /// is against yesterday's close at 0:00 UTC, and of all columns the volume alone is of a
    /// rolling 24 hours. Each key has a short form, format `SIMPLE`.
    #[inline(always)]
    fn ticker(key: &[u8]) -> Meaning {
        match key {
            b"opening_price" | b"op" => Meaning::Column(Column::Opening),
            b"trade_price" | b"tp" => Meaning::Column(Column::Trade),
            b"high_price" | b"hp" => Meaning::Column(Column::Max),
            b"low_price" | b"lp" => Meaning::Column(Column::Min),
            b"prev_closing_price" | b"pcp" => Meaning::Column(Column::PrevClosing),
            b"acc_trade_volume_24h" | b"atv24h" => Meaning::Column(Column::Volume),
            b"signed_change_price" | b"scp" => Meaning::Column(Column::Change),
            b"signed_change_rate" | b"scr" => Meaning::Column(Column::Rate),
            b"code" | b"cd" => Meaning::Instrument,
            b"timestamp" | b"tms" => Meaning::Time(0),
            b"type" | b"ty" => Meaning::Kind(&["ticker"]),
            _ => Meaning::Nothing,
        }
    }

    fn complete<V: Value>(_: &mut Ticker<V>) -> Result<()> {
        Ok(())
    }

    /// <https://docs.upbit.com/kr/reference/websocket-orderbook>: up to 30 units, all of them in
    /// every message; a side that is shorter is padded with zeros.
    #[inline(always)]
    fn order_book<T: Text>(
        key: &[u8],
        reader: &mut Reader<T>,
        book: &mut OrderBook<T::Value>,
    ) -> Result<()> {
        match key {
            b"orderbook_units" => book.units(reader, Object(Unit)),
            b"obu" => book.units(reader, Object(SimpleUnit)),
            b"total_ask_size" | b"tas" => book.asks.read_total(reader),
            b"total_bid_size" | b"tbs" => book.bids.read_total(reader),
            b"code" | b"cd" => book.read_instrument_if_extended(reader),
            b"timestamp" | b"tms" => book.time.read(0, reader),
            b"type" | b"ty" => expect_word(&mut book.kind_words, reader, &["orderbook"]),
            _ => reader.skip(),
        }
    }

    /// <https://docs.upbit.com/reference/connection>: `{"status":"UP"}`, and errors. What has a
    /// type is data.
    fn control(message: &Members) -> Option<Control> {
        let is_data = message.has("type") || message.has("ty");
        (message.has("status") && !is_data).then_some(Control::Status)
    }
}
