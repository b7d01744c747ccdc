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

/// Where the quote stands that closes the string which `text` begins with.
///
/// Text that is escaped once has backslashes before quotes and nowhere else, and quotes behind
/// backslashes. It is followed 64 bytes at a time to the first place where that is not so.
pub fn closing_quote(text: &[u8]) -> Option<usize> {
    let mut at = 1; // where the byte before is no backslash, or one that escapes
    loop {
        at += unescaped(text.get(at - 1..)?)?;
        match text[at - 1..] {
            [b'\\', b'\\', b'"', ..] => return Some(at + 1),
            [b'\\', b'\\', ..] => at += 2,
            [b'\\', ..] => at += 1,
            _ => return Some(at),
        }
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
        let end = closing_quote(&rest[quote..]).ok_or(Error::Syntax)? - 1;
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
            let inside = closing_quote_by_school(text.as_bytes());
            let string = format!("\"{text}");
            prop_assert_eq!(closing_quote(string.as_bytes()), inside.map(|end| end + 1));
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
