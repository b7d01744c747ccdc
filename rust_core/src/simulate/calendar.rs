//! Dates and times of day, independent of those that the decoder writes.

/// `2026-11-23`, the separator, `07:22:04.050791`.
pub fn date_time(micros: i64, separator: u8) -> [u8; 26] {
    let mut text = *b"0000-00-00 00:00:00.000000";
    let (day, in_day) = (micros.div_euclid(86_400_000_000), micros.rem_euclid(86_400_000_000));
    let (year, month, day) = civil(day);
    let second = in_day / 1_000_000;
    text[10] = separator;
    put(&mut text[0..4], year);
    put(&mut text[5..7], month);
    put(&mut text[8..10], day);
    put(&mut text[11..13], second / 3600);
    put(&mut text[14..16], second / 60 % 60);
    put(&mut text[17..19], second % 60);
    put(&mut text[20..26], in_day % 1_000_000);
    text
}

/// Year, month and day of a day since 1970. Years are taken to begin in March, so that the day
/// that not all of them have is their last.
fn civil(day: i64) -> (i64, i64, i64) {
    let day = day + 719_468; // since March of year 0
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    (era * 400 + year + i64::from(month <= 2), month, day)
}

fn put(into: &mut [u8], mut number: i64) {
    for digit in into.iter_mut().rev() {
        *digit = b"0123456789"[usize::try_from(number % 10).unwrap_or(0)];
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::date_time;

    #[test]
    fn known_days() {
        assert_eq!(&date_time(0, b' '), b"1970-01-01 00:00:00.000000");
        assert_eq!(&date_time(951_868_799_999_999, b'T'), b"2000-02-29T23:59:59.999999");
        assert_eq!(&date_time(1_729_679_100_050_791, b' '), b"2024-10-23 10:25:00.050791");
    }
}
