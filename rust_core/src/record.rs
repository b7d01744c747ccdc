//! The records that downstream reads: JSON, one a line.

mod decimal;
#[allow(dead_code, reason = "no record asks for figures yet")]
mod figures;
mod room;
#[cfg(test)]
mod tests;

use crate::order_book::Top;
use crate::ticker::{COLUMNS, Column, Ticker};
use crate::time::{Clock, Micros};
pub use decimal::Decimal;
use room::{Fragment, Room, fragment};

/// Records, a line break behind each.
#[derive(Debug, Default)]
pub struct Records {
    buffer: Vec<u8>,
    length: usize,
    count: u64,
    head: Vec<u8>,
    clock: Clock,
}

/// More than all that is written of a record besides its head and its numbers.
const FIXED_BYTES: usize = 1024;

const COLUMN_NAMES: [Fragment; COLUMNS] = [
    fragment("{\"opening_price\":"),
    fragment(",\"trade_price\":"),
    fragment(",\"max_price\":"),
    fragment(",\"min_price\":"),
    fragment(",\"prev_closing_price\":"),
    fragment(",\"acc_trade_volume_24h\":"),
    fragment(",\"signed_change_price\":"),
    fragment(",\"signed_change_rate\":"),
];

impl Records {
    /// All records so far.
    pub fn lines(&self) -> &[u8] {
        &self.buffer[..self.length]
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn clear(&mut self) {
        (self.length, self.count) = (0, 0);
    }

    /// The records that follow are of this envelope and begin alike. `symbol` is written as it is.
    pub fn begin(&mut self, region: &str, market: &[u8], symbol: &[u8]) {
        let market = market.to_ascii_uppercase();
        let parts: [&[u8]; 7] = [
            b"{\"region\":\"",
            region.as_bytes(),
            b"\",\"market\":\"",
            &market,
            b"\",\"coin_symbol\":\"",
            symbol,
            b"\"",
        ];
        self.head = parts.concat();
    }

    /// Writes the record of an order book: exact JSON numbers.
    pub fn order_book<V: Decimal>(
        &mut self,
        bids: &Top<V, true>,
        asks: &Top<V, false>,
        time: Micros,
    ) {
        let (bid, ask) = (bids.best.as_ref(), asks.best.as_ref());
        let spread = bid.zip(ask).map(|(bid, ask)| ask.clone() - bid.clone());
        self.write::<V>(|room, clock| {
            room.fragment(&const { fragment(",\"highest_bid\":") });
            room.decimal_or_null(bid);
            room.fragment(&const { fragment(",\"lowest_ask\":") });
            room.decimal_or_null(ask);
            room.fragment(&const { fragment(",\"spread\":") });
            room.decimal_or_null(spread.as_ref());
            room.fragment(&const { fragment(",\"total_bid_volume\":") });
            bids.total.write(room);
            room.fragment(&const { fragment(",\"total_ask_volume\":") });
            asks.total.write(room);
            room.fragment(&const { fragment(",\"timestamp\":\"") });
            *room.block() = *clock.text(time);
            room.advance(32);
            room.fragment(&const { fragment("\"}\n") });
        });
    }

    /// Writes the record of a ticker: exact decimal strings, copied from the message where they
    /// stand there as they must be.
    pub fn ticker<V: Decimal>(&mut self, ticker: &Ticker<V>, message: &[u8], time: Micros) {
        self.write::<V>(|room, _| {
            room.fragment(&const { fragment(",\"timestamp\":") });
            room.milliseconds(time);
            room.fragment(&const { fragment(",\"data\":[") });
            for (name, column) in COLUMN_NAMES.iter().zip(Column::ALL) {
                room.fragment(name);
                let Some(value) = ticker.get(column) else {
                    room.fragment(&const { fragment("null") });
                    continue;
                };
                room.fragment(&const { fragment("\"") });
                match ticker.text(column, message) {
                    Some((text, length)) => room.beginning(text, length),
                    None => value.write(room),
                }
                room.fragment(&const { fragment("\"") });
            }
            room.fragment(&const { fragment("}]}\n") });
        });
    }

    /// Writes one record of numbers of this kind.
    #[inline(always)]
    fn write<V: Decimal>(&mut self, record: impl FnOnce(&mut Room, &mut Clock)) {
        let most = FIXED_BYTES + self.head.len() + COLUMNS * (V::DIGITS + 4);
        if self.buffer.len() < self.length + most {
            self.grow(most);
        }
        let mut room = Room(&mut self.buffer[self.length..]);
        room.text(&self.head);
        record(&mut room, &mut self.clock);
        let left = room.0.len();
        self.length = self.buffer.len() - left;
        self.count += 1;
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, more: usize) {
        self.buffer.resize((self.buffer.len() * 2).max(self.length + more), 0);
    }
}
