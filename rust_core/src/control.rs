//! Control messages: what an exchange says about the connection instead of the market.

use memchr::memchr;

use crate::error::{Error, Result};
use crate::exchange::Exchange;
use crate::json::Reader;
use crate::json::string::closing_quote;
use crate::json::text::Plain;
use crate::ticker::Meaning;

/// The sorts by which control messages are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Control {
    /// A subscription was taken or ended.
    Subscription,
    /// A heartbeat, ping or pong.
    Heartbeat,
    /// The state of the connection or of the exchange.
    Status,
    /// Something is going to happen, such as a restart.
    Notice,
    /// The exchange, or the collector, could not do what was asked.
    Error,
}

pub const CONTROLS: [&str; 5] = ["subscription", "heartbeat", "status", "notice", "error"];

/// How many control messages there are of each sort, in the order of `CONTROLS`.
pub type Sorts = [u64; CONTROLS.len()];

/// The members of a message's object, their values as written.
#[derive(Debug, Default)]
pub struct Members<'a>(Vec<(&'a [u8], &'a [u8])>);

impl<'a> Members<'a> {
    /// The members of a JSON object, none of anything else.
    pub fn of(text: &'a [u8]) -> Self {
        let mut members = Vec::new();
        let mut reader = Reader::<Plain>::new(text);
        reader.space();
        let read: Result<()> = reader.object(|reader, key| {
            members.push((key, reader.skipped()?));
            Ok(())
        });
        if read.is_ok() && reader.is_at_end() { Members(members) } else { Members::default() }
    }

    /// The value of a member as written, a string without its quotes; empty if it is missing or null.
    pub fn get(&self, name: &str) -> &'a [u8] {
        let found = self.0.iter().find(|(key, _)| *key == name.as_bytes());
        match found.map_or(&b""[..], |(_, value)| *value) {
            b"null" => b"",
            [b'"', text @ .., b'"'] => text,
            value => value,
        }
    }

    /// Whether there is such a member, be it null.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| *key == name.as_bytes())
    }

    /// Whether such a member is an object or an array with something in it.
    pub fn holds(&self, name: &str) -> bool {
        match self.get(name) {
            [b'{', inside @ .., b'}'] | [b'[', inside @ .., b']'] => {
                !inside.trim_ascii().is_empty()
            }
            _ => false,
        }
    }

    /// The members of a member.
    #[must_use]
    pub fn within(&self, name: &str) -> Members<'a> {
        Members::of(self.get(name))
    }
}

/// The sorts of a control message, or of an array of them, whose text is not escaped; nothing if it
/// is none, as is a message with prices or sizes in it, whatever else it says.
pub fn control(text: &[u8], exchange: &Exchange) -> Option<Sorts> {
    let mut sorts = Sorts::default();
    if matches!(text.trim_ascii(), b"ping" | b"pong") {
        sorts[Control::Heartbeat as usize] = 1; // OKX sends them bare
        return Some(sorts);
    }
    let mut reader = Reader::<Plain>::new(text);
    reader.space();
    let read = reader.each(|reader| {
        let members = Members::of(reader.skipped()?);
        let error = (!members.get("error").is_empty()).then_some(Control::Error);
        sorts[(exchange.control)(&members).or(error).ok_or(Error::Kind)? as usize] += 1;
        Ok(())
    });
    let is_any = sorts.iter().any(|count| *count > 0);
    let is_control = is_any && read.is_ok() && reader.is_at_end();
    (is_control && !has_market_data(text, exchange)).then_some(sorts)
}

/// The members that hold the levels of order books, of all exchanges.
const SIDES: [&[u8]; 6] = [b"bids", b"asks", b"b", b"a", b"orderbook_units", b"obu"];

/// Returns whether a member at any depth is a column of the exchange's tickers or an array of levels.
fn has_market_data(text: &[u8], exchange: &Exchange) -> bool {
    let mut rest = text;
    while let Some(at) = memchr(b'"', rest) {
        rest = &rest[at..];
        let Some(closing) = closing_quote(rest) else { return false };
        let key = &rest[1..closing.quote];
        rest = rest[closing.quote + 1..].trim_ascii_start();
        let Some(value) = rest.strip_prefix(b":") else { continue };
        let is_side = || SIDES.contains(&key) && value.trim_ascii_start().starts_with(b"[");
        if matches!((exchange.ticker)(key), Meaning::Column(_)) || is_side() {
            return true;
        }
    }
    false
}
