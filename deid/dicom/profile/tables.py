"""The compiled tables of the standard, read once on first use.

The files lie in ``deid/dicom/data``; lines that start with ``#`` above their header say where they come from.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from deid.dicom.profile.actions import Option

ATTRIBUTES = "ps315_e1_1.csv"
SAFE_PRIVATE = "ps315_e3_10_1.csv"
CONCEPTS = "ps315_e3_4_1.csv"
TCIA = "tcia_private.csv"
IODS = "iod_types.json"

ODD_GROUPS = "(gggg,eeee) where gggg is odd"


@dataclass(frozen=True)
class TableRow:
    """One row of Table E.1-1.

    Attributes:
        label: The tag column as printed, such as ``(0008,0050)`` or ``(50xx,xxxx)``.
        name: Attribute name.
        tag: Tag number; None for the rows of repeating and of odd groups.
        basic: Action of the Basic Profile, such as ``X/Z/D``.
        options: What the option columns say: ``K`` or ``C``.
    """

    label: str
    name: str
    tag: int | None
    basic: str
    options: Mapping[Option, str]

    @property
    def described(self) -> bool:
        """Whether Clean Descriptors cleans it: it describes and is no identifier."""
        return Option.CLEAN_DESCRIPTORS in self.options

    @property
    def characteristic(self) -> bool:
        """Whether it is a characteristic of the patient."""
        return Option.RETAIN_PATIENT_CHARACTERISTICS in self.options


@dataclass(frozen=True)
class ConceptRow:
    """One row of Table E.3.4-1: a content item by concept name and value type."""

    meaning: str
    code: str
    scheme: str
    value_type: str
    basic: str
    options: Mapping[Option, str]


def data_text(name: str) -> str:
    """The text of a data file."""
    from importlib.resources import files  # a third of the import time of this package

    return (files("deid.dicom") / "data" / name).read_text("utf-8")


def _lines(name: str) -> tuple[dict[str, str], list[str]]:
    lines = data_text(name).splitlines()
    start = next(index for index, line in enumerate(lines) if not line.startswith("#"))
    pairs = (line[2:].partition(": ") for line in lines[:start])
    return {key: value for key, _, value in pairs}, lines[start:]


def read_table(name: str) -> Iterator[list[str]]:
    """Rows of a CSV data file, without metadata and header."""
    rows = csv.reader(_lines(name)[1])
    next(rows)
    return rows


@functools.cache
def table_rows() -> tuple[TableRow, ...]:
    """All rows of Table E.1-1 in the order of the standard."""
    columns = tuple(Option)
    return tuple(
        TableRow(
            label=row[0],
            name=row[1],
            tag=int(row[0][1:5] + row[0][6:10], 16) if "x" not in row[0] and row[0] != ODD_GROUPS else None,
            basic=row[2],
            options=MappingProxyType(
                {o: letter for o, letter in zip(columns, row[3:], strict=True) if letter}
            ),
        )
        for row in read_table(ATTRIBUTES)
    )


@functools.cache
def _rows_by_tag() -> tuple[Mapping[int, TableRow], Mapping[str, TableRow]]:
    rows = table_rows()
    return {row.tag: row for row in rows if row.tag is not None}, {r.label: r for r in rows if r.tag is None}


def table_row(tag: int) -> TableRow | None:
    """The row of Table E.1-1 that covers a tag, those of repeating and odd groups included."""
    exact, special = _rows_by_tag()
    row = exact.get(tag)
    if row is not None:
        return row
    group = tag >> 16
    if group & 1:
        return special[ODD_GROUPS]
    if group & 0xFF00 == 0x5000:
        return special["(50xx,xxxx)"]
    if group & 0xFF00 == 0x6000:
        return special.get(f"(60xx,{tag & 0xFFFF:04X})")
    return None


@functools.cache
def concept_rows() -> tuple[ConceptRow, ...]:
    """All rows of Table E.3.4-1."""
    columns = [
        Option.RETAIN_UIDS,
        Option.RETAIN_DEVICE_IDENTITY,
        Option.RETAIN_INSTITUTION_IDENTITY,
        Option.RETAIN_PATIENT_CHARACTERISTICS,
        Option.RETAIN_FULL_DATES,
        Option.RETAIN_MODIFIED_DATES,
        Option.CLEAN_DESCRIPTORS,
    ]
    return tuple(
        ConceptRow(
            meaning=row[0],
            code=row[1],
            scheme=row[2],
            value_type=row[3],
            basic=row[4],
            options=MappingProxyType(
                {o: letter for o, letter in zip(columns, row[5:], strict=True) if letter}
            ),
        )
        for row in read_table(CONCEPTS)
    )


@functools.cache
def editions() -> Mapping[str, str]:
    """Source and edition of every table, as shown in conformance statements and bound into digests."""
    import json

    found = {}
    for name in (ATTRIBUTES, SAFE_PRIVATE, CONCEPTS, TCIA):
        meta = _lines(name)[0]
        found[meta["source"]] = meta["edition"]
    iods = json.loads(data_text(IODS))
    found[iods["source"]] = iods["edition"]
    return MappingProxyType(found)
