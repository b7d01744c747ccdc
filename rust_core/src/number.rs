//! Exact numbers from text: whole multiples of a small power of ten, never a float.

use std::fmt::Debug;

use num_bigint::BigInt;
use num_integer::Integer;
use num_traits::{CheckedAdd, CheckedMul, CheckedSub, Pow, Signed, ToPrimitive, Zero};

use crate::error::{Error, Result};
use crate::json::block::Block;

/// The usual value: units of 1e-18 in an `i128`, so up to 170 quintillions.
pub type Usual = i128;

/// The value for whatever the usual one cannot hold: units of 1e-400.
pub type Wide = BigInt;

/// An exact number in units of 10^-`PLACES`. Arithmetic is checked: what does not fit is
/// `Error::Range`, upon which the item is read again with `Wide` values.
pub trait Value:
    Clone + Debug + Default + Integer + Signed + CheckedAdd + CheckedSub + CheckedMul + ToPrimitive
{
    const PLACES: usize;

    /// How many digits it has at most, those before the point and `PLACES` behind it.
    const DIGITS: usize;

    /// A number as exchanges mostly write it, or nothing.
    fn usual(window: &[u8; 32]) -> Option<Parsed<Self>>;

    /// Any number that `bytes` begin with.
    fn parse(bytes: &[u8]) -> Result<Parsed<Self>>;

    /// 10^`exponent` as a plain integer, if it fits.
    fn power_of_ten(exponent: usize) -> Option<Self>;

    /// The same number as a usual value, if that can hold it.
    fn as_usual(&self) -> Option<Usual>;

    fn widened(&self) -> Wide;
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
    pub text: &'a [u8],
    pub point: usize,
}

impl<V: Value> Number<'_, V> {
    /// How much of the text, from its beginning, is the number as a record would have it: plain
    /// notation, no needless zeros. Nothing if it is written in another way.
    #[inline(always)]
    pub fn plain(&self) -> Option<usize> {
        let sign = usize::from(self.text.first() == Some(&b'-'));
        let no_zeros_before = self.point == sign + 1 || self.text.get(sign) != Some(&b'0');
        let no_sign_of_zero = sign == 0 || !self.value.is_zero();
        if self.point == NOWHERE || !no_zeros_before || !no_sign_of_zero {
            return None;
        }
        let mut length = self.text.len();
        if self.point < length {
            while self.text[..length].ends_with(b"0") {
                length -= 1;
            }
            length -= usize::from(length == self.point + 1);
        }
        Some(length)
    }

    /// How many digits stand behind the point as the number is written, an exponent counted in.
    pub fn places(&self) -> usize {
        if self.point != NOWHERE {
            return self.text.len().saturating_sub(self.point + 1);
        }
        let Ok(scan) = Scan::new(self.text) else { return 0 };
        usize::try_from(as_i64(scan.fraction.len()) - scan.exponent).unwrap_or(0)
    }
}

/// A whole number of up to 15 digits that is followed by something else, and its length.
#[inline(always)]
pub fn whole(window: &[u8; 32]) -> Option<(u64, usize)> {
    let (mantissa, dot, end) = digits(window)?;
    let is_whole = dot == end && window[end & 15] | 0x20 != b'e';
    is_whole.then(|| (mantissa / POWERS[(16 - end) & 15], end))
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
        Some(Parsed { value: product(mantissa, UNIT[point & 31]), length: end, point })
    }

    #[inline(never)]
    fn parse(bytes: &[u8]) -> Result<Parsed<Self>> {
        // what is not usual is most often a sign
        match bytes.strip_prefix(b"-").and_then(|bytes| Self::usual(bytes.first_chunk()?)) {
            Some(Parsed { value, length, point }) => {
                let point = point.saturating_add(1);
                Ok(Parsed { value: -value, length: length + 1, point })
            }
            None => Scan::new(bytes)?.value(),
        }
    }

    fn power_of_ten(exponent: usize) -> Option<Self> {
        10i128.checked_pow(exponent.try_into().ok()?)
    }

    fn as_usual(&self) -> Option<Usual> {
        Some(*self)
    }

    fn widened(&self) -> Wide {
        Wide::from(*self) * Pow::pow(Wide::from(10), Wide::PLACES - Self::PLACES)
    }
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
        (exponent <= 4 * Self::PLACES).then(|| Pow::pow(Wide::from(10), exponent))
    }

    fn as_usual(&self) -> Option<Usual> {
        let (units, rest) = self.div_rem(&Pow::pow(Wide::from(10), Self::PLACES - Usual::PLACES));
        if rest.is_zero() { units.to_i128() } else { None }
    }

    fn widened(&self) -> Wide {
        self.clone()
    }
}

/// `numerator / denominator` rounded half to even at `places`, or nothing if the denominator is zero.
pub fn quotient<V: Value>(numerator: &V, denominator: &V, places: usize) -> Result<Option<V>> {
    if denominator.is_zero() {
        return Ok(None);
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

const POWERS: [u64; 20] = {
    let mut powers = [1; 20];
    let mut i = 1;
    while i < 20 {
        powers[i] = powers[i - 1] * 10;
        i += 1;
    }
    powers
};

/// What sixteen digits are in units of, when `dot` of them stand before the dot.
const UNIT: [u64; 32] = {
    let mut unit = [0; 32];
    let mut dot = 0;
    while dot <= 16 {
        unit[dot] = POWERS[dot + 2];
        dot += 1;
    }
    unit
};

#[inline(always)]
fn product(a: u64, b: u64) -> i128 {
    (u128::from(a) * u128::from(b)).cast_signed()
}

/// The digits of a number of 1 to 15 digits and dot, as a whole number in units of 10^(dot - 16);
/// where the dot is or would be; where they end.
#[inline(always)]
fn digits(window: &[u8; 32]) -> Option<(u64, usize, usize)> {
    let here = Block::load(window.first_chunk()?);
    let other = here.non_digits();
    let dot = other.trailing_zeros() as usize;
    let after_dot = (other & other.wrapping_sub(1)).trailing_zeros() as usize;
    let end = if window[dot & 31] == b'.' { after_dot } else { dot };
    if dot == 0 || end > 15 || end == dot + 1 {
        return None;
    }
    let next = Block::load(window[1..].first_chunk()?);
    Some((here.digits(next, dot, end), dot, end))
}

/// As Python writes small floats: 5.21e-06. The digits are there already.
#[inline(never)]
fn small_exponent(
    window: &[u8; 32],
    mantissa: u64,
    dot: usize,
    end: usize,
) -> Option<Parsed<i128>> {
    let &[_, b'-', tens @ b'0'..=b'9', ones @ b'0'..=b'9', after] =
        window[end & 15..].first_chunk()?
    else {
        return None;
    };
    if after.is_ascii_digit() {
        return None;
    }
    let power = usize::from(tens - b'0') * 10 + usize::from(ones - b'0');
    let value = if let Some(&more) = POWERS.get((dot + 2).wrapping_sub(power)) {
        product(mantissa, more)
    } else {
        let &less = POWERS.get(power - dot - 2)?;
        mantissa.is_multiple_of(less).then(|| i128::from(mantissa / less))?
    };
    Some(Parsed { value, length: end + 4, point: NOWHERE })
}

/// Any number, taken apart: digits, and the power of ten behind them.
struct Scan<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
    length: usize,
}

impl<'a> Scan<'a> {
    #[cold]
    fn new(bytes: &'a [u8]) -> Result<Self> {
        let (negative, rest) = match bytes {
            [b'-', rest @ ..] => (true, rest),
            _ => (false, bytes),
        };
        let (whole, rest) = split_digits(rest)?;
        let (fraction, rest) = match rest {
            [b'.', rest @ ..] => split_digits(rest)?,
            _ => (&[][..], rest),
        };
        let (exponent, rest) = match rest {
            [b'e' | b'E', b'-', rest @ ..] => exponent(rest, -1)?,
            [b'e' | b'E', b'+', rest @ ..] | [b'e' | b'E', rest @ ..] => exponent(rest, 1)?,
            _ => (0, rest),
        };
        Ok(Scan { negative, whole, fraction, exponent, length: bytes.len() - rest.len() })
    }

    fn value<V: Value>(&self) -> Result<Parsed<V>> {
        let parsed = |value| Ok(Parsed { value, length: self.length, point: NOWHERE });
        let mut all: Vec<u8> = [self.whole, self.fraction].concat();
        let significant = all.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
        let dropped = all.len() - significant;
        all.truncate(significant);
        let leading = all.iter().take_while(|digit| **digit == b'0').count();
        let digits = &all[leading..];
        if digits.is_empty() {
            return parsed(V::zero());
        }
        let power = self.exponent - as_i64(self.fraction.len()) + as_i64(dropped + V::PLACES);
        let power = usize::try_from(power).map_err(|_| Error::Range)?;
        if digits.len() + power > V::DIGITS {
            return Err(Error::Range); // before anything is built
        }
        let magnitude =
            V::from_str_radix(&String::from_utf8_lossy(digits), 10).map_err(|_| Error::Range)?;
        let unit = V::power_of_ten(power).ok_or(Error::Range)?;
        let magnitude = magnitude.checked_mul(&unit).ok_or(Error::Range)?;
        parsed(if self.negative { -magnitude } else { magnitude })
    }
}

fn split_digits(bytes: &[u8]) -> Result<(&[u8], &[u8])> {
    match bytes.iter().take_while(|byte| byte.is_ascii_digit()).count() {
        0 => Err(Error::Number),
        count => Ok(bytes.split_at(count)),
    }
}

fn exponent(bytes: &[u8], sign: i64) -> Result<(i64, &[u8])> {
    let (digits, rest) = split_digits(bytes)?;
    let far = 1_000_000_000; // and farther is as far
    let magnitude =
        digits.iter().fold(0, |sum: i64, digit| (sum * 10 + i64::from(digit - b'0')).min(far));
    Ok((sign * magnitude, rest))
}

fn as_i64(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX / 4)
}
