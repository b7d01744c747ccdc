//! The ways in which JSON text is written: plain, or escaped inside another JSON string.

use crate::number::{Usual, Value, Wide};

/// How the text is written, and what its numbers become. The spellings that are longer than a
/// quote are only tried first: every kind of text reads any JSON.
pub trait Text: Copy + Sized + 'static {
    type Value: Value;
    const QUOTE: &'static [u8];
    const OPEN_OBJECT: &'static [u8];
    const AFTER_KEY: &'static [u8];
    const NEXT_KEY: &'static [u8];
    const OPEN_PAIR: &'static [u8];
    const MID_PAIR: &'static [u8];
    const NEXT_PAIR: &'static [u8];
    const NEXT_OBJECT: &'static [u8];
    const ESCAPED: bool;
}

/// Whether the text that closes one level and opens another one ends in what opens one.
const fn opens(text: &[u8], opening: &[u8]) -> bool {
    let mut i = 0;
    while i < opening.len() {
        if text[text.len() - opening.len() + i] != opening[i] {
            return false;
        }
        i += 1;
    }
    true
}

macro_rules! text {
    ($(#[$doc:meta])* $text:ident, $value:ty, $escaped:literal,
     $after_key:literal, $next_key:literal, $open_pair:literal, $mid_pair:literal,
     $next_pair:literal, $next_object:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $text;

        impl Text for $text {
            type Value = $value;
            const QUOTE: &'static [u8] = if $escaped { b"\\\"" } else { b"\"" };
            const OPEN_OBJECT: &'static [u8] = if $escaped { b"{\\\"" } else { b"{\"" };
            const AFTER_KEY: &'static [u8] = $after_key;
            const NEXT_KEY: &'static [u8] = $next_key;
            const OPEN_PAIR: &'static [u8] = $open_pair;
            const MID_PAIR: &'static [u8] = $mid_pair;
            const NEXT_PAIR: &'static [u8] = $next_pair;
            const NEXT_OBJECT: &'static [u8] = $next_object;
            const ESCAPED: bool = $escaped;
        }

        const _: () = assert!(opens($text::NEXT_PAIR, $text::OPEN_PAIR));
        const _: () = assert!(opens($text::NEXT_OBJECT, $text::OPEN_OBJECT));
    };
}

text!(
    /// `{"price": "1"}`
    Plain, Usual, false, b"\": ", b", \"", b"[\"", b"\", \"", b"\"], [\"", b"}, {\""
);
text!(
    /// `{\"price\": \"1\"}`, as Python's `json.dumps` writes it inside a string
    Escaped, Usual, true, b"\\\": ", b", \\\"", b"[\\\"", b"\\\", \\\"", b"\\\"], [\\\"", b"}, {\\\""
);
text!(
    /// `{\"price\":\"1\"}`
    Compact, Usual, true, b"\\\":", b",\\\"", b"[\\\"", b"\\\",\\\"", b"\\\"],[\\\"", b"},{\\\""
);
text!(
    /// `{"price": "1"}` with numbers of any length
    Long, Wide, false, b"\": ", b", \"", b"[\"", b"\", \"", b"\"], [\"", b"}, {\""
);
