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

/// Where the quote stands that closes a string whose inside `bytes` begin with.
///
/// 64 bytes at a time, after "Parsing Gigabytes of JSON per Second" (Langdale and Lemire, 2019),
/// section 3.1.1: a byte is escaped if an odd number of backslashes stands before it.
pub fn closing_quote(bytes: &[u8]) -> Option<usize> {
    let mut escaped_first = 0;
    let mut at = 0;
    while let Some(chunk) = bytes[at..].first_chunk::<64>() {
        let (quotes, backslashes) = quotes_and_backslashes(chunk);
        let closing = quotes & !escaped(backslashes, &mut escaped_first);
        if closing != 0 {
            return Some(at + closing.trailing_zeros() as usize);
        }
        at += 64;
    }
    let mut is_escaped = escaped_first == 1;
    for (i, byte) in bytes[at..].iter().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return Some(at + i),
            _ => {}
        }
    }
    None
}

#[inline(always)]
fn quotes_and_backslashes(chunk: &[u8; 64]) -> (u64, u64) {
    let (mut quotes, mut backslashes) = (0, 0);
    for (i, part) in chunk.as_chunks::<16>().0.iter().enumerate() {
        let block = Block::load(part);
        quotes |= u64::from(block.equal_to(b'"')) << (16 * i);
        backslashes |= u64::from(block.equal_to(b'\\')) << (16 * i);
    }
    (quotes, backslashes)
}

/// One bit for each byte that a backslash escapes; `first` is whether the first byte of these is,
/// and afterwards whether the first byte of the next is.
#[inline(always)]
fn escaped(backslashes: u64, first: &mut u64) -> u64 {
    const EVEN: u64 = 0x5555_5555_5555_5555;
    let backslashes = backslashes & !*first;
    let follows = backslashes << 1 | *first;
    let odd_starts = backslashes & !EVEN & !follows;
    let (sequences, overflow) = odd_starts.overflowing_add(backslashes);
    *first = u64::from(overflow);
    (EVEN ^ (sequences << 1)) & follows
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

/// Whether an ASCII character stands in a raw string as an escape like `\u0061`. Where the text
/// is escaped itself, each backslash stands there twice.
pub fn is_letter_escaped(raw: &[u8], is_text_escaped: bool) -> bool {
    let mut backslashes = 0;
    raw.iter().enumerate().any(|(at, byte)| {
        let before = backslashes >> u8::from(is_text_escaped);
        backslashes = if *byte == b'\\' { backslashes + 1 } else { 0 };
        before % 2 == 1 && matches!(raw[at..], [b'u', b'0', b'0', b'0'..=b'7', ..])
    })
}

/// Decodes the escapes of ordinary characters in all strings of a JSON text, so that each key
/// stands there as it is compared: `"\u0061sks"` becomes `"asks"`.
pub fn simplify(text: &[u8]) -> Result<Vec<u8>> {
    let (mut simple, mut rest) = (Vec::with_capacity(text.len()), text);
    while let Some(quote) = rest.iter().position(|byte| *byte == b'"') {
        let (before, inside) = rest.split_at(quote + 1);
        simple.extend_from_slice(before);
        let end = closing_quote(inside).ok_or(Error::Syntax)?;
        let mut decoded = Vec::with_capacity(end);
        unescape(&inside[..end], &mut decoded)?;
        for byte in decoded {
            match byte {
                b'"' | b'\\' => simple.extend_from_slice(&[b'\\', byte]),
                0..0x20 => simple.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
                _ => simple.push(byte),
            }
        }
        simple.push(b'"');
        rest = &inside[end + 1..];
    }
    simple.extend_from_slice(rest);
    Ok(simple)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{closing_quote, run, simplify, unescape};
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
            prop_assert_eq!(closing_quote(text.as_bytes()), closing_quote_by_school(text.as_bytes()));
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
            let simple = simplify(format!("[\"{escaped}\"]").as_bytes()).unwrap();
            let mut again = Vec::new();
            unescape(&simple[2..simple.len() - 2], &mut again).unwrap();
            prop_assert_eq!(String::from_utf8(again).unwrap(), text);
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
