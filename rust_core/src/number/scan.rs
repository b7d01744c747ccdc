//! Any number, byte by byte: however long it is, and whatever its exponent.

use super::{NOWHERE, Parsed, Value};
use crate::error::{Error, Result};

/// Any number, taken apart: digits, and the power of ten behind them.
pub(super) struct Scan<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
    length: usize,
}

impl<'a> Scan<'a> {
    #[cold]
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self> {
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

    /// How many digits stand behind the point, the exponent counted in.
    pub(super) fn places(&self) -> usize {
        usize::try_from(as_i64(self.fraction.len()) - self.exponent).unwrap_or(0)
    }

    pub(super) fn value<V: Value>(&self) -> Result<Parsed<V>> {
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
