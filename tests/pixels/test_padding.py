"""Padding that is none: a range of values that holds a picture."""

import numpy as np
import pytest

from deid.core.image import Image
from deid.pixels.padding import without_false_padding

SIDE = 100


def framed(values, padding, frames=2, **more):
    """Frames of content from 1000 on; the upper half of the last one is what is given."""
    rows = np.arange(SIDE * SIDE, dtype=np.uint16).reshape(1, SIDE, SIDE, 1) + 1000
    array = np.repeat(rows, frames, 0)
    array[-1, : SIDE // 2, :, 0] = values
    return Image(array, bits_stored=16, modality="CR", padding=padding, **more)


def padding_of(image):
    """What is left of the padding, frame by frame."""
    parts = without_false_padding(lambda: (image.part(at, at + 1) for at in range(image.frames)))
    kept = {part.padding for part in parts()}
    assert [part.array.tobytes() for part in parts()] == [frame.tobytes() for frame in image.array[:, None]]
    (found,) = kept
    return found


def noise(share):
    values = np.full((SIDE // 2, SIDE), 5, np.uint16)
    values.ravel()[: int(share * SIDE * SIDE)] = 7
    return values


PICTURE = np.add.outer(np.arange(SIDE // 2), np.arange(SIDE)).astype(np.uint16)


@pytest.mark.parametrize(
    "values, padding",
    [
        (5, (5, 5)),
        (5, (0, 999)),
        (PICTURE, None),
        (PICTURE, (5, 5)),
        (PICTURE, (500, 999)),
        (noise(0.001), (0, 9)),
    ],
    ids=["one value", "flat in a wide range", "none", "picture and one value", "not used", "a little noise"],
)
def test_flat_padding_stays_padding(values, padding):
    assert padding_of(framed(values, padding)) == padding


@pytest.mark.parametrize(
    "values, padding",
    [(PICTURE, (0, 999)), (PICTURE > 60, (0, 1)), (noise(0.0011), (0, 9)), (5, (0, 65535))],
    ids=["picture", "in two values", "more noise", "all that there is"],
)
def test_what_is_not_flat_is_content_in_every_frame(values, padding):
    assert padding_of(framed(values, padding)) is None


def test_an_object_is_not_read_for_padding_of_one_value():
    def parts():
        yield framed(5, (5, 5))
        raise AssertionError("read on")

    assert without_false_padding(parts) is parts
