//! Values as records have them: plain notation, no needless zeros.

use num_traits::Signed;

use super::room::{Room, fragment};
use crate::number::{ONE, Usual, Value, Wide};

/// A value that is written in plain notation, without exponent and without trailing zeros.
pub(super) trait Write: Sized {
    fn write(&self, room: &mut Room);
}

/// A value that stands in records.
#[expect(private_bounds, reason = "how it is written is for this file alone")]
pub trait Decimal: Value + Write {
    /// The same as text.
    fn to_text(&self) -> String {
        let mut buffer = vec![0; Self::DIGITS + 40];
        let mut room = Room(&mut buffer);
        self.write(&mut room);
        let left = room.0.len();
        buffer.truncate(buffer.len() - left);
        buffer.iter().map(|digit| char::from(*digit)).collect()
    }
}

impl<V: Value + Write> Decimal for V {}

impl Write for Usual {
    #[inline(always)]
    fn write(&self, room: &mut Room) {
        if *self < 0 {
            room.fragment(&const { fragment("-") });
        }
        match ONE.divide(self.unsigned_abs()) {
            Some((whole, fraction)) => {
                room.whole(whole);
                if fraction > 0 {
                    room.fraction(fraction);
                }
            }
            None => self.abs().widened().write(room),
        }
    }
}

impl Write for Wide {
    #[cold]
    fn write(&self, room: &mut Room) {
        let digits = format!("{:0>width$}", self.magnitude().to_string(), width = Self::PLACES + 1);
        let (whole, fraction) = digits.split_at(digits.len() - Self::PLACES);
        let sign = if self.sign() == num_bigint::Sign::Minus { "-" } else { "" };
        let text = format!("{sign}{whole}.{fraction}");
        room.text(text.trim_end_matches('0').trim_end_matches('.').as_bytes());
    }
}
