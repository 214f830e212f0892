"""DICOM pixel data as images of stored values, frame by frame where an object is large."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from io import BytesIO
from mmap import mmap
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.pixels.decoders.base import Decoder, get_decoder
from pydicom.pixels.utils import as_pixel_options
from pydicom.uid import (
    UID,
    JPEG2000TransferSyntaxes,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSTransferSyntaxes,
)

from deid.core.errors import Held
from deid.core.image import Image
from deid.dicom.image_header import (
    READING_FAILURES,
    affine_of,
    bits_stored,
    frame_bytes,
    frame_count,
    is_signed,
    lut_of,
    padding_of,
    refuse_unsupported,
    rescale_of,
    spacing_of,
    text,
    units_of,
    whole,
)
from deid.dicom.part10 import Part10, open_part10

NOT_DECODED = "pixels: cannot be decoded"
TOO_LARGE = "pixels: image over the limit"
MAX_BYTES = 4 << 30
"""Decoded bytes that :func:`read_image` holds at once."""
FRAMES_AT_ONCE = 16
SAMPLES_AT_ONCE = 1 << 24
"""Frames of more than a megapixel come fewer at a time: what is made of them takes many times their bytes."""

_PIXEL_DATA = 0x7FE00010
_PIXEL_GROUP = 0x7FE00000
_LOSSLESS_JPEG = frozenset({JPEGLossless, JPEGLosslessSV1})
_PLUGINS = {
    **dict.fromkeys((JPEGBaseline8Bit, JPEGExtended12Bit), "pillow"),
    **dict.fromkeys(JPEGLSTransferSyntaxes, "pyjpegls"),
    **dict.fromkeys(JPEG2000TransferSyntaxes, "pylibjpeg"),
}
"""Codecs that raise an error on a damaged code stream, where the binding of GDCM ends the process."""
_DECODED_TO_RGB = frozenset({"YBR_ICT", "YBR_RCT"})


def read_image(source: Path | Dataset) -> Image:
    """Read all frames of one object as stored values, never through its VOI LUT.

    Colour of JPEG and JPEG 2000 comes as its code stream holds it: ``YBR_FULL`` or ``RGB``.

    Args:
        source: A file, in any transfer syntax that a codec is installed for, or a data set with file meta.

    Raises:
        Held: Palette colour, floating point, a bitmap (SEG), no image (waveform, SR, document), more than
            :data:`MAX_BYTES`, or damaged.
        Skipped: The file is no DICOM file.
    """
    parts: list[Image] = []
    size = 0
    for part in read_frames(source):
        size += part.array.nbytes
        if size > MAX_BYTES:
            raise Held(TOO_LARGE)
        parts.append(part)
    return parts[0] if len(parts) == 1 else Image.joined(parts)


def read_frames(
    source: Path | Dataset,
    frames: Sequence[int] | None = None,
    at_once: int = FRAMES_AT_ONCE,
    header: Dataset | None = None,
) -> Iterator[Image]:
    """Read an object a few frames at a time, in memory of that many.

    Args:
        source: As in :func:`read_image`; a file is not read as a whole.
        frames: Numbers of the frames from 0, in the order they are wanted; all if None.
        at_once: Frames of one image at most; no more than have :data:`SAMPLES_AT_ONCE`, but one at least.
        header: What :func:`read_header` gave for the file, where it is at hand.

    Raises:
        Held: As in :func:`read_image`.
        Skipped: The file is no DICOM file.
    """
    if isinstance(source, Dataset):
        yield from _images(source, source, frames, at_once, {})
        return
    with open_part10(source) as opened:
        header = _header(opened) if header is None else header
        refuse_unsupported(header)
        element = next(e for e in opened.elements if e.tag == _PIXEL_DATA)
        mapped = isinstance(opened.body, mmap)  # it has read, seek and tell, and stays on disk
        stream = cast(BinaryIO, opened.body if mapped else BytesIO(opened.body))
        stream.seek(element.start)
        native = _decoder(header).is_native
        if native and element.end - element.start < _stored_bytes(header):
            raise Held("unreadable: pixel data truncated")
        yield from _images(header, stream, frames, at_once, {"pixel_vr": element.vr})


def read_header(path: Path) -> Dataset:
    """The data set of a file without the value of its pixel data, which stands there empty.

    Raises:
        Held: It cannot be read.
        Skipped: The file is no DICOM file.
    """
    with open_part10(path) as opened:
        return _header(opened)


def decode_frame(header: Dataset, fragments: bytes) -> NDArray[Any]:
    """Decode one encapsulated frame by the way of :func:`read_frames`.

    Args:
        header: Image attributes of one frame, with file meta.
        fragments: Items of the Basic Offset Table and of the code stream (PS3.5 A.4).

    Returns:
        Stored values `[row, column, channel]`.

    Raises:
        Held: It cannot be decoded.
    """
    array, _ = next(_decoded(header, BytesIO(fragments), [0], {"pixel_vr": "OB"}), (None, ""))
    if array is None:
        raise Held(NOT_DECODED)
    return array


def _header(opened: Part10) -> Dataset:
    pixels = [element for element in opened.elements if element.tag & 0xFFFF0000 == _PIXEL_GROUP]
    start = opened.elements[0].at if opened.elements else 0
    end = pixels[0].at if pixels else len(opened.body)
    syntax = UID(opened.syntax)
    implicit, little = opened.encoding
    try:
        header = read_dataset(BytesIO(opened.body[start:end]), implicit, little)
        header.set_original_encoding(implicit, little, None)
        for element in pixels:
            large = element.tag == _PIXEL_DATA or element.tag in (0x7FE00008, 0x7FE00009)
            value = b"" if large else opened.body[element.start : element.end]
            header.add_new(element.tag, "OB" if large else "OV", value)
    except READING_FAILURES:
        raise Held("unreadable: header") from None
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = syntax
    return header


def _images(
    header: Dataset,
    source: Dataset | BinaryIO,
    frames: Sequence[int] | None,
    at_once: int,
    options: dict[str, Any],
) -> Iterator[Image]:
    refuse_unsupported(header)
    wanted = range(frame_count(header)) if frames is None else frames
    if wanted and not 0 <= min(wanted) <= max(wanted) < frame_count(header):
        raise Held("pixels: no such frame")
    if frame_bytes(header) > MAX_BYTES:
        raise Held(TOO_LARGE)
    samples = whole(header, "Rows") * whole(header, "Columns") * whole(header, "SamplesPerPixel", 1)
    at_once = min(at_once, max(1, SAMPLES_AT_ONCE // samples))
    decoded = _decoded(header, source, wanted, options)
    for start in range(0, len(wanted), at_once):
        numbers = wanted[start : start + at_once]
        taken = [next(decoded, None) for _ in numbers]
        present = [frame for frame in taken if frame is not None]
        if len(present) < len(numbers):
            raise Held("pixels: fewer frames than the header says")
        array = np.stack([frame for frame, _ in present])
        image = _describe(header, array, numbers)
        yield replace(image, photometric=present[0][1])


def _decoded(
    header: Dataset, source: Dataset | BinaryIO, frames: Sequence[int], options: dict[str, Any]
) -> Iterator[tuple[NDArray[Any], str]]:
    """Frames `[row, column, channel]` and their photometric interpretation after decoding."""
    decoder = _decoder(header)
    shape = (whole(header, "Rows"), whole(header, "Columns"), whole(header, "SamplesPerPixel", 1))
    try:
        settings = as_pixel_options(header, pixel_keyword="PixelData", **options)
        settings["transfer_syntax_uid"] = decoder.UID
        for array, properties in _arrays(decoder, source, frames, settings):
            photometric = str(properties["photometric_interpretation"])
            if photometric == "YBR_FULL_422":  # the decoder gives every pixel its colour
                photometric = "YBR_FULL"
            native = array.astype(array.dtype.newbyteorder("="), copy=False)
            yield native.reshape(shape), "RGB" if photometric in _DECODED_TO_RGB else photometric
    except READING_FAILURES:
        raise Held(NOT_DECODED) from None
    except BaseException as error:
        if type(error).__name__ == "PanicException":  # of the RLE codec, in Rust: it is no Exception
            raise Held(NOT_DECODED) from None
        raise


def _decoder(header: Dataset) -> Decoder:
    try:
        uid = header.file_meta.TransferSyntaxUID
        if uid in _LOSSLESS_JPEG or (uid == JPEGExtended12Bit and bits_stored(header) > 8):
            decoder = Decoder(uid)
            decoder.add_plugin("simpleitk", ("deid.dicom.jpeg_decoder", "decode"))
            return decoder
        return get_decoder(uid)
    except READING_FAILURES:
        raise Held(NOT_DECODED) from None


def _arrays(
    decoder: Decoder, source: Dataset | BinaryIO, frames: Sequence[int], settings: dict[str, Any]
) -> Iterator[tuple[NDArray[Any], dict[str, str | int]]]:
    if decoder.is_encapsulated:
        chosen = _PLUGINS.get(decoder.UID, "")
        settings = settings | {"decoding_plugin": chosen if chosen in decoder.available_plugins else ""}
    if decoder.UID in JPEG2000TransferSyntaxes or decoder.UID in JPEGLSTransferSyntaxes:
        # The decoder's iterator cannot correct the sign of what such a codec returns (it is read-only there).
        yield from (decoder.as_array(source, index=number, raw=True, **settings) for number in frames)
        return
    # Without indices the decoder walks the fragments once; with them it looks each frame up.
    everything = list(frames) == list(range(settings["number_of_frames"]))
    yield from decoder.iter_array(source, indices=None if everything else frames, raw=True, **settings)


def _describe(header: Dataset, array: NDArray[Any], frames: Sequence[int]) -> Image:
    rescale = rescale_of(header)
    if len(rescale) > 1:
        rescale = tuple(rescale[number] for number in frames)
    affine = affine_of(header)
    if affine is not None:
        affine[:3, 3] += frames[0] * affine[:3, 0]
    return Image(
        array,
        modality=text(header, "Modality"),
        photometric=text(header, "PhotometricInterpretation"),
        bits_stored=bits_stored(header),
        signed=is_signed(header),
        rescale=rescale,
        lut=lut_of(header),
        units=units_of(header),
        padding=padding_of(header),
        spacing=spacing_of(header),
        affine=affine,
    )


def _stored_bytes(header: Dataset) -> int:
    """Bytes that the native pixel data of all frames take (PS3.5 8.2; YBR_FULL_422 shares its colours)."""
    size = frame_bytes(header) * frame_count(header)
    return size * 2 // 3 if text(header, "PhotometricInterpretation") == "YBR_FULL_422" else size
