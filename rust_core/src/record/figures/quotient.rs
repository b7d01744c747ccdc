//! Numbers in plain notation: all decimals where they end, else the first ten, rounded.

use std::io::Write;

use num_bigint::BigInt;
use num_integer::Integer;
use num_traits::{Pow, Signed, Zero};

use crate::number::{Usual, Value, Wide};

/// Decimals of a quotient that has no end.
const PLACES: usize = 10;
const TEN_PLACES: u128 = 10_000_000_000;

/// A value that figures are made of.
pub(super) trait Exact: Value + From<i64> + Into<BigInt> {}

impl Exact for Usual {}
impl Exact for Wide {}

/// Writes a value of no sign that is in units of 10^-`places`.
pub(super) fn decimal<E: Exact>(out: &mut Vec<u8>, value: &E, places: usize) {
    match value.to_u128() {
        Some(value) => small_decimal(out, value, places),
        None => big_decimal(out, &value.clone().into(), places),
    }
}

/// Writes `numerator / denominator`, null if that is zero; it has no sign.
pub(super) fn quotient<E: Exact>(out: &mut Vec<u8>, numerator: &E, denominator: &E) {
    let small = numerator.to_i128().zip(denominator.to_u128());
    let is_written = small.and_then(|(numerator, denominator)| {
        small_quotient(out, numerator.is_negative(), numerator.unsigned_abs(), denominator)
    });
    if is_written.is_none() {
        big_quotient(out, &numerator.clone().into(), &denominator.clone().into());
    }
}

/// Writes the mean of two prices, weighted with two sizes.
pub(super) fn weighted_mean<E: Exact>(out: &mut Vec<u8>, prices: [&E; 2], weights: [&E; 2]) {
    if small_weighted_mean(out, prices, weights).is_none() {
        let [one, other]: [BigInt; 2] = prices.map(|price| price.clone().into());
        let [of_one, of_other]: [BigInt; 2] = weights.map(|weight| weight.clone().into());
        let unit: BigInt = Pow::pow(BigInt::from(10), E::PLACES);
        let total = (&of_one + &of_other) * unit;
        big_quotient(out, &(one * of_one + other * of_other), &total);
    }
}

fn small_weighted_mean<E: Exact>(
    out: &mut Vec<u8>,
    [one, other]: [&E; 2],
    [of_one, of_other]: [&E; 2],
) -> Option<()> {
    // prices and sizes have few decimals, and without the zeros behind those the products fit
    let ([one, other], tens) = without_common_tens([one.to_u128()?, other.to_u128()?], E::PLACES);
    let ([of_one, of_other], _) =
        without_common_tens([of_one.to_u128()?, of_other.to_u128()?], usize::MAX);
    let sum = one.checked_mul(of_one)?.checked_add(other.checked_mul(of_other)?)?;
    let unit = 10u128.checked_pow(u32::try_from(E::PLACES - tens).ok()?)?;
    small_quotient(out, false, sum, of_one.checked_add(of_other)?.checked_mul(unit)?)
}

/// Writes a quotient, unless it does not fit here or has an end behind the tenth decimal, which is
/// rare.
pub(super) fn small_quotient(
    out: &mut Vec<u8>,
    is_negative: bool,
    numerator: u128,
    denominator: u128,
) -> Option<()> {
    let ([numerator, denominator], _) = without_common_tens([numerator, denominator], usize::MAX);
    let whole = numerator.checked_div(denominator)?;
    let rest = (numerator % denominator).checked_mul(TEN_PLACES)?;
    let mut digits = whole.checked_mul(TEN_PLACES)?.checked_add(rest / denominator)?;
    let rest = rest % denominator;
    if rest > 0 {
        // decimals end if the denominator without its twos and fives divides the numerator, or,
        // what is the same, the rest; the greatest common divisor need not be known for that
        if rest.is_multiple_of(without_twos_and_fives(denominator)) {
            return None;
        }
        // half of the last decimal would be an end, so there is nothing to round to even
        digits = digits.checked_add(u128::from(rest > denominator - rest))?;
    }
    if is_negative && digits > 0 {
        out.push(b'-');
    }
    small_decimal(out, digits, PLACES);
    Some(())
}

/// Writes a quotient of any numbers.
#[cold]
pub(super) fn big_quotient(out: &mut Vec<u8>, numerator: &BigInt, denominator: &BigInt) {
    if denominator.is_zero() {
        out.extend_from_slice(b"null");
        return;
    }
    // so many decimals are enough, should they end: one for each two, and one for each five in the
    // denominator, which are less than half as many as the bits that are left
    let twos = denominator.trailing_zeros().unwrap_or(0);
    let places = twos.max((denominator.bits() - twos) / 2 + 1);
    let shift: BigInt = Pow::pow(BigInt::from(10), places);
    let (digits, rest) = (numerator.abs() * shift).div_rem(denominator);
    if rest.is_zero() {
        write_sign(out, numerator, &digits);
        big_decimal(out, &digits, usize::try_from(places).expect("bits of a number in memory"));
        return;
    }
    let (digits, rest) = (numerator.abs() * TEN_PLACES).div_rem(denominator);
    let digits = digits + u8::from(rest > denominator - &rest);
    write_sign(out, numerator, &digits);
    big_decimal(out, &digits, PLACES);
}

fn write_sign(out: &mut Vec<u8>, numerator: &BigInt, digits: &BigInt) {
    if numerator.is_negative() && !digits.is_zero() {
        out.push(b'-');
    }
}

/// As `big_decimal` of a small number.
fn small_decimal(out: &mut Vec<u8>, number: u128, places: usize) {
    let ([number, _], tens) = without_common_tens([number, 0], places);
    let mut buffer = [0; 40];
    let mut left = &mut buffer[..];
    match u64::try_from(number) {
        Ok(number) => write!(left, "{number}"),
        Err(_) => write!(left, "{number}"),
    }
    .expect("128 bits are at most 39 digits");
    let length = 40 - left.len();
    write_digits(out, &buffer[..length], places - tens);
}

/// Writes a number of no sign that is in units of 10^-`places`.
fn big_decimal(out: &mut Vec<u8>, number: &BigInt, places: usize) {
    write_digits(out, number.to_string().as_bytes(), places);
}

fn write_digits(out: &mut Vec<u8>, digits: &[u8], places: usize) {
    let (whole, fraction) = digits.split_at(digits.len().saturating_sub(places));
    out.extend_from_slice(if whole.is_empty() { b"0" } else { whole });
    let zeros = fraction.iter().rev().take_while(|digit| **digit == b'0').count();
    let fraction_without_zeros = &fraction[..fraction.len() - zeros];
    if !fraction_without_zeros.is_empty() {
        out.push(b'.');
        out.resize(out.len() + places - fraction.len(), b'0');
        out.extend_from_slice(fraction_without_zeros);
    }
}

/// Takes powers of ten out of two numbers, as many as both have, but at most so many.
fn without_common_tens([mut one, mut other]: [u128; 2], most: usize) -> ([u128; 2], usize) {
    let mut tens = 0;
    for fives in &FIVES {
        let twos = (one | other).trailing_zeros();
        if twos >= fives.power
            && tens + fives.power as usize <= most
            && let Some(of_one) = fives.divide(one)
            && let Some(of_other) = fives.divide(other)
        {
            (one, other) = (of_one >> fives.power, of_other >> fives.power);
            tens += fives.power as usize;
        }
    }
    ([one, other], tens)
}

/// Takes all twos and fives out of a number.
fn without_twos_and_fives(number: u128) -> u128 {
    let [.., five] = &FIVES;
    let mut number = number >> number.trailing_zeros();
    while let Some(of_number) = five.divide(number) {
        number = of_number;
    }
    number
}

/// A power of five, to divide by.
struct Fives {
    power: u32,
    inverse: u128,
    most: u128,
}

const FIVES: [Fives; 5] =
    [Fives::new(16), Fives::new(8), Fives::new(4), Fives::new(2), Fives::new(1)];

impl Fives {
    const fn new(power: u32) -> Self {
        let divisor = 5u128.pow(power);
        let mut inverse = divisor; // as to its last three bits, which double with each step
        let mut i = 0;
        while i < 6 {
            inverse = inverse.wrapping_mul(2u128.wrapping_sub(divisor.wrapping_mul(inverse)));
            i += 1;
        }
        Fives { power, inverse, most: u128::MAX / divisor }
    }

    /// The quotient if there is no rest: a product modulo 2^128 (Granlund and Montgomery, "Division
    /// by invariant integers using multiplication", section 9).
    fn divide(&self, number: u128) -> Option<u128> {
        let quotient = number.wrapping_mul(self.inverse);
        (quotient <= self.most).then_some(quotient)
    }
}
