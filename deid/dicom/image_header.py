"""What a header says of its pixels: what stored values mean, where the planes lie (PS3.3 C.7.6, C.11.1)."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence

from deid.core.errors import Held
from deid.core.image import COLOUR, ModalityLut, Rescale

PALETTE = "pixels: palette colour"
FLOATING = "pixels: floating-point pixel data"
BITMAP = "pixels: bitmap of one bit a pixel"
NO_IMAGE = "pixels: no image in this object"
PHOTOMETRIC = "pixels: photometric interpretation that is not supported"
MALFORMED = "pixels: image attributes missing or not valid"
MAX_FRAMES = 1 << 20

READING_FAILURES = (
    *(ValueError, TypeError, AttributeError, KeyError, IndexError, OverflowError, StopIteration),
    *(RuntimeError, NotImplementedError, AssertionError, EOFError, OSError, struct.error),
)
"""What the header reader and the codecs raise on damaged data; their texts carry values of the file."""

_GREY = frozenset({"MONOCHROME1", "MONOCHROME2"})
_SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")


def refuse_unsupported(header: Dataset) -> None:
    """Refuse what is no image of grey or colour samples in whole numbers.

    Raises:
        Held: With a fixed reason.
    """
    if "FloatPixelData" in header or "DoubleFloatPixelData" in header:
        raise Held(FLOATING)
    if "PixelData" not in header:
        raise Held(NO_IMAGE)
    photometric = text(header, "PhotometricInterpretation")
    if photometric == "PALETTE COLOR":
        raise Held(PALETTE)
    if whole(header, "BitsAllocated") == 1:
        raise Held(BITMAP)
    samples = whole(header, "SamplesPerPixel", 1)
    if not (photometric in _GREY and samples == 1) and not (photometric in COLOUR and samples == 3):
        raise Held(PHOTOMETRIC)
    allocated, stored = whole(header, "BitsAllocated"), bits_stored(header)
    sizes = (whole(header, "Rows"), whole(header, "Columns"), frame_count(header))
    if allocated not in (8, 16, 32) or not 0 < stored <= allocated or min(sizes) < 1:
        raise Held(MALFORMED)
    if sizes[2] > MAX_FRAMES:
        raise Held("pixels: frames over the limit")


def value_of(header: Dataset, name: str) -> Any:
    """The value of an attribute, None if it is missing.

    Raises:
        Held: Its bytes cannot be read as its VR.
    """
    try:
        return header.get(name)
    except READING_FAILURES:
        raise Held(MALFORMED) from None


def text(header: Dataset, name: str) -> str:
    """One stripped text value in capitals, empty if it is missing or several."""
    value = value_of(header, name)
    return "" if value is None or isinstance(value, MultiValue) else str(value).strip(" \0").upper()


def whole(header: Dataset, name: str, default: int = 0) -> int:
    """One whole number.

    Raises:
        Held: It is none.
    """
    value = value_of(header, name)
    if value is None or value == "":
        return default
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        raise Held(MALFORMED) from None


def frame_count(header: Dataset) -> int:
    """Number of Frames; 1 where it is missing or 0."""
    return whole(header, "NumberOfFrames", 1) or 1


def frame_bytes(header: Dataset) -> int:
    """Bytes of one decoded frame."""
    pixels = whole(header, "Rows") * whole(header, "Columns")
    return pixels * whole(header, "SamplesPerPixel", 1) * whole(header, "BitsAllocated") // 8


def bits_stored(header: Dataset) -> int:
    """Bits Stored; Bits Allocated where it is missing."""
    return whole(header, "BitsStored", whole(header, "BitsAllocated"))


def is_signed(header: Dataset) -> bool:
    """Pixel Representation."""
    return whole(header, "PixelRepresentation") == 1


def rescale_of(header: Dataset) -> tuple[Rescale, ...]:
    """Slope and intercept, one for all frames or one a frame; a slope of 0 or no number counts as none."""
    items = _groups(header, "PixelValueTransformationSequence")
    found = [_rescale(item) if item is not None else Rescale() for item in items]
    if not found:
        return (_rescale(header),)
    return (found[0],) if len(set(found)) == 1 else tuple(found)


def lut_of(header: Dataset) -> ModalityLut | None:
    """The modality LUT.

    Raises:
        Held: There is one, and its table does not fit its descriptor.
    """
    item = _first(header, "ModalityLUTSequence")
    if item is None:
        return None
    try:
        count, first, bits = (int(number) for number in value_of(item, "LUTDescriptor"))
        data = value_of(item, "LUTData")
        if isinstance(data, bytes):
            order = "<" if header.original_encoding[1] is not False else ">"
            data = np.frombuffer(data, f"{order}u2" if len(data) >= 2 * (count or 1 << 16) else "u1")
        values = np.atleast_1d(np.asarray(data)).astype(np.int64)
    except (AttributeError, TypeError, ValueError):
        raise Held("pixels: modality LUT is not valid") from None
    count = count or 1 << 16
    if len(values) < count or not 0 < bits <= 16:
        raise Held("pixels: modality LUT is not valid")
    return ModalityLut(_signed(first, 16) if is_signed(header) else first & 0xFFFF, values[:count])


def units_of(header: Dataset) -> str:
    """``HU`` where CT values are Hounsfield units: a LUT says so, or a rescale that says nothing else."""
    if text(header, "Modality") != "CT":
        return ""
    lut = _first(header, "ModalityLUTSequence")
    if lut is not None:
        return "HU" if text(lut, "ModalityLUTType") == "HU" else ""
    item = next((i for i in _groups(header, "PixelValueTransformationSequence") if i is not None), header)
    rescaled = value_of(item, "RescaleIntercept") is not None
    return "HU" if rescaled and text(item, "RescaleType") in ("", "HU") else ""


def padding_of(header: Dataset) -> tuple[int, int] | None:
    """Lowest and highest stored value that is padding (PS3.3 C.7.5.1.1.2), in whatever VR it was written."""
    value, limit = value_of(header, "PixelPaddingValue"), value_of(header, "PixelPaddingRangeLimit")
    if not isinstance(value, int):
        return None
    ends = [value, limit if isinstance(limit, int) else value]
    bits = 32 if whole(header, "BitsAllocated") == 32 else 16
    read = [_signed(end, bits) if is_signed(header) else end % (1 << bits) for end in ends]
    return min(read), max(read)


def positions_of(header: Dataset) -> NDArray[np.float64] | None:
    """Centre of the first pixel of each frame in mm: `[frame, 3]`; None where one is missing."""
    items = [header] if "ImagePositionPatient" in header else _groups(header, "PlanePositionSequence")
    found = [_numbers(item, "ImagePositionPatient", 3) for item in items]
    known = [position for position in found if position is not None]
    return np.array(known) if known and len(known) == len(found) else None


def orientation_of(header: Dataset) -> NDArray[np.float64] | None:
    """Directions along a row and down a column, `[2, 3]`, unit length; of the first frame."""
    items = [header] if "ImageOrientationPatient" in header else _groups(header, "PlaneOrientationSequence")
    numbers = _numbers(next(iter(items), None), "ImageOrientationPatient", 6)
    if numbers is None:
        return None
    directions = np.array(numbers).reshape(2, 3)
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    return directions / lengths if (lengths > 0).all() else None


def spacing_of(header: Dataset) -> tuple[float, float, float]:
    """Spacing between frames, rows and columns in mm, 0 where it is not known."""
    measures = next((item for item in _groups(header, "PixelMeasuresSequence") if item is not None), header)
    plane = next(filter(None, (_numbers(measures, name, 2) for name in _SPACINGS)), [0.0, 0.0])
    steps = (_numbers(measures, name, 1) for name in ("SpacingBetweenSlices", "SliceThickness"))
    between = next(filter(None, steps), [0.0])
    positions, orientation = positions_of(header), orientation_of(header)
    if positions is not None and len(positions) > 1 and orientation is not None:
        normal = np.cross(*orientation)
        between = [abs(float((positions[-1] - positions[0]) @ normal)) / (len(positions) - 1)]
    return abs(between[0]), abs(plane[0]), abs(plane[1])


def affine_of(header: Dataset) -> NDArray[np.float64] | None:
    """From index (frame, row, column, 1) to mm, see :class:`deid.core.image.Image` (PS3.3 C.7.6.2.1.1)."""
    positions, orientation = positions_of(header), orientation_of(header)
    between, rows, columns = spacing_of(header)
    if positions is None or orientation is None or not (rows and columns):
        return None
    affine = np.eye(4)
    along, down = orientation
    step = np.cross(along, down) * (between or 1.0)
    if len(positions) > 1:
        step = (positions[-1] - positions[0]) / (len(positions) - 1)
    affine[:3, :] = np.stack([step, down * rows, along * columns, positions[0]], 1)
    return affine


def _groups(header: Dataset, name: str) -> list[Dataset | None]:
    """A functional group macro's item of each frame (PS3.3 C.7.6.16), or the shared one, or nothing."""
    shared = _first(header, "SharedFunctionalGroupsSequence")
    one = None if shared is None else _first(shared, name)
    if one is not None:
        return [one]
    items = [_first(frame, name) for frame in _items(header, "PerFrameFunctionalGroupsSequence")]
    if len(items) != frame_count(header) or all(item is None for item in items):
        return []
    return items


def _items(header: Dataset, name: str) -> Iterator[Dataset]:
    value = value_of(header, name)
    return iter(value) if isinstance(value, Sequence) else iter(())


def _first(header: Dataset, name: str) -> Dataset | None:
    return next(_items(header, name), None)


def _rescale(item: Dataset) -> Rescale:
    slope, intercept = _numbers(item, "RescaleSlope", 1), _numbers(item, "RescaleIntercept", 1)
    factor = slope[0] if slope and slope[0] else 1.0
    return Rescale(factor, intercept[0] if intercept else 0.0)


def _numbers(item: Dataset | None, name: str, count: int) -> list[float] | None:
    value: Any = None if item is None else value_of(item, name)
    values = list(value) if isinstance(value, MultiValue) else [value]
    try:
        numbers = [float(number) for number in values]
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) == count and all(map(math.isfinite, numbers)) else None


def _signed(value: int, bits: int) -> int:
    value %= 1 << bits
    return value - (1 << bits) if value >> (bits - 1) else value
