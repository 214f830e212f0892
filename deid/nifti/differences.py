"""What cleaning changed in one file: every field, key and cell, before and after; for the operator's eyes."""

import json
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from deid.nifti.context import Context
from deid.nifti.header import Header, text_spans
from deid.nifti.kinds import FileKind
from deid.nifti.scrub import declared_of
from deid.nifti.sidecar import MAX_JSON, Json, read_json
from deid.nifti.stream import open_source, read_whole
from deid.nifti.tables import MAX_TABLE, CleanTable, clean_table, plain_cell, table_suffix, whole_lines
from deid.nifti.volume import Prefix, read_prefix


class Difference(NamedTuple):
    """One changed value.

    Attributes:
        where: Field of a header, keys of a sidecar (``a.b[0]``), column and row of a table (``age[3]``, rows
            counted from 1 in the order of the source).
        form: ``NIfTI``, ``JSON`` or ``TSV``.
        before: The value in the source; None where there is none.
        after: The value in the release; None where it was removed.
    """

    where: str
    form: str
    before: str | None
    after: str | None


def differences(
    kind: FileKind, source: Path, relative: str, written: Sequence[Path], context: Context
) -> Iterator[Difference]:
    """Compare an input with its output.

    Gradient tables hold nothing but the numbers of the source, or are held.

    Args:
        kind: What the file is.
        source: The file.
        relative: Its source path in the tree.
        written: Its output files: of a pair, header and image.
        context: The context that it was cleaned with.
    """
    match kind:
        case FileKind.VOLUME | FileKind.PAIR:
            return _in_header(source, written[0])
        case FileKind.SIDECAR | FileKind.DICTIONARY | FileKind.DESCRIPTION:
            return _in_json(
                read_json(read_whole(source, MAX_JSON)), read_json(read_whole(written[0], MAX_JSON))
            )
        case FileKind.TABLE:
            data, declared = read_whole(source, MAX_TABLE), declared_of(source, relative)
            return _in_table(clean_table(data, table_suffix(relative), relative, context, declared))
        case FileKind.STREAM:
            return _in_stream(source, written[0])
        case FileKind.GRADIENTS | FileKind.PAIR_DATA:
            return iter(())


def _in_header(source: Path, written: Path) -> Iterator[Difference]:
    before, after = _prefix(source), _prefix(written)
    old, new = before.header.raw, after.header.raw
    fields = text_spans(before.header)
    for name, (start, end) in fields.items():
        if old[start:end] != new[start:end]:
            yield Difference(name, "NIfTI", _text(old[start:end]), _text(new[start:end]))
    for start, end in _runs(before.header, new, list(fields.values())):
        yield Difference(f"bytes {start}-{end - 1}", "NIfTI", old[start:end].hex(), new[start:end].hex())
    counts = {"extensions": before.removed_extensions, "bytes outside header and data": before.removed_bytes}
    for name, count in counts.items():
        if count:
            yield Difference(name, "NIfTI", str(count), None)
    if before.cifti != after.cifti:
        yield Difference("CIFTI structure", "NIfTI", _size(before.cifti), _size(after.cifti))
    first, second = _gzip_name(source), _gzip_name(written)
    if first != second:
        yield Difference("name and time in gzip", "NIfTI", first, second)


def _prefix(path: Path) -> Prefix:
    with open_source(path) as stream:
        return read_prefix(stream)


def _runs(header: Header, new: bytes, told: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Ranges of bytes that differ, text fields left out."""
    changed = [
        at
        for at, (a, b) in enumerate(zip(header.raw, new, strict=False))
        if a != b and not any(start <= at < end for start, end in told)
    ]
    for place, at in enumerate(changed):
        if place == 0 or changed[place - 1] != at - 1:
            start = at
        if place == len(changed) - 1 or changed[place + 1] != at + 1:
            yield start, at + 1


def _text(field: bytes) -> str | None:
    return field.decode("latin-1").strip("\0 ") or None


def _size(structure: bytes | None) -> str | None:
    return None if structure is None else f"{len(structure)} bytes"


def _gzip_name(path: Path) -> str | None:
    """Name and time (seconds since 1970) in the head of a gzip file (RFC 1952)."""
    with path.open("rb") as stream:
        head = stream.read(1024)
    if head[:2] != b"\x1f\x8b" or len(head) < 10:
        return None
    flags, time = head[3], int.from_bytes(head[4:8], "little")
    name = head[10:].split(b"\0")[0].decode("latin-1") if flags & 8 and not flags & 4 else ""
    return f"{name} {time or ''}".strip() or None


def _in_json(before: Json, after: Json) -> Iterator[Difference]:
    old, new = _leaves(before), _leaves(after)
    for where in [*old, *(key for key in new if key not in old)]:
        if old.get(where) != new.get(where):
            yield Difference(where, "JSON", old.get(where), new.get(where))


def _leaves(document: Json) -> dict[str, str]:
    """Every value of a document by the keys that lead to it, in the order of the file; texts as they are."""
    found: dict[str, str] = {}
    open_: list[tuple[str, Json]] = [("", document)]
    while open_:
        where, value = open_.pop()
        inner: list[tuple[str, Json]] = []
        if isinstance(value, dict):
            inner = [(f"{where}.{key}" if where else key, child) for key, child in value.items()]
        elif isinstance(value, list):
            inner = [(f"{where}[{number}]", child) for number, child in enumerate(value)]
        if inner:
            open_ += reversed(inner)
        else:
            found[where] = value if isinstance(value, str) else json.dumps(value)
    return found


def _in_table(table: CleanTable) -> Iterator[Difference]:
    for at, name in enumerate(table.names):
        if at not in table.kept:
            values = " | ".join(_cell(cells, at) for cells in table.lines)
            yield Difference(name, "TSV", values, None)
    kept = {number for number, _ in table.rows}
    for number, cells in enumerate(table.lines):
        if number not in kept:
            yield Difference(f"row {number + 1}", "TSV", " | ".join(cells), None)
    for number, cells in sorted(table.rows):
        for at, new in zip(table.kept, cells, strict=True):
            old = _cell(table.lines[number], at)
            if old != new and old.lower() not in ("", "n/a"):
                yield Difference(f"{table.names[at]}[{number + 1}]", "TSV", old, new)


def _cell(cells: list[str], at: int) -> str:
    return plain_cell(cells[at]) if at < len(cells) else ""


def _in_stream(source: Path, written: Path) -> Iterator[Difference]:
    """Cells of a table without header; blank lines are left out in the release."""
    for number, (before, after) in enumerate(zip_longest(_rows(source), _rows(written))):
        for column, (old, new) in enumerate(zip_longest(before or [], after or [])):
            if old != new:
                yield Difference(f"column {column + 1}[{number + 1}]", "TSV", old, new)


def _rows(path: Path) -> Iterator[list[str]]:
    for lines in whole_lines(path):
        for line in lines:
            if line.strip():
                yield [cell.strip() for cell in line.decode("latin-1").rstrip("\r\n").split("\t")]
