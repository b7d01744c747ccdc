//! Why an item, or a whole value, cannot become a record.

/// What went wrong. `code` and `detail` are what a dead letter says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Error {
    /// The value is no envelope.
    Envelope,
    /// The envelope is of an exchange that is not known.
    Market,
    /// The text is not JSON, or not the JSON that this exchange writes.
    Syntax,
    /// The text has an escape that this reader leaves to the one of plain text.
    Escape,
    /// The text is not UTF-8.
    Utf8,
    /// Containers are nested too deep.
    Depth,
    /// An item with more messages, a message with more levels, or a longer name than any exchange
    /// sends.
    Size,
    Length,
    /// A number is not one, or has no place where it stands.
    Number,
    /// A number is sound, but does not fit this kind of value: a wider one may hold it.
    Range,
    /// A time is not one.
    Time,
    /// A ticker without the price of its last trade.
    TradePrice,
    /// An order book without one of its sides.
    Side,
    /// A change to an order book of nobody knows which instrument.
    Instrument,
    /// An order book that does not say whether it is whole.
    Form,
    /// A change to an order book that does not say where it belongs.
    Sequence,
    /// A key that is read stands twice in one object.
    Duplicate,
    /// The message says that it is of another kind.
    Kind,
    /// This program failed: the fault is its own.
    Internal,
}

impl Error {
    pub const ALL: [Error; 19] = [
        Error::Envelope,
        Error::Market,
        Error::Syntax,
        Error::Escape,
        Error::Utf8,
        Error::Depth,
        Error::Size,
        Error::Length,
        Error::Number,
        Error::Range,
        Error::Time,
        Error::TradePrice,
        Error::Side,
        Error::Instrument,
        Error::Form,
        Error::Sequence,
        Error::Duplicate,
        Error::Kind,
        Error::Internal,
    ];

    /// The fixed code of the header `marketprep.reason`.
    pub const fn code(self) -> &'static str {
        match self {
            Error::Envelope => "not_an_envelope",
            Error::Market => "unknown_market",
            Error::Syntax | Error::Escape => "not_json",
            Error::Utf8 => "invalid_utf8",
            Error::Depth => "too_deep",
            Error::Size | Error::Length => "too_large",
            Error::Number | Error::Range => "invalid_number",
            Error::Time => "invalid_time",
            Error::TradePrice | Error::Side | Error::Instrument | Error::Form | Error::Sequence => {
                "missing_field"
            }
            Error::Duplicate => "duplicate_key",
            Error::Kind => "other_kind",
            Error::Internal => "internal",
        }
    }

    /// The same for people: the header `marketprep.detail`.
    pub const fn detail(self) -> &'static str {
        match self {
            Error::Envelope => {
                "not a JSON object with the strings market and symbol and the array data, or with a symbol of over 256 bytes or over 100,000 items"
            }
            Error::Market => "no exchange of this name is known",
            Error::Syntax | Error::Escape => {
                "not JSON, or not in the shape in which this exchange writes it"
            }
            Error::Utf8 => "not UTF-8",
            Error::Depth => "containers are nested deeper than 63 levels",
            Error::Size => {
                "over 10,000 messages in an item, over 100,000 levels in a book, or a name of over 256 bytes"
            }
            Error::Length => "a message of over 64 MB, of which this is the beginning",
            Error::Number | Error::Range => {
                "a number is not one, is negative where none can be, or has over 400 digits before or after the point"
            }
            Error::Time => {
                "a time is neither a number of s, ms, µs or ns since 1970 nor RFC 3339, or is after 9999-12-30"
            }
            Error::TradePrice => "a ticker without the price of the last trade",
            Error::Side => "an order book without bids or without asks",
            Error::Instrument => "a change to an order book that does not say of which instrument",
            Error::Form => "an order book that does not say whether it is whole or a change",
            Error::Sequence => "a change to an order book without the numbers of its sequence",
            Error::Duplicate => "a key stands twice in one object",
            Error::Kind => "a message of another kind than was asked for",
            Error::Internal => "marketprep failed on it, which is a fault of marketprep: report it",
        }
    }
}

pub type Result<T, E = Error> = std::result::Result<T, E>;
