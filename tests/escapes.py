"""JSON text in other spellings of the same: ASCII characters of its strings written as escapes."""

import random
import re

_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_CHARACTER = re.compile(r"\\u[0-9A-Fa-f]{4}|\\.|.", re.DOTALL)
#: Characters that JSON text has as escapes of two characters, and what those stand for.
_SHORT = {'\\"': '"', r"\\": "\\", r"\/": "/"}


def escape(character: str, dice: random.Random) -> str:
    """Returns one of the escapes of an ASCII character."""
    if character == "/" and dice.random() < 0.5:
        return r"\/"
    digits = "".join(dice.choice((digit, digit.upper())) for digit in f"{ord(character):04x}")
    return f"\\u{digits}"


def escape_characters(inside: str, share: float, dice: random.Random) -> str:
    """Escapes a share of the ASCII characters of a string, given without its quotes."""

    def character(found: re.Match[str]) -> str:
        text = _SHORT.get(found[0], found[0])
        is_ascii = len(text) == 1 and " " <= text <= "~"
        return escape(text, dice) if is_ascii and dice.random() < share else found[0]

    return _CHARACTER.sub(character, inside)


def respell(text: str, dice: random.Random, strings: float = 0.3) -> str:
    """Escapes characters of a share of the strings of a JSON text, keys as well as values."""

    def string(found: re.Match[str]) -> str:
        if dice.random() >= strings:
            return found[0]
        # of most strings one character or all; of a long one few, as its escapes are long
        share = dice.choice((1 / max(len(found[1]), 1), 0.5, 1)) if len(found[1]) < 100 else 0.02
        return f'"{escape_characters(found[1], share, dice)}"'

    return _STRING.sub(string, text)


def respell_each(text: str, dice: random.Random) -> list[tuple[str, str]]:
    """Returns the text once for each of its strings, all characters of which are escaped."""
    spellings = []
    for found in _STRING.finditer(text):
        inside = escape_characters(found[1], 1, dice)
        spelling = f'{text[: found.start()]}"{inside}"{text[found.end() :]}'
        if spelling != text:
            spellings.append((found[0], spelling))
    return spellings
