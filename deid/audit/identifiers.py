"""What identifies the patients of a release: values of the originals that should not be in the outputs."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from deid.audit.leaves import Content, Leaf
from deid.core.folding import words_of
from deid.core.lexicon import lexicon
from deid.core.matching import parse_date
from deid.dicom.profile import Action, Profile
from deid.dicom.values import CODES, is_well_known

SHORT, LONG = 3, 6
"""Letters and digits that a value must have to be searched for at all, and to count as certain."""
SHARED = 0.05
"""A value of more than this share of the patients, and of two at least, says nothing of one of them."""

_NAMES = frozenset({"PN"})
_TEXTS = frozenset({"AE", "LO", "SH", "ST", "LT", "UT", "UC", "UR", "UN"})
_NUMBERS = frozenset({"CS", "DS", "IS"})
_DATES = frozenset({"DA", "DT"})
_LONGEST = 256


class Sort(StrEnum):
    """What a value is, which decides in which forms it is searched for."""

    NAME = "name"
    CODE = "code"
    TEXT = "text"
    DATE = "date"
    UID = "UID"


@dataclass(frozen=True, slots=True)
class SourceValue:
    """One identifying value of the originals.

    Attributes:
        sort: What it is.
        value: As decoded; dates as ``YYYYMMDD``.
        certain: Finding it is no chance: it is long and no common word.
    """

    sort: Sort
    value: str
    certain: bool


def source_values(content: Content, profile: Profile) -> tuple[set[SourceValue], set[str]]:
    """What an original says that its output should not, and what it may.

    Args:
        content: The original.
        profile: Its actions tell which elements are kept (K), none of which is an identifier.

    Returns:
        The identifiers, and the folded values of kept elements.
    """
    chosen = profile.for_modality(content.modality)
    found: set[SourceValue] = set()
    kept: set[str] = set()
    for leaf in content.leaves:
        if not leaf.text or len(leaf.text) > _LONGEST or leaf.tag in CODES or is_well_known(leaf.text):
            continue
        action = _action(leaf, chosen, content.sop_class)
        if action is Action.KEEP:
            kept.update(folded(value) for value in leaf.text.split("\\"))
        else:
            found.update(_values(leaf, action))
    return found, kept


def folded(value: str) -> str:
    """A value without case, accents and separators, for comparing."""
    return " ".join(words_of(value))


@dataclass(frozen=True)
class SharedValues:
    """Values that tell nobody apart: of kept elements, or of many patients."""

    kept: frozenset[str]
    common: frozenset[str]

    @classmethod
    def of(cls, patients: Iterable[Iterable[SourceValue]], kept: Iterable[str]) -> SharedValues:
        """Count the patients of each value.

        Args:
            patients: The values of each patient.
            kept: Folded values of kept elements of any file.
        """
        counts: dict[str, int] = defaultdict(int)
        number = 0
        for values in patients:
            number += 1
            for value in {folded(each.value) for each in values}:
                counts[value] += 1
        most = max(1, math.floor(SHARED * number))
        return cls(frozenset(kept), frozenset(value for value, count in counts.items() if count > most))

    def tells(self, value: SourceValue) -> bool:
        """Whether a value may identify somebody."""
        name = folded(value.value)
        # A shared date still is one of the patient's; it only may be a chance when it is found.
        return value.sort is Sort.DATE or (name not in self.kept and name not in self.common)


def _action(leaf: Leaf, profile: Profile, sop_class: str) -> Action:
    group, low = leaf.tag >> 16, leaf.tag & 0xFFFF
    if group & 1:
        if 0x10 <= low <= 0xFF:
            return Action.KEEP  # the name of a block says whose format it is
        rule = (
            profile.private(leaf.creator, group, low & 0xFF, leaf.vr, leaf.parents) if leaf.creator else None
        )
        return rule.action if rule is not None else Action.REMOVE
    return profile.action(leaf.tag, leaf.vr, leaf.parents, sop_class)


def _values(leaf: Leaf, action: Action) -> Iterator[SourceValue]:
    values = [leaf.text] if leaf.vr in ("ST", "LT", "UT", "UR") else leaf.text.split("\\")
    for value in (each.strip(" \0") for each in values):
        if leaf.vr == "UI":
            if "." in value and len(value) > LONG and not is_well_known(value):
                yield SourceValue(Sort.UID, value, True)
        elif leaf.vr in _DATES:
            day = parse_date(value)
            if day is not None:
                yield SourceValue(Sort.DATE, "{:04d}{:02d}{:02d}".format(*day), True)
        elif leaf.vr in _NAMES:
            yield from _name_values(value)
        elif leaf.vr in _TEXTS and _says_something(value):
            yield from _text_values(value, leaf, action)
        elif leaf.vr in _NUMBERS and _length(value) >= LONG and not word_is_common(value):
            yield SourceValue(Sort.CODE, value, False)


def _text_values(value: str, leaf: Leaf, action: Action) -> Iterator[SourceValue]:
    """Text that is cleaned keeps its medical meaning, so finding it may be right."""
    if action is Action.CLEAN or leaf.tag >> 16 & 1 or leaf.vr in ("ST", "LT", "UT", "UN"):
        if _length(value) >= LONG and not word_is_common(value):
            yield SourceValue(Sort.TEXT, value, False)
        return
    yield SourceValue(Sort.CODE, value, _length(value) >= LONG and not word_is_common(value))


def _name_values(value: str) -> Iterator[SourceValue]:
    """A person name (PS3.5 6.2.1): each of its groups as a whole, and family and given names alone."""
    for group in value.split("="):
        parts = [part.strip() for part in group.split("^")[:3]]
        whole = "^".join(part for part in parts if part)
        if not _says_something(whole):
            continue
        if len(words_of(whole)) > 1:
            yield SourceValue(Sort.NAME, whole, _length(whole) >= LONG and not word_is_common(whole))
        for part in parts[:2]:
            if _says_something(part):
                yield SourceValue(Sort.NAME, part, _length(part) >= LONG and not word_is_common(part))


def _length(value: str) -> int:
    return sum(map(len, words_of(value)))


def _says_something(value: str) -> bool:
    return _length(value) >= SHORT or (_length(value) >= 2 and not value.isascii())


def word_is_common(value: str) -> bool:
    """Whether every word is a medical, technical or everyday one, or too short to say anything."""
    words = words_of(value)
    is_word = lexicon().is_word
    return all(is_word(word) or (len(word) < SHORT and len(words) > 1) for word in words) or not words
