"""What a file of a NIfTI or BIDS tree is, from its name, its first bytes and its neighbours."""

from enum import StrEnum
from pathlib import Path, PurePosixPath

from deid.nifti.bids import parse_name, subject_label
from deid.nifti.columns import STREAMS, TABLES
from deid.nifti.header import is_nifti, uncompressed_head
from deid.nifti.labels import split_extension
from deid.nifti.tables import table_suffix
from deid.nifti.vocabulary import CIFTI_EXTENSIONS, TOP_LEVEL

_VOLUME_EXTENSIONS = (".nii", ".nii.gz", *CIFTI_EXTENSIONS)
_GRADIENTS = frozenset({".bval", ".bvec", ".bvals", ".bvecs"})


class FileKind(StrEnum):
    """The kinds that this package cleans; a file of no kind is skipped and listed, never copied."""

    VOLUME = "NIfTI file"
    PAIR = "NIfTI or Analyze header with its image"
    PAIR_DATA = "image of a pair, released with its header"
    SIDECAR = "BIDS sidecar"
    DICTIONARY = "BIDS data dictionary"
    DESCRIPTION = "BIDS data set description"
    TABLE = "BIDS table"
    STREAM = "table of numbers without header"
    GRADIENTS = "gradient table"


def classify(source: Path, relative: str, head: bytes) -> FileKind | None:
    """Decides what a file is.

    Args:
        source: The file; only whether neighbours exist (header, image, volume of the same stem) is looked at.
        relative: Its source path in the tree.
        head: Its first bytes as stored, :data:`deid.nifti.header.HEAD_BYTES` of them.

    Returns:
        None for everything that is not NIfTI or BIDS: README, code, pictures, other JSON and tables.
    """
    stem, extension = split_extension(source.name)
    if extension in {".hdr", ".hdr.gz"}:
        return FileKind.PAIR if is_nifti(head, source.name) else None
    if extension in {".img", ".img.gz"} and find_header(source) is not None:
        return FileKind.PAIR_DATA
    if extension in _VOLUME_EXTENSIONS or _is_single(head):
        return FileKind.VOLUME
    if extension == ".json":
        return _classify_json(source, relative, stem)
    if extension in {".tsv", ".tsv.gz"}:
        return _classify_table(relative, stem, extension)
    if extension in _GRADIENTS and (parse_name(stem) is not None or _has_volume(source, stem)):
        return FileKind.GRADIENTS
    return None


def find_header(image: Path) -> Path | None:
    """The header file beside the image of a pair."""
    return _neighbour(image, (".hdr", ".hdr.gz"))


def find_image(header: Path) -> Path | None:
    """The image file beside the header of a pair."""
    return _neighbour(header, (".img", ".img.gz"))


def _neighbour(path: Path, extensions: tuple[str, str]) -> Path | None:
    stem, own = split_extension(path.name)
    # The one compressed alike first: a folder may hold both.
    ordered = sorted(extensions, key=lambda extension: extension.endswith(".gz") != own.endswith(".gz"))
    for extension in (*ordered, *(extension.upper() for extension in ordered)):
        candidate = path.with_name(stem + extension)
        if candidate.is_file() and not candidate.is_symlink():
            return candidate
    return None


def _is_single(head: bytes) -> bool:
    """A NIfTI file under another name, known by its magic."""
    raw = uncompressed_head(head)
    return raw[344:348] == b"n+1\0" or raw[4:8] == b"n+2\0"


def _has_volume(source: Path, stem: str) -> bool:
    return any(
        source.with_name(stem + extension).is_file() for extension in (".nii.gz", ".nii", ".hdr", ".hdr.gz")
    )


def _classify_json(source: Path, relative: str, stem: str) -> FileKind | None:
    if stem == "dataset_description":
        return FileKind.DESCRIPTION
    if PurePosixPath(relative).parent.name == "phenotype":
        return FileKind.DICTIONARY
    if parse_name(stem, subject_label(relative)) is not None or stem in TOP_LEVEL:
        return FileKind.DICTIONARY if table_suffix(relative) in TABLES | STREAMS else FileKind.SIDECAR
    return FileKind.SIDECAR if _has_volume(source, stem) else None


def _classify_table(relative: str, stem: str, extension: str) -> FileKind | None:
    suffix = table_suffix(relative)
    if suffix == "phenotype":
        return FileKind.TABLE
    if parse_name(stem, subject_label(relative)) is None and stem not in TOP_LEVEL:
        return None
    if suffix in STREAMS:
        return FileKind.STREAM
    return FileKind.TABLE if suffix in TABLES and extension == ".tsv" else None
