//! What the messages of one item say, read member by member and collected before any takes effect.

use crate::error::{Error, Result};
use crate::exchange::Rules;
use crate::json::Reader;
use crate::json::text::Text;
use crate::order_book::OrderBook;
use crate::ticker::Ticker;

/// What a message says, before it takes effect.
pub trait Draft: Default {
    /// Makes it as good as new. `extended` tells whether records will be.
    fn reset(&mut self, extended: bool);
    /// Takes over from the object around the payload what the payload does not say itself.
    fn inherit(&mut self, outer: &Self);
}

/// A draft that an exchange's rules fill from one kind of text.
pub trait DraftOf<R: Rules, T: Text>: Draft {
    fn member(&mut self, key: &[u8], reader: &mut Reader<T>) -> Result<()>;
}

impl<R: Rules, T: Text> DraftOf<R, T> for Ticker<T::Value> {
    #[inline(always)]
    fn member(&mut self, key: &[u8], reader: &mut Reader<T>) -> Result<()> {
        self.take(R::ticker(key), reader)
    }
}

impl<R: Rules, T: Text> DraftOf<R, T> for OrderBook<T::Value> {
    #[inline(always)]
    fn member(&mut self, key: &[u8], reader: &mut Reader<T>) -> Result<()> {
        R::order_book(key, reader, self)
    }
}

/// How many messages one item may have; and of how many the memory is kept.
const MOST: usize = 10_000;
const FEW: usize = 16;

/// The messages of one item. They are collected before any takes effect, and their memory is used again.
#[derive(Debug, Default)]
pub struct Drafts<D> {
    /// And which of them are messages.
    all: Vec<(D, bool)>,
    used: usize,
    extended: bool,
}

impl<D: Draft> Drafts<D> {
    pub fn clear(&mut self, extended: bool) {
        self.used = 0;
        self.extended = extended;
        self.all.truncate(FEW); // one item of many is no reason to keep memory for all
    }

    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// The messages, in their order.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut D> {
        self.all[..self.used]
            .iter_mut()
            .filter_map(|(draft, is_message)| is_message.then_some(draft))
    }

    /// Begins the next draft; its place.
    #[inline(always)]
    pub fn begin(&mut self) -> Result<usize> {
        let at = self.used;
        if at == MOST {
            return Err(Error::Size);
        }
        if self.all.len() == at {
            self.all.push((D::default(), true));
        }
        let (draft, is_message) = &mut self.all[at];
        draft.reset(self.extended);
        *is_message = true;
        self.used += 1;
        Ok(at)
    }

    #[inline(always)]
    pub fn at(&mut self, place: usize) -> &mut D {
        &mut self.all[place].0
    }

    /// Ends a message that began at `outer`: with payloads, it is they that are the messages.
    pub fn end(&mut self, outer: usize) {
        if let [around, payloads @ ..] = &mut self.all[outer..self.used]
            && !payloads.is_empty()
        {
            around.1 = false;
            for payload in payloads {
                payload.0.inherit(&around.0);
            }
        }
    }
}

/// Reads a message, or an array of them, member by member. Loops instead of closures, and a copy
/// of the reader, keep it in registers.
#[inline(never)]
pub fn messages<R: Rules, T: Text, D: DraftOf<R, T>>(
    reader: &mut Reader<T>,
    drafts: &mut Drafts<D>,
) -> Result<()> {
    reader.space();
    let mut local = *reader;
    let is_array = local.peek() == Some(b'[');
    let mut more = !is_array || local.open_array()?;
    while more {
        let outer = drafts.begin()?;
        let mut has_payload = false;
        let mut more_members = local.open_object()?;
        while more_members {
            let key = local.key()?;
            if is_payload::<R, T>(key, local) {
                if has_payload {
                    return Err(Error::Duplicate);
                }
                has_payload = true;
                local.apart(|reader| payloads::<R, T, D>(reader, drafts))?;
            } else {
                drafts.at(outer).member(key, &mut local)?;
            }
            more_members = local.next_member()?;
        }
        drafts.end(outer);
        more = is_array && local.next_element()?;
    }
    *reader = local;
    Ok(())
}

#[inline(always)]
fn is_payload<R: Rules, T: Text>(key: &[u8], reader: Reader<T>) -> bool {
    matches!(reader.peek(), Some(b'{' | b'['))
        && R::PAYLOAD.iter().any(|name| key == name.as_bytes())
}

/// Reads a payload, or an array of them.
#[inline(never)]
fn payloads<R: Rules, T: Text, D: DraftOf<R, T>>(
    reader: &mut Reader<T>,
    drafts: &mut Drafts<D>,
) -> Result<()> {
    let mut local = *reader;
    let is_array = local.peek() == Some(b'[');
    let mut more = !is_array || local.open_array()?;
    while more {
        let payload = drafts.begin()?;
        let draft = drafts.at(payload);
        let mut more_members = local.open_object()?;
        while more_members {
            let key = local.key()?;
            draft.member(key, &mut local)?;
            more_members = local.next_member()?;
        }
        more = is_array && local.next_element()?;
    }
    *reader = local;
    Ok(())
}
