//! Exact numbers as careful Rust has them: 128-bit integers in units of 1e-18.

/// Decimals of the unit.
const PLACES: usize = 18;
const ONE: u64 = 1_000_000_000_000_000_000;

const POWERS: [i128; 37] = {
    let mut powers = [1; 37];
    let mut at = 1;
    while at < powers.len() {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Fixed(i128);

impl Fixed {
    pub const ZERO: Self = Self(0);
    pub const ONE: Self = Self(ONE as i128);

    /// The number that a text says, and its decimals; nothing where it does not fit.
    pub fn parse(text: &[u8]) -> Option<(Self, usize)> {
        let (negative, text) = match text {
            [b'-', rest @ ..] => (true, rest),
            _ => (false, text),
        };
        let (mut short, mut digits, mut places, mut at) = (0_u64, 0, 0, 0);
        let mut point = false;
        while let Some(byte) = text.get(at) {
            match byte {
                b'0'..=b'9' => {
                    // 19 digits fit; a number that has more is read again
                    short = short.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
                    digits += 1;
                    places += usize::from(point);
                }
                b'.' if !point => point = true,
                b'e' | b'E' => break,
                _ => return None,
            }
            at += 1;
        }
        if digits == 0 {
            return None;
        }
        let value = if digits <= 19 { i128::from(short) } else { long(&text[..at])? };
        let exponent: i32 = match text.get(at + 1..) {
            Some(exponent) => std::str::from_utf8(exponent).ok()?.parse().ok()?,
            None => 0,
        };
        let power = i32::try_from(PLACES - places.min(PLACES)).ok()? + exponent;
        if places > PLACES {
            return None;
        }
        let value = if let Ok(power) = usize::try_from(power) {
            value.checked_mul(*POWERS.get(power)?)?
        } else {
            let divisor = *POWERS.get(usize::try_from(-power).ok()?)?;
            if value % divisor != 0 {
                return None;
            }
            value / divisor
        };
        Some((Self(if negative { -value } else { value }), places))
    }

    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    pub fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    pub fn minus(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// A hundredth, where it is a number of these.
    pub fn hundredth(self) -> Option<Self> {
        (self.0 % 100 == 0).then_some(Self(self.0 / 100))
    }

    /// The quotient, rounded half to even at so many decimals; nothing of a divisor that is 0.
    pub fn over(self, divisor: Self, places: usize) -> Option<Self> {
        let numerator = self.0.checked_mul(*POWERS.get(places)?)?;
        let quotient = numerator.checked_div(divisor.0)?;
        let doubled = (numerator % divisor.0).unsigned_abs().checked_mul(2)?;
        let up = match doubled.cmp(&divisor.0.unsigned_abs()) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Equal => quotient & 1 == 1,
            std::cmp::Ordering::Greater => true,
        };
        let away = if (numerator < 0) == (divisor.0 < 0) { 1 } else { -1 };
        let rounded = if up { quotient + away } else { quotient };
        rounded.checked_mul(POWERS[PLACES.checked_sub(places)?]).map(Self)
    }

    /// Plain notation without trailing zeros.
    pub fn write(self, out: &mut Vec<u8>) {
        if self.0 < 0 {
            out.push(b'-');
        }
        let value = self.0.unsigned_abs();
        let (whole, fraction) = match u64::try_from(value) {
            Ok(value) => (u128::from(value / ONE), value % ONE),
            #[expect(clippy::cast_possible_truncation, reason = "a remainder of 64 bits")]
            Err(_) => (value / u128::from(ONE), (value % u128::from(ONE)) as u64),
        };
        let mut buffer = itoa::Buffer::new();
        match u64::try_from(whole) {
            Ok(whole) => out.extend_from_slice(buffer.format(whole).as_bytes()),
            Err(_) => out.extend_from_slice(buffer.format(whole).as_bytes()),
        }
        if fraction != 0 {
            out.push(b'.');
            // a one before them keeps the zeros that lead
            let digits = &buffer.format(ONE + fraction).as_bytes()[1..];
            let end = digits.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
            out.extend_from_slice(&digits[..end]);
        }
    }
}

impl<N: Into<i128>> From<N> for Fixed {
    fn from(number: N) -> Self {
        Self(number.into() * Self::ONE.0)
    }
}

/// The digits of a number that has more than 19 of them.
#[cold]
fn long(text: &[u8]) -> Option<i128> {
    text.iter().filter(|byte| byte.is_ascii_digit()).try_fold(0_i128, |value, digit| {
        value.checked_mul(10)?.checked_add(i128::from(digit - b'0'))
    })
}
