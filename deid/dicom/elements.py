"""The walk over a DICOM data set as byte ranges: no value is decoded, nothing is copied.

A data set becomes a list of :class:`Element`, each a set of offsets into the buffer that holds the file.
Sequences hold their items as further lists. The walk is iterative (no recursion limit to hit) and
bounded, and it understands what real files do: explicit and implicit VR, big endian, undefined lengths,
implicit islands inside ``UN`` (PS3.5 6.2.2), encapsulated pixel data (PS3.5 A.4) and lengths that lie.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable
from mmap import mmap
from typing import NamedTuple

from deid.core.errors import Held
from deid.dicom.dictionary import attributes, entry_of

Buffer = bytes | mmap
"""What an element's offsets point into: the whole file, or its inflated data set."""

ITEM = 0xFFFEE000
ITEM_END = 0xFFFEE00D
SEQUENCE_END = 0xFFFEE0DD
UNDEFINED = 0xFFFFFFFF

MAX_DEPTH = 64
MAX_ELEMENTS = 500_000

_LONG = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
_SHORT = frozenset(
    {"AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "PN", "SH", "SL", "SS", "ST"}
    | {"TM", "UI", "UL", "US"}
)
VRS = {vr.encode(): vr for vr in _LONG | _SHORT}
"""Every value representation of PS3.5 6.2, from its two bytes."""
_LONG_VRS = {vr.encode(): vr for vr in _LONG}
_SHORT_VRS = {vr.encode(): vr for vr in _SHORT}
_META_GROUPS, _ALL_GROUPS = (2, 3), (0, 0xFFFE)
_REMEMBERED_HEADERS = 1 << 15
LONG_VRS = _LONG
"""VRs whose explicit header has a 32-bit length (PS3.5 Table 7.1-1)."""


@functools.cache
def _standard_vrs() -> dict[int, str]:
    # "US or SS", "OB or OW": the binary forms share a length header; the first stands for both
    return {tag: entry[0].split(" or ")[0] for tag, entry in attributes().items()}


@functools.cache
def dictionary_vr(tag: int) -> str:
    """VR of a standard tag by the data dictionary (PS3.6); ``UN`` where it is not listed or private."""
    vr = _standard_vrs().get(tag)
    if vr is not None:
        return vr if vr in VRS.values() else "UN"
    if tag & 0xFFFF == 0:
        return "UL"  # group length
    if tag & 0x1FFFF in range(0x10010, 0x10100):
        return "LO"  # private creator
    if not tag & 0x10000:
        entry = entry_of(tag)  # of a repeating group
        if entry is not None:
            return entry.vr.split(" or ")[0]
    return "UN"


class Encoding(NamedTuple):
    """How elements are encoded: ``(implicit, little)``."""

    implicit: bool
    little: bool


EXPLICIT_LITTLE = Encoding(False, True)
IMPLICIT_LITTLE = Encoding(True, True)
EXPLICIT_BIG = Encoding(False, False)


class Element(NamedTuple):
    """One data element as offsets.

    Attributes:
        tag: ``group << 16 | element``.
        vr: From the stream, or from the dictionary in implicit VR (``UN`` where it does not know).
        at: Offset of the first header byte.
        start: Offset of the first value byte.
        end: Offset after the last value byte (before a sequence delimiter).
        stop: Offset after the whole element; the next element begins here.
        items: The data sets of a sequence; ``None`` for anything else, and for a sequence whose content
            could not be walked (its range is still known, so that it can be removed).
        encoding: Of this element and of its items, which in a sequence of VR ``UN`` are implicit VR little
            endian instead.
    """

    tag: int
    vr: str
    at: int
    start: int
    end: int
    stop: int
    items: list[list[Element]] | None
    encoding: Encoding


class _Open(NamedTuple):
    """A sequence that is being walked, with the data set that it interrupts."""

    elements: list[Element]
    limit: int
    delimited: bool
    tag: int
    vr: str
    at: int
    start: int
    seq_end: int
    items: list[list[Element]]
    encoding: Encoding
    outer: Encoding


class _Headers(dict[bytes, tuple[int, str, int, bool]]):
    """What the eight bytes say that an element begins with: tag, VR, bytes of the element, if it is wanted.

    Headers repeat from file to file. The size is 0 where eight bytes do not tell it, or items may follow.
    """

    def __init__(self, encoding: Encoding, groups: tuple[int, int], wanted: Wanted) -> None:
        super().__init__()
        self._encoding, self._groups, self._wanted = encoding, groups, wanted

    def __missing__(self, head: bytes) -> tuple[int, str, int, bool]:
        if len(self) >= _REMEMBERED_HEADERS:
            self.clear()
        known = self[head] = self._parse(head)
        return known

    def _parse(self, head: bytes) -> tuple[int, str, int, bool]:
        implicit, little = self._encoding
        group, number, raw, length = _HEADER[little](head, 0)
        tag = group << 16 | number
        vr = _SHORT_VRS.get(raw, "")
        if implicit:
            vr, length = dictionary_vr(tag), _LENGTH[little](head, 4)[0]
        inside = self._groups[0] <= group < self._groups[1]
        if not inside or not vr or vr == "SQ" or length == UNDEFINED:
            return tag, vr, 0, True
        return tag, vr, 8 + length, self._wanted(tag, vr)


@functools.lru_cache(maxsize=32)
def _headers(encoding: Encoding, groups: tuple[int, int], wanted: Wanted) -> _Headers:
    return _Headers(encoding, groups, wanted)


class StructureError(Held):
    """The bytes are not a data set."""


Wanted = Callable[[int, str], bool]
"""Whether a caller looks at elements of a tag and VR."""


def everything(tag: int, vr: str) -> bool:
    """Every element is wanted."""
    return True


def walk(
    buf: Buffer,
    start: int,
    end: int,
    encoding: Encoding,
    *,
    partial: bool = False,
    wanted: Wanted = everything,
) -> list[Element]:
    """Walk one data set.

    Args:
        buf: The bytes.
        start: Offset of the first element.
        end: Offset after the last byte of the data set.
        encoding: Of the outermost level.
        partial: Stop quietly at the first tag of another group (how file meta information ends).
        wanted: A module-level function; other elements but sequences and long values are stepped over.

    Returns:
        The elements in stream order.

    Raises:
        StructureError: The bytes do not follow PS3.5 chapter 7, or pass a limit.
    """
    return _Walk(buf, end, encoding, wanted).run(start, _META_GROUPS if partial else _ALL_GROUPS)


def walk_items(buf: Buffer, start: int, end: int) -> list[list[Element]]:
    """Walk the items of a sequence that hides in an ``UN`` value: implicit VR little endian (PS3.5 6.2.2).

    Raises:
        StructureError: The value is not a sequence.
    """
    walk = _Walk(buf, end, IMPLICIT_LITTLE)
    (sequence,) = walk.run(walk.open_sequence(0, "UN", start, start, end - start), _ALL_GROUPS)
    if sequence.items is None:
        raise StructureError("unreadable: value that is not a sequence")
    return sequence.items


class _Walk:
    """The state of one walk; ``run`` moves a cursor through the bytes with a stack of open sequences."""

    def __init__(self, buf: Buffer, end: int, encoding: Encoding, wanted: Wanted = everything) -> None:
        self.buf = buf
        self.wanted = wanted
        self.root: list[Element] = []
        self.elements = self.root
        self.limit = end
        self.delimited = False
        self.encoding = encoding
        self.stack: list[_Open] = []
        self.count = 0

    def run(self, pos: int, groups: tuple[int, int]) -> list[Element]:
        """Walk from ``pos`` to the end, through elements whose group lies in the half-open range."""
        while True:
            try:
                pos = self._elements(pos, groups)
                if not self.stack:
                    return self.root
                pos = self._after_item(pos)
            except (StructureError, struct.error, IndexError) as error:
                pos = self._give_up_on_sequence(error)

    def _elements(self, pos: int, groups: tuple[int, int]) -> int:
        """Walk the elements of the current data set, entering sequences on the way; return where it ends."""
        while True:
            pos, opened = self._run_of_elements(pos, groups)
            if opened is None:
                return pos
            pos = self.open_sequence(*opened)

    def _run_of_elements(
        self, pos: int, groups: tuple[int, int]
    ) -> tuple[int, tuple[int, str, int, int, int] | None]:
        """Walk elements up to the end of the data set or to a sequence; the hot loop of the whole tool.

        Returns:
            Where it stopped, and the sequence that begins there: tag, VR, offsets of header and value,
            length.
        """
        buf, limit, elements, encoding = self.buf, self.limit, self.elements, self.encoding
        headers, little = _headers(encoding, groups, self.wanted), encoding.little
        append, before = elements.append, len(elements)
        new, kind, last = tuple.__new__, Element, limit - 8
        while pos <= last:
            tag, vr, size, look = headers[buf[pos : pos + 8]]
            if size:
                stop = pos + size
                if look:
                    append(new(kind, (tag, vr, pos, pos + 8, stop, stop, None, encoding)))
                pos = stop
                continue
            if not groups[0] <= tag >> 16 < groups[1]:
                if tag >> 16 != 0xFFFE:
                    break
                if tag == ITEM_END and self.delimited:
                    return pos + 8, None
                raise StructureError("unreadable: misplaced item or delimiter")
            vr, start, length = self._long_header(pos, tag)
            if vr == "SQ" or (length == UNDEFINED and vr == "UN"):
                self._add(len(elements) - before + 1)
                return pos, (tag, vr, pos, start, length)
            end = stop = start + length
            if length == UNDEFINED:
                end, stop = self._fragments(start, little)
            append(kind(tag, vr, pos, start, end, stop, None, encoding))
            pos = stop
        self._add(len(elements) - before)
        return self._end_of_elements(pos), None

    def _add(self, elements: int) -> None:
        self.count += elements
        if self.count > MAX_ELEMENTS:
            raise Held(f"structure: more than {MAX_ELEMENTS} elements")

    def _end_of_elements(self, pos: int) -> int:
        """Check that a data set ends where it may."""
        rest = self.limit - pos
        if rest < 0:
            raise StructureError("unreadable: truncated value or lying length")
        if 0 < rest < 8:
            if self.stack or any(self.buf[pos : self.limit]):
                raise StructureError("unreadable: truncated element header")
            return self.limit  # zero bytes after the last element are padding, not data
        if self.delimited:
            raise StructureError("unreadable: item without its delimiter")
        return pos

    def _long_header(self, pos: int, tag: int) -> tuple[str, int, int]:
        """Return VR, offset of the value and length where the first eight bytes do not tell them."""
        implicit, little = self.encoding
        buf, raw = self.buf, self.buf[pos + 4 : pos + 6]
        vr = None if implicit else _LONG_VRS.get(raw)
        if vr is None and not implicit and raw.isalpha() and raw.isupper():
            vr = "UN"  # a VR newer than this table has a 32-bit length (PS3.5 7.1.2)
        if vr is not None:
            return vr, pos + 12, _LENGTH[little](buf, pos + 8)[0]
        # some writers switch to implicit VR for single elements of an explicit data set
        return dictionary_vr(tag), pos + 8, _LENGTH[little](buf, pos + 4)[0]

    def open_sequence(self, tag: int, vr: str, at: int, start: int, length: int) -> int:
        """Begin a sequence and enter its first item; return where to go on."""
        if len(self.stack) >= MAX_DEPTH:
            raise Held(f"structure: nesting deeper than {MAX_DEPTH}")
        end = UNDEFINED if length == UNDEFINED else start + length
        if length != UNDEFINED and end > self.limit:
            raise StructureError("unreadable: truncated sequence or lying length")
        inner = IMPLICIT_LITTLE if vr == "UN" else self.encoding
        around = (self.elements, self.limit, self.delimited)
        self.stack.append(_Open(*around, tag, vr, at, start, end, [], inner, self.encoding))
        self.encoding = inner
        return self._after_item(start)

    def _after_item(self, pos: int) -> int:
        """Between two items of the innermost sequence: enter the next item, or close the sequence."""
        seq = self.stack[-1]
        bound = seq.limit if seq.seq_end == UNDEFINED else seq.seq_end
        if pos >= bound:
            if seq.seq_end == UNDEFINED:
                raise StructureError("unreadable: sequence without its delimiter")
            return self._close(pos, pos)
        group, number = _TAG[seq.encoding.little](self.buf, pos)
        tag = group << 16 | number
        length = _LENGTH[seq.encoding.little](self.buf, pos + 4)[0]
        if tag == SEQUENCE_END:
            stop = pos + 8 if seq.seq_end == UNDEFINED else seq.seq_end
            return self._close(pos, stop)
        if tag == ITEM_END:
            # a stray delimiter after an item of stated length is stepped over, as every reader does
            self.elements, self.delimited, self.limit = [], False, pos + 8
            return pos + 8
        if tag != ITEM:
            raise StructureError("unreadable: sequence without items")
        self.count += 1
        self.elements = []
        seq.items.append(self.elements)
        self.delimited = length == UNDEFINED
        self.limit = bound if self.delimited else pos + 8 + length
        if self.limit > bound:
            raise StructureError("unreadable: item longer than its sequence")
        return pos + 8

    def _close(self, end: int, stop: int) -> int:
        """Close the innermost sequence and go on in the data set around it."""
        seq = self._leave()
        self.elements.append(Element(seq.tag, seq.vr, seq.at, seq.start, end, stop, seq.items, seq.outer))
        return stop

    def _leave(self) -> _Open:
        seq = self.stack.pop()
        self.elements, self.limit, self.delimited = seq.elements, seq.limit, seq.delimited
        self.encoding = seq.outer
        return seq

    def _fragments(self, pos: int, little: bool) -> tuple[int, int]:
        """Step over encapsulated fragments; return the end of the last and the end of the delimiter."""
        buf, limit = self.buf, self.limit
        while limit - pos >= 8:
            group, number = _TAG[little](buf, pos)
            length = _LENGTH[little](buf, pos + 4)[0]
            tag = group << 16 | number
            if tag == SEQUENCE_END:
                return pos, pos + 8
            if tag != ITEM or length == UNDEFINED:
                break
            pos += 8 + length
        raise StructureError("unreadable: encapsulated data without its delimiter")

    def _give_up_on_sequence(self, error: Exception) -> int:
        """Step over the innermost sequence of stated length whose content cannot be walked.

        Its range is known, so it can still be removed; where no such sequence is open the data set as a
        whole is unreadable.
        """
        while self.stack:
            seq = self._leave()
            if seq.seq_end != UNDEFINED:
                end = seq.seq_end
                self.elements.append(Element(seq.tag, seq.vr, seq.at, seq.start, end, end, None, seq.outer))
                return end
        if isinstance(error, Held):
            raise error
        raise StructureError("unreadable: truncated element header") from None


_HEADER = {True: struct.Struct("<HH2sH").unpack_from, False: struct.Struct(">HH2sH").unpack_from}
_TAG = {True: struct.Struct("<HH").unpack_from, False: struct.Struct(">HH").unpack_from}
_LENGTH = {True: struct.Struct("<I").unpack_from, False: struct.Struct(">I").unpack_from}
