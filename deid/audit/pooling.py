"""Figures of shards, which hold different patients, as figures of all of them.

A value is the mean of the shards' values, each weighted by its patients. The distance from it to an end of
its interval is the root of the sum of the squared weighted distances of the shards: so errors of independent
parts add up, and nothing is assumed of how much alike the shards are. An AUC that was turned round in a shard
(max(a, 1 - a)) stays turned, which makes the mean larger, never smaller. Beside each value stand the lowest
and the highest of the shards, and the outermost ends of their intervals.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from deid.audit.numerals import finite, is_assessed, of, part
from deid.audit.schema import MEASURES

Section = dict[str, Any]

_DIGITS = 6
_MOST_POINTS, _BINS, _MOST_TEXT = 200, 30, 900


def marker(assessed: int, shards: int) -> Section:
    """In how many shards something was assessed; gates fail where these are not all."""
    return {"assessed": assessed, "of": shards}


def reasons(sections: Sequence[Mapping[str, Any]]) -> str:
    """All reasons of sections, each once."""
    said = sorted({str(section["reason"]).rstrip(".") for section in sections if section.get("reason")})
    return "; ".join(said)[:_MOST_TEXT]


def unassessed(sections: Sequence[Mapping[str, Any]]) -> Section:
    """What stands where no shard measured anything."""
    return {"status": "not assessed", "reason": reasons(sections) or "no shard assessed it"}


def mean(values: Sequence[float], weights: Sequence[float]) -> float:
    """A weighted mean; of equal weights where all are 0."""
    total = sum(weights)
    shares = [weight / total for weight in weights] if total else [1 / len(values)] * len(values)
    return math.fsum(share * value for share, value in zip(shares, values, strict=True))


def pooled_measure(measures: Sequence[object], weights: Sequence[float], shards: int) -> Section | None:
    """A value and its interval over all shards.

    Args:
        measures: One of each shard; None or "not assessed" where there is none.
        weights: Patients of each.
        shards: That there should be.

    Returns:
        The measure with its ``shards``; None, or the reasons, where no shard has a value.
    """
    known = [(each, weight) for each, weight in zip(measures, weights, strict=True) if of(each) is not None]
    if not known:
        refused = [each for each in measures if isinstance(each, Mapping) and each.get("reason")]
        return unassessed(refused) if refused else None
    given = [part({"": each}, "") for each, _ in known]
    own = [weight for _, weight in known]
    values = [float(each["value"]) for each in given]
    value = mean(values, own)
    found: Section = {"value": round(value, _DIGITS)}
    for end, sign in (("lower", -1), ("upper", 1)):
        found[end] = _end(value, values, [of(each, end) for each in given], own, sign)
    found["confidence"] = min(float(each.get("confidence", 0.95)) for each in given)
    spread: Section = {"lowest": min(values), "highest": max(values)}
    for end, outermost in (("lower", min), ("upper", max)):
        ends = [bound for each in given if (bound := of(each, end)) is not None]
        spread[end] = outermost(ends) if len(ends) == len(given) else None
    return found | {"shards": marker(len(known), shards) | spread}


def _end(
    value: float, values: Sequence[float], ends: Sequence[float | None], weights: Sequence[float], sign: int
) -> float | None:
    known = [end for end in ends if end is not None]
    if len(known) < len(ends):
        return None
    total = sum(weights)
    shares = [weight / total if total else 1 / len(values) for weight in weights]
    squares = ((share * (end - own)) ** 2 for share, end, own in zip(shares, known, values, strict=True))
    return round(value + sign * math.sqrt(math.fsum(squares)), _DIGITS)


def pooled_attack(attacks: Sequence[Mapping[str, Any]], shards: int) -> Section:
    """All figures of an attacker, or of the strongest attacker of each shard, in one geometry.

    Args:
        attacks: Of each shard; empty where it has none.
        shards: That there should be.
    """
    known = [attack for attack in attacks if is_assessed(attack)]
    if not known:
        return unassessed(attacks)
    weights = [float(attack["patients"]) for attack in known]
    names = sorted({str(attack["attacker"]) for attack in known if attack.get("attacker")})
    found: Section = {"status": "assessed"}
    if names:
        found["attacker"] = _named(names)
    for key in MEASURES:
        if any(key in attack for attack in known):
            found[key] = pooled_measure([attack.get(key) for attack in known], weights, shards)
    found |= pooled_gallery(known, weights)
    found |= {key: sum(int(attack[key]) for attack in known) for key in ("genuine", "impostors", "patients")}
    if restarts := _restarts(known, weights):
        found["restarts"] = restarts
    if curve := _mean_roc(known, weights):
        found["roc"] = curve
    if curves := [attack["cmc"] for attack in known if attack.get("cmc")]:
        found["cmc"] = _mean_cmc(curves, [w for a, w in zip(known, weights, strict=True) if a.get("cmc")])
    elif any("cmc" in attack for attack in known):
        found["cmc"] = []
    if len(names) == 1 and (bins := _mean_histogram(known, weights)):
        found["histogram"] = bins
    return found | {"shards": marker(len(known), shards)}


def pooled_link(links: Sequence[Mapping[str, Any]], weights: Sequence[float], shards: int) -> Section:
    """Figures of a linkage method; each shard was its own gallery.

    Args:
        links: Of each shard; empty where it has none.
        weights: Patients of each.
        shards: That there should be.
    """
    pairs = [(link, weight) for link, weight in zip(links, weights, strict=True) if is_assessed(link)]
    if not pairs:
        return unassessed(links)
    known, own = [link for link, _ in pairs], [weight for _, weight in pairs]
    found: Section = {
        key: pooled_measure([link.get(key) for link in known], own, shards)
        for key in ("rank_1", "auc")
        if any(key in link for link in known)
    }
    return found | pooled_gallery(known, own) | {"shards": marker(len(known), shards)}


def pooled_gallery(sections: Sequence[Mapping[str, Any]], weights: Sequence[float]) -> Section:
    """The smallest gallery, and chance as the mean of the shards' chances."""
    found: Section = {}
    if any("gallery" in section for section in sections):
        sizes = [int(section["gallery"]) for section in sections if section.get("gallery")]
        found["gallery"] = min(sizes, default=0)
    if any("chance_rank_1" in section for section in sections):
        known = [
            (chance, weight)
            for section, weight in zip(sections, weights, strict=True)
            if (chance := finite(section.get("chance_rank_1"))) is not None
        ]
        chances, own = [chance for chance, _ in known], [weight for _, weight in known]
        found["chance_rank_1"] = round(mean(chances, own), _DIGITS) if known else None
    return found


def _named(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"each shard's strongest: {', '.join(names)}"[:_MOST_TEXT]


def _restarts(attacks: Sequence[Mapping[str, Any]], weights: Sequence[float]) -> Section:
    known = [(a["restarts"], w) for a, w in zip(attacks, weights, strict=True) if a.get("restarts")]
    if not known:
        return {}
    means = [(value, w) for each, w in known if (value := finite(each["mean"])) is not None]
    highest = [value for each, _ in known if (value := finite(each["maximum"])) is not None]
    return {
        "mean": round(mean([v for v, _ in means], [w for _, w in means]), _DIGITS) if means else None,
        "maximum": max(highest, default=None),
        "count": sum(int(each["count"]) for each, _ in known),
    }


def _mean_roc(attacks: Sequence[Mapping[str, Any]], weights: Sequence[float]) -> Section:
    """True positive rates averaged at each false positive rate (vertical averaging, Fawcett 2006)."""
    known = [
        (a["roc"], w) for a, w in zip(attacks, weights, strict=True) if len(part(a, "roc").get("fpr", ()))
    ]
    if not known:
        return {}
    grid = np.unique(np.concatenate([np.asarray(curve["fpr"], float) for curve, _ in known]))
    if len(grid) > _MOST_POINTS:
        grid = np.unique(grid[np.linspace(0, len(grid) - 1, _MOST_POINTS).round().astype(int)])
    curves = [np.interp(grid, *_steps(curve)) for curve, _ in known]
    rates = np.average(curves, axis=0, weights=[weight for _, weight in known])
    return {"fpr": _rounded(grid), "tpr": _rounded(np.clip(rates, 0, 1))}


def _steps(curve: Mapping[str, Sequence[float]]) -> tuple[Any, Any]:
    """Points in rising order; of several at one false positive rate the highest."""
    rates = np.asarray(curve["fpr"], float)
    places, inverse = np.unique(rates, return_inverse=True)
    highest = np.zeros(len(places))
    np.maximum.at(highest, inverse, np.asarray(curve["tpr"], float))
    return places, highest


def _mean_cmc(curves: Sequence[Sequence[float]], weights: Sequence[float]) -> list[float]:
    """As far as all of them go."""
    length = min(map(len, curves))
    stacked = np.array([list(curve)[:length] for curve in curves])
    return _rounded(np.average(stacked, axis=0, weights=weights))


def _mean_histogram(attacks: Sequence[Mapping[str, Any]], weights: Sequence[float]) -> Section:
    """Shares in common bins; those of a shard are spread evenly within its own bins."""
    known = [
        (a["histogram"], w)
        for a, w in zip(attacks, weights, strict=True)
        if len(part(a, "histogram").get("edges", ())) > 1
    ]
    if not known:
        return {}
    low = min(bins["edges"][0] for bins, _ in known)
    high = max(bins["edges"][-1] for bins, _ in known)
    edges = np.linspace(low, max(high, low + 1e-6), _BINS + 1)
    shares = {}
    for kind in ("genuine", "impostors"):
        filled = [
            np.interp(edges, bins["edges"], np.r_[0.0, np.cumsum(np.asarray(bins[kind], float))])
            for bins, _ in known
        ]
        total = np.average(filled, axis=0, weights=[weight for _, weight in known])
        shares[kind] = _rounded(np.clip(np.diff(total), 0, 1))
    return {"edges": _rounded(edges)} | shares


def _rounded(values: Any) -> list[float]:
    return [round(float(value), _DIGITS) for value in values]
