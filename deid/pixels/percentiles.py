"""Percentiles of the stored values of an object that comes in parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deid.pixels.lookup import is_small, pieces

_SAMPLED = 1 << 15
"""Pixels a frame that count for the percentiles of arrays of more than 16 bits, evenly spaced."""


class ValueCounts:
    """How often each stored value occurs among the pixels that are no padding."""

    def __init__(self) -> None:
        self._counts: NDArray[np.int64] | None = None
        self._lowest = 0
        self._samples: list[NDArray[Any]] = []

    def add(self, stored: NDArray[Any], is_padding: Callable[[NDArray[Any]], NDArray[np.bool_]]) -> None:
        """Count the pixels of some frames.

        Args:
            stored: `[frame, row, column]`, of the same type at every call.
            is_padding: Says which of an array of stored values mean "no pixel here".
        """
        if not is_small(stored):
            flat = stored.reshape(len(stored), -1)
            picked = np.linspace(0, flat.shape[1] - 1, min(_SAMPLED, flat.shape[1])).astype(np.intp)
            sample = flat[:, picked]
            self._samples.append(sample[~is_padding(sample)])
            return
        info = np.iinfo(stored.dtype)
        self._lowest = int(info.min)
        size = int(info.max) - self._lowest + 1
        counts = np.zeros(size, np.int64)
        for piece in pieces(stored):
            numbers = piece.astype(np.intp) - self._lowest if self._lowest else piece
            counts += np.bincount(numbers.ravel(), minlength=size)
        counts[is_padding(np.arange(info.min, int(info.max) + 1))] = 0
        self._counts = counts if self._counts is None else self._counts + counts

    def pairs(self) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Stored values and how often each occurs."""
        if self._counts is not None:
            (there,) = self._counts.nonzero()
            return there + self._lowest, self._counts[there]
        values = np.concatenate(self._samples)
        return values, np.ones(len(values), np.int64)


def percentiles(
    values: NDArray[np.float64], counts: NDArray[np.int64], low: float, high: float
) -> tuple[float, float]:
    """Two percentiles by the inverted distribution function: values that occur.

    Args:
        values: In rising order.
        counts: How often each occurs.
        low: The lower percentile, 0..100.
        high: The higher one.

    Returns:
        Both; the lowest and the highest value where both fall on one, zeros where there is no value.
    """
    if not len(values):
        return 0.0, 0.0
    reached = np.cumsum(counts)
    ends = np.searchsorted(reached, np.array([low, high]) / 100 * reached[-1])
    lower, upper = values[np.minimum(ends, len(values) - 1)]
    if lower == upper:
        lower, upper = values[0], values[-1]
    return float(lower), float(upper)
