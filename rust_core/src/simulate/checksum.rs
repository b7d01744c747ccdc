//! Kraken's checksum of an order book.

use super::digits;
use super::true_book::Level;

/// <https://docs.kraken.com/exchange/guides/websockets/book-checksum-v2.md>: of each number the
/// digits that count, which are those of the whole number that it is here.
pub fn checksum(asks: &[Level], bids: &[Level]) -> u32 {
    let mut text = Vec::with_capacity(512);
    for side in [asks, bids] {
        for level in side.iter().rev().take(10) {
            digits::plain(&mut text, level.price, 0, 0, false);
            digits::plain(&mut text, level.size, 0, 0, false);
        }
    }
    crc32fast::hash(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 81433.0 × 0.01679926 and 81433.2 × 0.50000000 against 81432.4 × 0.00000678: by Python,
    /// `zlib.crc32(b"814330" b"1679926" b"814332" b"50000000" b"814324" b"678")`.
    #[test]
    fn checksum_of_a_small_book() {
        let level = |price, size| Level { price, size };
        let asks = [level(814_332, 50_000_000), level(814_330, 1_679_926)];
        assert_eq!(checksum(&asks, &[level(814_324, 678)]), 1_101_243_747);
    }
}
