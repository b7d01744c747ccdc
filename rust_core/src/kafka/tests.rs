//! What is written can be read, whatever it is, and what cannot be read is an error.
//!
//! That others write and read the same is tested in Python, against aiokafka.

use std::ops::ControlFlow;

use proptest::prelude::*;

use super::reader::{self, Corrupt};
use super::writer::{Producer, Writer};
use super::{ATTRIBUTES, CHECKED, CRC, Compression, HEADER_BYTES, IS_APPEND_TIME, LENGTH, varint};

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
        assert_eq!(record.headers(), Some(Vec::new()));
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
