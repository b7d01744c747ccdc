//! Exact numbers as exchanges send them: in strings, bare, or with decimals that count.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

#[cfg(feature = "ordinary")]
pub use crate::decimal::Fixed;
#[cfg(not(feature = "ordinary"))]
pub use crate::units::Fixed;

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
        Ok(Fixed::from(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Fixed, E> {
        Ok(Fixed::from(number))
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
            #[cfg(not(feature = "ordinary"))] // it has 96 bits
            ("123456789012345678.123456789012345678", "123456789012345678.123456789012345678"),
        ] {
            assert_eq!(text(number(sent)), written, "{sent}");
        }
    }

    #[test]
    fn what_is_no_number_or_does_not_fit_is_nothing() {
        for sent in ["", "-", ".", "1.2.3", "0x1", "1e", "1e30"] {
            assert_eq!(Fixed::parse(sent.as_bytes()), None, "{sent}");
        }
        #[cfg(not(feature = "ordinary"))] // it has 28 decimals
        assert_eq!(Fixed::parse(b"0.0000000000000000001"), None);
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
