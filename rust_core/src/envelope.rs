//! An envelope: who sent it, and where in its bytes each item stands.

use std::borrow::Cow;
use std::ops::Range;

use crate::error::{Error, Result};
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
    /// What is between the quotes of `symbol`, as written.
    pub symbol: &'a [u8],
    /// The same, decoded.
    pub name: Cow<'a, [u8]>,
    /// Where in the value the array `data` stands, brackets included.
    pub data: Range<usize>,
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
        reader.space();
        reader.object(|reader, key| match key {
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
        if symbol.len() > MOST_SYMBOL_BYTES {
            return Err(Error::Envelope);
        }
        Ok(Envelope {
            region: region.map(decoded).transpose()?,
            market: decoded(market)?,
            symbol,
            name: decoded(symbol)?,
            data,
        })
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
            self.symbol,
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

/// Notes a member's value, of which there may be only one.
fn once<M>(into: &mut Option<M>, value: Option<M>) -> Result<()> {
    if into.is_some() {
        return Err(Error::Duplicate);
    }
    *into = value;
    Ok(())
}

/// Notes where each element of an array stands; where the array itself stands.
fn split_array(
    value: &[u8],
    reader: &mut Reader<Plain>,
    items: &mut Vec<Range<usize>>,
) -> Result<Range<usize>> {
    let at = |reader: &Reader<Plain>| value.len() - reader.rest().len();
    let start = at(reader);
    let mut more = reader.open_array()?;
    while more {
        if items.len() == MOST_ITEMS {
            return Err(Error::Size);
        }
        let item = at(reader);
        let rest = reader.rest();
        if rest.first() == Some(&b'"') {
            let quote = closing_quote(rest).ok_or(Error::Syntax)?;
            *reader = Reader::new(&rest[quote + 1..]);
            items.push(item..at(reader));
        } else {
            let length = reader.skipped_at_any_depth()?.len();
            items.push(item..item + length);
        }
        more = reader.next_element()?;
    }
    Ok(start..at(reader))
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
