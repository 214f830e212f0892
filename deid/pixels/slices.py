"""Which slices of a volume the networks see, and in what order.

Order is that of the image: by position along the normal for volumes (the formats sort them so), by frame
number for what has none. Embeddings of other slices do not compare: the rule stands in the record of a
model that was made from volumes, and an anonymizer looks at a volume by it. Embeddings are never kept.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deid.core.errors import UsageError
from deid.core.image import Image
from deid.pixels.network_range import IntensityRule, NetworkRange, apply_range, measure_range

Parts = Callable[[], Iterable[Image]]
"""Gives the parts of one object, some frames each, from the start at every call."""

_INK = 0.1
_FILLED = 0.1


@dataclass(frozen=True)
class SliceRule:
    """How many slices of a volume, and from where.

    The volume is cut to the span of slices that are not empty: those whose share of pixels above 0.1 is at
    least a tenth of the fullest slice's. Its middle is kept, cut into ``count`` equal lengths, and the slice
    in the middle of each is taken; a volume with fewer slices gives all of that middle once.

    Attributes:
        count: Slices of one volume; None takes every slice, empty ones too.
        middle: Share of the span that is kept, 0..1: the ends differ with how far a scan was planned.
    """

    count: int | None = 8
    middle: float = 0.8

    def __post_init__(self) -> None:
        if (self.count is not None and self.count < 1) or not 0 < self.middle <= 1:
            raise UsageError("the slice rule needs a count of at least 1 and a middle above 0 and up to 1.")

    def to_json(self) -> dict[str, Any]:
        """The parameters by name."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> SliceRule:
        """Read what :meth:`to_json` wrote.

        Raises:
            UsageError: A parameter is missing, unknown or of another type.
        """
        count, middle = fields.get("count"), fields.get("middle")
        whole = count is None or (isinstance(count, int) and not isinstance(count, bool))
        if set(fields) != {"count", "middle"} or not whole or not isinstance(middle, int | float):
            raise UsageError("the slice rule must hold count (a whole number or null) and middle (a number).")
        return cls(count, float(middle))


@dataclass(frozen=True)
class SliceChoice:
    """The slices that were taken of one object.

    Attributes:
        rule: By which rule.
        frames: Their numbers from 0, ascending in the order of the image.
        of: Frames of the object.
    """

    rule: SliceRule
    frames: tuple[int, ...]
    of: int

    def to_json(self) -> dict[str, Any]:
        """All attributes by name."""
        return dataclasses.asdict(self)


def choose_slices(filled: NDArray[np.floating], rule: SliceRule) -> SliceChoice:
    """Apply the rule.

    Args:
        filled: `[frame]`, :func:`occupancy` of each frame.
        rule: The rule.
    """
    of = len(filled)
    if rule.count is None or of == 1:
        return SliceChoice(rule, tuple(range(of)), of)
    (there,) = np.nonzero(filled >= least_occupancy(filled))
    first, length = int(there[0]), int(there[-1] - there[0] + 1)
    span = length * rule.middle
    begin = first + (length - span) / 2
    places = begin + (np.arange(rule.count) + 0.5) * span / rule.count
    return SliceChoice(rule, tuple(int(frame) for frame in np.unique(places.astype(np.int64))), of)


def network_slices(
    parts: Parts, rule: SliceRule, intensity: IntensityRule | None = None
) -> tuple[Iterator[NDArray[np.float32]], SliceChoice, NetworkRange]:
    """The chosen slices of one object as the networks see them, in memory of one part.

    The parts are asked for three times: for the range, for what is empty, and for the slices.

    Returns:
        An iterator of `[frame, row, column]` in 0..1 with the chosen frames of one part each; the choice; the
        range of the whole object.
    """
    found = measure_range(parts(), intensity)
    filled = np.concatenate([occupancy(apply_range(part, found)) for part in parts()])
    choice = choose_slices(filled, rule)
    return _taken(parts(), choice, found), choice, found


def occupancy(unit: NDArray[np.float32]) -> NDArray[np.floating]:
    """Share of the pixels above 0.1 in each frame of `[frame, row, column]`."""
    shares: NDArray[np.floating] = (unit > _INK).mean(axis=(1, 2))
    return shares


def least_occupancy(filled: NDArray[np.floating]) -> float:
    """Of the :func:`occupancy` of a volume's frames, what a frame has at least that is not empty."""
    return float(_FILLED * filled.max())


def _taken(parts: Iterable[Image], choice: SliceChoice, found: NetworkRange) -> Iterator[NDArray[np.float32]]:
    start = 0
    for part in parts:
        wanted = [frame - start for frame in choice.frames if start <= frame < start + part.frames]
        start += part.frames
        if wanted:
            yield apply_range(part, found)[wanted]
