"""The walk over a DICOM data set as byte ranges: no value is decoded, nothing is copied.

A data set becomes a list of :class:`Element`, each a set of offsets into the buffer that holds the file.
Sequences hold their items as further lists. The walk is iterative (no recursion limit to hit) and
bounded, and it understands what real files do: explicit and implicit VR, big endian, undefined lengths,
implicit islands inside ``UN`` (PS3.5 6.2.2), encapsulated pixel data (PS3.5 A.4) and lengths that lie.
"""

from __future__ import annotations

import contextlib
import functools
import struct
from mmap import mmap
from typing import NamedTuple

from deid.core.errors import Held

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
LONG_VRS = _LONG
"""VRs whose explicit header has a 32-bit length (PS3.5 Table 7.1-1)."""


@functools.cache
def _standard_vrs() -> dict[int, str]:
    from pydicom._dicom_dict import DicomDictionary

    # "US or SS", "OB or OW": the binary forms share a length header; the first stands for both
    return {tag: entry[0].split(" or ")[0] for tag, entry in DicomDictionary.items()}


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
        from pydicom.datadict import dictionary_VR  # repeating groups

        with contextlib.suppress(KeyError):
            return dictionary_VR(tag).split(" or ")[0]
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


class StructureError(Held):
    """The bytes are not a data set."""


def walk(buf: Buffer, start: int, end: int, encoding: Encoding, *, partial: bool = False) -> list[Element]:
    """Walk one data set.

    Args:
        buf: The bytes.
        start: Offset of the first element.
        end: Offset after the last byte of the data set.
        encoding: Of the outermost level.
        partial: Stop quietly at the first tag of another group (how file meta information ends).

    Returns:
        The elements in stream order.

    Raises:
        StructureError: The bytes do not follow PS3.5 chapter 7, or pass a limit.
    """
    return _Walk(buf, end, encoding).run(start, _META_GROUPS if partial else _ALL_GROUPS)


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

    def __init__(self, buf: Buffer, end: int, encoding: Encoding) -> None:
        self.buf = buf
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
        implicit, little = encoding
        first_group, stop_group = groups
        read, append, before = _HEADER[little], elements.append, len(elements)
        new, kind, length_of = tuple.__new__, Element, _LENGTH[little]
        short, long = ({}, {}) if implicit else (_SHORT_VRS, _LONG_VRS)
        last = limit - 8
        while pos <= last:
            group, number, raw, length = read(buf, pos)
            tag = group << 16 | number
            if not first_group <= group < stop_group:
                if group != 0xFFFE:
                    break
                if tag == ITEM_END and self.delimited:
                    return pos + 8, None
                raise StructureError("unreadable: misplaced item or delimiter")
            vr = short.get(raw)
            start = pos + 8
            if vr is None:
                vr = long.get(raw)
                if vr is not None:
                    start, length = pos + 12, length_of(buf, pos + 8)[0]
                elif implicit:
                    vr, length = dictionary_vr(tag), length_of(buf, pos + 4)[0]
                else:
                    vr, start, length = self._odd_header(pos, tag, raw, little)
                if vr == "SQ" or (length == UNDEFINED and vr == "UN"):
                    self._add(len(elements) - before + 1)
                    return pos, (tag, vr, pos, start, length)
                if length == UNDEFINED:
                    end, stop = self._fragments(start, little)
                    append(kind(tag, vr, pos, start, end, stop, None, encoding))
                    pos = stop
                    continue
            end = start + length
            if end > limit:
                raise StructureError("unreadable: truncated value or lying length")
            append(new(kind, (tag, vr, pos, start, end, end, None, encoding)))
            pos = end
        self._add(len(elements) - before)
        return self._end_of_elements(pos), None

    def _add(self, elements: int) -> None:
        self.count += elements
        if self.count > MAX_ELEMENTS:
            raise Held(f"structure: more than {MAX_ELEMENTS} elements")

    def _end_of_elements(self, pos: int) -> int:
        """Check that a data set ends where it may."""
        rest = self.limit - pos
        if 0 < rest < 8:
            if self.stack or any(self.buf[pos : self.limit]):
                raise StructureError("unreadable: truncated element header")
            return self.limit  # zero bytes after the last element are padding, not data
        if self.delimited:
            raise StructureError("unreadable: item without its delimiter")
        return pos

    def _odd_header(self, pos: int, tag: int, raw: bytes, little: bool) -> tuple[str, int, int]:
        """Return VR, offset of the value and length where an explicit stream names no VR that is known."""
        if raw.isalpha() and raw.isupper():
            # a VR newer than this table has a 32-bit length (PS3.5 7.1.2)
            return "UN", pos + 12, _LENGTH[little](self.buf, pos + 8)[0]
        # some writers switch to implicit VR for single elements of an explicit data set
        return dictionary_vr(tag), pos + 8, _LENGTH[little](self.buf, pos + 4)[0]

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
