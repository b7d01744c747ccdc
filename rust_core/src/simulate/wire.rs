//! How an exchange's messages look on the wire: what its file tells the simulator.

/// One exchange's messages, as plain data.
///
/// The texts are examples with placeholders: `{instrument}`, and those that `field.rs` lists.
/// White space between their tokens does not count.
#[derive(Clone, Copy, Debug)]
pub struct Wire {
    /// The region, as records have it.
    pub region: &'static str,
    /// The names of a coin's instruments: the first is there for every coin, all are for the first.
    pub instruments: &'static [&'static str],
    pub currency: Currency,
    /// How many levels a side an order book shows.
    pub depth: usize,
    pub books: Books,
    pub numbers: Numbers,
    /// How many decimals a size has at most.
    pub size_places: u8,
    /// How many decimals a rate or a percentage has at most.
    pub rate_places: u8,
    pub derived: Derived,
    /// What stands for a column that has no value.
    pub nothing: &'static str,
    /// What its order books do now and then.
    pub quirks: &'static [Quirk],
    pub ticker: &'static str,
    /// What upstream leaves of a ticker when it keeps only the wanted keys.
    pub flattened: &'static str,
    /// A whole book, or changes to one.
    pub order_book: &'static str,
    /// What an order book begins with, if that looks different.
    pub snapshot: Option<&'static str>,
    /// One of `{asks}` and `{bids}`, or of `{units}`.
    pub level: &'static str,
    /// Messages that are neither.
    pub control: &'static [&'static str],
}

/// What prices are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Currency {
    Won,
    Dollar,
}

/// What order-book messages are to the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Books {
    /// Each is the whole of it, the best level first.
    Whole,
    /// The same, but of the asks the best comes last.
    WholeWorstAskFirst,
    /// Changes. What left the view is told as size 0.
    Changes,
    /// Changes. What was only pushed out of the view by better levels is not told.
    ChangesUntoldBelow,
}

/// How numbers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// Without trailing zeros: `4010`, `0.5`.
    Short,
    /// With all decimals, and at least so many: `0.50000000`.
    Fixed(u8),
    /// As Java does, with a point and a power of ten: `4010.0`, `1.2E7`, `5.0E-4`.
    Java,
}

/// The columns that are not sent, or are sent rounded, so that a record has them computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Derived {
    /// None.
    Nothing,
    /// The rate, which is the change by the previous close.
    RateOfPrevClosing,
    /// The rate, which is the change by the opening price.
    RateOfOpening,
    /// The change since the previous close, and its rate.
    ChangeSincePrevClosing,
    /// The change since the opening price and its rate; the previous close is the opening price.
    ChangeSinceOpening,
    /// The opening price from the change, the rate of it, and the same as previous close.
    OpeningFromChange,
    /// The opening price from the percentage, the change since it, and the same as previous close.
    OpeningFromPercentage,
}

/// Something out of the ordinary, but sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quirk {
    /// A side has fewer levels than could be shown, maybe none.
    ShortSide,
    /// The best bid is above the best ask.
    Crossed,
    /// A size of 0 stands at a price that is alive.
    Dust,
    /// The book comes whole again.
    Snapshot,
    /// The book comes whole again under the number of the last message.
    RepeatedSnapshot,
    /// The book comes whole again and the messages are counted from 1.
    Restart,
    /// A message without a change, under the number of the last.
    KeepAlive,
    /// The numbers begin again, but not the book.
    NumbersReset,
    /// A level is told twice in one message, of which the last counts.
    ToldTwice,
}
