//! What the exchanges have in common. Each file beside this one is the whole of what one of them
//! has to itself, and `ALL` is the list of them.

mod prelude;

use crate::book::Checksum;
use crate::control::{Control, Members};
use crate::draft::{Drafts, Part, messages, messages_apart};
use crate::error::{Error, Result};
use crate::json::Reader;
use crate::json::text::{Compact, Escaped, Long, Plain, Text};
use crate::number::{Value, Wide};
use crate::order_book::OrderBook;
use crate::simulate::wire::Wire;
use crate::ticker::{Meaning, Ticker};

/// The list: an exchange's file and its rules.
macro_rules! exchanges {
    ($($file:ident::$rules:ident),* $(,)?) => {
        $(mod $file;)*

        /// All exchanges.
        pub static ALL: [Exchange; [$(stringify!($file)),*].len()] =
            [$(Exchange::of::<$file::$rules>()),*];
    };
}

exchanges! {
    upbit::Upbit,
    bithumb::Bithumb,
    coinone::Coinone,
    korbit::Korbit,
    okx::Okx,
    bybit::Bybit,
    gateio::Gateio,
    binance::Binance,
    kraken::Kraken,
}

/// What one exchange's file says.
pub(crate) trait Rules {
    /// The name in settings, metrics and keys.
    const NAME: &'static str;
    /// Other names under which its envelopes come.
    const ALIASES: &'static [&'static str] = &[];
    /// The members that wrap the payload: an object, or an array of them.
    const PAYLOAD: &'static [&'static str] = &[];
    /// The depths to which an order book can be subscribed, if the messages do not say to which it was.
    const DEPTHS: &'static [usize] = &[];
    /// By what checksum its kept books can be proven.
    const CHECKSUM: Option<Checksum> = None;
    /// Whether its numbers may begin anew: then a lower number in a later message tells of a loss,
    /// elsewhere of a repetition.
    const NUMBERS_RESTART: bool = false;
    /// Whether changes may build on its whole books, which come in messages of another form.
    const WHOLE_IS_BASE: bool = false;
    /// What its change of price is against.
    const CHANGE_BASIS: ChangeBasis;
    /// How its messages look, for the simulator.
    const WIRE: Wire;

    /// What a member of a ticker message says, around or inside the payload.
    fn ticker(key: &[u8]) -> Meaning;

    /// Computes the columns that are not sent.
    fn complete<V: Value>(ticker: &mut Ticker<V>) -> Result<()>;

    /// Reads one member of an order-book message, around or inside the payload.
    fn order_book<T: Text>(
        key: &[u8],
        reader: &mut Reader<T>,
        book: &mut OrderBook<T::Value>,
    ) -> Result<()>;

    /// The sort of a message that is neither ticker nor order book, if it is a control message.
    fn control(message: &Members) -> Option<Control>;
}

/// What a change of price is against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeBasis {
    /// The last price of the day before.
    PrevClose,
    /// The price of 24 hours ago.
    Rolling24h,
}

impl ChangeBasis {
    pub const fn name(self) -> &'static str {
        match self {
            ChangeBasis::PrevClose => "prev_close",
            ChangeBasis::Rolling24h => "rolling_24h",
        }
    }
}

/// One exchange's rules as plain data: names and functions.
pub struct Exchange {
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    pub depths: &'static [usize],
    pub checksum: Option<Checksum>,
    pub numbers_restart: bool,
    pub whole_is_base: bool,
    pub change_basis: ChangeBasis,
    pub wire: Wire,
    pub control: fn(&Members) -> Option<Control>,
    /// What a ticker's members say.
    pub ticker: fn(&[u8]) -> Meaning,
    /// The members that wrap the payload.
    pub payload: &'static [&'static str],
    escaped: Readers<Escaped>,
    compact: Readers<Compact>,
    plain: Readers<Plain>,
    long: Readers<Long>,
    /// Reads the messages of an item apart from each other.
    pub tickers_apart: ReadApart<Long, Ticker<Wide>>,
    pub order_books_apart: ReadApart<Long, OrderBook<Wide>>,
}

/// Reads the messages of an item.
type ReadItem<T, Message> = fn(&mut Reader<T>, &mut Drafts<Message>) -> Result<()>;

/// Reads the messages of an item, each apart from the others.
type ReadApart<T, Message> = fn(&mut Reader<T>, &mut Drafts<Message>, &mut Vec<Part>) -> Result<()>;

/// The functions that read one kind of text.
pub struct Readers<T: Text> {
    pub tickers: ReadItem<T, Ticker<T::Value>>,
    pub complete: fn(&mut Ticker<T::Value>) -> Result<()>,
    pub order_books: ReadItem<T, OrderBook<T::Value>>,
}

impl Exchange {
    const fn of<R: Rules>() -> Self {
        Exchange {
            name: R::NAME,
            aliases: R::ALIASES,
            depths: R::DEPTHS,
            checksum: R::CHECKSUM,
            numbers_restart: R::NUMBERS_RESTART,
            whole_is_base: R::WHOLE_IS_BASE,
            change_basis: R::CHANGE_BASIS,
            wire: R::WIRE,
            control: R::control,
            ticker: R::ticker,
            payload: R::PAYLOAD,
            escaped: Readers::of::<R>(),
            compact: Readers::of::<R>(),
            plain: Readers::of::<R>(),
            long: Readers::of::<R>(),
            tickers_apart: messages_apart::<R, Long, Ticker<Wide>>,
            order_books_apart: messages_apart::<R, Long, OrderBook<Wide>>,
        }
    }

    /// The place in `ALL` of the exchange that an envelope names, in any case.
    pub fn find(market: &[u8]) -> Option<usize> {
        ALL.iter().position(|exchange| {
            let mut names = exchange.aliases.iter().chain([&exchange.name]);
            names.any(|name| name.as_bytes().eq_ignore_ascii_case(market))
        })
    }
}

impl<T: Text> Readers<T> {
    const fn of<R: Rules>() -> Self {
        Readers {
            tickers: messages::<R, T, Ticker<T::Value>>,
            complete: R::complete,
            order_books: messages::<R, T, OrderBook<T::Value>>,
        }
    }
}

/// A kind of text that has its functions in every exchange.
pub trait Spelling: Text {
    /// Its place among all of them.
    const PLACE: usize;
    fn readers(exchange: &Exchange) -> &Readers<Self>;
}

macro_rules! spelling {
    ($($text:ident $field:ident $place:literal),*) => {
        /// How many there are.
        pub const SPELLINGS: usize = [$($place),*].len();

        $(impl Spelling for $text {
            const PLACE: usize = $place;

            fn readers(exchange: &Exchange) -> &Readers<Self> {
                &exchange.$field
            }
        })*
    };
}
spelling!(Escaped escaped 0, Compact compact 1, Plain plain 2, Long long 3);

/// Reads the word by which a message says of which kind it is: one of these, or one that begins
/// like one of these that end in a dot. `words` counts such words, of which there may be one.
#[inline(always)]
pub(crate) fn expect_word<T: Text>(
    words: &mut u8,
    reader: &mut Reader<T>,
    expected: &[&str],
) -> Result<()> {
    reader.apart(|reader| expect_word_apart(words, reader, expected))
}

#[inline(never)]
fn expect_word_apart<T: Text>(
    words: &mut u8,
    reader: &mut Reader<T>,
    expected: &[&str],
) -> Result<()> {
    *words += 1;
    if *words > 1 {
        return Err(Error::Duplicate);
    }
    if reader.null() {
        return Ok(());
    }
    let word = reader.string_if_any()?.ok_or(Error::Kind)?;
    let is_expected = |expected: &&str| {
        let expected = expected.as_bytes();
        word == expected || (expected.ends_with(b".") && word.starts_with(expected))
    };
    if expected.iter().any(is_expected) { Ok(()) } else { Err(Error::Kind) }
}

/// Reads a whole number, in quotes or not, that may stand in a message once.
#[inline(always)]
fn read_once<T: Text>(into: &mut Option<i64>, reader: &mut Reader<T>) -> Result<()> {
    reader.apart(|reader| read_once_apart(into, reader))
}

#[inline(never)]
fn read_once_apart<T: Text>(into: &mut Option<i64>, reader: &mut Reader<T>) -> Result<()> {
    let quick = reader.whole_number().and_then(|number| i64::try_from(number).ok());
    let number = match quick {
        None => any_whole_number(reader)?,
        quick => quick,
    };
    let Some(number) = number else { return Ok(()) };
    match into.replace(number) {
        Some(_) => Err(Error::Duplicate),
        None => Ok(()),
    }
}

#[cold]
fn any_whole_number<T: Text>(reader: &mut Reader<T>) -> Result<Option<i64>> {
    let Some(number) = reader.number_if_any()? else { return Ok(None) };
    let text = std::str::from_utf8(number.text()).map_err(|_| Error::Utf8)?;
    text.parse().map(Some).map_err(|_| Error::Number)
}
