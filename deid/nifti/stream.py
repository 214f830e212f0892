"""Bounded reading of plain and gzip files, and gzip writing without name and time.

Our own loop over :mod:`zlib` instead of :mod:`gzip`: it counts what goes in and out (decompression bombs),
checks every member's CRC, and treats bytes after the last member as what they are, trailing bytes.
"""

import errno
import stat
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from deid.core.errors import Held

PIECE = 1 << 20
GZIP_LEVEL = 6
_GZIP_HEADER = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class Limits:
    """What a compressed file may grow to.

    Attributes:
        ratio: Inflated bytes per stored byte. Sparse label maps reach several hundred, deflate ends at 1032.
        free_bytes: Inflated bytes up to which no ratio is asked.
        trailing_bytes: Bytes after the data that are read to check the CRC; what follows them is not read.
    """

    ratio: int = 500
    free_bytes: int = 1 << 30
    trailing_bytes: int = 64 << 20


class SourceStream:
    """Reads one file from front to back, inflating it where it is gzip."""

    def __init__(self, handle: BinaryIO, limits: Limits) -> None:
        self._handle = handle
        self._limits = limits
        self._stored = 0
        self._inflated = 0
        self._pending = handle.read(2)
        self.is_gzip = self._pending == _MAGIC
        self._inflate = zlib.decompressobj(wbits=31) if self.is_gzip else None
        self._ended = False

    def read(self, count: int) -> bytes:
        """Up to ``count`` bytes; fewer only at the end.

        Raises:
            Held: The gzip stream is damaged, truncated or over the limit.
        """
        parts: list[bytes] = []
        while count > 0:
            piece = self._inflate_some(count) if self.is_gzip else self._read_some(count)
            if not piece:
                break
            parts.append(piece)
            count -= len(piece)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def skip(self, count: int) -> int:
        """Reads past ``count`` bytes; returns how many there were."""
        left = count
        while left > 0:
            got = len(self.read(min(left, PIECE)))
            if not got:
                break
            left -= got
        return count - left

    def pieces(self, count: int) -> Iterator[bytes]:
        """The next ``count`` bytes in pieces of at most :data:`PIECE`.

        Raises:
            Held: The file ends before.
        """
        while count > 0:
            piece = self.read(min(count, PIECE))
            if not piece:
                raise Held("unreadable: NIfTI data truncated")
            count -= len(piece)
            yield piece

    def drain(self) -> int:
        """Reads what is left (within the limit), so that the gzip CRC is checked; returns the byte count."""
        return self.skip(self._limits.trailing_bytes)

    def _read_some(self, count: int) -> bytes:
        if self._pending:
            piece, self._pending = self._pending[:count], self._pending[count:]
            return piece
        return self._handle.read(min(count, PIECE))

    def _inflate_some(self, count: int) -> bytes:
        while not self._ended:
            piece = self._step(min(count, PIECE))
            if piece:
                self._inflated += len(piece)
                self._check_ratio()
                return piece
        return b""

    def _step(self, count: int) -> bytes:
        assert self._inflate is not None
        if self._inflate.eof:
            self._next_member()
            return b""
        stored = self._inflate.unconsumed_tail
        if not stored:
            stored = self._pending or self._handle.read(1 << 16)
            self._stored += len(stored)
            self._pending = b""
        try:
            piece = self._inflate.decompress(stored, count)
        except zlib.error:
            raise Held("unreadable: gzip damaged") from None
        # zlib may still hold output after its last input, so only silence on both sides is an early end.
        if not stored and not piece and not self._inflate.eof:
            raise Held("unreadable: gzip truncated")
        return piece

    def _next_member(self) -> None:
        assert self._inflate is not None
        rest = self._inflate.unused_data
        if len(rest) < 2:
            rest += self._handle.read(1 << 16)
        if rest[:2] != _MAGIC:
            self._ended = True
            return
        self._pending = rest
        self._inflate = zlib.decompressobj(wbits=31)

    def _check_ratio(self) -> None:
        if self._inflated > self._limits.free_bytes and self._inflated > self._limits.ratio * self._stored:
            raise Held("decompression ratio over the limit")


@contextmanager
def open_source(path: Path, limits: Limits | None = None) -> Iterator[SourceStream]:
    """Opens a regular file for reading.

    Raises:
        Held: It cannot be opened or read; the reason names the system's error code, never the path.
    """
    try:
        with path.open("rb") as handle:
            if not stat.S_ISREG(path.stat().st_mode):
                raise Held("unreadable: not a regular file")
            yield SourceStream(handle, limits or Limits())
    except OSError as error:
        raise Held(f"unreadable: {errno.errorcode.get(error.errno or 0, 'input error')}") from None


def read_whole(path: Path, limit: int) -> bytes:
    """A small file's (inflated) bytes.

    Raises:
        Held: It cannot be read or is longer than ``limit`` bytes.
    """
    with open_source(path) as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise Held("file over the size limit")
    return data


def gzip_chunks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Compresses as one gzip member with no name, no time and a fixed level (RFC 1952); deterministic."""
    deflate = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, -15)
    crc = length = 0
    yield _GZIP_HEADER
    for chunk in chunks:
        crc = zlib.crc32(chunk, crc)
        length += len(chunk)
        packed = deflate.compress(chunk)
        if packed:
            yield packed
    yield deflate.flush() + struct.pack("<II", crc, length & 0xFFFFFFFF)
