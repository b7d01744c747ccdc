//! Number text, as the exchanges and what stands between write it.

use super::wire::Numbers;

/// Writes `units` of 10^-`places` as an exchange does.
#[inline]
pub fn write(out: &mut Vec<u8>, units: i64, places: u8, numbers: Numbers) {
    match numbers {
        Numbers::Short => plain(out, units, places, 0, true),
        Numbers::Fixed(least) => plain(out, units, places, least, false),
        Numbers::Java => scientific(out, units, places, &JAVA),
    }
}

/// Writes the same as Python does that has read it from JSON: what has a point or an exponent is
/// a float then, and all else is an integer.
pub fn write_python(out: &mut Vec<u8>, units: i64, places: u8, numbers: Numbers) {
    let is_float = match numbers {
        Numbers::Short => units % 10i64.pow(u32::from(places)) != 0,
        Numbers::Fixed(least) => places.max(least) > 0,
        Numbers::Java => true,
    };
    if is_float {
        scientific(out, units, places, &PYTHON);
    } else {
        plain(out, units, places, 0, true);
    }
}

/// Writes a number without exponent, with at least so many decimals; `short` ones end there or
/// with a digit that is not zero.
#[inline]
pub fn plain(out: &mut Vec<u8>, units: i64, places: u8, least: u8, short: bool) {
    let mut rest = units.unsigned_abs();
    let mut places = places;
    while short && places > least && rest.is_multiple_of(10) {
        (rest, places) = (rest / 10, places - 1);
    }
    let mut text = [b'0'; 48]; // 20 digits, a sign, a point and 26 more decimals
    let mut start = text.len() - usize::from(least.saturating_sub(places));
    let mut put = |character: u8| {
        start -= 1;
        text[start] = character;
    };
    for _ in 0..places {
        put(last_digit(&mut rest));
    }
    if places.max(least) > 0 {
        put(b'.');
    }
    put(last_digit(&mut rest));
    while rest > 0 {
        put(last_digit(&mut rest));
    }
    if units < 0 {
        put(b'-');
    }
    out.extend_from_slice(&text[start..]);
}

#[inline]
fn last_digit(rest: &mut u64) -> u8 {
    let digit = b"0123456789"[(*rest % 10) as usize];
    *rest /= 10;
    digit
}

/// When a language writes a power of ten, and how.
struct Scientific {
    /// The powers of ten of the first digit that are written plain.
    plain: std::ops::Range<i64>,
    least_decimals: u8,
    exponent: fn(&mut Vec<u8>, i64),
}

/// `Double.toString`: `1.0E7`, `5.0E-4`.
const JAVA: Scientific = Scientific {
    plain: -3..7,
    least_decimals: 1,
    exponent: |out, exponent| {
        out.push(b'E');
        plain(out, exponent, 0, 0, false);
    },
};

/// `float.__repr__`: `1e+16`, `5e-05`.
const PYTHON: Scientific = Scientific {
    plain: -4..16,
    least_decimals: 0,
    exponent: |out, exponent| {
        out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
        if exponent.abs() < 10 {
            out.push(b'0');
        }
        plain(out, exponent.abs(), 0, 0, false);
    },
};

/// Writes the shortest digits: those of a double too, as long as there are not more than fifteen.
fn scientific(out: &mut Vec<u8>, units: i64, places: u8, language: &Scientific) {
    let Some(digits) = units.unsigned_abs().checked_ilog10() else {
        return out.extend_from_slice(b"0.0");
    };
    let exponent = i64::from(digits) - i64::from(places);
    if language.plain.contains(&exponent) {
        return plain(out, units, places, 1, true);
    }
    let digits = u8::try_from(digits).expect("a logarithm of 64 bits is below 20");
    plain(out, units, digits, language.least_decimals, true);
    (language.exponent)(out, exponent);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn plain_numbers() {
        let all = |units, places| {
            [Numbers::Short, Numbers::Fixed(0), Numbers::Fixed(8)]
                .map(|numbers| text(|out| write(out, units, places, numbers)))
        };
        assert_eq!(all(4_010, 0), ["4010", "4010", "4010.00000000"]);
        assert_eq!(all(4_010, 2), ["40.1", "40.10", "40.10000000"]);
        assert_eq!(all(-7, 8), ["-0.00000007", "-0.00000007", "-0.00000007"]);
        assert_eq!(all(0, 3), ["0", "0.000", "0.00000000"]);
        assert_eq!(
            all(i64::MIN, 2),
            ["-92233720368547758.08", "-92233720368547758.08", "-92233720368547758.08000000"]
        );
    }

    #[test]
    fn doubles_of_java() {
        let java = |units, places| text(|out| write(out, units, places, Numbers::Java));
        assert_eq!(java(116_539_000, 0), "1.16539E8");
        assert_eq!(java(20_000_000, 0), "2.0E7");
        assert_eq!(java(9_999_999, 0), "9999999.0");
        assert_eq!(java(127, 0), "127.0");
        assert_eq!(java(79_276, 8), "7.9276E-4");
        assert_eq!(java(-500, 6), "-5.0E-4");
        assert_eq!(java(1_000, 6), "0.001");
        assert_eq!(java(0, 6), "0.0");
    }

    #[test]
    fn floats_of_python() {
        let python = |units, places, numbers| text(|out| write_python(out, units, places, numbers));
        assert_eq!(python(5_100, 8, Numbers::Fixed(0)), "5.1e-05");
        assert_eq!(python(10_000, 8, Numbers::Fixed(0)), "0.0001");
        assert_eq!(python(-7, 10, Numbers::Java), "-7e-10");
        assert_eq!(python(116_539_000, 0, Numbers::Java), "116539000.0");
        assert_eq!(python(1_250_000_000_000_000_000, 0, Numbers::Java), "1.25e+18");
        assert_eq!(python(116_539_000, 0, Numbers::Short), "116539000");
        assert_eq!(python(40_000, 4, Numbers::Short), "4");
        assert_eq!(python(40_100, 4, Numbers::Short), "4.01");
        assert_eq!(python(788_780, 1, Numbers::Fixed(0)), "78878.0");
        assert_eq!(python(0, 8, Numbers::Fixed(0)), "0.0");
        assert_eq!(python(0, 8, Numbers::Short), "0");
    }
}
