"""Whether what a header calls padding is none.

Pixel padding stays as it is, bit for bit, and no network sees it. A header that declares a wide range as
padding (Pixel Padding Value and Pixel Padding Range Limit, PS3.3 C.7.5.1.1.2) could so keep a whole picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from deid.core.image import COLOUR, Image
from deid.pixels.slices import Parts

MOST_UNEVEN = 1e-3
"""Share of a frame's pixels that padding may spend on values other than its commonest: of a megapixel an area
of 32 x 32. What is flat but for that shows no more than an outline, whatever the range; noise of a lossy
compression along an edge fits in."""


def without_false_padding(parts: Parts) -> Parts:
    """The parts of an object, without padding where it is no flat background in each frame.

    All of such an object is content: the networks see it, and it is changed like all else. Padding of one
    value is flat by itself; only objects with a range are read for it, once.

    Args:
        parts: Gives the parts of one object.
    """
    return parts if is_flat(parts()) else without_padding(parts)


def without_padding(parts: Parts) -> Parts:
    """The parts of an object as if its header declared no padding."""

    def unpadded() -> Iterator[Image]:
        return (replace(image, padding=None) for image in parts())

    return unpadded


def is_flat(parts: Iterable[Image]) -> bool:
    """Whether what is called padding is a flat background in each frame, or there is none."""
    for image in parts:
        if image.padding is None or image.padding[0] == image.padding[1]:
            return True
        if image.photometric in COLOUR or image.array.dtype.kind == "f":
            return True  # padding has no meaning there
        low, high = image.padding
        for frame in image.array[..., 0]:
            padding = frame[(frame >= low) & (frame <= high)]
            often = np.unique(padding, return_counts=True)[1]
            if padding.size - often.max(initial=0) > MOST_UNEVEN * frame.size:
                return False
    return True
