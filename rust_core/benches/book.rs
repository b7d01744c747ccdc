//! The kept book beside other data structures: nanoseconds a message, and their ratio to the book's.
//!
//! `cargo bench --features bench --bench book`. All must say the same before anything is measured.
//! They take turns within one run, so a ratio, the median over the rounds, tells more than a time.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use _core::bench::{Form, Level, Levels, OrderBook};
use hashbrown::HashMap;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

const DEPTHS: [u32; 3] = [50, 400, 1_000];
const MESSAGES: usize = 4_000;
const ROUNDS: usize = 41;

/// The book comes first, as the ratios are to it.
const CANDIDATES: [Candidate; 6] = [
    Candidate::of::<Kept>("levels.rs"),
    Candidate::of::<Sides<BestLast>>("best last, halving"),
    Candidate::of::<Sides<BestFirst>>("best first, halving"),
    Candidate::of::<Sides<TwoVectors>>("two vectors"),
    Candidate::of::<Sides<Tree>>("BTreeMap"),
    Candidate::of::<Sides<Hashed>>("HashMap"),
];

type Message = OrderBook<i128>;

/// The best price and the total, of the bids and of the asks.
type Tops = [(Option<i128>, i128); 2];

fn main() {
    let names = CANDIDATES.map(|candidate| format!("{:>20}", candidate.name)).concat();
    println!("changes, levels     {names}");
    for reach in [Reach::Near, Reach::Between, Reach::Far] {
        for depth in DEPTHS {
            let messages = Feed::new(depth, reach).messages();
            let depth = depth as usize;
            check(&messages, depth);
            let figures = measure(&messages, depth)
                .map(|(time, ratio)| format!("{time:12.0} {ratio:7.2}"))
                .concat();
            println!("{:20}{figures}", format!("{reach:?}, {depth}"));
        }
    }
}

fn check(messages: &[Message], depth: usize) {
    let expected = (CANDIDATES[0].tops)(messages, depth);
    for candidate in &CANDIDATES[1..] {
        let tops = (candidate.tops)(messages, depth);
        let differs = tops.iter().zip(&expected).position(|(tops, expected)| tops != expected);
        assert_eq!(differs, None, "{} differs at this message", candidate.name);
    }
}

/// Of each candidate the time and the ratio.
fn measure(messages: &[Message], depth: usize) -> [(f64, f64); CANDIDATES.len()] {
    let round = |_| CANDIDATES.map(|candidate| (candidate.nanoseconds)(messages, depth));
    let rounds: Vec<_> = (0..ROUNDS).map(round).collect();
    std::array::from_fn(|at| {
        let times = rounds.iter().map(|round| round[at]);
        let ratios = rounds.iter().map(|round| round[at] / round[0]);
        (median(times), median(ratios))
    })
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<_> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// A data structure, by what is done with it.
#[derive(Clone, Copy)]
struct Candidate {
    name: &'static str,
    tops: fn(&[Message], usize) -> Vec<Tops>,
    nanoseconds: fn(&[Message], usize) -> f64,
}

impl Candidate {
    const fn of<B: KeptBook>(name: &'static str) -> Self {
        Candidate { name, tops: tops::<B>, nanoseconds: nanoseconds::<B> }
    }
}

fn tops<B: KeptBook>(messages: &[Message], depth: usize) -> Vec<Tops> {
    let mut book = B::empty(depth);
    let step = |message| {
        book.take(message);
        book.tops()
    };
    messages.iter().map(step).collect()
}

fn nanoseconds<B: KeptBook>(messages: &[Message], depth: usize) -> f64 {
    let mut book = B::empty(depth);
    let start = Instant::now();
    for message in messages {
        book.take(message);
        black_box(book.tops());
    }
    #[expect(clippy::cast_precision_loss, reason = "three digits are enough")]
    let count = messages.len() as f64;
    start.elapsed().as_secs_f64() * 1e9 / count
}

trait KeptBook {
    fn empty(depth: usize) -> Self;

    /// Takes a message in and cuts the book to its depth.
    fn take(&mut self, message: &Message);

    fn tops(&mut self) -> Tops;
}

/// The levels of the kept book as it is.
struct Kept {
    levels: Levels,
    depth: usize,
}

impl KeptBook for Kept {
    fn empty(depth: usize) -> Self {
        Kept { levels: Levels::default(), depth }
    }

    fn take(&mut self, message: &Message) {
        self.levels.take(message, self.depth);
    }

    fn tops(&mut self) -> Tops {
        match &self.levels {
            Levels::Usual(bids, asks) => {
                let (bids, asks) = (bids.top(), asks.top());
                [(bids.best, bids.total), (asks.best, asks.total)]
            }
            Levels::Wide(..) => unreachable!("all of it fits"),
        }
    }
}

/// Two sides of another data structure, with exact totals as the book has them.
struct Sides<S> {
    bids: S,
    asks: S,
    totals: [i128; 2],
    depth: usize,
}

impl<S: Side> KeptBook for Sides<S> {
    fn empty(depth: usize) -> Self {
        Sides { bids: S::default(), asks: S::default(), totals: [0; 2], depth }
    }

    fn take(&mut self, message: &Message) {
        let Sides { bids, asks, totals: [bid, ask], depth } = self;
        take(bids, bid, &message.bids.levels, message.form, *depth, |price| price);
        take(asks, ask, &message.asks.levels, message.form, *depth, |price| -price);
    }

    fn tops(&mut self) -> Tops {
        let ask = self.asks.best().map(|key| -key);
        [(self.bids.best(), self.totals[0]), (ask, self.totals[1])]
    }
}

fn take<S: Side>(
    side: &mut S,
    total: &mut i128,
    levels: &[Level<i128>],
    form: Form,
    depth: usize,
    key: impl Fn(i128) -> i128,
) {
    let levels = levels.iter().map(|level| (key(level.price), level.size));
    if form == Form::Snapshot {
        *side = S::default();
        *total = levels.clone().map(|(_, size)| size).sum();
        side.fill(levels);
    } else {
        for (key, size) in levels {
            let change = size - side.set(key, size);
            *total = total.checked_add(change).expect("the total of some levels fits");
        }
    }
    *total -= side.truncate(depth);
}

/// One side, its levels by keys, which are prices that grow towards the best.
trait Side: Default {
    /// Takes in a snapshot, the best level first.
    fn fill(&mut self, levels: impl DoubleEndedIterator<Item = (i128, i128)>) {
        for (key, size) in levels {
            self.set(key, size);
        }
    }

    /// Sets the size at a key, zero removes the level; the size before.
    fn set(&mut self, key: i128, size: i128) -> i128;

    /// Keeps the best levels; what the sizes of the others are together.
    fn truncate(&mut self, depth: usize) -> i128;

    fn best(&mut self) -> Option<i128>;
}

/// As the book, but that a search does not begin at the best.
#[derive(Default)]
struct BestLast(Vec<(i128, i128)>);

impl Side for BestLast {
    fn fill(&mut self, levels: impl DoubleEndedIterator<Item = (i128, i128)>) {
        self.0.extend(levels.rev());
    }

    fn set(&mut self, key: i128, size: i128) -> i128 {
        let at = self.0.binary_search_by(|level| level.0.cmp(&key));
        set_in_vector(&mut self.0, at, (key, size))
    }

    fn truncate(&mut self, depth: usize) -> i128 {
        let beyond = self.0.len().saturating_sub(depth);
        self.0.drain(..beyond).map(|(_, size)| size).sum()
    }

    fn best(&mut self) -> Option<i128> {
        self.0.last().map(|level| level.0)
    }
}

#[derive(Default)]
struct BestFirst(Vec<(i128, i128)>);

impl Side for BestFirst {
    fn fill(&mut self, levels: impl DoubleEndedIterator<Item = (i128, i128)>) {
        self.0.extend(levels);
    }

    fn set(&mut self, key: i128, size: i128) -> i128 {
        let at = self.0.binary_search_by(|level| key.cmp(&level.0));
        set_in_vector(&mut self.0, at, (key, size))
    }

    fn truncate(&mut self, depth: usize) -> i128 {
        let depth = depth.min(self.0.len());
        self.0.drain(depth..).map(|(_, size)| size).sum()
    }

    fn best(&mut self) -> Option<i128> {
        self.0.first().map(|level| level.0)
    }
}

fn set_in_vector(
    levels: &mut Vec<(i128, i128)>,
    at: Result<usize, usize>,
    level: (i128, i128),
) -> i128 {
    match at {
        Ok(at) if level.1 == 0 => levels.remove(at).1,
        Ok(at) => std::mem::replace(&mut levels[at].1, level.1),
        Err(at) => {
            if level.1 != 0 {
                levels.insert(at, level);
            }
            0
        }
    }
}

/// As the book, the search included, but keys and sizes apart: a search reads half as much memory.
#[derive(Default)]
struct TwoVectors {
    keys: Vec<i128>,
    sizes: Vec<i128>,
}

impl Side for TwoVectors {
    fn fill(&mut self, levels: impl DoubleEndedIterator<Item = (i128, i128)>) {
        (self.keys, self.sizes) = levels.rev().unzip();
    }

    fn set(&mut self, key: i128, size: i128) -> i128 {
        let at = self.position(key);
        if self.keys.get(at) == Some(&key) {
            if size == 0 {
                self.keys.remove(at);
                return self.sizes.remove(at);
            }
            return std::mem::replace(&mut self.sizes[at], size);
        }
        if size != 0 {
            self.keys.insert(at, key);
            self.sizes.insert(at, size);
        }
        0
    }

    fn truncate(&mut self, depth: usize) -> i128 {
        let beyond = self.keys.len().saturating_sub(depth);
        self.keys.drain(..beyond);
        self.sizes.drain(..beyond).sum()
    }

    fn best(&mut self) -> Option<i128> {
        self.keys.last().copied()
    }
}

impl TwoVectors {
    fn position(&self, key: i128) -> usize {
        let (mut high, mut step) = (self.keys.len(), 1);
        while high > 0 {
            let low = high.saturating_sub(step);
            if self.keys[low] < key {
                return low + 1 + self.keys[low + 1..high].partition_point(|other| *other < key);
            }
            high = low;
            step *= 2;
        }
        0
    }
}

#[derive(Default)]
struct Tree(BTreeMap<i128, i128>);

impl Side for Tree {
    fn set(&mut self, key: i128, size: i128) -> i128 {
        let before = if size == 0 { self.0.remove(&key) } else { self.0.insert(key, size) };
        before.unwrap_or(0)
    }

    fn truncate(&mut self, depth: usize) -> i128 {
        let beyond = self.0.len().saturating_sub(depth);
        (0..beyond).filter_map(|_| self.0.pop_first()).map(|(_, size)| size).sum()
    }

    fn best(&mut self) -> Option<i128> {
        self.0.last_key_value().map(|(key, _)| *key)
    }
}

/// In no order: the ends are searched among all levels when they are asked for and not known.
#[derive(Default)]
struct Hashed {
    sizes: HashMap<i128, i128>,
    best: Option<i128>,
    worst: Option<i128>,
}

impl Side for Hashed {
    fn set(&mut self, key: i128, size: i128) -> i128 {
        if size == 0 {
            self.best = self.best.filter(|best| *best != key);
            self.worst = self.worst.filter(|worst| *worst != key);
            return self.sizes.remove(&key).unwrap_or(0);
        }
        self.best = self.best.map(|best| best.max(key));
        self.worst = self.worst.map(|worst| worst.min(key));
        self.sizes.insert(key, size).unwrap_or(0)
    }

    fn truncate(&mut self, depth: usize) -> i128 {
        let mut sum = 0;
        while self.sizes.len() > depth {
            let worst = self.worst.take().or_else(|| self.sizes.keys().min().copied());
            sum += worst.map_or(0, |key| self.set(key, 0));
        }
        sum
    }

    fn best(&mut self) -> Option<i128> {
        self.best = self.best.or_else(|| self.sizes.keys().max().copied());
        self.best
    }
}

fn of_form(form: Form) -> Message {
    let mut message = Message::default();
    message.form = form;
    message
}

/// Where the changes are.
#[derive(Clone, Copy, Debug)]
enum Reach {
    /// The more the nearer: every doubling of the distance from the best is as probable.
    Near,
    /// Where the simulator has them, a quarter of the way to the worst on average.
    Between,
    /// Anywhere alike, which is the worst for vectors.
    Far,
}

/// The messages of a made-up market, whose prices are steps away from one in the middle.
struct Feed {
    dice: ChaCha8Rng,
    depth: u32,
    reach: Reach,
    middle: i128,
}

impl Feed {
    fn new(depth: u32, reach: Reach) -> Self {
        Feed { dice: ChaCha8Rng::seed_from_u64(1), depth, reach, middle: 800_000 }
    }

    /// A snapshot and changes to it; as exchanges may do at any time, it sometimes begins anew.
    fn messages(&mut self) -> Vec<Message> {
        let message = |at| match at {
            0 => self.snapshot(),
            _ if self.below(1_000) == 0 => self.snapshot(),
            _ => self.changes(),
        };
        (0..MESSAGES).map(message).collect()
    }

    fn snapshot(&mut self) -> Message {
        let mut message = of_form(Form::Snapshot);
        for sign in [1, -1] {
            let mut distance = 0;
            for _ in 0..self.depth {
                distance += 1 + i128::from(self.below(3) == 0); // as full as changes leave it
                let size = self.size();
                self.tell(&mut message, sign, distance, size);
            }
        }
        message
    }

    /// Mostly sizes that become others, and about as many levels that come as that go.
    fn changes(&mut self) -> Message {
        let mut message = of_form(Form::Delta);
        if self.below(4) == 0 {
            let sign = self.sign();
            self.middle += sign;
            self.tell(&mut message, -sign, 0, 0); // it takes the level that stood there away
        }
        for _ in 0..=self.below(20) {
            let (sign, distance) = (self.sign(), self.distance());
            let size = if self.below(3) == 0 { 0 } else { self.size() };
            self.tell(&mut message, sign, distance, size);
        }
        message
    }

    /// Writes a change of a bid, which is the sign 1, or an ask, -1; units are those of the core.
    fn tell(&self, message: &mut Message, sign: i128, distance: i128, size: i128) {
        let level = Level { price: (self.middle - sign * distance) * 10i128.pow(17), size };
        if sign > 0 { message.bids.levels.push(level) } else { message.asks.levels.push(level) }
    }

    fn distance(&mut self) -> i128 {
        let all = self.depth + self.depth * 3 / 5; // a third of the prices is free
        let reach = match self.reach {
            Reach::Near => all >> self.below(all.ilog2() + 1),
            Reach::Between => 1 + self.below(all),
            Reach::Far => all,
        };
        1 + i128::from(self.below(reach))
    }

    fn size(&mut self) -> i128 {
        let shift = self.below(24);
        (i128::from(self.dice.next_u32() >> shift) + 1) * 10i128.pow(10)
    }

    fn sign(&mut self) -> i128 {
        if self.below(2) == 0 { 1 } else { -1 }
    }

    fn below(&mut self, end: u32) -> u32 {
        ((u64::from(self.dice.next_u32()) * u64::from(end)) >> 32) as u32
    }
}
