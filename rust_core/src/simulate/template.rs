//! A wire text, compiled once into what is written as it stands and what is filled in.

use super::calendar::date_time;
use super::digits;
use super::field::Field;
use super::wire::{Numbers, Wire};

/// What fills a placeholder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    Nothing,
    Text(&'static str),
    /// A whole number that every exchange writes alike.
    Whole(i64),
    /// Units of 10^-places.
    Number(i64, u8),
    /// Microseconds since 1970, as text.
    Time(i64),
}

/// How a message is spelled.
#[derive(Clone, Copy, Debug)]
pub struct Spelling {
    pub numbers: Numbers,
    /// What stands for nothing.
    pub nothing: &'static str,
    /// As Python writes it that has read it: with spaces, ASCII only, and floats its own way.
    pub reserialised: bool,
    /// Inside of a JSON string.
    pub escaped: bool,
}

impl Spelling {
    pub fn new(wire: &Wire, reserialised: bool, escaped: bool) -> Self {
        Spelling { numbers: wire.numbers, nothing: wire.nothing, reserialised, escaped }
    }

    /// What stands between the elements of an array.
    pub fn comma(&self) -> &'static [u8] {
        if self.reserialised { b", " } else { b"," }
    }
}

/// A place to fill.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    pub field: Field,
    numbers: Numbers,
    python: bool,
    /// The quotes that belong to the value, as nothing has none.
    quote: &'static [u8],
}

/// A compiled text.
#[derive(Clone, Debug)]
pub struct Template {
    pub pieces: Vec<(Vec<u8>, Option<Slot>)>,
    nothing: Vec<u8>,
}

impl Template {
    pub fn new(text: &str, spelling: Spelling) -> Self {
        let text = spaced(text, spelling.reserialised);
        let mut pieces = Vec::new();
        let mut rest = &text[..];
        while let Some((before, field, after)) = placeholder(rest) {
            let in_quotes = before.ends_with('"') && after.starts_with('"');
            let takes_quotes = in_quotes && field.is_column();
            let quote = usize::from(takes_quotes);
            pieces.push((
                spell(&before[..before.len() - quote], spelling),
                Some(Slot::new(field, in_quotes, spelling)),
            ));
            rest = &after[quote..];
        }
        pieces.push((spell(rest, spelling), None));
        Template { pieces, nothing: spell(spelling.nothing, spelling) }
    }

    pub fn has(&self, field: Field) -> bool {
        self.pieces.iter().any(|(_, slot)| slot.is_some_and(|slot| slot.field == field))
    }

    /// Writes the text with its values.
    #[inline]
    pub fn write(&self, out: &mut Vec<u8>, value: impl Fn(Field) -> Value) {
        for (text, slot) in &self.pieces {
            out.extend_from_slice(text);
            if let Some(slot) = slot {
                self.fill(out, slot, value(slot.field));
            }
        }
    }

    /// Writes what fills a place.
    #[inline]
    pub fn fill(&self, out: &mut Vec<u8>, slot: &Slot, value: Value) {
        match value {
            Value::Nothing => out.extend_from_slice(&self.nothing),
            Value::Number(units, places) => slot.number(out, units, places),
            Value::Whole(number) => digits::plain(out, number, 0, 0, false),
            Value::Text(text) => out.extend_from_slice(text.as_bytes()),
            Value::Time(micros) => {
                out.extend_from_slice(&date_time(micros, b'T'));
                out.push(b'Z');
            }
        }
    }
}

impl Slot {
    fn new(field: Field, in_quotes: bool, spelling: Spelling) -> Self {
        let numbers = match (field, spelling.numbers) {
            (Field::Rate | Field::Percentage, Numbers::Fixed(_)) => Numbers::Fixed(0),
            (_, numbers) => numbers,
        };
        let quote: &[u8] = match (in_quotes && field.is_column(), spelling.escaped) {
            (false, _) => b"",
            (true, false) => b"\"",
            (true, true) => b"\\\"",
        };
        // a number in quotes is text, which nobody writes anew
        Slot { field, numbers, python: spelling.reserialised && !in_quotes, quote }
    }

    #[inline]
    fn number(&self, out: &mut Vec<u8>, units: i64, places: u8) {
        out.extend_from_slice(self.quote);
        if self.python {
            digits::write_python(out, units, places, self.numbers);
        } else {
            digits::write(out, units, places, self.numbers);
        }
        out.extend_from_slice(self.quote);
    }
}

/// The first placeholder: what stands before, what it means, what stands behind.
fn placeholder(text: &str) -> Option<(&str, Field, &str)> {
    text.match_indices('{').find_map(|(start, _)| {
        let (name, after) = text[start + 1..].split_once('}')?;
        let is_name = |character: char| character == '_' || character.is_ascii_alphanumeric();
        if name.is_empty() || !name.chars().all(is_name) {
            return None; // an object begins
        }
        let field = Field::find(name).unwrap_or_else(|| panic!("{{{name}}} is no placeholder"));
        Some((&text[..start], field, after))
    })
}

/// The text without white space between tokens, or with as much as Python puts there.
fn spaced(text: &str, reserialised: bool) -> String {
    let (mut in_string, mut escaped) = (false, false);
    let mut out = String::with_capacity(2 * text.len());
    for character in text.chars() {
        if in_string || !character.is_ascii_whitespace() {
            out.push(character);
        }
        if reserialised && !in_string && matches!(character, ':' | ',') {
            out.push(' ');
        }
        in_string ^= character == '"' && !escaped;
        escaped = character == '\\' && !escaped;
    }
    out
}

/// The bytes of a text that is written as it stands.
fn spell(text: &str, spelling: Spelling) -> Vec<u8> {
    let as_it_is =
        |character: char| character.is_ascii() || !(spelling.escaped || spelling.reserialised);
    // JSON in JSON that is ASCII already has its escapes escaped
    let escape = if spelling.escaped && spelling.reserialised { r"\\u" } else { r"\u" };
    let mut out = String::with_capacity(2 * text.len());
    for character in text.chars() {
        match character {
            '"' | '\\' if spelling.escaped => out.extend(['\\', character]),
            character if as_it_is(character) => out.push(character),
            character => {
                let mut units = [0; 2];
                let units = character.encode_utf16(&mut units);
                out.extend(units.iter().map(|unit| format!("{escape}{unit:04x}")));
            }
        }
    }
    out.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"a": "{trade}", "b": [{size}],
        "c": "\"x, y: é"}"#;

    fn text(reserialised: bool, escaped: bool, value: fn(Field) -> Value) -> String {
        let numbers = Numbers::Java;
        let spelling = Spelling { numbers, nothing: "null", reserialised, escaped };
        let mut out = Vec::new();
        Template::new(TEXT, spelling).write(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn spellings() {
        let value = |_| Value::Number(5, 5);
        let text = |reserialised, escaped| text(reserialised, escaped, value);
        assert_eq!(text(false, false), r#"{"a":"5.0E-5","b":[5.0E-5],"c":"\"x, y: é"}"#);
        assert_eq!(text(true, false), r#"{"a": "5.0E-5", "b": [5e-05], "c": "\"x, y: \u00e9"}"#);
        assert_eq!(
            text(false, true),
            r#"{\"a\":\"5.0E-5\",\"b\":[5.0E-5],\"c\":\"\\\"x, y: \u00e9\"}"#
        );
        assert_eq!(
            text(true, true),
            r#"{\"a\": \"5.0E-5\", \"b\": [5e-05], \"c\": \"\\\"x, y: \\u00e9\"}"#
        );
    }

    #[test]
    fn nothing_has_no_quotes() {
        assert!(text(false, true, |_| Value::Nothing).starts_with(r#"{\"a\":null,"#));
    }
}
