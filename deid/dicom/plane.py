"""Which single-file slices belong together, and where each of them lies, by the header alone.

The index pass keeps this of every slice, so that a series can be judged as one before any of it is written.
Whatever the headers say, nothing fails here: what is not valid counts as not stated.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from typing import NamedTuple

_SOP_CLASS, _IMAGE_TYPE, _MODALITY = 0x00080016, 0x00080008, 0x00080060
_INSTANCE_NUMBER, _FRAME_OF_REFERENCE = 0x00200013, 0x00200052
_POSITION, _ORIENTATION = 0x00200032, 0x00200037
_PHOTOMETRIC = 0x00280004
_SIZES = (0x00280002, 0x00280010, 0x00280011, 0x00280100, 0x00280103)
"""Samples per Pixel, Rows, Columns, Bits Allocated, Pixel Representation: unsigned shorts."""
_ROUNDED = 2
"""Decimals of a direction; planes that differ by less are parallel."""

PLANE_TAGS = frozenset(
    {_IMAGE_TYPE, _INSTANCE_NUMBER, _FRAME_OF_REFERENCE, _POSITION, _ORIENTATION, _PHOTOMETRIC, *_SIZES}
)
"""Attributes that :func:`plane_of` asks for beside those of the risk assessment."""


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


def plane_of(text: Callable[[int], str], short: Callable[[int], int]) -> Plane:
    """Read the plane of one single-frame slice.

    Args:
        text: Returns the stripped value of a top-level attribute, empty if it is missing.
        short: Returns its value as an unsigned short, -1 if it is missing or has another length.
    """
    directions, position = _numbers(text(_ORIENTATION), 6), _numbers(text(_POSITION), 3)
    turned = [round(value, _ROUNDED) + 0.0 for value in directions]  # + 0.0: there is one zero only
    kind = (*(text(tag).upper() for tag in (_SOP_CLASS, _MODALITY, _IMAGE_TYPE, _PHOTOMETRIC)),)
    described = repr((text(_FRAME_OF_REFERENCE), turned, kind, [short(tag) for tag in _SIZES]))
    number = text(_INSTANCE_NUMBER)
    return Plane(
        hashlib.sha256(described.encode("utf-8", "surrogatepass")).hexdigest()[:16],
        _along_normal(directions, position),
        int(number) if number.isdecimal() and len(number) <= 12 else 0,
    )


def _along_normal(directions: list[float], position: list[float]) -> float | None:
    if not directions or not position:
        return None
    (a, b, c), (d, e, f) = directions[:3], directions[3:]
    normal = (b * f - c * e, c * d - a * f, a * e - b * d)
    length = math.hypot(*normal)
    place = sum(one * other for one, other in zip(normal, position, strict=True)) / length if length else 0.0
    return place if length and math.isfinite(place) else None


def _numbers(value: str, count: int) -> list[float]:
    """The numbers of a value, none where there are not as many or one is no finite number."""
    try:
        numbers = [float(part) for part in value.split("\\")]
    except ValueError:
        return []
    return numbers if len(numbers) == count and all(map(math.isfinite, numbers)) else []
