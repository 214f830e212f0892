"""The one way in: what a file is, whose it is, and its cleaned bytes under its new path.

``classify`` says what a file is, ``identity_of`` whose; ``collect_identifiers`` learns what to clean;
``scrub_file`` gives the output files; ``verify_outputs`` reads them back.
"""

import gzip
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deid.core.errors import Held
from deid.core.kinds import Kind
from deid.core.matching import parse_date
from deid.nifti.bids import PathMapper, identity_of
from deid.nifti.collect import collect_by_person, collect_identifiers
from deid.nifti.context import Context
from deid.nifti.faces import face_risk
from deid.nifti.header import HEAD_BYTES
from deid.nifti.kinds import FileKind, classify, find_header, find_image
from deid.nifti.labels import split_extension
from deid.nifti.sidecar import MAX_JSON, read_object, scrub_json
from deid.nifti.stream import Limits, gzip_chunks, read_whole
from deid.nifti.tables import (
    MAX_TABLE,
    find_declared,
    scrub_gradients,
    scrub_numbers,
    scrub_table,
    table_suffix,
)
from deid.nifti.vocabulary import CIFTI_EXTENSIONS
from deid.nifti.volume import NewVoxels, ScrubbedVolume, read_header, scrub_pair_header, verify_nifti

__all__ = [
    "HEAD_BYTES",
    "TEXT_KINDS",
    "Context",
    "FileKind",
    "Output",
    "check_text",
    "classify",
    "collect_by_person",
    "collect_identifiers",
    "face_risk_of",
    "identity_of",
    "release_path",
    "scrub_file",
    "verify_outputs",
]  # fmt: skip


@dataclass(frozen=True)
class Output:
    """One file of the release.

    Attributes:
        relative: Its release path (POSIX).
        chunks: Its bytes in pieces; iterate once. :class:`Held` may come out of the iteration.
        removed: Keys, columns, rows or values that were dropped (sidecars and tables).
        volume: For voxel data, the stream whose evidence is known after ``chunks`` ended.
    """

    relative: str
    chunks: Iterable[bytes]
    removed: int = 0
    volume: ScrubbedVolume | None = None


def scrub_file(
    kind: FileKind,
    source: Path,
    relative: str,
    context: Context,
    limits: Limits | None = None,
    voxels: NewVoxels | None = None,
) -> list[Output]:
    """Cleans one file.

    Args:
        kind: From :func:`classify`.
        source: The file.
        relative: Its source path in the tree (POSIX).
        context: What is known of its patient and its tree.
        limits: Limits of decompression.
        voxels: What takes the place of a volume's voxels.

    Returns:
        The output files: two for a pair, none for the image of a pair (it comes with its header).

    Raises:
        Held: The file cannot be cleaned; also while ``chunks`` are read.
    """
    target = release_path(context.paths, relative, kind)
    match kind:
        case FileKind.VOLUME:
            return [_volume(source, target, context, limits, voxels)]
        case FileKind.PAIR:
            return _pair(source, relative, target, context, limits, voxels)
        case FileKind.PAIR_DATA:
            if find_header(source) is None:
                raise Held("unreadable: image of a pair without its header")
            return []
        case FileKind.SIDECAR | FileKind.DICTIONARY | FileKind.DESCRIPTION:
            table = None if kind is FileKind.SIDECAR else table_suffix(relative)
            name = "dataset_description" if kind is FileKind.DESCRIPTION else table
            data, removed = scrub_json(read_whole(source, MAX_JSON), relative, context, name)
            return [Output(target, [data], removed)]
        case FileKind.TABLE:
            return [_table(source, relative, target, context)]
        case FileKind.STREAM:
            numbers = scrub_numbers(source, limits)
            return [Output(target, gzip_chunks(numbers) if target.endswith(".gz") else numbers)]
        case FileKind.GRADIENTS:
            return [Output(target, scrub_gradients(source))]


def release_path(paths: PathMapper, relative: str, kind: FileKind) -> str:
    """The path that a file is released under; the header's for a pair.

    A NIfTI file under another extension (known by its magic) is released under ``.nii``.
    """
    target = paths.map_path(relative)
    _, extension = split_extension(target)
    if kind is not FileKind.VOLUME or extension in {".nii", ".nii.gz", *CIFTI_EXTENSIONS}:
        return target
    return target.removesuffix(extension) + ".nii"


def verify_outputs(outputs: Sequence[Output], written: Sequence[Path], context: Context) -> None:
    """Reads the volumes among the written files back and proves them; see :func:`verify_nifti`.

    Args:
        outputs: What :func:`scrub_file` returned, read to the end.
        written: Where each of them was written, in the same order.
        context: The context that was used.

    Raises:
        Held: Something is left or differs.
    """
    for at, output in enumerate(outputs):
        if output.volume is not None:
            header_file = written[at - 1] if len(outputs) == 2 else None
            verify_nifti(written[at], output.volume.evidence, context.clean_text, header_file)


TEXT_KINDS = frozenset({FileKind.SIDECAR, FileKind.DICTIONARY, FileKind.DESCRIPTION, FileKind.TABLE})
"""Kinds whose output is text, which :func:`check_text` searches."""


def check_text(written: Path, context: Context) -> None:
    """Searches a written text file for identifiers of six characters or more.

    A shifted date may fall on another date of the patient's, and in a table of many patients some always do.
    So a date may stand there as often as shifting has put it there, and no more.

    Args:
        written: The file.
        context: The context that only this file was written with.

    Raises:
        Held: One is left.
    """
    data = read_whole(written, 2 * MAX_TABLE)
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    ours = context.written_dates.copy()
    for start, end, kind in context.known.find_raw(data):
        date = parse_date(data[start:end].decode("ascii", "replace")) if kind is Kind.DATE else None
        if date is None or ours[date] == 0:
            raise Held(f"verification: {kind} in the written text")
        ours[date] -= 1


def face_risk_of(source: Path, relative: str) -> str | None:
    """Why a volume or pair may show a face (:func:`deid.nifti.faces.face_risk`), its sidecar considered.

    Raises:
        Held: The header cannot be read.
    """
    header = read_header(source)
    stem, _ = split_extension(source.name)
    part = read_object(source.with_name(stem + ".json")).get("BodyPartExamined")
    return face_risk(relative, header, part if isinstance(part, str) else None)


def _volume(
    source: Path, target: str, context: Context, limits: Limits | None, voxels: NewVoxels | None
) -> Output:
    compress = target.endswith(".gz")
    volume = ScrubbedVolume(source, context.clean_text, compress=compress, limits=limits, voxels=voxels)
    return Output(target, volume, volume=volume)


def _pair(
    source: Path,
    relative: str,
    target: str,
    context: Context,
    limits: Limits | None,
    voxels: NewVoxels | None,
) -> list[Output]:
    image = find_image(source)
    if image is None:
        raise Held("unreadable: header of a pair without its image")
    folder = relative.rpartition("/")[0]
    image_target = context.paths.map_path(f"{folder}/{image.name}" if folder else image.name)
    note = b"" if voxels is None else voxels.note
    header = scrub_pair_header(source, context.clean_text, compress=target.endswith(".gz"), note=note)
    compress = image_target.endswith(".gz")
    volume = ScrubbedVolume(
        source, context.clean_text, compress=compress, image=image, limits=limits, voxels=voxels
    )
    return [Output(target, header), Output(image_target, volume, volume=volume)]


def _table(source: Path, relative: str, target: str, context: Context) -> Output:
    declared = declared_of(source, relative)
    data, removed = scrub_table(
        read_whole(source, MAX_TABLE), table_suffix(relative), relative, context, declared
    )
    chunks: Iterable[bytes] = gzip_chunks([data]) if target.endswith(".gz") else [data]
    return Output(target, chunks, removed)


def declared_of(source: Path, relative: str) -> Mapping[str, object]:
    """The data dictionary of a table by BIDS inheritance; empty where there is none."""
    return find_declared(source, relative, read_object)
