"""The forms in which a value may hide in bytes, and where they stand."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from deid.audit.identifiers import LONG, SHORT, Sort, SourceValue
from deid.core.folding import spelled_out, words_of


class Form(StrEnum):
    """How a value is written; the words are the keys of ``header.by_form``."""

    AS_IT_IS = "as it is"
    CASE = "case or spacing"
    DATE = "date format"
    BASE64 = "base64"
    UTF16 = "UTF-16"
    HEX = "hex"


class Hit(NamedTuple):
    """A value that was found: its range in the bytes searched, itself, and its form."""

    start: int
    end: int
    value: SourceValue
    form: Form


@dataclass(frozen=True)
class _Needle:
    """Bytes to look for.

    Attributes:
        bytes: In lower case unless ``exact``.
        exact: Case matters.
        bounded: Letters and digits must not go on beside it.
    """

    bytes: bytes
    form: Form
    value: SourceValue
    exact: bool = False
    bounded: bool = False


@dataclass(frozen=True)
class _Pattern:
    """A regular expression, tried where every one of its words occurs."""

    words: tuple[bytes, ...]
    expression: re.Pattern[bytes]
    form: Form
    value: SourceValue


_CODECS = ("utf-8", "latin-1", "iso8859_2", "iso8859_5", "shift_jis", "euc_kr", "gb18030")
_LEAST_ENCODED = 8
"""Characters of base64 or hex below which a find may be chance."""
_MONTHS = (
    ("jan", "january"),
    ("feb", "february"),
    ("mar", "march"),
    ("apr", "april"),
    ("may", "may"),
    ("jun", "june"),
    ("jul", "july"),
    ("aug", "august"),
    ("sep", "september"),
    ("oct", "october"),
    ("nov", "november"),
    ("dec", "december"),
)
_GERMAN = {3: "m\\w{1,4}rz", 5: "mai", 10: "okt(?:ober)?", 12: "dez(?:ember)?"}
_ORDER = {form: place for place, form in enumerate(Form)}


class Forms:
    """All forms of the values of one patient, compiled once and searched in many files.

    Args:
        values: The patient's identifiers.

    Attributes:
        values: The same, the longest first.
    """

    def __init__(self, values: Iterable[SourceValue]) -> None:
        ordered = sorted(values, key=lambda value: (-len(value.value), value.sort, value.value))
        self.values = tuple(ordered)
        self._needles = [needle for value in ordered for needle in _needles(value)]
        self._patterns = [pattern for value in ordered for pattern in _patterns(value)]

    def find(self, data: bytes) -> list[Hit]:
        """Every value in some bytes; of hits that overlap the longest counts, then the plainest form."""
        low = data.lower()
        hits = [hit for needle in self._needles for hit in _occurrences(needle, data, low)]
        for pattern in self._patterns:
            if all(word in low for word in pattern.words):
                hits += [
                    Hit(match.start(), match.end(), pattern.value, pattern.form)
                    for match in pattern.expression.finditer(low)
                ]
        hits.sort(key=lambda hit: (hit.start - hit.end, _ORDER[hit.form], hit.start, not hit.value.certain))
        taken: list[Hit] = []
        covered = bytearray(len(data))
        for hit in hits:
            if not any(covered[hit.start : hit.end]):
                covered[hit.start : hit.end] = b"\1" * (hit.end - hit.start)
                taken.append(hit)
        return sorted(taken)


def _occurrences(needle: _Needle, data: bytes, low: bytes) -> Iterator[Hit]:
    haystack = data if needle.exact else low
    start = haystack.find(needle.bytes)
    while start >= 0:
        end = start + len(needle.bytes)
        if not needle.bounded or _stands_alone(low, start, end):
            yield Hit(start, end, needle.value, needle.form)
        start = haystack.find(needle.bytes, start + 1)


def _stands_alone(low: bytes, start: int, end: int) -> bool:
    """Whether what stands beside does not continue a word, a number or a UID."""
    before, after = low[max(0, start - 2) : start], low[end : end + 2]
    if before[-1:].isalnum() or after[:1].isalnum():
        return False
    digits = low[start : start + 1].isdigit(), low[end - 1 : end].isdigit()
    if digits[0] and before[-1:] == b"." and before[:1].isdigit():
        return False
    return not (digits[1] and after[:1] == b"." and after[1:].isdigit())


def _needles(value: SourceValue) -> Iterator[_Needle]:
    """Forms that are plain byte strings."""
    text = value.value
    if value.sort is not Sort.DATE:
        bounded = not value.certain or value.sort is Sort.UID or not _is_letters(text)
        for raw in _encoded(text):
            yield _Needle(raw, Form.AS_IT_IS, value, exact=True, bounded=bounded)
    if value.sort is not Sort.DATE and len(text) < SHORT:
        return
    seen: set[bytes] = set()
    for variant in _variants(value):
        plain = variant.encode("utf-8", "surrogatepass")
        wide = variant.encode("utf-16-le", "surrogatepass")
        # Without the outer NULs both byte orders of ASCII are one string.
        inner = [wide[:-1]] if variant.isascii() else [wide, variant.encode("utf-16-be", "surrogatepass")]
        needles = [_Needle(each.lower(), Form.UTF16, value) for each in inner]
        needles += [_Needle(each, Form.BASE64, value, exact=True) for each in _base64(plain)]
        if 2 * len(plain) >= _LEAST_ENCODED:
            bounded = len(plain) < LONG  # eight digits may be part of any UID
            needles.append(_Needle(plain.hex().encode(), Form.HEX, value, bounded=bounded))
        for needle in needles:
            if needle.bytes not in seen:
                seen.add(needle.bytes)
                yield needle


def _variants(value: SourceValue) -> list[str]:
    """Spellings that are also looked for encoded."""
    if value.sort is Sort.DATE:
        year, month, day = value.value[:4], value.value[4:6], value.value[6:]
        return [value.value, f"{year}-{month}-{day}", f"{day}.{month}.{year}", f"{month}/{day}/{year}"]
    text = value.value
    spaced = " ".join(text.replace("^", " ").split())
    both = [text] if spaced == text else [text, spaced]
    return list(dict.fromkeys(each for one in both for each in (one, one.upper(), one.lower(), one.title())))


def _base64(plain: bytes) -> Iterator[bytes]:
    """The characters that a string gives in base64 wherever it begins in the encoded bytes (three ways)."""
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + plain)
        first = -(-shift * 8 // 6)
        last = (shift + len(plain)) * 8 // 6
        if last - first >= _LEAST_ENCODED:
            yield encoded[first:last]


def _encoded(text: str) -> list[bytes]:
    if text.isascii():
        return [text.encode("ascii")]
    found = []
    for codec in _CODECS:
        try:
            found.append(text.encode(codec))
        except UnicodeError:
            continue
    return list(dict.fromkeys(found))


def _is_letters(text: str) -> bool:
    return text[:1].isalpha() and text[-1:].isalpha()


def _patterns(value: SourceValue) -> Iterator[_Pattern]:
    """Forms that leave room: case, separators, order of names, date formats."""
    if value.sort is Sort.UID:
        return
    if value.sort is Sort.DATE:
        yield from _date_patterns(value)
        return
    rows = {words_of(value.value), words_of(spelled_out(value.value))}
    if value.sort is Sort.NAME:
        family, _, given = value.value.partition("^")
        rows |= {words_of(f"{given} {family}"), words_of(f"{family} {given.partition('^')[0]}")}
        rows |= {words_of(f"{given.partition('^')[0]} {family}")} if given else set()
    yield from _spaced_code(value)
    edge = not (value.certain and value.sort is Sort.NAME and _is_letters(value.value))
    for row in sorted(row for row in rows if row):
        words = tuple(word.encode("utf-8", "surrogatepass") for word in row)
        joined = rb"[^a-z0-9]{0,3}".join(map(re.escape, words))
        expression = rb"(?<![a-z0-9])(?:" + joined + rb")(?![a-z0-9])" if edge else joined
        yield _Pattern(words, re.compile(expression), Form.CASE, value)
        accented = value.value.lower()
        if not accented.isascii():
            for raw in _encoded(accented) + _encoded(value.value.upper()):
                yield _Pattern((raw.lower(),), re.compile(re.escape(raw.lower())), Form.CASE, value)


def _spaced_code(value: SourceValue) -> Iterator[_Pattern]:
    """A code with separators anywhere: 12-345-678."""
    letters = "".join(words_of(value.value))
    if value.sort is Sort.CODE and value.certain and letters.isascii() and any(map(str.isdigit, letters)):
        joined = "[ ._/-]?".join(letters)
        expression = re.compile(f"(?<![a-z0-9]){joined}(?![a-z0-9])".encode())
        yield _Pattern((), expression, Form.CASE, value)


def _date_patterns(value: SourceValue) -> Iterator[_Pattern]:
    year, month, day = value.value[:4], value.value[4:6], value.value[6:]
    number = int(month)
    if not 1 <= number <= len(_MONTHS):
        return
    alone, done = r"(?<![0-9])(?<![0-9]\.)", r"(?![0-9])(?!\.[0-9])"
    clock = r"(?=(?:[01][0-9]|2[0-3])[0-5][0-9])|(?![0-9])"
    compact = f"{alone}{value.value}(?:{clock})"
    yield _Pattern((value.value.encode(),), re.compile(compact.encode()), Form.AS_IT_IS, value)
    d, m = f"0?{int(day)}", f"0?{number}"
    short, whole = _MONTHS[number - 1]
    names = "|".join([f"{whole}", f"{short}\\.?", *filter(None, [_GERMAN.get(number)])])
    gap = r"[ ,.'/_-]{0,3}"
    ordinal = r"(?:st|nd|rd|th|\.)?"
    forms = (
        rf"{year}(?P<a>[-/._ ]){m}(?P=a){d}",
        rf"{d}(?P<b>[-/._ ]){m}(?P=b){year}",
        rf"{m}(?P<c>[-/._ ]){d}(?P=c){year}",
        rf"(?:{names}){gap}{d}{ordinal}{gap}{year}",
        rf"{d}{ordinal}{gap}(?:{names}){gap}{year}",
        rf"{year}{gap}(?:{names}){gap}{d}",
    )
    expression = re.compile(f"{alone}(?:{'|'.join(forms)}){done}".encode())
    yield _Pattern((year.encode(), str(int(day)).encode()), expression, Form.DATE, value)
