"""Pictures as images."""

import numpy as np
import pytest
from PIL import Image as Picture

from deid.core.errors import Held
from deid.pixels.raster import read_raster


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_grey_of_8_and_16_bits_comes_back_as_stored(tmp_path, name):
    for dtype, bits in ((np.uint8, 8), (np.uint16, 16)):
        values = np.random.default_rng(0).integers(0, 1 << bits, (7, 9)).astype(dtype)
        Picture.fromarray(values).save(tmp_path / name)
        image = read_raster(tmp_path / name, "DX")
        np.testing.assert_array_equal(image.array[0, :, :, 0], values)
        assert (image.modality, image.bits_stored, image.frames) == ("DX", bits, 1)


def test_colour_is_grey_and_jpeg_is_read(tmp_path):
    Picture.fromarray(np.full((8, 8, 3), 90, np.uint8)).save(tmp_path / "a.jpeg")
    image = read_raster(tmp_path / "a.jpeg")
    assert image.array.shape == (1, 8, 8, 1) and abs(int(image.array.mean()) - 90) <= 1


def test_what_is_no_whole_picture_is_held(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(Held, match="no JPEG, PNG or TIFF"):
        read_raster(tmp_path / "a.png")
    Picture.fromarray(np.random.default_rng(0).integers(0, 255, (99, 99)).astype(np.uint8)).save(
        tmp_path / "b.png"
    )
    (tmp_path / "c.png").write_bytes((tmp_path / "b.png").read_bytes()[:2000])
    with pytest.raises(Held, match="damaged"):
        read_raster(tmp_path / "c.png")
    Picture.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "d.tif")
    with pytest.raises(Held, match="floating-point"):
        read_raster(tmp_path / "d.tif")
    with pytest.raises(FileNotFoundError):
        read_raster(tmp_path / "e.png")
