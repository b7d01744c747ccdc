//! Exact numbers from text: whole multiples of a small power of ten, never a float.

mod divisor;
mod quick;
mod scan;
#[cfg(test)]
mod tests;

use std::fmt::{Debug, Display};
use std::sync::OnceLock;

use num_bigint::BigInt;
use num_integer::Integer;
use num_traits::{CheckedAdd, CheckedMul, CheckedSub, Pow, Signed, ToPrimitive, Zero};

use crate::error::{Error, Result};
pub use divisor::{ONE, POWERS_OF_TEN};
pub use quick::whole;
use quick::{UNIT, digits, long, product, small_exponent, zeros_before};
use scan::Scan;

/// The usual value: units of 1e-18 in an `i128`, so up to 170 quintillions.
pub type Usual = i128;

/// The value for whatever the usual one cannot hold: units of 1e-400.
pub type Wide = BigInt;

/// An exact number in units of 10^-`PLACES`. Arithmetic is checked: what does not fit is
/// `Error::Range`, upon which the item is read again with `Wide` values.
pub trait Value:
    Clone
    + Debug
    + Default
    + Display
    + Integer
    + Signed
    + CheckedAdd
    + CheckedSub
    + CheckedMul
    + ToPrimitive
{
    const PLACES: usize;

    /// How many digits it has at most, those before the point and `PLACES` behind it.
    const DIGITS: usize;

    /// A number as exchanges mostly write it, or nothing.
    fn usual(window: &[u8; 32]) -> Option<Parsed<Self>>;

    /// The same without a look at what comes behind, which may be an exponent.
    fn without_exponent(window: &[u8; 32]) -> Option<Parsed<Self>> {
        Self::usual(window)
    }

    /// Any number that `bytes` begin with.
    fn parse(bytes: &[u8]) -> Result<Parsed<Self>>;

    /// `quotient` in a quick way, if there is one; the denominator is not zero.
    fn quick_quotient(_: &Self, _: &Self, _places: usize) -> Option<Self> {
        None
    }

    /// 10^`exponent` as a plain integer, if it fits.
    fn power_of_ten(exponent: usize) -> Option<Self>;

    /// The same number as a usual value, if that can hold it.
    fn as_usual(&self) -> Option<Usual>;

    fn widened(&self) -> Wide;

    /// The number of decimals that it needs in plain notation.
    fn scale(&self) -> usize;
}

/// A number that some bytes begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parsed<V> {
    pub value: V,
    pub length: usize,
    /// Where the decimal point stands, or would; `NOWHERE` if the number is written in another way.
    pub point: usize,
}

const NOWHERE: usize = usize::MAX;

/// A number as the message has it.
#[derive(Clone, Debug, Default)]
pub struct Number<'a, V> {
    pub value: V,
    /// The message from the number on, and its length.
    pub rest: &'a [u8],
    pub length: usize,
    pub point: usize,
}

impl<'a, V: Value> Number<'a, V> {
    #[inline(always)]
    pub fn text(&self) -> &'a [u8] {
        &self.rest[..self.length]
    }

    /// How much of the text, from its beginning, is the number as a record would have it: plain
    /// notation, no needless zeros. Nothing if it is written in another way.
    #[inline(always)]
    pub fn plain(&self) -> Option<usize> {
        let sign = usize::from(self.value.is_negative());
        if self.point == NOWHERE || (self.point > sign + 1 && self.rest.get(sign) == Some(&b'0')) {
            return None;
        }
        let mut length = self.length;
        if self.point < length {
            length -= zeros_before(self.rest, length);
            length -= usize::from(length == self.point + 1);
        }
        Some(length)
    }

    /// How many digits stand behind the point as the number is written, an exponent counted in.
    pub fn places(&self) -> usize {
        if self.point != NOWHERE {
            return self.length.saturating_sub(self.point + 1);
        }
        Scan::new(self.text()).map_or(0, |scan| scan.places())
    }
}

impl Value for Usual {
    const PLACES: usize = 18;
    const DIGITS: usize = 39;

    #[inline(always)]
    fn usual(window: &[u8; 32]) -> Option<Parsed<Self>> {
        let (mantissa, point, end) = digits(window)?;
        if window[end & 15] | 0x20 == b'e' {
            return small_exponent(window, mantissa, point, end);
        }
        Some(of_digits(mantissa, point, end))
    }

    #[inline(always)]
    fn without_exponent(window: &[u8; 32]) -> Option<Parsed<Self>> {
        let (mantissa, point, end) = digits(window)?;
        Some(of_digits(mantissa, point, end))
    }

    #[inline(never)]
    fn parse(bytes: &[u8]) -> Result<Parsed<Self>> {
        // what is not usual is most often a sign
        match bytes.strip_prefix(b"-").and_then(|bytes| Self::usual(bytes.first_chunk()?)) {
            Some(Parsed { value, length, point }) => {
                // there is no other way to write zero than without a sign
                let point = if value == 0 { NOWHERE } else { point.saturating_add(1) };
                Ok(Parsed { value: -value, length: length + 1, point })
            }
            None => match long(bytes) {
                Some(parsed) => Ok(parsed),
                None => Scan::new(bytes)?.value(),
            },
        }
    }

    fn quick_quotient(numerator: &Self, denominator: &Self, places: usize) -> Option<Self> {
        quick::quotient(*numerator, *denominator, places)
    }

    fn power_of_ten(exponent: usize) -> Option<Self> {
        10i128.checked_pow(exponent.try_into().ok()?)
    }

    fn as_usual(&self) -> Option<Usual> {
        Some(*self)
    }

    fn widened(&self) -> Wide {
        Wide::from(*self) * wide_power(Wide::PLACES - Self::PLACES)
    }

    fn scale(&self) -> usize {
        let unit = u128::from(10u64.pow(18));
        let mut fraction = u64::try_from(self.unsigned_abs() % unit).unwrap_or(0);
        let mut scale = if fraction == 0 { 0 } else { Self::PLACES };
        while scale > 0 && fraction.is_multiple_of(10) {
            fraction /= 10;
            scale -= 1;
        }
        scale
    }
}

#[inline(always)]
fn of_digits(mantissa: u64, point: usize, end: usize) -> Parsed<Usual> {
    Parsed { value: product(mantissa, UNIT[point & 31]), length: end, point }
}

impl Value for Wide {
    const PLACES: usize = 400;
    const DIGITS: usize = 800;

    #[inline(always)]
    fn usual(_window: &[u8; 32]) -> Option<Parsed<Self>> {
        None
    }

    fn parse(bytes: &[u8]) -> Result<Parsed<Self>> {
        // nothing is wider, so what does not fit here is no number for anybody
        Scan::new(bytes)?.value().map_err(|_| Error::Number)
    }

    fn power_of_ten(exponent: usize) -> Option<Self> {
        (exponent <= MAX_WIDE_EXPONENT).then(|| wide_power(exponent).clone())
    }

    fn as_usual(&self) -> Option<Usual> {
        let (units, rest) = self.div_rem(wide_power(Self::PLACES - Usual::PLACES));
        if rest.is_zero() { units.to_i128() } else { None }
    }

    fn widened(&self) -> Wide {
        self.clone()
    }

    fn scale(&self) -> usize {
        let digits = self.magnitude().to_string();
        let zeros = digits.bytes().rev().take_while(|digit| *digit == b'0').count();
        if self.is_zero() { 0 } else { Self::PLACES.saturating_sub(zeros) }
    }
}

/// The greatest exponent that wide values need.
const MAX_WIDE_EXPONENT: usize = 4 * Wide::PLACES;

/// Returns 10^`exponent`. Each power is computed once, as a number of six characters may ask for a
/// high one.
fn wide_power(exponent: usize) -> &'static Wide {
    static POWERS: [OnceLock<Wide>; MAX_WIDE_EXPONENT + 1] =
        [const { OnceLock::new() }; MAX_WIDE_EXPONENT + 1];
    POWERS[exponent].get_or_init(|| Pow::pow(Wide::from(10), exponent))
}

/// `numerator / denominator` rounded half to even at `places`, or nothing if the denominator is zero.
pub fn quotient<V: Value>(numerator: &V, denominator: &V, places: usize) -> Result<Option<V>> {
    if denominator.is_zero() {
        return Ok(None);
    }
    if let Some(quotient) = V::quick_quotient(numerator, denominator, places) {
        return Ok(Some(quotient));
    }
    let shift = V::power_of_ten(places).ok_or(Error::Range)?;
    let numerator = numerator.checked_mul(&shift).ok_or(Error::Range)?;
    let rounded = divide_half_even(&numerator, denominator);
    let unit = V::power_of_ten(V::PLACES - places).ok_or(Error::Range)?;
    rounded.checked_mul(&unit).map(Some).ok_or(Error::Range)
}

/// Division rounded half to even.
fn divide_half_even<V: Value>(numerator: &V, denominator: &V) -> V {
    let quotient = numerator.clone() / denominator.clone(); // towards zero
    let rest = (numerator.clone() - quotient.clone() * denominator.clone()).abs();
    let up_to_next = denominator.abs() - rest.clone();
    if rest < up_to_next || (rest == up_to_next && quotient.is_even()) {
        quotient
    } else {
        quotient + numerator.signum() * denominator.signum()
    }
}
