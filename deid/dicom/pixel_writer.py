"""Writing images of stored values as DICOM pixel data, frame by frame and without loss."""

from __future__ import annotations

import hashlib
import os
import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.encoders.base import get_encoder
from pydicom.pixels.utils import as_pixel_options
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from deid.core.errors import Held
from deid.core.image import Image
from deid.core.staging import FileRange
from deid.dicom.image_header import (
    READING_FAILURES,
    bits_stored,
    frame_bytes,
    frame_count,
    is_signed,
    refuse_unsupported,
    whole,
)
from deid.dicom.new_pixels import NewPixels
from deid.dicom.pixels import decode_frame

NOT_LOSSLESS = "pixels: cannot be encoded without loss"
FRAME_COUNT = "pixels: not as many frames as the header says"
TOO_LARGE = "pixels: longer than an element can be"
HIGH_BIT = "pixels: high bit is not the highest of the bits stored"

SAME = "pixels: written in their own transfer syntax"
LOSSLESS = "pixels: written as JPEG 2000 Lossless, as their own transfer syntax loses or cannot be written"
PLAIN = "pixels: written as Explicit VR Little Endian, as no lossless encoder takes such samples"

_NATIVE = frozenset(
    {
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
    }
)
_PLUGINS = {RLELossless: "pylibjpeg", JPEGLSLossless: "pyjpegls", JPEG2000Lossless: "pylibjpeg"}
_J2K_SIDE = 32
"""The encoder always makes six resolutions, each half as large as the one before."""
_J2K_BITS = 24
_JLS_PIXELS = 1024
"""The encoder's buffer is as long as the samples, and noise in a small image does not fit in."""
_MAX_LENGTH = 0xFFFFFFFE
_MAX_OFFSET = 0xFFFFFFFF
_ITEM = struct.Struct("<HHI")
_PIECE = 1 << 20


@dataclass(frozen=True)
class Target:
    """The transfer syntax that new pixels are written in.

    Attributes:
        uid: Transfer Syntax UID.
        words: The reason to state, one of :data:`SAME`, :data:`LOSSLESS` and :data:`PLAIN`.
    """

    uid: str
    words: str


def target_syntax(syntax: str, header: Dataset) -> Target:
    """Choose the transfer syntax for new pixels of an object: its own, or a lossless one in place of it.

    Args:
        syntax: Transfer Syntax UID of the object.
        header: Its image attributes.
    """
    if syntax in _NATIVE or (syntax in _PLUGINS and _encodes(UID(syntax), header)):
        return Target(syntax, SAME)
    if _encodes(JPEG2000Lossless, header):
        return Target(str(JPEG2000Lossless), LOSSLESS)
    return Target(str(ExplicitVRLittleEndian), PLAIN)


def _encodes(uid: UID, header: Dataset) -> bool:
    """Whether the encoder of this syntax takes such samples (PS3.5 8.2, and what the codecs can do)."""
    stored, rows, columns = bits_stored(header), whole(header, "Rows"), whole(header, "Columns")
    if is_signed(header) and whole(header, "SamplesPerPixel", 1) > 1:
        return False
    if uid == JPEG2000Lossless:
        return stored <= _J2K_BITS and min(rows, columns) >= _J2K_SIDE
    if uid == JPEGLSLossless:
        fits = 2 <= stored <= 16 and whole(header, "BitsAllocated") <= 16
        return fits and rows * columns >= _JLS_PIXELS
    return True


class PixelWriter:
    """Encodes the frames of one object into a file, in memory of the frames that are given at once.

    Samples below zero fill the bits above Bits Stored with their sign, other samples with zeros: PS3.5 8.1.1
    lets readers assume nothing about these bits, and the many that look at the whole word read them rightly.

    Args:
        stream: An open file, to read and write; the pixel data begins at its position.
        header: The data set of the object with its file meta, as :func:`deid.dicom.pixels.read_header` gives.

    Attributes:
        target: The transfer syntax, and why.

    Raises:
        Held: No image of grey or colour samples, or one that cannot be written.
    """

    def __init__(self, stream: BinaryIO, header: Dataset) -> None:
        refuse_unsupported(header)
        if whole(header, "HighBit", bits_stored(header) - 1) != bits_stored(header) - 1:
            raise Held(HIGH_BIT)
        self.target = target_syntax(str(header.file_meta.TransferSyntaxUID), header)
        self._encapsulated = self.target.uid not in _NATIVE
        self._stream, self._start = stream, stream.tell()
        self._expected = frame_count(header)
        self._frame = _one_frame(header, self.target.uid)
        self._shape = (self._frame.Rows, self._frame.Columns, self._frame.SamplesPerPixel)
        kind = "i" if is_signed(header) else "u"
        order = ">" if self.target.uid == ExplicitVRBigEndian else "<"
        self._samples = np.dtype(f"{order}{kind}{self._frame.BitsAllocated // 8}")
        self._offsets: list[int] = []
        self._written = 0
        self._photometric = ""
        self._smallest: int | None = None
        self._largest: int | None = None
        if self._encapsulated:  # the offsets are known at the end
            stream.write(bytes(_ITEM.size + 4 * self._expected))
        elif frame_bytes(header) * self._expected > _MAX_LENGTH:
            raise Held(TOO_LARGE)

    def add(self, image: Image) -> None:
        """Encode the next frames.

        Args:
            image: Stored values of some frames, in the order of the object, as
                :func:`deid.dicom.pixels.read_frames` gives them; all of one photometric interpretation.

        Raises:
            Held: More frames than the header says, values that Bits Stored cannot hold, or an encoder that
                does not give back what was put in.
        """
        assert image.array.shape[1:] == self._shape, "[frame, row, column, channel] of the header"
        assert image.photometric in ("MONOCHROME1", "MONOCHROME2", "RGB", "YBR_FULL")
        assert self._photometric in ("", image.photometric), "one photometric interpretation for all frames"
        if self._written + image.frames > self._expected:
            raise Held(FRAME_COUNT)
        self._photometric = self._frame.PhotometricInterpretation = image.photometric
        self._measure(image.array)
        for frame in image.array:
            if self._encapsulated:
                self._add_fragment(self._encoded(frame))
            else:
                self._stream.write(self._plain(frame))
            self._written += 1

    def finish(self) -> NewPixels:
        """Complete the value and say where it is.

        Raises:
            Held: Fewer frames were added than the header says.
        """
        if self._written != self._expected:
            raise Held(FRAME_COUNT)
        start = self._close_sequence() if self._encapsulated else self._close_samples()
        self._stream.flush()
        value = FileRange(self._stream.fileno(), start, self._stream.tell() - start)
        grey = self._shape[2] == 1
        plain_words = self._frame.BitsAllocated > 8 or self.target.uid == ImplicitVRLittleEndian
        return NewPixels(
            syntax=self.target.uid,
            vr="OW" if plain_words and not self._encapsulated else "OB",
            encapsulated=self._encapsulated,
            value=value,
            sha256=_digest(value),
            photometric=self._photometric,
            planar=None if grey else int(self._frame.PlanarConfiguration),
            smallest=self._smallest if grey else None,
            largest=self._largest if grey else None,
        )

    def _measure(self, array: NDArray[Any]) -> None:
        low, high = int(array.min()), int(array.max())
        stored = self._frame.BitsStored
        floor, above = (-(1 << (stored - 1)), 1 << (stored - 1)) if self._is_signed else (0, 1 << stored)
        if not floor <= low <= high < above:
            raise Held(NOT_LOSSLESS)
        self._smallest = low if self._smallest is None else min(low, self._smallest)
        self._largest = high if self._largest is None else max(high, self._largest)

    @property
    def _is_signed(self) -> bool:
        return self._samples.kind == "i"

    def _plain(self, frame: NDArray[Any]) -> bytes:
        samples = frame.astype(self._samples, copy=False)
        by_plane = self._shape[2] > 1 and self._frame.PlanarConfiguration == 1
        return (samples.transpose(2, 0, 1) if by_plane else samples).tobytes()

    def _encoded(self, frame: NDArray[Any]) -> bytes:
        """One code stream of even length, which gives back the frame when it is decoded."""
        uid = UID(self.target.uid)
        options = as_pixel_options(self._frame)
        options.pop("planar_configuration", None)
        if uid == RLELossless:  # a segment for every byte of the cell, not only for those of the bits stored
            options["bits_stored"] = options["bits_allocated"]
        samples = frame.astype(self._samples, copy=False)
        if self._shape[2] == 1:
            samples = samples[:, :, 0]
        else:
            options["planar_configuration"] = 0
        try:
            encoder = get_encoder(uid)
            code = encoder.encode(samples, validate=False, encoding_plugin=_PLUGINS[uid], **options)
            code += bytes(len(code) % 2)
            decoded = decode_frame(self._frame, encapsulate([code], has_bot=False))
        except (*READING_FAILURES, Held):
            raise Held(NOT_LOSSLESS) from None
        if not np.array_equal(decoded, frame):
            raise Held(NOT_LOSSLESS)
        return bytes(code)

    def _add_fragment(self, code: bytes) -> None:
        if len(code) > _MAX_LENGTH:
            raise Held(TOO_LARGE)
        first = self._start + _ITEM.size + 4 * self._expected
        self._offsets.append(self._stream.tell() - first)
        self._stream.write(_ITEM.pack(0xFFFE, 0xE000, len(code)))
        self._stream.write(code)

    def _close_sequence(self) -> int:
        """Write the delimiter and the Basic Offset Table (PS3.5 A.4); where the value begins."""
        self._stream.write(_ITEM.pack(0xFFFE, 0xE0DD, 0))
        end, count = self._stream.tell(), self._expected
        if self._offsets[-1] > _MAX_OFFSET:  # an empty table, in front of the first fragment
            start, table = self._start + 4 * count, b""
        else:
            start, table = self._start, struct.pack(f"<{count}I", *self._offsets)
        self._stream.seek(start)
        self._stream.write(_ITEM.pack(0xFFFE, 0xE000, len(table)) + table)
        self._stream.seek(end)
        return start

    def _close_samples(self) -> int:
        self._stream.write(bytes((self._stream.tell() - self._start) % 2))
        return self._start


def _one_frame(header: Dataset, uid: str) -> Dataset:
    """The image attributes of one encoded frame, as a reader needs them."""
    frame = Dataset()
    frame.file_meta = FileMetaDataset()
    frame.file_meta.TransferSyntaxUID = UID(uid)
    for name in ("Rows", "Columns", "BitsAllocated", "PixelRepresentation"):
        setattr(frame, name, whole(header, name))
    frame.BitsStored = bits_stored(header)
    frame.SamplesPerPixel = whole(header, "SamplesPerPixel", 1)
    if frame.SamplesPerPixel > 1:
        by_pixel = uid in (JPEG2000Lossless, JPEGLSLossless)
        frame.PlanarConfiguration = 0 if by_pixel else whole(header, "PlanarConfiguration")
    return frame


def _digest(value: FileRange) -> str:
    digest = hashlib.sha256()
    for start in range(0, value.length, _PIECE):
        piece = min(_PIECE, value.length - start)
        digest.update(os.pread(value.descriptor, piece, value.offset + start))
    return digest.hexdigest()
