//! Memory in proportion to input, measured where it is allocated.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use _core::batch::{Decoder, Figures, Input, Kind, Outcome, Output, Row};
use _core::exchange::ALL;
use proptest::prelude::*;

/// The bytes for each byte of input: levels that are read with numbers of any length take most.
const A_BYTE: usize = 48;

/// The bytes for each message: a record, a dead letter or the state of a book, while the buffer of all
/// of them grows.
const A_MESSAGE: usize = 4096;

/// What a decoder takes for any message.
const ANYWAY: usize = 2 << 20;

struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator with the arguments as they came.
#[expect(unsafe_code, reason = "no allocator can be written without it")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(held, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Only one test at a time may count.
static TURN: Mutex<()> = Mutex::new(());

/// Returns what `work` returns, the most memory that it took, and how much of that is still held.
fn measured<R>(work: impl FnOnce() -> R) -> (R, usize, usize) {
    let before = HELD.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let result = work();
    let peak = PEAK.load(Ordering::Relaxed) - before;
    (result, peak, HELD.load(Ordering::Relaxed).saturating_sub(before))
}

fn decoder(kind: Kind, is_extended: bool, book_limit: usize) -> Decoder {
    let row = |exchange| Row { exchange, depth: 10, crossed_grace: 10, ..Row::default() };
    let extended = is_extended.then(|| Figures::new(&[10], &[10, 25, 50]));
    let output = Output { extended, stale_after: 60_000_000 };
    Decoder::new(kind, (0..ALL.len()).map(row).collect(), output, book_limit)
}

fn decode(decoder: &mut Decoder, value: &str) -> Outcome {
    decoder.decode([Input { value: value.as_bytes(), timestamp: Some(0), offset: None }])
}

fn envelope(market: &str, symbol: &str, items: &str) -> String {
    format!(r#"{{"market":"{market}","symbol":"{symbol}","data":[{items}]}}"#)
}

#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "all of their combinations are cases")]
struct Message {
    /// Which of the messages below.
    form: usize,
    name_bytes: usize,
    payloads: usize,
    /// Whether it has a payload that cannot be read, and one whose numbers are long.
    has_bad: bool,
    has_wide: bool,
    is_extended: bool,
    is_string: bool,
}

fn message() -> impl Strategy<Value = Message> {
    let name = prop_oneof![3 => 0usize..300, 1 => 0usize..200_000];
    let payloads = prop_oneof![3 => 1usize..50, 1 => 1usize..9_999];
    (0usize..5, name, payloads, any::<[bool; 4]>()).prop_map(
        |(form, name_bytes, payloads, [has_bad, has_wide, is_extended, is_string])| Message {
            form,
            name_bytes,
            payloads,
            has_bad,
            has_wide,
            is_extended,
            is_string,
        },
    )
}

impl Message {
    fn kind(&self) -> Kind {
        if self.form == 4 { Kind::Ticker } else { Kind::OrderBook }
    }

    fn value(&self) -> String {
        let name = "N".repeat(self.name_bytes);
        let payload = match self.form {
            2 => r#"{"bids":[{"price":1,"qty":1}],"asks":[],"checksum":1}"#,
            4 => r#"{"last":1}"#,
            _ => r#"{"asks":[],"bids":[["1","1"]]}"#,
        };
        let mut payloads = vec![payload.to_owned(); self.payloads];
        if self.has_bad {
            payloads.push("1".to_owned());
        }
        if self.has_wide {
            payloads.push(payload.replace('1', "1.0000000000000000000000000001"));
        }
        let payloads = payloads.join(",");
        let (market, head) = match self.form {
            0 => ("OKX", format!(r#""arg":{{"channel":"books5","instId":"{name}"}}"#)),
            1 => ("OKX", format!(r#""arg":{{"channel":"books{name}"}},"action":"update""#)),
            2 => ("KRAKEN", format!(r#""channel":"book","type":"snapshot","symbol":"{name}""#)),
            3 => ("BINANCE", format!(r#""stream":"{name}""#)),
            _ => ("KRAKEN", format!(r#""channel":"ticker","symbol":"{name}""#)),
        };
        let item = format!(r#"{{{head},"data":[{payloads}]}}"#);
        let item = if self.is_string { format!("{item:?}") } else { item };
        envelope(market, &"S".repeat(self.name_bytes.min(250)), &item)
    }

    /// Whether the name is one that is read, and too long.
    fn is_too_long(&self) -> bool {
        self.name_bytes > 256 && (self.form < 4 || self.is_extended)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_message(message in message()) {
        let _turn = TURN.lock().unwrap();
        let value = message.value();
        let mut decoder = decoder(message.kind(), message.is_extended, 10_000);
        let (_, peak, _) = measured(|| (decode(&mut decoder, &value), decoder.checkpoints()));
        let most = A_BYTE * value.len() + A_MESSAGE * (message.payloads + 2) + ANYWAY;
        prop_assert!(peak <= most, "{} bytes for {}, at most {}", peak, value.len(), most);
        prop_assert!(!message.is_too_long() || decoder.records().is_empty());
    }
}

/// A name stands once in memory, however many payloads share it.
#[test]
fn payloads_of_a_long_name() {
    let _turn = TURN.lock().unwrap();
    let peak = |name_bytes| {
        let (payloads, form) = (9_999, 1);
        let message = Message {
            form,
            name_bytes,
            payloads,
            has_bad: false,
            has_wide: false,
            is_extended: false,
            is_string: false,
        };
        let value = message.value();
        let mut decoder = decoder(Kind::OrderBook, false, 10_000);
        measured(|| decode(&mut decoder, &value)).1
    };
    let (short, long) = (peak(1), peak(250));
    assert!(long < short + (64 << 10), "{long} bytes, with a short name {short}");
}

/// Books of ever more instruments take the memory of as many as the limit allows.
#[test]
fn ever_more_instruments() {
    let _turn = TURN.lock().unwrap();
    let mut decoder = decoder(Kind::OrderBook, false, 1_000);
    let snapshot = |number: usize| {
        let payload = format!(
            r#"{{"symbol":"{number}","bids":[{{"price":1,"qty":1}}],"asks":[],"checksum":1}}"#
        );
        let item = format!(r#"{{"channel":"book","type":"snapshot","data":[{payload}]}}"#);
        envelope("KRAKEN", "A", &item)
    };
    let mut decode_all = |numbers: Range<usize>| {
        for number in numbers {
            decode(&mut decoder, &snapshot(number));
        }
        assert!(decoder.books().len() <= 1_000);
    };
    let ((), _, first) = measured(|| decode_all(0..2_000));
    let ((), peak, more) = measured(|| decode_all(2_000..40_000));
    assert!(first < 1_000 * 8_192, "{first}");
    assert!(more < first / 4, "{more} more than {first}");
    assert!(peak < first, "{peak} beside {first}");
    let (_, checkpoints, _) = measured(|| decoder.checkpoints());
    assert!(checkpoints < 1_000 * 4_096, "{checkpoints}");
}

/// A long item leaves nothing behind once others have followed, whether it was rejected or not.
#[test]
fn nothing_is_retained() {
    let _turn = TURN.lock().unwrap();
    let level = r#"["1e390","1e399"],"#.repeat(90_000);
    let level = level.trim_end_matches(',');
    let long = format!(r#"[["1","1"]{}]"#, r#",["1","1"]"#.repeat(60_000));
    let payload = format!(r#"{{"asks":[],"bids":{long}}}"#);
    let payloads = vec![payload; 15].join(",");
    let items = [
        format!(r#"{{"result":[{{"lastUpdateId":3,"s":"A","bids":[{level}]}}]}}"#),
        format!(r#"{{"channel":"spot.order_book","result":{{"bids":[{level}],"asks":[]}}}}"#),
        format!(r#"{{"channel":"spot.order_book","result":[{payloads}]}}"#),
    ];
    for item in items {
        let mut decoder = decoder(Kind::OrderBook, false, 10_000);
        let small = envelope("GATEIO", "A", r#"{"result":{"bids":[],"asks":[]}}"#);
        let decode_small = |decoder: &mut Decoder| {
            for _ in 0..3 {
                decode(decoder, &small);
            }
            decoder.take_records();
        };
        decode_small(&mut decoder);
        let value = envelope("GATEIO", "A", &format!("{item:?}"));
        let ((), _, held) = measured(|| {
            drop(decode(&mut decoder, &value));
            decode_small(&mut decoder);
        });
        // a text of up to a megabyte is kept for the next one
        assert!(held < 2 << 20, "{held} bytes of {}", value.len());
    }
}
