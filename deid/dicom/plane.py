"""Which single-file slices belong together, and where each of them lies, by the header alone.

The index pass keeps this of every slice, so that a series can be judged as one before any of it is written.
Whatever the headers say, nothing fails here: what is not valid counts as not stated.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Mapping
from typing import NamedTuple

from deid.dicom.elements import Buffer, Element

_INSTANCE_NUMBER, _POSITION, _ORIENTATION = 0x00200013, 0x00200032, 0x00200037
_TEXTS = (0x00080016, 0x00080060, 0x00080008, 0x00280004, 0x00200052)
"""SOP Class UID, Modality, Image Type, Photometric Interpretation, Frame of Reference UID."""
_SHORTS = (0x00280002, 0x00280010, 0x00280011, 0x00280100, 0x00280103)
"""Samples per Pixel, Rows, Columns, Bits Allocated, Pixel Representation."""
_ASKED_FOR = (_INSTANCE_NUMBER, _POSITION, _ORIENTATION, *_TEXTS, *_SHORTS)
_ROUNDED = 2
"""Decimals of a direction; planes that differ by less are parallel."""
_LONGEST = 1 << 10  # bytes of a value that are looked at
_LONGEST_INTEGER = 12  # characters of an IS value
_REMEMBERED = 1 << 12

PLANE_TAGS = frozenset(_ASKED_FOR)
"""Attributes that :func:`plane_of` asks for."""

Direction = tuple[float, float, float]


class Plane(NamedTuple):
    """Where a slice belongs.

    Attributes:
        stack: Equal for slices of a series that are parallel, of one size and one kind of image, and in one
            frame of reference.
        place: Position along the normal of the plane (row direction x column direction) in mm; None where
            nothing says it.
        number: Instance Number, 0 where it is missing.
    """

    stack: str
    place: float | None
    number: int


def plane_of(top: Mapping[int, Element], body: Buffer, *, little: bool) -> Plane:
    """Read the plane of one single-frame slice.

    Args:
        top: Its top-level elements by tag, with those of :data:`PLANE_TAGS` that it has.
        body: What their offsets point into.
        little: Numbers are little endian.
    """
    raw = [
        body[element.start : element.end] if element and element.end - element.start <= _LONGEST else b""
        for element in map(top.get, _ASKED_FOR)
    ]
    stack, normal = _shared(little, *raw[2:])
    number, position, place = raw[0].strip(b" \0"), _numbers(raw[1], 3), None
    if normal is not None and position:
        place = normal[0] * position[0] + normal[1] * position[1] + normal[2] * position[2]
        place = place if math.isfinite(place) else None
    is_number = number.isdigit() and len(number) <= _LONGEST_INTEGER
    return Plane(stack, place, int(number) if is_number else 0)


@functools.lru_cache(maxsize=_REMEMBERED)  # nearly all slices of a series have the same
def _shared(little: bool, orientation: bytes, *kind: bytes) -> tuple[str, Direction | None]:
    """The stack by what its slices have in common, and the normal of their planes."""
    directions = _numbers(orientation, 6)
    turned = [round(value, _ROUNDED) + 0.0 for value in directions]  # + 0.0: there is one zero only
    texts = [value.strip(b" \0").upper() for value in kind[: len(_TEXTS)]]
    shorts = [int.from_bytes(value, "little" if little else "big") for value in kind[len(_TEXTS) :]]
    described = repr((turned, texts, shorts)).encode("ascii")
    return hashlib.sha256(described).hexdigest()[:16], _normal(directions)


def _normal(directions: list[float]) -> Direction | None:
    if not directions:
        return None
    (a, b, c), (d, e, f) = directions[:3], directions[3:]
    normal = (b * f - c * e, c * d - a * f, a * e - b * d)
    length = math.hypot(*normal)
    if not 0 < length < math.inf:
        return None
    return normal[0] / length, normal[1] / length, normal[2] / length


def _numbers(value: bytes, count: int) -> list[float]:
    """The numbers of a value, none where there are not as many or one is no finite number."""
    try:
        numbers = [float(part) for part in value.strip(b" \0").split(b"\\")]
    except ValueError:
        return []
    return numbers if len(numbers) == count and all(map(math.isfinite, numbers)) else []
