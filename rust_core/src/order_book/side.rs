//! One side of an order-book message.

use crate::book::MAX_SCALE;
use crate::error::{Error, Result};
use crate::json::Reader;
use crate::json::shape::Shape;
use crate::json::text::Text;
use crate::number::{Number, Value};

/// A price and the size that stands there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Level<V> {
    pub price: V,
    pub size: V,
}

/// How many levels a message may have for a book that is kept; and of how many the memory is kept.
pub const MOST_LEVELS: usize = 100_000;
const FEW_LEVELS: usize = 4_000;

/// One side of a message: summed up, or level by level, or both.
#[derive(Clone, Debug, Default)]
pub struct Side<V, const HIGHEST: bool> {
    pub top: Top<V, HIGHEST>,
    pub levels: Vec<Level<V>>,
    /// With how many decimals prices and sizes for a checksum were written at most, in levels that
    /// count.
    pub places: [usize; 2],
    /// The total of the sizes, as the message itself has it.
    pub declared: Option<V>,
    /// Whether levels are kept where only best price and total are needed.
    keeps_all: bool,
    pub(super) is_seen: bool,
    pub(super) is_summed: bool,
}

impl<V: Value, const HIGHEST: bool> Side<V, HIGHEST> {
    /// Reads the levels of a book that is published as it is.
    #[inline(always)]
    pub fn sum<T: Text<Value = V>>(
        &mut self,
        reader: &mut Reader<T>,
        level: impl Shape<2>,
    ) -> Result<()> {
        if self.keeps_all {
            return self.sum_and_keep(reader, level);
        }
        let side = self.begin_sum()?;
        levels(reader, level, |[price, size]| side.top.add(price.value, &size.value))
    }

    /// Reads levels, or changes of them, for a book that is kept.
    #[inline(always)]
    pub fn keep<T: Text<Value = V>>(
        &mut self,
        reader: &mut Reader<T>,
        level: impl Shape<2>,
    ) -> Result<()> {
        let side = self.begin()?;
        levels(reader, level, |[price, size]| side.push_checked(price, size))
    }

    /// The same of levels that go into a checksum.
    #[inline(always)]
    pub fn keep_for_checksum<T: Text<Value = V>>(
        &mut self,
        reader: &mut Reader<T>,
        level: impl Shape<2>,
    ) -> Result<()> {
        let side = self.begin()?;
        let mut places = [0; 2];
        levels(reader, level, |[price, size]| {
            if price.value.is_positive() && size.value.is_positive() {
                places = [more(places[0], price.places()), more(places[1], size.places())];
            }
            side.push_checked(price, size)
        })?;
        side.places = places;
        Ok(())
    }

    /// Reads the total of the sizes. What is no number declares nothing.
    #[inline(always)]
    pub fn read_total<T: Text<Value = V>>(&mut self, reader: &mut Reader<T>) -> Result<()> {
        reader.apart(|reader| self.read_total_apart(reader))
    }

    #[inline(never)]
    fn read_total_apart<T: Text<Value = V>>(&mut self, reader: &mut Reader<T>) -> Result<()> {
        let mut ahead = *reader;
        match ahead.number_if_any() {
            Ok(number) => {
                self.declared = number.map(|number| number.value);
                *reader = ahead;
                Ok(())
            }
            Err(Error::Range) => Err(Error::Range),
            Err(_) => reader.skip(),
        }
    }

    /// Whether the message contradicts itself in what the total is.
    pub fn contradicts_total(&self) -> bool {
        self.declared.as_ref().is_some_and(|declared| *declared != self.top.total)
    }

    /// Reads the levels of a book that is published as it is, and on which changes may build.
    #[inline(always)]
    pub fn sum_and_keep<T: Text<Value = V>>(
        &mut self,
        reader: &mut Reader<T>,
        level: impl Shape<2>,
    ) -> Result<()> {
        let side = self.begin_sum()?;
        levels(reader, level, |[price, size]| side.add(price, size))
    }

    /// Adds a level to the sum, and keeps it.
    #[inline(always)]
    pub(super) fn add(&mut self, price: Number<V>, size: Number<V>) -> Result<()> {
        self.top.add(price.value.clone(), &size.value)?;
        self.push(price, size)
    }

    fn begin(&mut self) -> Result<&mut Self> {
        if self.is_seen {
            return Err(Error::Duplicate);
        }
        self.is_seen = true;
        Ok(self)
    }

    pub(super) fn begin_sum(&mut self) -> Result<&mut Self> {
        self.is_summed = true;
        self.begin()
    }

    #[inline(always)]
    fn push_checked(&mut self, price: Number<V>, size: Number<V>) -> Result<()> {
        if price.value.is_negative() || size.value.is_negative() {
            return Err(Error::Number);
        }
        self.push(price, size)
    }

    #[inline(always)]
    fn push(&mut self, price: Number<V>, size: Number<V>) -> Result<()> {
        if self.levels.len() == MOST_LEVELS {
            return Err(Error::Size);
        }
        self.levels.push(Level { price: price.value, size: size.value });
        Ok(())
    }

    /// Sums up levels that were only kept.
    pub(super) fn sum_up(&mut self) -> Result<()> {
        if !self.is_summed {
            self.top = Top::of(&self.levels)?;
        }
        Ok(())
    }

    pub(super) fn reset(&mut self, keeps_all: bool) {
        self.keeps_all = keeps_all;
        self.top = Top::default();
        self.places = [0; 2];
        self.declared = None;
        self.levels.clear();
        self.levels.shrink_to(FEW_LEVELS);
        (self.is_seen, self.is_summed) = (false, false);
    }
}

/// The best price of a side and the exact total of its sizes.
#[derive(Clone, Debug, Default)]
pub struct Top<V, const HIGHEST: bool> {
    pub best: Option<V>,
    pub total: V,
}

impl<V: Value, const HIGHEST: bool> Top<V, HIGHEST> {
    /// Adds a level. One of price or size zero is padding and does not count.
    #[inline(always)]
    pub(super) fn add(&mut self, price: V, size: &V) -> Result<()> {
        if !price.is_positive() || !size.is_positive() {
            let negative = price.is_negative() || size.is_negative();
            return if negative { Err(Error::Number) } else { Ok(()) };
        }
        self.total = self.total.checked_add(size).ok_or(Error::Range)?;
        let better = self
            .best
            .as_ref()
            .is_none_or(|best| if HIGHEST { price > *best } else { price < *best });
        if better {
            self.best = Some(price);
        }
        Ok(())
    }

    /// The same of levels that were collected.
    fn of(levels: &[Level<V>]) -> Result<Self> {
        let mut top = Self::default();
        for Level { price, size } in levels {
            top.add(price.clone(), size)?;
        }
        Ok(top)
    }
}

/// The higher number of decimals, if an exchange may write so many.
#[inline(always)]
fn more(known: usize, seen: usize) -> usize {
    if seen > known && seen <= MAX_SCALE { seen } else { known }
}

/// Reads an array of levels; null is an empty one.
#[inline(always)]
pub(super) fn levels<const N: usize, T: Text>(
    reader: &mut Reader<T>,
    shape: impl Shape<N>,
    add: impl FnMut([Number<T::Value>; N]) -> Result<()>,
) -> Result<()> {
    reader.apart(|reader| levels_apart(reader, shape, add))
}

#[inline(never)]
fn levels_apart<const N: usize, T: Text>(
    reader: &mut Reader<T>,
    shape: impl Shape<N>,
    mut add: impl FnMut([Number<T::Value>; N]) -> Result<()>,
) -> Result<()> {
    let mut local = *reader; // which registers hold, whatever `reader` points to
    let mut more = !local.null() && local.open_array()?;
    let mut is_open = false; // by what closed the level before
    while more {
        let left = local.rest().len() + if is_open { shape.open_length::<T>() } else { 0 };
        let numbers =
            if is_open || shape.open(&mut local) { shape.numbers(&mut local) } else { None };
        is_open = numbers.is_some() && shape.next(&mut local);
        match numbers {
            Some(numbers) if is_open || shape.close(&mut local) => add(numbers)?,
            _ => {
                local = reader.back_at(left);
                local.apart(|reader| any_level(reader, shape, &mut add))?;
            }
        }
        more = is_open || local.next_element()?;
    }
    *reader = local;
    Ok(())
}

#[cold]
#[inline(never)]
fn any_level<const N: usize, T: Text>(
    reader: &mut Reader<T>,
    shape: impl Shape<N>,
    add: &mut impl FnMut([Number<T::Value>; N]) -> Result<()>,
) -> Result<()> {
    add(shape.any(reader)?)
}
