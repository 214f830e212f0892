"""Images of stored values as DICOM pixel data, and back."""

import hashlib
import itertools
import struct
import tempfile
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pydicom.data
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import parse_basic_offsets
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from deid.core.errors import Held, Skipped
from deid.core.image import Image
from deid.dicom import pixel_writer
from deid.dicom.pixel_writer import (
    FRAME_COUNT,
    HIGH_BIT,
    LOSSLESS,
    NOT_LOSSLESS,
    PLAIN,
    SAME,
    PixelWriter,
    target_syntax,
)
from deid.dicom.pixels import read_frames, read_header

FILES = Path(pydicom.data.__file__).parent / "test_files"
NATIVE = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)
LOSSLESS_CODECS = (RLELossless, JPEGLSLossless, JPEG2000Lossless)


def described(syntax, shape, bits=12, cell=16, signed=False, photometric="MONOCHROME2", planar=0):
    """Image attributes of frames `[frame, row, column, channel]`, without pixels."""
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = UID(syntax)
    header.NumberOfFrames, header.Rows, header.Columns, header.SamplesPerPixel = shape
    header.PhotometricInterpretation = photometric
    if shape[3] > 1:
        header.PlanarConfiguration = planar
    header.BitsAllocated, header.BitsStored, header.HighBit = cell, bits, bits - 1
    header.PixelRepresentation = int(signed)
    header.add_new("PixelData", "OB", b"")
    return header


def random_values(shape, bits, cell, signed, seed=0):
    low, above = (-(1 << (bits - 1)), 1 << (bits - 1)) if signed else (0, 1 << bits)
    values = np.random.default_rng(seed).integers(low, above, shape)
    values.flat[0], values.flat[-1] = low, above - 1
    return values.astype(f"{'i' if signed else 'u'}{cell // 8}")


def image_of(header, array, photometric=None):
    return Image(
        array,
        photometric=photometric or header.PhotometricInterpretation,
        bits_stored=header.BitsStored,
        signed=header.PixelRepresentation == 1,
    )


def write(header, *images):
    """What is written, and its bytes."""
    with tempfile.TemporaryFile() as stream:
        stream.write(b"before")
        writer = PixelWriter(stream, header)
        for image in images:
            writer.add(image)
        pixels = writer.finish()
        stream.seek(pixels.value.offset)
        value = stream.read()
    assert len(value) == pixels.value.length and len(value) % 2 == 0
    assert hashlib.sha256(value).hexdigest() == pixels.sha256
    return pixels, value


def with_pixels(header, pixels, value):
    """The header with the new pixels as its own."""
    header.file_meta.TransferSyntaxUID = UID(pixels.syntax)
    header.PhotometricInterpretation = pixels.photometric
    if pixels.planar is not None:
        header.PlanarConfiguration = pixels.planar
    header.add_new("PixelData", pixels.vr, value)
    header["PixelData"].is_undefined_length = pixels.encapsulated
    for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        if keyword in header:
            delattr(header, keyword)
    return header


def read_again(header, pixels, value):
    parts = [part.array for part in read_frames(with_pixels(header, pixels, value))]
    return np.concatenate(parts)


def decodable():
    """Files of the pydicom wheel that can be read as images."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in sorted(path for path in FILES.rglob("*") if path.is_file()):
            try:
                header, images = read_header(path), list(read_frames(path))
            except (Held, Skipped):
                continue
            yield path.name, header, images


def test_every_file_of_the_pydicom_wheel_is_written_and_read_again_bit_for_bit():
    count = 0
    for name, header, images in decodable():
        source = header.file_meta.TransferSyntaxUID
        pixels, value = write(header, *images)
        values = np.concatenate([image.array for image in images])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            again = read_again(header, pixels, value)
        np.testing.assert_array_equal(again, values, err_msg=name)
        assert again.dtype == values.dtype, name
        assert source not in NATIVE or (pixels.syntax == source and not pixels.encapsulated), name
        if values.shape[3] == 1:
            assert (pixels.smallest, pixels.largest) == (values.min(), values.max()), name
        else:
            assert pixels.smallest is None and pixels.largest is None, name
        count += 1
    assert count >= 70


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_every_depth_sign_colour_and_syntax_gives_back_its_values(data):
    cell = data.draw(st.sampled_from([8, 16, 32]))
    bits = data.draw(st.integers(1, cell))
    photometric = data.draw(st.sampled_from(["MONOCHROME1", "MONOCHROME2", "RGB", "YBR_FULL"]))
    channels = 1 if photometric.startswith("MONO") else 3
    signed = data.draw(st.booleans())
    side = data.draw(st.sampled_from([1, 5, 32]))
    shape = (data.draw(st.integers(1, 3)), side, side + data.draw(st.integers(0, 3)), channels)
    syntax = data.draw(st.sampled_from([*NATIVE, *LOSSLESS_CODECS, JPEGBaseline8Bit]))
    planar = data.draw(st.integers(0, 1))
    header = described(syntax, shape, bits, cell, signed, photometric, planar)
    values = random_values(shape, bits, cell, signed, data.draw(st.integers(0, 99)))
    image = image_of(header, values)
    at = data.draw(st.integers(1, shape[0]))
    pixels, value = write(header, image.part(0, at), *([image.part(at, shape[0])] if at < shape[0] else []))
    assert pixels.photometric == photometric
    np.testing.assert_array_equal(read_again(header, pixels, value), values)
    assert syntax not in NATIVE or (pixels.planar == planar or channels == 1)


@pytest.mark.parametrize(
    ("syntax", "options", "expected"),
    [
        *((native, {}, (native, SAME)) for native in NATIVE),
        *((codec, {}, (codec, SAME)) for codec in LOSSLESS_CODECS),
        (JPEG2000, {}, (JPEG2000Lossless, LOSSLESS)),
        (JPEGBaseline8Bit, {"bits": 8, "cell": 8}, (JPEG2000Lossless, LOSSLESS)),
        (JPEGLSNearLossless, {}, (JPEG2000Lossless, LOSSLESS)),
        (HTJ2KLossless, {"signed": True}, (JPEG2000Lossless, LOSSLESS)),
        (JPEG2000, {"shape": (1, 31, 64, 1)}, (ExplicitVRLittleEndian, PLAIN)),
        (JPEG2000Lossless, {"bits": 25, "cell": 32}, (ExplicitVRLittleEndian, PLAIN)),
        (JPEG2000Lossless, {"bits": 24, "cell": 32}, (JPEG2000Lossless, SAME)),
        (JPEGLSLossless, {"shape": (1, 16, 16, 1)}, (ExplicitVRLittleEndian, PLAIN)),
        (JPEGLSLossless, {"bits": 1, "cell": 8}, (JPEG2000Lossless, LOSSLESS)),
    ],
)
def test_the_syntax_that_is_written(syntax, options, expected):
    options = {"shape": (1, 32, 32, 1)} | options
    target = target_syntax(str(syntax), described(syntax, **options))
    assert (target.uid, target.words) == expected


def test_colour_of_422_becomes_full():
    values = np.random.default_rng(0).integers(0, 256, (1, 4, 6, 3)).astype("u1")
    header = described(ExplicitVRLittleEndian, values.shape, 8, 8, photometric="YBR_FULL_422")
    pixels, value = write(header, image_of(header, values, "YBR_FULL"))
    assert pixels.photometric == "YBR_FULL" and len(value) == values.size
    np.testing.assert_array_equal(read_again(header, pixels, value), values)


def test_samples_lie_in_the_order_of_the_syntax():
    values = np.array([-2, 258]).reshape(1, 1, 2, 1).astype("i2")
    little = described(ImplicitVRLittleEndian, values.shape, signed=True)
    big = described(ExplicitVRBigEndian, values.shape, signed=True)
    assert write(little, image_of(little, values))[1] == b"\xfe\xff\x02\x01"
    assert write(big, image_of(big, values))[1] == b"\xff\xfe\x01\x02"
    assert write(big, image_of(big, values))[0].vr == "OW"


def test_planes_and_the_pad_byte():
    values = np.arange(27).reshape(3, 1, 3, 3).astype("u1")
    header = described(ExplicitVRLittleEndian, values.shape, 8, 8, photometric="RGB", planar=1)
    pixels, value = write(header, image_of(header, values))
    assert value == values.transpose(0, 3, 1, 2).tobytes() + b"\0"
    assert (pixels.vr, pixels.planar) == ("OB", 1)
    implicit = described(ImplicitVRLittleEndian, values.shape, 8, 8, photometric="RGB")
    assert write(implicit, image_of(implicit, values))[0].vr == "OW"


@pytest.mark.parametrize("syntax", LOSSLESS_CODECS)
def test_the_basic_offset_table_points_at_the_frames(syntax):
    header = described(syntax, (5, 40, 40, 1))
    values = random_values((5, 40, 40, 1), 12, 16, False)
    pixels, value = write(header, image_of(header, values))
    assert pixels.encapsulated and pixels.vr == "OB"
    offsets = parse_basic_offsets(value)
    first = 8 + 4 * 5
    lengths = []
    for offset in offsets:
        tag, element, length = struct.unpack_from("<HHI", value, first + offset)
        assert (tag, element) == (0xFFFE, 0xE000)
        lengths.append(8 + length)
    assert offsets == [0, *itertools.accumulate(lengths[:-1])]
    assert value[first + sum(lengths) :] == struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


def test_offsets_beyond_32_bits_leave_the_table_empty(monkeypatch):
    monkeypatch.setattr(pixel_writer, "_MAX_OFFSET", 1000)
    header = described(RLELossless, (5, 40, 40, 1))
    values = random_values((5, 40, 40, 1), 12, 16, False)
    pixels, value = write(header, image_of(header, values))
    assert parse_basic_offsets(value) == []
    np.testing.assert_array_equal(read_again(header, pixels, value), values)


def reason_of(header, *images):
    with pytest.raises(Held) as caught:
        write(header, *images)
    return caught.value.reason


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless])
def test_other_numbers_of_frames_are_held(syntax):
    header = described(syntax, (2, 4, 4, 1))
    image = image_of(header, np.ones((1, 4, 4, 1), "u2"))
    assert reason_of(header, image) == FRAME_COUNT
    assert reason_of(header, image, image, image) == FRAME_COUNT


def test_values_that_the_bits_stored_cannot_hold_are_held():
    for syntax in (ExplicitVRLittleEndian, JPEG2000Lossless):
        header = described(syntax, (1, 32, 32, 1))
        assert reason_of(header, image_of(header, np.full((1, 32, 32, 1), 4096, "u2"))) == NOT_LOSSLESS
    header = described(ExplicitVRLittleEndian, (1, 2, 2, 1), signed=True)
    assert reason_of(header, image_of(header, np.full((1, 2, 2, 1), -2049, "i2"))) == NOT_LOSSLESS


def test_a_codec_that_changes_a_value_is_found(monkeypatch):
    honest = pixel_writer.decode_frame
    monkeypatch.setattr(pixel_writer, "decode_frame", lambda *given: honest(*given) ^ 1)
    header = described(JPEGLSLossless, (1, 32, 32, 1))
    assert reason_of(header, image_of(header, np.ones((1, 32, 32, 1), "u2"))) == NOT_LOSSLESS


def test_samples_in_the_upper_bits_of_their_cells_are_held():
    header = described(ExplicitVRLittleEndian, (1, 2, 2, 1))
    header.HighBit = 15
    assert reason_of(header) == HIGH_BIT


def test_native_pixels_that_no_element_can_hold_are_held():
    header = described(ExplicitVRLittleEndian, (70_000, 512, 512, 1))
    assert reason_of(header) == pixel_writer.TOO_LARGE


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless])
def test_many_frames_need_the_memory_of_a_few(syntax):
    count, frame = 2000, np.zeros((1, 64, 64, 1), "u2")  # 16 MB in all
    header = described(syntax, (count, 64, 64, 1))
    with tempfile.TemporaryFile() as stream:
        writer = PixelWriter(stream, header)
        writer.add(image_of(header, frame))
        tracemalloc.start()
        for number in range(1, count):
            writer.add(image_of(header, frame + np.uint16(number)))
        pixels = writer.finish()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert (pixels.smallest, pixels.largest) == (0, count - 1)
    assert peak < 3 << 20
