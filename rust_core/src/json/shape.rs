//! The two ways in which exchanges lay out the numbers of a level: an array, or an object's members.

use super::Reader;
use super::block::Block;
use super::text::Text;
use crate::error::{Error, Result};
use crate::number::{Number, Parsed, Value};

/// How `N` numbers are laid out.
pub trait Shape<const N: usize>: Copy {
    fn read<'a, T: Text>(self, reader: &mut Reader<'a, T>) -> Result<[Number<'a, T::Value>; N]>;
}

/// The first two of an array: `["69012.31", "0.05", …]`.
#[derive(Clone, Copy, Debug)]
pub struct Pair;

impl Shape<2> for Pair {
    #[inline(always)]
    fn read<'a, T: Text>(self, reader: &mut Reader<'a, T>) -> Result<[Number<'a, T::Value>; 2]> {
        let pair = match reader.quick_pair() {
            Some(pair) => pair,
            None => reader.seldom(Reader::any_pair)?,
        };
        reader.rest_of_array()?;
        Ok(pair)
    }
}

/// The members of these names, at best these alone and in this order: `{"price": "69012.31", "qty": 0.05}`.
#[derive(Debug)]
pub struct Members<const N: usize> {
    names: [&'static str; N],
    pub(super) plain: [Literal; N],
    pub(super) escaped: [Literal; N],
    pub(super) compact: [Literal; N],
}

/// All that stands before a member's value: `{"price": ` or `, "qty": `.
#[derive(Clone, Copy, Debug)]
pub struct Literal {
    text: [[u8; 16]; 2],
    ignore: [[u8; 16]; 2],
    length: usize,
}

impl<const N: usize> Members<N> {
    /// Names of up to 23 bytes each.
    pub const fn new(names: [&'static str; N]) -> Self {
        const EMPTY: Literal = Literal { text: [[0; 16]; 2], ignore: [[0xff; 16]; 2], length: 0 };
        let mut members =
            Members { names, plain: [EMPTY; N], escaped: [EMPTY; N], compact: [EMPTY; N] };
        let mut i = 0;
        while i < N {
            let (plain, escaped, compact) =
                if i == 0 { ("{\"", "{\\\"", "{\\\"") } else { (", \"", ", \\\"", ",\\\"") };
            members.plain[i] = Literal::new([plain, names[i], "\": "]);
            members.escaped[i] = Literal::new([escaped, names[i], "\\\": "]);
            members.compact[i] = Literal::new([compact, names[i], "\\\":"]);
            i += 1;
        }
        members
    }
}

impl Literal {
    const fn new(parts: [&str; 3]) -> Self {
        let mut literal = Literal { text: [[0; 16]; 2], ignore: [[0xff; 16]; 2], length: 0 };
        let mut part = 0;
        while part < 3 {
            let mut i = 0;
            while i < parts[part].len() {
                let at = literal.length;
                literal.text[at / 16][at % 16] = parts[part].as_bytes()[i];
                literal.ignore[at / 16][at % 16] = 0;
                literal.length += 1;
                i += 1;
            }
            part += 1;
        }
        literal
    }
}

impl<const N: usize> Shape<N> for &'static Members<N> {
    #[inline(always)]
    fn read<'a, T: Text>(self, reader: &mut Reader<'a, T>) -> Result<[Number<'a, T::Value>; N]> {
        match reader.quick_members(T::literals(self)) {
            Some(numbers) => Ok(numbers),
            None => reader.seldom(|reader| reader.any_members(&self.names)),
        }
    }
}

impl<'a, T: Text> Reader<'a, T> {
    #[inline(always)]
    fn quick_pair(&mut self) -> Option<[Number<'a, T::Value>; 2]> {
        let mut reader = *self;
        let first = reader.literal(T::OPEN_PAIR).then(|| reader.quick_number())??;
        let second = reader.literal(T::MID_PAIR).then(|| reader.quick_number())??;
        reader.literal(T::QUOTE).then(|| {
            *self = reader;
            [first, second]
        })
    }

    #[cold]
    #[inline(never)]
    fn any_pair(&mut self) -> Result<[Number<'a, T::Value>; 2]> {
        self.expect(b'[')?;
        self.space();
        let first = self.number()?;
        if !self.comma() {
            return Err(Error::Syntax);
        }
        Ok([first, self.number()?])
    }

    #[inline(always)]
    fn quick_members<const N: usize>(
        &mut self,
        literals: &[Literal; N],
    ) -> Option<[Number<'a, T::Value>; N]> {
        let mut reader = *self;
        let mut numbers = [const { None }; N];
        for (literal, number) in literals.iter().zip(&mut numbers) {
            if !reader.long_literal(literal) {
                return None;
            }
            let quoted = reader.literal(T::QUOTE);
            *number = Some(reader.quick_number()?);
            if quoted && !reader.literal(T::QUOTE) {
                return None;
            }
        }
        reader.byte(b'}').then(|| {
            *self = reader;
            numbers.map(Option::unwrap_or_default)
        })
    }

    #[inline(always)]
    fn long_literal(&mut self, literal: &Literal) -> bool {
        let Some(window) = self.rest.first_chunk::<32>() else { return false };
        let is = |half: usize| {
            window[16 * half..].first_chunk().is_some_and(|bytes| {
                Block::load(bytes)
                    .is(Block::load(&literal.text[half]), Block::load(&literal.ignore[half]))
            })
        };
        let same = is(0) && (literal.length <= 16 || is(1));
        if same {
            self.rest = self.rest.get(literal.length..).unwrap_or_default();
        }
        same
    }

    #[inline(always)]
    pub(super) fn quick_number(&mut self) -> Option<Number<'a, T::Value>> {
        let Parsed { value, length, point } = T::Value::usual(self.rest.first_chunk()?)?;
        let (text, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(Number { value, text, point })
    }

    #[cold]
    #[inline(never)]
    fn any_members<const N: usize>(
        &mut self,
        names: &[&'static str; N],
    ) -> Result<[Number<'a, T::Value>; N]> {
        let mut numbers = [const { None }; N];
        self.object(|reader, key| match names.iter().position(|name| name.as_bytes() == key) {
            Some(i) if numbers[i].is_some() => Err(Error::Duplicate),
            Some(i) => {
                numbers[i] = Some(reader.number()?);
                Ok(())
            }
            None => reader.skip(),
        })?;
        if numbers.iter().any(Option::is_none) {
            return Err(Error::Syntax);
        }
        Ok(numbers.map(Option::unwrap_or_default))
    }
}
