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

/// The length of the value's beginning that a longer record keeps, and of the longest key that it
/// keeps.
const BEGINNING_BYTES: usize = 64 << 10;

/// A record, as far as it matters to whoever reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    pub offset: i64,
    /// In milliseconds; none where it has no time.
    pub timestamp: Option<i64>,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    /// Whether the record is longer than [`MOST_RECORD_BYTES`]. Its value is only the beginning then,
    /// it has no headers, and a key of over [`BEGINNING_BYTES`] is left out.
    pub is_cut_off: bool,
    headers: Headers<'a>,
}

/// A header of a record: its name and its value.
pub type Header<'a> = (&'a [u8], Option<&'a [u8]>);

/// The encoded headers of a record: their number, then their names and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Headers<'a>(&'a [u8]);

impl<'a> Headers<'a> {
    const NONE: Headers<'static> = Headers(&[0]);

    /// Reads the headers of a record whose last field they are. Returns `None` if they do not end
    /// where the record ends, or have an impossible length.
    #[inline]
    fn of_record(rest: &'a [u8]) -> Option<Self> {
        let headers = Headers(rest);
        if headers != Headers::NONE {
            headers.each(|_| {})?;
        }
        Some(headers)
    }

    /// Decodes all headers, and returns `None` if they are malformed.
    fn each(self, mut found: impl FnMut(Header<'a>)) -> Option<()> {
        let mut rest = self.0;
        let count = u64::try_from(varint::read(&mut rest)?).ok()?;
        for _ in 0..count {
            found((field(&mut rest)??, field(&mut rest)?));
        }
        rest.is_empty().then_some(())
    }
}

impl<'a> Record<'a> {
    /// Returns the headers in their order.
    pub fn headers(&self) -> Vec<Header<'a>> {
        let mut headers = Vec::new();
        let decoded = self.headers.each(|header| headers.push(header));
        debug_assert!(decoded.is_some(), "they were checked when the record was read");
        headers
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
///
/// # Errors
///
/// Returns [`Corrupt`] for whatever aiokafka rejects: a wrong checksum, fields that do not fill their
/// record exactly, and a number of records in the header that is not the number in the batch, which
/// leaves bytes over or is not reached. Bytes after the last record are noticed only if `take` wants
/// all records; a later call that begins at a later offset notices them then.
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
            let frames = Lz4Frames::new(body).map_err(not_decompressed)?;
            reading.all(&mut Window::new(frames, window), take)
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
        let mut from = self.from;
        let mut take = |record: Record| {
            if record.offset < from {
                return ControlFlow::Continue(());
            }
            // as aiokafka does: what comes twice, or goes back, is left out
            from = record.offset.saturating_add(1);
            take(record)
        };
        for _ in 0..self.count {
            let mut ahead = source.ahead(varint::MOST_BYTES)?;
            let before = ahead.len();
            let length = varint::read(&mut ahead).and_then(|length| usize::try_from(length).ok());
            let length = length.ok_or(Corrupt::Format)?;
            let start = before - ahead.len();
            if length > MOST_RECORD_BYTES {
                source.skip(start)?;
                if self.long(source, length, &mut take)?.is_break() {
                    return Ok(());
                }
                continue;
            }
            let end = start + length;
            let record = self.record(source.ahead(end)?.get(start..end).ok_or(Corrupt::Format)?);
            let record = record.ok_or(Corrupt::Format)?;
            if take(record).is_break() {
                return Ok(());
            }
            source.skip(end)?;
        }
        if source.ahead(1)?.is_empty() { Ok(()) } else { Err(Corrupt::Format) }
    }

    /// Reads a record that is too long to be held, piece by piece. Hands it over without headers,
    /// with the beginning of its value, and without its key if that is too long as well.
    #[cold]
    fn long(
        &self,
        source: &mut impl Source,
        length: usize,
        take: &mut impl FnMut(Record) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Corrupt> {
        let mut pieces = Pieces { source, left: length };
        let beginning = pieces.ahead(BEGINNING_BYTES)?;
        let before = beginning.len();
        let (offset, timestamp, mut rest) = self.place(beginning).ok_or(Corrupt::Format)?;
        let key_length = varint::read(&mut rest).ok_or(Corrupt::Format)?;
        let has_key = key_length >= 0;
        let key_length = usize::try_from(key_length).unwrap_or(0);
        let place_length = before - rest.len();
        pieces.skip(place_length)?;
        // a key that is kept stays in the window, together with the beginning of the value
        let is_key_kept = key_length <= BEGINNING_BYTES;
        let kept_length = if is_key_kept { key_length } else { 0 };
        pieces.skip(key_length - kept_length)?;
        let ahead = pieces.ahead(kept_length + varint::MOST_BYTES + BEGINNING_BYTES)?;
        let before = ahead.len();
        let (key, mut rest) = ahead.split_at_checked(kept_length).ok_or(Corrupt::Format)?;
        let key = (has_key && is_key_kept).then_some(key);
        let value_length = varint::read(&mut rest).ok_or(Corrupt::Format)?;
        let has_value = value_length >= 0;
        let value_length = usize::try_from(value_length).unwrap_or(0);
        let value = &rest[..rest.len().min(value_length).min(BEGINNING_BYTES)];
        let value = has_value.then_some(value);
        let key_and_length = before - rest.len();
        let headers = Headers::NONE;
        let record = Record { offset, timestamp, key, value, is_cut_off: true, headers };
        if take(record).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        pieces.skip(key_and_length)?;
        pieces.skip(value_length)?;
        pieces.skip_headers()?;
        Ok(ControlFlow::Continue(()))
    }

    #[inline]
    fn record<'a>(&self, bytes: &'a [u8]) -> Option<Record<'a>> {
        let (offset, timestamp, mut rest) = self.place(bytes)?;
        let (key, value) = (field(&mut rest)?, field(&mut rest)?);
        let headers = Headers::of_record(rest)?;
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

/// The rest of a record that is read piece by piece: no field may end after the record.
struct Pieces<'s, S> {
    source: &'s mut S,
    left: usize,
}

impl<S: Source> Pieces<'_, S> {
    /// Returns the next bytes of the record: `wanted` of them, or all that are left.
    fn ahead(&mut self, wanted: usize) -> Result<&[u8], Corrupt> {
        let wanted = wanted.min(self.left);
        self.source.ahead(wanted)?.get(..wanted).ok_or(Corrupt::Format)
    }

    fn skip(&mut self, count: usize) -> Result<(), Corrupt> {
        self.left = self.left.checked_sub(count).ok_or(Corrupt::Format)?;
        self.source.skip(count)
    }

    fn integer(&mut self) -> Result<i64, Corrupt> {
        let mut rest = self.ahead(varint::MOST_BYTES)?;
        let before = rest.len();
        let integer = varint::read(&mut rest).ok_or(Corrupt::Format)?;
        let length = before - rest.len();
        self.skip(length)?;
        Ok(integer)
    }

    /// Skips the headers, with which the record must end.
    fn skip_headers(&mut self) -> Result<(), Corrupt> {
        let count = u64::try_from(self.integer()?).map_err(|_| Corrupt::Format)?;
        for _ in 0..count {
            let name_length = usize::try_from(self.integer()?).map_err(|_| Corrupt::Format)?;
            self.skip(name_length)?;
            let value_length = usize::try_from(self.integer()?).unwrap_or(0); // below 0 it is null
            self.skip(value_length)?;
        }
        if self.left == 0 { Ok(()) } else { Err(Corrupt::Format) }
    }
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

/// The content of LZ4 frames, one after the other, as aiokafka reads them. Their decoder ends
/// silently where a frame ends or is cut off.
struct Lz4Frames<'a>(Option<lz4::Decoder<&'a [u8]>>);

impl<'a> Lz4Frames<'a> {
    fn new(frames: &'a [u8]) -> std::io::Result<Self> {
        lz4::Decoder::new(frames).map(|decoder| Lz4Frames(Some(decoder)))
    }
}

impl Read for Lz4Frames<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while let Some(decoder) = &mut self.0 {
            let count = decoder.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            let finished = self.0.take().map(lz4::Decoder::finish);
            let Some((rest, result)) = finished else { break };
            // its own kind is Interrupted, which would mean to try once more
            result
                .map_err(|_| std::io::Error::new(ErrorKind::UnexpectedEof, "incomplete frame"))?;
            if !rest.is_empty() {
                self.0 = Some(lz4::Decoder::new(rest)?);
            }
        }
        Ok(0)
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
