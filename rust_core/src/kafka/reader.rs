//! Reads the records of a batch, decompressing no more at once than one of them needs.

use std::io::{ErrorKind, Read};
use std::ops::{ControlFlow, Range};

use super::{
    ATTRIBUTES, CHECKED, COUNT, CRC, Compression, FIRST_TIMESTAMP, FORMAT, HEADER_BYTES,
    IS_APPEND_TIME, LENGTH, MAGIC, MAX_TIMESTAMP, varint,
};

/// How much is decompressed at once: what fits into a core's cache together with what is made of it.
const WINDOW_BYTES: usize = 256 << 10;

/// The longest record: what is longer is no market data, and might be longer than memory.
const MOST_RECORD_BYTES: usize = 64 << 20;

/// How much of a longer one is read.
const BEGINNING_BYTES: usize = 64 << 10;

/// A record, as far as it matters to whoever reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    pub offset: i64,
    /// In milliseconds; none where it has no time.
    pub timestamp: Option<i64>,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    /// Whether it was too long, and the value is only its beginning.
    pub is_cut_off: bool,
    headers: Headers<'a>,
}

/// A header of a record: its name and its value.
pub type Header<'a> = (&'a [u8], Option<&'a [u8]>);

/// The headers of a record. They are taken apart when somebody asks for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Headers<'a>(&'a [u8]);

impl<'a> Record<'a> {
    /// The headers, in their order, if they are what they should be. What was cut off has none.
    pub fn headers(&self) -> Option<Vec<Header<'a>>> {
        if self.is_cut_off {
            return Some(Vec::new());
        }
        let mut rest = self.headers.0;
        let count = varint::read(&mut rest)?;
        (0..count).map(|_| Some((field(&mut rest)??, field(&mut rest)?))).collect()
    }
}

/// Why a batch cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Corrupt {
    /// Its checksum is another one.
    Checksum,
    /// It is cut off, or not what its numbers say, or its compression is not known here.
    Format,
    /// Its compressed records cannot be decompressed.
    Compression(String),
}

/// Reads the records of a batch from an offset on, as long as `take` wants more of them. `window` is
/// memory that is used again.
pub fn records(
    batch: &[u8],
    from: i64,
    window: &mut Vec<u8>,
    take: impl FnMut(Record) -> ControlFlow<()>,
) -> Result<(), Corrupt> {
    let header: &[u8; HEADER_BYTES] = batch.first_chunk().ok_or(Corrupt::Format)?;
    let length = usize::try_from(i32_at(header, LENGTH)).map_err(|_| Corrupt::Format)?;
    if header[MAGIC] != FORMAT || batch.len() != LENGTH.end + length {
        return Err(Corrupt::Format);
    }
    if crc32c::crc32c(&batch[CHECKED..]).to_be_bytes() != header[CRC] {
        return Err(Corrupt::Checksum);
    }
    let attributes = i16::from_be_bytes(at(header, ATTRIBUTES));
    let reading = Reading {
        first_offset: i64::from_be_bytes(at(header, 0..8)),
        from,
        first_timestamp: i64::from_be_bytes(at(header, FIRST_TIMESTAMP)),
        append_timestamp: (attributes & IS_APPEND_TIME != 0)
            .then(|| i64::from_be_bytes(at(header, MAX_TIMESTAMP))),
        count: i32_at(header, COUNT),
    };
    let body = &batch[HEADER_BYTES..];
    match Compression::of(attributes).ok_or(Corrupt::Format)? {
        Compression::None => reading.all(&mut Plain(body), take),
        Compression::Lz4 => {
            let decoder = lz4::Decoder::new(body).map_err(not_decompressed)?;
            reading.all(&mut Window::new(decoder, window), take)
        }
        Compression::Zstd => {
            let decoder =
                zstd::stream::read::Decoder::with_buffer(body).map_err(not_decompressed)?;
            reading.all(&mut Window::new(decoder, window), take)
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
fn not_decompressed(error: std::io::Error) -> Corrupt {
    Corrupt::Compression(error.to_string())
}

/// What the header of a batch says of its records.
struct Reading {
    first_offset: i64,
    from: i64,
    first_timestamp: i64,
    append_timestamp: Option<i64>,
    count: i32,
}

impl Reading {
    fn all(
        &self,
        source: &mut impl Source,
        mut take: impl FnMut(Record) -> ControlFlow<()>,
    ) -> Result<(), Corrupt> {
        for _ in 0..self.count {
            let mut ahead = source.ahead(varint::MOST_BYTES)?;
            let before = ahead.len();
            let length = varint::read(&mut ahead).and_then(|length| usize::try_from(length).ok());
            let length = length.ok_or(Corrupt::Format)?;
            let start = before - ahead.len();
            let end = start + length;
            let record = if length > MOST_RECORD_BYTES {
                let beginning = source.ahead(start + BEGINNING_BYTES)?.get(start..);
                self.beginning(beginning.ok_or(Corrupt::Format)?)
            } else {
                self.record(source.ahead(end)?.get(start..end).ok_or(Corrupt::Format)?)
            };
            let record = record.ok_or(Corrupt::Format)?;
            if record.offset >= self.from && take(record).is_break() {
                return Ok(());
            }
            source.skip(end)?;
        }
        Ok(())
    }

    /// A record of which only the beginning is there.
    #[cold]
    fn beginning<'a>(&self, bytes: &'a [u8]) -> Option<Record<'a>> {
        let (offset, timestamp, mut rest) = self.place(bytes)?;
        let key = field(&mut rest).flatten();
        let _value_length = varint::read(&mut rest)?;
        let value = Some(&rest[..rest.len().min(BEGINNING_BYTES)]);
        Some(Record { offset, timestamp, key, value, is_cut_off: true, headers: Headers(&[]) })
    }

    #[inline]
    fn record<'a>(&self, bytes: &'a [u8]) -> Option<Record<'a>> {
        let (offset, timestamp, mut rest) = self.place(bytes)?;
        let (key, value) = (field(&mut rest)?, field(&mut rest)?);
        let headers = Headers(rest);
        Some(Record { offset, timestamp, key, value, is_cut_off: false, headers })
    }

    /// Offset and time, and what stands behind them.
    #[inline]
    fn place<'a>(&self, bytes: &'a [u8]) -> Option<(i64, Option<i64>, &'a [u8])> {
        let (_attributes, mut rest) = bytes.split_first()?;
        let since_first = varint::read(&mut rest)?;
        let timestamp = match self.append_timestamp {
            Some(time) => time,
            None => self.first_timestamp.checked_add(since_first)?,
        };
        let offset = self.first_offset.checked_add(varint::read(&mut rest)?)?;
        Some((offset, (timestamp >= 0).then_some(timestamp), rest))
    }
}

/// A length and as many bytes; nothing inside where the length says null.
#[inline]
#[expect(clippy::option_option, reason = "outside: it cannot be read; inside: it is null")]
fn field<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let length = varint::read(rest)?;
    if length < 0 {
        return Some(None);
    }
    let (bytes, behind) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = behind;
    Some(Some(bytes))
}

/// Where the bytes of records come from.
trait Source {
    /// What comes next: at least so many bytes, if there are as many.
    fn ahead(&mut self, wanted: usize) -> Result<&[u8], Corrupt>;
    /// So many bytes are done with, also such that were not looked at.
    fn skip(&mut self, count: usize) -> Result<(), Corrupt>;
}

/// Records that are not compressed.
struct Plain<'a>(&'a [u8]);

impl Source for Plain<'_> {
    fn ahead(&mut self, _: usize) -> Result<&[u8], Corrupt> {
        Ok(self.0)
    }

    fn skip(&mut self, count: usize) -> Result<(), Corrupt> {
        self.0 = self.0.get(count..).ok_or(Corrupt::Format)?;
        Ok(())
    }
}

/// A stretch of what is being decompressed.
struct Window<'w, R> {
    source: R,
    buffer: &'w mut Vec<u8>,
    held: Range<usize>,
}

impl<'w, R: Read> Window<'w, R> {
    fn new(source: R, buffer: &'w mut Vec<u8>) -> Self {
        buffer.truncate(WINDOW_BYTES); // a long record is no reason to keep memory for all
        buffer.shrink_to(WINDOW_BYTES);
        buffer.resize(WINDOW_BYTES, 0);
        Window { source, buffer, held: 0..0 }
    }

    #[cold]
    fn fill(&mut self, wanted: usize) -> Result<(), Corrupt> {
        self.buffer.copy_within(self.held.clone(), 0);
        self.held = 0..self.held.len();
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        while self.held.end < wanted {
            match self.source.read(&mut self.buffer[self.held.end..]) {
                Ok(0) => break,
                Ok(count) => self.held.end += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(not_decompressed(error)),
            }
        }
        Ok(())
    }
}

impl<R: Read> Source for Window<'_, R> {
    #[inline]
    fn ahead(&mut self, wanted: usize) -> Result<&[u8], Corrupt> {
        if self.held.len() < wanted {
            self.fill(wanted)?;
        }
        Ok(&self.buffer[self.held.clone()])
    }

    fn skip(&mut self, count: usize) -> Result<(), Corrupt> {
        let mut left = count;
        while left > self.held.len() {
            left -= self.held.len();
            self.held.start = self.held.end;
            self.fill(1)?;
            if self.held.is_empty() {
                return Err(Corrupt::Format);
            }
        }
        self.held.start += left;
        Ok(())
    }
}

fn at<const N: usize>(header: &[u8; HEADER_BYTES], range: Range<usize>) -> [u8; N] {
    header[range].try_into().unwrap_or([0; N]) // the ranges are as long as what stands there
}

fn i32_at(header: &[u8; HEADER_BYTES], range: Range<usize>) -> i32 {
    i32::from_be_bytes(at(header, range))
}
