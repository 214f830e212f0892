"""Dates and ages in free text, in any common form of seven languages (and of Chinese, Japanese and Korean).

Every date finer than a year goes, as do times of day beside it; ages of 90 and more become ``90+`` (PS3.15
E.3.6 and 45 CFR 164.514(b)(2)(i)(C)). Years alone and times without a date stay.
"""

import functools
import re
from collections.abc import Iterator
from re import Match

from deid.core.folding import Text
from deid.core.hints import MONTHS, Hint

Removal = tuple[int, int, str]
"""Start and end in the source, and what takes the place."""

OLD = "90+"
compiled = functools.cache(re.compile)
"""Compile a pattern on its first use: long ones take milliseconds, and few texts call for all of them."""

_MONTH = "(?:" + "|".join(sorted(set(MONTHS), key=len, reverse=True)) + r")(?![a-z])\.?"
_TIME = (
    r"(?:[ ,t@_-]{0,3}(?:(?:at|um|a|alle|as|om|kl|las|ore|h)\.? ?)?(?:[01]?\d|2[0-3])[:.h][0-5]\d"
    r"(?:[:.m][0-5]\d(?:[.,]\d{1,6})?)?(?: ?(?:am|pm|a\.m\.|p\.m\.|uhr|hrs?|h)(?![a-z]))?"
    r"(?: ?(?:z|utc|gmt|[+-]\d\d:?\d\d)(?![a-z\d]))?(?![\d:]))?"
)
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_YEAR = r"(?:1[89]|20)\d\d"
_NUMERIC = (
    rf"(?<!\d)(?<!\d\.)(?:"
    rf"{_YEAR}(?P<joint>[-/._ ])(?:0?[1-9]|1[0-2])(?P=joint){_DAY}(?!\d)"
    rf"|{_YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
    rf"(?:[ t_.-]?(?:[01]\d|2[0-3])[0-5]\d(?:[0-5]\d(?:\.\d{{1,6}})?)?)?(?!\d)"
    rf"|(?P<a>\d{{1,2}})(?P<mark>\. |[-/._ ])(?P<b>\d{{1,2}})(?P=mark)'?(?P<y>{_YEAR}|\d\d)(?!\d)(?![-/.]\d)"
    rf"|(?:0?[1-9]|1[0-2])[/.]{_YEAR}(?![\d/])(?!\.\d)"
    rf"|{_YEAR}[-/](?:0[1-9]|1[0-2])(?![\d/-])"
    r"|\d{1,4} ?[年년] ?\d{1,2} ?[月월](?: ?\d{1,2} ?[日일])?"
    rf"){_TIME}"
)
_WEEKDAY = r"(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?,? )?"
_OF = r"(?:(?:de|del|of) )?"
_WORDED = (
    rf"(?<![a-z\d]){_WEEKDAY}(?:"
    rf"{_DAY}(?:st|nd|rd|th|er|º|ª)?[ .,/_-]{{0,3}}(?:(?:of|de|d'|di) ?)?(?P<month>{_MONTH})"
    rf"(?:[ ,.'/_-]{{0,3}}{_OF}(?P<year>{_YEAR}|\d\d(?!\d)))?"
    rf"|(?P<month2>{_MONTH})[ _./-]{{0,2}}(?:the )?{_DAY}(?:st|nd|rd|th)?(?!\d)(?![.,]\d)"
    rf"(?:[ ,./_-]{{1,3}}(?P<year2>{_YEAR}|'?\d\d(?!\d)))?"
    rf"|{_MONTH}[ ,.'/_-]{{0,3}}{_OF}(?P<year3>{_YEAR})(?!\d)"
    rf"|(?P<year4>{_YEAR})[ ./_-]{{1,2}}{_MONTH}(?:[ ./_-]{{1,2}}{_DAY}(?!\d))?)"
    rf"{_TIME}"
)
_PARTIAL = (
    r"(?<![a-z])(?:on|since|until|till|dated?|am|vom|seit|le|el|il) "
    r"(?P<day>(?:0?[1-9]|[12]\d|3[01])/(?:0?[1-9]|[12]\d|3[01])|(?:0?[1-9]|[12]\d|3[01])\.(?:0?[1-9]|1[0-2])\.)"
    r"(?![\d/])"
)
_DOUBTFUL = frozenset(
    {"may", "mar", "march", "mars", "mai", "mei", "sep", "dec", "jan", "abr", "avr", "ene", "marco"}
)
_UNIT = (
    r"(?:year|yr|jahr|jaehr|ans|anos|anni|jaar|jarig|y|j)(?:s|e|ig(?:e[rns]?)?|ige?)?"
    r"(?:[ -]{0,2}olds?|[ ./]?o(?![a-z])\.?)?(?![a-z])"
)
_AGE = (
    rf"(?<![\d.,+-])0?(?:9\d|1[0-2]\d)[ -]{{0,2}}{_UNIT}"
    r"|(?<![a-z])(?:aged?|alter|edad|eta|leeftijd|idade)"
    r"(?P<label>\.?[ :=]{0,3}(?:of |von |de )?0?(?:9\d|1[0-2]\d))(?![\d+%]|[.,]\d)"
)


def date_removals(text: Text, hints: int) -> Iterator[Removal]:
    """Dates of a text."""
    folded = text.folded
    if hints & Hint.DIGITS:
        for match in compiled(_NUMERIC).finditer(folded):
            if match["a"] is None or _is_day_month_year(match):
                yield *text.span(*match.span()), ""
    if "/" in folded or "." in folded:
        for match in compiled(_PARTIAL).finditer(folded):
            yield *text.span(*match.span("day")), ""
    if hints & Hint.MONTH:
        for match in compiled(_WORDED).finditer(folded):
            if _is_worded_date(text, match):
                yield *text.span(*match.span()), ""


def age_removals(text: Text, hints: int) -> Iterator[Removal]:
    """Ages of 90 and more, which become ``90+``; never longer than before."""
    if not hints & Hint.AGE:
        return
    for match in compiled(_AGE).finditer(text.folded):
        group = "label" if match["label"] else 0
        start, end = text.span(*match.span(group))
        # The sign and blanks before the number make room for the plus.
        kept = text.source[start : max(start, end - len(OLD))] if group else ""
        yield start, end, kept.rstrip("0") + OLD if group else OLD


def _is_day_month_year(match: Match[str]) -> bool:
    """Two small numbers and a year: a date unless they may be a version or a list."""
    first, second, mark, year = match["a"], match["b"], match["mark"], match["y"]
    low, high = sorted((int(first), int(second)))
    if not (1 <= low <= 12 and high <= 31):
        return False
    padded = len(first) == len(second) == 2
    if len(year) == 2:
        return mark == "/" or (padded and mark in ".-")
    return mark not in " _" or padded


def _is_worded_date(text: Text, match: Match[str]) -> bool:
    """Whether a month is meant: ``may 5 mm`` is none, ``May 5`` and ``5 may 2020`` are."""
    name = (match["month"] or match["month2"] or "").rstrip(".")
    if name not in _DOUBTFUL or match["year"] or match["year2"]:
        return True
    group = "month" if match["month"] else "month2"
    start, _ = text.span(*match.span(group))
    if not text.source[start].isupper():
        return False
    return (
        re.match(r" ?(?:mm|cm|ml|mg|slices|min|sec|x\d)", text.folded[match.end() : match.end() + 8]) is None
    )
