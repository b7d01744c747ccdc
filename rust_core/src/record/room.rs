//! The room in which a record is written: fragments, texts and digits, block by block.

use super::decimal::Decimal;
use crate::time::Micros;

/// The room for one record and more. A fragment is written there as a block of fixed size, of
/// which only a part is counted. That it is a slice of its own, and no buffer that might grow,
/// keeps its bounds in registers.
pub struct Room<'b>(pub &'b mut [u8]);

/// Text with room behind it.
pub(super) struct Fragment([u8; 32], usize);

pub(super) const fn fragment(text: &str) -> Fragment {
    fragment_of(["", text, ""])
}

/// The same of text in parts.
pub(super) const fn fragment_of(parts: [&str; 3]) -> Fragment {
    let mut fragment = Fragment([0; 32], 0);
    let mut part = 0;
    while part < 3 {
        let mut i = 0;
        while i < parts[part].len() {
            fragment.0[fragment.1] = parts[part].as_bytes()[i];
            fragment.1 += 1;
            i += 1;
        }
        part += 1;
    }
    assert!(fragment.1 < 32, "`quoted` has room for no more");
    fragment
}

impl Room<'_> {
    /// The next N bytes.
    #[inline(always)]
    pub fn block<const N: usize>(&mut self) -> &mut [u8; N] {
        self.0.first_chunk_mut().expect("the room was made for more than the longest record")
    }

    /// Counts what was written.
    #[inline(always)]
    pub fn advance(&mut self, length: usize) {
        self.0 = &mut std::mem::take(&mut self.0)[length..];
    }

    #[inline(always)]
    pub(super) fn fragment(&mut self, fragment: &Fragment) {
        *self.block() = fragment.0;
        self.advance(fragment.1);
    }

    /// A fragment, the first bytes of a text that mostly goes on behind them, and a quote.
    #[inline(always)]
    pub(super) fn quoted(&mut self, before: &Fragment, text: &[u8], length: usize) {
        match text.first_chunk::<32>() {
            Some(text) if length < 32 => {
                let block = self.block::<96>();
                let at = before.1 & 31;
                block[..32].copy_from_slice(&before.0);
                block[at..at + 32].copy_from_slice(text);
                block[at + length] = b'"';
                self.advance(at + length + 1);
            }
            _ => {
                self.fragment(before);
                self.text(&text[..length]);
                self.fragment(&const { fragment("\"") });
            }
        }
    }

    pub(super) fn text(&mut self, text: &[u8]) {
        self.0[..text.len()].copy_from_slice(text);
        self.advance(text.len());
    }

    #[inline(always)]
    pub(super) fn decimal_or_null<V: Decimal>(&mut self, value: Option<&V>) {
        match value {
            Some(value) => value.write(self),
            None => self.fragment(&const { fragment("null") }),
        }
    }

    /// Milliseconds as a JSON number with a point: `1729678813578.0`.
    #[inline(always)]
    pub(super) fn milliseconds(&mut self, time: Micros) {
        let (milliseconds, micros) = (time.div_euclid(1000), time.rem_euclid(1000));
        self.whole(milliseconds.unsigned_abs());
        if micros == 0 {
            self.fragment(&const { fragment(".0") });
        } else {
            self.text(format!(".{micros:03}").trim_end_matches('0').as_bytes());
        }
    }

    #[inline(always)]
    pub fn whole(&mut self, number: u64) {
        if number < 100_000_000 {
            self.up_to_eight_digits(below_2_to_32(number));
        } else if number < 10_000_000_000_000_000 {
            self.up_to_eight_digits(below_2_to_32(number / 100_000_000));
            let digits = eight_digits(below_2_to_32(number % 100_000_000)) | ASCII;
            *self.block() = digits.to_le_bytes();
            self.advance(8);
        } else {
            self.text(number.to_string().as_bytes());
        }
    }

    #[inline(always)]
    pub(super) fn up_to_eight_digits(&mut self, number: u32) {
        let digits = eight_digits(number);
        let zeros = (digits | 1 << 56).trailing_zeros() / 8;
        *self.block() = ((digits | ASCII) >> (8 * zeros)).to_le_bytes();
        self.advance(8 - zeros as usize);
    }

    /// A point and up to 18 digits, without the zeros at their end.
    #[inline(always)]
    pub(super) fn fraction(&mut self, fraction: u64) {
        let (first, rest) = (fraction / 10_000_000_000, fraction % 10_000_000_000);
        let first = eight_digits(below_2_to_32(first));
        if rest == 0 {
            let block = self.block::<9>();
            block[0] = b'.';
            block[1..].copy_from_slice(&(first | ASCII).to_le_bytes());
            return self.advance(9 - first.leading_zeros() as usize / 8);
        }
        let (second, last) = (rest / 100, rest % 100);
        let second = eight_digits(below_2_to_32(second));
        let block = self.block::<32>();
        block[0] = b'.';
        block[1..9].copy_from_slice(&(first | ASCII).to_le_bytes());
        block[9..17].copy_from_slice(&(second | ASCII).to_le_bytes());
        block[17] = ascii_digit(last / 10);
        block[18] = ascii_digit(last % 10);
        self.advance(match (second, last) {
            (_, 0) => 17 - second.leading_zeros() as usize / 8,
            _ => 19 - usize::from(last.is_multiple_of(10)),
        });
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the callers divide it down to eight digits")]
const fn below_2_to_32(number: u64) -> u32 {
    number as u32
}

#[expect(clippy::cast_possible_truncation, reason = "it is one digit")]
const fn ascii_digit(digit: u64) -> u8 {
    b'0' + digit as u8
}

const ASCII: u64 = 0x3030_3030_3030_3030;

/// The eight digits of a number below 10^8, the first in the lowest byte.
#[inline(always)]
fn eight_digits(number: u32) -> u64 {
    let number = u64::from(number);
    let fours = (number / 10_000) | ((number % 10_000) << 32);
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let twos = hundreds | ((fours - hundreds * 100) << 16);
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | ((twos - tens * 10) << 8)
}
