//! The work of marketprep's core, as careful Rust with ordinary libraries does it.
//!
//! `peers decode` measures decoding alone, `peers lane` is a whole service for one partition.

mod books;
#[cfg(feature = "ordinary")]
mod decimal;
mod decoder;
mod envelope;
mod fixed;
mod lane;
mod measure;
mod record;
mod tickers;
mod time;
#[cfg(not(feature = "ordinary"))]
mod units;

use std::error::Error;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use lexopt::{Arg, ValueExt};
#[cfg(not(feature = "ordinary"))]
use mimalloc::MiMalloc;

/// Typed messages are many small pieces of memory: up to a tenth faster with it.
#[cfg(not(feature = "ordinary"))]
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const USAGE: &str = "\
peers decode --kind orderbook|ticker|flattened --exchange NAME [--parser sonic|simd]
             [--rounds N] [--records] FILE
peers lane --bootstrap-servers HOST:PORT --input TOPIC --partition N --output TOPIC --group ID
           --kind KIND --exchange NAME [--set PROPERTY=VALUE]…";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}\n{USAGE}");
            ExitCode::FAILURE
        }
    }
}

/// What was asked for.
#[derive(Default)]
struct Arguments {
    command: String,
    file: PathBuf,
    kind: String,
    exchange: String,
    parser: Option<String>,
    rounds: usize,
    records: bool,
    lane: lane::Arguments,
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments = parse(lexopt::Parser::from_env())?;
    let (exchange, kind) = (&arguments.exchange, &arguments.kind);
    let make = || match arguments.parser.as_deref() {
        Some("simd") => decoder::decoder::<envelope::Simd>(exchange, kind),
        Some("sonic") => decoder::decoder::<envelope::Sonic>(exchange, kind),
        None => decoder::fastest(exchange, kind),
        Some(_) => None,
    };
    let decoder = make().ok_or("no such parser, exchange or kind")?;
    match &*arguments.command {
        "decode" if arguments.records => measure::write_records(&arguments.file, decoder),
        "decode" => measure::measure(&arguments.file, arguments.rounds, || {
            make().expect("it could be made before")
        }),
        "lane" => lane::run(&arguments.lane, exchange, kind, decoder),
        _ => Err("no such command".into()),
    }
}

fn parse(mut parser: lexopt::Parser) -> Result<Arguments, lexopt::Error> {
    let mut arguments = Arguments { rounds: 1, ..Arguments::default() };
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Value(value) if arguments.command.is_empty() => {
                arguments.command = value.string()?;
            }
            Arg::Value(value) => arguments.file = value.into(),
            Arg::Long("records") => arguments.records = true,
            Arg::Long("rounds") => arguments.rounds = parser.value()?.parse()?,
            Arg::Long("partition") => arguments.lane.partition = parser.value()?.parse()?,
            Arg::Long("set") => arguments.lane.properties.push(parser.value()?.string()?),
            Arg::Long(name) => {
                let name = name.to_owned();
                let value = parser.value()?;
                arguments.set(&name, value)?;
            }
            Arg::Short(_) => return Err(argument.unexpected()),
        }
    }
    Ok(arguments)
}

impl Arguments {
    fn set(&mut self, name: &str, value: OsString) -> Result<(), lexopt::Error> {
        let value = value.string()?;
        match name {
            "kind" => self.kind = value,
            "exchange" => self.exchange = value,
            "parser" => self.parser = Some(value),
            "bootstrap-servers" => self.lane.bootstrap_servers = value,
            "input" => self.lane.input = value,
            "output" => self.lane.output = value,
            "group" => self.lane.group = value,
            _ => return Err(format!("no option --{name}").into()),
        }
        Ok(())
    }
}
