//! Decoding alone, without Python: each exchange and kind, as sent, reserialised and flattened.
//!
//! `cargo bench --bench decode`, with `-- --save-baseline NAME` before a change and `-- --baseline
//! NAME` after it to see both beside each other. Throughput is in bytes of envelopes.

use std::hint::black_box;

use _core::batch::{Decoder, Input, Kind, Output, Row};
use _core::exchange::ALL;
use _core::simulate::{Market, Style};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

const BLOCK_BYTES: usize = 1 << 20;
const SEED: u64 = 1;

const SORTS: [(&str, Kind, Style); 5] = [
    ("books as sent", Kind::OrderBook, Style::Exchange),
    ("books", Kind::OrderBook, Style::Reserialised),
    ("tickers as sent", Kind::Ticker, Style::Exchange),
    ("tickers", Kind::Ticker, Style::Reserialised),
    ("flattened tickers", Kind::Ticker, Style::Flattened),
];

fn decode(criterion: &mut Criterion) {
    for (title, kind, style) in SORTS {
        let mut group = criterion.benchmark_group(title);
        for (exchange, rules) in ALL.iter().enumerate() {
            let block = Market::new(exchange, kind, style, SEED, false).envelopes(BLOCK_BYTES);
            let values: Vec<&[u8]> = block
                .lines
                .split(|byte| *byte == b'\n')
                .filter(|value| !value.is_empty())
                .collect();
            let (region, depth) = (rules.wire.region.to_owned(), rules.wire.depth);
            let row = Row { exchange, region, depth, ..Row::default() };
            // anew each time: a kept book would take what it knows for outdated
            let new = || Decoder::new(kind, vec![row.clone()], Output::default(), 10_000);
            group.throughput(Throughput::Bytes(block.lines.len() as u64));
            group.bench_function(rules.name, |bencher| {
                bencher.iter_batched_ref(
                    new,
                    |decoder| {
                        let inputs = values.iter().map(|value| Input {
                            value,
                            timestamp: None,
                            offset: None,
                        });
                        let outcome = decoder.decode(inputs);
                        let counts = &outcome.counts[exchange];
                        let controls: u64 = counts.control.iter().sum();
                        assert_eq!(counts.records, block.items - controls);
                        black_box(decoder.records().len())
                    },
                    BatchSize::PerIteration,
                );
            });
        }
        group.finish();
    }
}

criterion_group!(benches, decode);
criterion_main!(benches);
