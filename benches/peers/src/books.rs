//! Order books of nine exchanges: whole ones are summed, changes go into books that are kept.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error, IgnoredAny, SeqAccess, Visitor};

use crate::envelope::First;
use crate::fixed::{Bare, Fixed};
use crate::record::{Book, Top};
use crate::time::Time;

/// A message of one exchange; nothing comes of control messages, which lack what books have.
pub trait Message: DeserializeOwned {
    fn book(self, books: &mut Books) -> Option<Book>;
}

/// The books that are kept, by instrument.
#[derive(Default)]
pub struct Books(HashMap<String, Kept>);

#[derive(Default)]
struct Kept {
    bids: Side,
    asks: Side,
    depth: usize,
}

#[derive(Default)]
struct Side {
    levels: BTreeMap<Fixed, Fixed>,
    total: Fixed,
}

impl Side {
    fn take(&mut self, levels: impl Iterator<Item = Level>) -> Option<()> {
        for Level(price, size) in levels {
            let before = if size.is_zero() {
                self.levels.remove(&price)
            } else {
                self.total = self.total.plus(size)?;
                self.levels.insert(price, size)
            };
            self.total = self.total.minus(before.unwrap_or_default())?;
        }
        Some(())
    }

    fn cut(&mut self, depth: usize, mut worst: impl FnMut(&mut BTreeMap<Fixed, Fixed>) -> Fixed) {
        while self.levels.len() > depth {
            let size = worst(&mut self.levels);
            self.total = self.total.minus(size).unwrap_or_default();
        }
    }
}

impl Books {
    fn take<L: Into<Level>>(
        &mut self,
        instrument: String,
        is_snapshot: bool,
        depth: usize,
        [bids, asks]: [Vec<L>; 2],
        time: Option<Time>,
    ) -> Option<Book> {
        let book = self.0.entry(instrument).or_default();
        if is_snapshot {
            *book = Kept { depth, ..Kept::default() };
        }
        book.bids.take(bids.into_iter().map(Into::into))?;
        book.asks.take(asks.into_iter().map(Into::into))?;
        book.bids.cut(book.depth, |levels| levels.pop_first().unwrap_or_default().1);
        book.asks.cut(book.depth, |levels| levels.pop_last().unwrap_or_default().1);
        Some(Book {
            bids: (book.bids.levels.keys().next_back().copied(), book.bids.total),
            asks: (book.asks.levels.keys().next().copied(), book.asks.total),
            time,
        })
    }
}

/// What both sides of a whole book come to.
fn whole<L: Into<Level>>(bids: Vec<L>, asks: Vec<L>, time: Option<Time>) -> Option<Book> {
    let bids = summed(bids.into_iter().map(Into::into), Fixed::max)?;
    let asks = summed(asks.into_iter().map(Into::into), Fixed::min)?;
    Some(Book { bids, asks, time })
}

/// The best price and the total; a level without price or size is padding.
fn summed(
    levels: impl Iterator<Item = Level>,
    better: impl Fn(Fixed, Fixed) -> Fixed,
) -> Option<Top> {
    let (mut best, mut total) = (None, Fixed::ZERO);
    for Level(price, size) in levels {
        if price.is_zero() || size.is_zero() {
            continue;
        }
        best = Some(best.map_or(price, |best| better(best, price)));
        total = total.plus(size)?;
    }
    Some((best, total))
}

/// Price and size.
#[derive(Clone, Copy)]
struct Level(Fixed, Fixed);

/// A level as an array, of which more may follow.
struct Pair(Level);

#[derive(Deserialize)]
struct Named {
    price: Fixed,
    qty: Fixed,
}

#[derive(Deserialize)]
struct NamedBare {
    price: Bare,
    qty: Bare,
}

impl From<Pair> for Level {
    fn from(pair: Pair) -> Self {
        pair.0
    }
}

impl From<Named> for Level {
    fn from(level: Named) -> Self {
        Self(level.price, level.qty)
    }
}

impl From<NamedBare> for Level {
    fn from(level: NamedBare) -> Self {
        Self(level.price.0, level.qty.0)
    }
}

impl<'de> Deserialize<'de> for Pair {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Array).map(Self)
    }
}

struct Array;

impl<'de> Visitor<'de> for Array {
    type Value = Level;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("price and size")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Level, A::Error> {
        let price = sequence.next_element()?.ok_or_else(|| A::Error::invalid_length(0, &self))?;
        let size = sequence.next_element()?.ok_or_else(|| A::Error::invalid_length(1, &self))?;
        while sequence.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Level(price, size))
    }
}

/// Upbit and Bithumb.
#[derive(Deserialize)]
pub struct Units {
    orderbook_units: Option<Vec<Unit>>,
    timestamp: Option<Time>,
}

#[derive(Deserialize)]
struct Unit {
    ask_price: Bare,
    bid_price: Bare,
    ask_size: Bare,
    bid_size: Bare,
}

impl Message for Units {
    fn book(self, _: &mut Books) -> Option<Book> {
        let units = self.orderbook_units?;
        let bids = units.iter().map(|unit| Level(unit.bid_price.0, unit.bid_size.0));
        let asks = units.iter().map(|unit| Level(unit.ask_price.0, unit.ask_size.0));
        let (bids, asks) = (summed(bids, Fixed::max)?, summed(asks, Fixed::min)?);
        Some(Book { bids, asks, time: self.timestamp })
    }
}

#[derive(Deserialize)]
pub struct Coinone {
    data: Option<CoinoneData>,
}

#[derive(Deserialize)]
struct CoinoneData {
    id: Option<String>,
    bids: Option<Vec<Named>>,
    asks: Option<Vec<Named>>,
}

impl Message for Coinone {
    fn book(self, _: &mut Books) -> Option<Book> {
        let data = self.data?;
        let time = data.id.and_then(|id| id.get(..13)?.parse().ok()).map(Time::of_milliseconds);
        whole(data.bids?, data.asks?, time)
    }
}

#[derive(Deserialize)]
pub struct Korbit {
    data: Option<KorbitData>,
}

#[derive(Deserialize)]
struct KorbitData {
    timestamp: Option<Time>,
    bids: Option<Vec<Named>>,
    asks: Option<Vec<Named>>,
}

impl Message for Korbit {
    fn book(self, _: &mut Books) -> Option<Book> {
        let data = self.data?;
        whole(data.bids?, data.asks?, data.timestamp)
    }
}

#[derive(Deserialize)]
pub struct Gateio {
    result: Option<GateioResult>,
}

#[derive(Deserialize)]
struct GateioResult {
    t: Option<Time>,
    bids: Option<Vec<Pair>>,
    asks: Option<Vec<Pair>>,
}

impl Message for Gateio {
    fn book(self, _: &mut Books) -> Option<Book> {
        let result = self.result?;
        whole(result.bids?, result.asks?, result.t)
    }
}

#[derive(Deserialize)]
pub struct Binance {
    bids: Option<Vec<Pair>>,
    asks: Option<Vec<Pair>>,
}

impl Message for Binance {
    fn book(self, _: &mut Books) -> Option<Book> {
        whole(self.bids?, self.asks?, None)
    }
}

#[derive(Deserialize)]
pub struct Okx {
    arg: Option<OkxArgument>,
    action: Option<String>,
    data: Option<First<OkxData>>,
}

#[derive(Deserialize)]
struct OkxArgument {
    #[serde(rename = "instId")]
    instrument: Option<String>,
}

#[derive(Deserialize)]
struct OkxData {
    bids: Vec<Pair>,
    asks: Vec<Pair>,
    ts: Option<Time>,
}

impl Message for Okx {
    fn book(self, books: &mut Books) -> Option<Book> {
        let data = self.data?.0?;
        let is_snapshot = self.action? == "snapshot";
        books.take(self.arg?.instrument?, is_snapshot, 400, [data.bids, data.asks], data.ts)
    }
}

#[derive(Deserialize)]
pub struct Bybit {
    #[serde(rename = "type")]
    form: Option<String>,
    data: Option<BybitData>,
    cts: Option<Time>,
}

#[derive(Deserialize)]
struct BybitData {
    s: String,
    b: Vec<Pair>,
    a: Vec<Pair>,
}

impl Message for Bybit {
    fn book(self, books: &mut Books) -> Option<Book> {
        let data = self.data?;
        books.take(data.s, self.form? == "snapshot", 50, [data.b, data.a], self.cts)
    }
}

#[derive(Deserialize)]
pub struct Kraken {
    #[serde(rename = "type")]
    form: Option<String>,
    data: Option<First<KrakenData>>,
}

#[derive(Deserialize)]
struct KrakenData {
    symbol: Option<String>,
    bids: Option<Vec<NamedBare>>,
    asks: Option<Vec<NamedBare>>,
    timestamp: Option<Time>,
}

impl Message for Kraken {
    fn book(self, books: &mut Books) -> Option<Book> {
        let data = self.data?.0?;
        let sides = [data.bids?, data.asks?];
        let depth = sides.iter().map(Vec::len).max().unwrap_or_default().max(10);
        books.take(data.symbol?, self.form? == "snapshot", depth, sides, data.timestamp)
    }
}
