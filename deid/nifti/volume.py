"""One NIfTI volume, file or header/image pair: cleaned while it streams, then read back and proved."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from deid.core.errors import Held
from deid.nifti.cifti import CIFTI_CODE, MAX_XML, clean_cifti
from deid.nifti.header import NIFTI1_SIZE, NIFTI2_SIZE, Header, cleaned, geometry, parse_header
from deid.nifti.stream import Limits, SourceStream, gzip_chunks, open_source, read_whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MAX_EXTENSIONS = 4096
_MAX_HDR = 256 << 20


@dataclass(frozen=True)
class Evidence:
    """What a written volume must equal.

    Attributes:
        data_sha256: Digest of the data section, as stored voxels: the source's, or the changed one's.
        geometry: The source header's bytes for dimensions, type, scaling, spacing, timing and affine.
        removed_extensions: Header extensions that were dropped.
        removed_bytes: Bytes between header and data, or after the data, that were dropped.
        note: What stands in the header's ``descrip``.
    """

    data_sha256: str
    geometry: bytes
    removed_extensions: int
    removed_bytes: int
    note: bytes = b""


@dataclass(frozen=True, eq=False)
class NewVoxels:
    """What takes the place of a volume's voxels.

    Attributes:
        stored: Stored values `[i, j, k]` along the axes of the file, of the file's type.
        note: ASCII, up to 80 bytes: what was done, for the header's ``descrip``.
    """

    stored: NDArray[Any]
    note: bytes

    def pieces(self, header: Header) -> Iterator[bytes]:
        """The data section, the first axis fastest, in the byte order of the file.

        Raises:
            Held: It is not as long as the source's.
        """
        if self.stored.nbytes != header.data_bytes:
            raise Held("verification: NIfTI data differs from the source")
        order: Literal["<", ">"] = "<" if header.order == "<" else ">"
        ordered = self.stored.astype(self.stored.dtype.newbyteorder(order), copy=False)
        for number in range(ordered.shape[2]):
            yield ordered[:, :, number].tobytes("F")


@dataclass(frozen=True)
class Prefix:
    """What comes before the data: the source header, and its CIFTI structure where it has one."""

    header: Header
    cifti: bytes | None
    removed_extensions: int
    removed_bytes: int

    def encode(self, clean: Callable[[str], str], note: bytes = b"") -> bytes:
        """The cleaned header with its extension flag, and the cleaned CIFTI structure."""
        if not self.header.single:
            flag = bytes(4 if self.header.version else 0)
            return cleaned(self.header, 0, note) + flag
        if self.cifti is None:
            return cleaned(self.header, len(self.header.raw) + 4, note) + bytes(4)
        xml = clean_cifti(self.cifti, clean)
        size = (8 + len(xml) + 15) // 16 * 16
        extension = struct.pack(self.header.order + "ii", size, CIFTI_CODE) + xml.ljust(size - 8, b"\0")
        return cleaned(self.header, len(self.header.raw) + 4 + size, note) + b"\1\0\0\0" + extension


class ScrubbedVolume:
    """The bytes of one cleaned volume; iterate once, then ask for the evidence.

    Memory stays at a few megabytes whatever the size. The file is opened when the iteration starts.

    Args:
        source: A ``.nii`` or ``.nii.gz`` file, or the header of a pair.
        clean: Text cleaner for the names in a CIFTI structure.
        compress: Write gzip.
        image: The data file of a pair; the iteration then yields the data only.
        limits: Limits of decompression.
        voxels: What takes the place of the source's voxels.
    """

    def __init__(
        self,
        source: Path,
        clean: Callable[[str], str],
        *,
        compress: bool,
        image: Path | None = None,
        limits: Limits | None = None,
        voxels: NewVoxels | None = None,
    ) -> None:
        self._source = source
        self._clean = clean
        self._compress = compress
        self._image = image
        self._limits = limits
        self._voxels = voxels
        self._evidence: Evidence | None = None

    def __iter__(self) -> Iterator[bytes]:
        plain = self._single() if self._image is None else self._pair(self._image)
        yield from gzip_chunks(plain) if self._compress else plain

    @property
    def evidence(self) -> Evidence:
        """What the written file must equal; known once the iteration has ended."""
        assert self._evidence is not None, "the volume has not been read to its end"
        return self._evidence

    @property
    def _note(self) -> bytes:
        return b"" if self._voxels is None else self._voxels.note

    def _single(self) -> Iterator[bytes]:
        with open_source(self._source, self._limits) as stream:
            prefix = read_prefix(stream)
            if not prefix.header.single:
                raise Held("unreadable: header says that the data is in another file")
            yield prefix.encode(self._clean, self._note)
            yield from self._data(stream, prefix)

    def _pair(self, image: Path) -> Iterator[bytes]:
        prefix = read_pair_header(self._source)
        with open_source(image, self._limits) as stream:
            if stream.skip(prefix.header.vox_offset) < prefix.header.vox_offset:
                raise Held("unreadable: NIfTI data truncated")
            yield from self._data(stream, prefix)

    def _data(self, stream: SourceStream, prefix: Prefix) -> Iterator[bytes]:
        digest = hashlib.sha256()
        pieces = stream.pieces(prefix.header.data_bytes)
        if self._voxels is not None:
            for _ in pieces:  # the source is read to its end all the same: what is damaged is held
                pass
            pieces = self._voxels.pieces(prefix.header)
        for piece in pieces:
            digest.update(piece)
            yield piece
        self._evidence = Evidence(
            digest.hexdigest(),
            geometry(prefix.header),
            prefix.removed_extensions,
            prefix.removed_bytes + stream.drain(),
            self._note,
        )


def scrub_pair_header(
    source: Path, clean: Callable[[str], str], *, compress: bool, note: bytes = b""
) -> Iterator[bytes]:
    """The cleaned ``.hdr`` of a pair; its data goes to offset 0 of the ``.img``."""
    encoded = read_pair_header(source).encode(clean, note)
    yield from gzip_chunks([encoded]) if compress else [encoded]


def read_prefix(stream: SourceStream) -> Prefix:
    """Reads header and extensions; a single file's stream then stands at the first byte of the data.

    Raises:
        Held: Not a header, truncated, or a CIFTI file without a readable structure.
    """
    raw = stream.read(NIFTI1_SIZE)
    if raw[:4] in (struct.pack("<i", NIFTI2_SIZE), struct.pack(">i", NIFTI2_SIZE)):
        raw += stream.read(NIFTI2_SIZE - NIFTI1_SIZE)
    header = parse_header(raw)
    if not header.single:
        rest = stream.drain()
        return Prefix(header, None, 0, max(0, rest - 4 * (header.version > 0)))
    flag = stream.read(4)
    if len(flag) < 4:
        raise Held("unreadable: NIfTI data truncated")
    left = header.vox_offset - len(header.raw) - 4
    gap = left
    xml, found = None, 0
    if flag[0]:
        xml, found, left = _read_extensions(stream, header, left)
    if stream.skip(left) < left:
        raise Held("unreadable: NIfTI data truncated")
    if header.is_cifti and xml is None:
        raise Held("CIFTI structure missing or unreadable")
    kept = 0 if xml is None else len(xml) + 8
    return Prefix(header, xml, found - (xml is not None), gap - kept)


def read_pair_header(source: Path) -> Prefix:
    """Reads the header file of a pair."""
    with open_source(source) as stream:
        prefix = read_prefix(stream)
    if prefix.header.single:
        raise Held("unreadable: header of a pair says that the data is in the same file")
    return prefix


def read_header(source: Path) -> Header:
    """Reads the header of a file or pair, and no more of the file than that."""
    with open_source(source) as stream:
        return parse_header(stream.read(NIFTI2_SIZE))


def _read_extensions(stream: SourceStream, header: Header, left: int) -> tuple[bytes | None, int, int]:
    """(CIFTI structure, extensions seen, bytes still left before the data)."""
    xml: bytes | None = None
    found = 0
    while left >= 8 and found < _MAX_EXTENSIONS:
        entry = stream.read(8)
        left -= len(entry)
        if len(entry) < 8:
            raise Held("unreadable: NIfTI data truncated")
        size, code = struct.unpack(header.order + "ii", entry)
        if size < 8 or size - 8 > left:
            break  # no extension: what stands here up to the data is dropped as unknown bytes
        found += 1
        if code == CIFTI_CODE and header.is_cifti and xml is None:
            if size > MAX_XML:
                raise Held("CIFTI structure over the limits")
            xml = stream.read(size - 8)
            left -= len(xml)
        else:
            left -= stream.skip(size - 8)
    return xml, found, left


def verify_nifti(
    out: Path, evidence: Evidence, clean: Callable[[str], str], header_file: Path | None = None
) -> None:
    """Reads a written volume back and proves that it is clean and that its data is the source's.

    Args:
        out: The written file; of a pair, the image file.
        evidence: What :class:`ScrubbedVolume` saw in the source.
        clean: The text cleaner that was used.
        header_file: The written header file, for a pair.

    Raises:
        Held: A text field or an extension is left, bytes stand outside header and data, or anything that
            must be equal differs.
    """
    limits = Limits(ratio=1 << 20)
    with open_source(out, limits) as stream:
        if header_file is None:
            prefix = read_prefix(stream)
            _verify_prefix(out, prefix, clean, evidence.note)
        else:
            prefix = _verify_header_file(header_file, clean, evidence.note)
        digest = hashlib.sha256()
        for piece in stream.pieces(prefix.header.data_bytes):
            digest.update(piece)
        if stream.drain():
            raise Held("verification: bytes after the NIfTI data")
    if digest.hexdigest() != evidence.data_sha256:
        raise Held("verification: NIfTI data differs from the source")
    if geometry(prefix.header) != evidence.geometry:
        raise Held("verification: NIfTI geometry differs from the source")


def _verify_prefix(out: Path, prefix: Prefix, clean: Callable[[str], str], note: bytes) -> None:
    """Cleaning is idempotent, so what it would still change before the data is not clean."""
    encoded = prefix.encode(clean, note)
    if len(encoded) != prefix.header.vox_offset:
        raise Held("verification: NIfTI header is not clean")
    with open_source(out) as stream:
        if stream.read(len(encoded)) != encoded:
            raise Held("verification: NIfTI header is not clean")


def _verify_header_file(header_file: Path, clean: Callable[[str], str], note: bytes) -> Prefix:
    written = read_whole(header_file, _MAX_HDR)
    prefix = read_pair_header(header_file)
    if written != prefix.encode(clean, note):
        raise Held("verification: NIfTI header is not clean")
    return prefix
