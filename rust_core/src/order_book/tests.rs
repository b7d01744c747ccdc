//! Levels in any mixture of spellings are the numbers that were written.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::side::levels;
use crate::error::Error;
use crate::json::Reader;
use crate::json::shape::{Names, Object, Pair, Shape};
use crate::json::text::{Compact, Escaped, Plain, Text};
use crate::number::{Usual, Value};

#[derive(Clone, Copy)]
struct Two;

impl Names<2> for Two {
    const NAMES: [&'static str; 2] = ["price", "qty"];
}

#[derive(Clone, Copy)]
struct Four;

impl Names<4> for Four {
    const NAMES: [&'static str; 4] = ["ask_price", "bid_price", "ask_size", "bid_size"];
}

/// Numbers as they are sent, and as they are not.
const NUMBERS: &[&str] = &[
    "0",
    "1",
    "69012.31",
    "0.05000000",
    "2e-05",
    "1.16539E8",
    "-3",
    "1234567.12345678",
    "5.",
    "12345678901234567890.5",
    "007",
    "1.2.3",
    "",
    "null",
    "x",
    "1e",
];

/// How a level is spelled: what goes before its numbers, between and behind.
const QUOTES: &[&str] = &["\"", "\"", "\"", ""];
const SPACES: &[&str] = &["", " ", " ", "  ", "\n"];
const EXTRA: &[&str] = &["", "", "", ", \"0\"", ",1", ", {\"a\": [1]}", ", ", "]"];

#[derive(Clone, Debug)]
struct Spelling {
    numbers: Vec<&'static str>,
    quote: &'static str,
    after_comma: &'static str,
    after_colon: &'static str,
    extra: &'static str,
}

fn spelling() -> impl Strategy<Value = Spelling> {
    let usual = vec(select(&NUMBERS[..4]), 4);
    let numbers = prop_oneof![4 => usual, 1 => vec(select(NUMBERS), 4)];
    let parts = (select(QUOTES), select(SPACES), select(SPACES), select(EXTRA));
    (numbers, parts, 0..3u8).prop_map(
        |(numbers, (quote, comma, colon, extra), usual)| match usual {
            0 => Spelling { numbers, quote, after_comma: comma, after_colon: colon, extra },
            1 => Spelling { numbers, quote: "\"", after_comma: " ", after_colon: " ", extra: "" },
            _ => Spelling { numbers, quote: "\"", after_comma: "", after_colon: "", extra: "" },
        },
    )
}

impl Spelling {
    fn number(&self, at: usize) -> String {
        format!("{0}{1}{0}", self.quote, self.numbers[at])
    }

    fn pair(&self) -> String {
        let (first, second) = (self.number(0), self.number(1));
        format!("[{first},{}{second}{}]", self.after_comma, self.extra)
    }

    fn object<const N: usize>(&self, names: [&str; N]) -> String {
        let member = |i: usize| format!("\"{}\":{}{}", names[i], self.after_colon, self.number(i));
        let members: Vec<String> = (0..N).map(member).collect();
        let extra = if self.extra.starts_with(", {") { ", \"amt\": [1]" } else { "" };
        format!("{{{}{extra}}}", members.join(&format!(",{}", self.after_comma)))
    }
}

/// All levels, each read by itself.
fn one_by_one<const N: usize, T: Text<Value = Usual>>(
    shape: impl Shape<N>,
    texts: &[String],
) -> Result<Vec<[Usual; N]>, Error> {
    let each = texts.iter().map(|text| {
        let text = format!("{text},"); // whatever comes next
        let mut reader = Reader::<T>::new(text.as_bytes());
        let numbers = shape.any(&mut reader)?;
        if reader.rest() == b"," {
            Ok(numbers.map(|number| number.value))
        } else {
            Err(Error::Syntax)
        }
    });
    each.collect()
}

fn together<const N: usize, T: Text<Value = Usual>>(
    shape: impl Shape<N>,
    texts: &[String],
    between: &str,
) -> Result<Vec<[Usual; N]>, Error> {
    let text = format!("[{}]{}", texts.join(between), " ".repeat(40));
    let mut found = Vec::new();
    let mut reader = Reader::<T>::new(text.as_bytes());
    levels(&mut reader, shape, |numbers| {
        found.push(numbers.map(|number| number.value));
        Ok(())
    })?;
    if reader.rest().trim_ascii().is_empty() { Ok(found) } else { Err(Error::Syntax) }
}

/// Both ways, and whether they agree on what there is, or on that there is a fault.
fn agree<const N: usize, T: Text<Value = Usual>>(
    shape: impl Shape<N>,
    texts: &[String],
    between: &str,
) -> Result<(), TestCaseError> {
    let escape = |text: &String| if T::ESCAPED { text.replace('"', "\\\"") } else { text.clone() };
    let texts: Vec<String> = texts.iter().map(escape).collect();
    let expected = one_by_one::<N, T>(shape, &texts);
    let found = together::<N, T>(shape, &texts, between);
    prop_assert_eq!(found.is_ok(), expected.is_ok(), "{:?} {:?} {:?}", &found, &expected, &texts);
    if let (Ok(found), Ok(expected)) = (found, expected) {
        prop_assert_eq!(found, expected);
    }
    Ok(())
}

fn in_all_spellings<const N: usize>(
    shape: impl Shape<N>,
    texts: &[String],
    between: &str,
) -> Result<(), TestCaseError> {
    agree::<N, Plain>(shape, texts, between)?;
    agree::<N, Escaped>(shape, texts, between)?;
    agree::<N, Compact>(shape, texts, between)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn each_level_is_what_it_is_alone(
        spellings in vec(spelling(), 0..8),
        between in select(&[", ", ",", " , "][..]),
    ) {
        let texts = |text: &dyn Fn(&Spelling) -> String| spellings.iter().map(text).collect::<Vec<_>>();
        in_all_spellings(Pair, &texts(&Spelling::pair), between)?;
        in_all_spellings(Object(Two), &texts(&|level| level.object(Two::NAMES)), between)?;
        in_all_spellings(Object(Four), &texts(&|level| level.object(Four::NAMES)), between)?;
    }
}

#[test]
fn usual_levels_are_their_numbers() {
    let text = br#"["69012.31", "0.05"], ["69012.30", "2"], ["1", "2e-05"]]"#;
    let text = [b"[".as_slice(), text, &[b' '; 40]].concat();
    let mut found = Vec::new();
    levels(&mut Reader::<Plain>::new(&text), Pair, |pair| {
        found.push(pair.map(|number| String::from_utf8(number.text().to_vec()).unwrap()));
        Ok(())
    })
    .unwrap();
    assert_eq!(found.concat(), ["69012.31", "0.05", "69012.30", "2", "1", "2e-05"]);
    assert_eq!(Usual::parse(b"2e-05").unwrap().value, 20_000_000_000_000);
}
