//! Decodes files of envelopes over and over; prints what a CPU-second of one thread does.
//!
//! `cargo run --release --example throughput -- ticker|orderbook PASSES FILE…`

use std::time::Instant;

use _core::batch::{Decoder, Input, Kind, Output, Row};
use _core::exchange::ALL;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let kind = match arguments.next().as_deref() {
        Some("ticker") => Kind::Ticker,
        Some("orderbook") => Kind::OrderBook,
        _ => return eprintln!("throughput ticker|orderbook PASSES FILE…"),
    };
    let passes: u32 = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(3);
    for file in arguments {
        match std::fs::read(&file) {
            Ok(bytes) => report(&file, &bytes, kind, passes),
            Err(error) => eprintln!("{file}: {error}"),
        }
    }
}

fn report(file: &str, bytes: &[u8], kind: Kind, passes: u32) {
    let lines: Vec<&[u8]> =
        bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    let mut best = f64::INFINITY;
    let mut items = 0;
    let mut rejected = 0;
    for _ in 0..passes {
        let region = "Asia".to_owned();
        let row = Row { region, depth: 10, ..Row::default() };
        let rows = (0..ALL.len()).map(|exchange| Row { exchange, ..row.clone() });
        let mut decoder = Decoder::new(kind, rows.collect(), Output::default(), 10_000);
        let start = Instant::now();
        (items, rejected) = (0, 0);
        for batch in lines.chunks(20) {
            let inputs =
                batch.iter().map(|value| Input { value, timestamp: Some(0), offset: None });
            let outcome = decoder.decode(inputs);
            items += outcome.counts.iter().map(|counts| counts.items).sum::<u64>();
            rejected += outcome.rejects.len();
        }
        best = best.min(start.elapsed().as_secs_f64());
    }
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let (gigabytes, thousands) = (bytes.len() as f64 / best / 1e9, items as f64 / best / 1e3);
    println!("{gigabytes:.2} GB/s {thousands:6.0} k items/s {rejected} rejected {file}");
}
