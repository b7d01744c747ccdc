//! The order-book messages of one instrument.

use super::checksum::checksum;
use super::coins::Scale;
use super::dice::Dice;
use super::field::Field;
use super::form::Form;
use super::stamp::Stamp;
use super::template::Value;
use super::true_book::{Level, TrueBook};
use super::wire::{Books, Quirk, Wire};

/// How seldom there is something out of the ordinary: snapshots are long where books are kept.
const QUIRK_ONCE_IN: (u32, u32) = (25, 150);

#[derive(Clone, Debug)]
pub struct BookFeed {
    book: TrueBook,
    scale: Scale,
    books: Books,
    quirks: &'static [Quirk],
    has_begun: bool,
    /// What the message says, which is the whole view or the changes to it.
    message: Sides,
    is_snapshot: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Sides {
    pub bids: Vec<Level>,
    pub asks: Vec<Level>,
}

impl BookFeed {
    pub fn new(wire: &Wire, scale: Scale, dice: &mut Dice) -> Self {
        BookFeed {
            book: TrueBook::new(wire.depth, scale, dice),
            scale,
            books: wire.books,
            quirks: wire.quirks,
            has_begun: false,
            message: Sides::default(),
            is_snapshot: false,
        }
    }

    /// Lets the market go on to the next message.
    pub fn step(&mut self, stamp: &mut Stamp, dice: &mut Dice) {
        let is_whole = matches!(self.books, Books::Whole | Books::WholeWorstAskFirst);
        let seldom = if is_whole { QUIRK_ONCE_IN.0 } else { QUIRK_ONCE_IN.1 };
        let quirk = if !self.has_begun {
            Some(Quirk::Snapshot)
        } else if dice.once_in(seldom) {
            Some(self.quirks[dice.place(self.quirks.len())])
        } else {
            None
        };
        self.has_begun = true;
        self.is_snapshot =
            matches!(quirk, Some(Quirk::Snapshot | Quirk::RepeatedSnapshot | Quirk::Restart));
        number(stamp, quirk, dice);
        if is_whole {
            self.whole(quirk, dice);
        } else if self.is_snapshot {
            self.snapshot(quirk, dice);
        } else {
            self.changes(quirk, dice);
        }
    }

    fn whole(&mut self, quirk: Option<Quirk>, dice: &mut Dice) {
        self.book.step(dice);
        self.message.show(&self.book);
        match quirk {
            Some(Quirk::ShortSide) => self.message.shorten(dice),
            Some(Quirk::Dust) => self.message.leave_dust(dice),
            Some(Quirk::Crossed) => self.message.cross(self.scale.prices.step * dice.between(0, 3)),
            _ => {}
        }
        if self.books == Books::WholeWorstAskFirst {
            self.message.asks.reverse();
        }
    }

    fn snapshot(&mut self, quirk: Option<Quirk>, dice: &mut Dice) {
        if quirk != Some(Quirk::RepeatedSnapshot) {
            self.book.step(dice);
        }
        self.message.show(&self.book);
    }

    fn changes(&mut self, quirk: Option<Quirk>, dice: &mut Dice) {
        let Sides { bids, asks } = &mut self.message;
        bids.clear();
        asks.clear();
        if quirk == Some(Quirk::KeepAlive) {
            return;
        }
        while bids.is_empty() && asks.is_empty() {
            self.book.step(dice);
            let tell_pushed_out = self.books == Books::Changes;
            self.book.bids.changes(tell_pushed_out, bids, dice);
            self.book.asks.changes(tell_pushed_out, asks, dice);
        }
        if quirk == Some(Quirk::ToldTwice)
            && let Some(last) = bids.last()
        {
            bids.insert(0, Level { size: self.scale.size(dice), ..*last });
        }
    }

    /// What a book is after the message: the bids, then the asks, in any order.
    pub fn truth(&self) -> (&[Level], &[Level]) {
        match self.books {
            Books::Whole | Books::WholeWorstAskFirst => (&self.message.bids, &self.message.asks),
            Books::Changes | Books::ChangesUntoldBelow => {
                (self.book.bids.view(), self.book.asks.view())
            }
        }
    }

    /// How many decimals prices and sizes have.
    pub fn places(&self) -> (u8, u8) {
        (self.scale.prices.places, self.scale.size_places)
    }

    /// Writes the message.
    pub fn write(&self, out: &mut Vec<u8>, form: &Form, stamp: &Stamp) {
        let template = form.snapshot.as_ref().filter(|_| self.is_snapshot).unwrap_or(&form.message);
        let Sides { bids, asks } = &self.message;
        for (text, slot) in &template.pieces {
            out.extend_from_slice(text);
            match slot {
                None => {}
                Some(slot) => match slot.field {
                    Field::Asks => self.levels(out, form, asks),
                    Field::Bids => self.levels(out, form, bids),
                    Field::Units => self.units(out, form),
                    Field::TotalAsk => template.fill(out, slot, self.total(asks)),
                    Field::TotalBid => template.fill(out, slot, self.total(bids)),
                    Field::Checksum => template.fill(out, slot, Value::Whole(self.checksum())),
                    field => template.fill(out, slot, stamp.value(field)),
                },
            }
        }
    }

    fn levels(&self, out: &mut Vec<u8>, form: &Form, levels: &[Level]) {
        let (price_places, size_places) = self.places();
        for (place, level) in levels.iter().enumerate() {
            if place > 0 {
                out.extend_from_slice(form.comma);
            }
            form.level.write(out, |field| match field {
                Field::Price => Value::Number(level.price, price_places),
                Field::Size => Value::Number(level.size, size_places),
                _ => Value::Whole(if level.size == 0 { 0 } else { 1 + level.price % 7 }),
            });
        }
    }

    /// A side that is shorter is padded with zeros.
    fn units(&self, out: &mut Vec<u8>, form: &Form) {
        let (price_places, size_places) = self.places();
        let Sides { bids, asks } = &self.message;
        for place in 0..bids.len().max(asks.len()) {
            if place > 0 {
                out.extend_from_slice(form.comma);
            }
            let ask = asks.get(place).copied().unwrap_or_default();
            let bid = bids.get(place).copied().unwrap_or_default();
            form.level.write(out, |field| match field {
                Field::AskPrice => Value::Number(ask.price, price_places),
                Field::BidPrice => Value::Number(bid.price, price_places),
                Field::AskSize => Value::Number(ask.size, size_places),
                _ => Value::Number(bid.size, size_places),
            });
        }
    }

    fn checksum(&self) -> i64 {
        checksum(self.book.asks.view(), self.book.bids.view()).into()
    }

    fn total(&self, levels: &[Level]) -> Value {
        Value::Number(levels.iter().map(|level| level.size).sum(), self.scale.size_places)
    }
}

/// Gives the next message its numbers.
fn number(stamp: &mut Stamp, quirk: Option<Quirk>, dice: &mut Dice) {
    match quirk {
        Some(Quirk::RepeatedSnapshot) => {}
        Some(Quirk::KeepAlive) => stamp.stay(),
        Some(Quirk::NumbersReset) => stamp.reset(dice),
        _ => stamp.advance(dice),
    }
    if quirk == Some(Quirk::Restart) {
        stamp.restart();
    }
}

impl Sides {
    /// Becomes the view of a book, the best levels first.
    fn show(&mut self, book: &TrueBook) {
        for (side, true_side) in [(&mut self.bids, &book.bids), (&mut self.asks, &book.asks)] {
            side.clear();
            side.extend(true_side.view().iter().rev());
        }
    }

    fn either(&mut self, dice: &mut Dice) -> &mut Vec<Level> {
        if dice.once_in(2) { &mut self.bids } else { &mut self.asks }
    }

    fn shorten(&mut self, dice: &mut Dice) {
        let side = self.either(dice);
        let length = if dice.once_in(2) { 0 } else { dice.place(side.len()) };
        side.truncate(length);
    }

    /// Less than the least size that is written stands at one of the best prices.
    fn leave_dust(&mut self, dice: &mut Dice) {
        let side = self.either(dice);
        let place = dice.place(side.len().min(3));
        side[place].size = 0;
    }

    /// Lets the best ask be so much below the best bid.
    fn cross(&mut self, by: i64) {
        let shift = self.asks[0].price - self.bids[0].price + by;
        if shift < self.asks[0].price {
            self.asks.iter_mut().for_each(|level| level.price -= shift);
        }
    }
}
