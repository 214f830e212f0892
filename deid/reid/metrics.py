"""How well scores tell pairs of one patient from pairs of two: ROC AUC, EER, TPR at FPR, with intervals.

A *genuine* pair shows one patient twice, an *impostor* pair two patients; a higher score means more alike.
Patients are resampled for intervals, never pairs: the pairs of one patient are no independent evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deid.reid.roc import Curve, Floats

_CHUNK = 2_000_000  # weights in memory at once: replicates x pairs


@dataclass(frozen=True)
class ScoredPairs:
    """Pairs of images with the score of each.

    Attributes:
        scores: `[pair]`, higher is more alike.
        first: Patient of the first image, `[pair]`, any hashable labels.
        second: Patient of the second image, `[pair]`; the pair is genuine where both are equal.
    """

    scores: Floats
    first: NDArray[np.intp]
    second: NDArray[np.intp]

    @classmethod
    def of(cls, scores: ArrayLike, first: ArrayLike, second: ArrayLike) -> ScoredPairs:
        """From scores and the patients' labels (text or numbers) of both sides."""
        values = np.asarray(scores, np.float64)
        labels = np.concatenate([np.asarray(first), np.asarray(second)])
        if values.ndim != 1 or len(labels) != 2 * len(values):
            raise ValueError("scores, first and second are one-dimensional and of one length")
        _, codes = np.unique(labels, return_inverse=True)
        return cls(values, codes[: len(values)], codes[len(values) :])

    @property
    def genuine(self) -> NDArray[np.bool_]:
        """Whether both images show one patient, `[pair]`."""
        same: NDArray[np.bool_] = self.first == self.second
        return same

    @property
    def patients(self) -> int:
        """How many patients take part."""
        return int(max(self.first.max(initial=-1), self.second.max(initial=-1))) + 1


@dataclass(frozen=True)
class Interval:
    """A measured value with its 95 % (or other) bounds from resampled patients."""

    value: float
    low: float
    high: float


def roc_auc(scores: ArrayLike, genuine: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Probability that a genuine pair scores higher than an impostor pair; a tie counts one half.

    Args:
        scores: `[pair]`, higher is more alike.
        genuine: `[pair]`, whether both images show one patient.
        weights: `[pair]`, none below zero; all equal by default.

    Returns:
        0..1; NaN where there is no genuine or no impostor pair.
    """
    curve = Curve(scores, genuine)
    return float(curve.auc(curve.ordered(weights))[0])


def equal_error_rate(scores: ArrayLike, genuine: ArrayLike, weights: ArrayLike | None = None) -> float:
    """The error rate at which as many genuine pairs are missed as impostors accepted.

    Between two thresholds the ROC curve is taken as a straight line, so ties and small samples give no jumps.
    Arguments as in `roc_auc`; 0..1, NaN where there is no genuine or no impostor pair.
    """
    curve = Curve(scores, genuine)
    return float(curve.equal_error(curve.ordered(weights))[0])


def tpr_at_fpr(
    scores: ArrayLike, genuine: ArrayLike, fpr: float, weights: ArrayLike | None = None
) -> float | None:
    """Share of genuine pairs found at a threshold that lets through at most `fpr` of the impostors.

    Arguments as in `roc_auc`. No straight lines here: only thresholds that the scores offer count.

    Returns:
        0..1, or None where it cannot be estimated: no genuine pair, or fewer impostors than 1 / `fpr`
        (of weighted ones, their effective number, Kish 1965).
    """
    curve = Curve(scores, genuine)
    ordered = curve.ordered(weights)
    impostors = ordered[0, ~curve.genuine]
    if not estimable(impostors, fpr) or not ordered[0, curve.genuine].sum() > 0:
        return None
    return float(curve.tpr(ordered, fpr)[0])


def estimable(impostor_weights: Floats, fpr: float) -> bool:
    """Whether there are impostors enough to speak of a false positive rate that small."""
    if not 0 < fpr < 1:
        raise ValueError("a false positive rate lies between 0 and 1")
    total = impostor_weights.sum()
    if not total > 0:
        return False
    effective = total**2 / np.square(impostor_weights).sum()
    return bool(effective * fpr >= 1 - 1e-9)


def balanced_weights(pairs: ScoredPairs) -> Floats:
    """Weights `[pair]` by which every patient counts alike, however many images they have.

    All genuine pairs of a patient together weigh 1. An impostor pair weighs 1 / (impostor pairs of the one
    patient x those of the other), so no patient has much more than one share, whether all pairs are listed
    or some are drawn.
    """
    genuine = pairs.genuine
    own = np.bincount(pairs.first[genuine], minlength=pairs.patients)
    others = np.bincount(pairs.first[~genuine], minlength=pairs.patients)
    others += np.bincount(pairs.second[~genuine], minlength=pairs.patients)
    weights = np.empty(len(pairs.scores))
    weights[genuine] = 1 / own[pairs.first[genuine]]
    weights[~genuine] = 1 / (others[pairs.first[~genuine]] * others[pairs.second[~genuine]])
    return weights


Statistic = Callable[[Curve, Floats], Floats]
"""From a curve and ordered weights `[replicate, pair]` to a value per replicate; see `auc_statistic`."""


def auc_statistic(curve: Curve, weights: Floats) -> Floats:
    """The area under the ROC curve, for `patient_bootstrap`."""
    return curve.auc(weights)


def eer_statistic(curve: Curve, weights: Floats) -> Floats:
    """The equal error rate, for `patient_bootstrap`."""
    return curve.equal_error(weights)


def tpr_statistic(fpr: float) -> Statistic:
    """The true positive rate at a false positive rate, for `patient_bootstrap`; see `tpr_at_fpr` for when."""
    return lambda curve, weights: curve.tpr(weights, fpr)


def patient_bootstrap(
    pairs: ScoredPairs,
    statistic: Statistic = auc_statistic,
    weights: Floats | None = None,
    replicates: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Percentile interval of a statistic, patients resampled with replacement.

    A patient drawn m times gives each own pair m times, and with one drawn n times each common pair m x n
    times. Replicates without a genuine or an impostor pair are left out.

    Args:
        pairs: The pairs.
        statistic: What is measured.
        weights: `[pair]`, such as `balanced_weights`; all equal by default.
        replicates: How many times patients are drawn.
        seed: Of the drawing.
        level: Coverage of the interval.
    """
    curve = Curve(pairs.scores, pairs.genuine)
    value = float(statistic(curve, curve.ordered(weights))[0])
    return percentile_interval(
        value, _replicated([curve], pairs, statistic, weights, replicates, seed)[0], level
    )


def paired_difference(
    pairs: ScoredPairs,
    other_scores: ArrayLike,
    statistic: Statistic = auc_statistic,
    weights: Floats | None = None,
    replicates: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Value of `pairs.scores` minus that of another system on the same pairs, patients resampled alike.

    Arguments as in `patient_bootstrap`; `other_scores` is `[pair]`.
    """
    curves = [Curve(pairs.scores, pairs.genuine), Curve(other_scores, pairs.genuine)]
    one, other = (float(statistic(curve, curve.ordered(weights))[0]) for curve in curves)
    values = _replicated(curves, pairs, statistic, weights, replicates, seed)
    return percentile_interval(one - other, values[0] - values[1], level)


def percentile_interval(value: float, replicates: Floats, level: float) -> Interval:
    """The interval between the outer quantiles of finite replicates, NaN without any."""
    known = replicates[np.isfinite(replicates)]
    if not len(known):
        return Interval(value, float("nan"), float("nan"))
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def _replicated(
    curves: list[Curve],
    pairs: ScoredPairs,
    statistic: Statistic,
    weights: Floats | None,
    replicates: int,
    seed: int,
) -> list[Floats]:
    base = np.ones(len(pairs.scores)) if weights is None else np.asarray(weights, np.float64)
    values: list[list[Floats]] = [[] for _ in curves]
    for drawn in _multiplicities(pairs.patients, replicates, seed, max(1, _CHUNK // max(1, len(base)))):
        weighted = drawn[:, pairs.first]
        weighted *= np.where(pairs.genuine, 1.0, drawn[:, pairs.second])
        weighted *= base
        for curve, found in zip(curves, values, strict=True):
            found.append(statistic(curve, weighted[:, curve.order]))
    return [np.concatenate(found) for found in values]


def _multiplicities(patients: int, replicates: int, seed: int, chunk: int) -> Iterator[Floats]:
    random = np.random.default_rng(seed)
    for start in range(0, replicates, chunk):
        size = (min(chunk, replicates - start), patients)
        drawn = random.integers(patients, size=size) + np.arange(size[0])[:, None] * patients
        yield np.bincount(drawn.ravel(), minlength=size[0] * patients).reshape(size).astype(np.float64)
