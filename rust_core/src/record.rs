//! The records that downstream reads: JSON, one a line.

use num_traits::Signed;

use crate::number::{Usual, Value, Wide};
use crate::order_book::Top;
use crate::ticker::{COLUMNS, Column, Ticker};
use crate::time::{Clock, Micros};

/// Records, a line break behind each.
#[derive(Debug, Default)]
pub struct Records {
    buffer: Vec<u8>,
    length: usize,
    count: u64,
    head: Vec<u8>,
    clock: Clock,
}

/// The room for one record and more. A fragment is written there as a block of fixed size, of
/// which only a part is counted. That it is a slice of its own, and no buffer that might grow,
/// keeps its bounds in registers.
struct Room<'b>(&'b mut [u8]);

/// More than all that is written of a record besides its head and its numbers.
const FIXED_BYTES: usize = 1024;

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
        let (bid, ask) = (bids.best.as_ref(), asks.best.as_ref());
        let spread = bid.zip(ask).map(|(bid, ask)| ask.clone() - bid.clone());
        self.write::<V>(|room, clock| {
            room.fragment(&const { fragment(",\"highest_bid\":") });
            room.decimal_or_null(bid);
            room.fragment(&const { fragment(",\"lowest_ask\":") });
            room.decimal_or_null(ask);
            room.fragment(&const { fragment(",\"spread\":") });
            room.decimal_or_null(spread.as_ref());
            room.fragment(&const { fragment(",\"total_bid_volume\":") });
            bids.total.write(room);
            room.fragment(&const { fragment(",\"total_ask_volume\":") });
            asks.total.write(room);
            room.fragment(&const { fragment(",\"timestamp\":\"") });
            *room.block() = *clock.text(time);
            room.advance(32);
            room.fragment(&const { fragment("\"}\n") });
        });
    }

    /// Writes the record of a ticker: exact decimal strings, copied from the message where they
    /// stand there as they must be.
    pub fn ticker<V: Decimal>(&mut self, ticker: &Ticker<V>, message: &[u8], time: Micros) {
        self.write::<V>(|room, _| {
            room.fragment(&const { fragment(",\"timestamp\":") });
            room.milliseconds(time);
            room.fragment(&const { fragment(",\"data\":[") });
            for (name, column) in COLUMN_NAMES.iter().zip(Column::ALL) {
                room.fragment(name);
                let Some(value) = ticker.get(column) else {
                    room.fragment(&const { fragment("null") });
                    continue;
                };
                room.fragment(&const { fragment("\"") });
                match ticker.text(column, message) {
                    Some((text, length)) => room.beginning(text, length),
                    None => value.write(room),
                }
                room.fragment(&const { fragment("\"") });
            }
            room.fragment(&const { fragment("}]}\n") });
        });
    }

    /// Writes one record of numbers of this kind.
    #[inline(always)]
    fn write<V: Decimal>(&mut self, record: impl FnOnce(&mut Room, &mut Clock)) {
        let most = FIXED_BYTES + self.head.len() + COLUMNS * (V::DIGITS + 4);
        if self.buffer.len() < self.length + most {
            self.grow(most);
        }
        let mut room = Room(&mut self.buffer[self.length..]);
        room.text(&self.head);
        record(&mut room, &mut self.clock);
        let left = room.0.len();
        self.length = self.buffer.len() - left;
        self.count += 1;
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, more: usize) {
        self.buffer.resize((self.buffer.len() * 2).max(self.length + more), 0);
    }
}

impl Room<'_> {
    /// The next N bytes.
    #[inline(always)]
    fn block<const N: usize>(&mut self) -> &mut [u8; N] {
        self.0.first_chunk_mut().expect("the room was made for more than the longest record")
    }

    /// Counts what was written.
    #[inline(always)]
    fn advance(&mut self, length: usize) {
        self.0 = &mut std::mem::take(&mut self.0)[length..];
    }

    #[inline(always)]
    fn fragment(&mut self, fragment: &Fragment) {
        *self.block() = fragment.0;
        self.advance(fragment.1);
    }

    /// The first bytes of a text that mostly goes on behind them.
    #[inline(always)]
    fn beginning(&mut self, text: &[u8], length: usize) {
        match text.first_chunk::<32>() {
            Some(block) if length <= 32 => {
                *self.block() = *block;
                self.advance(length);
            }
            _ => self.text(&text[..length]),
        }
    }

    fn text(&mut self, text: &[u8]) {
        self.0[..text.len()].copy_from_slice(text);
        self.advance(text.len());
    }

    #[inline(always)]
    fn decimal_or_null<V: Decimal>(&mut self, value: Option<&V>) {
        match value {
            Some(value) => value.write(self),
            None => self.fragment(&const { fragment("null") }),
        }
    }

    /// Milliseconds as a JSON number with a point: `1729678813578.0`.
    #[inline(always)]
    fn milliseconds(&mut self, time: Micros) {
        let (milliseconds, micros) = (time.div_euclid(1000), time.rem_euclid(1000));
        self.whole(milliseconds.unsigned_abs());
        if micros == 0 {
            self.fragment(&const { fragment(".0") });
        } else {
            self.text(format!(".{micros:03}").trim_end_matches('0').as_bytes());
        }
    }

    #[inline(always)]
    fn whole(&mut self, number: u64) {
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
    fn up_to_eight_digits(&mut self, number: u32) {
        let digits = eight_digits(number);
        let zeros = (digits | 1 << 56).trailing_zeros() / 8;
        *self.block() = ((digits | ASCII) >> (8 * zeros)).to_le_bytes();
        self.advance(8 - zeros as usize);
    }

    /// A point and up to 18 digits, without the zeros at their end.
    #[inline(always)]
    fn fraction(&mut self, fraction: u64) {
        let (first, rest) = (fraction / 10_000_000_000, fraction % 10_000_000_000);
        let (second, last) = (rest / 100, rest % 100);
        let first = eight_digits(below_2_to_32(first));
        let second = eight_digits(below_2_to_32(second));
        let block = self.block::<32>();
        block[0] = b'.';
        block[1..9].copy_from_slice(&(first | ASCII).to_le_bytes());
        block[9..17].copy_from_slice(&(second | ASCII).to_le_bytes());
        block[17] = ascii_digit(last / 10);
        block[18] = ascii_digit(last % 10);
        self.advance(match (second, last) {
            (0, 0) => 9 - first.leading_zeros() as usize / 8,
            (_, 0) => 17 - second.leading_zeros() as usize / 8,
            _ => 19 - usize::from(last.is_multiple_of(10)),
        });
    }
}

/// A value that is written in plain notation, without exponent and without trailing zeros.
trait Write: Sized {
    fn write(&self, room: &mut Room);
}

/// A value that stands in records.
#[expect(private_bounds, reason = "how it is written is for this file alone")]
pub trait Decimal: Value + Write {}

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
