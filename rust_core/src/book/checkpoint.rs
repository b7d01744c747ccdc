//! A kept book as JSON and back: what outlives the process.
//!
//! `{"version": 2, "crc32": …, "book": {…}}`: the checksum covers the name of the checkpoint and the
//! bytes after `"book": `. In version 1 it covers these bytes alone.
//! Prices and sizes are decimal text, levels stand best first, times are in microseconds.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::levels::{Kept, Levels};
use super::{Book, Quality};
use crate::error::Error;
use crate::number::{Value, Wide};
use crate::order_book::{Level, UNCUT};
use crate::record::Decimal;

/// The version that is written; older ones can be read as long as there are any.
pub const VERSION: u32 = 2;

/// The version whose checksum does not cover the name.
const VERSION_WITHOUT_NAME: u32 = 1;

/// Why a checkpoint cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// It was written by a later version of this program.
    Newer,
    /// It is not what was written.
    Broken,
    /// It knows messages that are yet to be read.
    Ahead,
    /// It is of a book that was cut to another depth than the settings say by now.
    Depth,
}

#[derive(Serialize, Deserialize)]
struct Sealed<'a> {
    version: u32,
    crc32: u32,
    #[serde(borrow)]
    book: &'a RawValue,
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// Levels of a side, the best one first: price and size.
type Side = Vec<(String, String)>;

/// Both sides of a book.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sides {
    bids: Side,
    asks: Side,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    offset: Option<i64>,
    quality: String,
    last: Option<i64>,
    time_us: Option<i64>,
    expected_depth: usize,
    depth: usize,
    crossed: u32,
    repeated: u32,
    places: [usize; 2],
    proven_places: Option<[usize; 2]>,
    #[serde(default)]
    recent_places: [usize; 2],
    #[serde(default)]
    checksums_failed_in_a_row: u32,
    levels: Sides,
}

/// Seals what is to be stored under a name.
pub fn seal(name: &str, content: &impl Serialize) -> Vec<u8> {
    let book = serde_json::value::to_raw_value(content).expect("it has no keys but texts");
    let crc32 = checksum(&[name, book.get()]);
    serde_json::to_vec(&Sealed { version: VERSION, crc32, book: &book })
        .expect("it has no keys but texts")
}

fn checksum(parts: &[&str]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for part in parts {
        hasher.update(part.as_bytes());
    }
    hasher.finalize()
}

/// Returns what was sealed under a name.
pub fn open<T: DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T, Damage> {
    let versioned: Versioned = serde_json::from_slice(bytes).map_err(|_| Damage::Broken)?;
    if versioned.version > VERSION {
        return Err(Damage::Newer);
    }
    let sealed: Sealed = serde_json::from_slice(bytes).map_err(|_| Damage::Broken)?;
    let content = sealed.book.get();
    let name = if sealed.version == VERSION_WITHOUT_NAME { "" } else { name };
    if checksum(&[name, content]) != sealed.crc32 {
        return Err(Damage::Broken);
    }
    serde_json::from_str(content).map_err(|_| Damage::Broken)
}

impl Book {
    /// All that the next message builds on.
    pub fn stored(&self, name: &str) -> Vec<u8> {
        let content = Stored {
            offset: self.offset,
            quality: self.quality.name().to_owned(),
            last: self.last,
            time_us: self.time,
            expected_depth: self.expected_depth,
            depth: self.depth,
            crossed: self.crossed,
            repeated: self.repeated,
            places: self.proof.places,
            proven_places: self.proof.proven_places,
            recent_places: self.proof.recent_places,
            checksums_failed_in_a_row: self.proof.failed,
            levels: Sides::of(&self.levels),
        };
        seal(name, &content)
    }

    /// Returns the book that was stored under a name. `places` are those of the settings.
    pub fn restored(name: &str, bytes: &[u8], places: Option<[usize; 2]>) -> Result<Self, Damage> {
        let stored: Stored = open(name, bytes)?;
        let mut book = Book::new(stored.expected_depth, places);
        book.levels = stored.levels.levels()?;
        book.quality = Quality::find(&stored.quality).ok_or(Damage::Broken)?;
        (book.last, book.time, book.offset) = (stored.last, stored.time_us, stored.offset);
        book.depth = stored.depth;
        (book.crossed, book.repeated) = (stored.crossed, stored.repeated);
        let failed = stored.checksums_failed_in_a_row;
        book.proof.restore(stored.places, stored.proven_places, stored.recent_places, failed);
        Ok(book)
    }
}

impl Sides {
    pub fn of(levels: &Levels) -> Self {
        match levels {
            Levels::Usual(bids, asks) => Sides { bids: side(bids), asks: side(asks) },
            Levels::Wide(bids, asks) => Sides { bids: side(bids), asks: side(asks) },
        }
    }

    pub fn levels(&self) -> Result<Levels, Damage> {
        let usual = || Some(Levels::Usual(kept(&self.bids)?, kept(&self.asks)?));
        let wide = || Some(Levels::Wide(kept::<Wide, _>(&self.bids)?, kept(&self.asks)?));
        let is_long = self.bids.len().max(self.asks.len()) > UNCUT;
        if is_long { Err(Damage::Broken) } else { usual().or_else(wide).ok_or(Damage::Broken) }
    }
}

fn side<V: Decimal, const HIGHEST: bool>(kept: &Kept<V, HIGHEST>) -> Side {
    kept.best_first().map(|level| (level.price.to_text(), level.size.to_text())).collect()
}

fn kept<V: Value, const HIGHEST: bool>(side: &Side) -> Option<Kept<V, HIGHEST>> {
    let level = |(price, size): &(String, String)| {
        Some(Level { price: value(price).ok()?, size: value(size).ok()? })
    };
    Kept::restored(side.iter().map(level).collect::<Option<_>>()?)
}

fn value<V: Value>(text: &str) -> Result<V, Error> {
    let parsed = V::parse(text.as_bytes())?;
    if parsed.length == text.len() { Ok(parsed.value) } else { Err(Error::Number) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A checkpoint that an earlier program has written must mean the same for ever.
    #[test]
    fn the_format() {
        let mut book = Book::new(10, None);
        let level = |price: i128, size: i128| Level { price, size };
        let unit = 10i128.pow(18);
        let bids = Kept::restored(vec![level(5 * unit, unit / 2), level(4 * unit, unit)]).unwrap();
        let asks = Kept::restored(vec![level(6 * unit, 7 * unit)]).unwrap();
        book.levels = Levels::Usual(bids, asks);
        (book.quality, book.last, book.offset) = (Quality::Valid, Some(7), Some(42));
        book.time = Some(1_793_577_600_000_001);
        (book.proof.places, book.proof.proven_places) = ([1, 8], Some([1, 8]));
        let content = concat!(
            r#"{"offset":42,"quality":"valid","last":7,"time_us":1793577600000001,"#,
            r#""expected_depth":10,"depth":10,"crossed":0,"repeated":0,"places":[1,8],"#,
            r#""proven_places":[1,8],"recent_places":[1,7],"checksums_failed_in_a_row":3,"#,
            r#""levels":{"bids":[["5","0.5"],["4","1"]],"asks":[["6","7"]]}}"#
        );
        (book.proof.recent_places, book.proof.failed) = ([1, 7], 3);
        let crc = crc32fast::hash(format!("a name{content}").as_bytes());
        let text = format!(r#"{{"version":2,"crc32":{crc},"book":{content}}}"#);
        assert_eq!(String::from_utf8(book.stored("a name")).unwrap(), text);
        let restored = Book::restored("a name", text.as_bytes(), None).unwrap();
        assert_eq!(restored.stored("a name"), text.as_bytes());
        let other = Book::restored("another name", text.as_bytes(), None);
        assert_eq!(other.err(), Some(Damage::Broken));
    }

    #[test]
    fn the_first_format() {
        let content = concat!(
            r#"{"offset":42,"quality":"valid","last":7,"time_us":1793577600000001,"#,
            r#""expected_depth":10,"depth":10,"crossed":0,"repeated":0,"places":[1,8],"#,
            r#""proven_places":[1,8],"levels":{"bids":[["5","0.5"]],"asks":[["6","7"]]}}"#
        );
        let crc = crc32fast::hash(content.as_bytes());
        let text = format!(r#"{{"version":1,"crc32":{crc},"book":{content}}}"#);
        let restored = Book::restored("any name", text.as_bytes(), None).unwrap();
        assert_eq!((restored.last, restored.levels.counts()), (Some(7), [1, 1]));
    }

    /// No checkpoint makes a checksum's text as long as it likes.
    #[test]
    fn absurd_places() {
        let mut book = Book::new(10, None);
        book.proof.places = [70_000, 8];
        (book.proof.proven_places, book.proof.recent_places) = (Some([1, usize::MAX]), [9, 65]);
        let restored = Book::restored("", &book.stored(""), None).unwrap();
        assert_eq!(restored.proof.places, [0, 8]);
        assert_eq!(restored.proof.proven_places, Some([1, 0]));
        assert_eq!(restored.proof.recent_places, [9, 0]);
    }

    #[test]
    fn damage() {
        let stored = Book::new(10, None).stored("");
        assert!(Book::restored("", &stored, None).is_ok());
        let text = String::from_utf8(stored).unwrap();
        let cases = [
            (text.replace("\"version\":2", "\"version\":3"), Damage::Newer),
            (r#"{"version":9,"anything":[]}"#.to_owned(), Damage::Newer),
            (text.replace("\"depth\":10", "\"depth\":11"), Damage::Broken),
            (text[..text.len() - 1].to_owned(), Damage::Broken),
            (String::new(), Damage::Broken),
            ("null".to_owned(), Damage::Broken),
        ];
        for (text, damage) in cases {
            assert_eq!(Book::restored("", text.as_bytes(), None).err(), Some(damage), "{text}");
        }
    }

    /// Levels that no book can have are not believed, even where the checksum is right.
    #[test]
    fn levels_out_of_order() {
        let pair = |price: &str| (price.to_owned(), "1".to_owned());
        for bids in [vec![pair("4"), pair("5")], vec![pair("5"), pair("5")], vec![pair("-5")]] {
            assert!(Sides { bids, asks: Vec::new() }.levels().is_err());
        }
    }
}
