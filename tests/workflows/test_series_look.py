"""The look at a series, with networks that know little: what decides, and what becomes of an empty slice."""

import dataclasses

import numpy as np
import pytest
from builders.models import CHEST

from deid.core.image import Image
from deid.pixels.network_range import IntensityRule
from deid.workflows.scrub.frames import (
    EMPTY,
    UNFAMILIAR_SERIES,
    UNTOUCHED,
    Frames,
    Series,
    Shown,
    look_at_series,
    scrub_frames,
)

MADE_FOR = dataclasses.replace(
    CHEST, intensity=dataclasses.replace(CHEST.intensity, parameters=IntensityRule().to_json())
)


class Network:
    """Finds what is bright in its middle familiar, and makes bright slices dark, others not."""

    def __init__(self):
        self.seen = 0

    def is_familiar(self, unit):
        self.seen += len(unit)
        return bool(unit[:, 4, 4].all())

    def scrub(self, unit, strength, noise):
        return unit * 0.5 if strength and unit.mean() > 0.1 else unit


def slices(*levels, padding=None, **more):
    """Slices with a bright square of a level; the rest is a dark ramp."""
    found = []
    for level in levels:
        array = np.arange(81, dtype=np.uint16).reshape(1, 9, 9, 1) % 5
        array[:, 2:7, 2:7] += np.uint16(level)
        found.append(Image(array, modality="MR", bits_stored=16, padding=padding, **more))
    return found


def look(images, network=None):
    return look_at_series(network or Network(), MADE_FOR, lambda: iter(images), lambda: iter(images))


def scrubbed(image, series, strength=1.0):
    return scrub_frames(
        Network(), MADE_FOR, Frames(lambda: iter([image]), series=series), strength, [], lambda _: None
    )


def test_the_slices_that_training_takes_decide_and_empty_ends_do_not():
    network = Network()
    found = look(slices(0, 0, *[1000] * 12, 0, 0), network)
    assert isinstance(found, Series) and network.seen == 8
    assert look(slices(*[1000] * 5, 0, *[1000] * 7)) == UNFAMILIAR_SERIES


def test_all_slices_have_the_range_of_the_series():
    found = look(slices(1000, 2000, 4000))
    assert found.found.high >= 4000 and found.found.low <= 4
    shown = scrubbed(slices(2000)[0], found)
    assert isinstance(shown, Shown) and shown.found == found.found
    assert 0.4 < shown.before[4, 4] < 0.6


@pytest.mark.parametrize(("level", "strength", "why"), [(0, 1.0, EMPTY), (4000, 0.0, UNTOUCHED)])
def test_an_empty_slice_that_stays_is_told_from_one_with_content(level, strength, why):
    assert scrubbed(slices(level)[0], look(slices(4000, 4000, 4000)), strength) == why


def test_false_padding_of_any_slice_is_content_of_all():
    """The header of the second slice calls its whole picture padding."""
    images = [*slices(1000), *slices(1000, padding=(0, 5000)), *slices(1000, padding=(3, 3))]
    assert look([images[0], images[2]]).is_padded
    found = look(images)
    assert not found.is_padded
    changed = []
    scrub_frames(
        Network(), MADE_FOR, Frames(lambda: iter(images[1:2]), series=found), 1.0, [], changed.append
    )
    assert changed[0].array[0, 4, 4, 0] < images[1].array[0, 4, 4, 0] * 0.7
