"""Writing data elements: headers, padding and small sequences, in any of the three encodings (PS3.5 7)."""

from __future__ import annotations

import functools
import struct

from deid.core.errors import Held
from deid.dicom.elements import ITEM, ITEM_END, LONG_VRS, SEQUENCE_END, UNDEFINED, Encoding

_LONGEST_SHORT = 0xFFFE
_NUL_PADDED = frozenset({"UI", "OB", "UN"})


def padded(value: bytes, vr: str) -> bytes:
    """Pad a value to even length, as PS3.5 6.2 asks: NUL for UI, OB and UN, else a space."""
    if len(value) % 2 == 0:
        return value
    return value + (b"\0" if vr in _NUL_PADDED else b" ")


@functools.lru_cache(maxsize=1 << 13)
def header(tag: int, vr: str, length: int, encoding: Encoding) -> bytes:
    """Encode the header of an element whose value has ``length`` bytes."""
    order = "<" if encoding.little else ">"
    if encoding.implicit:
        return struct.pack(order + "HHI", tag >> 16, tag & 0xFFFF, length)
    if vr in LONG_VRS:
        return struct.pack(order + "HH2sHI", tag >> 16, tag & 0xFFFF, vr.encode(), 0, length)
    if length > _LONGEST_SHORT:
        raise Held("structure: a replaced value is longer than its VR can hold")
    return struct.pack(order + "HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), length)


def element(tag: int, vr: str, value: bytes, encoding: Encoding) -> bytes:
    """Encode one element with its padded value."""
    value = padded(value, vr)
    return header(tag, vr, len(value), encoding) + value


@functools.cache
def delimiters(little: bool) -> tuple[bytes, bytes, bytes]:
    """Encode item start (of undefined length), item delimiter and sequence delimiter."""
    order = "<HHI" if little else ">HHI"
    return (
        struct.pack(order, ITEM >> 16, ITEM & 0xFFFF, UNDEFINED),
        struct.pack(order, ITEM_END >> 16, ITEM_END & 0xFFFF, 0),
        struct.pack(order, SEQUENCE_END >> 16, SEQUENCE_END & 0xFFFF, 0),
    )


@functools.lru_cache(maxsize=64)
def code_items(codes: tuple[tuple[str, str, str], ...], encoding: Encoding) -> bytes:
    """Encode items of a code sequence (PS3.3 8.8), without the sequence's own header.

    Args:
        codes: Code value, coding scheme designator and code meaning of each item, ASCII.
        encoding: Of the data set around it.
    """
    start, end, _ = delimiters(encoding.little)
    return b"".join(
        start
        + element(0x00080100, "SH", value.encode("ascii"), encoding)
        + element(0x00080102, "SH", scheme.encode("ascii"), encoding)
        + element(0x00080104, "LO", meaning.encode("ascii"), encoding)
        + end
        for value, scheme, meaning in codes
    )
