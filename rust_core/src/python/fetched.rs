//! Fetched record batches: their records into the decoder, without one object of Python's for each.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;

use crate::batch::{Decoder, Input, Outcome};
use crate::kafka::reader::{self, Corrupt, MOST_RECORD_BYTES, Record};

/// A record batch: the set that was fetched, from where to where the batch stands in it, and the
/// offset from which its records are wanted.
pub type Fetched = (PyBackedBytes, usize, usize, i64);

/// What a Kafka record had besides its value: offset, time in milliseconds, key, headers, and
/// whether it had no value. An empty list stands for headers that cannot be read.
pub type Original = (i64, Option<i64>, Option<Vec<u8>>, Vec<(String, Option<Vec<u8>>)>, bool);

/// Decodes all records of some batches. Also gives the originals of what was rejected.
pub fn decode(
    decoder: &mut Decoder,
    fetched: &[Fetched],
) -> Result<(Outcome, Vec<(usize, Original)>), Corrupt> {
    let (mut window, mut originals) = (Vec::new(), Vec::new());
    let mut outcome = decoder.begin();
    for (set, start, end, from) in fetched {
        let batch = set.get(*start..*end).ok_or(Corrupt::Format)?;
        reader::records(batch, *from, &mut window, |record| {
            let Record { offset, timestamp, value, .. } = record;
            let (index, rejects) = (outcome.envelopes, outcome.rejects.len());
            let value = value.unwrap_or_default();
            decoder.take(Input { value, timestamp, offset: Some(offset) }, &mut outcome);
            if outcome.rejects.len() > rejects {
                originals.push((index, original(&record)));
            }
        })?;
    }
    Ok((outcome, originals))
}

fn original(record: &Record) -> Original {
    let headers = record.headers().unwrap_or_default().into_iter();
    let headers = headers
        .map(|(name, value)| {
            (String::from_utf8_lossy(name).into_owned(), value.map(<[u8]>::to_vec))
        })
        .collect();
    let key = record.key.map(<[u8]>::to_vec);
    (record.offset, record.timestamp, key, headers, record.value.is_none())
}

/// The error of a batch that cannot be read.
pub fn explain(corrupt: Corrupt) -> PyErr {
    PyValueError::new_err(match corrupt {
        Corrupt::Checksum => "its checksum does not match".to_owned(),
        Corrupt::Format => "it is cut off or not in Kafka's format".to_owned(),
        Corrupt::Compression(why) => format!("it cannot be decompressed: {why}"),
        Corrupt::Size(bytes) => {
            format!("a record has {bytes} bytes, and more than {MOST_RECORD_BYTES} are not read")
        }
    })
}
