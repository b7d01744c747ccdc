//! The coins of the market, and what an exchange makes of them.

use super::dice::Dice;
use super::wire::{Currency, Wire};

/// A coin as it is traded anywhere.
#[derive(Clone, Copy, Debug)]
pub struct Coin {
    pub name: &'static str,
    won: Prices,
    dollar: Prices,
    size_places: u8,
    /// The logarithm to base 2 of the biggest size.
    size_bits: u32,
}

/// Prices in units of 10^-`places`.
#[derive(Clone, Copy, Debug)]
pub struct Prices {
    pub places: u8,
    /// The least difference of two prices.
    pub step: i64,
    /// The price around which the others are.
    pub middle: i64,
}

/// Coins of very different price. Sizes and totals stay below 16 digits, which a double holds.
pub const COINS: [Coin; 4] = [
    Coin {
        name: "BTC",
        won: Prices { places: 0, step: 1_000, middle: 112_406_000 },
        dollar: Prices { places: 1, step: 1, middle: 814_327 },
        size_places: 8,
        size_bits: 30,
    },
    Coin {
        name: "ETH",
        won: Prices { places: 0, step: 1_000, middle: 4_387_000 },
        dollar: Prices { places: 2, step: 1, middle: 317_846 },
        size_places: 8,
        size_bits: 33,
    },
    Coin {
        name: "XRP",
        won: Prices { places: 0, step: 1, middle: 3_092 },
        dollar: Prices { places: 4, step: 1, middle: 22_417 },
        size_places: 6,
        size_bits: 36,
    },
    // so cheap that its prices have exponents
    Coin {
        name: "SHIB",
        won: Prices { places: 8, step: 1, middle: 8_637 },
        dollar: Prices { places: 8, step: 1, middle: 8_291 },
        size_places: 2,
        size_bits: 36,
    },
];

/// How one exchange counts a coin.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    pub prices: Prices,
    pub size_places: u8,
    size_bits: u32,
}

impl Scale {
    pub fn new(coin: &Coin, wire: &Wire) -> Self {
        let prices = match wire.currency {
            Currency::Won => coin.won,
            Currency::Dollar => coin.dollar,
        };
        let size_places = coin.size_places.min(wire.size_places);
        let unit = 10u32.pow(u32::from(coin.size_places - size_places));
        Scale { prices, size_places, size_bits: coin.size_bits - unit.ilog2() }
    }

    /// A size that is not zero.
    pub fn size(&self, dice: &mut Dice) -> i64 {
        dice.size(self.size_bits)
    }

    /// What is traded in a day.
    pub fn volume(&self, dice: &mut Dice) -> i64 {
        self.size(dice) + (dice.between(30, 3_000) << self.size_bits)
    }
}

/// The name of an instrument: a pattern such as `KRW-{COIN}` or `{coin}_krw`.
pub fn instrument(pattern: &str, coin: &str) -> String {
    pattern.replace("{COIN}", coin).replace("{coin}", &coin.to_ascii_lowercase())
}
