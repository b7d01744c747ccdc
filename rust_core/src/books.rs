//! All order books that are kept, by exchange and instrument.

use hashbrown::HashMap;

use crate::book::{Book, Summary};
use crate::exchange::ALL;
use crate::number::Value;
use crate::order_book::{Form, OrderBook, UNCUT};

/// What a message leaves to be published.
#[derive(Debug)]
pub enum Published {
    /// The message itself, which is the whole book.
    Whole,
    /// The book that is kept, as it is after the message.
    Kept(Summary),
    /// Nothing, as the base of the book is not known yet.
    Warming,
    /// Nothing, as the book has taken in this change already.
    Outdated,
}

/// The order books of all exchanges.
#[derive(Debug, Default)]
pub struct Books {
    exchanges: [OfExchange; ALL.len()],
}

#[derive(Debug, Default)]
struct OfExchange {
    kept: HashMap<Vec<u8>, Book>,
    /// Whole books on which changes may build that come in messages of another form: by
    /// instrument, or by the envelope's symbol where the message does not name its instrument.
    bases: HashMap<Vec<u8>, Base>,
}

#[derive(Debug)]
struct Base {
    book: Book,
    /// Whether no change has built on it yet.
    is_fresh: bool,
}

impl Books {
    /// Lets a message take effect.
    pub fn publish<V: Value>(
        &mut self,
        exchange: usize,
        symbol: &[u8],
        depth: usize,
        message: &OrderBook<V>,
    ) -> Published {
        let depths = ALL[exchange].depths;
        let books = &mut self.exchanges[exchange];
        match message.form {
            Form::Unsaid | Form::Whole => {
                if message.sequence.last.is_some() {
                    let name =
                        if message.instrument.is_empty() { symbol } else { &message.instrument };
                    let base = books
                        .bases
                        .entry_ref(name)
                        .or_insert_with(|| Base { book: Book::new(UNCUT), is_fresh: true });
                    base.book.take(message, depths);
                    base.is_fresh = true;
                }
                Published::Whole
            }
            Form::Snapshot => {
                let depth = message.depth.unwrap_or(depth);
                let book = entry(&mut books.kept, &key(message), depth);
                book.take(message, depths);
                Published::Kept(book.summary())
            }
            Form::Delta => books.change(symbol, message, depths),
        }
    }
}

impl OfExchange {
    fn change<V: Value>(
        &mut self,
        symbol: &[u8],
        message: &OrderBook<V>,
        depths: &[usize],
    ) -> Published {
        let key = key(message);
        if let Some((first, last)) = message.sequence.first.zip(message.sequence.last) {
            if self.is_before_base(&key, symbol, &message.instrument, first, last) {
                return Published::Outdated;
            }
            match self.kept.get(&key).and_then(|book| book.last) {
                Some(taken) if last <= taken => return Published::Outdated,
                Some(taken) if first > taken.saturating_add(1) => drop(self.kept.remove(&key)),
                _ => {}
            }
        }
        let Some(book) = self.kept.get_mut(&key) else { return Published::Warming };
        book.take(message, depths);
        Published::Kept(book.summary())
    }

    /// Lets a change, from number `first` to `last`, build on a whole book if it fits there; whether
    /// that book has taken it in already.
    fn is_before_base(
        &mut self,
        key: &[u8],
        symbol: &[u8],
        instrument: &[u8],
        first: i64,
        last: i64,
    ) -> bool {
        let taken = self.kept.get(key).and_then(|book| book.last);
        let goes_on = taken.is_some_and(|taken| first <= taken.saturating_add(1));
        let mut is_before = false;
        for name in [instrument, symbol] {
            let base = self.bases.get_mut(name).filter(|base| base.is_fresh);
            let Some((base, id)) = base.and_then(|base| base.book.last.map(|id| (base, id))) else {
                continue;
            };
            if last <= id {
                // a base that names no instrument may be another's: what goes on is not its
                is_before |= name == instrument || !goes_on;
            } else if first <= id.saturating_add(1) {
                self.kept.insert(key.to_vec(), base.book.clone());
                base.is_fresh = false;
                return false;
            }
        }
        is_before
    }
}

/// The book of this name, which begins empty.
fn entry<'b>(books: &'b mut HashMap<Vec<u8>, Book>, name: &[u8], depth: usize) -> &'b mut Book {
    books.entry_ref(name).or_insert_with(|| Book::new(depth))
}

/// An instrument, and which of its feeds.
fn key<V>(message: &OrderBook<V>) -> Vec<u8> {
    [&message.feed[..], &message.instrument].join(&0)
}
