//! An envelope: who sent it, and where in its bytes each item stands.

use std::borrow::Cow;
use std::ops::Range;

use crate::error::{Error, Result};
use memchr::memchr;

use crate::json::Reader;
use crate::json::string::{closing_quote, unescape};
use crate::json::text::Plain;

/// An envelope, taken apart. Nothing inside its items has been looked at.
#[derive(Debug, Default)]
pub struct Envelope<'a> {
    /// The text of `region`, decoded.
    pub region: Option<Cow<'a, [u8]>>,
    /// The text of `market`, decoded.
    pub market: Cow<'a, [u8]>,
    /// The text between the quotes of `symbol`: as written, or in its shortest spelling if it is
    /// written in more bytes than a symbol may have.
    pub symbol: Cow<'a, [u8]>,
    /// The same, decoded.
    pub name: Cow<'a, [u8]>,
    /// Where in the value the array `data` stands, brackets included.
    pub data: Range<usize>,
    /// The items, by their index in ascending order, that have escapes other than those of the quotes
    /// in an item that is a string.
    pub escaped: Vec<usize>,
}

impl<'a> Envelope<'a> {
    /// Takes a value apart; `items` becomes where each item stands in it.
    pub fn split(value: &'a [u8], items: &mut Vec<Range<usize>>) -> Result<Self> {
        items.clear();
        Self::members(value, items).map_err(|_| Error::Envelope)
    }

    fn members(value: &'a [u8], items: &mut Vec<Range<usize>>) -> Result<Self> {
        let mut reader = Reader::<Plain>::new(value);
        let (mut region, mut market, mut symbol, mut data) = (None, None, None, None);
        let mut memory = Vec::new();
        reader.space();
        reader.object(|reader, key| match decoded_key(key, &mut memory) {
            b"region" => once(&mut region, reader.string_if_any()?),
            b"market" => once(&mut market, Some(reader.string()?)),
            b"symbol" => once(&mut symbol, Some(reader.string()?)),
            b"data" => once(&mut data, Some(split_array(value, reader, items)?)),
            _ => reader.skip(),
        })?;
        let end = reader.is_at_end();
        let (Some(market), Some(symbol), Some(data), true) = (market, symbol, data, end) else {
            return Err(Error::Envelope);
        };
        let name = decoded(symbol)?;
        if name.len() > MOST_SYMBOL_BYTES {
            return Err(Error::Envelope);
        }
        let (data, escaped) = data;
        Ok(Envelope {
            region: region.map(decoded).transpose()?,
            market: decoded(market)?,
            symbol: match symbol.len() {
                ..=MOST_SYMBOL_BYTES => Cow::Borrowed(symbol),
                _ => Cow::Owned(shortest_spelling(&name)?),
            },
            name,
            data,
            escaped,
        })
    }

    /// Whether an item has escapes beyond those of its own quotes.
    #[inline]
    pub fn has_escapes(&self, item: usize) -> bool {
        !self.escaped.is_empty() && self.escaped.binary_search(&item).is_ok()
    }

    /// The envelope with one of its items alone, all else as it came; or without the members that
    /// nobody reads, where these are so long that each item would multiply them.
    pub fn with_only(&self, value: &[u8], item: &[u8]) -> Vec<u8> {
        let (before, behind) = (&value[..=self.data.start], &value[self.data.end - 1..]);
        if before.len() + behind.len() <= MOST_HEADER_BYTES {
            return [before, item, behind].concat();
        }
        let region = self.region.as_deref().unwrap_or_default();
        let is_word =
            region.len() <= MOST_REGION_BYTES && region.iter().all(u8::is_ascii_alphanumeric);
        let parts: [&[u8]; 10] = [
            b"{\"region\":\"",
            if is_word { region } else { b"" },
            b"\",\"market\":\"",
            &self.market, // the name of an exchange
            b"\"",
            b",\"symbol\":\"",
            &self.symbol,
            b"\",\"data\":[",
            item,
            b"]}",
        ];
        parts.concat()
    }
}

/// Records and dead letters repeat the symbol, and dead letters what else stands in an envelope:
/// these bounds keep what comes out in proportion to what came in.
const MOST_ITEMS: usize = 100_000;
const MOST_SYMBOL_BYTES: usize = 256;
const MOST_HEADER_BYTES: usize = 512;
const MOST_REGION_BYTES: usize = 16;
/// The longest key that is read is `region`, and the longest escape of a character has six bytes.
const MOST_KEY_BYTES: usize = 6 * "region".len();

/// Notes a member's value, of which there may be only one.
fn once<M>(into: &mut Option<M>, value: Option<M>) -> Result<()> {
    if into.is_some() {
        return Err(Error::Duplicate);
    }
    *into = value;
    Ok(())
}

/// Returns a key with its escapes decoded, or as written if it is no key that is read.
fn decoded_key<'k>(key: &'k [u8], memory: &'k mut Vec<u8>) -> &'k [u8] {
    if key.len() > MOST_KEY_BYTES || !key.contains(&b'\\') {
        return key;
    }
    memory.clear();
    if unescape(key, memory).is_ok() { memory } else { key }
}

/// Notes where each element of an array stands; where the array itself stands, and which of its
/// elements have escapes.
fn split_array(
    value: &[u8],
    reader: &mut Reader<Plain>,
    items: &mut Vec<Range<usize>>,
) -> Result<(Range<usize>, Vec<usize>)> {
    let at = |reader: &Reader<Plain>| value.len() - reader.rest().len();
    let start = at(reader);
    let mut escaped = Vec::new();
    let mut more = reader.open_array()?;
    while more {
        if items.len() == MOST_ITEMS {
            return Err(Error::Size);
        }
        let item = at(reader);
        let rest = reader.rest();
        let has_escapes = if rest.first() == Some(&b'"') {
            let closing = closing_quote(rest).ok_or(Error::Syntax)?;
            *reader = Reader::new(&rest[closing.quote + 1..]);
            items.push(item..at(reader));
            closing.has_other_escapes
        } else {
            let text = reader.skipped_at_any_depth()?;
            items.push(item..item + text.len());
            memchr(b'\\', text).is_some()
        };
        if has_escapes {
            escaped.push(items.len() - 1);
        }
        more = reader.next_element()?;
    }
    Ok((start..at(reader), escaped))
}

/// Returns a JSON string's text, without its quotes, in which only what must be is escaped.
fn shortest_spelling(text: &[u8]) -> Result<Vec<u8>> {
    let text = std::str::from_utf8(text).map_err(|_| Error::Utf8)?;
    let mut spelling = serde_json::to_vec(text).map_err(|_| Error::Utf8)?;
    spelling.pop();
    spelling.remove(0);
    Ok(spelling)
}

fn decoded(raw: &[u8]) -> Result<Cow<'_, [u8]>> {
    if raw.iter().all(|byte| (0x20..0x80).contains(byte) && *byte != b'\\') {
        return Ok(Cow::Borrowed(raw));
    }
    let mut text = Vec::with_capacity(raw.len());
    unescape(raw, &mut text)?;
    let control = raw.iter().any(|byte| *byte < 0x20);
    if control || std::str::from_utf8(&text).is_err() {
        Err(Error::Utf8)
    } else {
        Ok(Cow::Owned(text))
    }
}
