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

    /// A number as exchanges mostly write it, or nothing, and its length.
    fn usual(window: &[u8; 32]) -> Option<(Self, usize)>;

    /// Any number that `bytes` begin with, and its length.
    fn parse(bytes: &[u8]) -> Result<(Self, usize)>;

    /// 10^`exponent` as a plain integer, if it fits.
    fn power_of_ten(exponent: usize) -> Option<Self>;

    /// The same number as a usual value, if that can hold it.
    fn as_usual(&self) -> Option<Usual>;

    fn widened(&self) -> Wide;
}

/// A number as the message has it.
#[derive(Clone, Debug, Default)]
pub struct Number<'a, V> {
    pub value: V,
    pub text: &'a [u8],
}

impl Value for Usual {
    const PLACES: usize = 18;
    const DIGITS: usize = 39;

    #[inline(always)]
    fn usual(window: &[u8; 32]) -> Option<(Self, usize)> {
        let (mantissa, dot, end) = digits(window)?;
        if window[end & 15] | 0x20 == b'e' {
            return small_exponent(window, mantissa, dot, end);
        }
        Some((product(mantissa, UNIT[dot & 31]), end))
    }

    #[inline(never)]
    fn parse(bytes: &[u8]) -> Result<(Self, usize)> {
        // what is not usual is most often a sign
        match bytes.strip_prefix(b"-").and_then(|bytes| Self::usual(bytes.first_chunk()?)) {
            Some((value, length)) => Ok((-value, length + 1)),
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
    fn usual(_window: &[u8; 32]) -> Option<(Self, usize)> {
        None
    }

    fn parse(bytes: &[u8]) -> Result<(Self, usize)> {
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
    let (floor, rest) = numerator.div_mod_floor(denominator);
    // both have the sign of the denominator: twice the rest against the whole, without overflow
    let (below, above) = (rest.abs(), (denominator.clone() - rest).abs());
    if below > above || (below == above && floor.is_odd()) { floor + V::one() } else { floor }
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
) -> Option<(i128, usize)> {
    let &[_, b'-', tens @ b'0'..=b'9', ones @ b'0'..=b'9', after] =
        window[end & 15..].first_chunk()?
    else {
        return None;
    };
    if after.is_ascii_digit() {
        return None;
    }
    let power = usize::from(tens - b'0') * 10 + usize::from(ones - b'0');
    if let Some(&more) = POWERS.get((dot + 2).wrapping_sub(power)) {
        return Some((product(mantissa, more), end + 4));
    }
    let &less = POWERS.get(power - dot - 2)?;
    mantissa.is_multiple_of(less).then(|| (i128::from(mantissa / less), end + 4))
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

    fn value<V: Value>(&self) -> Result<(V, usize)> {
        let mut all: Vec<u8> = [self.whole, self.fraction].concat();
        let significant = all.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
        let dropped = all.len() - significant;
        all.truncate(significant);
        let leading = all.iter().take_while(|digit| **digit == b'0').count();
        let digits = &all[leading..];
        if digits.is_empty() {
            return Ok((V::zero(), self.length));
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
        Ok((if self.negative { -magnitude } else { magnitude }, self.length))
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

/// How many digits stand behind the point of a number as written, an exponent counted in.
pub fn places_as_written(text: &[u8]) -> usize {
    let dot = text.iter().position(|byte| *byte == b'.').map_or(text.len(), |dot| dot + 1);
    let fraction = &text[dot..];
    if fraction.iter().all(u8::is_ascii_digit) && text[..dot].iter().all(|byte| byte | 0x20 != b'e')
    {
        return fraction.len();
    }
    let Ok(scan) = Scan::new(text) else { return 0 };
    usize::try_from(as_i64(scan.fraction.len()) - scan.exponent).unwrap_or(0)
}
