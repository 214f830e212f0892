"""The way of an image's frames through the anonymizer: stored values, 0..1, scrubbed, stored values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deid.core.image import Image
from deid.core.model_card import InputRange
from deid.networks.scrubber import Scrubber
from deid.pixels.network_range import (
    IntensityRule,
    NetworkRange,
    apply_range,
    from_network,
    measure_range,
    resolution,
)
from deid.pixels.padding import without_false_padding
from deid.pixels.slices import Parts, SliceRule, network_slices

UNTOUCHED = "the network left every pixel as it is"
UNFAMILIAR = "the image does not look like those that the model was trained on"
TOO_COARSE = "its floating-point values are too coarse for their range"
_COARSEST = 2.0**-16


@dataclass(frozen=True, eq=False)
class Shown:
    """One frame of an object before and after, for the figures and the review.

    Attributes:
        before: The frame, `[row, column]` in 0..1.
        changed: The same as stored values.
        found: The range of the object.
    """

    before: NDArray[np.float32]
    changed: Image
    found: NetworkRange

    @property
    def after(self) -> NDArray[np.float32]:
        """The frame after, as it will be read: `[row, column]` in 0..1."""
        first: NDArray[np.float32] = apply_range(self.changed, self.found)[0]
        return first


@dataclass(frozen=True)
class Frames:
    """The frames of an object.

    Attributes:
        parts: Reads them, a few at a time, from the start at every call.
        is_volume: They are slices of one volume. Its ends look like nothing in particular, so a look at the
            slices that training takes of a volume decides for all of them.
    """

    parts: Parts
    is_volume: bool


def scrub_frames(
    scrubber: Scrubber,
    made_for: InputRange,
    frames: Frames,
    strength: float,
    noise: list[float],
    take: Callable[[Image], None],
) -> Shown | str:
    """Take the identity out of all frames by one noise, in memory of a few of them.

    Padding stays as it is, where it is flat; what is not is content, whatever the header says.

    Args:
        scrubber: The anonymizer.
        made_for: What it was made for, with its rules of intensities and slices.
        frames: Of the object.
        strength: 0..1.
        noise: As many values as the scrubber takes.
        take: Is given the changed frames in order.

    Returns:
        A frame to show: the first, of a volume one of its middle; or why the object must stay as it is, and
        then what was taken counts for nothing.

    Raises:
        Held: The change failed.
    """
    rule, shown_at = IntensityRule.from_json(made_for.intensity.parameters), 0
    parts = without_false_padding(frames.parts)
    if frames.is_volume:
        slices, choice, found = network_slices(parts, _slice_rule(made_for), rule)
        if not all(scrubber.is_familiar(some) for some in slices):
            return UNFAMILIAR
        shown_at = choice.frames[len(choice.frames) // 2]
    else:
        found = measure_range(parts(), rule)
    start, shown, is_touched = 0, None, False
    for image in parts():
        if not resolution(image, found) <= _COARSEST:
            return TOO_COARSE
        unit = apply_range(image, found)
        if not frames.is_volume and not scrubber.is_familiar(unit):
            return UNFAMILIAR
        changed = from_network(scrubber.scrub(unit, strength, noise), found, image, unit)
        is_touched = is_touched or not np.array_equal(changed.array, image.array)
        take(changed)
        at = shown_at - start
        if 0 <= at < image.frames:
            shown = Shown(unit[at].copy(), changed.part(at, at + 1), found)
        start += image.frames
    assert shown is not None
    return shown if is_touched else UNTOUCHED  # what is as it was must not say that it was changed


def _slice_rule(made_for: InputRange) -> SliceRule:
    taken = made_for.slices
    return SliceRule() if taken is None else SliceRule(taken.count, taken.middle)
