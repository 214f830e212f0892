"""What scanners, cameras and converters write into the code streams of compressed pixel data."""

from __future__ import annotations

import struct

import numpy as np
import pydicom
import pytest
from dicom_files import ct, read, release
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames

from deid.core.errors import Held
from deid.dicom.elements import Buffer
from deid.dicom.part10 import parse_part10
from deid.dicom.verify_pixels import compare_pixels

SAID = b"Xqtanaka^Ulrike, born 1961-02-03, seen in Xqstadt Clinic"
FILES = {
    "jpeg": "SC_rgb_jpeg_dcmtk.dcm",
    "jpeg-ls": "MR_small_jpeg_ls_lossless.dcm",
    "jpeg-2000": "MR_small_jp2klossless.dcm",
    "rle": "MR_small_RLE.dcm",
}
COM, EXIF, UNNAMED = 0xFFFE, 0xFFE1, 0xFFEF


def segment(marker: int, said: bytes) -> bytes:
    return struct.pack(">HH", marker, len(said) + 2) + said


def frame_of(kind: str) -> bytes:
    data_set = pydicom.dcmread(get_testdata_file(FILES[kind], download=False))
    return next(generate_frames(data_set.PixelData, number_of_frames=1))


def marked(kind: str, said: bytes, marker: int = COM) -> bytes:
    """A frame with a segment of words in its header."""
    frame = frame_of(kind)
    if kind == "jpeg-2000":
        at = frame.index(b"\xff\x90")
        return frame[:at] + segment(0xFF64, b"\0\1" + said) + frame[at:]
    return frame[:2] + segment(marker, said) + frame[2:]


def image(kind: str, *fragments: bytes, frames: int = 1) -> Dataset:
    """A radiological image of a patient with a name, around fragments of a real image."""
    original = pydicom.dcmread(get_testdata_file(FILES[kind], download=False))
    data_set = ct()
    data_set.PatientName = "Xqtanaka^Ulrike"
    data_set.InstitutionName = "Xqstadt Clinic"
    for keyword in ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"):
        setattr(data_set, keyword, getattr(original, keyword))
    data_set.SamplesPerPixel = original.SamplesPerPixel
    data_set.PhotometricInterpretation = original.PhotometricInterpretation
    if original.SamplesPerPixel > 1:
        data_set.PlanarConfiguration = 0
    if frames > 1:
        data_set.NumberOfFrames = frames
    data_set.PixelData = encapsulate(list(fragments))
    data_set["PixelData"].VR = "OB"
    data_set["PixelData"].is_undefined_length = True
    data_set.file_meta.TransferSyntaxUID = original.file_meta.TransferSyntaxUID
    return data_set


def written(data_set: Dataset) -> bytes:
    stream = pydicom.filebase.DicomBytesIO()
    pydicom.dcmwrite(stream, data_set, enforce_file_format=True)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["jpeg", "jpeg-ls", "jpeg-2000"])
@pytest.mark.parametrize("frames", [1, 2])
def test_a_comment_that_names_somebody_is_blanked_and_nothing_else_changes(kind: str, frames: int) -> None:
    source = image(kind, *[marked(kind, SAID)] * frames, frames=frames)
    released = read(release(written(source)))
    assert released.PixelData == source.PixelData.replace(SAID, b" " * len(SAID))
    assert SAID in source.PixelData


@pytest.mark.parametrize("kind", ["jpeg-ls", "jpeg-2000"])
def test_a_blanked_image_is_the_same_image(kind: str) -> None:
    released = read(release(written(image(kind, marked(kind, SAID)))))
    assert np.array_equal(released.pixel_array, read(written(image(kind, frame_of(kind)))).pixel_array)


@pytest.mark.parametrize("marker", [EXIF, 0xFFED])
def test_camera_data_is_blanked_whatever_it_says(marker: int) -> None:
    said = b"Exif\0\0MM\0*Serial 4711, 2021:03:04 10:11:12\0"
    source = image("jpeg", marked("jpeg", said, marker))
    assert read(release(written(source))).PixelData == source.PixelData.replace(said, b" " * len(said))


def test_application_segments_are_cleaned_like_comments() -> None:
    source = image("jpeg", marked("jpeg", b"\0\1\2" + SAID, UNNAMED))
    assert SAID not in release(written(source))


@pytest.mark.parametrize(
    "said",
    [
        *(b"Kakadu-v7.3.3", b"Created by OpenJPEG version 2.5.2", b"Created by GDCM/OpenJPEG version 2.0"),
        *(b"Creator: JasPer Version 1.701.0", b"OpenJPH Ver 0.7.3.", b"LEAD Technologies Inc. V1.01"),
        *(b"Created by Grok     version 2.3.0", b"MITRA_DICOM_STANDARD", b"Lavc58.134.100"),
    ],
)
@pytest.mark.parametrize("kind", ["jpeg", "jpeg-2000"])
def test_names_of_encoders_stay(kind: str, said: bytes) -> None:
    source = image(kind, marked(kind, said))
    assert read(release(written(source))).PixelData == source.PixelData


@pytest.mark.parametrize("kind", ["jpeg", "jpeg-ls"])
def test_segments_that_say_how_colours_are_coded_stay(kind: str) -> None:
    adobe = segment(0xFFEE, b"Adobe\0\x64\0\0\0\0\1")
    frame = frame_of(kind)
    source = image(kind, frame[:2] + adobe + segment(COM, SAID) + frame[2:])
    assert adobe in release(written(source))


@pytest.mark.parametrize("kind", sorted(FILES))
def test_a_name_anywhere_else_in_compressed_pixel_data_holds_the_file(kind: str) -> None:
    frame = frame_of(kind)
    behind = image(kind, frame + b"\0" * (len(frame) % 2) + SAID)
    between = image(kind, frame, SAID)
    for data_set in (behind, between):
        with pytest.raises(Held, match="compressed pixel data"):
            release(written(data_set))
    assert SAID not in release(written(image(kind, frame)))


def test_a_short_name_counts_in_a_comment_too() -> None:
    source = image("jpeg", marked("jpeg", b"made by Doe, Xi for Doe"))
    source.PatientName = "Doe^Xi"
    assert b"Doe" not in release(written(source))


def test_verification_lets_nothing_but_a_comment_be_blank() -> None:
    source = written(image("jpeg", marked("jpeg", SAID)))
    at = source.index(SAID)
    blank = source.replace(SAID, b" " * len(SAID))
    compare_pixels(parse_part10(source), parse_part10(blank))
    for place, byte in ((at, b"x"), (at - 1, b" "), (at + len(SAID), b" "), (len(source) - 40, b" ")):
        assert source[place : place + 1] != byte
        changed: Buffer = source[:place] + byte + source[place + 1 :]
        with pytest.raises(Held, match="pixel data differs"):
            compare_pixels(parse_part10(source), parse_part10(changed))


def test_noise_that_spells_a_number_holds_nothing() -> None:
    frame = frame_of("rle")
    source = image("rle", frame + b"\0" * (len(frame) % 2) + b"\1 {; 20471977 }\3")
    source.PatientID = "20471977"
    assert read(release(written(source))).PixelData == source.PixelData


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"])
def test_a_name_behind_the_last_frame_holds_the_file(frames: int, syntax: str) -> None:
    source = ct()
    source.PatientName = "Xqtanaka^Ulrike"
    source.file_meta.TransferSyntaxUID = syntax
    source.NumberOfFrames = frames
    source.PixelData = SAID[:32] * frames
    assert SAID[:32] in release(written(source))  # pixels may be anything
    source.PixelData += SAID
    with pytest.raises(Held, match="behind the pixels"):
        release(written(source))
    source.PixelData = bytes(32 * frames) + b"\0\1" * 400
    assert read(release(written(source))).PixelData == source.PixelData
