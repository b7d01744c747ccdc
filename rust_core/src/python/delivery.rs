//! What leaves: records in Kafka values, and these one by one or in record batches.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::integer::Integer;
use super::{Batch, kind_of};
use crate::batch::Kind;
use crate::framing::{self, MOST_VALUE_BYTES, Value, Values};
use crate::kafka::Compression;
use crate::kafka::writer::{self, Producer, Writer};

/// Puts the records of a partition into Kafka values.
#[pyclass(frozen)]
pub struct Framer {
    kind: Kind,
    framer: Mutex<framing::Framer>,
}

#[pymethods]
impl Framer {
    #[new]
    fn new(kind: &str, framing: &str, most_records: Integer<usize>) -> PyResult<Self> {
        let is_array = match framing {
            "array" => true,
            "record" => false,
            _ => return Err(PyValueError::new_err("framing must be 'array' or 'record'")),
        };
        let framer = Mutex::new(framing::Framer::new(is_array, most_records.0));
        Ok(Framer { kind: kind_of(kind)?, framer })
    }

    /// Takes the records of what was decoded, or, without it, lets go what waits. The values that
    /// are full: key, value and time in milliseconds.
    #[pyo3(signature = (batch=None))]
    fn values(&self, py: Python<'_>, batch: Option<&Batch>) -> Vec<OneValue> {
        let mut values = Apart { kind: self.kind, py, values: Vec::new() };
        self.run(batch, &mut values);
        values.values
    }

    /// The same in record batches. What has no time, or a later one, gets `now`.
    #[pyo3(signature = (batch, now, compression, is_transactional))]
    fn batches(
        &self,
        py: Python<'_>,
        batch: Option<&Batch>,
        now: Integer<i64>,
        compression: &str,
        is_transactional: bool,
    ) -> PyResult<Vec<Finished>> {
        let unknown = || PyValueError::new_err(format!("{compression} is not written here"));
        let compression = Compression::named(compression).ok_or_else(unknown)?;
        let mut batches = Together {
            kind: self.kind,
            now: now.0,
            compression,
            is_transactional,
            current: Writer::new(compression, is_transactional),
            finished: Vec::new(),
        };
        py.detach(|| {
            self.run(batch, &mut batches);
            batches.turn(compression);
        });
        Ok(batches.finished)
    }
}

impl Framer {
    fn run(&self, batch: Option<&Batch>, values: &mut impl Values) {
        let mut framer = self.lock();
        match batch {
            Some(batch) => framer.add(&batch.take_lines(), &batch.of_lines, values),
            None => framer.flush(values),
        }
    }

    fn lock(&self) -> MutexGuard<'_, framing::Framer> {
        self.framer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Key, value and time in milliseconds.
type OneValue = (Py<PyBytes>, Py<PyBytes>, Option<i64>);

/// Values one by one.
struct Apart<'py> {
    kind: Kind,
    py: Python<'py>,
    values: Vec<OneValue>,
}

impl Values for Apart<'_> {
    fn take(&mut self, value: Value) {
        let mut content = Vec::with_capacity(value.size());
        value.write(&mut content);
        let bytes = |bytes: &[u8]| PyBytes::new(self.py, bytes).unbind();
        let key = framing::key(value.exchange, self.kind);
        self.values.push((bytes(&key), bytes(&content), value.timestamp));
    }
}

/// Values in record batches.
struct Together {
    kind: Kind,
    now: i64,
    compression: Compression,
    is_transactional: bool,
    current: Writer,
    finished: Vec<Finished>,
}

impl Together {
    /// Finishes the current batch; begins another one.
    fn turn(&mut self, next: Compression) {
        let next = Writer::new(next, self.is_transactional);
        let current = std::mem::replace(&mut self.current, next);
        if !current.is_empty() {
            self.finished.push(Finished(Mutex::new(current.finish())));
        }
    }
}

impl Values for Together {
    fn take(&mut self, value: Value) {
        let key = framing::key(value.exchange, self.kind);
        let is_long = value.size() > MOST_VALUE_BYTES;
        if is_long {
            // what came in compressed must get out, too
            self.turn(Compression::Zstd);
        } else if self.current.length_with(key.len() + value.size()) > MOST_VALUE_BYTES {
            self.turn(self.compression);
        }
        // a time beyond the broker's clock would be refused
        let timestamp = value.timestamp.map_or(self.now, |time| time.min(self.now));
        self.current.add(timestamp, &key, value.size(), |into| value.write(into));
        if is_long {
            self.turn(self.compression);
        }
    }
}

/// A record batch that lacks nothing but its producer.
#[pyclass(frozen)]
pub struct Finished(Mutex<writer::Finished>);

#[pymethods]
impl Finished {
    fn __len__(&self) -> usize {
        self.lock().size()
    }

    /// How many records it has.
    #[getter]
    fn count(&self) -> i32 {
        self.lock().count
    }

    /// The batch as a producer sends it.
    fn by<'py>(
        &self,
        py: Python<'py>,
        producer_id: Integer<i64>,
        producer_epoch: Integer<i16>,
        first_sequence: Integer<i32>,
    ) -> Bound<'py, PyBytes> {
        let (Integer(id), Integer(epoch)) = (producer_id, producer_epoch);
        let producer = Producer { id, epoch, first_sequence: first_sequence.0 };
        PyBytes::new(py, self.lock().by(producer))
    }
}

impl Finished {
    fn lock(&self) -> MutexGuard<'_, writer::Finished> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
