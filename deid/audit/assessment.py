"""Figures of one attacker in one geometry, as they stand in `audit.json`: nothing that leads to one patient.

A value with its interval is ``{"value", "lower", "upper", "confidence"}``, or None where it cannot be
estimated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deid.audit.pairing import LEAST_GENUINE, LEAST_PATIENTS, enough
from deid.reid.metrics import (
    Interval,
    Statistic,
    auc_statistic,
    eer_statistic,
    estimable,
    patient_bootstrap,
    tpr_statistic,
)
from deid.reid.pairs import FairPairs
from deid.reid.ranking import Ranks, cmc, patient_mean

Section = dict[str, Any]

CONFIDENCE = 0.95
_RATES = {"tpr_at_fpr_1e-2": 0.01, "tpr_at_fpr_1e-3": 0.001}
_CMC, _BINS, _DIGITS = 20, 30, 6
_GRID = np.unique(np.concatenate([np.linspace(0, 1, 101), np.logspace(-4, 0, 81)]))


@dataclass(frozen=True, eq=False)
class Answers:
    """What galleries of one image a patient answered.

    Attributes:
        ranks: Of each query.
        reciprocal: Average precision of each query, `[query]`.
    """

    ranks: Ranks
    reciprocal: NDArray[np.float64]

    @classmethod
    def joined(cls, parts: Sequence[tuple[Ranks, NDArray[np.float64]]]) -> Answers:
        """Of several groups, each with its gallery."""
        fields = ("patients", "higher", "tied", "others")
        ranks = Ranks(*(np.concatenate([getattr(part, name) for part, _ in parts]) for name in fields))
        return cls(ranks, np.concatenate([precision for _, precision in parts]))


def not_assessed(reason: str) -> Section:
    """What stands where nothing was measured."""
    return {"status": "not assessed", "reason": reason}


def figure(found: Interval) -> Section | None:
    """An interval for the JSON; None where the value is not known."""
    if not math.isfinite(found.value):
        return None
    ends = [end if math.isfinite(end) else found.value for end in (found.low, found.high)]
    value, lower, upper = (round(float(x), _DIGITS) for x in (found.value, *ends))
    return {"value": value, "lower": lower, "upper": upper, "confidence": CONFIDENCE}


def standard_error(measured: Section) -> float:
    """From the width of the interval, as of a normal distribution."""
    return float(measured["upper"] - measured["lower"]) / (2 * 1.96)


def directed(pairs: FairPairs, scores: NDArray[np.floating]) -> NDArray[np.floating]:
    """Scores turned round where strangers score higher: an attacker would do the same."""
    return -scores if pairs.auc(scores) < 0.5 else scores


def auc(pairs: FairPairs, scores: NDArray[np.floating], replicates: int, seed: int) -> Section | None:
    """max(AUC, 1 - AUC) of scores `[pair]`, with its interval: the lower end may lie below one half."""
    scored = pairs.scored(directed(pairs, scores))
    return figure(patient_bootstrap(scored, auc_statistic, pairs.weights, replicates, seed))


def assess(
    name: str,
    pairs: FairPairs | None,
    scores: NDArray[np.floating],
    answers: Answers | None,
    replicates: int,
    seed: int,
) -> Section:
    """All figures of an attacker.

    Args:
        name: Of the attacker.
        pairs: That it had to tell.
        scores: Its scores `[pair]`.
        answers: Of its searches; None where galleries are too small.
        replicates: Of the bootstrap over patients.
        seed: Of the bootstrap.
    """
    reason = enough(pairs)
    if pairs is None or reason:
        return not_assessed(reason)
    turned = directed(pairs, scores)
    scored = pairs.scored(turned)
    many = _different(pairs) >= LEAST_GENUINE
    statistics: dict[str, Statistic | None] = {"auc": auc_statistic, "eer": eer_statistic}
    for key, rate in _RATES.items():
        known = many and estimable(pairs.weights[~pairs.genuine], rate)
        statistics[key] = tpr_statistic(rate) if known else None
    section: Section = {"status": "assessed", "attacker": name}
    for key, statistic in statistics.items():
        section[key] = statistic and figure(
            patient_bootstrap(scored, statistic, pairs.weights, replicates, seed)
        )
    section |= _searched(answers, seed)
    section |= {"genuine": int(pairs.genuine.sum()), "impostors": int((~pairs.genuine).sum())}
    section["patients"] = pairs.patients
    if many:
        section |= {"roc": _roc(pairs, turned), "histogram": _histogram(pairs, turned)}
    return section


def _different(pairs: FairPairs) -> int:
    """Genuine pairs of images: across two sides each stands twice."""
    ends = np.sort(np.stack([pairs.first, pairs.second])[:, pairs.genuine], axis=0)
    return int(np.unique(ends, axis=1).shape[1])


def _searched(answers: Answers | None, seed: int) -> Section:
    keys = ("rank_1", "rank_5", "rank_10", "mean_average_precision")
    if answers is None or len(np.unique(answers.ranks.patients)) < LEAST_PATIENTS:
        return dict.fromkeys(keys) | {"gallery": 0, "chance_rank_1": None, "cmc": []}
    size = int(answers.ranks.others.min()) + 1
    points = cmc(answers.ranks, size, _CMC, seed)
    found = {f"rank_{point.rank}": figure(point.found) for point in points if point.rank in (1, 5, 10)}
    precision = figure(patient_mean(answers.reciprocal, answers.ranks.patients, seed=seed))
    return {key: found.get(key) for key in keys[:3]} | {
        "mean_average_precision": precision,
        "gallery": size,
        "chance_rank_1": round(1 / size, _DIGITS),
        "cmc": [round(point.found.value, _DIGITS) for point in points],
    }


def _roc(pairs: FairPairs, scores: NDArray[np.floating]) -> Section:
    """True positive rates on a grid of false positive rates that the impostors can show."""
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.r_[np.diff(scores[order]) != 0, True])
    genuine, weights = pairs.genuine[order], pairs.weights[order]
    found, accepted = (
        np.r_[0, (np.cumsum(weights * kind) / (weights * kind).sum())[ends]] for kind in (genuine, ~genuine)
    )
    grid = _GRID[(_GRID == 0) | (_GRID * (~genuine).sum() >= 1)]
    places = np.searchsorted(accepted, grid + 1e-12, side="right") - 1
    return {"fpr": _rounded(grid), "tpr": _rounded(found[places])}


def _histogram(pairs: FairPairs, scores: NDArray[np.floating]) -> Section:
    """Shares of both kinds of pair; scores beyond the outer 0.5 % stand in the outer bins."""
    low, high = np.quantile(scores, [0.005, 0.995])
    edges = np.linspace(low, max(high, low + 1e-6), _BINS + 1)
    inside = np.clip(scores, edges[0], edges[-1])
    kinds = {"genuine": pairs.genuine, "impostors": ~pairs.genuine}
    shares = {}
    for key, kind in kinds.items():
        counts = np.histogram(inside[kind], edges, weights=pairs.weights[kind])[0]
        shares[key] = _rounded(counts / counts.sum())
    return {"edges": _rounded(edges)} | shares


def _rounded(values: NDArray[np.floating]) -> list[float]:
    return [round(float(value), _DIGITS) for value in values]
