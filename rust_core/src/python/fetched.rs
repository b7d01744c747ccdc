//! Fetched record batches: their records into the decoder, without one object of Python's for each.

use std::collections::HashMap;
use std::ops::ControlFlow;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;

use crate::batch::{Decoder, Input, Outcome, Reject};
use crate::kafka::reader::{self, Corrupt, Record};

/// A record batch: the set that was fetched, from where to where the batch stands in it, and the
/// offset from which its records are wanted.
pub type Fetched = (PyBackedBytes, usize, usize, i64);

/// What a Kafka record had besides its value: offset, time in milliseconds, key, headers, and
/// whether it had no value. Names of headers are bytes: other clients need not write UTF-8.
pub type Original = (i64, Option<i64>, Option<Vec<u8>>, Vec<(Vec<u8>, Option<Vec<u8>>)>, bool);

/// What a reject takes besides its value, here and in what Python makes of it.
const REJECT_BYTES: usize = 1 << 10;

/// About how many bytes some rejects hold.
pub fn held(rejects: &[Reject]) -> usize {
    rejects.iter().map(|reject| reject.value.len() + REJECT_BYTES).sum()
}

/// What became of some batches.
#[derive(Default)]
pub struct Decoded {
    pub outcome: Outcome,
    /// The originals of what was rejected.
    pub originals: HashMap<usize, Original>,
    /// About how many bytes all of it holds.
    pub held: usize,
    /// Where it goes on if that was enough: which of the batches, and from which offset.
    pub rest: Option<(usize, i64)>,
}

/// Decodes the records of some batches, until so many bytes are held: a kilobyte can unfold to a
/// gigabyte.
pub fn decode(
    decoder: &mut Decoder,
    fetched: &[Fetched],
    most_bytes: usize,
) -> Result<Decoded, Corrupt> {
    let mut found = Decoded { outcome: decoder.begin(), ..Decoded::default() };
    let mut window = Vec::new();
    for (place, (set, start, end, from)) in fetched.iter().enumerate() {
        let batch = set.get(*start..*end).ok_or(Corrupt::Format)?;
        let mut are_headers_sound = true;
        reader::records(batch, *from, &mut window, |record| {
            if found.held >= most_bytes {
                found.rest = Some((place, record.offset));
                return ControlFlow::Break(());
            }
            are_headers_sound = take(decoder, &record, &mut found).is_some();
            if are_headers_sound { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        if !are_headers_sound {
            return Err(Corrupt::Format);
        }
        if found.rest.is_some() {
            break;
        }
    }
    Ok(found)
}

/// Decodes one record; nothing if it was rejected and its headers cannot be read.
fn take(decoder: &mut Decoder, record: &Record, found: &mut Decoded) -> Option<()> {
    let &Record { offset, timestamp, value, .. } = record;
    let outcome = &mut found.outcome;
    let (index, rejects, written) =
        (outcome.envelopes, outcome.rejects.len(), decoder.records().len());
    let value = value.unwrap_or_default();
    if record.is_cut_off {
        Decoder::reject_beginning(value, outcome);
    } else {
        decoder.take(Input { value, timestamp, offset: Some(offset) }, outcome);
    }
    found.held += decoder.records().len() - written;
    if let rejected @ [_, ..] = &outcome.rejects[rejects..] {
        found.held += held(rejected);
        let original = original(record)?;
        let headers = original.3.iter();
        found.held += headers.map(|(_, value)| value.as_ref().map_or(0, Vec::len)).sum::<usize>()
            * rejected.len();
        found.originals.insert(index, original);
    }
    Some(())
}

fn original(record: &Record) -> Option<Original> {
    let headers = record.headers()?.into_iter();
    let headers = headers.map(|(name, value)| (name.to_vec(), value.map(<[u8]>::to_vec))).collect();
    let key = record.key.map(<[u8]>::to_vec);
    Some((record.offset, record.timestamp, key, headers, record.value.is_none()))
}

/// The error of a batch that cannot be read.
pub fn explain(corrupt: Corrupt) -> PyErr {
    PyValueError::new_err(match corrupt {
        Corrupt::Checksum => "its checksum does not match".to_owned(),
        Corrupt::Format => "it is cut off or not in Kafka's format".to_owned(),
        Corrupt::Compression(why) => format!("it cannot be decompressed: {why}"),
    })
}
