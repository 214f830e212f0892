"""What released BIDS tables say of persons that tells them apart: demographic columns, days of the week."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from deid.core.errors import Held
from deid.nifti.bids import subject_label
from deid.nifti.columns import decode_text
from deid.nifti.stream import read_whole
from deid.nifti.tables import MAX_TABLE, plain_cell, table_suffix

WEEKDAY = "StudyWeekday"
OTHER = "other columns of participants.tsv"
DEMOGRAPHIC = {
    "age": "age",
    "age_at_scan": "age",
    "age_at_first_scan": "age",
    "sex": "sex",
    "gender": "sex",
    "handedness": "handedness",
    "hand": "handedness",
    "group": "group",
    "diagnosis": "diagnosis",
    "pathology": "diagnosis",
    "height": "height",
    "weight": "weight",
    "bmi": "body mass index",
    "education": "education",
    "species": "species",
    "strain": "strain",
    "ethnicity": "ethnicity",
    "race": "ethnicity",
}
"""Columns in lower case, and what the report calls them: a name of any other column might be a value."""

_TABLES = frozenset({"participants", "phenotype", "sessions", "samples", "scans"})
_LABELS = ("participant_id", "subject_id")
_NO_ATTRIBUTE = frozenset({*_LABELS, "session_id", "session", "sample_id", "filename"})
_MISSING = frozenset({"", "n/a"})


def is_of_persons(relative: str) -> bool:
    """Whether a file is a table whose rows speak of persons."""
    return relative.lower().endswith(".tsv") and table_suffix(relative) in _TABLES


def table_attributes(path: Path, relative: str) -> Iterator[tuple[str, str, str]]:
    """Each cell that may tell persons apart.

    All columns of ``participants.tsv`` count, as it describes persons; of other tables, whose columns are
    mostly measurements, the demographic ones and the day of the week of each acquisition.

    Args:
        path: A table of the release.
        relative: Its path in the release.

    Yields:
        Label of the person without ``sub-``, name of the attribute, value. A person without any attribute
        comes once, with an empty name.
    """
    try:
        text = decode_text(read_whole(path, MAX_TABLE))
    except (Held, OSError):
        return
    lines = [line for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n") if line.strip()]
    names = [plain_cell(name) for name in lines[0].split("\t")] if lines else []
    suffix, own = table_suffix(relative), subject_label(relative) or ""
    for line in lines[1:]:
        row = dict(zip(names, map(plain_cell, line.split("\t")), strict=False))
        person = next((row[name] for name in _LABELS if row.get(name)), own).removeprefix("sub-")
        if person and person.lower() not in _MISSING:
            yield person, "", ""
            yield from ((person, *attribute) for attribute in _attributes(row, suffix))


def _attributes(row: Mapping[str, str], suffix: str) -> Iterator[tuple[str, str]]:
    for column, value in row.items():
        if column in _NO_ATTRIBUTE or value.lower() in _MISSING:
            continue
        if column == "acq_time":
            yield WEEKDAY, value
        elif column.lower() in DEMOGRAPHIC:
            yield DEMOGRAPHIC[column.lower()], value
        elif suffix == "participants":
            yield OTHER, f"{column}\0{value}"
