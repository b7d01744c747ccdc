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
    bases: HashMap<Vec<u8>, Book>,
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
                    let base = entry(&mut books.bases, name, UNCUT);
                    if message.sequence.last > base.last {
                        base.take(message, depths);
                    }
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
        let numbers = message.sequence.first.zip(message.sequence.last);
        if let Some((first, last)) = numbers
            && let Some(base) = self.newer_base(&key, symbol, message)
            && let Some(id) = base.last
        {
            if last <= id {
                return Published::Outdated;
            }
            if first <= id.saturating_add(1) {
                let base = base.clone();
                self.kept.insert(key.clone(), base);
            }
        }
        let Some(book) = self.kept.get_mut(&key) else { return Published::Warming };
        if let Some((_, last)) = numbers
            && book.last.is_some_and(|taken| last <= taken)
        {
            return Published::Outdated;
        }
        book.take(message, depths);
        Published::Kept(book.summary())
    }

    /// A whole book that is newer than the one that is kept.
    fn newer_base<V>(&self, key: &[u8], symbol: &[u8], message: &OrderBook<V>) -> Option<&Book> {
        let named = self.bases.get(&message.instrument);
        let base = named.into_iter().chain(self.bases.get(symbol)).max_by_key(|base| base.last)?;
        let taken = self.kept.get(key).and_then(|book| book.last);
        (base.last > taken).then_some(base)
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
