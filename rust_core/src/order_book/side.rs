//! One side of an order-book message.

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

/// One side of a message: summed up, or level by level.
#[derive(Clone, Debug, Default)]
pub struct Side<V, const HIGHEST: bool> {
    pub top: Top<V, HIGHEST>,
    pub levels: Vec<Level<V>>,
    pub(super) seen: bool,
}

impl<V: Value, const HIGHEST: bool> Side<V, HIGHEST> {
    pub(super) fn begin(&mut self) -> Result<&mut Self> {
        if self.seen {
            return Err(Error::Duplicate);
        }
        self.seen = true;
        Ok(self)
    }

    #[inline(always)]
    pub(super) fn keep(&mut self, price: Number<V>, size: Number<V>) -> Result<()> {
        if price.value.is_negative() || size.value.is_negative() {
            return Err(Error::Number);
        }
        self.levels.push(Level { price: price.value, size: size.value });
        Ok(())
    }

    pub(super) fn sum_up(&mut self) -> Result<()> {
        if self.top.best.is_none() && !self.levels.is_empty() {
            self.top = Top::of(&self.levels)?;
        }
        Ok(())
    }

    pub(super) fn reset(&mut self) {
        self.top = Top::default();
        self.levels.clear();
        self.seen = false;
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

/// Reads an array of levels; null is an empty one.
#[inline(never)]
pub(super) fn levels<const N: usize, T: Text>(
    reader: &mut Reader<T>,
    shape: impl Shape<N>,
    mut add: impl FnMut([Number<T::Value>; N]) -> Result<()>,
) -> Result<()> {
    let mut local = *reader; // which registers hold, whatever `reader` points to
    let mut more = !local.null() && local.open_array()?;
    while more {
        add(shape.read(&mut local)?)?;
        more = local.next_element()?;
    }
    *reader = local;
    Ok(())
}
