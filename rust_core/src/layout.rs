//! How an exchange's ticker messages are laid out, learnt from those before: which text is always
//! the same, and where between it the values stand.
//!
//! A message of which all that text is the same has the same members in the same places, so none of
//! their keys need be found and told apart. A layout never decides what a message means: it is made
//! of what the exchange's rules say of each key, values are read by the same functions, and
//! whatever does not fit is read member by member.

#[cfg(test)]
mod tests;

use crate::draft::Drafts;
use crate::error::{Error, Result};
use crate::exchange::Exchange;
use crate::json::Reader;
use crate::json::pattern::Pattern;
use crate::json::text::Text;
use crate::ticker::{Column, Meaning, Ticker};

/// Longer messages are not learnt, nor those of more members.
const MOST_BYTES: usize = 4096;
const MOST_MEMBERS: usize = 128;

/// What a layout is worth goes up by one with each message that it fits, and down with each sound one
/// that it does not: far enough down, it is not tried for a while.
const BEST: i32 = 32;
const MISS: i32 = 4;
const WORST: i32 = -32;
const REST: u32 = 1000;

/// How the messages of one exchange and spelling are laid out, once some were seen.
#[derive(Debug, Default)]
pub struct Layout {
    /// What it was learnt from.
    survey: Survey,
    /// What is done in turn.
    steps: Vec<Step>,
    score: i32,
    /// How many messages are still read without it.
    rest: u32,
}

/// All members of a message.
#[derive(Debug, Default)]
struct Survey {
    members: Vec<Member>,
    /// What comes behind the last value.
    end: Vec<u8>,
    has_payload: bool,
}

/// One member, and what is known of its values.
#[derive(Debug)]
struct Member {
    /// All that stands between the value before and this one.
    before: Vec<u8>,
    meaning: Meaning,
    is_in_payload: bool,
    value: Vec<u8>,
    form: Form,
    /// Whether there were others.
    varies: bool,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Bare,
    /// Without escapes.
    Quoted,
    /// Now so, now so; or in another way.
    Any,
}

/// Some text that must come next, and what is to be done behind it.
#[derive(Debug)]
struct Step {
    text: Pattern,
    value: Value,
    is_in_payload: bool,
}

#[derive(Debug)]
enum Value {
    Column(Column),
    Time(u8),
    /// What is skipped, if it is bare.
    Bare,
    /// What is skipped between quotes that belong to the text around.
    InsideString,
    /// Whatever the rules say.
    Any(Meaning),
    /// There is no other.
    None,
}

impl Layout {
    /// Reads an item whose only message is laid out so. Otherwise what it leaves behind is to be
    /// thrown away.
    #[inline(never)]
    pub fn read<T: Text>(
        &mut self,
        reader: &mut Reader<T>,
        drafts: &mut Drafts<Ticker<T::Value>>,
    ) -> bool {
        if self.rest > 0 {
            self.rest -= 1;
            return false;
        }
        let mut local = *reader;
        if self.follow(&mut local, drafts).is_none() {
            return false;
        }
        *reader = local;
        self.score = (self.score + 1).min(BEST);
        true
    }

    #[inline(always)]
    fn follow<T: Text>(
        &self,
        reader: &mut Reader<T>,
        drafts: &mut Drafts<Ticker<T::Value>>,
    ) -> Option<()> {
        let outer = drafts.begin().ok()?;
        if self.survey.has_payload {
            drafts.begin().ok()?;
        }
        for step in &self.steps {
            if !reader.pattern(&step.text) {
                return None;
            }
            let ticker = drafts.at(outer + usize::from(step.is_in_payload));
            match step.value {
                Value::Column(column) => ticker.read(column, reader).ok()?,
                Value::Time(rank) => ticker.time.read_quick(rank, reader).ok()?,
                Value::Bare => reader.bare().ok()?,
                Value::InsideString => reader.inside_string(),
                Value::Any(meaning) => {
                    reader.space(); // as behind any key
                    reader.apart(|reader| ticker.take_apart(meaning, reader)).ok()?;
                }
                Value::None => {
                    drafts.end(outer);
                    return Some(());
                }
            }
        }
        None // nothing was learnt
    }

    /// Learns from an item that was read member by member and is sound.
    #[cold]
    pub fn learn<T: Text>(&mut self, item: &[u8], exchange: &Exchange, is_extended: bool) {
        if self.rest > 0 || item.len() > MOST_BYTES {
            return;
        }
        self.score -= MISS;
        if self.score < WORST {
            (self.rest, self.score) = (REST, WORST / 2);
            return;
        }
        let Ok(survey) = Surveyor::<T>::survey(item, exchange) else { return };
        if self.survey.has_members_of(&survey) {
            if !self.survey.widen(&survey) {
                return; // what does not fit is no value
            }
        } else if self.score < 0 {
            self.survey = survey;
        } else {
            return; // an exception
        }
        self.plan(T::QUOTE, is_extended);
    }

    /// Makes steps of what is known.
    fn plan(&mut self, quote: &[u8], is_extended: bool) {
        self.steps.clear();
        let mut text = Vec::new();
        for member in &self.survey.members {
            text.extend_from_slice(&member.before);
            let Some(value) = member.step(is_extended) else {
                text.extend_from_slice(&member.value);
                continue;
            };
            let quote = if matches!(value, Value::InsideString) { quote } else { b"" };
            text.extend_from_slice(quote);
            self.steps.push(Step {
                text: Pattern::new(&text),
                value,
                is_in_payload: member.is_in_payload,
            });
            text.clear();
            text.extend_from_slice(quote);
        }
        text.extend_from_slice(&self.survey.end);
        self.steps.push(Step {
            text: Pattern::new(&text),
            value: Value::None,
            is_in_payload: false,
        });
    }
}

impl Survey {
    /// Whether the members are the same. Their keys stand in the text before each value.
    fn has_members_of(&self, other: &Self) -> bool {
        self.end == other.end
            && self.members.len() == other.members.len()
            && self.members.iter().zip(&other.members).all(|(here, there)| {
                here.before == there.before && here.is_in_payload == there.is_in_payload
            })
    }

    /// Takes in what is different about the same members; whether anything is new about it.
    fn widen(&mut self, other: &Self) -> bool {
        let mut is_new = false;
        for (here, there) in self.members.iter_mut().zip(&other.members) {
            let known = (here.varies, here.form);
            here.varies |= here.value != there.value;
            if here.form != there.form {
                here.form = Form::Any;
            }
            is_new |= known != (here.varies, here.form);
        }
        is_new
    }
}

impl Member {
    /// What is to be done where the value stands; nothing if it is always the same text.
    fn step(&self, is_extended: bool) -> Option<Value> {
        let skipped = || match self.form {
            Form::Bare => Value::Bare,
            Form::Quoted => Value::InsideString,
            Form::Any => Value::Any(Meaning::Nothing),
        };
        match self.meaning {
            Meaning::Column(column) => Some(Value::Column(column)),
            Meaning::Time(rank) => Some(Value::Time(rank)),
            Meaning::Instrument if !is_extended => self.varies.then(skipped),
            Meaning::Nothing => self.varies.then(skipped),
            Meaning::Kind(_) => self.varies.then_some(Value::Any(self.meaning)),
            meaning => Some(Value::Any(meaning)),
        }
    }
}

/// Goes through a message that is sound.
struct Surveyor<'a, T> {
    item: &'a [u8],
    reader: Reader<'a, T>,
    /// Where the last value ended.
    from: usize,
    survey: Survey,
}

impl<'a, T: Text> Surveyor<'a, T> {
    /// What an item consists of, if that is one message with at most one payload.
    fn survey(item: &'a [u8], exchange: &Exchange) -> Result<Survey> {
        let mut surveyor =
            Surveyor { item, reader: Reader::<T>::new(item), from: 0, survey: Survey::default() };
        surveyor.reader.space();
        surveyor.members(exchange.ticker, exchange.payload, false)?;
        surveyor.survey.end = item[surveyor.from..].to_vec();
        Ok(surveyor.survey)
    }

    fn members(
        &mut self,
        meaning_of: fn(&[u8]) -> Meaning,
        payload: &[&str],
        is_in_payload: bool,
    ) -> Result<()> {
        let mut more = self.reader.open_object()?;
        while more {
            let key = self.reader.key()?;
            // a value that might be a container in the next message is not learnt
            if payload.iter().any(|name| name.as_bytes() == key) {
                self.payload(meaning_of)?;
            } else {
                match meaning_of(key) {
                    Meaning::Object(members) => self.members(members, &[], is_in_payload)?,
                    meaning => self.member(meaning, is_in_payload)?,
                }
            }
            more = self.reader.next_member()?;
        }
        Ok(())
    }

    fn payload(&mut self, meaning_of: fn(&[u8]) -> Meaning) -> Result<()> {
        self.survey.has_payload = true;
        let is_array = self.reader.peek() == Some(b'[');
        if is_array && !self.reader.open_array()? {
            return Err(Error::Syntax);
        }
        self.members(meaning_of, &[], true)?;
        if is_array && self.reader.next_element()? {
            return Err(Error::Syntax);
        }
        Ok(())
    }

    fn member(&mut self, meaning: Meaning, is_in_payload: bool) -> Result<()> {
        if self.survey.members.len() == MOST_MEMBERS {
            return Err(Error::Size);
        }
        let before = self.item[self.from..self.at()].to_vec();
        let value = self.reader.skipped()?.to_vec();
        self.from += before.len() + value.len();
        let form = form::<T>(&value);
        self.survey.members.push(Member {
            before,
            meaning,
            is_in_payload,
            value,
            form,
            varies: false,
        });
        Ok(())
    }

    fn at(&self) -> usize {
        self.item.len() - self.reader.rest().len()
    }
}

fn form<T: Text>(value: &[u8]) -> Form {
    let inside = value.strip_prefix(T::QUOTE).and_then(|rest| rest.strip_suffix(T::QUOTE));
    match (inside, value) {
        (Some(inside), _) if !inside.contains(&b'\\') => Form::Quoted,
        (Some(_), _) | (None, [b'{' | b'[', ..]) => Form::Any,
        _ => Form::Bare,
    }
}
