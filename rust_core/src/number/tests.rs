//! Numbers against arithmetic that is slow and obvious.

use num_bigint::BigInt;
use num_traits::{Pow, Signed};
use proptest::prelude::*;

use super::{Number, Parsed, Usual, Value, Wide, quotient};
use crate::error::Error;
use crate::json::Reader;
use crate::json::text::{Long, Plain};

/// The number in units of 1e-400, by the school's method.
fn by_school(text: &str) -> BigInt {
    let (sign, text) = text.strip_prefix('-').map_or((1, text), |text| (-1, text));
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent: i64 = exponent.parse().unwrap();
    let power = 400 + exponent - i64::try_from(fraction.len()).unwrap();
    let digits: BigInt = format!("{whole}{fraction}").parse().unwrap();
    digits * sign * Pow::pow(BigInt::from(10), usize::try_from(power).unwrap())
}

fn read<'a>(text: &'a str, behind: &str, whole: &'a mut String) -> (Number<'a, Usual>, usize) {
    *whole = format!("{text}{behind}");
    let mut reader = Reader::<Plain>::new(whole.as_bytes());
    let number = reader.number().unwrap();
    (number, reader.rest().len())
}

fn decimal() -> impl Strategy<Value = String> {
    let exponent = prop_oneof![Just(String::new()), "[eE][+-]?[0-9]{1,2}"];
    ("-?(0|[1-9][0-9]{0,24})", "(\\.[0-9]{1,24})?", exponent)
        .prop_map(|(whole, fraction, exponent)| format!("{whole}{fraction}{exponent}"))
}

proptest! {
    #[test]
    fn wide_numbers_are_what_school_says(text in decimal()) {
        let Parsed { value, length, .. } = Wide::parse(text.as_bytes()).unwrap();
        prop_assert_eq!(value, by_school(&text));
        prop_assert_eq!(length, text.len());
    }

    #[test]
    fn usual_numbers_are_wide_ones_or_out_of_range(text in decimal(), behind in "[\",} ]{0,40}") {
        let wide = Wide::parse(text.as_bytes()).unwrap().value;
        let whole = format!("{text}{behind}");
        let window = whole.as_bytes().first_chunk().and_then(Usual::usual);
        let parsed = window.map_or_else(|| Usual::parse(whole.as_bytes()), Ok);
        match (parsed, wide.as_usual()) {
            (Ok(parsed), _) => {
                prop_assert_eq!(parsed.value.widened(), wide);
                prop_assert_eq!(parsed.length, text.len());
            }
            (Err(error), None) => prop_assert_eq!(error, Error::Range),
            (Err(error), Some(value)) => prop_assert!(value.abs() > i128::MAX / 10, "{:?}", error),
        }
    }

    #[test]
    fn plain_text_is_what_a_record_would_have(text in "-?[0-9]{1,9}(\\.[0-9]{1,9})?") {
        let mut whole = String::new();
        let (number, _) = read(&text, "\", \"and some more of a message", &mut whole);
        if let Some(length) = number.plain() {
            let shown = std::str::from_utf8(&number.text()[..length]).unwrap();
            prop_assert_eq!(by_school(shown), by_school(&text));
            let (whole, fraction) = shown.split_once('.').unwrap_or((shown, "1"));
            prop_assert!(!fraction.ends_with('0') && !shown.starts_with("-0") || shown.len() > 2);
            prop_assert!(!whole.trim_start_matches('-').starts_with('0') || whole.ends_with('0'));
        }
        prop_assert_eq!(number.places(), text.split_once('.').map_or(0, |(_, part)| part.len()));
    }

    #[test]
    fn quotients_are_rounded_half_to_even(
        numerator in -10i128.pow(24)..10i128.pow(24),
        denominator in prop_oneof![-1000i128..1000, -10i128.pow(24)..10i128.pow(24)],
        places in 0usize..11,
    ) {
        let Ok(found) = quotient(&numerator, &denominator, places) else { return Ok(()) };
        let Some(found) = found else {
            prop_assert_eq!(denominator, 0);
            return Ok(());
        };
        // twice the remainder is at most the denominator, and where it is, the quotient is even
        let unit = Usual::power_of_ten(18 - places).unwrap();
        prop_assert_eq!(found % unit, 0);
        let (found, shift) = (BigInt::from(found / unit), Pow::pow(BigInt::from(10), places));
        let rest = (BigInt::from(numerator) * shift - &found * denominator).abs() * 2;
        let denominator = BigInt::from(denominator).abs();
        prop_assert!(rest < denominator || rest == denominator && !found.bit(0));
    }

    #[test]
    fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let _ = Usual::parse(&bytes);
        let _ = Wide::parse(&bytes);
        let _ = Reader::<Plain>::new(&bytes).number_if_any();
        let _ = Reader::<Long>::new(&bytes).number_if_any();
        let _ = Reader::<Plain>::new(&bytes).whole_number();
    }
}

#[test]
fn borders() {
    let usual = |text: &str| Usual::parse(text.as_bytes()).map(|parsed| parsed.value);
    assert_eq!(usual("1e-18"), Ok(1));
    assert_eq!(usual("170141183460469231731.687303715884105727"), Ok(i128::MAX));
    assert_eq!(usual("170141183460469231731.687303715884105728"), Err(Error::Range));
    assert_eq!(usual("1e-19"), Err(Error::Range));
    assert_eq!(usual("0e999999999999999999999"), Ok(0));
    assert_eq!(usual("1.000000000000000000000000000"), Ok(10i128.pow(18)));
    for text in ["", "-", "--1", ".5", "1.", "1.e5", "1e", "1e-", "+1", "e5", "NaN"] {
        assert_eq!(usual(text), Err(Error::Number), "{text}");
    }
    let wide = |text: &str| Wide::parse(text.as_bytes()).map(|parsed| parsed.value.is_positive());
    assert_eq!(wide("1e399"), Ok(true));
    assert_eq!(wide("1e-400"), Ok(true));
    for text in ["1e400", "1e-401", "1e999999999999999999999", "1e-999999999999999999999"] {
        assert_eq!(wide(text), Err(Error::Number), "{text}");
    }
}

#[test]
fn a_number_ends_where_its_quote_does() {
    for text in ["\"1", "\"1 \"", "\"1x\"", "\"1,5\"", "\"\"", "\" 1\""] {
        assert!(Reader::<Plain>::new(text.as_bytes()).number().is_err(), "{text}");
    }
}
