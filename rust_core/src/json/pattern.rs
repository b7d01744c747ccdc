//! Text that is known before it is read; short ones are compared sixteen bytes at a time.

use super::Reader;
use super::block::Block;
use super::string::run;
use super::text::Text;
use crate::error::{Error, Result};

/// Text of up to 32 bytes, compared without a loop. It may be known when this is compiled, and its
/// length then too.
#[derive(Clone, Copy, Debug)]
pub(super) struct Literal {
    text: [[u8; 16]; 2],
    ignore: [[u8; 16]; 2],
    pub(super) length: usize,
}

impl Literal {
    pub(super) const NOTHING: Self =
        Literal { text: [[0; 16]; 2], ignore: [[0xff; 16]; 2], length: 0 };

    const MOST: usize = 32;

    pub(super) const fn with(mut self, text: &[u8]) -> Self {
        let mut i = 0;
        while i < text.len() {
            let at = self.length;
            self.text[at / 16][at % 16] = text[i];
            self.ignore[at / 16][at % 16] = 0;
            self.length += 1;
            i += 1;
        }
        self
    }

    #[inline(always)]
    fn begins(&self, window: &[u8; Self::MOST]) -> bool {
        let (blocks, _) = window.as_chunks();
        let is = |half: usize| {
            Block::load(&blocks[half])
                .is(Block::load(&self.text[half]), Block::load(&self.ignore[half]))
        };
        is(0) && (self.length <= 16 || is(1))
    }
}

/// Text of any length, most often of less than 32 bytes.
#[derive(Debug)]
pub struct Pattern {
    /// Its beginning.
    head: Literal,
    text: Vec<u8>,
}

impl Pattern {
    pub fn new(text: &[u8]) -> Self {
        let head = Literal::NOTHING.with(&text[..text.len().min(Literal::MOST)]);
        Pattern { head, text: text.to_vec() }
    }

    #[inline(never)]
    fn begins(&self, bytes: &[u8]) -> bool {
        bytes.starts_with(&self.text)
    }
}

impl<T: Text> Reader<'_, T> {
    /// Reads a literal, if that is what comes next and something stands behind it.
    #[inline(always)]
    pub(super) fn long_literal(&mut self, literal: &Literal) -> bool {
        let same = self.rest.first_chunk().is_some_and(|window| literal.begins(window));
        if same {
            self.rest = self.rest.get(literal.length..).unwrap_or_default();
        }
        same
    }

    /// Reads a pattern, if that is what comes next.
    #[inline(always)]
    pub fn pattern(&mut self, pattern: &Pattern) -> bool {
        let length = pattern.text.len();
        let same = match self.rest.first_chunk() {
            Some(window) if length <= Literal::MOST => pattern.head.begins(window),
            _ => pattern.begins(self.rest),
        };
        if same {
            self.rest = self.rest.get(length..).unwrap_or_default();
        }
        same
    }

    /// Steps over a value that is no container, up to the comma, bracket or quote that must come
    /// next; not over white space before it.
    #[inline(always)]
    pub fn bare(&mut self) -> Result<()> {
        match self.peek() {
            Some(b'{' | b'[' | b' ' | b'\t' | b'\n' | b'\r') => Err(Error::Syntax),
            _ => self.skip_scalar(),
        }
    }

    /// Steps over what is left of a string before its closing quote, or before its first escape.
    #[inline(always)]
    pub fn inside_string(&mut self) {
        let run = run(self.rest);
        self.rest = self.rest.get(run..).unwrap_or_default();
    }
}
