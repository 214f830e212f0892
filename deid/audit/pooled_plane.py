"""The privacy-utility planes of shards as one: each strength is a mean over the shards that have it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from deid.audit.numerals import is_assessed, part
from deid.audit.pooling import Section, marker, pooled_measure, reasons, unassessed

OTHER_WAYS = "shards were measured in different ways: by labels, by agreement, or by similarity"
OTHER_STRENGTHS = "shards were released at different strengths"
SEVERAL = "the strongest of each shard"
_COUNTS = ("images", "patients", "genuine", "impostors")
_FIGURES = ("auc", "retained", "psnr", "ssim")

FindingPool = Callable[[Sequence[Mapping[str, Any]], str], Section]
"""Pools a finding, by its name, of several sections with `findings`."""


def pooled_plane(sections: Sequence[Mapping[str, Any]], finding: FindingPool, shards: int) -> Section:
    """The plane of all shards that have one.

    Args:
        sections: The planes, one of each shard.
        finding: Pools the findings of points.
        shards: That there should be.

    Returns:
        The plane. A strength that one of its shards lacks is left out, as a mean over fewer shards cannot be
        compared with the others.
    """
    known = [section for section in sections if is_assessed(section)]
    if not known:
        return unassessed(sections)
    bases = {str(section["basis"]) for section in known}
    if len(bases) > 1:
        return {"status": "not assessed", "reason": OTHER_WAYS}
    weights = [float(section["patients"]) for section in known]
    names = [name for name in known[0]["strengths"] if all(name in section["strengths"] for section in known)]
    points = {
        name: _point([part(section, "strengths", name) for section in known], weights, finding, shards)
        for name in names
    }
    return {
        "status": "assessed",
        "reason": reasons(sections),
        "basis": bases.pop(),
        **{key: sum(int(section[key]) for section in known) for key in _COUNTS},
        "strengths": points,
        "release": _point([part(section, "release") for section in known], weights, finding, shards),
        "shards": marker(len(known), shards),
    }


def _point(
    points: Sequence[Mapping[str, Any]], weights: Sequence[float], finding: FindingPool, shards: int
) -> Section:
    if not all(is_assessed(point) for point in points):
        return unassessed(points)
    if len({point["strength"] for point in points}) > 1:
        return {"status": "not assessed", "reason": OTHER_STRENGTHS}
    attackers = {str(point["attacker"]) for point in points}
    recognisers = sorted({name for point in points for name in point["attackers"]})
    findings = sorted({name for point in points for name in point["findings"]})
    pooled = {key: pooled_measure([point.get(key) for point in points], weights, shards) for key in _FIGURES}
    return {
        "status": "assessed",
        "strength": points[0]["strength"],
        "attacker": attackers.pop() if len(attackers) == 1 else SEVERAL,
        "attackers": {
            name: pooled_measure([point["attackers"].get(name) for point in points], weights, shards)
            for name in recognisers
        },
        **pooled,
        "findings": {name: finding(points, name) for name in findings},
    }
