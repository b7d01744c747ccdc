//! Division of 128 bits by powers of ten, without a division.

/// Takes a usual value's whole part and fraction apart.
pub const ONE: Divisor = POWERS[18];

/// 10^0 to 10^18.
pub static POWERS_OF_TEN: [Divisor; 19] = POWERS;

const POWERS: [Divisor; 19] = {
    let mut powers = [Divisor::new(1); 19];
    let (mut exponent, mut power) = (0, 1);
    while exponent < 19 {
        powers[exponent] = Divisor::new(power);
        exponent += 1;
        power *= 10;
    }
    powers
};

/// Division by an invariant (Möller and Granlund, "Improved division by invariant integers", algorithm 4).
#[derive(Clone, Copy, Debug)]
pub struct Divisor {
    normal: u64,
    reciprocal: u64,
    shift: u32,
}

impl Divisor {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the reciprocal is taken without its leading one"
    )]
    pub const fn new(divisor: u64) -> Self {
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
    pub fn divide(self, number: u128) -> Option<(u64, u64)> {
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
