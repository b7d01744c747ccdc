//! What the messages of one item say, read member by member and collected before any takes effect.

use std::ops::Range;

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
    /// Takes over from the object around the payload what the payload does not say itself, but for
    /// names.
    fn inherit(&mut self, outer: &Self);
    /// Borrows the names that it lacks from the object around the payload. Thousands of payloads may
    /// share one object, so names are not copied.
    fn borrow_names(&mut self, outer: &mut Self);
    /// Gives back the names that it has borrowed.
    fn return_names(&mut self, outer: &mut Self);
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

/// How many drafts most items have: a message and its payload.
const USUAL: usize = 2;

/// What a draft is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Message,
    /// The object around payloads, which are the messages.
    Around,
    /// A payload of the object whose draft stands at this place.
    Payload(usize),
}

/// The messages of one item. They are collected before any takes effect, and their memory is used again.
#[derive(Debug, Default)]
pub struct Drafts<D> {
    all: Vec<(D, Role)>,
    used: usize,
    extended: bool,
}

impl<D: Draft> Drafts<D> {
    pub fn clear(&mut self, extended: bool) {
        self.extended = extended;
        self.all.truncate(FEW); // one item of many is no reason to keep memory for all
        if self.used > USUAL {
            self.reset_more();
        }
        self.used = 0;
    }

    /// Gives back the memory of drafts that the next item mostly does not need.
    #[cold]
    #[inline(never)]
    fn reset_more(&mut self) {
        for (draft, _) in self.all.iter_mut().take(self.used).skip(USUAL) {
            draft.reset(self.extended);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Visits the messages in their order, until one fails.
    #[inline(always)]
    pub fn visit(&mut self, mut visit: impl FnMut(&mut D) -> Result<()>) -> Result<()> {
        for at in 0..self.used {
            self.visit_at(at, &mut visit)?;
        }
        Ok(())
    }

    /// Visits all messages, or those at some places.
    #[inline(always)]
    pub fn visit_some(
        &mut self,
        some: Option<&[usize]>,
        mut visit: impl FnMut(&mut D) -> Result<()>,
    ) -> Result<()> {
        match some {
            None => self.visit(visit),
            Some(places) => places.iter().try_for_each(|at| self.visit_at(*at, &mut visit)),
        }
    }

    /// Visits the message at a place, if one is there.
    #[inline(always)]
    pub fn visit_at(
        &mut self,
        at: usize,
        visit: &mut impl FnMut(&mut D) -> Result<()>,
    ) -> Result<()> {
        match self.all[at].1 {
            Role::Message => visit(&mut self.all[at].0),
            Role::Around => Ok(()),
            Role::Payload(outer) => {
                let (before, from) = self.all.split_at_mut(at);
                let (outer, payload) = (&mut before[outer].0, &mut from[0].0);
                payload.borrow_names(outer);
                let result = visit(payload);
                payload.return_names(outer);
                result
            }
        }
    }

    /// Begins the next draft; its place.
    #[inline(always)]
    pub fn begin(&mut self) -> Result<usize> {
        let at = self.used;
        if at == MOST {
            return Err(Error::Size);
        }
        if self.all.len() == at {
            self.all.push((D::default(), Role::Message));
        }
        let (draft, role) = &mut self.all[at];
        draft.reset(self.extended);
        *role = Role::Message;
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
            around.1 = Role::Around;
            for (payload, role) in payloads {
                payload.inherit(&around.0);
                *role = Role::Payload(outer);
            }
        }
    }

    /// Takes back all drafts from a place on.
    fn take_back(&mut self, place: usize) {
        self.used = place;
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

/// A message that was read apart from those beside it, or the reason why it cannot be read.
#[derive(Clone, Debug)]
pub struct Part {
    /// Where the element of the item's array, or all of the item, stands in the text.
    pub element: Range<usize>,
    /// Where the payload stands, if it is one of an array of them.
    pub payload: Option<PayloadPlace>,
    /// The place of the draft, or the error.
    pub draft: Result<usize>,
}

/// Where a payload stands in the text, and the array around it, brackets included.
#[derive(Clone, Debug)]
pub struct PayloadPlace {
    pub array: Range<usize>,
    pub payload: Range<usize>,
}

impl Part {
    /// How many bytes of the element stand around the payload.
    pub fn around(&self) -> usize {
        let place = self.payload.as_ref();
        place.map_or(0, |place| self.element.len() - place.array.len() + 2)
    }

    /// The part alone, as an item of its own.
    pub fn alone(&self, text: &[u8]) -> Vec<u8> {
        let Some(PayloadPlace { array, payload }) = &self.payload else {
            return text[self.element.clone()].to_vec();
        };
        let (before, behind) = (self.element.start..=array.start, array.end - 1..self.element.end);
        [&text[before], &text[payload.clone()], &text[behind]].concat()
    }
}

/// Reads messages apart: what cannot be read is stepped over and costs itself alone. Fails if the
/// text is no JSON array or object, or has too many messages.
pub fn messages_apart<R: Rules, T: Text, D: DraftOf<R, T>>(
    reader: &mut Reader<T>,
    drafts: &mut Drafts<D>,
    parts: &mut Vec<Part>,
) -> Result<()> {
    let length = reader.rest().len();
    let at = |reader: &Reader<T>| length - reader.rest().len();
    reader.space();
    let is_array = reader.peek() == Some(b'[');
    let mut more = !is_array || reader.open_array()?;
    while more {
        let (start, known, used) = (at(reader), parts.len(), drafts.used);
        let mut ahead = *reader;
        if let Err(error) = message_apart::<R, T, D>(&mut ahead, length, drafts, parts) {
            if drafts.used == MOST || known >= MOST {
                return Err(Error::Size);
            }
            drafts.take_back(used);
            parts.truncate(known);
            parts.push(Part { element: 0..0, payload: None, draft: Err(error) });
            ahead = *reader;
            ahead.skipped_at_any_depth()?;
        }
        *reader = ahead;
        let element = start..at(reader);
        parts[known..].iter_mut().for_each(|part| part.element = element.clone());
        reader.space();
        more = is_array && reader.next_element()?;
    }
    Ok(())
}

fn message_apart<R: Rules, T: Text, D: DraftOf<R, T>>(
    reader: &mut Reader<T>,
    length: usize,
    drafts: &mut Drafts<D>,
    parts: &mut Vec<Part>,
) -> Result<()> {
    let (outer, known) = (drafts.begin()?, parts.len());
    let mut has_payload = false;
    let mut more = reader.open_object()?;
    while more {
        let key = reader.key()?;
        if is_payload::<R, T>(key, *reader) {
            if has_payload {
                return Err(Error::Duplicate);
            }
            has_payload = true;
            if reader.peek() == Some(b'[') {
                payloads_apart::<R, T, D>(reader, length, drafts, parts)?;
            } else {
                payloads::<R, T, D>(reader, drafts)?;
            }
        } else {
            drafts.at(outer).member(key, reader)?;
        }
        more = reader.next_member()?;
    }
    drafts.end(outer);
    if parts.len() == known {
        // one payload, or none: its draft is the last one
        parts.push(Part { element: 0..0, payload: None, draft: Ok(drafts.used - 1) });
    }
    Ok(())
}

fn payloads_apart<R: Rules, T: Text, D: DraftOf<R, T>>(
    reader: &mut Reader<T>,
    length: usize,
    drafts: &mut Drafts<D>,
    parts: &mut Vec<Part>,
) -> Result<()> {
    let at = |reader: &Reader<T>| length - reader.rest().len();
    let (start, known) = (at(reader), parts.len());
    let mut more = reader.open_array()?;
    while more {
        if parts.len() >= MOST {
            return Err(Error::Size);
        }
        let (begin, payload) = (at(reader), drafts.begin()?);
        let mut ahead = *reader;
        let draft = drafts.at(payload);
        let read = ahead.object(|reader, key| draft.member(key, reader));
        if read.is_err() {
            drafts.take_back(payload);
            ahead = *reader;
            ahead.skipped_at_any_depth()?;
        }
        *reader = ahead;
        let place = PayloadPlace { array: 0..0, payload: begin..at(reader) };
        let draft = read.map(|()| payload);
        parts.push(Part { element: 0..0, payload: Some(place), draft });
        reader.space();
        more = reader.next_element()?;
    }
    let array = start..at(reader);
    for place in parts[known..].iter_mut().filter_map(|part| part.payload.as_mut()) {
        place.array = array.clone();
    }
    Ok(())
}
