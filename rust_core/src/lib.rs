//! Raw websocket messages of crypto exchanges in, exact records out.
//!
//! The way of the data: [`batch`] takes Kafka values; `envelope` finds their items; `item` has each
//! read by its [`exchange`], with `json` and `number`, into drafts, which are a `ticker` or an
//! `order_book`; `books` keeps what comes as changes; `record` writes what downstream reads, and
//! [`framing`] makes Kafka values of that. What cannot be read is an [`error`], what is no market
//! data a [`control`] message. [`kafka`] reads and writes record batches as brokers have them.
//! `python` is the boundary. Beside it all, [`simulate`] is a market that writes what the exchanges would, and
//! knows the truth.
#![deny(unsafe_code)]

pub mod batch;
mod book;
mod books;
pub mod control;
mod draft;
mod envelope;
pub mod error;
pub mod exchange;
mod fault;
pub mod framing;
mod item;
mod json;
pub mod kafka;
#[cfg(test)]
mod laws;
mod layout;
mod number;
mod order_book;
#[cfg(feature = "python")]
pub mod python;
mod record;
pub mod simulate;
mod steps;
mod ticker;
mod time;

/// What the bench of the kept book is given.
#[cfg(feature = "bench")]
pub mod bench {
    pub use crate::book::levels::Levels;
    pub use crate::order_book::{Form, Level, OrderBook};
}
