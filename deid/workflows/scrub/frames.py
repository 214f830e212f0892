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
from deid.pixels.padding import is_flat, without_false_padding, without_padding
from deid.pixels.slices import Parts, SliceRule, choose_slices, least_occupancy, network_slices, occupancy

UNTOUCHED = "the network left every pixel as it is"
EMPTY = "an empty slice of a series, of which the network left every pixel as it is"
UNFAMILIAR = "the image does not look like those that the model was trained on"
UNFAMILIAR_SERIES = "the series does not look like those that the model was trained on"
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
class Series:
    """What the look at a series of slices found, for each of its slices.

    Attributes:
        found: The range of the series, so that slices stay comparable.
        is_padded: What its headers call padding is none of its content.
        least: Share of pixels above 0.1 that a slice has at least which is not empty.
    """

    found: NetworkRange
    is_padded: bool
    least: float


def look_at_series(scrubber: Scrubber, made_for: InputRange, look: Parts, everything: Parts) -> Series | str:
    """Judge the slices of a series as one, in the way in which :func:`scrub_frames` judges a volume.

    Args:
        scrubber: The anonymizer.
        made_for: What it was made for.
        look: Slices whose look decides, in order of place, one a part.
        everything: Slices by which the range of intensities is measured.

    Returns:
        What each slice needs, or why all must stay as they are.
    """
    is_padded = all(is_flat([image]) for image in everything())
    if not is_padded:
        look, everything = without_padding(look), without_padding(everything)
    found = measure_range(everything(), IntensityRule.from_json(made_for.intensity.parameters))
    filled = np.concatenate([occupancy(apply_range(image, found)) for image in look()])
    chosen = frozenset(choose_slices(filled, _slice_rule(made_for)).frames)
    for number, image in enumerate(look()):
        if number in chosen and not scrubber.is_familiar(apply_range(image, found)):
            return UNFAMILIAR_SERIES
    return Series(found, is_padded, least_occupancy(filled))


@dataclass(frozen=True)
class Frames:
    """The frames of an object.

    Attributes:
        parts: Reads them, a few at a time, from the start at every call.
        is_volume: They are slices of one volume. Its ends look like nothing in particular, so a look at the
            slices that training takes of a volume decides for all of them.
        series: What was found of the series that the object is a slice of, and that was judged already.
    """

    parts: Parts
    is_volume: bool = False
    series: Series | None = None


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
    judged = _judged(scrubber, made_for, frames)
    if isinstance(judged, str):
        return judged
    parts, found, shown_at = judged
    looks_at_each = not frames.is_volume and frames.series is None
    start, shown, is_touched = 0, None, False
    for image in parts():
        if not resolution(image, found) <= _COARSEST:
            return TOO_COARSE
        unit = apply_range(image, found)
        if looks_at_each and not scrubber.is_familiar(unit):
            return UNFAMILIAR
        changed = from_network(scrubber.scrub(unit, strength, noise), found, image, unit)
        is_touched = is_touched or not np.array_equal(changed.array, image.array)
        take(changed)
        at = shown_at - start
        if 0 <= at < image.frames:
            shown = Shown(unit[at].copy(), changed.part(at, at + 1), found)
        start += image.frames
    assert shown is not None
    if is_touched:
        return shown
    # What is as it was must not say that it was changed.
    is_empty = frames.series is not None and occupancy(shown.before[None])[0] < frames.series.least
    return EMPTY if is_empty else UNTOUCHED


def _judged(
    scrubber: Scrubber, made_for: InputRange, frames: Frames
) -> tuple[Parts, NetworkRange, int] | str:
    """The parts without false padding, their range and the number of the frame to show, or why not."""
    series = frames.series
    if series is not None and not series.is_padded:
        return without_padding(frames.parts), series.found, 0
    parts = without_false_padding(frames.parts)
    if series is not None:
        return parts, series.found, 0
    rule = IntensityRule.from_json(made_for.intensity.parameters)
    if not frames.is_volume:
        return parts, measure_range(parts(), rule), 0
    slices, choice, found = network_slices(parts, _slice_rule(made_for), rule)
    if not all(scrubber.is_familiar(some) for some in slices):
        return UNFAMILIAR
    return parts, found, choice.frames[len(choice.frames) // 2]


def _slice_rule(made_for: InputRange) -> SliceRule:
    taken = made_for.slices
    return SliceRule() if taken is None else SliceRule(taken.count, taken.middle)
