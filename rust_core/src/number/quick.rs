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

/// A whole number of up to 15 digits that is followed by something else, and its length.
#[inline(always)]
pub fn whole(window: &[u8; 32]) -> Option<(u64, usize)> {
    let (mantissa, dot, end) = digits(window)?;
    let is_whole = dot == end && window[end & 15] | 0x20 != b'e';
    is_whole.then(|| (mantissa / POWERS[(16 - end) & 15], end))
}
