//! A pull reader over JSON text, or over JSON text that is itself escaped inside a JSON string.
//!
//! What is asked for is checked; what is skipped is only followed (quotes and brackets). Every
//! method works on arbitrary bytes and none recurses. A reader is a slice and nothing else, so
//! that it is copied freely and stays in registers; `apart` keeps it there around calls.

pub mod block;
pub mod pattern;
pub mod shape;
mod skip;
pub mod string;
pub mod text;

use std::marker::PhantomData;

use crate::error::{Error, Result};
use crate::number::{self, Number, Parsed, Value};
use string::{run, unescape};
use text::Text;

/// The longest name of an instrument, a channel or the like: as long as the symbol of an envelope.
pub const MAX_NAME_BYTES: usize = 256;

/// The most bytes for one byte of a name: its escape, each backslash of which may be escaped again.
const LONGEST_ESCAPE: usize = 12;

/// What has not been read yet of a text that is written as `T` says.
#[derive(Debug)]
pub struct Reader<'a, T> {
    rest: &'a [u8],
    text: PhantomData<T>,
}

impl<T> Clone for Reader<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Reader<'_, T> {}

impl<'a, T: Text> Reader<'a, T> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes, text: PhantomData }
    }

    /// What has not been read yet.
    #[inline(always)]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The same where `left` bytes were left.
    pub fn back_at(&self, left: usize) -> Self {
        let from = self.rest.len().saturating_sub(left);
        Reader { rest: &self.rest[from..], text: PhantomData }
    }

    /// The byte that comes next.
    #[inline(always)]
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Whether nothing but white space is left.
    pub fn is_at_end(&mut self) -> bool {
        self.space();
        self.rest.is_empty()
    }

    /// Reads an object. `member` gets each key, as written, and must read or skip its value.
    #[inline(always)]
    pub fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, &'a [u8]) -> Result<()>,
    ) -> Result<()> {
        let mut more = self.open_object()?;
        while more {
            let key = self.key()?;
            member(self, key)?;
            more = self.next_member()?;
        }
        Ok(())
    }

    /// Opens an object; whether it has a member, whose `key` comes next.
    #[inline(always)]
    pub fn open_object(&mut self) -> Result<bool> {
        self.expect(b'{')?;
        self.first_key()
    }

    /// After a member: whether there is another. If not, the object is closed.
    #[inline(always)]
    pub fn next_member(&mut self) -> Result<bool> {
        if self.literal(T::NEXT_KEY) { Ok(true) } else { self.next_key() }
    }

    /// Opens an array; whether it has an element.
    #[inline(always)]
    pub fn open_array(&mut self) -> Result<bool> {
        self.expect(b'[')?;
        self.space();
        Ok(!self.byte(b']'))
    }

    /// After an element: whether there is another. If not, the array is closed.
    #[inline(always)]
    pub fn next_element(&mut self) -> Result<bool> {
        if self.literal(b", ") || self.comma() {
            self.space();
            return Ok(true);
        }
        self.expect(b']')?;
        Ok(false)
    }

    /// Reads one value, or each of an array of values.
    pub fn each(&mut self, mut value: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        let is_array = self.peek() == Some(b'[');
        if is_array && !self.open_array()? {
            return Ok(());
        }
        loop {
            value(self)?;
            if !is_array || !self.next_element()? {
                return Ok(());
            }
        }
    }

    /// Reads a number, bare or as a string.
    #[inline(always)]
    pub fn number(&mut self) -> Result<Number<'a, T::Value>> {
        let quoted = self.literal(T::QUOTE);
        let parsed = match self.rest.first_chunk().and_then(T::Value::usual) {
            Some(usual) => usual,
            None => T::Value::parse(self.rest)?,
        };
        let number = self.taken(parsed).ok_or(Error::Number)?;
        if quoted && !self.literal(T::QUOTE) {
            return Err(Error::Number);
        }
        Ok(number)
    }

    /// A number that was found here, which is then read.
    #[inline(always)]
    fn taken(&mut self, parsed: Parsed<T::Value>) -> Option<Number<'a, T::Value>> {
        let Parsed { value, length, point } = parsed;
        let number = Number { value, rest: self.rest, length, point };
        self.rest = self.rest.get(length..)?;
        Some(number)
    }

    /// Reads a number; nothing where null or an empty string stands for it.
    #[inline(always)]
    pub fn number_if_any(&mut self) -> Result<Option<Number<'a, T::Value>>> {
        if let Some(number) = self.quick_value() {
            return Ok(Some(number));
        }
        if self.null() || self.empty_string() { Ok(None) } else { self.number().map(Some) }
    }

    /// Reads a whole number of up to 15 digits, bare or as a string; nothing if it is something else.
    #[inline(always)]
    pub fn whole_number(&mut self) -> Option<u64> {
        let mut reader = *self;
        let quoted = reader.literal(T::QUOTE);
        let (value, length) = number::whole(reader.rest.first_chunk()?)?;
        reader.rest = &reader.rest[length..];
        if quoted && !reader.literal(T::QUOTE) {
            return None;
        }
        *self = reader;
        Some(value)
    }

    /// Reads a string, as written: its escapes are not decoded.
    #[inline(always)]
    pub fn string(&mut self) -> Result<&'a [u8]> {
        if !self.literal(T::QUOTE) {
            return Err(Error::Syntax);
        }
        self.rest_of_string()
    }

    /// Reads a string, or skips what is none.
    pub fn string_if_any(&mut self) -> Result<Option<&'a [u8]>> {
        if self.rest.starts_with(T::QUOTE) {
            self.string().map(Some)
        } else {
            self.skip().map(|()| None)
        }
    }

    /// Reads a name: a string, decoded, onto `into`; skips what is none. Records and books repeat
    /// names, so a long one is an error.
    #[inline(always)]
    pub fn name(&mut self, into: &mut Vec<u8>) -> Result<()> {
        let mut reader = *self;
        if reader.literal(T::QUOTE)
            && let Some((name, rest)) = reader.rest.split_at_checked(run(reader.rest))
            && rest.starts_with(T::QUOTE)
        {
            if name.len() > MAX_NAME_BYTES {
                return Err(Error::Size);
            }
            into.extend_from_slice(name);
            self.rest = &rest[T::QUOTE.len()..];
            return Ok(());
        }
        self.apart(|reader| reader.any_name(into))
    }

    #[inline(never)]
    fn any_name(&mut self, into: &mut Vec<u8>) -> Result<()> {
        let Some(raw) = self.string_if_any()? else { return Ok(()) };
        if raw.len() > MAX_NAME_BYTES * LONGEST_ESCAPE {
            return Err(Error::Size);
        }
        if T::ESCAPED {
            let mut plain = Vec::new();
            unescape(raw, &mut plain)?;
            unescape(&plain, into)?;
        } else {
            unescape(raw, into)?;
        }
        if into.len() > MAX_NAME_BYTES { Err(Error::Size) } else { Ok(()) }
    }

    /// Whether the value that comes next is null, which is then read.
    #[inline(always)]
    pub fn null(&mut self) -> bool {
        self.literal(b"null")
    }

    /// Whether the value that comes next is an empty string, which is then read.
    #[inline(always)]
    fn empty_string(&mut self) -> bool {
        let mut reader = *self;
        let empty = reader.literal(T::QUOTE) && reader.literal(T::QUOTE);
        if empty {
            *self = reader;
        }
        empty
    }

    /// A key after its opening quote, and the colon.
    #[inline(always)]
    pub fn key(&mut self) -> Result<&'a [u8]> {
        let run = run(self.rest);
        let (key, rest) = self.rest.split_at_checked(run).ok_or(Error::Syntax)?;
        if let Some(rest) = rest.strip_prefix(T::AFTER_KEY) {
            self.rest = rest;
            self.space();
            return Ok(key);
        }
        self.apart(Self::any_key)
    }

    #[inline(never)]
    fn any_key(&mut self) -> Result<&'a [u8]> {
        let key = self.rest_of_string()?;
        self.space();
        self.expect(b':')?;
        self.space();
        Ok(key)
    }

    #[inline(always)]
    fn first_key(&mut self) -> Result<bool> {
        if self.literal(T::QUOTE) {
            return Ok(true);
        }
        self.space();
        if self.byte(b'}') {
            return Ok(false);
        }
        if self.literal(T::QUOTE) { Ok(true) } else { Err(Error::Syntax) }
    }

    #[inline(always)]
    fn next_key(&mut self) -> Result<bool> {
        self.space();
        if self.byte(b'}') {
            return Ok(false);
        }
        if self.comma() && self.literal(T::QUOTE) { Ok(true) } else { Err(Error::Syntax) }
    }

    /// Makes a call that the compiler does not inline on a copy, so that the reader itself stays
    /// in registers.
    #[inline(always)]
    pub fn apart<R>(&mut self, call: impl FnOnce(&mut Self) -> R) -> R {
        let mut copy = *self;
        let result = call(&mut copy);
        *self = copy;
        result
    }

    #[inline(always)]
    fn comma(&mut self) -> bool {
        self.space();
        let comma = self.byte(b',');
        if comma {
            self.space();
        }
        comma
    }

    #[inline(always)]
    pub fn space(&mut self) {
        while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    #[inline(always)]
    fn byte(&mut self, byte: u8) -> bool {
        match self.rest {
            [first, rest @ ..] if *first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    #[inline(always)]
    fn expect(&mut self, byte: u8) -> Result<()> {
        if self.byte(byte) { Ok(()) } else { Err(Error::Syntax) }
    }

    #[inline(always)]
    fn literal(&mut self, literal: &'static [u8]) -> bool {
        match self.rest.strip_prefix(literal) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }
}
