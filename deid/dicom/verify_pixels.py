"""The last look at the pixel data of a written file: the source's own, or what took its place."""

from __future__ import annotations

import hashlib
import os
from mmap import MADV_DONTNEED, mmap
from typing import Literal

from deid.core.errors import Held
from deid.dicom.codestream import BLANK, comments, is_compressed
from deid.dicom.derived import IMAGE_TYPE, OUTDATED, PHOTOMETRIC, PIXEL_DATA, PLANAR
from deid.dicom.elements import Buffer, Element
from deid.dicom.new_pixels import NewPixels
from deid.dicom.part10 import Part10
from deid.dicom.risk import PIXEL_TAGS

TELLING = OUTDATED | {IMAGE_TYPE, PHOTOMETRIC, PLANAR}
"""Attributes that :func:`check_new_pixels` asks for."""
_PIECE = 1 << 20
_FRAMES, _WHOLE = 0x00280008, (0x00280002, 0x00280010, 0x00280011, 0x00280100)
_SIZES = frozenset({_FRAMES, *_WHOLE})
"""Number of Frames; and Samples per Pixel, Rows, Columns, Bits Allocated: the bits of a frame."""


def compare_pixels(source: Part10, written: Part10) -> None:
    """Check that a written file has the pixel data of its source, byte for byte.

    Only comments of compressed pixel data (:mod:`deid.dicom.codestream`) may be blank instead.

    Raises:
        Held: It has not.
    """
    old = [e for e in source.elements if e.tag in PIXEL_TAGS]
    new = [e for e in written.elements if e.tag in PIXEL_TAGS]
    if [e.tag for e in old] != [e.tag for e in new]:
        raise Held("verification: pixel data is missing")
    if source.is_header or written.is_header:
        _compare_tails(source, written)
        old, new = old[:-1], new[:-1]
    for before, after in zip(old, new, strict=True):
        if _equal(source.body, before.start, before.stop, written.body, after.start, after.stop):
            continue
        if not _equal_but_for_comments(source.body, before, written.body, after):
            raise Held("verification: pixel data differs")


def _equal_but_for_comments(a: Buffer, before: Element, b: Buffer, after: Element) -> bool:
    """Whether compressed pixel data is the same, or has blanks where a comment stood."""
    if not is_compressed(before) or before.stop - before.start != after.stop - after.start:
        return False
    shift, at = after.start - before.start, before.start
    for start, stop, _ in comments(a, before):
        if not _equal(a, at, start, b, at + shift, start + shift):
            return False
        said = b[start + shift : stop + shift]
        if said.strip(BLANK) and said != a[start:stop]:
            return False
        at = stop
    return _equal(a, at, before.stop, b, at + shift, after.stop)


def behind_the_image(source: Part10) -> bytes:
    """What native pixel data holds beyond rows, columns, samples and frames, at most one MiB of it."""
    found = next((e for e in source.elements if e.tag == PIXEL_DATA and e.items is None), None)
    if found is None or is_compressed(found):
        return b""
    values = {e.tag: source.body[e.start : e.end] for e in source.elements if e.tag in _SIZES}
    size = 1
    order: Literal["little", "big"] = "little" if source.encoding.little else "big"
    for tag in _WHOLE:
        size *= int.from_bytes(values.get(tag, b"")[:2], order)
    frames = values.get(_FRAMES, b"").strip(b" \0")
    size *= int(frames) if frames.isdigit() and len(frames) < 10 else 1
    start = found.start + (size + 7) // 8
    if not size or start >= found.end:
        return b""
    stop = min(found.end, start + _PIECE)
    return os.pread(source.fileno(), stop - start, start) if source.is_header else source.body[start:stop]


def check_new_pixels(written: Part10, pixels: NewPixels) -> None:
    """Check that a changed image holds and describes what was encoded anew, and nothing outdated.

    Args:
        written: The walked output as a whole, of plain elements at least
            those of :data:`TELLING`.
        pixels: What it must hold.

    Raises:
        Held: It does not.
    """
    found = [e for e in written.elements if e.tag in PIXEL_TAGS]
    if [e.tag for e in found] != [PIXEL_DATA] or written.is_header:
        raise Held("verification: pixel data is missing")
    if _digest(written.body, found[0].start, found[0].stop) != pixels.sha256:
        raise Held("verification: pixel data differs")
    values = {e.tag: written.body[e.start : e.end] for e in written.elements if e.tag in TELLING}
    order: Literal["little", "big"] = "little" if written.encoding.little else "big"
    planar = None if pixels.planar is None else pixels.planar.to_bytes(2, order)
    photometric = values.get(PHOTOMETRIC, b"").rstrip(b" \0")
    described = photometric == pixels.photometric.encode("ascii") and values.get(PLANAR) == planar
    if written.syntax != pixels.syntax or not described:
        raise Held("verification: the header does not describe the new pixel data")
    if not values.get(IMAGE_TYPE, b"").startswith(b"DERIVED") or _has_outdated(written.elements):
        raise Held("verification: the header still tells of the old pixel data")


def _has_outdated(elements: list[Element]) -> bool:
    return any(e.tag in OUTDATED or any(_has_outdated(item) for item in e.items or []) for e in elements)


def _digest(buf: Buffer, start: int, stop: int) -> str:
    """SHA-256 of a range; mapped pages are given back on the way."""
    digest = hashlib.sha256()
    for at in range(start, stop, _PIECE):
        digest.update(buf[at : min(at + _PIECE, stop)])
        release_pages(buf)
    return digest.hexdigest()


def _compare_tails(source: Part10, written: Part10) -> None:
    """Pixel data that is not in memory is compared where it is copied, as a whole; here its place counts."""
    before, after = source.elements[-1], written.elements[-1]
    same = before.stop - before.start == after.stop - after.start
    ends = source.is_header and before.stop == source.size and after.stop == written.size
    if not same or not ends or after.start != len(written.body):
        raise Held("verification: pixel data differs")


def _equal(a: Buffer, a_start: int, a_stop: int, b: Buffer, b_start: int, b_stop: int) -> bool:
    """Whether two ranges hold the same bytes; mapped pages are given back on the way."""
    if a_stop - a_start != b_stop - b_start:
        return False
    if isinstance(a, bytes) and isinstance(b, bytes):
        return b.startswith(memoryview(a)[a_start:a_stop], b_start)
    for done in range(0, a_stop - a_start, _PIECE):
        size = min(_PIECE, a_stop - a_start - done)
        if a[a_start + done : a_start + done + size] != b[b_start + done : b_start + done + size]:
            return False
        release_pages(a)
        release_pages(b)
    return True


def release_pages(buf: Buffer) -> None:
    """Let the system take back the pages of a memory map that have been read."""
    if isinstance(buf, mmap):
        buf.madvise(MADV_DONTNEED)
