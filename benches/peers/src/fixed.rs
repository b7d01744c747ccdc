//! Exact numbers: 128-bit integers in units of 1e-18, read from text and written as text.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

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

/// The digits of a number that has more than 19 of them.
#[cold]
fn long(text: &[u8]) -> Option<i128> {
    text.iter().filter(|byte| byte.is_ascii_digit()).try_fold(0_i128, |value, digit| {
        value.checked_mul(10)?.checked_add(i128::from(digit - b'0'))
    })
}

/// A number as a string; empty or null is nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quoted(pub Option<Fixed>);

/// A bare number. What a float's shortest text says is what was sent, as such numbers are short.
#[derive(Clone, Copy, Debug)]
pub struct Bare(pub Fixed);

/// A number as a string, with the decimals that it was sent with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Placed(pub Option<(Fixed, usize)>);

impl<'de> Deserialize<'de> for Fixed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text)
    }
}

impl<'de> Deserialize<'de> for Quoted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Placed::deserialize(deserializer).map(|placed| Self(placed.0.map(|(value, _)| value)))
    }
}

impl<'de> Deserialize<'de> for Placed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextIfAny).map(Self)
    }
}

/// By this name sonic-rs gives the digits themselves; others go on to the number that they have
/// made of them.
const DIGITS: &str = "$sonic_rs::private::JsonNumber";

impl<'de> Deserialize<'de> for Bare {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(DIGITS, Number).map(Self)
    }
}

struct Text;

impl Visitor<'_> for Text {
    type Value = Fixed;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a number in a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Fixed, E> {
        exact(text).map(|(value, _)| value)
    }
}

struct TextIfAny;

impl Visitor<'_> for TextIfAny {
    type Value = Option<(Fixed, usize)>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a number in a string, or nothing")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        if text.is_empty() { Ok(None) } else { exact(text).map(Some) }
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

struct Number;

impl<'de> Visitor<'de> for Number {
    type Value = Fixed;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a number")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Fixed, D::Error> {
        inner.deserialize_any(self)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Fixed, E> {
        exact(text).map(|(value, _)| value)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Fixed, E> {
        Ok(Fixed(i128::from(number) * Fixed::ONE.0))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Fixed, E> {
        Ok(Fixed(i128::from(number) * Fixed::ONE.0))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Fixed, E> {
        self.visit_str(zmij::Buffer::new().format(number))
    }
}

fn exact<E: Error>(text: &str) -> Result<(Fixed, usize), E> {
    Fixed::parse(text.as_bytes()).ok_or_else(|| E::custom("not a number of 128 bits"))
}

#[cfg(test)]
mod tests {
    use super::Fixed;

    fn number(text: &str) -> Fixed {
        Fixed::parse(text.as_bytes()).unwrap().0
    }

    fn text(number: Fixed) -> String {
        let mut out = Vec::new();
        number.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_read_and_written_exactly() {
        for (sent, written) in [
            ("0", "0"),
            ("-0.0", "0"),
            ("112408000.0", "112408000"),
            ("0.00000003", "0.00000003"),
            ("5.16e-06", "0.00000516"),
            ("1.2E+3", "1200"),
            ("-4.4584", "-4.4584"),
            ("1526628896103.46000000", "1526628896103.46"),
            ("123456789012345678.123456789012345678", "123456789012345678.123456789012345678"),
        ] {
            assert_eq!(text(number(sent)), written, "{sent}");
        }
    }

    #[test]
    fn what_is_no_number_or_does_not_fit_is_nothing() {
        for sent in ["", "-", ".", "1.2.3", "0x1", "1e", "0.0000000000000000001", "1e30"] {
            assert_eq!(Fixed::parse(sent.as_bytes()), None, "{sent}");
        }
    }

    #[test]
    fn quotients_are_rounded_half_to_even() {
        for (one, other, places, written) in [
            ("1", "8", 2, "0.12"),
            ("3", "8", 2, "0.38"),
            ("-1", "8", 2, "-0.12"),
            ("2", "3", 10, "0.6666666667"),
            ("-2", "3", 10, "-0.6666666667"),
        ] {
            assert_eq!(text(number(one).over(number(other), places).unwrap()), written);
        }
        assert_eq!(number("1").over(Fixed::ZERO, 2), None);
    }
}
