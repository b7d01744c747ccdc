//! The time of an event: read in whatever unit an exchange sends it, written as the records have it.

use std::borrow::Cow;
use std::ops::Range;

use jiff::Timestamp;
use jiff::tz::Offset;

use crate::error::{Error, Result};
use crate::json::Reader;
use crate::json::text::Text;
use crate::number::Value;

/// Microseconds since 1970, UTC.
pub type Micros = i64;

/// The last moment that the calendar here knows: 9999-12-30 22:00:00.999999.
pub const LATEST: Micros = 253_402_207_200_999_999;

/// The best of the times that a message has.
#[derive(Clone, Copy, Debug, Default)]
pub struct EventTime {
    micros: Option<Micros>,
    rank: u8,
    seen: u8,
}

impl EventTime {
    /// Reads a time. Of several, the one of the highest rank counts; none may stand there twice.
    #[inline(always)]
    pub fn read<T: Text>(&mut self, rank: u8, reader: &mut Reader<T>) -> Result<()> {
        reader.apart(|reader| self.read_apart(rank, reader))
    }

    /// The same, quicker where it is a whole number.
    #[inline(always)]
    pub fn read_quick<T: Text>(&mut self, rank: u8, reader: &mut Reader<T>) -> Result<()> {
        match reader.whole_number() {
            Some(number) => self.note(rank, from_whole(number)?),
            None => self.read(rank, reader),
        }
    }

    #[inline(never)]
    fn read_apart<T: Text>(&mut self, rank: u8, reader: &mut Reader<T>) -> Result<()> {
        let micros = read(reader)?;
        self.note(rank, micros)
    }

    /// Reads an identifier that begins with a time of 13 digits, in milliseconds; the number that
    /// all of it is, if it is one.
    #[inline(always)]
    pub fn read_id<T: Text>(&mut self, rank: u8, reader: &mut Reader<T>) -> Result<Option<i64>> {
        reader.apart(|reader| self.read_id_apart(rank, reader))
    }

    #[inline(never)]
    fn read_id_apart<T: Text>(&mut self, rank: u8, reader: &mut Reader<T>) -> Result<Option<i64>> {
        let is_text = reader.rest().starts_with(T::QUOTE);
        let id = if is_text { reader.string()? } else { reader.skipped()? };
        let time = id.get(..13).filter(|time| time.iter().all(u8::is_ascii_digit));
        let time = time.and_then(|time| std::str::from_utf8(time).ok()?.parse().ok());
        self.note(rank, time.map_or(Ok(None), from_whole)?)?;
        Ok(std::str::from_utf8(id).ok().and_then(|id| id.parse().ok()))
    }

    fn note(&mut self, rank: u8, micros: Option<Micros>) -> Result<()> {
        let bit = 1 << rank;
        if self.seen & bit != 0 {
            return Err(Error::Duplicate);
        }
        self.seen |= bit;
        if micros.is_some() && (self.micros.is_none() || rank > self.rank) {
            (self.micros, self.rank) = (micros, rank);
        }
        Ok(())
    }

    /// Takes over a time from the object around this one, if there is none of its own.
    pub fn inherit(&mut self, outer: &EventTime) {
        if outer.micros.is_some() && (self.micros.is_none() || outer.rank > self.rank) {
            (self.micros, self.rank) = (outer.micros, outer.rank);
        }
    }

    pub fn micros(&self) -> Option<Micros> {
        self.micros
    }
}

/// A time, or nothing where it is null, empty or not after 1970 began.
fn read<T: Text>(reader: &mut Reader<T>) -> Result<Option<Micros>> {
    if let Some(number) = reader.whole_number() {
        return from_whole(number);
    }
    let mut ahead = *reader;
    if let Ok(text) = ahead.string()
        && text.get(4) == Some(&b'-')
    {
        *reader = ahead;
        return from_rfc3339(text);
    }
    match reader.number_if_any() {
        Ok(number) => number.map_or(Ok(None), |number| from_number(&number.value)),
        Err(Error::Number) => Err(Error::Time),
        Err(error) => Err(error),
    }
}

/// The unit follows from the magnitude: seconds, milliseconds or microseconds.
fn from_whole(number: u64) -> Result<Option<Micros>> {
    let micros = match number {
        100_000_000_000_000.. => number,
        100_000_000_000.. => number * 1000,
        _ => number * 1_000_000,
    };
    after_1970(Micros::try_from(micros).map_err(|_| Error::Time)?)
}

fn from_rfc3339(text: &[u8]) -> Result<Option<Micros>> {
    if let Some(micros) = from_utc(text) {
        return after_1970(micros);
    }
    let text = std::str::from_utf8(text).map_err(|_| Error::Utf8)?;
    let time: Timestamp = to_nanoseconds(text).parse().map_err(|_| Error::Time)?;
    after_1970(time.as_microsecond())
}

/// Returns the time without the digits behind the ninth of its fraction. RFC 3339 allows any number
/// of digits, the library nine, and records have six.
fn to_nanoseconds(text: &str) -> Cow<'_, str> {
    let fraction = text.find(['.', ',']).map_or(text.len(), |point| point + 1);
    let digits = text.bytes().skip(fraction).take_while(u8::is_ascii_digit).count();
    if digits <= 9 {
        return Cow::Borrowed(text);
    }
    Cow::Owned([&text[..fraction + 9], &text[fraction + digits..]].concat())
}

/// A time as it is mostly written, `2026-11-25T10:02:03.000004Z`; nothing if it is not, or is not a
/// time on most days.
fn from_utc(text: &[u8]) -> Option<Micros> {
    let text: &[u8; 27] = text.try_into().ok()?;
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'.'), (26, b'Z')];
    if marks.iter().any(|(at, mark)| text[*at] != *mark) {
        return None;
    }
    let number = |at: Range<usize>| {
        text[at].iter().try_fold(0, |number, digit| {
            digit.is_ascii_digit().then(|| 10 * number + i64::from(digit - b'0'))
        })
    };
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let is_usual = year > 1969 && (1..=12).contains(&month) && (1..=28).contains(&day);
    if !is_usual || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // years begin in March here, so that a leap day is the last one of a year
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    let days = 365 * year + leap_days + (153 * month + 2) / 5 + day - 1 - DAYS_BEFORE_1970;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000 + number(20..26)?)
}

/// From 1 March of the year 0 on.
const DAYS_BEFORE_1970: i64 = 719_468;

/// The same of a number with a fraction, or of more digits, which may be in nanoseconds.
fn from_number<V: Value>(value: &V) -> Result<Option<Micros>> {
    let at_least = |exponent: usize| {
        V::power_of_ten(V::PLACES + exponent).is_some_and(|least| *value >= least)
    };
    let unit = match () {
        () if at_least(17) => V::PLACES + 3,
        () if at_least(14) => V::PLACES,
        () if at_least(11) => V::PLACES - 3,
        () => V::PLACES - 6,
    };
    let micros = value.div_floor(&V::power_of_ten(unit).ok_or(Error::Range)?);
    after_1970(micros.to_i64().ok_or(Error::Time)?)
}

fn after_1970(micros: Micros) -> Result<Option<Micros>> {
    if micros > LATEST { Err(Error::Time) } else { Ok((micros > 0).then_some(micros)) }
}

/// Writes times of day; remembers the last second, as the next time is mostly in the same.
#[derive(Clone, Debug)]
pub struct Clock {
    second: i64,
    text: [u8; 32],
}

impl Default for Clock {
    fn default() -> Self {
        Clock { second: i64::MIN, text: *b"0000-00-00 00:00:00.000000+00:00" }
    }
}

impl Clock {
    /// `2024-10-23 10:25:00.050791+00:00`
    #[inline(always)]
    pub fn text(&mut self, micros: Micros) -> &[u8; 32] {
        let (second, fraction) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
        if second != self.second {
            self.turn_to(second);
        }
        write_digits(&mut self.text[20..26], fraction);
        &self.text
    }

    #[cold]
    fn turn_to(&mut self, second: i64) {
        self.second = second;
        let time = Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH);
        let time = Offset::UTC.to_datetime(time);
        for (at, number) in [
            (0..4, i64::from(time.year())),
            (5..7, i64::from(time.month())),
            (8..10, i64::from(time.day())),
            (11..13, i64::from(time.hour())),
            (14..16, i64::from(time.minute())),
            (17..19, i64::from(time.second())),
        ] {
            write_digits(&mut self.text[at], number);
        }
    }
}

fn write_digits(into: &mut [u8], mut number: i64) {
    for digit in into.iter_mut().rev() {
        *digit = b"0123456789"[usize::try_from(number % 10).unwrap_or(0)];
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The quick way says the same as the library, on each day of 500 years.
    #[test]
    fn utc() {
        let (mut quick, mut slow) = (0, 0);
        for day in 0..182_500i64 {
            let micros = (day * 86_400 + day * 7_919 % 86_400) * 1_000_000 + day * 31 % 1_000_000;
            let time = Timestamp::from_microsecond(micros).unwrap();
            let text = format!("{time:.6}");
            match from_utc(text.as_bytes()) {
                Some(found) => assert_eq!(found, micros, "{text}"),
                None => slow += 1,
            }
            quick += 1;
            assert_eq!(from_rfc3339(text.as_bytes()), Ok((micros > 0).then_some(micros)), "{text}");
        }
        assert!(slow * 10 < quick);
        for wrong in ["2026-13-01T00:00:00.000000Z", "2026-11-25T24:00:00.000000Z"] {
            assert_eq!(from_rfc3339(wrong.as_bytes()), Err(Error::Time));
        }
    }

    #[test]
    fn a_fraction_of_any_number_of_digits() {
        let whole = from_rfc3339(b"2026-11-25T10:02:03Z").unwrap().unwrap();
        let digits = "123456999".to_owned() + &"9".repeat(100_000);
        for count in [1, 3, 6, 7, 9, 10, 12, 19, 100_000] {
            let fraction = &digits[..count];
            let micros = format!("{fraction:0<6}")[..6].parse::<Micros>().unwrap();
            for (clock, offset) in [
                ("T10:02:03", "Z"),
                ("t10:02:03", "z"),
                (" 19:02:03", "+09:00"),
                ("T02:02:03", "-08:00"),
            ] {
                let text = format!("2026-11-25{clock}.{fraction}{offset}");
                assert_eq!(
                    from_rfc3339(text.as_bytes()),
                    Ok(Some(whole + micros)),
                    "{count} {offset}"
                );
            }
        }
        for wrong in
            ["T10:02:03.Z", "T10:02:03.1234567890", "T10:02:03.1234567890x", "T10:02:.1234567890Z"]
        {
            let text = format!("2026-11-25{wrong}");
            assert_eq!(from_rfc3339(text.as_bytes()), Err(Error::Time), "{text}");
        }
    }
}
