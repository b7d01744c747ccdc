//! The placeholders that a wire text can have.

macro_rules! fields {
    ($($field:ident $name:literal $meaning:literal,)*) => {
        /// What a placeholder stands for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Field {
            $(#[doc = $meaning] $field,)*
        }

        impl Field {
            /// The field of this name, the text between the braces.
            pub fn find(name: &str) -> Option<Field> {
                match name {
                    $($name => Some(Field::$field),)*
                    _ => None,
                }
            }
        }
    };
}

fields! {
    TimeMs "time_ms" "the time of the event",
    TimeUs "time_us" "the same in microseconds",
    TimeS "time_s" "the same in seconds",
    TimeRfc3339 "time_rfc3339" "the same as text, in microseconds",
    DayAgoMs "day_ago_ms" "a day before",
    SentMs "sent_ms" "a little later: when the exchange sent the message",
    SentS "sent_s" "the same in seconds",

    Sequence "sequence" "a number that grows from message to message",
    PreviousSequence "previous_sequence" "that of the message before",
    Count "count" "a number that grows by one",
    Checksum "checksum" "CRC32 of the ten best levels, by the rule of Kraken",

    Asks "asks" "the ask levels of an order-book message",
    Bids "bids" "its bid levels",
    Units "units" "both, an ask and a bid in each",
    TotalAsk "total_ask" "the sum of the sizes asked",
    TotalBid "total_bid" "the sum of the sizes bid",
    Price "price" "the price of a level",
    Size "size" "its size",
    Orders "orders" "how many orders stand there",
    AskPrice "ask_price" "the ask of a unit, or the best one",
    BidPrice "bid_price" "the bid of a unit, or the best one",
    AskSize "ask_size" "the size of that ask",
    BidSize "bid_size" "the size of that bid",

    Opening "opening" "the first price of the day or of the last 24 hours",
    Trade "trade" "the last price",
    Max "max" "the highest price",
    Min "min" "the lowest price",
    PrevClosing "prev_closing" "the last price of the day before",
    Volume "volume" "what was traded in 24 hours",
    Change "change" "the difference of prices, to whichever base the exchange takes",
    Rate "rate" "the change as a fraction of the base, rounded",
    Percentage "percentage" "the same in percent",

    AbsoluteChange "absolute_change" "the change without its sign",
    AbsoluteRate "absolute_rate" "the rate without its sign",
    Direction "direction" "RISE, EVEN or FALL",
    TradeSize "trade_size" "the size of the last trade",
    DayVolume "day_volume" "what was traded since midnight",
    QuoteVolume "quote_volume" "the volume in the quote currency",
    DayQuoteVolume "day_quote_volume" "that since midnight",
    Average "average" "an average price",
    YearMax "year_max" "the highest price of a year",
    YearMin "year_min" "the lowest price of a year",
}

impl Field {
    /// What a ticker record is made of; each but the last price may have no value.
    pub const COLUMNS: [Field; 9] = [
        Field::Opening,
        Field::Trade,
        Field::Max,
        Field::Min,
        Field::PrevClosing,
        Field::Volume,
        Field::Change,
        Field::Rate,
        Field::Percentage,
    ];

    pub fn is_column(self) -> bool {
        Field::COLUMNS.contains(&self)
    }
}
