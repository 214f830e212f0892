"""From stored values to the 0..1 that every network sees, and back at full depth.

The rule, the same for critic, anonymizer, classifier and audit:

1. modality LUT, or rescale slope and intercept; colour becomes its luminance;
2. CT in HU: a fixed window; all else: from the 0.5th to the 99.5th percentile of the object's pixels, without
   padding. The file's own VOI window is never used: it betrays the site and the person who set it;
3. clipped to 0..1; MONOCHROME1 inverted, so that dense is bright; padding becomes 0.

The range is that of the whole object (all frames), so that slices stay comparable.
"""

from __future__ import annotations

import dataclasses
import functools
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deid.core.errors import Held, UsageError
from deid.core.image import COLOUR, Image, ModalityLut, Rescale
from deid.pixels.lookup import LONGEST_LINE, Line, Nearest, is_small, looked_up, pieces
from deid.pixels.percentiles import ValueCounts, percentiles

NOT_INVERTIBLE = "pixels: modality LUT cannot be inverted"

_LUMINANCE = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True)
class IntensityRule:
    """Parameters of the rule; stands in every model's ``model.json``.

    Attributes:
        ct_centre: Centre of the window for CT, in HU.
        ct_width: Its width: from -1000 (air) to 1000 (compact bone), since lungs and skull tell people apart
            as much as soft tissue does.
        low_percentile: For all else, the percentile that becomes 0.
        high_percentile: The percentile that becomes 1.
    """

    ct_centre: float = 0.0
    ct_width: float = 2000.0
    low_percentile: float = 0.5
    high_percentile: float = 99.5

    def __post_init__(self) -> None:
        if not self.ct_width > 0 or not 0 <= self.low_percentile < self.high_percentile <= 100:
            raise UsageError(
                "the intensity rule is not usable: the CT width must be above 0 and the percentiles must "
                "rise within 0..100; import the model again."
            )

    def to_json(self) -> dict[str, float]:
        """The parameters by name."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> IntensityRule:
        """Read what :meth:`to_json` wrote.

        Raises:
            UsageError: A parameter is missing, unknown or no number.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in fields.values())
        if set(fields) != names or not numbers:
            raise UsageError(f"the intensity rule must hold the numbers {', '.join(sorted(names))}.")
        return cls(**{name: float(value) for name, value in fields.items()})


@dataclass(frozen=True)
class NetworkRange:
    """How one object was brought to 0..1; enough to take it back.

    Attributes:
        method: ``ct window`` or ``percentiles``.
        low: Modality value at one end; ``low == high`` for an object of one value, which is 0 everywhere.
        high: Modality value at the other end.
        inverted: Whether ``low`` is 1 and ``high`` 0 (MONOCHROME1).
    """

    method: str
    low: float
    high: float
    inverted: bool

    def to_json(self) -> dict[str, Any]:
        """All attributes by name."""
        return dataclasses.asdict(self)


def to_network(image: Image, rule: IntensityRule | None = None) -> tuple[NDArray[np.float32], NetworkRange]:
    """Bring an object to what the networks see.

    Args:
        image: A whole object; for one in parts see :func:`measure_range` and :func:`apply_range`.
        rule: The rule of the model; the default rule if None.

    Returns:
        `[frame, row, column]` in 0..1, and the range for :func:`from_network`.
    """
    found = measure_range([image], rule)
    return apply_range(image, found), found


def measure_range(parts: Iterable[Image], rule: IntensityRule | None = None) -> NetworkRange:
    """The range of an object that comes in parts of some frames each, in memory of one part.

    Percentiles are those of the inverted distribution function: values that occur. Where both fall on one
    value (a mask, a scan that is nearly all background) the lowest and highest value take their place.
    """
    rule = rule or IntensityRule()
    seen: defaultdict[tuple[Rescale, ModalityLut | None], ValueCounts] = defaultdict(ValueCounts)
    inverted = False
    for image in parts:
        inverted = image.photometric == "MONOCHROME1"
        if image.modality == "CT" and image.units == "HU":
            half = rule.ct_width / 2
            return NetworkRange("ct window", rule.ct_centre - half, rule.ct_centre + half, inverted)
        for rescale, frames in _by_rescale(image):
            seen[rescale, image.lut].add(_grey(image)[frames], functools.partial(_is_padding, image))
    values, counts = _pooled(seen)
    low, high = percentiles(values, counts, rule.low_percentile, rule.high_percentile)
    return NetworkRange("percentiles", low, high, inverted)


def apply_range(image: Image, found: NetworkRange) -> NDArray[np.float32]:
    """Bring an object, or a part of it, to 0..1 by its range: `[frame, row, column]`."""
    unit = np.empty(image.array.shape[:3], np.float32)
    grey = _grey(image)
    for rescale, frames in _by_rescale(image):
        stored = grey[frames]
        if is_small(stored):
            unit[frames] = looked_up(_unit_table(stored.dtype, image, rescale, found), stored)
        else:
            unit[frames] = _unit(_modality(stored, rescale, image.lut), found)
    if _may_be_padded(image):
        unit[_is_padding(image, grey)] = 0
    return unit


def from_network(
    unit: NDArray[np.floating],
    found: NetworkRange,
    original: Image,
    before: NDArray[np.float32] | None = None,
) -> Image:
    """Take what a network made of an object back to stored values of full depth.

    A pixel that the network did not change by a step of the stored values keeps the original's, bit for bit,
    so that an image nobody changed comes back as it was. What lay outside the range keeps its value where
    the network left it at that end, and else takes the network's: bright marks must not stay behind as a
    ghost of the original. Padding is left as it is, and nothing becomes padding.

    Args:
        unit: `[frame, row, column]` in 0..1.
        found: The range of :func:`to_network`.
        original: What the range was measured on, or a part of it.
        before: What :func:`apply_range` gave for it, where it is at hand.

    Raises:
        Held: Something changed and the modality LUT is not monotonic.
    """
    if found.low == found.high:
        return original
    if np.array_equal(unit, apply_range(original, found) if before is None else before):
        return original
    grey = _grey(original)
    stored = grey.copy()
    for rescale, frames in _by_rescale(original):
        stored[frames] = _Inverse(original, found, rescale)(unit[frames], grey[frames])
    if _may_be_padded(original):
        np.copyto(stored, grey, where=_is_padding(original, grey))
    if original.photometric not in COLOUR:
        return original.with_array(stored[..., None])
    return original.with_array(_recoloured(original, stored, grey))


def resolution(image: Image, found: NetworkRange) -> float:
    """The coarsest step in 0..1 between neighbouring floating-point samples within a range.

    0 for whole numbers: their steps are the depth of the image itself.

    Args:
        image: A part of the object.
        found: The range of the object.
    """
    dtype = image.array.dtype
    if dtype.kind != "f" or found.low == found.high:
        return 0.0
    steps = [0.0]
    for slope, intercept in set(image.rescale):
        largest = max(abs((end - intercept) / slope) for end in (found.low, found.high))
        steps.append(float(np.spacing(dtype.type(largest))) * abs(slope) / (found.high - found.low))
    return max(steps)


class _Inverse:
    """From 0..1 to the nearest stored value of one rescale."""

    def __init__(self, original: Image, found: NetworkRange, rescale: Rescale) -> None:
        self._image, self._found, self._rescale = original, found, rescale

    def __call__(self, unit: NDArray[Any], stored: NDArray[Any]) -> NDArray[Any]:
        if not is_small(stored):
            before = _unit(_modality(stored, self._rescale, self._image.lut), self._found)
            return self._by_arithmetic(np.clip(unit, 0, 1), before, stored)
        low, high = self._image.stored_range
        candidates = np.arange(low, high + 1)
        modality = _modality(candidates, self._rescale, self._image.lut)
        inside = (modality >= self._found.low) & (modality <= self._found.high)
        padding = _is_padding(self._image, candidates)
        line = self._line(candidates[inside]) if not (inside & padding).any() else None
        if line is not None:
            return _along(line, unit, stored)
        return self._by_table(unit, stored, candidates[~padding], modality[~padding], inside[~padding])

    def _line(self, candidates: NDArray[Any]) -> Line | None:
        """The straight line on which all stored values of the range lie, if they do."""
        if self._image.lut is not None or self._rescale.slope == 0 or not len(candidates):
            return None
        slope, intercept = self._rescale
        start, stop = ((end - intercept) / slope for end in (self._found.low, self._found.high))
        if self._found.inverted:
            start, stop = stop, start
        fits = max(abs(start), abs(stop)) <= LONGEST_LINE
        return Line(start, stop, int(candidates[0]), int(candidates[-1])) if fits else None

    def _by_table(
        self,
        unit: NDArray[Any],
        stored: NDArray[Any],
        candidates: NDArray[Any],
        modality: NDArray[np.float64],
        inside: NDArray[np.bool_],
    ) -> NDArray[Any]:
        """The nearest of the candidates, of which those inside the range may be taken."""
        steps = np.diff(modality)
        if (steps > 0).any() and (steps < 0).any():
            raise Held(NOT_INVERTIBLE)
        if not inside.any():
            return stored
        targets, first = np.unique(_unclipped(modality[inside], self._found), return_index=True)
        chosen = candidates[inside][first].astype(stored.dtype)
        nearest = Nearest(targets)
        earlier = nearest(_unit_table(stored.dtype, self._image, self._rescale, self._found))
        changed = np.empty_like(stored)
        for new, now, share in zip(pieces(changed), pieces(stored), pieces(unit), strict=True):
            after = nearest(np.clip(share, 0, 1).astype(np.float32, copy=False))
            new[:] = np.where(after == looked_up(earlier, now), now, chosen[after])
        return changed

    def _by_arithmetic(
        self, unit: NDArray[Any], before: NDArray[np.float32], stored: NDArray[Any]
    ) -> NDArray[Any]:
        if self._image.lut is not None or self._rescale.slope == 0:
            raise Held(NOT_INVERTIBLE)
        share = 1 - unit if self._found.inverted else unit
        modality = self._found.low + share.astype(np.float64) * (self._found.high - self._found.low)
        values = (modality - self._rescale.intercept) / self._rescale.slope
        if stored.dtype.kind != "f":
            values = np.clip(np.rint(values), *self._image.stored_range)
        return np.where(np.abs(unit - before) < 2**-22, stored, values.astype(stored.dtype))


def _along(line: Line, unit: NDArray[Any], stored: NDArray[Any]) -> NDArray[Any]:
    """Stored values by a straight line; what lay beyond an end stays where the network left it there."""
    changed = np.empty_like(stored)
    for new, now, share in zip(pieces(changed), pieces(stored), pieces(unit), strict=True):
        np.copyto(new, line(share), casting="unsafe")
        np.copyto(new, now, where=np.clip(now, line.first, line.last) == new)
    return changed


def _unit_table(
    dtype: np.dtype[Any], image: Image, rescale: Rescale, found: NetworkRange
) -> NDArray[np.float32]:
    """What each value that the type holds becomes in 0..1."""
    return _unit(_modality(_every_value(dtype), rescale, image.lut), found)


def _grey(image: Image) -> NDArray[Any]:
    """Stored values `[frame, row, column]`; of colour the luminance, rounded to the depth of the samples."""
    if image.photometric == "RGB":
        luminance: NDArray[np.float64] = np.rint(image.array @ _LUMINANCE)
        return luminance.astype(image.array.dtype)
    first: NDArray[Any] = image.array[..., 0]
    return first


def _recoloured(original: Image, stored: NDArray[Any], grey: NDArray[Any]) -> NDArray[Any]:
    """The original's colours with another luminance."""
    if original.photometric != "RGB":
        array = original.array.copy()
        array[..., 0] = stored
        return array
    changed = original.array + (stored.astype(np.int64) - grey)[..., None]
    clipped: NDArray[Any] = np.clip(changed, *original.stored_range)
    return clipped.astype(original.array.dtype)


def _every_value(dtype: np.dtype[Any]) -> NDArray[np.int64]:
    info = np.iinfo(dtype)
    return np.arange(info.min, int(info.max) + 1)


def _by_rescale(image: Image) -> Iterable[tuple[Rescale, slice | NDArray[np.intp]]]:
    """The frames of each rescale of an image."""
    if len(set(image.rescale)) == 1:
        return [(image.rescale[0], slice(None))]
    distinct = dict.fromkeys(image.rescale)
    return [(r, np.array([i for i, own in enumerate(image.rescale) if own == r])) for r in distinct]


def _modality(stored: NDArray[Any], rescale: Rescale, lut: ModalityLut | None) -> NDArray[np.float64]:
    if lut is not None:
        return lut.apply(stored)
    return stored.astype(np.float64) * rescale.slope + rescale.intercept


def _unclipped(modality: NDArray[np.float64], found: NetworkRange) -> NDArray[np.float64]:
    share = (modality - found.low) / (found.high - found.low)
    return 1 - share if found.inverted else share


def _unit(modality: NDArray[np.float64], found: NetworkRange) -> NDArray[np.float32]:
    if found.low == found.high:
        return np.zeros(modality.shape, np.float32)
    return np.clip(_unclipped(modality, found), 0, 1).astype(np.float32)


def _may_be_padded(image: Image) -> bool:
    return image.array.dtype.kind == "f" or (image.padding is not None and image.photometric not in COLOUR)


def _is_padding(image: Image, stored: NDArray[Any]) -> NDArray[np.bool_]:
    """Which values mean "no pixel here": the padding range of grey images, and what is no finite number."""
    if stored.dtype.kind == "f":
        unusable: NDArray[np.bool_] = ~np.isfinite(stored)
        return unusable
    if image.padding is None or not _may_be_padded(image):
        return np.zeros(stored.shape, np.bool_)
    inside: NDArray[np.bool_] = (stored >= image.padding[0]) & (stored <= image.padding[1])
    return inside


def _pooled(
    seen: Mapping[tuple[Rescale, ModalityLut | None], ValueCounts],
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Modality values of all frames in rising order, and how often each occurs."""
    values, counts = [np.empty(0)], [np.empty(0, np.int64)]
    for (rescale, lut), found in seen.items():
        stored, often = found.pairs()
        values.append(_modality(stored, rescale, lut))
        counts.append(often)
    pooled = np.concatenate(values)
    order = np.argsort(pooled, kind="stable")
    return pooled[order], np.concatenate(counts)[order]
