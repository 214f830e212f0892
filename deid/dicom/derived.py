"""What an image says of itself once a network has changed its pixels (PS3.3 C.7.6.1, C.12.1).

Nothing here depends on the single image but what its new pixels say: how much was changed, or by which
network's measure, stays out of the file.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Literal

from deid import __version__
from deid.core.errors import Held
from deid.dicom.elements import UNDEFINED, Buffer, Element, Encoding
from deid.dicom.encode import code_items, delimiters, element
from deid.dicom.new_pixels import NewPixels
from deid.dicom.part10 import Part10, is_encapsulated, may_stand_in
from deid.dicom.risk import PIXEL_TAGS

IMAGE_TYPE, FRAME_TYPE = 0x00080008, 0x00089007
DERIVATION_DESCRIPTION, DERIVATION_CODES = 0x00082111, 0x00089215
CONTRIBUTING_EQUIPMENT = 0x0018A001
PHOTOMETRIC, PLANAR = 0x00280004, 0x00280006
SMALLEST, LARGEST = 0x00280106, 0x00280107
LOSSY = 0x00282110
PIXEL_DATA = 0x7FE00010
OUTDATED = frozenset(
    {
        *(0x00280104, 0x00280105),  # Smallest and Largest Valid Pixel Value (retired)
        *(0x00280108, 0x00280109, 0x00280110, 0x00280111),  # the same in Series and in Plane
        0x00603000,  # Histogram Sequence
        0x00880200,  # Icon Image Sequence
        0x4FFE0001,  # MAC Parameters Sequence
        *(0x7FE00001, 0x7FE00002),  # Extended Offset Table and its lengths
        0xFFFAFFFA,  # Digital Signatures Sequence
    }
)
"""Attributes that tell of the old pixels and that nothing makes anew, at whatever level they stand."""
WEIGHTS = "model weights SHA-256 "
"""Stands before the digest in the contribution (0018,A003) of our item of Contributing Equipment."""
OUR_CODE = ("ID_CUES_REMOVED", "99MAMIDEID", "Identity cues removed by a neural network")
"""Value, scheme and meaning of our own code, for methods and derivations."""

_PIXEL_REPRESENTATION = 0x00280103
_LOSING = frozenset({"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"})
_PERHAPS_LOSING = frozenset(
    {
        "1.2.840.10008.1.2.4.81",  # JPEG-LS, lossless or near-lossless
        *("1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.93"),  # JPEG 2000
        "1.2.840.10008.1.2.4.203",  # HTJ2K
    }
)
"""Transfer syntaxes of which the header says whether they lost something (PS3.5 8.2)."""
_CODE_VALUE, _CODE_SCHEME, _CODE_MEANING = 0x00080100, 0x00080102, 0x00080104
_MANUFACTURER, _MODEL_NAME, _SOFTWARE_VERSIONS = 0x00080070, 0x00081090, 0x00181020
_CONTRIBUTION, _PURPOSE = 0x0018A003, 0x0040A170
_DEIDENTIFICATION_METHOD = 0x00120063
_MODIFYING_EQUIPMENT = ("109103", "DCM", "Modifying Equipment")
_TOOL = "mami-deid"
_LONGEST_LO, _LONGEST_ST = 64, 1024
_LINE_BREAK = b"\r\n"  # it also ends whatever character set an ISO 2022 escape has begun (PS3.5 6.1.2.5.3)


@dataclass(frozen=True)
class Derivation:
    """Which network changed the pixels.

    Attributes:
        model: Name of the released model's folder, ASCII.
        digest: SHA-256 of its weights (hex).
    """

    model: str
    digest: str

    @property
    def description(self) -> bytes:
        """Our part of Derivation Description (0008,2111)."""
        return (
            f"Identity cues removed from the pixels by {_TOOL} {__version__}, model {self.model}; "
            "not for diagnosis"
        ).encode("ascii")

    @property
    def method(self) -> bytes:
        """Our value of De-identification Method (0012,0063)."""
        return f"Identity cues removed from pixels, model {self.model}".encode("ascii")[:_LONGEST_LO]

    @property
    def equipment(self) -> dict[int, tuple[str, bytes]]:
        """VR and value by tag of our item of Contributing Equipment Sequence, without its purpose."""
        contribution = f"Identity cues removed from the pixels; {WEIGHTS}{self.digest}"
        return {
            _MANUFACTURER: ("LO", _TOOL.encode()),
            _MODEL_NAME: ("LO", self.model.encode("ascii")[:_LONGEST_LO]),
            _SOFTWARE_VERSIONS: ("LO", __version__.encode()),
            _CONTRIBUTION: ("ST", contribution.encode("ascii")),
        }


@dataclass(frozen=True)
class PixelChange:
    """New pixel data of an instance and where it comes from."""

    pixels: NewPixels
    derivation: Derivation


@functools.lru_cache(maxsize=16)
def own_items(derivation: Derivation, encoding: Encoding) -> dict[int, bytes]:
    """The encoded items that are added to the sequences of a data set, by tag of the sequence."""
    start, end, _ = delimiters(encoding.little)
    values = [element(tag, vr, value, encoding) for tag, (vr, value) in derivation.equipment.items()]
    purpose = element(_PURPOSE, "SQ", code_items((_MODIFYING_EQUIPMENT,), encoding), encoding)
    return {
        DERIVATION_CODES: code_items((OUR_CODE,), encoding),
        CONTRIBUTING_EQUIPMENT: b"".join([start, *values, purpose, end]),
    }


class OwnWords:
    """Knows the texts that this tool puts into a changed image: what they spell is nobody's identity."""

    def __init__(self, derivation: Derivation) -> None:
        codes = (*OUR_CODE, *_MODIFYING_EQUIPMENT)
        self._whole = {(tag, value) for tag, (_, value) in derivation.equipment.items()} | {
            (tag, code.encode()) for tag in (_CODE_VALUE, _CODE_SCHEME, _CODE_MEANING) for code in codes
        }
        self._last = {
            DERIVATION_DESCRIPTION: derivation.description,
            _DEIDENTIFICATION_METHOD: derivation.method,
        }

    def theirs(self, tag: int, raw: bytes) -> bytes:
        """The part of a value that is not ours; ours is the whole of it or comes last."""
        value = raw.rstrip(b" \0")
        if (tag, value) in self._whole:
            return b""
        last = self._last.get(tag)
        return value[: -len(last)] if last is not None and value.endswith(last) else raw


def derived_type(value: bytes) -> bytes:
    """Image Type or Frame Type of what is derived: the first value changes (PS3.3 C.7.6.1.1.2).

    A second value that is missing says that the pixels were made after the examination.
    """
    values = [part.strip(b" \0") for part in value.split(b"\\")]
    second = values[1] if len(values) > 1 and values[1] else b"SECONDARY"
    return b"\\".join([b"DERIVED", second, *values[2:]])


def described(theirs: bytes, derivation: Derivation) -> bytes:
    """Derivation Description: the cleaned text of the source, then ours; ours alone if both are too long."""
    theirs, ours = theirs.rstrip(b" \0"), derivation.description
    both = theirs + _LINE_BREAK + ours
    return both if theirs and len(both) <= _LONGEST_ST else ours


def pixel_description(
    body: Buffer, source: dict[int, Element], pixels: NewPixels, syntax: str
) -> list[tuple[int, str, bytes]]:
    """Attributes that describe the new pixel data: tag, VR and value, in place of the source's.

    Smallest and Largest Image Pixel Value stay out where they do not fit into 16 bits. That the source was
    compressed with loss is said where only its transfer syntax told it: the new one is lossless.

    Args:
        body: What the offsets of ``source`` point into.
        source: The top level of the source's data set.
        pixels: The new pixel data.
        syntax: Transfer Syntax UID of the source.
    """
    order: Literal["little", "big"] = "little"
    if not all(e.encoding.little for e in source.values()):
        order = "big"
    found = [(PHOTOMETRIC, "CS", pixels.photometric.encode("ascii"))]
    if pixels.planar is not None:
        found.append((PLANAR, "US", pixels.planar.to_bytes(2, order)))
    lossy = source.get(LOSSY)
    is_silent = lossy is None or not body[lossy.start : lossy.end].strip(b" \0")
    if syntax in _LOSING or (syntax in _PERHAPS_LOSING and is_silent):
        found.append((LOSSY, "CS", b"01"))
    sign = source.get(_PIXEL_REPRESENTATION)
    signed = sign is not None and any(body[sign.start : sign.end])
    low, high = (-0x8000, 0x7FFF) if signed else (0, 0xFFFF)
    for tag, number in ((SMALLEST, pixels.smallest), (LARGEST, pixels.largest)):
        if tag in source and number is not None and low <= number <= high:
            value = number.to_bytes(2, order, signed=signed)
            found.append((tag, "SS" if signed else "US", value))
    return found


def check_replaceable(source: Part10, pixels: NewPixels) -> None:
    """Check that new pixel data can take the place of a source's.

    Raises:
        Held: The source has none, or the new one cannot be written in its encoding.
    """
    if [e.tag for e in source.elements if e.tag in PIXEL_TAGS] != [PIXEL_DATA]:
        raise Held("pixels: the file has no pixel data that can be replaced")
    fits = may_stand_in(source.encoding, pixels.syntax, deflated=source.deflated)
    length = pixels.value.length
    if not fits or pixels.encapsulated != is_encapsulated(pixels.syntax) or length % 2:
        raise Held("pixels: the new pixel data cannot be written in the encoding of the file")
    if length >= UNDEFINED and not pixels.encapsulated:
        raise Held("pixels: the new pixel data is longer than its element can hold")
