"""ROC curves over fixed scores whose pairs may be weighted anew, many weightings at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


class Curve:
    """A ROC curve; weights come `[replicate, pair]` in the order of rising scores.

    Attributes:
        order: Indices of the pairs by rising score, `[pair]`.
        genuine: Whether both images show one patient, in that order, `[pair]`.
    """

    def __init__(self, scores: ArrayLike, genuine: ArrayLike) -> None:
        values, labels = np.asarray(scores, np.float64), np.asarray(genuine, bool)
        if values.ndim != 1 or values.shape != labels.shape:
            raise ValueError("scores and genuine are one-dimensional and of one length")
        if np.isnan(values).any():
            raise ValueError("a score is not a number")
        self.order = np.argsort(values, kind="stable")
        self.genuine = labels[self.order]
        rising = values[self.order]
        self._starts = np.flatnonzero(np.r_[True, rising[1:] != rising[:-1]][: len(rising)])

    def ordered(self, weights: ArrayLike | None) -> Floats:
        """One weighting `[pair]` as `[1, pair]` in the order of the curve."""
        given = np.ones(len(self.order)) if weights is None else np.asarray(weights, np.float64)
        if given.shape != self.order.shape or (given < 0).any():
            raise ValueError("there is one weight per pair, none below zero")
        return given[None, self.order]

    def auc(self, weights: Floats) -> Floats:
        """Area under the curve, `[replicate]`; NaN where one kind of pair has no weight."""
        genuine, impostor = self._by_score(weights)
        below = np.cumsum(impostor, axis=1) - 0.5 * impostor
        area = _ratio((genuine * below).sum(axis=1), genuine.sum(axis=1) * impostor.sum(axis=1))
        return np.clip(area, 0, 1)  # rounding may pass the ends

    def equal_error(self, weights: Floats) -> Floats:
        """Where as many are missed as accepted, on straight lines between thresholds, `[replicate]`."""
        missed, accepted = self._errors(weights)
        crossing = np.argmax(missed >= accepted, axis=1)[:, None]  # the first threshold past the crossing
        before = np.maximum(crossing - 1, 0)
        gap_before, gap = (
            np.take_along_axis(missed - accepted, where, axis=1)[:, 0] for where in (before, crossing)
        )
        step = _ratio(-gap_before, gap - gap_before)
        low, high = (np.take_along_axis(missed, where, axis=1)[:, 0] for where in (before, crossing))
        return low + step * (high - low)

    def tpr(self, weights: Floats, fpr: float) -> Floats:
        """Share of genuine pairs above the lowest threshold that accepts at most `fpr` of the impostors."""
        missed, accepted = self._errors(weights)
        chosen = np.argmax(accepted <= fpr + 1e-12, axis=1)[:, None]
        found: Floats = 1 - np.take_along_axis(missed, chosen, axis=1)[:, 0]
        return np.where(np.isnan(accepted[:, 0]), np.nan, found)

    def _by_score(self, weights: Floats) -> tuple[Floats, Floats]:
        """Weight of genuine and of impostor pairs at each distinct score, `[replicate, score]`."""
        if not len(self.order):
            raise ValueError("there are no pairs")
        genuine = np.add.reduceat(weights * self.genuine, self._starts, axis=1)
        return genuine, np.add.reduceat(weights * ~self.genuine, self._starts, axis=1)

    def _errors(self, weights: Floats) -> tuple[Floats, Floats]:
        """Share missed and share accepted with thresholds below, between and above all scores, rising."""
        genuine, impostor = (_shares_below(part) for part in self._by_score(weights))
        return genuine, 1 - impostor


def _shares_below(parts: Floats) -> Floats:
    total = np.cumsum(np.pad(parts, ((0, 0), (1, 0))), axis=1)
    return _ratio(total, total[:, -1:])


def _ratio(one: Floats, other: Floats) -> Floats:
    unknown = np.full(np.broadcast_shapes(one.shape, other.shape), np.nan)
    quotient: Floats = np.divide(one, other, out=unknown, where=other > 0)
    return quotient
