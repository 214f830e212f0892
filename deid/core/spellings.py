"""All ways in which an identifier may be written, as sequences of folded words.

How far a sequence reaches depends on how much it says (the *classes of identifiers*):

* ``ANYWHERE``: one word of six or more letters and digits that is no medical, technical or everyday word;
  it is found in every text, also inside longer words, and in raw bytes.
* ``WORDS``: three to five characters, or several words in a row; found as whole words only. Several words
  may have any separator between them, or none where letters meet digits.
* ``UNLESS_EPONYM``: a surname that is also an eponym (Smith, Baker); whole words, not beside a noun such as
  *fracture* or *cyst*.
* ``FIELD``: one or two characters, or a word that is also a medical, technical or everyday word (``1``,
  ``12``, ``Li``, ``HEAD``, ``MR``, Parkinson); found where it is the whole field, in a name position or a
  record-number position.
"""

import re
from collections.abc import Iterator
from enum import IntEnum

from deid.core.folding import contracted, fold, spelled_out, words_of
from deid.core.kinds import Identifier, Kind
from deid.core.lexicon import lexicon

LONG = 6
SHORT = 3
PARTICLES = frozenset(
    [
        "van",
        "von",
        "vom",
        "zu",
        "zur",
        "zum",
        "der",
        "den",
        "de",
        "del",
        "della",
        "delle",
        "dello",
        "degli",
        "dei",
        "di",
        "da",
        "das",
        "do",
        "dos",
        "du",
        "des",
        "la",
        "le",
        "les",
        "lo",
        "el",
        "al",
        "ten",
        "ter",
        "te",
        "tot",
        "bin",
        "ibn",
        "ben",
        "bint",
        "af",
        "av",
        "st",
        "mac",
        "mc",
        "y",
        "e",
        "i",
        "o",
        "und",
    ]
)
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")
_KANA = re.compile(r"[\u3040-\u30ff]+")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]{4,}")
"""A word in Thai, Lao, Burmese or Khmer, which are written without spaces between words."""
_PARTS = re.compile(r"[,;^\r\n]+")
_PLACEHOLDERS = frozenset(
    [
        "anon",
        "anonymous",
        "anonymised",
        "anonymized",
        "anonymisiert",
        "unknown",
        "unbekannt",
        "none",
        "null",
        "na",
        "removed",
        "redacted",
        "deidentified",
        "unspecified",
        "undefined",
        "notavailable",
        "notapplicable",
        "noname",
        "patient",
        "name",
        "test",
        "xxx",
        "xxxx",
    ]
)


class Reach(IntEnum):
    """Where a sequence of words counts as the identifier; see the module."""

    FIELD = 0
    UNLESS_EPONYM = 1
    WORDS = 2
    ANYWHERE = 3


Spelling = tuple[tuple[str, ...], Reach]


def reach_of(word: str) -> Reach:
    """Class of one folded word or number."""
    if len(word) < SHORT:
        return Reach.FIELD
    words = lexicon()
    if word in words.eponyms:
        return Reach.FIELD if word in words.alone else Reach.UNLESS_EPONYM
    if words.is_word(word):
        return Reach.FIELD
    return Reach.ANYWHERE if len(word) >= LONG else Reach.WORDS


def spellings(identifier: Identifier) -> Iterator[Spelling]:
    """Every spelling of an identifier; :mod:`deid.core.matching` adds dates and groups of digits."""
    value = identifier.value.strip()
    if "".join(words_of(value)) in _PLACEHOLDERS:
        return
    if identifier.kind in (Kind.PATIENT_NAME, Kind.PERSON):
        if identifier.kind is Kind.PERSON and lexicon().is_word(fold(value).replace("^", "")):
            # An operator called CT, ADMIN or TECH is nobody.
            return
        for words, reach in _name_spellings(value):
            # A lone letter is the sex, the laterality or an orientation more often than an initial.
            if len(words) > 1 or len(words[0]) > 1 or not words[0].isascii():
                yield words, reach
    elif identifier.kind is not Kind.DATE:
        yield from _code_spellings(identifier.kind, value)


def name_words(value: str) -> Iterator[str]:
    """The words that are a part of a person's name, in every class."""
    for group in value.split("="):
        for component in group.split("^")[:3]:
            for form in _forms(component):
                yield from (w for w in form if w not in PARTICLES)
        initials = [words_of(component)[:1] for component in group.split("^")[:3]]
        letters = [words[0][0] for words in initials if words]
        if len(letters) > 1 and group.isascii():
            yield "".join(letters[1:]) + letters[0]
            yield letters[1] + letters[0]


def _forms(text: str) -> list[tuple[str, ...]]:
    """Folded words of a text as written, with umlauts spelled out, and with them contracted."""
    written = words_of(text)
    forms = [written]
    if not text.isascii():
        forms.append(words_of(spelled_out(text)))
    if any(len(word) >= 5 and "e" in word for word in written):
        forms.append(tuple(contracted(word) if len(word) >= 5 else word for word in written))
    return list(dict.fromkeys(form for form in forms if form))


def _name_spellings(value: str) -> Iterator[Spelling]:
    for group in value.split("="):
        parts = group.split("^")
        if _CJK.search(group):
            yield from _ideographic_spellings([fold(part).replace(" ", "") for part in parts[:3]])
            continue
        for part in parts[:3]:
            yield from (((word,), Reach.ANYWHERE) for word in words_of(part) if _UNSPACED.fullmatch(word))
        if "^" not in group:
            family, comma, given = group.partition(",")
            if not comma:
                *first, family = group.split() or [""]
                while first and fold(first[-1]) in PARTICLES:
                    family = f"{first.pop()} {family}"
                given = " ".join(first)
            parts = [family, given]
        families = _forms(parts[0])
        givens = _forms(" ".join(parts[1:3])) or [()]
        if not families:
            families, givens = [form for form in givens if form], [()]
        for family_words in families:
            for given_words in givens:
                yield from _combinations(family_words, given_words)


def _ideographic_spellings(parts: list[str]) -> Iterator[Spelling]:
    """Names without spaces, whole and in parts.

    Parts of two characters (three in kana) are found inside longer runs of characters.
    """
    parts = [part for part in parts if part]
    whole = "".join(words_of("".join(parts)))
    for text in sorted({whole, *parts}):
        joined = "".join(words_of(text))
        if not joined:
            continue
        least = 3 if _KANA.fullmatch(joined) else 2
        yield (joined,), Reach.ANYWHERE if len(joined) >= least else Reach.FIELD
    if len(parts) > 1:
        yield tuple(parts), Reach.WORDS
        yield tuple(reversed(parts)), Reach.WORDS


def _combinations(family: tuple[str, ...], given: tuple[str, ...]) -> Iterator[Spelling]:
    joined = "".join(family)
    for word in (*given, *(w for w in family if w not in PARTICLES or len(family) == 1)):
        yield (word,), reach_of(word)
    if len(family) > 1:
        yield family, Reach.WORDS
        yield (joined,), reach_of(joined)
    if not given:
        return
    first = given[0]
    if len(given) > 1:
        # Anne-Marie is also written Annemarie.
        together = "".join(given)
        yield (together,), reach_of(together)
    for names in ((first,), given):
        yield names + family, Reach.WORDS
        yield family + names, Reach.WORDS
        together = "".join(names)
        for compact in (together + joined, joined + together):
            yield (compact,), reach_of(compact)
    if len(family) > 1 and family[-1] not in PARTICLES:
        # van der Berg is also called John Berg.
        yield (first, family[-1]), Reach.WORDS
        yield (family[-1], first), Reach.WORDS
    initials = tuple(name[0] for name in given)
    technical = len(joined) < SHORT or joined in lexicon().words
    for letters in dict.fromkeys((initials[:1], initials, ("".join(initials),))):
        reach = Reach.FIELD if technical else Reach.WORDS
        yield letters + family, reach
        yield family + letters, reach
        for compact in ("".join(letters) + joined, joined + "".join(letters)):
            yield (compact,), reach_of(compact)


def _code_spellings(kind: Kind, value: str) -> Iterator[Spelling]:
    for words in _forms(value):
        yield from _sequence(kind, words, "".join(words))
        if kind is Kind.ID and len(words) > 1:
            # An id may be made of ids: Landman_234480.
            yield from (((w,), Reach.ANYWHERE) for w in words if reach_of(w) is Reach.ANYWHERE)
    if kind is Kind.PLACE:
        for part in _PARTS.split(value):
            for words in _forms(part):
                yield from _place_part(words)


def _sequence(kind: Kind, words: tuple[str, ...], compact: str) -> Iterator[Spelling]:
    general = all(lexicon().is_word(word) for word in words if not word.isdecimal())
    worded = general and not any(word.isdecimal() and len(word) >= SHORT for word in words)
    worded = worded and not all(word.isdecimal() for word in words)
    if worded and kind in (Kind.DEVICE, Kind.PLACE, Kind.OTHER) and len(words) < 3:
        # CT, Radiology, Head Coil: a station or department named so is named like a thousand others.
        return
    if len(words) == 1:
        yield words, reach_of(compact)
        return
    if len(compact) < SHORT or (worded and len(compact) < LONG) or (worded and kind is not Kind.PLACE):
        yield words, Reach.FIELD
        return
    yield words, Reach.WORDS
    if kind is not Kind.PLACE or len(words) < 4:
        yield (compact,), reach_of(compact)


def _place_part(words: tuple[str, ...]) -> Iterator[Spelling]:
    """A part between commas, and the words and numbers of it that tell this place from another."""
    general = all(word.isdecimal() or lexicon().is_word(word) for word in words)
    if len(words) > 1 and not general and len("".join(words)) >= LONG:
        yield words, Reach.WORDS
    for word in words:
        reach = reach_of(word)
        if reach >= Reach.WORDS and len(word) >= (5 if word.isdecimal() else 4):
            yield (word,), reach
