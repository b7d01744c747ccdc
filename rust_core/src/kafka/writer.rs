//! Writes record batches: all but what only the producer knows, which is put in at the end.

use std::io::Write;

use lz4::liblz4::BlockChecksum;
use lz4::{BlockMode, BlockSize, ContentChecksum};

use super::{
    ATTRIBUTES, CHECKED, COUNT, CRC, Compression, FIRST_SEQUENCE, FIRST_TIMESTAMP, FORMAT,
    HEADER_BYTES, IS_TRANSACTIONAL, LAST_OFFSET_DELTA, LENGTH, MAGIC, MAX_TIMESTAMP,
    PRODUCER_EPOCH, PRODUCER_ID, varint,
};

/// More than a record needs besides its key and its value.
const RECORD_OVERHEAD: usize = 1 + 5 * varint::MOST_BYTES;

/// zstd's own default, and that of most clients.
const ZSTD_LEVEL: i32 = 3;

/// What the producer of a batch puts into it when it is sent.
#[derive(Clone, Copy, Debug)]
pub struct Producer {
    pub id: i64,
    pub epoch: i16,
    pub first_sequence: i32,
}

/// A batch to which records are added.
#[derive(Debug)]
pub struct Writer {
    bytes: Vec<u8>,
    count: i32,
    first_timestamp: i64,
    max_timestamp: i64,
    compression: Compression,
    is_transactional: bool,
}

/// A batch that lacks nothing but its producer.
#[derive(Debug)]
pub struct Finished {
    bytes: Vec<u8>,
    pub count: i32,
}

impl Writer {
    pub fn new(compression: Compression, is_transactional: bool) -> Self {
        let (count, first_timestamp, max_timestamp) = (0, 0, i64::MIN);
        let bytes = vec![0; HEADER_BYTES];
        Writer { bytes, count, first_timestamp, max_timestamp, compression, is_transactional }
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How long it would be at most with another record of so many bytes in key and value,
    /// uncompressed.
    pub fn length_with(&self, bytes: usize) -> usize {
        self.bytes.len() + bytes + RECORD_OVERHEAD
    }

    /// Adds a record without headers, whose value of a known length is written by a function.
    pub fn add(
        &mut self,
        timestamp: i64,
        key: &[u8],
        value_length: usize,
        value: impl FnOnce(&mut Vec<u8>),
    ) {
        if self.count == 0 {
            self.first_timestamp = timestamp;
        }
        self.max_timestamp = self.max_timestamp.max(timestamp);
        let since_first = timestamp.wrapping_sub(self.first_timestamp);
        let (offset, key_length) = (i64::from(self.count), signed(key.len()));
        let lengths = [since_first, offset, key_length, signed(value_length)];
        let lengths: usize = lengths.into_iter().map(varint::length).sum();
        let into = &mut self.bytes;
        // attributes before, and the number of headers behind
        varint::write(into, signed(1 + lengths + key.len() + value_length + 1));
        into.push(0);
        varint::write(into, since_first);
        varint::write(into, offset);
        varint::write(into, key_length);
        into.extend_from_slice(key);
        varint::write(into, signed(value_length));
        let before = into.len();
        value(into);
        debug_assert_eq!(into.len() - before, value_length);
        varint::write(into, 0);
        self.count += 1;
    }

    /// Ends the batch.
    pub fn finish(self) -> Finished {
        let count = self.count;
        let mut bytes = match self.compression {
            Compression::None => self.bytes,
            compression => compressed(&self.bytes, compression),
        };
        let length = i32::try_from(bytes.len() - LENGTH.end).unwrap_or(i32::MAX);
        let transactional = if self.is_transactional { IS_TRANSACTIONAL } else { 0 };
        let attributes = self.compression as i16 | transactional;
        bytes[LENGTH].copy_from_slice(&length.to_be_bytes());
        bytes[MAGIC] = FORMAT;
        bytes[ATTRIBUTES].copy_from_slice(&attributes.to_be_bytes());
        bytes[LAST_OFFSET_DELTA].copy_from_slice(&(count - 1).to_be_bytes());
        bytes[FIRST_TIMESTAMP].copy_from_slice(&self.first_timestamp.to_be_bytes());
        bytes[MAX_TIMESTAMP].copy_from_slice(&self.max_timestamp.to_be_bytes());
        bytes[COUNT].copy_from_slice(&count.to_be_bytes());
        Finished { bytes, count }
    }
}

impl Finished {
    /// How many bytes it has.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The batch as it is sent.
    pub fn by(&mut self, producer: Producer) -> &[u8] {
        let bytes = &mut self.bytes;
        bytes[PRODUCER_ID].copy_from_slice(&producer.id.to_be_bytes());
        bytes[PRODUCER_EPOCH].copy_from_slice(&producer.epoch.to_be_bytes());
        bytes[FIRST_SEQUENCE].copy_from_slice(&producer.first_sequence.to_be_bytes());
        let crc = crc32c::crc32c(&bytes[CHECKED..]);
        bytes[CRC].copy_from_slice(&crc.to_be_bytes());
        bytes
    }
}

/// The header as it is, and the records behind it compressed.
fn compressed(bytes: &[u8], compression: Compression) -> Vec<u8> {
    let (header, records) = bytes.split_at(HEADER_BYTES);
    let into = header.to_vec();
    let written = match compression {
        Compression::Zstd => zstd_compressed(records, into),
        _ => lz4_compressed(records, into),
    };
    written.expect("a buffer in memory takes all")
}

fn zstd_compressed(records: &[u8], into: Vec<u8>) -> std::io::Result<Vec<u8>> {
    let mut encoder = zstd::stream::write::Encoder::new(into, ZSTD_LEVEL)?;
    encoder.write_all(records)?;
    encoder.finish()
}

fn lz4_compressed(records: &[u8], into: Vec<u8>) -> std::io::Result<Vec<u8>> {
    // Java's reader wants blocks that do not build on each other
    let mut encoder = lz4::EncoderBuilder::new()
        .block_mode(BlockMode::Independent)
        .block_size(BlockSize::Max64KB)
        .block_checksum(BlockChecksum::NoBlockChecksum) // the batch has one
        .checksum(ContentChecksum::NoChecksum)
        .build(into)?;
    encoder.write_all(records)?;
    let (written, result) = encoder.finish();
    result.map(|()| written)
}

fn signed(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}
