"""Folding of case, accents and width with positions, and the tokens that all text matching works on."""

import functools
import re
import unicodedata
from dataclasses import dataclass

_TOKEN = re.compile(r"[^\W\d_]+|\d+")
_SPECIAL = {
    "ß": "ss",
    "ẞ": "ss",
    "æ": "ae",
    "œ": "oe",
    "ø": "o",
    "đ": "d",
    "ł": "l",
    "þ": "th",
    "ð": "d",
    "\u0131": "i",
}
_EXPANDED = str.maketrans(
    {
        "ä": "ae",
        "ö": "oe",
        "ü": "ue",
        "Ä": "Ae",
        "Ö": "Oe",
        "Ü": "Ue",
        "ø": "oe",
        "Ø": "Oe",
        "å": "aa",
        "Å": "Aa",
    }
)
_CONTRACTED = re.compile(r"([aou])e")
_UNIT = re.compile("[\u1100-\u1112][\u1161-\u1175][\u11a8-\u11c2]?|.", re.DOTALL)
"""One character, or the two or three letters (jamo) of a Hangul syllable that is written apart."""
_TO_HIRAGANA = {katakana: katakana - 0x60 for katakana in range(0x30A1, 0x30F7)}


@dataclass(frozen=True, slots=True)
class Text:
    """A text with its tokens: runs of letters and runs of digits.

    Attributes:
        source: The text itself.
        folded: Lower case, without accents; for ASCII text as long as the source.
        origin: Position in the source of every character of ``folded`` and its end; None if they are the
            same.
        words: Folded tokens.
        starts: Where each token starts in the source.
        ends: Where each token ends in the source.
    """

    source: str
    folded: str
    origin: list[int] | None
    words: list[str]
    starts: list[int]
    ends: list[int]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The range of the source that a range of the folded text stands for."""
        if self.origin is None or start >= end:
            return start, end
        return self.origin[start], _end(self.origin, end, len(self.source))


def _end(origin: list[int], end: int, length: int) -> int:
    """Where in the source a range of the folded text ends: combining marks belong to the letter before."""
    behind = origin[end] if end < len(origin) else length
    return max(behind, origin[end - 1] + 1)


@functools.lru_cache(maxsize=8192)
def _fold_character(character: str) -> str:
    if len(character) > 1:
        character = unicodedata.normalize("NFC", character)
    special = _SPECIAL.get(character) or _SPECIAL.get(character.casefold())
    if special is not None:
        return special
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    # Hangul syllables would fall apart into letters that no name is written in.
    if "\uac00" <= character <= "\ud7a3":
        return character
    parts = unicodedata.normalize("NFKD", character.casefold())
    # marks are accents, and vowels of Thai and Indian scripts, which would cut words into letters
    bare = "".join(part for part in parts if unicodedata.category(part)[0] != "M")
    return bare.casefold().translate(_TO_HIRAGANA)


def fold(text: str) -> str:
    """Lower case, without accents and width; ``ß`` becomes ``ss``, katakana hiragana."""
    return text.lower() if text.isascii() else "".join(map(_fold_character, _UNIT.findall(text)))


def spelled_out(text: str) -> str:
    """German and Nordic umlauts in two letters (Müller to Mueller)."""
    return text if text.isascii() else unicodedata.normalize("NFC", text).translate(_EXPANDED)


def contracted(folded: str) -> str:
    """The reverse on folded text: mueller to muller."""
    return _CONTRACTED.sub(r"\1", folded)


def word_set(text: str) -> frozenset[str]:
    """A set of the words of a list written as one text."""
    return frozenset(text.split())


def words_of(text: str) -> tuple[str, ...]:
    """The folded tokens of a text without their places."""
    return tuple(_TOKEN.findall(fold(text)))


def read(text: str) -> Text:
    """Fold and tokenise a text in time linear in its length."""
    words: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    if text.isascii():
        folded = text.lower()
        for match in _TOKEN.finditer(folded):
            words.append(match[0])
            starts.append(match.start())
            ends.append(match.end())
        return Text(text, folded, None, words, starts, ends)
    pieces: list[str] = []
    origin: list[int] = []
    for unit in _UNIT.finditer(text):
        piece = _fold_character(unit[0])
        pieces.append(piece)
        origin.extend([unit.start()] * len(piece))
    folded = "".join(pieces)
    for match in _TOKEN.finditer(folded):
        words.append(match[0])
        starts.append(origin[match.start()])
        ends.append(_end(origin, match.end(), len(text)))
    return Text(text, folded, origin, words, starts, ends)
