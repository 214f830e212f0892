"""JPEG, PNG and TIFF pictures as images; their modality is what the manifest says of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
from PIL import UnidentifiedImageError

from deid.core.errors import Held
from deid.core.image import Image

RASTER_EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff"})

_FORMATS = ("JPEG", "PNG", "TIFF")


def read_raster(path: Path, modality: str = "") -> Image:
    """Read one picture as one grey frame.

    Colour becomes luminance: projections are stored as RGB JPEG out of habit, and no medical value is lost.

    Args:
        path: The file.
        modality: What it shows, such as ``DX`` or ``MR``.

    Raises:
        Held: It cannot be read, is of another format, or is larger than PIL takes (179 million pixels).
        FileNotFoundError: It is not there.
    """
    try:
        with Picture.open(path, formats=_FORMATS) as picture:
            array = _grey(picture)
    except FileNotFoundError:
        raise
    except (UnidentifiedImageError, Picture.DecompressionBombError):
        raise Held("unreadable: no JPEG, PNG or TIFF picture") from None
    except (OSError, ValueError, SyntaxError, EOFError):
        raise Held("unreadable: damaged picture") from None
    bits = array.dtype.itemsize * 8
    return Image(array[None, :, :, None], modality=modality, bits_stored=bits)


def _grey(picture: Picture.Image) -> NDArray[Any]:
    if picture.mode == "F":
        raise Held("pixels: floating-point picture")
    deep = picture.mode.startswith("I")  # 16 bits, which some versions of PIL read as 32
    values: NDArray[Any] = np.asarray(picture if deep else picture.convert("L"))
    return values.clip(0, 0xFFFF).astype(np.uint16) if deep else values
