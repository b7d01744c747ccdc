//! Numbers as exchanges mostly write them, sixteen bytes at once.

use super::{NOWHERE, Parsed};
use crate::json::block::Block;

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
pub(super) const UNIT: [u64; 32] = {
    let mut unit = [0; 32];
    let mut dot = 0;
    while dot <= 16 {
        unit[dot] = POWERS[dot + 2];
        dot += 1;
    }
    unit
};

#[inline(always)]
pub(super) fn product(a: u64, b: u64) -> i128 {
    (u128::from(a) * u128::from(b)).cast_signed()
}

/// The digits of a number of 1 to 15 digits and dot, as a whole number in units of 10^(dot - 16);
/// where the dot is or would be; where they end.
#[inline(always)]
pub(super) fn digits(window: &[u8; 32]) -> Option<(u64, usize, usize)> {
    let here = Block::load(window.first_chunk()?);
    // where it ends is known without a look at the dot: what comes next waits for nothing else
    let (others, ends) = here.non_digits();
    let dot = others.trailing_zeros() as usize;
    let end = ends.trailing_zeros() as usize;
    let after_dot = (others & others.wrapping_sub(1)).trailing_zeros() as usize;
    let is_sound = end == dot || (end == after_dot && end > dot + 1);
    if dot == 0 || end > 15 || !is_sound {
        return None;
    }
    let next = Block::load(window[1..].first_chunk()?);
    Some((here.digits(next, dot, end), dot, end))
}

/// How many zeros stand before `end`.
#[inline(always)]
pub(super) fn zeros_before(bytes: &[u8], end: usize) -> usize {
    match bytes.first_chunk() {
        Some(block) if end <= 16 => {
            let zeros = Block::load(block).equal_to(b'0').bits();
            (!zeros << (32 - end)).leading_zeros() as usize
        }
        _ => bytes[..end].iter().rev().take_while(|byte| **byte == b'0').count(),
    }
}

/// As Python writes small floats: 5.21e-06. The digits are there already.
#[inline(never)]
pub(super) fn small_exponent(
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

/// A number of up to 19 digits without sign and exponent, digit by digit.
pub(super) fn long(bytes: &[u8]) -> Option<Parsed<i128>> {
    let (mut mantissa, mut digits, mut point) = (0u64, 0, None);
    let mut rest = bytes;
    while let [byte, behind @ ..] = rest {
        match byte {
            b'0'..=b'9' if digits == 19 => return None,
            b'0'..=b'9' => mantissa = 10 * mantissa + u64::from(byte - b'0'),
            b'.' if point.is_none() => {
                point = Some(digits);
                rest = behind;
                continue;
            }
            b'e' | b'E' => return None,
            _ => break,
        }
        digits += 1;
        rest = behind;
    }
    let point = point.unwrap_or(digits);
    let length = bytes.len() - rest.len();
    let is_number = point > 0 && length != point + 1;
    let unit = POWERS.get(18usize.checked_sub(digits - point)?)?;
    is_number.then(|| Parsed { value: product(mantissa, *unit), length, point })
}

/// The quotient, rounded half to even, of numbers that are small without the powers of two that
/// both are multiples of, as prices are.
#[inline(always)]
pub(super) fn quotient(numerator: i128, denominator: i128, places: usize) -> Option<i128> {
    let twos = (numerator | denominator).trailing_zeros();
    let [dividend, divisor] = [numerator, denominator].map(|value| value.unsigned_abs() >> twos);
    let (shift, unit) = (*POWERS.get(places)?, *POWERS.get(18usize.checked_sub(places)?)?);
    if dividend.leading_zeros() + shift.leading_zeros() < u64::BITS {
        return None; // the product may not fit 128 bits
    }
    let dividend = dividend * u128::from(shift);
    let quotient = dividend / divisor;
    let rest = dividend - quotient * divisor;
    let up_to_next = divisor - rest;
    let is_up = rest > up_to_next || (rest == up_to_next && quotient % 2 == 1);
    let rounded = u64::try_from(quotient + u128::from(is_up)).ok()?;
    let magnitude = product(rounded, unit);
    Some(if (numerator < 0) == (denominator < 0) { magnitude } else { -magnitude })
}

/// A whole number of up to 15 digits that is followed by something else, and its length.
#[inline(always)]
pub fn whole(window: &[u8; 32]) -> Option<(u64, usize)> {
    let (mantissa, dot, end) = digits(window)?;
    let is_whole = dot == end && window[end & 15] | 0x20 != b'e';
    is_whole.then(|| (mantissa / POWERS[(16 - end) & 15], end))
}
