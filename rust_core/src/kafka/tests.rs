//! What is written can be read, whatever it is, and what cannot be read is an error.
//!
//! That others write and read the same is tested in Python, against aiokafka.

use std::io::Write;
use std::ops::ControlFlow;

use proptest::prelude::*;

use super::reader::{self, Corrupt};
use super::writer::{Producer, Writer};
use super::{
    ATTRIBUTES, CHECKED, COUNT, CRC, Compression, HEADER_BYTES, IS_APPEND_TIME, LENGTH, varint,
};

type Content = (i64, Vec<u8>, Vec<u8>);

fn compression() -> impl Strategy<Value = Compression> {
    prop::sample::select(vec![Compression::None, Compression::Lz4, Compression::Zstd])
}

/// Times, keys and values; some are longer than what is decompressed at once.
fn contents() -> impl Strategy<Value = Vec<Content>> {
    let key = prop::collection::vec(any::<u8>(), 0..4);
    let value = (prop::collection::vec(any::<u8>(), 1..20), 0usize..3, any::<bool>())
        .prop_map(|(some, times, is_long)| some.repeat(times * if is_long { 30_000 } else { 1 }));
    prop::collection::vec((0i64..1 << 44, key, value), 1..8)
}

fn batch(contents: &[Content], compression: Compression) -> Vec<u8> {
    let mut writer = Writer::new(compression, true);
    let reserve = writer.length_with(0) - HEADER_BYTES;
    for (timestamp, key, value) in contents {
        let most = writer.length_with(key.len() + value.len());
        writer.add(*timestamp, key, value.len(), |into| into.extend_from_slice(value));
        assert!(writer.length_with(0) <= most + reserve);
    }
    let mut finished = writer.finish();
    finished.by(Producer { id: 1, epoch: 2, first_sequence: 3 }).to_vec()
}

fn read(batch: &[u8], from: i64) -> Result<Vec<Content>, Corrupt> {
    let mut found = Vec::new();
    reader::records(batch, from, &mut Vec::new(), |record| {
        let bytes = |bytes: Option<&[u8]>| bytes.unwrap_or_default().to_vec();
        let _ = record.headers();
        found.push((record.timestamp.unwrap_or(-1), bytes(record.key), bytes(record.value)));
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

fn seal(batch: &mut [u8]) {
    let crc = crc32c::crc32c(&batch[CHECKED..]);
    batch[CRC].copy_from_slice(&crc.to_be_bytes());
}

proptest! {
    #[test]
    fn what_is_written_can_be_read(
        contents in contents(),
        compression in compression(),
        from in 0usize..9,
    ) {
        let batch = batch(&contents, compression);
        let from = from.min(contents.len());
        let offset = i64::try_from(from).unwrap();
        prop_assert_eq!(read(&batch, offset), Ok(contents[from..].to_vec()));
    }

    #[test]
    fn the_time_of_appending_counts_for_all(contents in contents(), compression in compression()) {
        let mut batch = batch(&contents, compression);
        let attributes = u8::try_from(IS_APPEND_TIME).unwrap();
        batch[ATTRIBUTES.end - 1] |= attributes;
        seal(&mut batch);
        let latest = contents.iter().map(|(timestamp, ..)| *timestamp).max();
        let times = read(&batch, 0).unwrap().into_iter().map(|(timestamp, ..)| Some(timestamp));
        prop_assert!(times.into_iter().all(|time| time == latest));
    }

    #[test]
    fn nothing_panics(
        contents in contents(),
        compression in compression(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        end in any::<prop::sample::Index>(),
    ) {
        let mut batch = batch(&contents, compression);
        let _ = read(&batch[..end.index(batch.len())], 0);
        for (at, byte) in changes {
            let at = ATTRIBUTES.start + at.index(batch.len() - ATTRIBUTES.start);
            batch[at] = byte;
        }
        seal(&mut batch);
        let _ = read(&batch, 0);
    }

    #[test]
    fn integers(value in any::<i64>(), small in -200i64..200) {
        for value in [value, small, i64::MIN, i64::MAX] {
            let mut bytes = Vec::new();
            varint::write(&mut bytes, value);
            prop_assert_eq!(bytes.len(), varint::length(value));
            let mut rest = &bytes[..];
            prop_assert_eq!(varint::read(&mut rest), Some(value));
            prop_assert!(rest.is_empty());
            let mut cut_off = &bytes[..bytes.len() - 1];
            prop_assert_eq!(varint::read(&mut cut_off), None);
        }
    }
}

#[test]
fn records_have_no_headers() {
    let batch = batch(&[(1, vec![2], vec![3])], Compression::Lz4);
    let check = |record: reader::Record| {
        assert!(record.headers().is_empty());
        ControlFlow::Continue(())
    };
    reader::records(&batch, 0, &mut Vec::new(), check).unwrap();
}

#[test]
fn every_client_can_read_our_lz4() {
    let batch = batch(&[(1, vec![2], vec![3])], Compression::Lz4);
    let frame = &batch[HEADER_BYTES..];
    assert_eq!(frame[..4], 0x184d_2204_u32.to_le_bytes());
    // blocks that do not build on each other, no checksums, no length; blocks of 64 KiB at most
    assert_eq!(frame[4..6], [0x60, 0x40]);
}

#[test]
fn what_is_cut_off_is_an_error() {
    let value: Vec<u8> =
        (0..60_000u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let contents = [(1, vec![], value.clone()), (1, vec![], value)];
    for compression in [Compression::Lz4, Compression::Zstd] {
        let whole = batch(&contents, compression);
        for end in
            [HEADER_BYTES, HEADER_BYTES + 3, HEADER_BYTES + 9, whole.len() / 3, whole.len() - 9]
        {
            let mut cut_off = whole[..end].to_vec();
            let length = i32::try_from(end - LENGTH.end).unwrap();
            cut_off[LENGTH].copy_from_slice(&length.to_be_bytes());
            seal(&mut cut_off);
            assert!(read(&cut_off, 0).is_err(), "{compression:?} {end}");
        }
    }
}

#[test]
fn reading_ends_when_nobody_wants_more() {
    let batch = batch(&[(1, vec![], vec![1]), (1, vec![], vec![2])], Compression::Zstd);
    let mut count = 0;
    let one = |_: reader::Record| {
        count += 1;
        ControlFlow::Break(())
    };
    reader::records(&batch, 0, &mut Vec::new(), one).unwrap();
    assert_eq!(count, 1);
}

#[test]
fn what_is_too_long_is_cut_off_and_no_reason_to_stop() {
    for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
        let long = (1, b"key".to_vec(), vec![b'0'; 70_000_000]);
        let batch = batch(&[long, (2, vec![], b"next".to_vec())], compression);
        let mut found = Vec::new();
        reader::records(&batch, 0, &mut Vec::new(), |record| {
            let length = record.value.map_or(0, <[u8]>::len);
            found.push((record.offset, record.is_cut_off, length, record.key == Some(b"key")));
            ControlFlow::Continue(())
        })
        .unwrap();
        let [(0, true, length, true), (1, false, 4, false)] = found[..] else {
            panic!("{found:?}")
        };
        assert!(length >= 60_000);
    }
}

#[test]
fn an_integer_that_is_too_long_is_none() {
    assert_eq!(varint::read(&mut &[0xff; 12][..]), None);
}

#[test]
fn a_batch_is_as_long_as_it_says() {
    let whole = batch(&[(1, vec![2], vec![3])], Compression::None);
    for wrong in [&whole[..HEADER_BYTES], &whole[..whole.len() - 1], &[&whole[..], &[0]].concat()] {
        assert_eq!(read(wrong, 0), Err(Corrupt::Format));
    }
}

/// Returns a batch of these bytes, compressed, whose header has this number of records.
fn batch_of(records: &[u8], count: i32, compression: Compression) -> Vec<u8> {
    let compressed = match compression {
        Compression::None => records.to_vec(),
        Compression::Zstd => zstd::stream::encode_all(records, 3).unwrap(),
        Compression::Lz4 => {
            let mut encoder = lz4::EncoderBuilder::new().build(Vec::new()).unwrap();
            encoder.write_all(records).unwrap();
            let (written, result) = encoder.finish();
            result.unwrap();
            written
        }
    };
    let mut bytes = batch(&[(1, vec![], vec![])], compression);
    bytes.truncate(HEADER_BYTES);
    bytes.extend_from_slice(&compressed);
    bytes[COUNT].copy_from_slice(&count.to_be_bytes());
    closed(bytes)
}

/// Returns the batch with the length and the checksum that it must have.
fn closed(mut batch: Vec<u8>) -> Vec<u8> {
    let length = i32::try_from(batch.len() - LENGTH.end).unwrap();
    batch[LENGTH].copy_from_slice(&length.to_be_bytes());
    seal(&mut batch);
    batch
}

/// Returns a record of these fields, with the headers already encoded.
fn record(offset: i64, key: Field, value: Field, headers: &[u8]) -> Vec<u8> {
    let mut content = vec![0];
    varint::write(&mut content, 0);
    varint::write(&mut content, offset);
    for field in [key, value] {
        let length = field.map_or(-1, |field| i64::try_from(field.len()).unwrap());
        varint::write(&mut content, length);
        content.extend_from_slice(field.unwrap_or_default());
    }
    content.extend_from_slice(headers);
    let mut record = Vec::new();
    varint::write(&mut record, i64::try_from(content.len()).unwrap());
    record.extend_from_slice(&content);
    record
}

const COMPRESSIONS: [Compression; 3] = [Compression::None, Compression::Lz4, Compression::Zstd];

#[test]
fn bytes_after_the_last_record_are_an_error() {
    let contents: Vec<Content> = (0..3).map(|number| (1, vec![], vec![number])).collect();
    let mut records = Vec::new();
    for (offset, (.., value)) in contents.iter().enumerate() {
        let offset = i64::try_from(offset).unwrap();
        records.extend(record(offset, Some(&[]), Some(value), &[0]));
    }
    for compression in COMPRESSIONS {
        assert_eq!(read(&batch_of(&records, 3, compression), 0).map(|found| found.len()), Ok(3));
        for count in [-1, 0, 1, 2, 4] {
            let wrong = batch_of(&records, count, compression);
            assert_eq!(read(&wrong, 0), Err(Corrupt::Format), "{compression:?} {count}");
            assert_eq!(read(&wrong, 2), Err(Corrupt::Format), "{compression:?} {count}");
        }
        for tail in [&[0][..], b"tail", &record(3, None, None, &[0])] {
            let wrong = batch_of(&[&records[..], tail].concat(), 3, compression);
            assert_eq!(read(&wrong, 0), Err(Corrupt::Format), "{compression:?} {tail:?}");
            assert_eq!(read(&wrong, 2), Err(Corrupt::Format), "{compression:?} {tail:?}");
        }
        assert_eq!(read(&batch_of(&[], 0, compression), 0), Ok(Vec::new()));
    }
}

/// The rest of a batch is read by a later call, which then judges its end.
#[test]
fn a_reader_that_breaks_off_does_not_judge_the_end() {
    let both = [record(0, None, None, &[0]), record(1, None, None, &[0])].concat();
    for compression in COMPRESSIONS {
        let wrong = batch_of(&[&both[..], b"tail"].concat(), 2, compression);
        let one = |_: reader::Record| ControlFlow::Break(());
        assert_eq!(reader::records(&wrong, 0, &mut Vec::new(), one), Ok(()));
        assert_eq!(reader::records(&wrong, 1, &mut Vec::new(), one), Ok(()));
        assert_eq!(read(&wrong, 1), Err(Corrupt::Format));
    }
}

#[test]
fn bytes_after_a_frame_are_an_error_unless_they_are_another_frame() {
    let pieces = [record(0, None, None, &[0]), record(1, None, None, &[0])];
    for compression in [Compression::Lz4, Compression::Zstd] {
        let first = batch_of(&pieces[0], 2, compression);
        let second = batch_of(&pieces[1], 2, compression);
        let frame = &second[HEADER_BYTES..];
        let both = closed([&first[..], frame].concat());
        assert_eq!(read(&both, 0).map(|found| found.len()), Ok(2), "{compression:?}");
        for end in 1..frame.len() {
            let wrong = closed([&first[..], &frame[..end]].concat());
            assert!(read(&wrong, 0).is_err(), "{compression:?} {end}");
            let mut wrong = batch_of(&pieces[0], 1, compression);
            wrong.extend_from_slice(&frame[..end]);
            assert!(read(&closed(wrong), 0).is_err(), "{compression:?} {end}");
        }
        let alone = batch_of(&pieces[0], 1, compression);
        let cut_off = closed(alone[..alone.len() - 1].to_vec());
        assert!(matches!(read(&cut_off, 0), Err(Corrupt::Compression(_))), "{compression:?}");
    }
}

#[test]
fn fields_must_fill_their_record() {
    let key = Some(&b"k"[..]);
    let sound: [&[u8]; 4] = [&[0], &[2, 0, 1], &[2, 2, b'n', 1], &[4, 0, 1, 2, b'n', 2, b'v']];
    // in this order: a negative number of headers, one header too many and too few, a null name, a
    // name and a value that are too long, bytes left over, and no headers at all
    let damaged: [&[u8]; 8] =
        [&[1], &[2], &[0, 0, 1], &[2, 1, 1], &[2, 4, b'n'], &[2, 0, 4, b'v'], &[0, 0], &[]];
    for compression in COMPRESSIONS {
        for headers in sound {
            let batch = batch_of(&record(0, key, key, headers), 1, compression);
            assert_eq!(read(&batch, 0).map(|found| found.len()), Ok(1), "{headers:?}");
        }
        for headers in damaged {
            let records = [record(0, key, key, headers), record(1, key, key, &[0])].concat();
            let batch = batch_of(&records, 2, compression);
            assert_eq!(read(&batch, 0), Err(Corrupt::Format), "{headers:?}");
            assert_eq!(read(&batch, 1), Err(Corrupt::Format), "{headers:?}");
        }
    }
}

/// An optional field of a record.
type Field<'a> = Option<&'a [u8]>;

/// Offset, length of the key, and value.
type Beginning = (i64, Option<usize>, Option<Vec<u8>>);

/// Returns what a dead letter can hold of the records of a batch.
fn beginnings(batch: &[u8]) -> Result<Vec<Beginning>, Corrupt> {
    let mut found = Vec::new();
    reader::records(batch, 0, &mut Vec::new(), |record| {
        let value = record.value.map(<[u8]>::to_vec);
        found.push((record.offset, record.key.map(<[u8]>::len), value));
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

#[test]
fn a_long_key_is_never_taken_for_the_value() {
    const LONG: usize = 70_000_000;
    let short = |length: usize| vec![b'k'; length];
    let value: Vec<u8> = (0..200_000).map(|place: u32| b"abcdefg"[place as usize % 7]).collect();
    let long_headers = {
        let mut headers = vec![2, 0];
        varint::write(&mut headers, i64::try_from(LONG).unwrap());
        headers.resize(headers.len() + LONG, b'h');
        headers
    };
    let cases: [(Vec<u8>, Field, &[u8]); 7] = [
        (short(LONG), Some(&value), &[0]),
        (short(LONG), Some(b"value"), &[2, 0, 1]),
        (short(LONG), Some(b""), &[0]),
        (short(LONG), None, &[0]),
        (short(64 << 10), Some(b"value"), &long_headers),
        (short((64 << 10) + 1), Some(&value), &long_headers),
        (short(300_000), None, &long_headers),
    ];
    for compression in [Compression::None, Compression::Zstd] {
        for (key, value, headers) in &cases {
            let long = record(0, Some(key), *value, headers);
            let records = [long, record(1, None, Some(b"next"), &[0])].concat();
            let found = beginnings(&batch_of(&records, 2, compression)).unwrap();
            let key_length = Some(key.len()).filter(|length| *length <= 64 << 10);
            let beginning = value.map(|value| value[..value.len().min(64 << 10)].to_vec());
            let next = (1, None, Some(b"next".to_vec()));
            assert_eq!(found, [(0, key_length, beginning), next]);
        }
    }
}

#[test]
fn fields_must_fill_a_record_that_is_too_long() {
    let long = vec![b'0'; 70_000_000];
    let cases: [(Field, Field); 2] = [(None, Some(&long)), (Some(&long), None)];
    for (key, value) in cases {
        for headers in [&[][..], &[1], &[2], &[0, 0], &[2, 1, 1], &[2, 0, 4, b'v'], &[2, 4, b'n']] {
            let records = [record(0, key, value, headers), record(1, None, None, &[0])].concat();
            for compression in [Compression::None, Compression::Zstd] {
                let batch = batch_of(&records, 2, compression);
                assert_eq!(beginnings(&batch), Err(Corrupt::Format), "{headers:?}");
            }
        }
        let mut shorter = record(0, key, value, &[0]);
        shorter[1] ^= 0x40; // a record whose fields are longer than it is
        assert_eq!(beginnings(&batch_of(&shorter, 1, Compression::None)), Err(Corrupt::Format));
    }
}
