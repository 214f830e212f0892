"""Tables in place of a search or of arithmetic for every pixel, a few rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_AT_ONCE = 1 << 18
_STEPS = 1 << 18
"""Four a value of 16 bits."""
_MOST_PASSES = 4
LONGEST_LINE = 1 << 18
"""Numbers of this size are off by a twentieth at most in single precision."""


class Nearest:
    """Finds the nearest of rising targets: what a binary search would find, in far less time.

    A table of equal steps of 0..1 says how many targets lie before each; what lies within a step is counted.

    Args:
        targets: In 0..1.
    """

    def __init__(self, targets: NDArray[np.float64]) -> None:
        middles = (targets[1:] + targets[:-1]) / 2
        self._middles = np.append(middles, np.inf)
        # How many middles lie before each step, counted by the step that each lies in: no search.
        after = np.floor(middles * _STEPS).astype(np.intp) + 1
        self._first = np.cumsum(np.bincount(after, minlength=_STEPS + 2)[: _STEPS + 1])
        # as many targets as one step may hold
        self._most = int(np.diff(self._first).max())

    def __call__(self, unit: NDArray[np.float32]) -> NDArray[np.intp]:
        """The index of the nearest target of every value in 0..1."""
        if self._most > _MOST_PASSES:
            return np.searchsorted(self._middles, unit)
        found: NDArray[np.intp] = self._first[(unit * np.float32(_STEPS)).astype(np.int32)]  # exact: 2^n
        for _ in range(self._most):
            found += self._middles[found] < unit
        return found


@dataclass(frozen=True)
class Line:
    """Whole numbers on a straight line over 0..1, by arithmetic: what :class:`Nearest` finds, in less time.

    Attributes:
        start: What 0 stands for; with ``stop`` not beyond :data:`LONGEST_LINE`, or single precision would not
            give every number back.
        stop: What 1 stands for.
        first: The lowest number that there is.
        last: The highest one.
    """

    start: float
    stop: float
    first: int
    last: int

    def __call__(self, unit: NDArray[Any]) -> NDArray[np.float32]:
        """The nearest number to every value in 0..1."""
        numbers: NDArray[np.float32] = np.multiply(unit, np.float32(self.stop - self.start), dtype=np.float32)
        numbers += np.float32(self.start)
        np.rint(numbers, out=numbers)
        np.clip(numbers, self.first, self.last, out=numbers)
        return numbers


def is_small(array: NDArray[Any]) -> bool:
    """Whether every value that the type holds fits in a table."""
    return array.dtype.kind in "ui" and array.dtype.itemsize <= 2


def looked_up(table: NDArray[Any], stored: NDArray[Any]) -> NDArray[Any]:
    """The entries of stored values in a table that begins with the lowest value of their type."""
    lowest = np.iinfo(stored.dtype).min
    entries = np.empty(stored.shape, table.dtype)
    for out, piece in zip(pieces(entries), pieces(stored), strict=True):
        numbers = piece.astype(np.intp) - lowest if lowest else piece
        np.take(table, numbers, out=out, mode="clip")
    return entries


def pieces(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """An array's rows, some at a time: what is made of them fits the cache and takes little memory."""
    rows = max(1, _AT_ONCE // max(1, array.shape[-1]))
    for frame in array.reshape(-1, *array.shape[-2:]) if array.ndim > 1 else array[None, None]:
        for start in range(0, len(frame), rows):
            yield frame[start : start + rows]
