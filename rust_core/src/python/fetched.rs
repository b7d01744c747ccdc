//! Fetched record batches: their records into the decoder, without one object of Python's for each.

use std::collections::HashMap;
use std::ops::ControlFlow;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;

use super::integer::Integer;
use crate::batch::{Change, Decoder, Input, Outcome, Reject};
use crate::kafka::reader::{self, Corrupt, Record};

/// A record batch: the set that was fetched, from where to where the batch stands in it, and the
/// offset from which its records are wanted.
pub type Fetched = (PyBackedBytes, Integer<usize>, Integer<usize>, Integer<i64>);

/// What a Kafka record had besides its value: offset, time in milliseconds, key, headers, and
/// whether it had no value. Names of headers are bytes: other clients need not write UTF-8.
pub type Original = (i64, Option<i64>, Option<Vec<u8>>, Vec<(Vec<u8>, Option<Vec<u8>>)>, bool);

/// What a reject takes besides its value, here and in what Python makes of it.
const REJECT_BYTES: usize = 1 << 10;

/// What a change of a book takes besides the name of its instrument, here and in Python.
const CHANGE_BYTES: usize = 1 << 8;

/// About how many bytes some rejects and changes hold.
pub fn held(rejects: &[Reject], changes: &[Change]) -> usize {
    let of_rejects = rejects.iter().map(|reject| reject.value.len() + REJECT_BYTES);
    let of_changes = changes.iter().map(|change| change.instrument.len() + CHANGE_BYTES);
    of_rejects.chain(of_changes).sum()
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
        let batch = set.get(start.0..end.0).ok_or(Corrupt::Format)?;
        reader::records(batch, from.0, &mut window, |record| {
            if found.held >= most_bytes {
                found.rest = Some((place, record.offset));
                return ControlFlow::Break(());
            }
            take(decoder, &record, &mut found);
            ControlFlow::Continue(())
        })?;
        if found.rest.is_some() {
            break;
        }
    }
    Ok(found)
}

/// Decodes one record.
fn take(decoder: &mut Decoder, record: &Record, found: &mut Decoded) {
    let &Record { offset, timestamp, value, .. } = record;
    let outcome = &mut found.outcome;
    let (index, rejects, changes, written) =
        (outcome.envelopes, outcome.rejects.len(), outcome.changes.len(), decoder.records().len());
    let value = value.unwrap_or_default();
    if record.is_cut_off {
        Decoder::reject_beginning(value, outcome);
    } else {
        decoder.take(Input { value, timestamp, offset: Some(offset) }, outcome);
    }
    found.held += decoder.records().len() - written;
    found.held += held(&[], &outcome.changes[changes..]);
    if let rejected @ [_, ..] = &outcome.rejects[rejects..] {
        found.held += held(rejected, &[]);
        let original = original(record);
        let headers = original.3.iter();
        found.held += headers.map(|(_, value)| value.as_ref().map_or(0, Vec::len)).sum::<usize>()
            * rejected.len();
        found.originals.insert(index, original);
    }
}

fn original(record: &Record) -> Original {
    let headers = record.headers().into_iter();
    let headers = headers.map(|(name, value)| (name.to_vec(), value.map(<[u8]>::to_vec))).collect();
    let key = record.key.map(<[u8]>::to_vec);
    (record.offset, record.timestamp, key, headers, record.value.is_none())
}

/// The error of a batch that cannot be read.
pub fn explain(corrupt: Corrupt) -> PyErr {
    PyValueError::new_err(match corrupt {
        Corrupt::Checksum => "its checksum does not match".to_owned(),
        Corrupt::Format => "it is cut off or not in Kafka's format".to_owned(),
        Corrupt::Compression(why) => format!("it cannot be decompressed: {why}"),
    })
}
