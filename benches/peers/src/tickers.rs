//! Tickers of nine exchanges, as they send them or flattened to the wanted keys.

use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::envelope::First;
use crate::fixed::{Bare, Fixed, Placed, Quoted};
use crate::record::Ticker;
use crate::time::Time;

/// The decimals of a rate that is computed.
const RATE_PLACES: usize = 10;

/// A message of one exchange; nothing comes of control messages, which lack what tickers have.
pub trait Message: DeserializeOwned {
    fn ticker(self) -> Option<Ticker>;
}

/// A message whose columns stand in an object of their own, mostly with the time beside it.
#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
pub struct Nested<T> {
    #[serde(alias = "result")]
    data: Option<First<T>>,
    #[serde(alias = "ts", alias = "time_ms")]
    timestamp: Option<Time>,
    #[serde(skip)]
    of: PhantomData<T>,
}

impl<T: Message> Message for Nested<T> {
    fn ticker(self) -> Option<Ticker> {
        let ticker = self.data?.0?.ticker()?;
        Some(Ticker { time: ticker.time.or(self.timestamp), ..ticker })
    }
}

/// Upbit and Bithumb send all columns.
#[derive(Deserialize)]
pub struct Units {
    opening_price: Option<Bare>,
    trade_price: Option<Bare>,
    high_price: Option<Bare>,
    low_price: Option<Bare>,
    prev_closing_price: Option<Bare>,
    acc_trade_volume_24h: Option<Bare>,
    signed_change_price: Option<Bare>,
    signed_change_rate: Option<Bare>,
    timestamp: Option<Time>,
}

impl Message for Units {
    fn ticker(self) -> Option<Ticker> {
        let columns = [
            self.opening_price,
            Some(self.trade_price?),
            self.high_price,
            self.low_price,
            self.prev_closing_price,
            self.acc_trade_volume_24h,
            self.signed_change_price,
            self.signed_change_rate,
        ];
        Some(Ticker {
            columns: columns.map(|number| number.map(|bare| bare.0)),
            time: self.timestamp,
        })
    }
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
pub struct Coinone {
    first: Quoted,
    last: Quoted,
    high: Quoted,
    low: Quoted,
    yesterday_last: Quoted,
    target_volume: Quoted,
    timestamp: Option<Time>,
}

impl Message for Coinone {
    fn ticker(self) -> Option<Ticker> {
        let trade = self.last.0?;
        let previous = self.yesterday_last.0;
        let change = since(trade, previous)?;
        let rate = rate(change, previous);
        let columns = [
            self.first.0,
            Some(trade),
            self.high.0,
            self.low.0,
            previous,
            self.target_volume.0,
            change,
            rate,
        ];
        Some(Ticker { columns, time: self.timestamp })
    }
}

#[derive(Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[derive(Default)]
pub struct Korbit {
    open: Quoted,
    close: Quoted,
    high: Quoted,
    low: Quoted,
    prev_close: Quoted,
    volume: Quoted,
    price_change: Quoted,
    timestamp: Option<Time>,
}

impl Message for Korbit {
    fn ticker(self) -> Option<Ticker> {
        let trade = self.close.0?;
        let (previous, change) = (self.prev_close.0, self.price_change.0);
        let rate = rate(change, previous);
        let (max, min) = (self.high.0, self.low.0);
        let columns = [self.open.0, Some(trade), max, min, previous, self.volume.0, change, rate];
        Some(Ticker { columns, time: self.timestamp })
    }
}

/// OKX and Bybit send neither the change nor an exact rate.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
pub struct Rolling {
    #[serde(alias = "prevPrice24h")]
    open24h: Quoted,
    #[serde(alias = "lastPrice")]
    last: Quoted,
    #[serde(alias = "highPrice24h")]
    high24h: Quoted,
    #[serde(alias = "lowPrice24h")]
    low24h: Quoted,
    #[serde(alias = "volume24h")]
    vol24h: Quoted,
    ts: Option<Time>,
}

impl Message for Rolling {
    fn ticker(self) -> Option<Ticker> {
        let (trade, opening) = (self.last.0?, self.open24h.0);
        let change = since(trade, opening)?;
        let rate = rate(change, opening);
        let (max, min) = (self.high24h.0, self.low24h.0);
        let columns = [opening, Some(trade), max, min, opening, self.vol24h.0, change, rate];
        Some(Ticker { columns, time: self.ts })
    }
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
pub struct Gateio {
    last: Placed,
    high_24h: Quoted,
    low_24h: Quoted,
    base_volume: Quoted,
    change_percentage: Quoted,
    time_ms: Option<Time>,
}

impl Message for Gateio {
    fn ticker(self) -> Option<Ticker> {
        let (trade, places) = self.last.0?;
        let rate = match self.change_percentage.0 {
            Some(percentage) => Some(percentage.hundredth()?),
            None => None,
        };
        let opening = rate.and_then(|rate| trade.over(Fixed::ONE.plus(rate)?, places));
        let change = since(trade, opening)?;
        let (max, min) = (self.high_24h.0, self.low_24h.0);
        let columns = [opening, Some(trade), max, min, opening, self.base_volume.0, change, rate];
        Some(Ticker { columns, time: self.time_ms })
    }
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
pub struct Binance {
    o: Quoted,
    c: Quoted,
    h: Quoted,
    l: Quoted,
    x: Quoted,
    v: Quoted,
    p: Quoted,
    #[serde(rename = "E")]
    time: Option<Time>,
}

impl Message for Binance {
    fn ticker(self) -> Option<Ticker> {
        let (trade, opening, change) = (self.c.0?, self.o.0, self.p.0);
        let rate = rate(change, opening);
        let columns = [opening, Some(trade), self.h.0, self.l.0, self.x.0, self.v.0, change, rate];
        Some(Ticker { columns, time: self.time })
    }
}

#[derive(Deserialize)]
pub struct Kraken {
    last: Option<Bare>,
    high: Option<Bare>,
    low: Option<Bare>,
    volume: Option<Bare>,
    change: Option<Bare>,
    timestamp: Option<Time>,
}

impl Message for Kraken {
    fn ticker(self) -> Option<Ticker> {
        let trade = self.last?.0;
        let [max, min, volume, change] =
            [self.high, self.low, self.volume, self.change].map(|number| number.map(|bare| bare.0));
        let opening = since(trade, change)?;
        let rate = rate(change, opening);
        let columns = [opening, Some(trade), max, min, opening, volume, change, rate];
        Some(Ticker { columns, time: self.timestamp })
    }
}

/// The difference, if there is a price to compare with; nothing at all if it does not fit.
#[expect(clippy::option_option, reason = "the outer one ends the record, the inner is a column")]
fn since(trade: Fixed, price: Option<Fixed>) -> Option<Option<Fixed>> {
    match price {
        Some(price) => trade.minus(price).map(Some),
        None => Some(None),
    }
}

fn rate(change: Option<Fixed>, base: Option<Fixed>) -> Option<Fixed> {
    change?.over(base?, RATE_PLACES)
}
