//! The two ways in which exchanges lay out the numbers of a level: an array, or an object's members.

use super::Reader;
use super::pattern::Literal;
use super::text::Text;
use crate::error::{Error, Result};
use crate::number::{Number, Value};

/// How `N` numbers are laid out. A level that is written as usual is read in parts, so that what
/// closes it and opens the next one is a single piece of text.
pub trait Shape<const N: usize>: Copy {
    /// How long that is which `open` reads.
    fn open_length<T: Text>(self) -> usize;

    /// Reads what stands before the first number.
    fn open<T: Text>(self, reader: &mut Reader<T>) -> bool;

    /// Reads the numbers, and what stands between them.
    fn numbers<'a, T: Text>(self, reader: &mut Reader<'a, T>) -> Option<[Number<'a, T::Value>; N]>;

    /// Reads what closes this level and opens the next one.
    fn next<T: Text>(self, reader: &mut Reader<T>) -> bool;

    /// Reads what closes this level.
    fn close<T: Text>(self, reader: &mut Reader<T>) -> bool;

    /// Reads a whole level, however it is written.
    fn any<'a, T: Text>(self, reader: &mut Reader<'a, T>) -> Result<[Number<'a, T::Value>; N]>;
}

/// The first two of an array: `["69012.31", "0.05", …]`.
#[derive(Clone, Copy, Debug)]
pub struct Pair;

impl Shape<2> for Pair {
    #[inline(always)]
    fn open_length<T: Text>(self) -> usize {
        T::OPEN_PAIR.len()
    }

    #[inline(always)]
    fn open<T: Text>(self, reader: &mut Reader<T>) -> bool {
        reader.literal(T::OPEN_PAIR)
    }

    #[inline(always)]
    fn numbers<'a, T: Text>(self, reader: &mut Reader<'a, T>) -> Option<[Number<'a, T::Value>; 2]> {
        let first = reader.quick_number_in_quotes()?;
        let second = reader.literal(T::MID_PAIR).then(|| reader.quick_number_in_quotes())??;
        Some([first, second])
    }

    #[inline(always)]
    fn next<T: Text>(self, reader: &mut Reader<T>) -> bool {
        reader.literal(T::NEXT_PAIR)
    }

    #[inline(always)]
    fn close<T: Text>(self, reader: &mut Reader<T>) -> bool {
        reader.literal(T::QUOTE) && reader.rest_of_array().is_ok()
    }

    fn any<'a, T: Text>(self, reader: &mut Reader<'a, T>) -> Result<[Number<'a, T::Value>; 2]> {
        reader.expect(b'[')?;
        reader.space();
        let first = reader.number()?;
        if !reader.comma() {
            return Err(Error::Syntax);
        }
        let second = reader.number()?;
        reader.rest_of_array()?;
        Ok([first, second])
    }
}

/// An object with members of these names, at best these alone and in this order:
/// `{"price": "69012.31", "qty": 0.05}`.
#[derive(Clone, Copy, Debug)]
pub struct Object<L>(pub L);

/// The names of an object's members, of up to 22 bytes each.
pub trait Names<const N: usize>: Copy {
    const NAMES: [&'static str; N];
}

/// The parts that are the same for any number of members.
macro_rules! members {
    ($count:literal, $numbers:item) => {
        #[inline(always)]
        fn open_length<T: Text>(self) -> usize {
            const { before_first::<L, T, $count>(T::OPEN_OBJECT).length }
        }

        #[inline(always)]
        fn open<T: Text>(self, reader: &mut Reader<T>) -> bool {
            reader.long_literal(const { &before_first::<L, T, $count>(T::OPEN_OBJECT) })
        }

        $numbers

        #[inline(always)]
        fn next<T: Text>(self, reader: &mut Reader<T>) -> bool {
            reader.long_literal(const { &before_first::<L, T, $count>(T::NEXT_OBJECT) })
        }

        #[inline(always)]
        fn close<T: Text>(self, reader: &mut Reader<T>) -> bool {
            reader.byte(b'}')
        }

        fn any<'a, T: Text>(
            self,
            reader: &mut Reader<'a, T>,
        ) -> Result<[Number<'a, T::Value>; $count]> {
            reader.any_members(&L::NAMES)
        }
    };
}

// no loop and no closure: either would keep literals, and numbers that are not asked for, in memory
impl<L: Names<2>> Shape<2> for Object<L> {
    members!(
        2,
        #[inline(always)]
        fn numbers<'a, T: Text>(
            self,
            reader: &mut Reader<'a, T>,
        ) -> Option<[Number<'a, T::Value>; 2]> {
            let [second] = const { &before_others::<L, T, 2, 1>() };
            Some([reader.quick_value()?, reader.quick_member(second)?])
        }
    );
}

impl<L: Names<4>> Shape<4> for Object<L> {
    members!(
        4,
        #[inline(always)]
        fn numbers<'a, T: Text>(
            self,
            reader: &mut Reader<'a, T>,
        ) -> Option<[Number<'a, T::Value>; 4]> {
            let [second, third, fourth] = const { &before_others::<L, T, 4, 3>() };
            let [first, second] = [reader.quick_value()?, reader.quick_member(second)?];
            Some([first, second, reader.quick_member(third)?, reader.quick_member(fourth)?])
        }
    );
}

/// What stands before the first member's value: `{"price": `.
const fn before_first<L: Names<N>, T: Text, const N: usize>(opening: &[u8]) -> Literal {
    Literal::NOTHING.with(opening).with(L::NAMES[0].as_bytes()).with(T::AFTER_KEY)
}

/// And before each of the `M` others': `, "qty": `.
const fn before_others<L: Names<N>, T: Text, const N: usize, const M: usize>() -> [Literal; M] {
    let mut all = [Literal::NOTHING; M];
    let mut i = 0;
    while i < M {
        let name = L::NAMES[i + 1].as_bytes();
        all[i] = Literal::NOTHING.with(T::NEXT_KEY).with(name).with(T::AFTER_KEY);
        i += 1;
    }
    all
}

impl<'a, T: Text> Reader<'a, T> {
    #[inline(always)]
    fn quick_member(&mut self, literal: &'static Literal) -> Option<Number<'a, T::Value>> {
        if !self.long_literal(literal) {
            return None;
        }
        self.quick_value()
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

    /// A number between quotes, where no exponent is expected: what comes next tells of one.
    #[inline(always)]
    fn quick_number_in_quotes(&mut self) -> Option<Number<'a, T::Value>> {
        self.taken(T::Value::without_exponent(self.rest.first_chunk()?)?)
    }

    #[inline(always)]
    fn quick_number(&mut self) -> Option<Number<'a, T::Value>> {
        self.taken(T::Value::usual(self.rest.first_chunk()?)?)
    }

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
