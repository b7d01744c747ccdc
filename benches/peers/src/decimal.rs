//! Exact numbers as ordinary Rust has them: those of `rust_decimal`.

use std::io::Write;

use rust_decimal::{Decimal, RoundingStrategy};

#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Fixed(Decimal);

impl Fixed {
    pub const ZERO: Self = Self(Decimal::ZERO);
    pub const ONE: Self = Self(Decimal::ONE);

    /// The number that a text says, and its decimals; nothing where it does not fit.
    pub fn parse(text: &[u8]) -> Option<(Self, usize)> {
        let text = std::str::from_utf8(text).ok()?;
        let read = Decimal::from_str_exact(text).or_else(|_| Decimal::from_scientific(text));
        read.ok().map(|number| (Self(number), number.scale() as usize))
    }

    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    pub fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    pub fn minus(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// A hundredth.
    pub fn hundredth(self) -> Option<Self> {
        self.0.checked_div(Decimal::ONE_HUNDRED).map(Self)
    }

    /// The quotient, rounded half to even at so many decimals; nothing of a divisor that is 0.
    pub fn over(self, divisor: Self, places: usize) -> Option<Self> {
        let places = u32::try_from(places).ok()?;
        let quotient = self.0.checked_div(divisor.0)?;
        Some(Self(quotient.round_dp_with_strategy(places, RoundingStrategy::MidpointNearestEven)))
    }

    /// Plain notation without trailing zeros.
    pub fn write(self, out: &mut Vec<u8>) {
        write!(out, "{}", self.0.normalize()).expect("memory takes all");
    }
}

impl<N: Into<Decimal>> From<N> for Fixed {
    fn from(number: N) -> Self {
        Self(number.into())
    }
}
