//! Decodes a file of envelopes again and again, and tells what it costs.

use std::error::Error;
use std::io::Write;
use std::path::Path;

use cpu_time::ProcessTime;

use crate::decoder::{Decoder, Records};
use crate::time::Time;

/// How much of a file is decoded before records are forgotten.
const BATCH_BYTES: usize = 1 << 20;

/// Prints items, records, bytes, and the CPU-seconds of each round.
pub fn measure(
    file: &Path,
    rounds: usize,
    make: impl Fn() -> Box<dyn Decoder>,
) -> Result<(), Box<dyn Error>> {
    let content = std::fs::read(file)?;
    let lines: Vec<&[u8]> = content.split(|byte| *byte == b'\n').collect();
    let (mut seconds, mut items, mut count) = (Vec::new(), 0, 0);
    for _ in 0..rounds {
        let (mut decoder, mut records) = (make(), Records::lines());
        (items, count) = (0, 0);
        let begin = ProcessTime::now();
        for line in lines.iter().filter(|line| !line.is_empty()) {
            items += decoder.decode(line, Time::default(), &mut records).ok_or("no envelope")?;
            if records.bytes.len() > BATCH_BYTES {
                count += records.count;
                records.clear();
            }
        }
        count += records.count;
        seconds.push(begin.elapsed().as_secs_f64());
    }
    println!(
        r#"{{"items":{items},"records":{count},"bytes":{},"cpu_seconds":{seconds:?}}}"#,
        content.len()
    );
    Ok(())
}

/// Writes the records, a line each.
pub fn write_records(file: &Path, mut decoder: Box<dyn Decoder>) -> Result<(), Box<dyn Error>> {
    let content = std::fs::read(file)?;
    let mut records = Records::lines();
    for line in content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        decoder.decode(line, Time::default(), &mut records).ok_or("no envelope")?;
    }
    std::io::stdout().write_all(&records.bytes)?;
    Ok(())
}
