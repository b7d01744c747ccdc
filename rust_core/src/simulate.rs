//! A market of made-up prices in the words of every exchange, and the truth about it.
//!
//! A [`Market`] writes the envelopes of one exchange and one kind. A true order book or quote
//! stands behind each instrument; [`wire`] is how the exchange says it, `truth` what records must
//! come of it. The same arguments lead to the same bytes.

mod book_feed;
mod calendar;
mod checksum;
mod coins;
mod dice;
mod digits;
mod field;
mod form;
mod quote;
mod stamp;
mod template;
#[cfg(test)]
mod tests;
mod true_book;
mod truth;
pub mod wire;

use crate::batch::Kind;
use crate::exchange::ALL;
use book_feed::BookFeed;
use coins::{COINS, Coin, Scale};
use dice::Dice;
use field::Field;
use form::Form;
use quote::Quote;
use stamp::Stamp;
use template::Template;
use wire::Wire;

/// When the market opens: 2026-11-02 00:00 UTC, in microseconds since 1970.
const OPENING_TIME: i64 = 1_793_577_600_000_000;

/// How the messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// As the exchange does.
    Exchange,
    /// As Python does that has read them.
    Reserialised,
    /// The same, and of tickers only the wanted keys are left.
    Flattened,
}

/// A stretch of the market.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// Envelopes, one a line.
    pub lines: Vec<u8>,
    /// The records that they must lead to, one a line, if the truth was asked for. The timestamp
    /// is null where the message has none.
    pub truth: Vec<u8>,
    pub envelopes: u64,
    pub items: u64,
    /// How many of the items are control messages.
    pub control: u64,
}

/// The messages of one exchange and one kind.
#[derive(Clone, Debug)]
pub struct Market {
    wire: Wire,
    truth: bool,
    dice: Dice,
    micros: i64,
    symbols: Vec<Symbol>,
    next: usize,
}

/// What stands under one symbol of an envelope.
#[derive(Clone, Debug)]
struct Symbol {
    envelope: String,
    record: String,
    feeds: Vec<Feed>,
}

/// One instrument.
#[derive(Clone, Debug)]
struct Feed {
    source: Source,
    stamp: Stamp,
    /// How it is written in a JSON string, and how as JSON.
    forms: [Form; 2],
    /// The unit of the time that is sent, in microseconds.
    time_unit: Option<i64>,
}

#[derive(Clone, Debug)]
enum Source {
    Ticker(Quote),
    OrderBook(Box<BookFeed>),
}

impl Market {
    /// The market of the exchange that stands at this place in [`ALL`]. Neither the style nor the
    /// truth changes what happens in it.
    #[must_use]
    pub fn new(exchange: usize, kind: Kind, style: Style, seed: u64, truth: bool) -> Self {
        let wire = ALL[exchange].wire;
        let mut dice = Dice::new(seed, 2 * exchange as u64 + u64::from(kind == Kind::Ticker));
        let market = ALL[exchange].name.to_ascii_uppercase();
        let symbols = COINS.iter().map(|coin| {
            let heads =
                ["{\"region\": \"", "\", \"market\": \"", "\", \"symbol\": \"", "\", \"data\": ["];
            let region = wire.region.to_ascii_lowercase();
            Symbol {
                envelope: [heads[0], &region, heads[1], &market, heads[2], coin.name, heads[3]]
                    .concat(),
                record: format!(
                    "{{\"region\":\"{}\",\"market\":\"{market}\",\"coin_symbol\":\"{}\"",
                    wire.region, coin.name
                ),
                feeds: feeds(coin, &wire, kind, style, &mut dice),
            }
        });
        let symbols = symbols.collect();
        Market { wire, truth, dice, micros: OPENING_TIME, symbols, next: 0 }
    }

    /// The next envelopes: whole ones, until there are so many bytes of them. It does not matter
    /// for what is in them how many are asked for at once.
    pub fn envelopes(&mut self, at_least: usize) -> Block {
        let mut block = Block::default();
        while block.lines.len() < at_least {
            self.envelope(&mut block);
        }
        block
    }

    fn envelope(&mut self, block: &mut Block) {
        let symbol = &mut self.symbols[self.next];
        self.next = (self.next + 1) % COINS.len();
        block.envelopes += 1;
        block.lines.extend_from_slice(symbol.envelope.as_bytes());
        for item in 0..=self.dice.below(100) {
            if item > 0 {
                block.lines.extend_from_slice(b", ");
            }
            self.micros += self.dice.between(2_000, 90_000);
            block.items += 1;
            let instrument = self.dice.place(symbol.feeds.len());
            let feed = &mut symbol.feeds[instrument];
            feed.stamp.micros = self.micros;
            if self.dice.once_in(100) {
                feed.control(&mut block.lines, &mut self.dice);
                block.control += 1;
            } else {
                feed.message(&mut block.lines, &mut self.dice);
                if self.truth {
                    feed.truth(&mut block.truth, &symbol.record, &self.wire);
                }
            }
        }
        block.lines.extend_from_slice(b"]}\n");
    }
}

/// The instruments of a coin.
fn feeds(coin: &Coin, wire: &Wire, kind: Kind, style: Style, dice: &mut Dice) -> Vec<Feed> {
    let scale = Scale::new(coin, wire);
    let count = if coin.name == COINS[0].name { wire.instruments.len() } else { 1 };
    let feed = |pattern: &&str| {
        let instrument = coins::instrument(pattern, coin.name);
        let forms = [true, false].map(|escaped| Form::new(wire, kind, style, &instrument, escaped));
        let source = match kind {
            Kind::Ticker => Source::Ticker(Quote::new(wire, scale, dice)),
            Kind::OrderBook => Source::OrderBook(Box::new(BookFeed::new(wire, scale, dice))),
        };
        let time_unit = time_unit(&forms[0].message);
        Feed { source, stamp: Stamp::new(dice), forms, time_unit }
    };
    wire.instruments[..count].iter().map(feed).collect()
}

fn time_unit(message: &Template) -> Option<i64> {
    let units = [(Field::TimeUs, 1), (Field::TimeRfc3339, 1), (Field::TimeMs, 1_000)];
    units.into_iter().find(|(field, _)| message.has(*field)).map(|(_, unit)| unit)
}

impl Feed {
    /// Writes the next item: mostly a JSON string, seldom an object or an array that holds it.
    fn message(&mut self, out: &mut Vec<u8>, dice: &mut Dice) {
        let [escaped, plain] = &self.forms;
        let (form, quotes) = match dice.below(100) {
            0 => (plain, ["", ""]),
            1 => (plain, ["[", "]"]),
            _ => (escaped, ["\"", "\""]),
        };
        out.extend_from_slice(quotes[0].as_bytes());
        match &mut self.source {
            Source::Ticker(quote) => {
                self.stamp.advance(dice);
                quote.step(dice);
                quote.write(out, form, &self.stamp);
            }
            Source::OrderBook(feed) => {
                feed.step(&mut self.stamp, dice);
                feed.write(out, form, &self.stamp);
            }
        }
        out.extend_from_slice(quotes[1].as_bytes());
    }

    fn control(&self, out: &mut Vec<u8>, dice: &mut Dice) {
        let texts = &self.forms[0].control;
        out.push(b'"');
        texts[dice.place(texts.len())].write(out, |field| self.stamp.value(field));
        out.push(b'"');
    }

    fn truth(&self, out: &mut Vec<u8>, head: &str, wire: &Wire) {
        let micros = self.time_unit.map(|unit| self.stamp.micros / unit * unit);
        match &self.source {
            Source::Ticker(quote) => truth::ticker(out, head, quote, wire.derived, micros),
            Source::OrderBook(feed) => {
                truth::order_book(out, head, feed.truth(), feed.places(), micros);
            }
        }
    }
}
