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
            None => reader.apart(Reader::any_pair)?,
        };
        reader.rest_of_array()?;
        Ok(pair)
    }
}

/// An object with members of these names, at best these alone and in this order:
/// `{"price": "69012.31", "qty": 0.05}`.
#[derive(Clone, Copy, Debug)]
pub struct Object<L>(pub L);

/// The names of an object's members, of up to 23 bytes each.
pub trait Names<const N: usize>: Copy {
    const NAMES: [&'static str; N];
}

impl<L: Names<2>> Shape<2> for Object<L> {
    #[inline(always)]
    fn read<'a, T: Text>(self, reader: &mut Reader<'a, T>) -> Result<[Number<'a, T::Value>; 2]> {
        if let Some(numbers) = reader.quick_two(const { &Literal::all::<L, T, 2>() }) {
            return Ok(numbers);
        }
        // one by one, so that the quick way need not leave its numbers where these are
        let [first, second] = reader.apart(|reader| reader.any_members(&L::NAMES))?;
        Ok([first, second])
    }
}

impl<L: Names<4>> Shape<4> for Object<L> {
    #[inline(always)]
    fn read<'a, T: Text>(self, reader: &mut Reader<'a, T>) -> Result<[Number<'a, T::Value>; 4]> {
        if let Some(numbers) = reader.quick_four(const { &Literal::all::<L, T, 4>() }) {
            return Ok(numbers);
        }
        let [first, second, third, fourth] =
            reader.apart(|reader| reader.any_members(&L::NAMES))?;
        Ok([first, second, third, fourth])
    }
}

/// All that stands before a member's value, `{"price": ` or `, "qty": `. It is known when this is
/// compiled, and so is its length.
#[derive(Clone, Copy, Debug)]
struct Literal {
    text: [[u8; 16]; 2],
    ignore: [[u8; 16]; 2],
    length: usize,
}

impl Literal {
    /// One for each member.
    const fn all<L: Names<N>, T: Text, const N: usize>() -> [Self; N] {
        let mut all = [Literal { text: [[0; 16]; 2], ignore: [[0xff; 16]; 2], length: 0 }; N];
        let mut i = 0;
        while i < N {
            let before = if i == 0 { T::OPEN_OBJECT } else { T::NEXT_KEY };
            all[i] = all[i].with(before).with(L::NAMES[i].as_bytes()).with(T::AFTER_KEY);
            i += 1;
        }
        all
    }

    const fn with(mut self, text: &[u8]) -> Self {
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
    fn quick_two(
        &mut self,
        [first, second]: &'static [Literal; 2],
    ) -> Option<[Number<'a, T::Value>; 2]> {
        let mut reader = *self;
        let numbers = [reader.quick_member(first)?, reader.quick_member(second)?];
        reader.byte(b'}').then(|| {
            *self = reader;
            numbers
        })
    }

    /// The same of four. No loop and no closure: either would keep the literals, and numbers that
    /// are not asked for, in memory.
    #[inline(always)]
    fn quick_four(
        &mut self,
        [first, second, third, fourth]: &'static [Literal; 4],
    ) -> Option<[Number<'a, T::Value>; 4]> {
        let mut reader = *self;
        let [first, second] = [reader.quick_member(first)?, reader.quick_member(second)?];
        let numbers = [first, second, reader.quick_member(third)?, reader.quick_member(fourth)?];
        reader.byte(b'}').then(|| {
            *self = reader;
            numbers
        })
    }

    #[inline(always)]
    fn quick_member(&mut self, literal: &'static Literal) -> Option<Number<'a, T::Value>> {
        if !self.long_literal(literal) {
            return None;
        }
        self.quick_value()
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

    /// A number in quotes or not. The two ways are apart, as a guess which one it will be is mostly
    /// right, and what comes behind need not wait for the answer.
    #[inline(always)]
    pub(super) fn quick_value(&mut self) -> Option<Number<'a, T::Value>> {
        let mut reader = *self;
        let number;
        if reader.literal(T::QUOTE) {
            number = reader.quick_number()?;
            if !reader.literal(T::QUOTE) {
                return None;
            }
        } else {
            number = reader.quick_number()?;
        }
        *self = reader;
        Some(number)
    }

    #[inline(always)]
    pub(super) fn quick_number(&mut self) -> Option<Number<'a, T::Value>> {
        let Parsed { value, length, point } = T::Value::usual(self.rest.first_chunk()?)?;
        let number = Number { value, rest: self.rest, length, point };
        self.rest = self.rest.get(length..)?;
        Some(number)
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
