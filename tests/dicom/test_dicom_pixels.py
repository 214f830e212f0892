"""DICOM pixel data as images of stored values."""

import warnings
from io import BytesIO

import numpy as np
import pytest
from builders import build, write
from builders.common import references
from builders.files import to_bytes
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from deid.core.errors import Held, Skipped
from deid.core.image import Rescale
from deid.dicom import image_header as reasons
from deid.dicom.pixels import read_frames, read_header, read_image
from deid.pixels.network_range import from_network, to_network


def stored(dataset, frames=1, samples=1):
    dtype = "<u2" if dataset.BitsAllocated == 16 else "u1"
    values = np.frombuffer(dataset.PixelData, dtype)
    return values.reshape(frames, dataset.Rows, dataset.Columns, samples)


@pytest.mark.parametrize("syntax", ["implicit", "explicit", "big_endian", "deflated", "rle"])
@pytest.mark.parametrize("kind", ["ct", "mr_enhanced", "us"])
def test_every_native_syntax_gives_the_same_stored_values(tmp_path, kind, syntax):
    dataset = build(kind).dataset
    frames, samples = int(dataset.get("NumberOfFrames", 1)), int(dataset.SamplesPerPixel)
    image = read_image(write(dataset, tmp_path / "a.dcm", syntax))
    np.testing.assert_array_equal(image.array, stored(dataset, frames, samples))
    assert image.array.dtype.isnative
    assert image.photometric == dataset.PhotometricInterpretation


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless])
@pytest.mark.parametrize("signed", [False, True])
def test_lossless_codecs_give_back_what_was_put_in(tmp_path, syntax, signed):
    dataset = build("ct").dataset
    dataset.PixelRepresentation, dataset.Rows, dataset.Columns = int(signed), 64, 48
    values = np.random.default_rng(0).integers(-2048 if signed else 0, 2048, (64, 48)).astype("<i2")
    dataset.PixelData = values.tobytes()
    buffer = BytesIO(to_bytes(dataset))
    compressed = dcmread(buffer)
    compressed.compress(syntax, generate_instance_uid=False)
    compressed.save_as(tmp_path / "a.dcm")
    image = read_image(tmp_path / "a.dcm")
    np.testing.assert_array_equal(image.array[0, :, :, 0], values)
    assert image.signed is signed and image.bits_stored == 12
    np.testing.assert_array_equal(read_image(dcmread(tmp_path / "a.dcm")).array, image.array)


def test_the_header_says_what_the_values_mean(tmp_path):
    image = read_image(write(build("ct").dataset, tmp_path / "a.dcm"))
    assert image.rescale == (Rescale(1.0, -1024.0),) and image.units == "HU" and image.modality == "CT"
    assert image.spacing == (5.0, 0.5, 0.5)
    np.testing.assert_allclose(image.affine @ [0, 2, 4, 1], [2, 1, 5, 1])
    np.testing.assert_allclose(image.affine @ [1, 0, 0, 1], [0, 0, 10, 1])


def test_frames_have_their_own_rescale_and_position(tmp_path):
    dataset = build("mr_enhanced").dataset
    for number, frame in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        item = Dataset()
        item.RescaleSlope, item.RescaleIntercept, item.RescaleType = 1 + number, 0, "US"
        frame.PixelValueTransformationSequence = references(item)
    dataset.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence = references(Dataset())
    orientation = dataset.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    path = write(dataset, tmp_path / "a.dcm")
    image = read_image(path)
    assert image.rescale == (Rescale(1.0), Rescale(2.0), Rescale(3.0))
    assert image.spacing == (5.0, 0.5, 0.5)
    (second, third) = read_frames(path, frames=[2, 1], at_once=1)
    assert second.rescale == (Rescale(3.0),) and third.rescale == (Rescale(2.0),)
    np.testing.assert_array_equal(second.array[0], image.array[2])
    assert second.affine[2, 3] == 10.0


@pytest.mark.parametrize(
    ("signed", "first", "expected"), [(False, 65526, 65526), (True, 65526, -10), (True, -10, -10)]
)
def test_modality_lut_and_padding_are_read_in_the_sign_of_the_samples(tmp_path, signed, first, expected):
    dataset = build("cr").dataset
    dataset.PixelRepresentation = int(signed)
    item = Dataset()
    vr = "SS" if first < 0 else "US"
    item.add_new("LUTDescriptor", vr, [4, first, 16])
    item.add_new("LUTData", "OW", np.array([5, 6, 7, 60000], "<u2").tobytes())
    item.ModalityLUTType = "US"
    dataset.ModalityLUTSequence = references(item)
    dataset.add_new("PixelPaddingValue", "US", 65526)
    dataset.add_new("PixelPaddingRangeLimit", "US", 65530)
    image = read_image(write(dataset, tmp_path / "a.dcm"))
    assert image.lut.first == expected
    assert image.lut.values.tolist() == [5, 6, 7, 60000]
    assert image.padding == ((-10, -6) if signed else (65526, 65530))
    assert image.lut.apply(np.array([expected - 9, expected + 1, expected + 99])).tolist() == [5, 6, 60000]


def test_what_is_no_image_of_whole_numbers_is_held_with_its_reason(tmp_path):
    def reason(dataset):
        with pytest.raises(Held) as caught:
            read_image(write(dataset, tmp_path / "a.dcm"))
        return caught.value.reason

    for kind in ("sr", "ecg", "pdf", "rtstruct"):
        assert reason(build(kind).dataset) == reasons.NO_IMAGE
    palette = build("us").dataset
    palette.PhotometricInterpretation, palette.SamplesPerPixel = "PALETTE COLOR", 1
    assert reason(palette) == reasons.PALETTE
    bitmap = build("seg").dataset
    bitmap.BitsAllocated = bitmap.BitsStored = 1
    assert reason(bitmap) == reasons.BITMAP
    floating = build("mr").dataset
    del floating.PixelData
    floating.FloatPixelData = np.zeros(16 * 12, "<f4").tobytes()
    assert reason(floating) == reasons.FLOATING
    strange = build("us").dataset
    strange.PhotometricInterpretation = "HSV"
    assert reason(strange) == reasons.PHOTOMETRIC
    short = build("ct").dataset
    short.Rows = 999
    assert reason(short) == "unreadable: pixel data truncated"
    empty = build("ct").dataset
    empty.Rows = 0
    assert reason(empty) == reasons.MALFORMED


def test_a_damaged_code_stream_is_held_and_says_nothing_of_the_file(tmp_path):
    path = write(build("ct", canaries=True).dataset, tmp_path / "a.dcm", "jpeg_2000")
    with pytest.raises(Held) as caught:
        read_image(path)
    assert caught.value.reason == "pixels: cannot be decoded"
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


def test_damaged_run_lengths_are_held(tmp_path):
    path = write(build("ct").dataset, tmp_path / "a.dcm", "rle")
    dataset = dcmread(path)
    damaged = bytearray(dataset.PixelData)
    # The first run of the first segment, behind offset table, item header and RLE header, becomes too long.
    start = damaged.index(b"\xfe\xff\x00\xe0", 8) + 8 + 64
    damaged[start : start + 2 * 8] = bytes([0x81, 0]) * 8
    dataset.PixelData = bytes(damaged)
    with pytest.raises(Held) as caught:
        read_image(dataset)
    assert caught.value.reason == "pixels: cannot be decoded"


def test_files_without_preamble_and_a_header_alone(tmp_path):
    path = tmp_path / "a.dcm"
    path.write_bytes(to_bytes(build("ct").dataset, meta=False))
    assert read_image(path).array.shape == (1, 16, 12, 1)
    header = read_header(path)
    assert header.PatientID == "12" and header.PixelData == b""


def test_large_objects_are_read_in_parts(tmp_path):
    dataset = build("mr").dataset
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = 70, 200, 200
    values = np.random.default_rng(0).integers(0, 4096, (70, 200, 200, 1)).astype("<u2")
    dataset.PixelData = values.tobytes()  # 5.6 MB: mapped, not read
    path = write(dataset, tmp_path / "a.dcm")
    parts = list(read_frames(path))
    assert [part.frames for part in parts] == [16, 16, 16, 16, 6]
    np.testing.assert_array_equal(np.concatenate([part.array for part in parts]), values)


def test_large_frames_are_read_a_few_at_a_time(tmp_path):
    """Sixteen of a large detector would take gigabytes once they are floating-point numbers."""
    dataset = build("mr").dataset
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = 5, 2048, 4096
    dataset.PixelData = bytes(5 * 2048 * 4096 * 2)
    path = write(dataset, tmp_path / "a.dcm")
    assert [part.frames for part in read_frames(path)] == [2, 2, 1]


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(["ct", "mr_enhanced", "us"]), st.data())
def test_damaged_files_are_held_and_nothing_else(tmp_path_factory, kind, data):
    content = bytearray(to_bytes(build(kind).dataset))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(132, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.dcm"
    path.write_bytes(content[: data.draw(st.integers(1000, len(content)))])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image = read_image(path)
        except (Held, Skipped):
            return
    unit, found = to_network(image)
    assert unit.shape == image.array.shape[:3]
    np.testing.assert_array_equal(from_network(unit, found, image).array, image.array)
