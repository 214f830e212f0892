"""JPEG that only GDCM decodes: lossless, and Extended of 12 bits."""

import os
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pydicom.data
import pytest
from builders.jpeg_lossless import jpeg_lossless
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, JPEGLossless

from deid.core.errors import Held
from deid.dicom.pixels import read_image

FILES = Path(pydicom.data.__file__).parent / "test_files"


def grey(values, bits, cell, signed, code):
    """An object with one code stream of these values `[row, column]`."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(JPEGLossless)
    dataset.Rows, dataset.Columns = values.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = cell, bits, bits - 1
    dataset.PixelRepresentation = int(signed)
    dataset.PixelData = encapsulate([code])
    dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
    return dataset


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("predictor", range(1, 8))
def test_lossless_jpeg_of_every_predictor_and_depth(predictor, signed):
    random = np.random.default_rng(predictor)
    for bits in range(2, 17):
        low, above = (-(1 << (bits - 1)), 1 << (bits - 1)) if signed else (0, 1 << bits)
        values = random.integers(low, above, (9, 14))
        for cell in (8, 16) if bits <= 8 else (16,):
            dataset = grey(values, bits, cell, signed, jpeg_lossless(values, bits, predictor))
            np.testing.assert_array_equal(read_image(dataset).array[0, :, :, 0], values)


@pytest.mark.parametrize(("coded", "bits", "cell"), [(12, 8, 8), (16, 12, 16), (8, 12, 16), (5, 8, 8)])
def test_a_header_that_differs_from_the_code_stream_cuts_no_sample(coded, bits, cell):
    values = np.random.default_rng(0).integers(0, 1 << min(coded, bits), (9, 14))
    dataset = grey(values, bits, cell, False, jpeg_lossless(values, coded, 1))
    np.testing.assert_array_equal(read_image(dataset).array[0, :, :, 0], values)


def test_extended_jpeg_of_twelve_bits():
    image = read_image(FILES / "JPEG-lossy.dcm")
    assert image.array.shape == (1, 1024, 256, 1) and image.array.dtype == np.uint16
    # Beyond eight bits: nothing is clipped or scaled.
    assert image.array.max() == 264
    assert image.array.mean() == pytest.approx(14.37, abs=0.01)


def test_the_copy_for_the_decoder_is_private_and_gone_after_it(monkeypatch, tmp_path):
    seen = []
    made = tempfile.NamedTemporaryFile

    def watched(**options):
        file = made(dir=tmp_path, **options)
        seen.append(os.stat(file.name).st_mode & 0o777)
        return file

    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(tempfile, "NamedTemporaryFile", watched)
    values = np.arange(64).reshape(8, 8)
    read_image(grey(values, 8, 8, False, jpeg_lossless(values, 8, 1)))
    assert seen == [0o600]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has files without a name in any folder")
def test_on_linux_the_copy_has_no_name_that_a_kill_could_leave(monkeypatch):
    monkeypatch.setattr(tempfile, "NamedTemporaryFile", lambda **_: pytest.fail("a named file"))
    values = np.arange(64).reshape(8, 8)
    found = read_image(grey(values, 8, 8, False, jpeg_lossless(values, 8, 1)))
    np.testing.assert_array_equal(found.array[0, :, :, 0], values)


def test_a_damaged_code_stream_is_held_and_does_not_end_the_process():
    random = np.random.default_rng(0)
    source = pydicom.dcmread(FILES / "JPEG-lossy.dcm")
    held = 0
    for _ in range(40):
        damaged = bytearray(source.PixelData)
        for place in random.integers(16, 700, 3):
            damaged[place] = random.integers(256)
        source.PixelData = bytes(damaged)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                assert read_image(source).array.shape == (1, 1024, 256, 1)
            except Held as reason:
                assert reason.reason == "pixels: cannot be decoded"
                held += 1
        source = pydicom.dcmread(FILES / "JPEG-lossy.dcm")
    assert held > 10


def test_the_library_writes_nothing_on_standard_error(capfd):
    """It has its own words on this file: 'Invalid SOS parameters for sequential JPEG'."""
    read_image(FILES / "JPEG-lossy.dcm")
    os.write(2, b"still here")
    assert capfd.readouterr().err == "still here"
