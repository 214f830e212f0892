"""What a compressed image says in words: comments, camera data and application segments of its code stream.

JPEG and JPEG-LS (ISO/IEC 10918-1 B.2.4, 14495-1) have COM and APPn segments before the first scan, JPEG 2000
(ISO/IEC 15444-1 A.9.2) has COM segments before the first tile-part; scanners, cameras and converters write
names, dates and serial numbers there. Nothing of it is needed to decode the image, but for a few segments
that say how colours are coded. Segments are blanked in place: no length and no offset table changes, and what
is entropy-coded is never touched.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from deid.core.identifiers import KnownIdentifiers
from deid.dicom.elements import ITEM, Buffer, Element
from deid.dicom.risk import PIXEL_TAGS

Range = tuple[int, int]
"""Start and end in the bytes of the file."""

BLANK = b" "
_ITEM_HEADER = struct.Struct("<HHI").unpack_from
_SEGMENT = struct.Struct(">HH").unpack_from
_DELIMITER = 8
_SOI, _SOC = b"\xff\xd8", b"\xff\x4f"
_COM, _APP0, _APP1, _APP13, _APP15 = 0xFFFE, 0xFFE0, 0xFFE1, 0xFFED, 0xFFEF
_SOS, _EOI = 0xFFDA, 0xFFD9
_SOT, _COM_2000, _REGISTRATION = 0xFF90, 0xFF64, 2
_COLOUR = (b"JFIF\0", b"JFXX\0", b"LJIF\0", b"Adobe", b"SPIFF\0", b"mrfx", b"ICC_PROFILE\0")
"""How segments begin that say how colours and samples are coded."""
_ENCODER = re.compile(
    r"(?:Created by |Creator: )?(?:\w{1,16}/)?(?:OpenJPEG|OpenJPH|JasPer|Grok|Kakadu|Lavc)[ \d.a-zA-Z-]{0,24}"
)
_MARK = "[removed]"
_WORDS = re.compile(rb"[\t\n\r\x20-\x7e\x80-\xff]{3,}")


def is_compressed(element: Element) -> bool:
    """Whether an element is pixel data in fragments (PS3.5 A.4)."""
    return element.tag in PIXEL_TAGS and element.stop - element.end == _DELIMITER


def comments(body: Buffer, element: Element) -> Iterator[tuple[int, int, bool]]:
    """Find the segments of words in compressed pixel data.

    Args:
        body: What the offsets of the element point into.
        element: Pixel data for which :func:`is_compressed` is true.

    Yields:
        Start and end of what a segment says, in order, and whether it is camera data (Exif, XMP, Photoshop).
    """
    for start, stop in _fragments(body, element):
        head = body[start : start + 2]
        if head == _SOI:
            yield from _of_jpeg(body, start, stop)
        elif head == _SOC:
            yield from _of_jpeg_2000(body, start, stop)


def identifying(body: Buffer, elements: list[Element], known: KnownIdentifiers) -> list[Range]:
    """The segments that may not stay as they are: camera data, and words that cleaning would change.

    Args:
        body: What the offsets of ``elements`` point into.
        elements: A data set.
        known: Of the patient.

    Returns:
        Ranges to blank, in order.
    """
    found: list[Range] = []
    clean: dict[str, bool] = {"": True}  # every frame has the same comment, most often
    for element in elements:
        if not is_compressed(element):
            continue
        for start, stop, camera in comments(body, element):
            text = words(body, start, stop)
            if text not in clean:
                clean[text] = _is_clean(text, known)
            if not clean[text] or (camera and text):
                found.append((start, stop))
    return found


def _is_clean(text: str, known: KnownIdentifiers) -> bool:
    if _ENCODER.fullmatch(text):  # "created by" opens a name otherwise
        return known.residue(text) is None
    return known.clean(text, _MARK) == text


def words(body: Buffer, start: int, stop: int) -> str:
    """The runs of characters in a range, a line each; empty where there are none."""
    found = b"\n".join(run for run in _WORDS.findall(body[start:stop]) if run.strip())
    try:
        return found.decode()
    except UnicodeError:
        return found.decode("latin-1")


def blanked(piece: Range, ranges: list[Range]) -> Iterator[bytes | Range]:
    """Cut a range of a file into what stays and blanks.

    Args:
        piece: The range.
        ranges: What of it is to be blanked, in order; parts outside of it do not count.
    """
    at, end = piece
    for start, stop in ranges:
        start, stop = max(start, at), min(stop, end)
        if start >= stop:
            continue
        if at < start:
            yield at, start
        yield BLANK * (stop - start)
        at = stop
    if at < end:
        yield at, end


def _fragments(body: Buffer, element: Element) -> Iterator[Range]:
    """Every item but the first, which is the Basic Offset Table."""
    at, first = element.start, True
    while at + _DELIMITER <= element.end:
        group, number, length = _ITEM_HEADER(body, at)
        if group << 16 | number != ITEM:
            return
        if not first:
            yield at + _DELIMITER, at + _DELIMITER + length
        at, first = at + _DELIMITER + length, False


def _of_jpeg(body: Buffer, start: int, stop: int) -> Iterator[tuple[int, int, bool]]:
    for marker, begin, end in _segments(body, start + 2, stop, until=(_SOS, _EOI)):
        application = _APP0 <= marker <= _APP15
        if marker == _COM or (application and not body[begin:end].startswith(_COLOUR)):
            yield begin, end, marker in (_APP1, _APP13)


def _of_jpeg_2000(body: Buffer, start: int, stop: int) -> Iterator[tuple[int, int, bool]]:
    for marker, begin, end in _segments(body, start + 2, stop, until=(_SOT,)):
        if marker == _COM_2000 and end - begin > _REGISTRATION:
            yield begin + _REGISTRATION, end, False


def _segments(body: Buffer, at: int, stop: int, until: tuple[int, ...]) -> Iterator[tuple[int, int, int]]:
    """Marker segments up to one of some markers, or to what is none: marker, start and end of the content."""
    while at + 4 <= stop:
        marker, length = _SEGMENT(body, at)
        if marker == 0xFFFF:  # fill bytes may stand before a marker
            at += 1
            continue
        if marker < 0xFF00 or marker in until or length < 2 or at + 2 + length > stop:
            return
        yield marker, at + 4, at + 2 + length
        at += 2 + length
