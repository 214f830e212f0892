"""Searching a gallery: at which rank the own patient is found, at a stated gallery size, chance beside it.

Every figure is a mean over patients of the mean over their queries, so that a patient with many images counts
as one. Intervals resample the patients of the queries; the gallery stays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deid.reid.metrics import Interval, percentile_interval
from deid.reid.roc import Floats


@dataclass(frozen=True)
class Ranks:
    """What the gallery answered to each query whose patient it holds.

    A patient of the gallery scores as their most similar image does.

    Attributes:
        patients: Patient of each query as a number, `[query]`.
        higher: Other patients that score higher than the query's own, `[query]`.
        tied: Other patients with exactly the own patient's score, `[query]`.
        others: Other patients in the gallery, `[query]`.
    """

    patients: NDArray[np.intp]
    higher: NDArray[np.intp]
    tied: NDArray[np.intp]
    others: NDArray[np.intp]


@dataclass(frozen=True)
class CmcPoint:
    """One point of a cumulative match characteristic: found within `rank`, and what guessing finds."""

    rank: int
    gallery_size: int
    found: Interval
    chance: float


def search(
    similarity: ArrayLike,
    query_patients: ArrayLike,
    gallery_patients: ArrayLike,
    allowed: ArrayLike | None = None,
) -> Ranks:
    """Rank the patients of a gallery for every query.

    Args:
        similarity: `[query, gallery]`, higher is more alike.
        query_patients: Label of each query, `[query]`.
        gallery_patients: Label of each image of the gallery, `[gallery]`.
        allowed: `[query, gallery]`, False where an image may not answer a query (itself, the same study).
    """
    scores, labels = _masked(similarity, allowed), np.asarray(gallery_patients)
    names, codes = np.unique(labels, return_inverse=True)
    by_patient = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[by_patient], prepend=-1))
    best = np.maximum.reduceat(scores[:, by_patient], starts, axis=1)  # [query, patient]
    queries = np.asarray(query_patients)
    own_column = np.searchsorted(names, queries).clip(max=len(names) - 1)
    own = np.take_along_axis(best, own_column[:, None], axis=1)
    known = (names[own_column] == queries) & np.isfinite(own[:, 0])
    best, own = best[known], own[known]
    return Ranks(
        patients=own_column[known],
        higher=(best > own).sum(axis=1),
        tied=(best == own).sum(axis=1) - 1,
        others=np.isfinite(best).sum(axis=1) - 1,
    )


def found_within(ranks: Ranks, rank: int, gallery_size: int) -> Floats:
    """Probability `[query]` that the own patient is among the first `rank` of `gallery_size` patients.

    Exact over all galleries that hold the own patient and `gallery_size` - 1 of the others (hypergeometric),
    and over all orders of tied patients; nothing is drawn.

    Raises:
        ValueError: Some query has fewer other patients than that.
    """
    if rank < 1 or not 1 <= gallery_size <= int(ranks.others.min(initial=gallery_size)) + 1:
        raise ValueError("a gallery can be no larger than the patients at hand, and ranks start at 1")
    found = np.empty(len(ranks.higher))
    for others in np.unique(ranks.others):
        chosen = ranks.others == others
        table = np.concatenate([[0.0], np.cumsum(_at_most(rank - 1, int(others), gallery_size - 1))])
        low, tied = ranks.higher[chosen], ranks.tied[chosen]
        found[chosen] = (table[low + tied + 1] - table[low]) / (tied + 1)
    return found


def rank_k(ranks: Ranks, rank: int, gallery_size: int) -> float:
    """Share of queries found within `rank`, each patient counting alike; see `found_within`."""
    return patient_mean(found_within(ranks, rank, gallery_size), ranks.patients, replicates=0).value


def cmc(ranks: Ranks, gallery_size: int, up_to: int = 10, seed: int = 0) -> list[CmcPoint]:
    """The cumulative match characteristic at ranks 1..`up_to`, with 95 % intervals and chance."""
    return [
        CmcPoint(
            rank,
            gallery_size,
            patient_share(found_within(ranks, rank, gallery_size), ranks.patients, seed=seed),
            rank / gallery_size,
        )
        for rank in range(1, min(up_to, gallery_size) + 1)
    ]


def mean_average_precision(
    similarity: ArrayLike,
    query_patients: ArrayLike,
    gallery_patients: ArrayLike,
    allowed: ArrayLike | None = None,
) -> float:
    """Mean over patients of the average precision of their queries among the gallery's images.

    Arguments as in `search`. Tied images share one threshold, as in scikit-learn's average precision.
    NaN where no query has an image of its patient in the gallery.
    """
    scores = _masked(similarity, allowed)
    queries, gallery = np.asarray(query_patients), np.asarray(gallery_patients)
    found, patients = [], []
    for row, patient in zip(scores, queries, strict=True):
        usable = np.isfinite(row)
        own = (gallery == patient)[usable]
        if own.any():
            found.append(_average_precision(row[usable], own))
            patients.append(patient)
    return patient_mean(found, patients, replicates=0).value if found else float("nan")


def patient_mean(
    values: ArrayLike, patients: ArrayLike, replicates: int = 1000, seed: int = 0, level: float = 0.95
) -> Interval:
    """Mean over patients of the mean of each patient's values, with an interval from resampled patients.

    Args:
        values: `[query]`.
        patients: Label of each query's patient, `[query]`.
        replicates: How many times patients are drawn.
        seed: Of the drawing.
        level: Coverage of the interval.
    """
    _, codes = np.unique(np.asarray(patients), return_inverse=True)
    means = np.bincount(codes, weights=np.asarray(values, np.float64)) / np.bincount(codes)
    drawn = np.random.default_rng(seed).integers(len(means), size=(replicates, len(means)))
    return percentile_interval(float(means.mean()), means[drawn].mean(axis=1), level)


def patient_share(values: ArrayLike, patients: ArrayLike, replicates: int = 1000, seed: int = 0) -> Interval:
    """`patient_mean` of shares in 0..1, at 95 %, that knows what never, or always, may still mean.

    Where no patient has any, the resampled ones have none either: the upper end is then that of the share
    which so many patients would miss once in twenty (1 - 0.05^(1/n), the rule of three), and the lower end
    likewise where all have it.
    """
    found = patient_mean(values, patients, replicates, seed)
    missed = 1 - 0.05 ** (1 / max(1, len(np.unique(np.asarray(patients)))))
    low = min(found.low, 1 - missed) if found.value >= 1 else found.low
    high = max(found.high, missed) if found.value <= 0 else found.high
    return Interval(found.value, low, high)


def _masked(similarity: ArrayLike, allowed: ArrayLike | None) -> Floats:
    scores = np.asarray(similarity, np.float64)
    if np.isnan(scores).any():
        raise ValueError("a similarity is not a number")
    return scores if allowed is None else np.where(np.asarray(allowed, bool), scores, -np.inf)


def _average_precision(scores: Floats, own: NDArray[np.bool_]) -> float:
    order = np.argsort(-scores, kind="stable")
    falling = scores[order]
    ends = np.flatnonzero(np.r_[falling[1:] != falling[:-1], True])
    hits = np.cumsum(own[order])[ends]
    return float((hits / (ends + 1) * np.diff(hits, prepend=0)).sum() / hits[-1])


def _at_most(count: int, others: int, drawn: int) -> Floats:
    """Probability, for 0..`others` marked ones, that at most `count` are among `drawn` of `others`."""
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, others + 1)))])
    marked = np.arange(others + 1)
    total = np.zeros(others + 1)
    for hit in range(min(count, drawn) + 1):
        possible = (marked >= hit) & (others - marked >= drawn - hit)
        some = marked[possible]
        total[possible] += np.exp(
            _choose(logs, some, hit)
            + _choose(logs, others - some, drawn - hit)
            - _choose(logs, others, drawn)
        )
    return total


def _choose(logs: Floats, n: ArrayLike, k: int) -> Floats:
    of = np.asarray(n)
    chosen: Floats = logs[of] - logs[k] - logs[of - k]
    return chosen
