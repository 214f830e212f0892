"""Which numbers of the result go into which picture.

Every function takes the whole result and returns the pictures that can be drawn of it, perhaps none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from deid.audit.numerals import is_assessed, measured, of, part
from deid.audit.plane_plots import Strength, plane_plot, strength_plot
from deid.audit.plots import (
    Dot,
    Line,
    bar_plot,
    cmc_plot,
    histogram_plot,
    interval_plot,
    roc_plot,
)
from deid.audit.words import BASES, GEOMETRIES, headline, short_name

Result = Mapping[str, Any]


def reid_intervals(result: Result) -> list[str]:
    """AUC of every kind of attack."""
    reid = part(result, "reid")
    dots = [
        Dot(name, part(reid, key).get("auc"), series)
        for series, (key, name) in enumerate(GEOMETRIES.items())
        if key in reid
    ]
    title = "How well each attacker tells one patient from two"
    return _some(interval_plot("reid-auc", title, dots, "AUC", low=0.4, high=1, chance=0.5))


def reid_roc(result: Result) -> list[str]:
    """ROC curves of every kind of attack."""
    lines = _roc_lines([(name, part(result, "reid", key)) for key, name in GEOMETRIES.items()])
    return _some(roc_plot("reid-roc", "ROC curves of the attackers", lines))


def reid_cmc(result: Result) -> list[str]:
    """CMC curves of every kind of attack."""
    lines, gallery = [], None
    for series, (key, name) in enumerate(GEOMETRIES.items()):
        attack = part(result, "reid", key)
        curve = _items(attack.get("cmc"))
        if curve:
            lines.append(Line(name, range(1, len(curve) + 1), curve, series))
            gallery = gallery or attack.get("gallery")
    title = (
        f"Is the right patient among the first of {gallery}?"
        if gallery
        else "Is the right patient among the first?"
    )
    return _some(cmc_plot("reid-cmc", title, lines, gallery))


def reid_histograms(result: Result) -> list[str]:
    """Scores of genuine and impostor pairs: originals first, then what the attackers get."""
    drawn = []
    for key, name in GEOMETRIES.items():
        bins = part(result, "reid", key, "histogram")
        sides = [_items(bins.get(side)) for side in ("edges", "genuine", "impostors")]
        drawn += _some(histogram_plot(f"reid-scores-{key}", f"Scores: {name}", *sides))
    return drawn


def linkage_intervals(result: Result) -> list[str]:
    """Share of scrubbed images whose own original comes first, by method."""
    methods = part(result, "linkage", "methods")
    dots = [Dot(short_name(key), part(methods, key).get("rank_1"), i) for i, key in enumerate(methods)]
    chances = [value for key in methods if (value := of(methods[key], "chance_rank_1")) is not None]
    drawn = interval_plot(
        "linkage-rank",
        "How often the own original comes first",
        dots,
        "share of scrubbed images whose original is found first",
        low=0,
        high=1,
        chance=min(chances, default=None),
        percent=True,
    )
    return _some(drawn)


def inversion_intervals(result: Result) -> list[str]:
    """AUC of the identity attack on restored images, beside the one on scrubbed and original images."""
    methods, reid = part(result, "inversion", "methods"), part(result, "reid")
    dots = [Dot(short_name(key), part(methods, key, "reid").get("auc"), 1) for key in methods]
    if not any(of(dot.measure) is not None for dot in dots):
        return []
    found = headline(reid)
    compared = [Dot("originals (ceiling)", part(reid, "ceiling").get("auc"), 0)]
    compared += [Dot("scrubbed, not restored", found[1]["auc"], 2)] if found else []
    title = "Does undoing the change help?"
    return _some(
        interval_plot("inversion-auc", title, [*compared, *dots], "AUC", low=0.4, high=1, chance=0.5)
    )


def inversion_roc(result: Result) -> list[str]:
    """ROC curves of the identity attack on restored images."""
    methods = part(result, "inversion", "methods")
    lines = _roc_lines([(short_name(key), part(methods, key, "reid")) for key in methods])
    return _some(roc_plot("inversion-roc", "ROC curves on restored images", lines))


def header_places(result: Result) -> list[str]:
    """Hits by place."""
    places = part(result, "header", "by_place")
    return _some(bar_plot("header-places", "Hits by place", list(places.items())))


def header_groups(result: Result) -> list[str]:
    """Patients by how many share their quasi-identifiers."""
    groups = part(result, "header", "uniqueness", "k")
    bars = [(f"group of {key}" if key != "1" else "alone", number) for key, number in groups.items()]
    return _some(bar_plot("header-groups", "Patients by the size of the group that looks like them", bars))


def utility_differences(result: Result) -> list[str]:
    """Change of the classifier's AUC by finding."""
    findings = part(result, "utility", "classifier", "findings")
    dots = [Dot(name, part(findings, name).get("difference"), 1) for name in findings]
    drawn = interval_plot(
        "utility-findings",
        "What the classifier lost or won, by finding",
        dots,
        "AUC after minus AUC before",
        low=-0.1,
        high=0.1,
        chance=None,
    )
    return _some(drawn)


def privacy_utility(result: Result) -> list[str]:
    """Originals and release in the plane of attacker's reach and utility."""
    reid = part(result, "reid")
    found = headline(reid)
    if not found:
        return []
    release = Dot("this release", found[1]["auc"], 1, part(result, "utility", "classifier").get("retained"))
    points = [Dot("originals", part(reid, "ceiling").get("auc"), 0, 1.0), release]
    random = part(reid, "controls", "random_change").get("auc")
    points.append(Dot("random change (utility not measured)", random, 3))
    return (
        _some(plane_plot("privacy-utility", "Privacy against utility", points))
        if of(release.other) is not None
        else []
    )


def plane_strengths(result: Result) -> list[str]:
    """Strengths of the anonymizer in the plane of what attackers reach and what is retained."""
    plane = part(result, "plane")
    strengths, own = part(plane, "strengths"), part(plane, "release").get("strength")
    known = [(name, part(strengths, name)) for name in strengths]
    points = [
        Strength(name, each.get("auc"), each.get("retained"), own is not None and each.get("strength") == own)
        for name, each in known
    ]
    basis, ceiling = BASES.get(str(plane.get("basis")), "retained"), part(strengths, "0").get("auc")
    label = basis.removeprefix("the classifier's ")  # an axis has no room for more
    title = "What more strength buys and costs"
    return _some(strength_plot("plane-strengths", title, points, label, ceiling))


def _roc_lines(attacks: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Line]:
    return [
        Line(
            name,
            _items(curve.get("fpr")),
            _items(curve.get("tpr")),
            series,
            f"AUC {measured(attack.get('auc'))}",
        )
        for series, (name, attack) in enumerate(attacks)
        if is_assessed(attack) and (curve := part(attack, "roc"))
    ]


def _items(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _some(drawn: str) -> list[str]:
    return [drawn] if drawn else []
