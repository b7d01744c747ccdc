//! The boundary to Python: bytes in, bytes out, one call a batch. All that knows of it is here and below.

mod delivery;
mod fetched;
mod integer;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use memchr::{memchr_iter, memrchr};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::sync::MutexExt;
use pyo3::types::{PyBytes, PyDict};

use crate::batch::{self, Input, Kind, ODDITIES, Row};
use crate::book::checkpoint::Damage;
use crate::books::State;
use crate::control::CONTROLS;
use crate::error::Error;
use crate::exchange::ALL;
use crate::record::{Figures, Output};
use crate::simulate::{self, Style};
use delivery::{Finished, Framer};
use fetched::{Decoded, Fetched, Original};
use integer::Integer;

/// Exact records from the raw websocket messages of crypto exchanges.
#[pymodule(gil_used = false)]
mod _core {
    #[pymodule_export]
    use super::{
        Batch, Book, Change, Decoder, Finished, Framer, Market, Reject, Stretch, exchange_names,
        reject_reasons,
    };

    /// How long a value, and so a batch of the protocol, is at most, if it is not a single record.
    #[pymodule_export]
    const BATCH_BYTES: usize = crate::framing::MOST_VALUE_BYTES;

    /// How the extension was built: `release` or `debug`.
    #[pymodule_export]
    const BUILD_PROFILE: &str = if cfg!(debug_assertions) { "debug" } else { "release" };
}

/// The exchanges that can be decoded, and the other names of each.
#[pyfunction]
fn exchange_names() -> Vec<(&'static str, Vec<&'static str>)> {
    ALL.iter().map(|exchange| (exchange.name, exchange.aliases.to_vec())).collect()
}

/// The codes that `Reject.reason` can have, and what each means.
#[pyfunction]
fn reject_reasons(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let reasons = PyDict::new(py);
    for error in Error::ALL {
        if !reasons.contains(error.code())? {
            reasons.set_item(error.code(), error.detail())?;
        }
    }
    Ok(reasons)
}

/// Decodes batches of one kind, and keeps the order books from batch to batch.
#[pyclass(frozen)]
struct Decoder(Mutex<batch::Decoder>);

#[pymethods]
impl Decoder {
    /// Keeps up to `max_books` order books; beyond them it drops the one updated longest ago.
    #[new]
    #[pyo3(signature = (kind, exchanges, output, max_books=10_000))]
    fn new(
        kind: &str,
        exchanges: Vec<Exchange>,
        output: OutputSettings,
        max_books: usize,
    ) -> PyResult<Self> {
        let kind = kind_of(kind)?;
        let rows: PyResult<Vec<Row>> = exchanges.into_iter().map(row).collect();
        Ok(Decoder(Mutex::new(batch::Decoder::new(kind, rows?, output.into(), max_books))))
    }

    /// Decodes Kafka values, of whose records `timestamps` has the times in milliseconds and
    /// `offsets` the offsets, all within 64 bits.
    #[pyo3(signature = (values, timestamps=None, offsets=None))]
    #[expect(clippy::needless_pass_by_value, reason = "PyO3 hands arguments over by value")]
    fn decode(
        &self,
        py: Python<'_>,
        values: Vec<PyBackedBytes>,
        timestamps: Option<Vec<Option<Integer<i64>>>>,
        offsets: Option<Vec<Integer<i64>>>,
    ) -> PyResult<Batch> {
        let timestamps = timestamps.unwrap_or_else(|| vec![None; values.len()]);
        let offsets = match offsets {
            Some(offsets) => offsets.into_iter().map(Some).collect(),
            None => vec![None; values.len()],
        };
        for (count, what) in [(timestamps.len(), "timestamps"), (offsets.len(), "offsets")] {
            if count != values.len() {
                let text = format!("{count} {what} for {} values", values.len());
                return Err(PyValueError::new_err(text));
            }
        }
        let numbers = timestamps.into_iter().zip(offsets);
        let inputs = values.iter().zip(numbers).map(|(value, (timestamp, offset))| Input {
            value,
            timestamp: timestamp.map(|Integer(time)| time),
            offset: offset.map(|Integer(offset)| offset),
        });
        self.run(py, inputs)
    }

    /// Decodes the records of Kafka's record batches, as they were fetched, until so many bytes
    /// have come of them.
    #[expect(clippy::needless_pass_by_value, reason = "PyO3 hands arguments over by value")]
    fn decode_fetched(
        &self,
        py: Python<'_>,
        fetched: Vec<Fetched>,
        most_bytes: Integer<usize>,
    ) -> PyResult<Batch> {
        let mut decoder = self.0.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
        let decoder = &mut *decoder;
        let result = py.detach(|| {
            let found = fetched::decode(decoder, &fetched, most_bytes.0)?;
            Ok((decoder.take_records(), found))
        });
        let (lines, found) = result.map_err(fetched::explain)?;
        Batch::new(py, lines, found)
    }

    /// Checkpoints of the books that have changed since the last call: names and contents; `None`
    /// where a book was dropped, whose checkpoint is to be removed.
    fn checkpoints(&self, py: Python<'_>) -> Vec<(String, Option<Py<PyBytes>>)> {
        let mut decoder = self.0.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
        let decoder = &mut *decoder;
        let changed = py.detach(|| decoder.checkpoints());
        let bytes = |content: Vec<u8>| PyBytes::new(py, &content).unbind();
        changed.into_iter().map(|(name, content)| (name, content.map(bytes))).collect()
    }

    /// Takes in a checkpoint of an offset before `before`, before the first batch.
    fn restore(
        &self,
        py: Python<'_>,
        name: &str,
        content: &[u8],
        before: Integer<i64>,
    ) -> PyResult<()> {
        let mut decoder = self.0.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
        decoder.restore(name, content, before.0).map_err(|damage| {
            PyValueError::new_err(match damage {
                Damage::Newer => "it was written by a later version of marketprep",
                Damage::Broken => "it is damaged",
                Damage::Ahead => "it is ahead of the committed offset",
                Damage::Depth => "the depth of its book is another by now",
            })
        })
    }

    /// What is known of each kept book.
    fn books(&self, py: Python<'_>) -> Vec<Book> {
        let decoder = self.0.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
        decoder.books().into_iter().map(Book::from).collect()
    }

    /// Decodes a block of lines, each an envelope. Blank lines are none.
    #[expect(clippy::needless_pass_by_value, reason = "PyO3 hands arguments over by value")]
    fn decode_lines(&self, py: Python<'_>, block: PyBackedBytes) -> PyResult<Batch> {
        let ends = memchr_iter(b'\n', &block).chain([block.len()]);
        let lines = ends.scan(0, |start, end| {
            let line = &block[*start..end];
            *start = (end + 1).min(block.len());
            Some(line)
        });
        let values = lines.filter(|line| !line.trim_ascii().is_empty());
        self.run(py, values.map(|value| Input { value, timestamp: None, offset: None }))
    }
}

impl Decoder {
    fn run<'a>(
        &self,
        py: Python<'_>,
        inputs: impl Iterator<Item = Input<'a>> + Send,
    ) -> PyResult<Batch> {
        // a panic of an earlier call, which no input should cause, has left at most one message half done
        let mut decoder = self.0.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
        let decoder = &mut *decoder;
        let (lines, outcome) = py.detach(|| {
            let outcome = decoder.decode(inputs);
            (decoder.take_records(), outcome)
        });
        let held = lines.len() + fetched::held(&outcome.rejects, &outcome.changes);
        Batch::new(py, lines, Decoded { outcome, held, ..Decoded::default() })
    }
}

/// What became of a batch.
#[pyclass(frozen)]
struct Batch {
    /// The records, until they are framed.
    lines: Mutex<Vec<u8>>,
    of_lines: Vec<batch::Run>,
    #[pyo3(get)]
    rejects: Vec<Py<Reject>>,
    originals: Mutex<HashMap<usize, Original>>,
    /// About how many bytes all but the records holds.
    held_beside: usize,
    /// The last record, and its exchange.
    #[pyo3(get)]
    last: Option<(&'static str, Py<PyBytes>)>,
    /// Of fetched batches, where it goes on: which of them, and from which offset.
    #[pyo3(get)]
    rest: Option<(usize, i64)>,
    /// How many rejects are faults of this program.
    #[pyo3(get)]
    faults: usize,
    /// The kept books whose quality has changed.
    #[pyo3(get)]
    changes: Vec<Change>,
    #[pyo3(get)]
    envelopes: usize,
    /// How many bytes the values had.
    #[pyo3(get)]
    bytes_in: usize,
    /// By exchange, what became of its items.
    #[pyo3(get)]
    counts: Py<PyDict>,
}

#[pymethods]
impl Batch {
    /// The records, a line of JSON each; empty once a framer has taken them.
    #[getter]
    fn records<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.lines())
    }

    /// Of fetched batches, what else the Kafka records had of which something was rejected. They are
    /// handed out once.
    fn take_originals(&self) -> HashMap<usize, Original> {
        std::mem::take(&mut self.originals.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// About how many bytes all of it holds.
    #[getter]
    fn held(&self) -> usize {
        self.lines().len() + self.held_beside
    }

    /// Whose the records are: index of the value, exchange and number of records.
    #[getter]
    fn runs(&self) -> Vec<(usize, &'static str, u64)> {
        self.of_lines.iter().map(|run| (run.index, run.exchange, run.records)).collect()
    }
}

impl Batch {
    fn lines(&self) -> MutexGuard<'_, Vec<u8>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands the records over.
    fn take_lines(&self) -> Vec<u8> {
        std::mem::take(&mut self.lines())
    }

    fn new(py: Python<'_>, lines: Vec<u8>, decoded: Decoded) -> PyResult<Self> {
        let Decoded { outcome, originals, held, rest } = decoded;
        let last = outcome.runs.last().map(|run| {
            let before = lines.len().saturating_sub(1);
            let start = memrchr(b'\n', &lines[..before]).map_or(0, |end| end + 1);
            (run.exchange, PyBytes::new(py, &lines[start..before]).unbind())
        });
        let counts = PyDict::new(py);
        for (exchange, of) in ALL.iter().zip(&outcome.counts).filter(|(_, of)| of.items > 0) {
            let row = PyDict::new(py);
            row.set_item("items", of.items)?;
            row.set_item("decoded", of.decoded)?;
            row.set_item("records", of.records)?;
            for (sort, count) in CONTROLS.iter().zip(of.control) {
                row.set_item(format!("control_{sort}"), count)?;
            }
            row.set_item("warming", of.warming)?;
            row.set_item("suspect", of.suspect)?;
            row.set_item("outdated", of.outdated)?;
            row.set_item("rejected", of.rejected)?;
            for (oddity, count) in ODDITIES.iter().zip(of.oddities) {
                row.set_item(format!("odd_{oddity}"), count)?;
            }
            counts.set_item(exchange.name, row)?;
        }
        let faults = outcome.rejects.iter().filter(|reject| reject.error == Error::Internal);
        let faults = faults.count();
        let rejects: PyResult<_> =
            outcome.rejects.into_iter().map(|reject| Py::new(py, Reject(reject))).collect();
        Ok(Batch {
            held_beside: held.saturating_sub(lines.len()),
            last,
            lines: Mutex::new(lines),
            of_lines: outcome.runs,
            rejects: rejects?,
            originals: Mutex::new(originals),
            rest,
            faults,
            changes: outcome.changes.into_iter().map(Change::from).collect(),
            envelopes: outcome.envelopes,
            bytes_in: outcome.bytes,
            counts: counts.unbind(),
        })
    }
}

/// A kept book whose quality has changed.
#[pyclass(frozen, get_all)]
#[derive(Clone)]
struct Change {
    /// Which value of the batch has changed it.
    index: usize,
    exchange: &'static str,
    instrument: String,
    /// What it is now: `warming`, `valid`, `suspect` or `dropped`.
    quality: &'static str,
    /// Why: `snapshot`, `checksum`, `gap`, `crossed`, `internal` or `limit`.
    reason: &'static str,
}

impl From<batch::Change> for Change {
    fn from(change: batch::Change) -> Self {
        let batch::Change { index, exchange, instrument, quality, reason } = change;
        Change { index, exchange, instrument, quality: quality.name(), reason: reason.name() }
    }
}

/// What is known of a kept book.
#[pyclass(frozen, get_all)]
struct Book {
    exchange: &'static str,
    /// Which of the feeds of its instrument, where an exchange has several.
    feed: String,
    instrument: String,
    quality: &'static str,
    /// How many levels it has: bids and asks.
    levels: (usize, usize),
    gaps: u64,
    checksums_matched: u64,
    checksums_failed: u64,
    outdated: u64,
    crossed: u64,
    locked: u64,
    held_back: u64,
}

impl From<State> for Book {
    fn from(state: State) -> Self {
        let State { exchange, feed, instrument, quality, levels: [bids, asks], history } = state;
        Book {
            exchange,
            feed,
            instrument,
            quality: quality.name(),
            levels: (bids, asks),
            gaps: history.gaps,
            checksums_matched: history.checksums_matched,
            checksums_failed: history.checksums_failed,
            outdated: history.outdated,
            crossed: history.crossed,
            locked: history.locked,
            held_back: history.held_back,
        }
    }
}

/// What was set aside, and why.
#[pyclass(frozen)]
struct Reject(batch::Reject);

#[pymethods]
impl Reject {
    /// Which value of the batch it came from.
    #[getter]
    fn index(&self) -> usize {
        self.0.index
    }

    /// Which item of the envelope; `None` if it is all of the value.
    #[getter]
    fn item(&self) -> Option<usize> {
        self.0.item
    }

    /// The exchange, if the envelope is of a known one.
    #[getter]
    fn exchange(&self) -> Option<&'static str> {
        self.0.exchange
    }

    /// A short fixed code.
    #[getter]
    fn reason(&self) -> &'static str {
        self.0.error.code()
    }

    /// The reason for people.
    #[getter]
    fn detail(&self) -> String {
        let detail = self.0.error.detail();
        self.0.fault.as_ref().map_or(detail.to_owned(), |fault| format!("{detail}: {fault}"))
    }

    /// An envelope with the item alone, or the whole value, as it came.
    #[getter]
    fn value<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.value)
    }

    fn __repr__(&self) -> String {
        let batch::Reject { index, item, .. } = self.0;
        let item = item.map_or("None".to_owned(), |item| item.to_string());
        format!("Reject(index={index}, item={item}, reason={:?})", self.reason())
    }
}

/// A made-up market of one exchange and one kind: envelopes, and the truth about them.
#[pyclass(frozen)]
struct Market(Mutex<simulate::Market>);

#[pymethods]
impl Market {
    #[new]
    fn new(
        exchange: &str,
        kind: &str,
        style: &str,
        seed: Integer<u64>,
        truth: bool,
    ) -> PyResult<Self> {
        let style = match style {
            "exchange" => Style::Exchange,
            "reserialised" => Style::Reserialised,
            "flattened" => Style::Flattened,
            _ => return Err(PyValueError::new_err(format!("no style is called {style:?}"))),
        };
        let (place, kind) = (place_of(exchange)?, kind_of(kind)?);
        let market = simulate::Market::new(place, kind, style, seed.0, truth);
        Ok(Market(Mutex::new(market)))
    }

    /// The next envelopes: whole lines, of at least so many bytes.
    fn envelopes(&self, py: Python<'_>, at_least: Integer<usize>) -> Stretch {
        let mut market = self.0.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
        let market = &mut *market;
        let block = py.detach(|| market.envelopes(at_least.0));
        Stretch {
            lines: PyBytes::new(py, &block.lines).unbind(),
            truth: PyBytes::new(py, &block.truth).unbind(),
            envelopes: block.envelopes,
            items: block.items,
            control: block.control,
        }
    }
}

/// A stretch of a made-up market.
#[pyclass(frozen, get_all)]
struct Stretch {
    lines: Py<PyBytes>,
    truth: Py<PyBytes>,
    envelopes: u64,
    items: u64,
    control: u64,
}

fn kind_of(kind: &str) -> PyResult<Kind> {
    match kind {
        "ticker" => Ok(Kind::Ticker),
        "orderbook" => Ok(Kind::OrderBook),
        _ => Err(PyValueError::new_err(format!(
            "kind must be 'ticker' or 'orderbook', not {kind:?}"
        ))),
    }
}

/// What the settings say of an exchange.
#[derive(FromPyObject)]
struct Exchange {
    name: String,
    region: String,
    depth: usize,
    publish_all: bool,
    crossed_grace: u32,
    precision: HashMap<String, (usize, usize)>,
}

/// What records are to have.
#[derive(FromPyObject)]
struct OutputSettings {
    extended: bool,
    imbalance_levels: Vec<usize>,
    depth_bps: Vec<u32>,
    stale_after_s: i64,
}

impl From<OutputSettings> for Output {
    fn from(settings: OutputSettings) -> Self {
        let figures = Figures::new(&settings.imbalance_levels, &settings.depth_bps);
        Output {
            extended: settings.extended.then_some(figures),
            stale_after: settings.stale_after_s.saturating_mul(1_000_000),
        }
    }
}

fn row(exchange: Exchange) -> PyResult<Row> {
    let Exchange { name, region, depth, publish_all, crossed_grace, precision } = exchange;
    let exchange = place_of(&name)?;
    Ok(Row { exchange, region, depth, publish_all, crossed_grace, precision })
}

fn place_of(name: &str) -> PyResult<usize> {
    let place = ALL.iter().position(|exchange| exchange.name == name);
    place.ok_or_else(|| PyValueError::new_err(format!("no decoder for exchange {name:?}")))
}
