"""What stands in one NIfTI or BIDS file outside the voxels, and what its original says of the patient."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from deid.audit.identifiers import LONG, Sort, SourceValue, word_is_common
from deid.audit.leaves import Content, Segment
from deid.core.keys import ProjectKey
from deid.core.matching import parse_date
from deid.core.pseudonyms import Pseudonyms
from deid.nifti.collect import collect_by_person, collect_identifiers, extension_contents
from deid.nifti.header import HEAD_BYTES, is_nifti, text_fields
from deid.nifti.kinds import FileKind, classify, find_header
from deid.nifti.stream import open_source, read_whole
from deid.nifti.tables import MAX_TABLE
from deid.nifti.volume import read_header

NIFTI = (".nii", ".nii.gz")
_PAIR, _PAIR_DATA = (".hdr", ".hdr.gz"), (".img", ".img.gz")
TEXTS = (".json", ".tsv", ".tsv.gz", ".bval", ".bvec")
HEADER, EXTENSION, BEFORE, BEHIND, NAME, TEXT = (
    "NIfTI header", "NIfTI extension", "before the voxels", "behind the voxels", "gzip header",
    "sidecar or table",
)  # fmt: skip

_WORD = re.compile(r"[^\W_]+")
_LEAST_WORD = 4
_NAMED = 0x18  # RFC 1952: a file name or a comment follows the ten fixed bytes
_LONGEST_NAME, _LONGEST_TEXT = 512, 256
_MOST_BEHIND = 16 << 20
_SORTS = {"PATIENT_NAME": Sort.NAME, "PERSON": Sort.NAME, "DATE": Sort.DATE, "UID": Sort.UID}


def is_text(name: str) -> bool:
    """Whether a file is a sidecar, a table or a gradient table."""
    return name.lower().endswith(TEXTS)


def is_volume(path: Path) -> bool:
    """Whether a file is a NIfTI file, or the header of a NIfTI or Analyze pair, not another ``.hdr``."""
    if not path.name.lower().endswith(_PAIR):
        return path.name.lower().endswith(NIFTI)
    try:
        with path.open("rb") as stream:
            return is_nifti(stream.read(HEAD_BYTES), path.name)
    except OSError:
        return False


def is_beside(path: Path) -> bool:
    """Whether a file is no image of its own: a text, or the voxels of a pair, which come with its header."""
    if path.name.lower().endswith(_PAIR_DATA):
        header = find_header(path)
        return header is not None and is_volume(header)
    return is_text(path.name)


def is_bids(path: Path) -> bool:
    """Whether a file is one of those that :func:`read_bids` reads."""
    return is_beside(path) or is_volume(path)


def read_bids(path: Path) -> Content:
    """The bytes of a NIfTI file outside its voxels, uncompressed, or all of a text file.

    Raises:
        Held: It cannot be read or is over the limits.
        OSError: It cannot be opened.
    """
    if is_text(path.name):
        return Content((), (Segment(-1, read_whole(path, MAX_TABLE), TEXT),), "", "")
    return Content((), tuple(_segments(path)), "", "")


def bids_values(path: Path, relative: str) -> set[SourceValue]:
    """What an original says of its own patient: header texts, extensions, sidecar keys, cells, path labels.

    Args:
        path: The original.
        relative: Its path below the folder of the originals.
    """
    with path.open("rb") as stream:
        kind = classify(path, relative, stream.read(HEAD_BYTES))
    if kind is None:
        return set()
    found = collect_identifiers(path, relative, kind)
    values = {value for each in found for value in _value(each.kind.name, each.value)}
    return values | set(_free_texts(path)) if kind in (FileKind.VOLUME, FileKind.PAIR) else values


def values_of_persons(path: Path, relative: str) -> dict[str, set[SourceValue]]:
    """What ``participants.tsv`` or a phenotype table says of each person, by label without ``sub-``."""
    # Identities are asked for and no pseudonym, so that any key will do.
    by_identity = collect_by_person(path, relative, Pseudonyms(ProjectKey(bytes(32))), {})
    return {
        identity.rsplit(":", 1)[-1]: {value for each in found for value in _value(each.kind.name, each.value)}
        for identity, found in by_identity.items()
    }


def path_words(relative: str) -> set[SourceValue]:
    """Words of a source path that may name somebody; finding one is possible evidence at most."""
    *folders, name = PurePosixPath(relative).parts
    words = (word for part in (*folders, name.split(".")[0]) for word in _WORD.findall(part))
    return {
        SourceValue(Sort.CODE, word, False)
        for word in words
        if len(word) >= (LONG if word.isdigit() else _LEAST_WORD) and not word_is_common(word)
    }


def _segments(path: Path) -> Iterator[Segment]:
    with path.open("rb") as raw:
        start = raw.read(_LONGEST_NAME)
    if start[:2] == b"\x1f\x8b" and len(start) > 10 and start[3] & _NAMED:
        fields = bin(start[3] & _NAMED).count("1")  # each ends with NUL; then the compressed bytes begin
        yield Segment(-1, b"\0".join(start[10:].split(b"\0")[:fields]), NAME)
    if path.name.lower().endswith(_PAIR_DATA):
        yield from _around_voxels(path)
        return
    header = read_header(path)
    with open_source(path) as stream:
        yield Segment(-1, stream.read(len(header.raw)), HEADER)
        if header.single:
            yield Segment(-1, stream.read(max(0, header.vox_offset - len(header.raw))), EXTENSION)
            stream.skip(header.data_bytes)
        # Behind the header of a pair there are no voxels, but the extensions.
        yield Segment(-1, stream.read(_MOST_BEHIND), BEHIND if header.single else EXTENSION)


def _around_voxels(path: Path) -> Iterator[Segment]:
    """Of the image of a pair, what is no voxel."""
    beside = find_header(path)
    if beside is None:
        return
    header = read_header(beside)
    with open_source(path) as stream:
        yield Segment(-1, stream.read(min(header.vox_offset, _MOST_BEHIND)), BEFORE)
        stream.skip(header.data_bytes + max(0, header.vox_offset - _MOST_BEHIND))
        yield Segment(-1, stream.read(_MOST_BEHIND), BEHIND)


def _free_texts(path: Path) -> Iterator[SourceValue]:
    """Text fields and extensions, which no release keeps: often what a program wrote, so never certain."""
    header = read_header(path)
    texts = list(text_fields(header).values())
    for segment in _segments(path):
        if segment.part == EXTENSION:
            contents = extension_contents(segment.data, header.order)
            texts += [content.strip(b"\0 \n").decode("utf-8", "replace") for content in contents]
    for text in texts:
        if sum(map(str.isalnum, text)) >= LONG and len(text) <= _LONGEST_TEXT and not word_is_common(text):
            yield SourceValue(Sort.TEXT, text, False)


def _value(kind: str, text: str) -> Iterator[SourceValue]:
    sort = _SORTS.get(kind, Sort.CODE)
    if sort is Sort.DATE:
        day = parse_date(text)
        if day is not None:
            yield SourceValue(sort, "{:04d}{:02d}{:02d}".format(*day), True)
    elif len(text) > 2:
        letters = sum(map(str.isalnum, text))
        certain = letters >= LONG and not word_is_common(text)
        yield SourceValue(sort, text, certain)
