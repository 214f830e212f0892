"""What stands in one DICOM file, as an attacker reads it: every value at every level, and where it lies.

Values hidden in ``UN`` (PS3.5 6.2.2) are walked as well. Nothing is taken over from what the scrubber noted.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from deid.dicom.elements import Buffer, Element, StructureError, walk_items
from deid.dicom.part10 import Part10, open_part10
from deid.dicom.risk import PIXEL_TAGS
from deid.dicom.values import STRING_VRS, codecs_of, decode

_CHARSET = 0x00080005
_SOP_CLASS = 0x00080016
_MODALITY = 0x00080060
_LONGEST_TEXT = 1 << 16
_PRINTABLE = 0.9


class Leaf(NamedTuple):
    """One value that is no sequence.

    Attributes:
        path: Tags and item numbers from the outermost level to the value: the same place in another file.
        parents: Tags of the sequences around it.
        tag: ``group << 16 | element``.
        vr: As in the file; ``UN`` where nothing says it.
        creator: Private creator; empty for standard attributes.
        start: Offset of the value.
        end: Offset after it.
        text: Decoded value without padding; empty for binary and for very long ones.
    """

    path: tuple[int, ...]
    parents: tuple[int, ...]
    tag: int
    vr: str
    creator: str
    start: int
    end: int
    text: str


class Segment(NamedTuple):
    """Bytes outside pixel data.

    Attributes:
        start: Offset in the data set where they begin; -1 for what is not in it.
        data: The bytes.
        part: What they are, in files that are not DICOM; else empty.
    """

    start: int
    data: bytes
    part: str = ""


@dataclass(frozen=True)
class Content:
    """One file without its pixel data.

    Attributes:
        leaves: All values, in the order of their bytes.
        segments: All bytes outside pixel data.
        sop_class: SOP Class UID.
        modality: Modality (0008,0060).
    """

    leaves: tuple[Leaf, ...]
    segments: tuple[Segment, ...]
    sop_class: str
    modality: str

    def text(self, tag: int) -> str:
        """The value of an attribute of the outermost level; empty if it is not there."""
        return next((leaf.text for leaf in self.leaves if leaf.path == (tag,)), "")

    def leaf_at(self, offset: int) -> Leaf | None:
        """The value in which a byte of the data set lies."""
        place = bisect_right(self.leaves, offset, key=lambda leaf: leaf.start) - 1
        found = self.leaves[place] if place >= 0 else None
        return found if found is not None and found.start <= offset < found.end else None


def read_content(path: Path) -> Content:
    """Read a DICOM file.

    Raises:
        Held: It is DICOM, but cannot be understood.
        Skipped: It is none.
        OSError: It cannot be read.
    """
    with open_part10(path) as source:
        leaves = sorted(_leaves(source), key=lambda leaf: leaf.start)
        texts = {leaf.tag: leaf.text for leaf in leaves if len(leaf.path) == 1}
        segments = tuple(_segments(source))
    return Content(tuple(leaves), segments, texts.get(_SOP_CLASS, ""), texts.get(_MODALITY, ""))


class _Level(NamedTuple):
    """One data set that waits to be read."""

    elements: list[Element]
    path: tuple[int, ...]
    parents: tuple[int, ...]
    charset: tuple[str, ...]


def _leaves(source: Part10) -> Iterator[Leaf]:
    body = source.body
    waiting = [_Level(source.elements, (), (), ("iso8859",))]
    while waiting:
        level = waiting.pop()
        charset = level.charset
        creators: dict[tuple[int, int], str] = {}
        for element in level.elements:
            if element.tag in PIXEL_TAGS:
                continue
            if element.tag == _CHARSET:
                charset = codecs_of(body[element.start : element.end])
            group, low = element.tag >> 16, element.tag & 0xFFFF
            items = element.items if element.items is not None else _hidden_items(body, element)
            if items:
                parents = (*level.parents, element.tag)
                waiting += [
                    _Level(item, (*level.path, element.tag, number), parents, charset)
                    for number, item in enumerate(items)
                ]
                continue
            text = _text(body, element, charset)
            if group & 1 and 0x10 <= low <= 0xFF:
                creators[group, low] = text
            creator = creators.get((group, low >> 8), "") if group & 1 else ""
            path = (*level.path, element.tag)
            yield Leaf(
                path, level.parents, element.tag, element.vr, creator, element.start, element.end, text
            )


def _hidden_items(body: Buffer, element: Element) -> list[list[Element]]:
    if element.vr not in ("UN", "OB") or body[element.start : element.start + 4] != b"\xfe\xff\x00\xe0":
        return []
    try:
        return walk_items(body, element.start, element.end)
    except StructureError:
        return []


def _text(body: Buffer, element: Element, charset: tuple[str, ...]) -> str:
    size = element.end - element.start
    if not 0 < size <= _LONGEST_TEXT:
        return ""
    raw = bytes(body[element.start : element.end])
    if element.vr in STRING_VRS:
        return decode(raw, charset).strip(" \0")
    if element.vr != "UN":
        return ""
    text = decode(raw, charset).strip(" \0")
    seen = sum(character.isprintable() for character in text)
    return text if seen >= _PRINTABLE * len(text) else ""


def _segments(source: Part10) -> Iterator[Segment]:
    """The bytes of a file without the pixel data of any level."""
    if source.deflated:
        end = source.meta[-1].stop if source.meta else 0
        yield Segment(-1, bytes(source.file[:end]))
    start = 0
    for first, last in sorted(_pixel_ranges(source.elements)):
        yield Segment(start, bytes(source.body[start:first]))
        start = last
    yield Segment(start, bytes(source.body[start : source.size]))


def _pixel_ranges(elements: list[Element]) -> Iterator[tuple[int, int]]:
    waiting = [elements]
    while waiting:
        for element in waiting.pop():
            if element.tag in PIXEL_TAGS:
                yield element.start, element.end
            waiting += element.items or ()
