"""What the files of a NIfTI or BIDS tree say about a patient, for the index pass.

So that the text of one file is cleaned of what another file of the same patient gives away.
"""

import re
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from deid.core.errors import Held
from deid.nifti.bids import PathMapper, subject_label
from deid.nifti.columns import BY_PERSON, decode_text
from deid.nifti.header import text_fields
from deid.nifti.kinds import FileKind
from deid.nifti.labels import PseudonymSource, split_extension
from deid.nifti.sidecar import Json, read_json
from deid.nifti.sidecar_keys import IDENTIFYING
from deid.nifti.stream import PIECE, open_source, read_whole
from deid.nifti.tables import MAX_TABLE, table_suffix
from deid.nifti.volume import read_header

if TYPE_CHECKING:
    from deid.core.identifiers import Identifier

_MAX_DEPTH = 32
_MAX_FOUND = 10_000
_COLUMN_KINDS = (
    ("DATE", re.compile(r"date|birth|dob|acq_time|datum", re.IGNORECASE)),
    ("PERSON", re.compile(r"operator|physician|technician|doctor|rater|investigator", re.IGNORECASE)),
    ("PHONE", re.compile(r"phone|fax|mobile", re.IGNORECASE)),
    (
        "PLACE",
        re.compile(r"address|street|city|town|site|institut|hospital|cent(?:er|re)$|station", re.IGNORECASE),
    ),
    ("PATIENT_NAME", re.compile(r"name|initial", re.IGNORECASE)),
    ("ID", re.compile(r"mrn|ssn|accession|record|insur|passport|(?:^|_)id$", re.IGNORECASE)),
)
_NOT_IDENTIFYING = frozenset({"", "n/a", "unknown", "anonymous", "anon", "none", "null"})
_DATE_LABEL = re.compile(r"(?:19|20)\d{6}", re.ASCII)

# Tables of one subject; in the others (channels, events) a "name" is no person.
_ABOUT_SUBJECT = frozenset({"scans", "sessions", "samples"})

Found = tuple[str, str]  # (name of the Kind, value)


def collect_identifiers(source: Path, relative: str, kind: FileKind) -> "list[Identifier]":
    """What one file says about its own patient: path labels, sidecar keys, header texts, scan dates.

    Args:
        source: The file.
        relative: Its source path in the tree.
        kind: What :func:`deid.nifti.scrub.classify` says it is.

    Raises:
        Held: The file cannot be read as its kind.
    """
    return _identifiers([*_from_path(relative), *_from_file(source, relative, kind)])


def collect_by_person(
    source: Path, relative: str, pseudonyms: PseudonymSource, subject_map: Mapping[str, str]
) -> "dict[str, list[Identifier]]":
    """What ``participants.tsv`` or a phenotype table says of each person, by identity string.

    Raises:
        Held: The file cannot be read or is over the limit.
    """
    if table_suffix(relative) not in BY_PERSON:
        return {}
    paths = PathMapper(pseudonyms, subject_map)
    found: dict[str, list[Found]] = {}
    for row in _rows(source):
        subject = row.get("participant_id") or row.get("subject_id")
        if subject:
            found.setdefault(paths.subject(subject, relative), []).extend(_from_row(row))
    return {identity: _identifiers(values) for identity, values in found.items()}


def _identifiers(found: list[Found]) -> "list[Identifier]":
    from deid.core.identifiers import Identifier, Kind

    values = {(kind, value.strip()) for kind, value in found if value.strip().lower() not in _NOT_IDENTIFYING}
    return sorted(Identifier(Kind[kind], value) for kind, value in values)


def _from_path(relative: str) -> Iterator[Found]:
    label = subject_label(relative)
    # One or two characters are a number in the data set; taken as an id they would empty every text.
    if label is not None and len(label) > 2:
        yield "ID", label
    for part in PurePosixPath(relative).parts:
        if part.startswith("ses-") and _DATE_LABEL.fullmatch(part[4:]):
            yield "DATE", part[4:]


def _from_file(source: Path, relative: str, kind: FileKind) -> Iterator[Found]:
    if kind in {FileKind.VOLUME, FileKind.PAIR}:
        yield from _from_header(source)
    elif kind in {FileKind.SIDECAR, FileKind.DICTIONARY, FileKind.DESCRIPTION}:
        yield from _from_json(read_json(read_whole(source, MAX_TABLE)), 0)
    elif kind is FileKind.TABLE and table_suffix(relative) in _ABOUT_SUBJECT:
        for row in _rows(source):
            yield from _from_row(row)


def _from_header(source: Path) -> Iterator[Found]:
    header = read_header(source)
    texts = text_fields(header)
    if "patient_id" in texts:
        yield "ID", texts["patient_id"]
    if "exp_date" in texts:
        yield "DATE", texts["exp_date"]
    # Converters put the patient's name or id here.
    if len(texts.get("db_name", "")) > 2:
        yield ("PATIENT_NAME" if any(c.isalpha() for c in texts["db_name"]) else "ID"), texts["db_name"]
    if not header.single:
        return
    with open_source(source) as stream:
        stream.skip(len(header.raw))
        block = stream.read(min(max(header.vox_offset - len(header.raw), 0), PIECE))
    for content in extension_contents(block, header.order):
        if content.lstrip()[:1] == b"{":
            try:
                yield from _from_json(read_json(content.rstrip(b"\0")), 0)
            except Held:  # an extension is removed whether it can be read or not
                continue


def extension_contents(block: bytes, order: str) -> Iterator[bytes]:
    """The contents of header extensions (nifti1.h), padding included.

    Args:
        block: What stands between header and voxels, four flag bytes first.
        order: Byte order as in :mod:`struct`.
    """
    at = 4
    while block[:1] != b"\0" and at + 8 <= len(block):
        size = struct.unpack_from(order + "i", block, at)[0]
        if size < 8:
            return
        yield block[at + 8 : at + size]
        at += size


def _from_json(document: Json, depth: int) -> Iterator[Found]:
    if depth > _MAX_DEPTH:
        return
    if isinstance(document, list):
        for item in document:
            if isinstance(item, dict | list):
                yield from _from_json(item, depth + 1)
    elif isinstance(document, dict):
        for key, value in document.items():
            kind = IDENTIFYING.get(key)
            if kind is not None:
                for item in value if isinstance(value, list) else [value]:
                    if isinstance(item, str | int) and not isinstance(item, bool):
                        yield kind, str(item)
            elif isinstance(value, dict | list):
                yield from _from_json(value, depth + 1)


def _rows(source: Path) -> Iterator[dict[str, str]]:
    lines = decode_text(read_whole(source, MAX_TABLE)).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    names = [name.strip().strip('"') for name in lines[0].split("\t")]
    for line in lines[1 : _MAX_FOUND + 1]:
        if line.strip():
            yield dict(zip(names, (cell.strip().strip('"') for cell in line.split("\t")), strict=False))


def _from_row(row: Mapping[str, str]) -> Iterator[Found]:
    for column, value in row.items():
        if column in {"participant_id", "subject_id", "session_id", "sample_id", "filename"}:
            stem = split_extension(value)[0].removeprefix("sub-")
            if column in {"participant_id", "subject_id"} and len(stem) > 2:
                yield "ID", stem
            continue
        kind = next((kind for kind, pattern in _COLUMN_KINDS if pattern.search(column)), None)
        if kind is not None:
            yield kind, value
