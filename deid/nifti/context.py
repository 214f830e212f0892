"""What the cleaning of one NIfTI or BIDS file needs to know, and the cleaning of one text."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from deid.core.dates import Shift, shift_iso
from deid.core.kinds import Kind
from deid.core.matching import parse_date
from deid.nifti.bids import PathMapper
from deid.nifti.labels import PseudonymSource

# Subject and session labels inside a text, and runs of digits that may be a record number or a date.
_BIDS_LABEL = re.compile(r"\b(?:sub|ses)-[A-Za-z0-9]+_?")
_LONG_DIGITS = re.compile(r"(?<![0-9.])[0-9]{5,}(?![0-9]*\.)")
_SPACES = re.compile(r"\s+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class TextCleaner(Protocol):
    """The part of :class:`deid.core.identifiers.KnownIdentifiers` that NIfTI and BIDS need."""

    def clean(self, text: str, marker: str = "") -> str:
        """The text without identity."""

    def find_raw(self, haystack: bytes) -> Sequence[tuple[int, int, Kind]]:
        """Identifiers of six characters or more in bytes: begin, end, kind."""


@dataclass(frozen=True)
class Context:
    """Everything that is the same for all values of one file.

    Attributes:
        pseudonyms: The project's pseudonyms.
        known: What is known of the file's patient; for a file of the whole data set (``participants.tsv``,
            a sidecar at the root), of all its patients.
        patient: Identity string of the file's patient (:func:`deid.nifti.bids.identity_of`).
        subject_map: Path, folder, ``sub-<label>`` or ``<label>`` to identity string, from the user's CSV.
        written_dates: (year, month, day) of the dates that shifting put into the file, with how often.
    """

    pseudonyms: PseudonymSource
    known: TextCleaner
    patient: str
    subject_map: Mapping[str, str] = field(default_factory=dict)
    written_dates: Counter[tuple[int, int, int]] = field(default_factory=Counter, compare=False)

    @cached_property
    def paths(self) -> PathMapper:
        """Maps paths and labels."""
        return PathMapper(self.pseudonyms, self.subject_map)

    @cached_property
    def shift(self) -> Shift:
        """The date shift of the file's patient."""
        return self.pseudonyms.shift(self.patient)

    def clean_text(self, text: str) -> str:
        """Removes identity: known identifiers and patterns, subject and session labels, runs of 5 digits."""
        text = _LONG_DIGITS.sub("", _BIDS_LABEL.sub("", _CONTROL.sub(" ", text)))
        return _SPACES.sub(" ", self.known.clean(text)).strip()

    def shift_moment(self, text: str, patient: str | None = None) -> str | None:
        """A date, time or both in ISO form, shifted; None where it is none of them.

        Args:
            text: The value.
            patient: Identity of another patient than the file's (rows of ``participants.tsv``).
        """
        shift = self.shift if patient is None else self.pseudonyms.shift(patient)
        return self.written(shift_iso(text, shift) or None)

    def written(self, moved: str | None) -> str | None:
        """Notes a shifted date or time that goes into the file, and gives it back."""
        if moved is not None and (day := parse_date(moved)) is not None:
            self.written_dates[day] += 1
        return moved
