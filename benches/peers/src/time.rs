//! Times: read in milliseconds, microseconds or RFC 3339, written as the records have them.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// Microseconds since 1970, UTC.
#[derive(Clone, Copy, Debug, Default)]
pub struct Time(u64);

impl Time {
    pub fn of_milliseconds(milliseconds: u64) -> Self {
        Self(milliseconds * 1000)
    }

    fn of_number(number: u64) -> Self {
        Self(if number > 100_000_000_000_000 { number } else { number * 1000 })
    }

    /// Of digits, or of `2026-11-02T00:00:00.088333Z`.
    pub fn parse(text: &str) -> Option<Self> {
        let Some(b'-') = text.as_bytes().get(4) else {
            return text.parse().ok().map(Self::of_number);
        };
        let number = |from: usize, to: usize| text.get(from..to)?.parse::<u64>().ok();
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
        let fraction = text.get(20..)?.strip_suffix('Z')?;
        let scale = 10_u64.pow(6_u32.checked_sub(u32::try_from(fraction.len()).ok()?)?);
        let micros = fraction.parse::<u64>().ok()? * scale;
        // years begin in March here, so that a leap day is the last one of a year
        let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let leap_days = year / 4 - year / 100 + year / 400;
        let days = (365 * year + leap_days + (153 * month + 2) / 5 + day).checked_sub(719_469)?;
        Some(Self((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000 + micros))
    }

    /// As order books have it: `2026-11-02 00:00:00.088333+00:00`.
    pub fn write_text(self, out: &mut Vec<u8>) {
        let (seconds, micros) = (self.0 / 1_000_000, self.0 % 1_000_000);
        let (days, of_day) = (seconds / 86_400, seconds % 86_400);
        let (year, month, day) = date(days);
        let mut text = *b"0000-00-00 00:00:00.000000+00:00";
        let mut put = |at: usize, width: usize, mut number: u64| {
            for digit in text[at..at + width].iter_mut().rev() {
                *digit = b'0' + (number % 10) as u8;
                number /= 10;
            }
        };
        put(0, 4, year);
        put(5, 2, month);
        put(8, 2, day);
        put(11, 2, of_day / 3600);
        put(14, 2, of_day / 60 % 60);
        put(17, 2, of_day % 60);
        put(20, 6, micros);
        out.extend_from_slice(&text);
    }

    /// As tickers have it: `1793577600088.333`, with one decimal at least.
    pub fn write_milliseconds(self, out: &mut Vec<u8>) {
        let mut buffer = itoa::Buffer::new();
        out.extend_from_slice(buffer.format(self.0 / 1000).as_bytes());
        out.push(b'.');
        let digits = &buffer.format(1000 + self.0 % 1000).as_bytes()[1..];
        let end = digits.iter().rposition(|digit| *digit != b'0').map_or(1, |last| last + 1);
        out.extend_from_slice(&digits[..end]);
    }
}

/// Year, month and day of a day since 1970.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyTime)
    }
}

struct AnyTime;

impl Visitor<'_> for AnyTime {
    type Value = Time;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a time")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Time, E> {
        Ok(Time::of_number(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Time, E> {
        u64::try_from(number).map(Time::of_number).map_err(E::custom)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Time, E> {
        Time::parse(text).ok_or_else(|| E::custom("not a time"))
    }
}

#[cfg(test)]
mod tests {
    use super::Time;

    #[test]
    fn times_are_read_and_written() {
        for (sent, text, milliseconds) in [
            ("1793577600347", "2026-11-02 00:00:00.347000+00:00", "1793577600347.0"),
            ("1793577600299820", "2026-11-02 00:00:00.299820+00:00", "1793577600299.82"),
            (
                "2024-02-29T23:59:59.000001Z",
                "2024-02-29 23:59:59.000001+00:00",
                "1709251199000.001",
            ),
            ("2026-03-01T10:25:00.5Z", "2026-03-01 10:25:00.500000+00:00", "1772360700500.0"),
        ] {
            let (time, mut written, mut number) = (Time::parse(sent).unwrap(), vec![], vec![]);
            time.write_text(&mut written);
            time.write_milliseconds(&mut number);
            assert_eq!(String::from_utf8(written).unwrap(), text);
            assert_eq!(String::from_utf8(number).unwrap(), milliseconds);
        }
    }
}
