//! Record batches of Kafka's message format 2: read as brokers keep them, written as they take them.
//!
//! <https://kafka.apache.org/documentation/#recordbatch>

pub mod reader;
#[cfg(test)]
mod tests;
mod varint;
pub mod writer;

use std::ops::Range;

/// How long the header of a batch is; its records stand behind it.
pub const HEADER_BYTES: usize = 61;

const LENGTH: Range<usize> = 8..12;
const MAGIC: usize = 16;
const CRC: Range<usize> = 17..21;
/// Where that begins of which the checksum is.
const CHECKED: usize = CRC.end;
const ATTRIBUTES: Range<usize> = 21..23;
const LAST_OFFSET_DELTA: Range<usize> = 23..27;
const FIRST_TIMESTAMP: Range<usize> = 27..35;
const MAX_TIMESTAMP: Range<usize> = 35..43;
const PRODUCER_ID: Range<usize> = 43..51;
const PRODUCER_EPOCH: Range<usize> = 51..53;
const FIRST_SEQUENCE: Range<usize> = 53..57;
const COUNT: Range<usize> = 57..61;

const FORMAT: u8 = 2;
const COMPRESSION: i16 = 0b111;
/// Whether the time of all records is when the broker took them in.
const IS_APPEND_TIME: i16 = 0b1000;
const IS_TRANSACTIONAL: i16 = 0b1_0000;

/// How the records of a batch are compressed, by its number in the attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    None = 0,
    Lz4 = 3,
    Zstd = 4,
}

impl Compression {
    /// Those that are known here, by their names in settings.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "none" => Some(Compression::None),
            "lz4" => Some(Compression::Lz4),
            "zstd" => Some(Compression::Zstd),
            _ => None,
        }
    }

    fn of(attributes: i16) -> Option<Self> {
        let all = [Compression::None, Compression::Lz4, Compression::Zstd];
        all.into_iter().find(|one| *one as i16 == attributes & COMPRESSION)
    }
}
