"""Finding the spellings of one patient's identifiers in a text."""

import re
from collections.abc import Iterable, Iterator

from deid.core.folding import Text, word_set, words_of
from deid.core.kinds import Identifier, Kind
from deid.core.lexicon import lexicon
from deid.core.spellings import LONG, Reach, name_words, spellings

Span = tuple[int, int, Kind]

_GAP = 4  # separators between two words of one identifier: "Doe, John", "AB - 12"
_LONGEST_FIELD = 12
_MOST_GROUPS = 8
_DATE = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)(?!\d{1,3}$)")
_PLACEHOLDER_DATES = frozenset({(1, 1, 1), (1900, 1, 1)})
_LEADING_NOUNS = word_set(
    "disease syndrome sign test fracture canal ligament circle loop foramen angle node gland "
    "classification score line "
    "maladie syndrome signe fracture enfermedad sindrome signo fractura malattia morbo segno frattura "
    "ziekte doenca morbus"
)
_LINKS = frozenset({"de", "di", "of", "von", "van", "la", "d"})
_NUMERIC_KINDS = frozenset({Kind.ID, Kind.PHONE, Kind.DEVICE, Kind.OTHER, Kind.UID})


class Matcher:
    """The spellings of all identifiers of a patient, looked up word by word.

    Nothing is compiled into regular expressions: a project has thousands of patients, and a look-up of each
    word of a text is faster than either.
    """

    def __init__(self, identifiers: Iterable[Identifier]) -> None:
        self.fields: dict[tuple[str, ...], Kind] = {}
        self.names: set[str] = set()
        self._by_first: dict[str, list[tuple[tuple[str, ...], Kind, Reach]]] = {}
        self._needles: dict[str, Kind] = {}
        self._stems: list[str] = []  # needles that no other needle of the same identifier is a part of
        self._numbers: dict[str, Kind] = {}
        self._dates: set[tuple[int, int, int]] = set()
        for identifier in identifiers:
            self._add(identifier)
        for sequences in self._by_first.values():
            sequences.sort(key=lambda entry: -len(entry[0]))

    def _add(self, identifier: Identifier) -> None:
        kind, value = identifier.kind, identifier.value
        if kind is Kind.DATE:
            date = parse_date(value)
            if date is not None and date not in _PLACEHOLDER_DATES:
                self._dates.add(date)
            return
        if kind in (Kind.PATIENT_NAME, Kind.PERSON):
            self.names.update(name_words(value))
        elif kind in _NUMERIC_KINDS:
            self._add_number(kind, value)
        stems: list[str] = []
        for words, reach in spellings(identifier):
            if words in self.fields and reach is Reach.FIELD:
                continue
            self.fields[words] = kind
            if reach is Reach.FIELD:
                continue
            if len(words) == 1 and reach is Reach.ANYWHERE and not words[0].isdecimal():
                needle = words[0]
                if needle not in self._needles:
                    self._needles[needle] = kind
                    if not any(stem in needle for stem in stems):
                        stems.append(needle)
            else:
                entry = (words, kind, reach)
                known = self._by_first.setdefault(words[0], [])
                if entry not in known:
                    known.append(entry)
        self._stems += stems

    def _add_number(self, kind: Kind, value: str) -> None:
        words = words_of(value)
        if not words or not all(word.isdecimal() for word in words):
            words = tuple(word for word in words if word.isdecimal()) if kind is Kind.PHONE else ()
        digits = "".join(words).lstrip("0")
        if len(digits) >= LONG - 1 and len("".join(words)) >= LONG and value.count(".") < 3:
            self._numbers[digits] = kind
            if kind is Kind.PHONE and value.startswith(("+", "00")):
                # At home the country code (one to three digits) is left out.
                for code in (1, 2, 3):
                    if len(digits) - code >= LONG + 1:
                        self._numbers[digits[code:].lstrip("0")] = kind

    def find(self, text: Text) -> Iterator[Span]:
        """Yield the spans of everything known that stands in a text."""
        words = text.words
        if 0 < len(words) <= _LONGEST_FIELD:
            kind = self.fields.get(tuple(words))
            if kind is not None:
                yield 0, len(text.source), kind
                return
        first = self._by_first
        digits = False
        for place, word in enumerate(words):
            if word in first:
                yield from self._sequences(text, place, first[word])
            digits = digits or word[0].isdecimal()
        folded = text.folded
        for stem in self._stems:
            if stem in folded:
                yield from self._inside_words(text)
                break
        if digits and (self._numbers or self._dates):
            yield from self._groups(text)

    def _sequences(
        self, text: Text, place: int, entries: list[tuple[tuple[str, ...], Kind, Reach]]
    ) -> Iterator[Span]:
        for words, kind, reach in entries:
            end = matches_at(text, place, words)
            if end < 0:
                continue
            if words[0].isdecimal() and not _stands_alone(text, place, words):
                continue
            if reach is Reach.UNLESS_EPONYM and is_eponym_here(text, place):
                continue
            yield text.starts[place], end, kind
            return

    def _inside_words(self, text: Text) -> Iterator[Span]:
        """Long identifiers wherever they stand."""
        for needle, kind in self._needles.items():
            start = text.folded.find(needle)
            while start >= 0:
                end = start + len(needle)
                yield *text.span(start, end), kind
                start = text.folded.find(needle, end)

    def _groups(self, text: Text) -> Iterator[Span]:
        """Numbers and dates that are written in groups: 12-345-678, 5.3.2020."""
        words, starts, ends, source = text.words, text.starts, text.ends, text.source
        numbers = [word[0].isdecimal() for word in words]
        for place, word in enumerate(words):
            if not numbers[place]:
                continue
            if len(word) in (6, 8) and self._dates and self._is_date(word):
                yield starts[place], ends[place], Kind.DATE
            joined, last = word, place
            while True:
                kind = self._numbers.get(joined.lstrip("0")) if len(joined) >= LONG - 1 else None
                if kind is None and last == place + 2 and self._is_written_date(words[place : last + 1]):
                    kind = Kind.DATE
                if kind is not None and not _inside_decimal(source, starts[place], ends[last]):
                    yield starts[place], ends[last], kind
                last += 1
                if (
                    last >= len(words)
                    or not numbers[last]
                    or last - place >= _MOST_GROUPS
                    or len(joined) > 24
                ):
                    break
                gap = source[ends[last - 1] : starts[last]]
                if len(gap) > 3 or gap.strip(" .-/()_,:"):
                    break
                joined += words[last]

    def _is_date(self, digits: str) -> bool:
        if len(digits) == 8:
            a, b, c = digits[:4], digits[4:6], digits[6:]
            return self._is_written_date([a, b, c]) or self._is_written_date([digits[:2], a[2:], digits[4:]])
        return self._is_written_date([digits[:2], digits[2:4], digits[4:]])

    def _is_written_date(self, groups: list[str]) -> bool:
        if not self._dates or not all(len(group) in (1, 2, 4) for group in groups):
            return False
        a, b, c = map(int, groups)
        orders: tuple[tuple[int, int, int], ...] = (
            ((a, b, c),) if len(groups[0]) == 4 else ((c, b, a), (c, a, b))
        )
        if len(groups[0]) == len(groups[2]) == 2:
            orders += ((a, b, c),)
        return any(
            (year + century, month, day) in self._dates
            for year, month, day in orders
            for century in ((0,) if year > 99 else (1900, 2000))
        )


def parse_date(value: str) -> tuple[int, int, int] | None:
    """Year, month and day of a DA, DT or ISO date; None where it has no valid day."""
    match = _DATE.match(value.strip())
    if match is None:
        return None
    year, month, day = (int(group) for group in match.groups())
    return (year, month, day) if 1 <= month <= 12 and 1 <= day <= 31 else None


def matches_at(text: Text, place: int, words: tuple[str, ...]) -> int:
    """Where a sequence of words that begins at a token ends in the source; -1 where it does not stand."""
    last = place + len(words) - 1
    if last >= len(text.words):
        return -1
    for step in range(1, len(words)):
        here = place + step
        if text.words[here] != words[step] or text.starts[here] - text.ends[here - 1] > _GAP:
            return -1
    return text.ends[last]


def is_eponym_here(text: Text, place: int) -> bool:
    """Whether the word stands beside a noun for eponyms: Smith fracture, Baker's cyst, Morbus Graves."""
    nouns, words = lexicon().nouns, text.words
    following = place + 1
    if following < len(words) and words[following] == "s":
        following += 1
    # Jackson Pratt drain, Osgood-Schlatter disease: eponyms in a row share the noun.
    while following < min(len(words), place + 4) and words[following] in lexicon().eponyms:
        following += 1
    if following < len(words) and words[following] in nouns:
        between = text.source[text.ends[place] : text.starts[following]]
        if not any(mark in between for mark in ",;:\n^"):
            return True
    before = place - 1
    while before >= max(0, place - 3) and words[before] in _LINKS:
        before -= 1
    if before < 0 or words[before] not in _LEADING_NOUNS:
        return False
    between = text.source[text.ends[before] : text.starts[place]]
    return words[before] == "morbus" or (before < place - 1 and not between.strip(" delaiofvn'\u2019"))


def _stands_alone(text: Text, place: int, words: tuple[str, ...]) -> bool:
    """A number is no identifier inside a decimal, a UID or (short ones) a mixed word such as B300f."""
    start, end = text.starts[place], text.ends[place + len(words) - 1]
    source = text.source
    if _inside_decimal(source, start, end):
        return False
    if len(words) > 1 or len(words[0]) >= LONG:
        return True
    return not (source[start - 1 : start].isalpha() or source[end : end + 1].isalpha())


def _inside_decimal(source: str, start: int, end: int) -> bool:
    before = start >= 2 and source[start - 1] == "." and source[start - 2].isdecimal()
    return before or (source[end : end + 1] == "." and source[end + 1 : end + 2].isdecimal())
