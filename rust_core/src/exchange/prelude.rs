//! The words in which an exchange's file is written.

pub(super) use super::{ChangeBasis, Rules, expect_word, read_once};
pub(super) use crate::book::Checksum;
pub(super) use crate::control::{Control, Members};
pub(super) use crate::error::{Error, Result};
pub(super) use crate::json::Reader;
pub(super) use crate::json::text::Text;
pub(super) use crate::number::Value;
pub(super) use crate::order_book::OrderBook;
pub(super) use crate::simulate::wire::{Books, Currency, Derived, Numbers, Quirk, Wire};
pub(super) use crate::ticker::{Column, Meaning, Ticker};
