//! The ends of JSON strings, and what is between their quotes.

use memchr::memchr2;

use super::block::Block;
use crate::error::{Error, Result};

/// How many bytes come before the next quote or backslash.
#[inline(always)]
pub fn run(bytes: &[u8]) -> usize {
    // keys and short values end in the first 32 bytes
    if let Some((first, rest)) = bytes.split_first_chunk() {
        let found = Block::load(first).find(b'"', b'\\');
        if found < 16 {
            return found;
        }
        if let Some(second) = rest.first_chunk() {
            let found = Block::load(second).find(b'"', b'\\');
            if found < 16 {
                return 16 + found;
            }
        }
    }
    long_run(bytes)
}

#[inline(never)]
fn long_run(bytes: &[u8]) -> usize {
    memchr2(b'"', b'\\', bytes).unwrap_or(bytes.len())
}

/// The end of a JSON string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closing {
    /// The position of the closing quote.
    pub quote: usize,
    /// Whether the string has escapes other than `\"`.
    pub has_other_escapes: bool,
}

/// Returns the end of the string that `text` begins with.
///
/// Text that is escaped once has backslashes before quotes and nowhere else, and quotes behind
/// backslashes. It is followed 64 bytes at a time to the first place where that is not so.
#[inline(never)]
pub fn closing_quote(text: &[u8]) -> Option<Closing> {
    let at = 1 + unescaped(text)?;
    match text[at - 1] {
        b'\\' => closing_quote_behind_escapes(text, at),
        _ => Some(Closing { quote: at, has_other_escapes: false }),
    }
}

/// Returns the end of a string where the first escape other than `\"` begins before `at`.
#[cold]
#[inline(never)]
fn closing_quote_behind_escapes(text: &[u8], mut at: usize) -> Option<Closing> {
    // at `at`, the byte before is a backslash; behind each escape, it is none or one that escapes
    loop {
        match text[at - 1..] {
            [b'\\', b'\\', b'"', ..] => {
                return Some(Closing { quote: at + 1, has_other_escapes: true });
            }
            [b'\\', b'\\', ..] => at += 2,
            [b'\\', ..] => at += 1,
            _ => return Some(Closing { quote: at, has_other_escapes: true }),
        }
        at += unescaped(text.get(at - 1..)?)?;
    }
}

/// How many bytes come, after the first one, before a quote without a backslash or a backslash
/// without a quote.
#[inline(always)]
fn unescaped(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(window) = text[at..].first_chunk::<65>() {
        let [before, here] = [&window[..64], &window[1..]].map(|bytes| bytes.as_chunks::<16>().0);
        let odd: [Block; 4] = std::array::from_fn(|i| {
            Block::load(&before[i]).equal_to(b'\\').xor(Block::load(&here[i]).equal_to(b'"'))
        });
        let [first, second, third, fourth] = odd;
        if first.or(second).or(third.or(fourth)).bits() != 0 {
            let bits = (0..).step_by(16).zip(odd);
            let bits = bits.fold(0, |bits, (at, odd)| bits | u64::from(odd.bits()) << at);
            return Some(at + bits.trailing_zeros() as usize);
        }
        at += 64;
    }
    let odd = text[at..].windows(2).position(|pair| (pair[0] == b'\\') != (pair[1] == b'"'));
    odd.map(|odd| at + odd)
}

/// Decodes what is between the quotes of a JSON string onto `out`. A lone surrogate is no text.
pub fn unescape(mut raw: &[u8], out: &mut Vec<u8>) -> Result<()> {
    loop {
        let (run, rest) = raw.split_at(run(raw));
        out.extend_from_slice(run);
        let [b'\\', byte, rest @ ..] = rest else {
            return if rest.is_empty() { Ok(()) } else { Err(Error::Syntax) };
        };
        raw = rest;
        out.push(match byte {
            b'"' | b'\\' | b'/' => *byte,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let (character, rest) = unicode_escape(raw)?;
                raw = rest;
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            _ => return Err(Error::Syntax),
        });
    }
}

/// The character whose escape goes on with `raw`, after its `\u`, and what is left.
fn unicode_escape(raw: &[u8]) -> Result<(char, &[u8])> {
    let (first, rest) = code_unit(raw).ok_or(Error::Syntax)?;
    if first & 0xfc00 != 0xd800 {
        return Ok((char::from_u32(first).ok_or(Error::Utf8)?, rest));
    }
    let rest = rest.strip_prefix(b"\\u").ok_or(Error::Utf8)?;
    let (second, rest) = code_unit(rest).ok_or(Error::Syntax)?;
    if second & 0xfc00 != 0xdc00 {
        return Err(Error::Utf8);
    }
    let code = 0x10000 + ((first & 0x3ff) << 10) + (second & 0x3ff);
    Ok((char::from_u32(code).ok_or(Error::Utf8)?, rest))
}

fn code_unit(raw: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, rest) = raw.split_at_checked(4)?;
    let unit = digits
        .iter()
        .try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)?))?;
    Some((unit, rest))
}

/// Appends a JSON text to `simple`, with the escapes of ASCII characters in its strings decoded:
/// `"\u0061sks"` becomes `"asks"`, so that keys, words and numbers can be compared as written.
///
/// Only quotes, backslashes and control characters stay escaped. All other bytes are copied, be they
/// JSON or not, so that a text is as sound as its simplified text.
pub fn simplify(text: &[u8], simple: &mut Vec<u8>) {
    let (mut rest, mut is_in_string) = (text, false);
    while !rest.is_empty() {
        let length = match rest[0] {
            b'\\' if is_in_string => {
                if let Some((character, length)) = ascii_escape(rest) {
                    if matches!(character, b'"' | b'\\') {
                        simple.push(b'\\');
                    }
                    simple.push(character);
                    rest = &rest[length..];
                    continue;
                }
                rest.len().min(2)
            }
            b'"' => {
                is_in_string = !is_in_string;
                1
            }
            b'\\' => 1,
            _ => run(rest),
        };
        simple.extend_from_slice(&rest[..length]);
        rest = &rest[length..];
    }
}

/// Returns the ASCII character, control characters excepted, whose escape `text` begins with, and
/// the length of the escape. `\"` and `\\` are as short as they can be and are not returned.
fn ascii_escape(text: &[u8]) -> Option<(u8, usize)> {
    match text {
        [b'\\', b'/', ..] => Some((b'/', 2)),
        [b'\\', b'u', rest @ ..] => {
            let (unit, _) = code_unit(rest)?;
            let character = u8::try_from(unit).ok()?;
            (0x20..0x80).contains(&character).then_some((character, 6))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Closing, closing_quote, run, simplify, unescape};
    use crate::error::Error;

    /// Byte by byte.
    fn closing_quote_by_school(bytes: &[u8]) -> Option<usize> {
        let mut escaped = false;
        bytes.iter().position(|byte| {
            let closes = *byte == b'"' && !escaped;
            escaped = *byte == b'\\' && !escaped;
            closes
        })
    }

    proptest! {
        #[test]
        fn quotes_close_behind_even_backslashes(text in "[a\"\\\\]{0,200}", pad in 0usize..80) {
            let text = format!("{}{text}", "x".repeat(pad));
            let inside = closing_quote_by_school(text.as_bytes());
            let string = format!("\"{text}");
            let closing = inside.map(|end| Closing {
                quote: end + 1,
                has_other_escapes: text[..end].replace("\\\"", "").contains('\\'),
            });
            prop_assert_eq!(closing_quote(string.as_bytes()), closing);
        }

        #[test]
        fn runs_end_at_quotes_and_backslashes(text in "[ab]{0,50}[\"\\\\]?[ab]{0,9}") {
            let end = text.find(['"', '\\']).unwrap_or(text.len());
            prop_assert_eq!(run(text.as_bytes()), end);
        }

        #[test]
        fn what_is_escaped_is_unescaped(text in "\\PC{0,60}") {
            let units: Vec<String> =
                text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            let escaped = units.concat();
            let mut found = Vec::new();
            unescape(escaped.as_bytes(), &mut found).unwrap();
            prop_assert_eq!(String::from_utf8(found).unwrap(), text.clone());
            let simple = simplified(&format!("[\"{escaped}\"]"));
            let mut again = Vec::new();
            unescape(&simple.as_bytes()[2..simple.len() - 2], &mut again).unwrap();
            prop_assert_eq!(String::from_utf8(again).unwrap(), text);
        }

        /// A text that is simple stays as it is, whatever escapes and quotes it has.
        #[test]
        fn simple_text_stays_as_it_is(text in "([a\"u06]|\\\\[\"\\\\nu/])*\\\\?") {
            let simple = simplified(&text);
            prop_assert!(simple.len() <= text.len());
            prop_assert_eq!(simplified(&simple), simple);
        }
    }

    fn simplified(text: &str) -> String {
        let mut simple = Vec::new();
        simplify(text.as_bytes(), &mut simple);
        String::from_utf8(simple).unwrap()
    }

    #[test]
    fn escapes_of_ascii_characters_are_decoded() {
        for (text, simple) in [
            (r#"{"\u0061\u004B":"\u002b\/\u007f"}"#, "{\"aK\":\"+/\u{7f}\"}"),
            (r#"["\u0022\u005c\u005C\"\\"]"#, r#"["\"\\\\\"\\"]"#),
            (r#"["\n\u000a\u00e9\ud800\ud83d\ude00"]"#, r#"["\n\u000a\u00e9\ud800\ud83d\ude00"]"#),
            (r#"["\\u0061", \u0061, \/"#, r#"["\\u0061", \u0061, \/"#),
            (r#"["\x\u006\u00"#, r#"["\x\u006\u00"#),
            (r#"["\u0061"#, r#"["a"#),
            (r#"["\"#, r#"["\"#),
        ] {
            assert_eq!(simplified(text), simple);
        }
    }

    #[test]
    fn half_of_a_pair_is_no_text() {
        for text in ["\\ud800", "\\udc00", "\\ud800x", "\\ud800\\u0041", "\\ud800\\ud800"] {
            assert_eq!(unescape(text.as_bytes(), &mut Vec::new()), Err(Error::Utf8), "{text}");
        }
        for text in ["\\", "\\x", "\\u12", "\\u12g4"] {
            assert_eq!(unescape(text.as_bytes(), &mut Vec::new()), Err(Error::Syntax), "{text}");
        }
    }
}
