"""A decoder plugin of pydicom for JPEG that no other codec here takes: lossless, and Extended of 12 bits.

GDCM does it, by SimpleITK. Its own Python binding ends the whole process where a code stream is damaged or
has fewer bits than eight, and pydicom's plugin for it refuses 12 bits; SimpleITK raises an error.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import DecodeRunner
from pydicom.uid import UID, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1, SecondaryCaptureImageStorage

_SYNTAXES = (JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1)
DECODER_DEPENDENCIES = dict.fromkeys(_SYNTAXES, ("SimpleITK>=2.3",))
"""What pydicom asks of a plugin: the syntaxes, and the packages that they need."""

_UID = UID("2.25.1")


def is_available(uid: str) -> bool:
    """Whether the syntax is one of this plugin (asked by pydicom)."""
    return uid in DECODER_DEPENDENCIES


def decode(code: bytes, runner: DecodeRunner) -> bytes:
    """Decode one frame.

    Args:
        code: A JPEG code stream.
        runner: The image attributes; its planar configuration becomes 0.

    Returns:
        Samples colour by pixel, little endian, in cells of Bits Allocated, without conversion of colour.

    Raises:
        RuntimeError: It cannot be decoded.
        ValueError: It is not of the size of the image.
    """
    import SimpleITK

    with _readable_file() as (file, name):
        _bare_image(code, runner).save_as(file, enforce_file_format=True)
        file.flush()
        reader = SimpleITK.ImageFileReader()
        reader.SetGlobalWarningDisplay(False)
        reader.SetImageIO("GDCMImageIO")
        reader.SetFileName(name)
        with _silent_libraries():
            array = SimpleITK.GetArrayFromImage(reader.Execute())
    if array.size != runner.rows * runner.columns * runner.samples_per_pixel:
        raise ValueError("decoded to another size")
    runner.set_option("planar_configuration", 0)
    return array.astype(np.dtype(f"<u{runner.bits_allocated // 8}")).tobytes()


@contextmanager
def _silent_libraries() -> Iterator[None]:
    """Standard error leads nowhere: libjpeg writes there of damaged code streams, past every logger."""
    try:
        kept = os.dup(2)
    except OSError:  # there is none
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)


@contextmanager
def _readable_file() -> Iterator[tuple[BinaryIO, str]]:
    """A file and a name to open it by, as SimpleITK reads files only; no other user can read it.

    On Linux it has its name in this process alone: a kill leaves nothing behind.
    """
    if sys.platform == "linux":
        with os.fdopen(os.memfd_create("frame"), "w+b") as file:
            yield file, f"/proc/self/fd/{file.fileno()}"
        return
    with tempfile.NamedTemporaryFile(suffix=".dcm") as named:
        yield cast(BinaryIO, named), named.name


def _bare_image(code: bytes, runner: DecodeRunner) -> Dataset:
    """The frame as an object that GDCM gives back as it is coded: no conversion of colour, no sign."""
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = UID(runner.transfer_syntax)
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = _UID
    image.Rows, image.Columns, image.SamplesPerPixel = runner.rows, runner.columns, runner.samples_per_pixel
    image.PhotometricInterpretation = "MONOCHROME2"
    if runner.samples_per_pixel > 1:
        image.PhotometricInterpretation, image.PlanarConfiguration = "RGB", 0
    # GDCM chooses among its decoders by the cell: what the header says may differ, and would cut samples.
    stored = _precision(code)
    cell = stored if stored in (8, 12) else 16
    image.BitsAllocated, image.BitsStored, image.HighBit = cell, stored, stored - 1
    image.PixelRepresentation = 0
    image.PixelData = encapsulate([code], has_bot=False)
    image["PixelData"].VR, image["PixelData"].is_undefined_length = "OB", True
    return image


def _precision(code: bytes) -> int:
    """Bits of a sample, from the frame header of the code stream (ITU-T T.81 B.2.2)."""
    at = 2
    while at + 5 <= len(code):
        if 0xC0 <= code[at + 1] <= 0xC3:
            return code[at + 4]
        # Markers may follow fill bytes; all others up to the frame header carry their length.
        at += 1 if code[at + 1] == 0xFF else 2 + int.from_bytes(code[at + 2 : at + 4], "big")
    raise ValueError("no frame header")
