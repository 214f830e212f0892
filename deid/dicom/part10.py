"""Opening a DICOM file as bytes plus offsets: preamble, file meta information, transfer syntax.

PS3.10 chapter 7 is what a file should look like; files without preamble, without file meta information,
with a transfer syntax that lies and with a deflated data set (PS3.5 A.5) are understood as well.
"""

from __future__ import annotations

import contextlib
import io
import mmap
import os
import re
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from deid.core.errors import Held, Skipped
from deid.dicom.codestream import is_compressed
from deid.dicom.elements import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    VRS,
    Buffer,
    Element,
    Encoding,
    StructureError,
    Wanted,
    everything,
    walk,
)
from deid.dicom.risk import PIXEL_TAGS

IN_MEMORY = 4 << 20
"""Files up to this many bytes are read; larger ones are mapped, so memory stays bounded."""
MAX_INFLATION = 200
"""A deflated data set that grows by more than this factor is a decompression bomb."""
_INFLATION_FLOOR = 16 << 20
_PIECE = 1 << 20
_HEADER_BYTES = 1 << 16

UID_IMPLICIT = "1.2.840.10008.1.2"
UID_EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
UID_EXPLICIT_BIG = "1.2.840.10008.1.2.2"
_DEFLATED = frozenset({"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"})
"""Syntaxes whose whole data set is deflated: Explicit VR Little Endian and the two of JPIP."""
_NATIVE = {
    UID_IMPLICIT: IMPLICIT_LITTLE,
    UID_EXPLICIT_LITTLE: EXPLICIT_LITTLE,
    UID_EXPLICIT_BIG: EXPLICIT_BIG,
}
_UID_OF = {encoding: uid for uid, encoding in _NATIVE.items()}

_KNOWN = re.compile(
    r"1\.2\.840\.10008\.1(?:\.\d{1,3}){1,6}|1\.2\.840\.113619\.5\.2|1\.3\.46\.670589\.33\.1\.4\.1"
)
"""Transfer syntaxes of the standard, and the private ones of GE and Philips; others may say anything."""
_TRANSFER_SYNTAX = 0x00020010

Closer = mmap.mmap | io.FileIO


class NotDicom(Skipped):
    """The file holds no DICOM data set."""

    def __init__(self) -> None:
        super().__init__("not DICOM, NIfTI or BIDS")


@dataclass(frozen=True)
class Part10:
    """One opened DICOM file.

    Attributes:
        body: The bytes that hold the data set (the file, or what it inflates to).
        elements: The data set, in stream order; offsets point into ``body``.
        meta: The file meta information, or an empty list; offsets point into ``file``.
        file: The bytes of the file.
        syntax: Transfer Syntax UID that describes ``body`` truthfully.
        encoding: How the data set is encoded.
        deflated: The data set was deflated in the file.
        start: Offset of the data set in ``body``.
        size: Bytes of the body; more than ``body`` has where native pixel data at its end was not read.
        closers: What is closed with it; the open file is among them.
    """

    file: Buffer
    body: Buffer
    elements: list[Element]
    meta: list[Element]
    syntax: str
    encoding: Encoding
    deflated: bool
    start: int
    size: int
    closers: tuple[Closer, ...] = ()

    def __enter__(self) -> Part10:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for closer in self.closers:
            closer.close()

    @property
    def is_header(self) -> bool:
        """Whether the last element is native pixel data that was not read as a whole."""
        return self.size > len(self.body)

    def fileno(self) -> int:
        """Descriptor of the open file."""
        return next(closer.fileno() for closer in self.closers if isinstance(closer, io.FileIO))


def open_part10(path: Path | str, *, wanted: Wanted = everything, header: bool = False) -> Part10:
    """Open a DICOM file.

    Args:
        path: The file.
        wanted: Which elements the caller looks at (:func:`deid.dicom.elements.walk`).
        header: Native pixel data at the end of the file need not be read.

    Returns:
        The walked file; use it as a context manager, it may hold a memory map or the open file.

    Raises:
        NotDicom: Nothing in the file looks like DICOM.
        Held: It is DICOM, but cannot be understood; the reason says why.
        OSError: The file cannot be read.
    """
    stream = io.FileIO(os.fspath(path))
    closers: tuple[Closer, ...] = (stream,)
    try:
        size = os.fstat(stream.fileno()).st_size
        source = _open_header(stream, size, wanted) if header and size > 2 * _HEADER_BYTES else None
        if source is not None:
            return source
        if size > IN_MEMORY:
            mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
            closers += (mapped,)
            return parse_part10(mapped, closers, wanted=wanted)
        return parse_part10(_read(stream, size), closers, wanted=wanted)
    except BaseException:
        for closer in closers:
            closer.close()
        raise


def _open_header(stream: io.FileIO, size: int, wanted: Wanted) -> Part10 | None:
    """Walk the beginning of a file; None where the header does not end in it.

    What was cut off makes the walk fail, or leaves an element that ends beyond what was read.
    """
    head = stream.read(_HEADER_BYTES)
    with contextlib.suppress(Held, Skipped, ValueError):  # ValueError: no element at all
        source = parse_part10(head, (stream,), wanted=wanted, size=size)
        *others, last = source.elements
        native = last.tag in PIXEL_TAGS and last.items is None and last.stop == size
        if native and last.start <= len(head) and all(element.stop <= len(head) for element in others):
            return source
    stream.seek(0)
    return None


def _read(stream: io.FileIO, size: int) -> bytes:
    data = stream.read(size + 1)
    while len(data) < size:  # a short read is legal; the end of the file is not reached yet
        more = stream.read(size + 1 - len(data))
        if not more:
            break
        data += more
    return data


def parse_part10(
    file: Buffer,
    closers: tuple[Closer, ...] = (),
    *,
    wanted: Wanted = everything,
    size: int | None = None,
) -> Part10:
    """Walk the bytes of a DICOM file; see :func:`open_part10`.

    Args:
        file: The bytes.
        closers: What to close with the result.
        wanted: Which elements of the data set the caller looks at (:func:`deid.dicom.elements.walk`).
        size: Bytes of the file, where ``file`` is only its beginning.
    """
    bare = file[:4] == b"DICM"  # some writers leave out the preamble only
    marked = bare or file[128:132] == b"DICM"
    start = (4 if bare else 132) if marked else 0
    if not marked and not _plausible(file):
        raise NotDicom()
    end = len(file) if size is None else size
    meta = walk(file, start, end, EXPLICIT_LITTLE, partial=True)
    declared = _declared_syntax(file, meta)
    start = meta[-1].stop if meta else start
    body: Buffer = file
    deflated = declared in _DEFLATED
    if deflated:
        body, inflated = _inflate(file, start)
        closers += inflated
        start = 0
    try:
        encoding = _encoding(body, start, declared)
        end = len(body) if deflated else end
        elements = walk(body, start, end, encoding, wanted=wanted)
    except StructureError:
        if marked:
            raise
        raise NotDicom() from None
    if declared is None and any(map(is_compressed, elements)):
        raise Held("unreadable: compressed pixel data of an unknown transfer syntax")
    syntax = _true_syntax(declared, encoding)
    return Part10(file, body, elements, meta, syntax, encoding, deflated, start, end, closers)


def _plausible(file: Buffer) -> bool:
    """Whether bytes without the ``DICM`` mark begin like file meta information or like a data set."""
    head = file[:8]
    if len(head) < 8 or len(file) < 64:
        return False
    group, number = int.from_bytes(head[:2], "little"), int.from_bytes(head[2:4], "little")
    if group == 0x0800 and head[4:6] in VRS:  # big endian group 0008
        return True
    if group not in (0x0002, 0x0008) or number > 0x2FFF:
        return False
    return head[4:6] in VRS or int.from_bytes(head[4:8], "little") <= 256


def _declared_syntax(file: Buffer, meta: list[Element]) -> str | None:
    for element in meta:
        if element.tag == _TRANSFER_SYNTAX:
            syntax = file[element.start : element.end].strip(b" \0").decode("ascii", "replace")
            return syntax if _KNOWN.fullmatch(syntax) else None
    return None


def _encoding(body: Buffer, start: int, declared: str | None) -> Encoding:
    """Encoding of the data set by its first element, which is believed before the declared syntax."""
    head = body[start : start + 8]
    little = True
    if len(head) >= 4 and head[0] == 0 and head[1] != 0:  # a group below 0100 read big endian
        little = False
    explicit = head[4:6] in VRS
    if not explicit:
        if not little:
            raise StructureError("unreadable: implicit VR big endian")
        return IMPLICIT_LITTLE
    return EXPLICIT_LITTLE if little else EXPLICIT_BIG


def _true_syntax(declared: str | None, encoding: Encoding) -> str:
    """The syntax to write: the declared one, unless the bytes contradict it.

    Implicit VR around encapsulated pixel data is not allowed by PS3.5 A.4 but exists, and readers that
    look at the bytes understand it; a rewrite in explicit VR would have to guess VRs, so it stays.
    """
    if declared is None or (declared in _NATIVE and _NATIVE[declared] != encoding):
        return _UID_OF[encoding]
    if declared not in _NATIVE and not encoding.little:
        raise StructureError("unreadable: big endian in an encapsulated transfer syntax")
    return declared


def is_encapsulated(syntax: str) -> bool:
    """Whether pixel data of a transfer syntax is a sequence of fragments (PS3.5 A.4)."""
    return syntax not in _NATIVE and syntax not in _DEFLATED


def may_stand_in(encoding: Encoding, syntax: str, *, deflated: bool) -> bool:
    """Whether a data set of an encoding, deflated or not, is what a transfer syntax asks for (PS3.5 A)."""
    return deflated == (syntax in _DEFLATED) and _NATIVE.get(syntax, EXPLICIT_LITTLE) == encoding


def _inflate(file: Buffer, start: int) -> tuple[Buffer, tuple[Closer, ...]]:
    """Inflate the data set to memory, or to an unlinked temporary file where it is large."""
    limit = max(_INFLATION_FLOOR, MAX_INFLATION * (len(file) - start))
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as spool:
        total = 0
        try:
            for offset in range(start, len(file), _PIECE):
                data = file[offset : offset + _PIECE]
                while data and not inflater.eof:
                    piece = inflater.decompress(data, _PIECE)
                    data = inflater.unconsumed_tail
                    total += len(piece)
                    if total > limit:
                        raise Held(f"structure: deflated data grows more than {MAX_INFLATION} times")
                    spool.write(piece)
        except zlib.error:
            raise StructureError("unreadable: damaged deflated data") from None
        if not inflater.eof:
            raise StructureError("unreadable: truncated deflated data")
        if total <= IN_MEMORY:
            spool.seek(0)
            return spool.read(), ()
        spool.flush()
        mapped = mmap.mmap(spool.fileno(), 0, access=mmap.ACCESS_READ)
        return mapped, (mapped,)
