"""Whether shards together show a link that none of them could show alone, and the words where none does."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any

from deid.audit.assessment import standard_error
from deid.audit.numerals import finite, is_assessed, of, part

_CHANCE = 0.5
_FOLDED = math.sqrt(2 / math.pi)
"""Mean of the absolute value of a standard normal variable: what max(a, 1 - a) adds at chance."""


def is_linkable(
    attacks: Sequence[Sequence[Mapping[str, Any]]], weights: Sequence[float], errors: Sequence[float]
) -> bool:
    """Whether the shards together show what is more than chance explains, at 95 % over all attackers.

    At chance, an AUC that is turned round lies above one half by 0.8 standard errors on average; this is
    taken from each shard's before they are averaged.

    Args:
        attacks: By attacker and shard.
        weights: Patients of each shard.
        errors: Of an AUC at chance, of each shard; 0 where it is not known.
    """
    quantile = NormalDist().inv_cdf(1 - 0.05 / (2 * max(1, len(attacks))))
    return any(_exceeds(each, weights, errors, quantile) for each in attacks)


def _exceeds(
    attacks: Sequence[Mapping[str, Any]], weights: Sequence[float], errors: Sequence[float], quantile: float
) -> bool:
    known = [
        (float(auc["value"]), max(error, standard_error(auc)), float(attack.get("patients", weight)))
        for attack, weight, error in zip(attacks, weights, errors, strict=True)
        if is_assessed(attack) and is_bounded(auc := part(attack, "auc"))
    ]
    total = sum(weight for *_, weight in known)
    if len(known) < 2 or not total:
        return False
    excess = sum(w / total * (value - _CHANCE - _FOLDED * error) for value, error, w in known)
    spread = math.sqrt(sum((w / total * error) ** 2 for _, error, w in known))
    return excess > max(0.0, quantile * spread)


def is_bounded(measure: Mapping[str, Any]) -> bool:
    """Whether a measure has a value and both ends of its interval."""
    return None not in (of(measure), of(measure, "lower"), of(measure, "upper"))


def no_link_words(attacks: Sequence[Mapping[str, Any]], number: str, shards: int) -> str:
    """What is said where no shard found a link.

    Args:
        attacks: The pooled ones, of which the largest upper bound counts, over all shards and of any one.
        number: On how many patients.
        shards: In how many shards.
    """
    bounds = [bound for each in attacks if (bound := of(part(each, "auc"), "upper")) is not None]
    worst = [
        bound for each in attacks if (bound := finite(part(each, "auc", "shards").get("upper"))) is not None
    ]
    said = f"no link found by these attackers at N = {number} in {shards} shards"
    if not bounds or not worst:
        return said
    return f"{said}, upper bound AUC {max(bounds):.2f}, of one shard {max(worst):.2f}"
