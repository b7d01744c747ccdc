//! Stepping over what is not read: only its quotes and brackets are followed.

use super::Reader;
use super::block::Block;
use super::string::run;
use super::text::Text;
use crate::error::{Error, Result};

impl<'a, T: Text> Reader<'a, T> {
    /// Steps over one value.
    #[inline(always)]
    pub fn skip(&mut self) -> Result<()> {
        if self.literal(T::QUOTE) {
            return self.rest_of_string().map(drop);
        }
        match self.peek() {
            Some(b'{' | b'[') => self.apart(Self::skip_container),
            _ => self.skip_scalar(),
        }
    }

    /// Steps over one value; what was stepped over.
    pub fn skipped(&mut self) -> Result<&'a [u8]> {
        let start = self.rest;
        self.skip()?;
        let length = start.len() - self.rest.len();
        Ok(start[..length].trim_ascii_end())
    }

    /// The same of a value that may be nested as deep as it likes: its brackets are only counted.
    pub fn skipped_at_any_depth(&mut self) -> Result<&'a [u8]> {
        let mut reader = *self;
        match reader.skipped() {
            Err(Error::Depth) => {}
            skipped => {
                *self = reader;
                return skipped;
            }
        }
        let (start, mut depth) = (self.rest, 0usize);
        loop {
            match self.peek().ok_or(Error::Syntax)? {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.rest = &self.rest[1..];
            if depth == 0 {
                return Ok(&start[..start.len() - self.rest.len()]);
            }
        }
    }

    #[inline(always)]
    pub(super) fn skip_scalar(&mut self) -> Result<()> {
        let end = match self.rest.first_chunk().map(|chunk| Block::load(chunk).find_end_of_scalar())
        {
            Some(end) if end < 16 => end,
            _ => {
                self.rest.iter().position(|byte| b",]}\"".contains(byte)).unwrap_or(self.rest.len())
            }
        };
        self.rest = &self.rest[end..];
        if end > 0 { Ok(()) } else { Err(Error::Syntax) }
    }

    #[inline(never)]
    fn skip_container(&mut self) -> Result<()> {
        let mut open = 1u64; // a one, then a bit for each container: whether it is an array
        loop {
            let byte = self.peek().ok_or(Error::Syntax)?;
            match byte {
                b'{' | b'[' if open >> 63 == 1 => return Err(Error::Depth),
                b'{' | b'[' => open = open << 1 | u64::from(byte == b'['),
                b'}' | b']' if open & 1 == u64::from(byte == b']') => open >>= 1,
                b'"' | b'\\' if self.literal(T::QUOTE) => {
                    self.rest_of_string()?;
                    continue;
                }
                b'}' | b']' | b'"' | b'\\' => return Err(Error::Syntax),
                _ => {
                    let plain = self
                        .rest
                        .first_chunk()
                        .map_or(1, |chunk| Block::load(chunk).find_structure());
                    self.rest = &self.rest[plain.max(1)..];
                    continue;
                }
            }
            self.rest = &self.rest[1..];
            if open == 1 {
                return Ok(());
            }
        }
    }

    /// What is left of an array after one of its values.
    #[inline(always)]
    pub(super) fn rest_of_array(&mut self) -> Result<()> {
        while self.literal(T::NEXT_KEY) {
            self.rest_of_string()?;
        }
        if self.byte(b']') { Ok(()) } else { self.apart(Self::any_rest_of_array) }
    }

    #[cold]
    #[inline(never)]
    fn any_rest_of_array(&mut self) -> Result<()> {
        while self.comma() {
            self.skip()?;
        }
        self.space();
        self.expect(b']')
    }

    /// What is left of a string after its opening quote.
    #[inline(always)]
    pub(super) fn rest_of_string(&mut self) -> Result<&'a [u8]> {
        let start = self.rest;
        loop {
            let run = run(self.rest);
            self.rest = self.rest.get(run..).ok_or(Error::Syntax)?;
            if self.literal(T::QUOTE) {
                return Ok(&start[..start.len() - self.rest.len() - T::QUOTE.len()]);
            }
            self.apart(Self::escape)?;
        }
    }

    /// Steps over an escape of the text; where the text is escaped, that is an escaped backslash
    /// and what follows it.
    #[cold]
    #[inline(never)]
    fn escape(&mut self) -> Result<()> {
        let length = match *self.rest {
            [b'\\', b'\\', b'\\', _, ..] if T::ESCAPED => 4,
            [b'\\', b'\\', byte, ..] if T::ESCAPED && byte != b'"' && byte != b'\\' => 3,
            [b'\\', _, ..] if !T::ESCAPED => 2,
            [b'\\', ..] => return Err(Error::Escape),
            _ => return Err(Error::Syntax),
        };
        self.rest = &self.rest[length..];
        Ok(())
    }
}
