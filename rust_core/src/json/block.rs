//! Sixteen bytes at a time, portably: SSE2 on x86-64, NEON on aarch64, through safe wrappers.

use wide::bytemuck::cast;
use wide::{i16x8, i32x4, u8x16};

/// Sixteen bytes of text.
#[derive(Clone, Copy)]
pub struct Block(u8x16);

impl Block {
    #[inline(always)]
    pub fn load(bytes: &[u8; 16]) -> Self {
        Block(u8x16::new(*bytes))
    }

    /// Whether this is `other`, but for the bytes that `ignore` has set.
    #[inline(always)]
    pub fn is(self, other: Self, ignore: Self) -> bool {
        (self.0.simd_eq(other.0) | ignore.0).to_bitmask() == 0xffff
    }

    /// All bits of each byte that is equal to `byte`.
    #[inline(always)]
    pub fn equal_to(self, byte: u8) -> Self {
        Block(self.0.simd_eq(u8x16::splat(byte)))
    }

    #[inline(always)]
    pub fn or(self, other: Self) -> Self {
        Block(self.0 | other.0)
    }

    #[inline(always)]
    pub fn xor(self, other: Self) -> Self {
        Block(self.0 ^ other.0)
    }

    /// The highest bit of each byte.
    #[inline(always)]
    pub fn bits(self) -> u32 {
        self.0.to_bitmask()
    }

    /// Where the first byte equal to `a` or `b` stands; 16 if there is none.
    #[inline(always)]
    pub fn find(self, a: u8, b: u8) -> usize {
        let found = self.0.simd_eq(u8x16::splat(a)) | self.0.simd_eq(u8x16::splat(b));
        first(found)
    }

    /// Where the first comma, closing bracket, closing brace or quote stands; 16 if there is none.
    #[inline(always)]
    pub fn find_end_of_scalar(self) -> usize {
        let lower = self.0 | u8x16::splat(0x20); // `]` becomes `}`
        let found = lower.simd_eq(u8x16::splat(b'}'))
            | self.0.simd_eq(u8x16::splat(b','))
            | self.0.simd_eq(u8x16::splat(b'"'));
        first(found)
    }

    /// Where the first of `{ } [ ] " \` stands (or `|`, which no JSON has outside strings).
    #[inline(always)]
    pub fn find_structure(self) -> usize {
        let lower = self.0 | u8x16::splat(0x20); // the brackets become the braces
        let from_brace = lower - u8x16::splat(b'{');
        let bracket = from_brace.min(u8x16::splat(2)).simd_eq(from_brace);
        first(bracket | self.0.simd_eq(u8x16::splat(b'"')))
    }

    /// One bit for each byte that is not a digit, and one for each that is no dot either; all bits
    /// above the sixteenth set.
    #[inline(always)]
    pub fn non_digits(self) -> (u32, u32) {
        let digit = self.0 - u8x16::splat(b'0');
        let is_digit = digit.min(u8x16::splat(9)).simd_eq(digit);
        let is_dot = self.0.simd_eq(u8x16::splat(b'.'));
        (!is_digit.to_bitmask(), !(is_digit | is_dot).to_bitmask())
    }

    /// The digits before `dot` and, one place further, those up to `end`, as a number of sixteen
    /// digits whose last ones are zeros: `12.5` is 1250000000000000.
    #[inline(always)]
    pub fn digits(self, shifted: Self, dot: usize, end: usize) -> u64 {
        let before_dot = u8x16::new(FIRST[dot & 31]);
        let before_end = u8x16::new(FIRST[(end.wrapping_sub(1)) & 31]);
        let fraction = shifted.0 & before_end & !before_dot;
        let ascii = (self.0 & before_dot) | fraction;
        let ones: i16x8 = cast(ascii.saturating_sub(u8x16::splat(b'0')));
        let tens = ones & i16x8::splat(0x00ff);
        let twos: i16x8 = tens * i16x8::splat(10) + (ones >> 8_i32);
        let fours: i32x4 = twos.dot(HUNDRED_ONE);
        let fours = i16x8::from_i32x8_saturate(cast([fours, fours]));
        let [eights, _]: [u64; 2] = cast(fours.dot(MYRIAD_ONE));
        (eights & 0xffff_ffff) * 100_000_000 + (eights >> 32)
    }
}

/// Multiplies the first of two pairs of digits by a hundred and adds the second.
const HUNDRED_ONE: i16x8 = i16x8::new([100, 1, 100, 1, 100, 1, 100, 1]);

/// The same for twice as many digits.
const MYRIAD_ONE: i16x8 = i16x8::new([10_000, 1, 10_000, 1, 10_000, 1, 10_000, 1]);

#[inline(always)]
fn first(found: u8x16) -> usize {
    (found.to_bitmask() | 0x1_0000).trailing_zeros() as usize
}

/// `FIRST[n]` selects the first n bytes of a block.
static FIRST: [[u8; 16]; 32] = {
    let mut masks = [[0; 16]; 32];
    let mut n = 0;
    while n < 32 {
        let mut i = 0;
        while i < 16 && i < n {
            masks[n][i] = 0xff;
            i += 1;
        }
        n += 1;
    }
    masks
};
