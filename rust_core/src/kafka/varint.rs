//! Kafka's integers of variable length: zigzag, seven bits a byte, the lowest first.

/// How long one is at most.
pub const MOST_BYTES: usize = 10;

/// Reads one from the beginning of `bytes`, which then begins behind it.
#[inline]
pub fn read(bytes: &mut &[u8]) -> Option<i64> {
    let (mut value, mut shift) = (0u64, 0);
    loop {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
        }
        shift += 7;
    }
}

/// Appends one.
#[inline]
pub fn write(into: &mut Vec<u8>, value: i64) {
    let mut left = zigzag(value);
    while left > 0x7f {
        into.push(0x80 | low_bits(left));
        left >>= 7;
    }
    into.push(low_bits(left));
}

/// How many bytes one takes.
#[inline]
pub fn length(value: i64) -> usize {
    let bits = (u64::BITS - (zigzag(value) | 1).leading_zeros()) as usize;
    bits.div_ceil(7)
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn low_bits(value: u64) -> u8 {
    (value & 0x7f) as u8
}
