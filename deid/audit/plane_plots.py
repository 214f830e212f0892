"""Pictures of privacy against utility: what an attacker reaches across, what the images still tell up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deid.audit.numerals import MISSING, decimal, measured, of
from deid.audit.plots import BOTTOM, LEFT, RIGHT, TOP, WIDTH, Dot, legend
from deid.audit.svg import Axis, dash, frame, group, line, marker, path, picture, shortened, text

_ROOM = 0.02
_NAME = (36.0, 16.0)
_SERIES, _OWN = 2, 1


@dataclass(frozen=True)
class Strength:
    """A point of the plane over strengths.

    Attributes:
        name: The strength, beside the mark.
        reached: AUC of the strongest attacker, with its bounds.
        retained: Utility, with its bounds.
        own: Whether the release was made at this strength.
    """

    name: str
    reached: object
    retained: object
    own: bool = False


def strength_plot(key: str, title: str, points: Sequence[Strength], label: str, ceiling: object) -> str:
    """One point a strength, joined in their order, between chance and what is reached on originals.

    Args:
        key: A word that no other picture of the page has.
        title: What it is.
        points: By rising strength; those without both values are left out.
        label: Of the axis of utility.
        ceiling: AUC on originals; without a value its line is left out.
    """
    known = [each for each in points if of(each.reached) is not None and of(each.retained) is not None]
    if not known:
        return ""
    across = _axis(
        [each.reached for each in known] + [ceiling], 0.5, LEFT, RIGHT, "what attackers reach (AUC)"
    )
    up = _axis([each.retained for each in known], 1.0, BOTTOM, TOP, label)
    parts = [frame(across, up), *_limit(across, 0.5, "chance")]
    if (highest := of(ceiling)) is not None:
        parts += _limit(across, highest, "ceiling")
    places = [(across.at(of(each.reached) or 0.0), up.at(of(each.retained) or 0.0)) for each in known]
    parts.append(group(_SERIES, path(places, class_="curve", stroke_dasharray=dash(_SERIES))))
    for number, (each, (x, y)) in enumerate(zip(known, places, strict=True)):
        series = _OWN if each.own else _SERIES
        parts.append(group(series, *_cross(Dot("", each.reached, series, each.retained), across, up)))
        if any(_is_near((x, y), before) for before in places[:number]):
            parts.append(text(x + 8, y + 18, each.name, class_="label"))
        else:  # A plane falls to the left, so that its upper left is free.
            parts.append(text(x - 8, y - 9, each.name, text_anchor="end", class_="label"))
    rows, height = legend(_entries(known))
    told = "; ".join(map(_told, known))
    return picture(key, title, f"{told}; chance: AUC 0.50.", WIDTH, height, *parts, rows)


def _is_near(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether the names of two marks would lie on each other."""
    return abs(one[0] - other[0]) < _NAME[0] and abs(one[1] - other[1]) < _NAME[1]


def _axis(measures: Sequence[object], always: float, start: float, end: float, label: str) -> Axis:
    """A scale that holds every bound, and one number more, with a little room."""
    bounds = [
        bound for each in measures for p in ("value", "lower", "upper") if (bound := of(each, p)) is not None
    ]
    low, high = min([always, *bounds]), max([always, *bounds])
    room = max(_ROOM, 0.06 * (high - low))
    return Axis(low - room, high + room, start, end, label)


def _limit(across: Axis, value: float, name: str) -> list[str]:
    """An upright line with its name at its foot."""
    x = across.at(value)
    near_end = x > (across.start + across.end) / 2
    words = text(
        x - 6 if near_end else x + 6,
        BOTTOM - 8,
        name,
        class_="tick",
        text_anchor="end" if near_end else "start",
    )
    return [line(x, BOTTOM, x, TOP, class_="chance"), words]


def _entries(known: Sequence[Strength]) -> list[tuple[str, str]]:
    sample = line(0, 0, 30, 0, class_="curve", stroke_dasharray=dash(_SERIES))
    others = ", ".join(each.name for each in known if not each.own)
    entries = [(group(_SERIES, sample, marker(_SERIES, 15, 0)), f"strength {others}")] if others else []
    own = [each.name for each in known if each.own]
    entries += [
        (group(_OWN, marker(_OWN, 15, 0, 6)), f"strength {name}: that of this release") for name in own
    ]
    return [*entries, (line(0, 0, 30, 0, class_="chance"), "chance; ceiling (what originals give)")]


def _told(each: Strength) -> str:
    own = " (this release)" if each.own else ""
    kept = measured(each.retained, lambda x: decimal(x, 3))
    return f"strength {each.name}{own}: AUC {measured(each.reached)}, retained {kept}"


def plane_plot(key: str, title: str, points: Sequence[Dot]) -> str:
    """What an attacker reaches (across) against what a classifier still reads (up).

    Args:
        key: A word that no other picture of the page has.
        title: What it is.
        points: `measure` is the AUC of the attacker, `other` the share of utility retained; a point without
            the second is a line from bottom to top.
    """
    known = [point for point in points if of(point.measure) is not None]
    if not any(of(point.other) is not None for point in known):
        return ""
    bounds = [of(point.other, p) for point in known for p in ("value", "lower", "upper")]
    heights = [bound for bound in bounds if bound is not None]
    across = Axis(
        min([0.45, *(of(p.measure) or 0.0 for p in known)]),
        1,
        LEFT,
        RIGHT,
        "what the attacker reaches (AUC)",
    )
    up = Axis(min([0.8, *heights]), max([1.05, *heights]), BOTTOM, TOP, "utility retained")
    parts = [frame(across, up), line(across.at(0.5), BOTTOM, across.at(0.5), TOP, class_="chance")]
    parts.append(text(across.at(0.5) + 6, BOTTOM - 8, "chance", class_="tick"))
    told, entries = [], []
    for point in known:
        parts.append(group(point.series, *_cross(point, across, up)))
        kept = measured(point.other, lambda x: decimal(x, 3)) if of(point.other) is not None else MISSING
        told.append(f"{point.name}: AUC {measured(point.measure)}, retained {kept}")
        entries.append((group(point.series, marker(point.series, 15, 0, 5.5)), shortened(point.name, 50)))
    rows, height = legend(entries)
    return picture(key, title, "; ".join(told) + ".", WIDTH, height, *parts, rows)


def _cross(point: Dot, across: Axis, up: Axis) -> list[str]:
    x, y = of(point.measure), of(point.other)
    if x is None:
        return []
    if y is None:
        middle = (up.start + up.end) / 2
        way = line(
            across.at(x), up.start, across.at(x), up.end, class_="curve", stroke_dasharray=dash(point.series)
        )
        return [way, marker(point.series, across.at(x), middle, 5.5)]
    parts = []
    left, right = of(point.measure, "lower"), of(point.measure, "upper")
    if left is not None and right is not None:
        parts.append(line(across.at(left), up.at(y), across.at(right), up.at(y), class_="span"))
    low, high = of(point.other, "lower"), of(point.other, "upper")
    if low is not None and high is not None:
        parts.append(line(across.at(x), up.at(low), across.at(x), up.at(high), class_="span"))
    return [*parts, marker(point.series, across.at(x), up.at(y), 6)]
