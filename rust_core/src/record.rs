//! The records that downstream reads: JSON, one a line.

use crate::number::{Usual, Value, Wide};
use crate::order_book::Top;
use crate::ticker::{COLUMNS, Ticker};
use crate::time::{Clock, Micros};

/// Records, a line break behind each. The buffer is filled once and then only overwritten, so that
/// a fragment is written as a block of fixed size of which only a part is counted.
#[derive(Debug, Default)]
pub struct Records {
    buffer: Vec<u8>,
    length: usize,
    count: u64,
    head: Vec<u8>,
    clock: Clock,
}

/// Text with room behind it.
struct Fragment([u8; 32], usize);

const fn fragment(text: &str) -> Fragment {
    let mut block = [0; 32];
    let mut i = 0;
    while i < text.len() {
        block[i] = text.as_bytes()[i];
        i += 1;
    }
    Fragment(block, i)
}

const COLUMN_NAMES: [Fragment; COLUMNS] = [
    fragment("{\"opening_price\":"),
    fragment(",\"trade_price\":"),
    fragment(",\"max_price\":"),
    fragment(",\"min_price\":"),
    fragment(",\"prev_closing_price\":"),
    fragment(",\"acc_trade_volume_24h\":"),
    fragment(",\"signed_change_price\":"),
    fragment(",\"signed_change_rate\":"),
];

impl Records {
    /// All records so far.
    pub fn lines(&self) -> &[u8] {
        &self.buffer[..self.length]
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn clear(&mut self) {
        (self.length, self.count) = (0, 0);
    }

    /// The records that follow are of this envelope and begin alike. `symbol` is written as it is.
    pub fn begin(&mut self, region: &str, market: &[u8], symbol: &[u8]) {
        let market = market.to_ascii_uppercase();
        let parts: [&[u8]; 7] = [
            b"{\"region\":\"",
            region.as_bytes(),
            b"\",\"market\":\"",
            &market,
            b"\",\"coin_symbol\":\"",
            symbol,
            b"\"",
        ];
        self.head = parts.concat();
    }

    /// Writes the record of an order book: exact JSON numbers.
    pub fn order_book<V: Decimal>(
        &mut self,
        bids: &Top<V, true>,
        asks: &Top<V, false>,
        time: Micros,
    ) {
        self.head();
        self.fragment(&const { fragment(",\"highest_bid\":") });
        self.decimal_or_null(bids.best.as_ref());
        self.fragment(&const { fragment(",\"lowest_ask\":") });
        self.decimal_or_null(asks.best.as_ref());
        self.fragment(&const { fragment(",\"spread\":") });
        let spread =
            bids.best.as_ref().zip(asks.best.as_ref()).map(|(bid, ask)| ask.clone() - bid.clone());
        self.decimal_or_null(spread.as_ref());
        self.fragment(&const { fragment(",\"total_bid_volume\":") });
        bids.total.write(self);
        self.fragment(&const { fragment(",\"total_ask_volume\":") });
        asks.total.write(self);
        self.fragment(&const { fragment(",\"timestamp\":\"") });
        *self.room() = *self.clock.text(time);
        self.length += 32;
        self.fragment(&const { fragment("\"}\n") });
        self.count += 1;
    }

    /// Writes the record of a ticker: exact decimal strings.
    pub fn ticker<V: Decimal>(&mut self, ticker: &Ticker<V>, time: Micros) {
        self.head();
        self.fragment(&const { fragment(",\"timestamp\":") });
        self.milliseconds(time);
        self.fragment(&const { fragment(",\"data\":[") });
        for (name, value) in COLUMN_NAMES.iter().zip(&ticker.columns) {
            self.fragment(name);
            match value {
                Some(value) => {
                    self.fragment(&const { fragment("\"") });
                    value.write(self);
                    self.fragment(&const { fragment("\"") });
                }
                None => self.fragment(&const { fragment("null") }),
            }
        }
        self.fragment(&const { fragment("}]}\n") });
        self.count += 1;
    }

    /// Milliseconds as a JSON number with a point: `1729678813578.0`.
    fn milliseconds(&mut self, time: Micros) {
        let (milliseconds, micros) = (time.div_euclid(1000), time.rem_euclid(1000));
        write_whole(milliseconds.unsigned_abs(), self);
        if micros == 0 {
            self.fragment(&const { fragment(".0") });
        } else {
            self.text(format!(".{micros:03}").trim_end_matches('0').as_bytes());
        }
    }

    fn head(&mut self) {
        let head = std::mem::take(&mut self.head);
        self.text(&head);
        self.head = head;
    }

    /// The next N bytes of the buffer.
    #[inline(always)]
    fn room<const N: usize>(&mut self) -> &mut [u8; N] {
        if self.buffer.len() < self.length + N {
            self.grow(N);
        }
        let room = self.buffer[self.length..].first_chunk_mut();
        room.expect("the buffer has grown by N")
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, more: usize) {
        self.buffer.resize((self.buffer.len() * 2).max(self.length + more).max(4096), 0);
    }

    #[inline(always)]
    fn fragment(&mut self, fragment: &Fragment) {
        *self.room() = fragment.0;
        self.length += fragment.1;
    }

    fn text(&mut self, text: &[u8]) {
        if self.buffer.len() < self.length + text.len() {
            self.grow(text.len());
        }
        self.buffer[self.length..][..text.len()].copy_from_slice(text);
        self.length += text.len();
    }

    fn decimal_or_null<V: Decimal>(&mut self, value: Option<&V>) {
        match value {
            Some(value) => value.write(self),
            None => self.fragment(&const { fragment("null") }),
        }
    }
}

/// A value that is written in plain notation, without exponent and without trailing zeros.
pub trait Decimal: Value {
    fn write(&self, records: &mut Records);
}

impl Decimal for Usual {
    #[inline(always)]
    fn write(&self, records: &mut Records) {
        if *self < 0 {
            records.fragment(&const { fragment("-") });
        }
        let Some((whole, fraction)) = ONE.divide(self.unsigned_abs()) else {
            return huge(self, records);
        };
        write_whole(whole, records);
        if fraction > 0 {
            write_fraction(fraction, records);
        }
    }
}

impl Decimal for Wide {
    #[cold]
    fn write(&self, records: &mut Records) {
        let digits = format!("{:0>width$}", self.magnitude().to_string(), width = Self::PLACES + 1);
        let (whole, fraction) = digits.split_at(digits.len() - Self::PLACES);
        let sign = if self.sign() == num_bigint::Sign::Minus { "-" } else { "" };
        let text = format!("{sign}{whole}.{fraction}");
        records.text(text.trim_end_matches('0').trim_end_matches('.').as_bytes());
    }
}

#[cold]
fn huge(value: &Usual, records: &mut Records) {
    value.abs().widened().write(records);
}

#[inline(always)]
fn write_whole(whole: u64, records: &mut Records) {
    if whole < 100_000_000 {
        write_up_to_eight(below_2_to_32(whole), records);
    } else if whole < 10_000_000_000_000_000 {
        write_up_to_eight(below_2_to_32(whole / 100_000_000), records);
        let digits = eight_digits(below_2_to_32(whole % 100_000_000)) | ASCII;
        *records.room() = digits.to_le_bytes();
        records.length += 8;
    } else {
        records.text(whole.to_string().as_bytes());
    }
}

#[inline(always)]
fn write_up_to_eight(number: u32, records: &mut Records) {
    let digits = eight_digits(number);
    let zeros = (digits | 1 << 56).trailing_zeros() / 8;
    *records.room() = ((digits | ASCII) >> (8 * zeros)).to_le_bytes();
    records.length += 8 - zeros as usize;
}

#[inline(always)]
fn write_fraction(fraction: u64, records: &mut Records) {
    let (first, rest) = (fraction / 10_000_000_000, fraction % 10_000_000_000);
    let (second, last) = (rest / 100, rest % 100);
    let (first, second) = (eight_digits(below_2_to_32(first)), eight_digits(below_2_to_32(second)));
    let room = records.room::<32>();
    room[0] = b'.';
    room[1..9].copy_from_slice(&(first | ASCII).to_le_bytes());
    room[9..17].copy_from_slice(&(second | ASCII).to_le_bytes());
    room[17] = ascii_digit(last / 10);
    room[18] = ascii_digit(last % 10);
    records.length += match (second, last) {
        (0, 0) => 9 - first.leading_zeros() as usize / 8,
        (_, 0) => 17 - second.leading_zeros() as usize / 8,
        _ => 19 - usize::from(last.is_multiple_of(10)),
    };
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

/// Takes a usual value's whole part and fraction apart.
const ONE: Divisor = Divisor::new(1_000_000_000_000_000_000);

/// Division by an invariant (Möller and Granlund, "Improved division by invariant integers", algorithm 4).
#[derive(Clone, Copy)]
struct Divisor {
    normal: u64,
    reciprocal: u64,
    shift: u32,
}

impl Divisor {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the reciprocal is taken without its leading one"
    )]
    const fn new(divisor: u64) -> Self {
        let shift = divisor.leading_zeros();
        let normal = divisor << shift;
        Divisor { normal, reciprocal: (u128::MAX / normal as u128) as u64, shift }
    }

    /// Quotient and remainder, unless the quotient exceeds 64 bits.
    #[inline(always)]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the two halves of 128 bits are taken apart"
    )]
    fn divide(self, number: u128) -> Option<(u64, u64)> {
        if (number >> 64) as u64 >= self.normal >> self.shift {
            return None;
        }
        let number = number << self.shift;
        let high = (number >> 64) as u64;
        let estimate = (u128::from(self.reciprocal) * u128::from(high)).wrapping_add(number);
        let mut quotient = ((estimate >> 64) as u64).wrapping_add(1);
        let mut remainder = (number as u64).wrapping_sub(quotient.wrapping_mul(self.normal));
        if remainder > estimate as u64 {
            quotient = quotient.wrapping_sub(1);
            remainder = remainder.wrapping_add(self.normal);
        }
        if remainder >= self.normal {
            quotient = quotient.wrapping_add(1);
            remainder -= self.normal;
        }
        Some((quotient, remainder >> self.shift))
    }
}
