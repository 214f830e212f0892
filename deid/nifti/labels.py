"""Which BIDS labels and names are technical words, and the keyed tokens that stand in for all others.

Both answers are pure functions of the label and the project's key. The identifiers of a patient are left out
on purpose: a label must get the same answer in every file, whoever its patient is.
"""

import re
from functools import lru_cache
from typing import Protocol

from deid.core.dates import Shift
from deid.nifti.vocabulary import (
    CIFTI_EXTENSIONS,
    INDEX_ENTITIES,
    NAME_EXTENSIONS,
    OTHER_EXTENSIONS,
    SESSION_WORDS,
    SPACES,
    WORDS,
)

_PIECES = re.compile(r"\d+(?:p\d+)?|[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_INDEX = re.compile(r"0{0,2}\d{1,3}")
_UNITS = frozenset(
    {"mm", "dir", "dirs", "ms", "hz", "b", "p", "t", "vol", "vols", "shell", "um", "ch", "back"}
)
_EXTENSIONS = tuple(
    sorted((*CIFTI_EXTENSIONS, *NAME_EXTENSIONS, *OTHER_EXTENSIONS), key=lambda extension: -len(extension))
)


class PseudonymSource(Protocol):
    """The part of :class:`deid.core.pseudonyms.Pseudonyms` that NIfTI and BIDS need."""

    def uid(self, uid: str) -> str:
        """The pseudonym of a UID."""

    def patient(self, identity: str) -> str:
        """The pseudonym of a patient, alphanumeric."""

    def label(self, purpose: str, value: str, length: int = 16) -> str:
        """A pseudonym, upper-case alphanumeric."""

    def shift(self, patient: str) -> Shift:
        """The date shift of a patient."""


def token(pseudonyms: PseudonymSource, purpose: str, value: str) -> str:
    """The keyed token of a name: equal for equal names, 12 characters, valid in BIDS."""
    return pseudonyms.label(f"nifti-{purpose}", value, 12)


@lru_cache(1 << 14)
def split_extension(name: str) -> tuple[str, str]:
    """(stem, extension) of a file name; the extension is from the known list, or empty.

    An unknown extension is part of the stem: it may be anything (``scan.smith``).
    """
    lower = name.lower()
    for extension in _EXTENSIONS:
        if lower.endswith(extension.lower()):
            return name[: -len(extension)], extension
    return name, ""


@lru_cache(1 << 14)
def is_technical(entity: str, value: str) -> bool:
    """Tells whether the label of an entity may stay.

    Rule: a known space or atlas; else nothing but technical words and numbers. Numbers have one or two
    digits, three where another piece stands beside them (``dir98``, ``64dir``, ``0p8mm``), four only after b
    (``b1000``): no year, no date and no record number fits.
    """
    if not value or not value.isascii() or not value.isalnum():
        return False
    if entity in INDEX_ENTITIES:
        return _INDEX.fullmatch(value) is not None
    if entity in {"space", "from", "to", "cohort", "tpl", "atlas"} and value in SPACES:
        return True
    pieces = _PIECES.findall(value)
    if "".join(pieces) != value:
        return False
    return _all_plain(tuple(piece.lower() for piece in pieces), value.lower(), WORDS)


@lru_cache(1 << 14)
def is_plain_session(value: str) -> bool:
    """Tells whether a session label is harmless: a small number, or ``baseline``, ``m12``, ``V01``.

    A date, a long number or any other word is not.
    """
    if _INDEX.fullmatch(value):
        return True
    if not value.isascii() or not value.isalnum():
        return False
    pieces = _PIECES.findall(value)
    return "".join(pieces) == value and _all_plain(
        tuple(piece.lower() for piece in pieces), value.lower(), SESSION_WORDS
    )


def _all_plain(pieces: tuple[str, ...], whole: str, words: frozenset[str]) -> bool:
    if whole in words:
        return True
    # Single letters would spell any name: one is enough for m12, two for x1y2.
    if sum(len(piece) == 1 and piece.isalpha() for piece in pieces) > 2:
        return False
    digits = sum(piece[0].isdigit() for piece in pieces)
    return digits <= 3 and all(_is_plain(pieces, at, words) for at in range(len(pieces)))


def _is_plain(pieces: tuple[str, ...], at: int, words: frozenset[str]) -> bool:
    piece = pieces[at]
    if not piece[0].isdigit():
        return piece in words or piece in _UNITS
    if "p" in piece:
        return len(piece) <= 4
    before = pieces[at - 1] if at else ""
    if before == "b":
        return len(piece) <= 4
    return len(piece) <= (3 if len(pieces) > 1 else 2)
