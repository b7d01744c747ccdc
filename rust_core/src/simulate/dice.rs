//! Chance that a seed reproduces, on every machine and with every version of the compiler.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

#[derive(Clone, Debug)]
pub struct Dice(ChaCha8Rng);

impl Dice {
    /// Streams of one seed have nothing to do with each other.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(stream);
        Dice(generator)
    }

    /// From 0 to `end`, which is not among them.
    pub fn below(&mut self, end: u32) -> u32 {
        ((u64::from(self.0.next_u32()) * u64::from(end)) >> 32) as u32
    }

    /// From `first` to `last`, both among them.
    pub fn between(&mut self, first: i64, last: i64) -> i64 {
        let span = u32::try_from(last - first + 1).expect("the ends are less than 2^32 apart");
        first + i64::from(self.below(span))
    }

    /// True once in so many times.
    pub fn once_in(&mut self, times: u32) -> bool {
        self.below(times) == 0
    }

    /// A place in something of this length, which is not empty.
    pub fn place(&mut self, length: usize) -> usize {
        self.below(u32::try_from(length).expect("nothing here is that long")) as usize
    }

    /// A size of at most so many bits: small ones are as frequent as big ones, and many are round.
    pub fn size(&mut self, bits: u32) -> i64 {
        let bits = 4 + self.below(bits - 3);
        let size = i64::from(self.0.next_u32()) >> 32u32.saturating_sub(bits);
        let size = (size << bits.saturating_sub(32)).max(1);
        let round = 10i64.pow(self.below(8));
        if size > round { size - size % round } else { size }
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.place(last + 1));
        }
    }
}
