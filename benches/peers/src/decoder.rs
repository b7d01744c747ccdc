//! Kafka values in, records out: one exchange and kind, read by one library.

use std::marker::PhantomData;

use crate::envelope::{Envelope, Parser, Simd, Sonic};
use crate::record;
use crate::time::Time;
use crate::{books, tickers};

/// What decodes Kafka values, whatever they hold.
pub trait Decoder {
    /// Appends the records of a value; how many items it has, or nothing if it is no envelope.
    fn decode(&mut self, value: &[u8], time: Time, records: &mut Records) -> Option<usize>;
}

/// Records, framed as arrays of so many each or as lines.
pub struct Records {
    pub bytes: Vec<u8>,
    /// Where each whole array ends.
    pub ends: Vec<usize>,
    pub count: usize,
    array: Option<usize>,
    in_array: usize,
}

impl Records {
    pub fn arrays(size: usize) -> Self {
        Self { bytes: Vec::new(), ends: Vec::new(), count: 0, array: Some(size), in_array: 0 }
    }

    pub fn lines() -> Self {
        Self { array: None, ..Self::arrays(0) }
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        (self.count, self.in_array) = (0, 0);
    }

    /// Ends an array that is not full.
    pub fn end_array(&mut self) {
        if self.in_array > 0 {
            self.bytes.push(b']');
            self.ends.push(self.bytes.len());
            self.in_array = 0;
        }
    }

    /// Drops the arrays that are whole, and keeps what was begun.
    pub fn sent(&mut self) {
        if let Some(end) = self.ends.last() {
            self.bytes.drain(..end);
            self.ends.clear();
        }
    }

    fn add(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Option<()>) {
        let begin = self.bytes.len();
        if self.array.is_some() {
            self.bytes.push(if self.in_array == 0 { b'[' } else { b',' });
        }
        if write(&mut self.bytes).is_none() {
            self.bytes.truncate(begin);
            return;
        }
        self.count += 1;
        self.in_array += 1;
        match self.array {
            None => self.bytes.push(b'\n'),
            Some(size) if self.in_array == size => self.end_array(),
            Some(_) => {}
        }
    }
}

struct OrderBooks<M, P> {
    parser: P,
    region: &'static str,
    kept: books::Books,
    head: Vec<u8>,
    of: PhantomData<M>,
}

struct Tickers<M, P> {
    parser: P,
    region: &'static str,
    head: Vec<u8>,
    of: PhantomData<M>,
}

impl<M: books::Message, P: Parser> Decoder for OrderBooks<M, P> {
    fn decode(&mut self, value: &[u8], time: Time, records: &mut Records) -> Option<usize> {
        let envelope: Envelope<M, P> = self.parser.envelope(value)?;
        record::head(&mut self.head, self.region, &envelope.market, &envelope.symbol);
        let items = envelope.data.len();
        for message in envelope.data.into_iter().filter_map(|item| item.0) {
            if let Some(book) = message.book(&mut self.kept) {
                records.add(|out| record::book(out, &self.head, &book, time));
            }
        }
        Some(items)
    }
}

impl<M: tickers::Message, P: Parser> Decoder for Tickers<M, P> {
    fn decode(&mut self, value: &[u8], time: Time, records: &mut Records) -> Option<usize> {
        let envelope: Envelope<M, P> = self.parser.envelope(value)?;
        record::head(&mut self.head, self.region, &envelope.market, &envelope.symbol);
        let items = envelope.data.len();
        for ticker in envelope.data.into_iter().filter_map(|item| item.0?.ticker()) {
            records.add(|out| {
                record::ticker(out, &self.head, &ticker, time);
                Some(())
            });
        }
        Some(items)
    }
}

/// The decoder of an exchange, and a kind: orderbook, ticker, or tickers that are flattened.
pub fn decoder<P: Parser + 'static>(exchange: &str, kind: &str) -> Option<Box<dyn Decoder>> {
    let region = match exchange {
        "okx" | "bybit" | "gateio" => "Asia",
        "binance" | "kraken" => "NE",
        _ => "Korea",
    };
    match kind {
        "orderbook" => books::<P>(exchange, region),
        "ticker" => tickers::<P>(exchange, region),
        "flattened" => flattened::<P>(exchange, region),
        _ => None,
    }
}

/// The faster of both, which is simd-json where books are large and their numbers are strings.
pub fn fastest(exchange: &str, kind: &str) -> Option<Box<dyn Decoder>> {
    match (exchange, kind) {
        ("binance" | "gateio", "orderbook") => decoder::<Simd>(exchange, kind),
        _ => decoder::<Sonic>(exchange, kind),
    }
}

fn books<P: Parser + 'static>(exchange: &str, region: &'static str) -> Option<Box<dyn Decoder>> {
    Some(match exchange {
        "upbit" | "bithumb" => book::<books::Units, P>(region),
        "coinone" => book::<books::Coinone, P>(region),
        "korbit" => book::<books::Korbit, P>(region),
        "okx" => book::<books::Okx, P>(region),
        "bybit" => book::<books::Bybit, P>(region),
        "gateio" => book::<books::Gateio, P>(region),
        "binance" => book::<books::Binance, P>(region),
        "kraken" => book::<books::Kraken, P>(region),
        _ => return None,
    })
}

fn tickers<P: Parser + 'static>(exchange: &str, region: &'static str) -> Option<Box<dyn Decoder>> {
    use tickers::Nested;
    Some(match exchange {
        "coinone" => ticker::<Nested<tickers::Coinone>, P>(region),
        "korbit" => ticker::<Nested<tickers::Korbit>, P>(region),
        "okx" | "bybit" => ticker::<Nested<tickers::Rolling>, P>(region),
        "gateio" => ticker::<Nested<tickers::Gateio>, P>(region),
        "kraken" => ticker::<Nested<tickers::Kraken>, P>(region),
        _ => return flattened::<P>(exchange, region), // they nest nothing
    })
}

fn flattened<P: Parser + 'static>(
    exchange: &str,
    region: &'static str,
) -> Option<Box<dyn Decoder>> {
    Some(match exchange {
        "upbit" | "bithumb" => ticker::<tickers::Units, P>(region),
        "coinone" => ticker::<tickers::Coinone, P>(region),
        "korbit" => ticker::<tickers::Korbit, P>(region),
        "okx" | "bybit" => ticker::<tickers::Rolling, P>(region),
        "gateio" => ticker::<tickers::Gateio, P>(region),
        "binance" => ticker::<tickers::Binance, P>(region),
        "kraken" => ticker::<tickers::Kraken, P>(region),
        _ => return None,
    })
}

fn book<M: books::Message + 'static, P: Parser + 'static>(
    region: &'static str,
) -> Box<dyn Decoder> {
    let (parser, kept) = (P::default(), books::Books::default());
    Box::new(OrderBooks::<M, P> { parser, region, kept, head: Vec::new(), of: PhantomData })
}

fn ticker<M: tickers::Message + 'static, P: Parser + 'static>(
    region: &'static str,
) -> Box<dyn Decoder> {
    Box::new(Tickers::<M, P> { parser: P::default(), region, head: Vec::new(), of: PhantomData })
}
