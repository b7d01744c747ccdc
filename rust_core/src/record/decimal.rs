//! Values as records have them: plain notation, no needless zeros.

use num_traits::Signed;

use super::room::{Room, fragment};
use crate::number::{Usual, Value, Wide};

/// A value that is written in plain notation, without exponent and without trailing zeros.
pub(super) trait Write: Sized {
    fn write(&self, room: &mut Room);
}

/// A value that stands in records.
#[expect(private_bounds, reason = "how it is written is for this file alone")]
pub trait Decimal: Value + Write {}

impl<V: Value + Write> Decimal for V {}

impl Write for Usual {
    #[inline(always)]
    fn write(&self, room: &mut Room) {
        if *self < 0 {
            room.fragment(&const { fragment("-") });
        }
        match ONE.divide(self.unsigned_abs()) {
            Some((whole, fraction)) => {
                room.whole(whole);
                if fraction > 0 {
                    room.fraction(fraction);
                }
            }
            None => self.abs().widened().write(room),
        }
    }
}

impl Write for Wide {
    #[cold]
    fn write(&self, room: &mut Room) {
        let digits = format!("{:0>width$}", self.magnitude().to_string(), width = Self::PLACES + 1);
        let (whole, fraction) = digits.split_at(digits.len() - Self::PLACES);
        let sign = if self.sign() == num_bigint::Sign::Minus { "-" } else { "" };
        let text = format!("{sign}{whole}.{fraction}");
        room.text(text.trim_end_matches('0').trim_end_matches('.').as_bytes());
    }
}

/// Takes a usual value's whole part and fraction apart.
const ONE: Divisor = Divisor::new(1_000_000_000_000_000_000);

/// Division by an invariant (Möller and Granlund, "Improved division by invariant integers", algorithm 4).
#[derive(Clone, Copy)]
struct Divisor {
    normal: u64,
    reciprocal: u64,
    shift: u32,
}

impl Divisor {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the reciprocal is taken without its leading one"
    )]
    const fn new(divisor: u64) -> Self {
        let shift = divisor.leading_zeros();
        let normal = divisor << shift;
        Divisor { normal, reciprocal: (u128::MAX / normal as u128) as u64, shift }
    }

    /// Quotient and remainder, unless the quotient exceeds 64 bits.
    #[inline(always)]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the two halves of 128 bits are taken apart"
    )]
    fn divide(self, number: u128) -> Option<(u64, u64)> {
        if (number >> 64) as u64 >= self.normal >> self.shift {
            return None;
        }
        let number = number << self.shift;
        let high = (number >> 64) as u64;
        let estimate = (u128::from(self.reciprocal) * u128::from(high)).wrapping_add(number);
        let mut quotient = ((estimate >> 64) as u64).wrapping_add(1);
        let mut remainder = (number as u64).wrapping_sub(quotient.wrapping_mul(self.normal));
        if remainder > estimate as u64 {
            quotient = quotient.wrapping_sub(1);
            remainder = remainder.wrapping_add(self.normal);
        }
        if remainder >= self.normal {
            quotient = quotient.wrapping_add(1);
            remainder -= self.normal;
        }
        Some((quotient, remainder >> self.shift))
    }
}
