"""The pictures of the report, each a function from numbers to inline SVG; "" where there is nothing to draw.

Series differ in dash and marker as well as in colour. Numbers that are missing, infinite or not a number are
left out, and lists of unequal length are cut to the shorter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deid.audit.numerals import count, decimal, finite, measured, of, share
from deid.audit.svg import (
    Axis,
    dash,
    frame,
    group,
    line,
    marker,
    path,
    picture,
    shortened,
    tag,
    text,
)

WIDTH = 460.0
LEFT, RIGHT, TOP, BOTTOM = 64.0, 446.0, 14.0, 290.0
_LEGEND_ROW = 19.0
_MARKS_AT = (0.1, 0.3, 0.5, 0.7, 0.9)


@dataclass(frozen=True)
class Line:
    """A curve of a picture.

    Attributes:
        name: For the legend.
        x: Across, such as the false positive rates of a ROC curve.
        y: Up.
        series: Which dash, marker and colour.
        note: Beside the name, such as the AUC with its interval.
    """

    name: str
    x: Sequence[object]
    y: Sequence[object]
    series: int = 0
    note: str = ""

    @property
    def points(self) -> list[tuple[float, float]]:
        """The points that can be drawn, in order."""
        pairs = zip(map(finite, self.x), map(finite, self.y), strict=False)
        return [(x, y) for x, y in pairs if x is not None and y is not None]

    @property
    def label(self) -> str:
        """Name and note in one."""
        return shortened(self.name, 32) + (f": {self.note}" if self.note else "")


@dataclass(frozen=True)
class Dot:
    """A row of an interval plot, or a point of the plane.

    Attributes:
        name: Beside it.
        measure: Value and bounds; None or without a value is "not assessed".
        series: Which marker and colour.
        other: The second measure of a point of the plane.
    """

    name: str
    measure: object
    series: int = 0
    other: object = None


def roc_plot(key: str, title: str, lines: Sequence[Line]) -> str:
    """ROC curves over the diagonal of chance.

    Args:
        key: A word that no other picture of the page has.
        title: What it is.
        lines: x are false, y true positive rates, 0..1.
    """
    across = Axis(0, 1, LEFT, RIGHT, "other patients taken for the same (false positive rate)")
    chance = line(across.at(0), BOTTOM, across.at(1), TOP, class_="chance")
    return _curves(key, title, lines, across, "same patient found (true positive rate)", [chance])


def cmc_plot(key: str, title: str, lines: Sequence[Line], gallery: int | None) -> str:
    """Share of queries whose patient is among the first k, with chance beside it.

    Args:
        key: A word that no other picture of the page has.
        title: What it is.
        lines: x are ranks from 1, y shares 0..1.
        gallery: How many candidates there are; None leaves chance out.
    """
    last = max((x for each in lines for x, _ in each.points), default=1)
    across = Axis(1, max(2, last), LEFT, RIGHT, "candidates looked at (rank)")
    chance = []
    if gallery and gallery > 0:
        points = [(across.at(rank), _up("").at(rank / gallery)) for rank in (across.low, across.high)]
        chance = [path(points, class_="chance")]
    return _curves(key, title, lines, across, "right patient is among them", chance)


def _up(label: str) -> Axis:
    return Axis(0, 1, BOTTOM, TOP, label)


def _curves(
    key: str, title: str, lines: Sequence[Line], across: Axis, label: str, behind: Sequence[str]
) -> str:
    shown = [each for each in lines if each.points]
    if not shown:
        return ""
    up = _up(label)
    parts = [frame(across, up), *behind]
    for each in shown:
        points = [(across.at(x), up.at(y)) for x, y in each.points]
        curve = path(points, class_="curve", stroke_dasharray=dash(each.series))
        parts.append(group(each.series, curve, *_marks(each.series, points)))
    entries = [(_sample(each.series), each.label) for each in shown]
    if behind:
        entries.append((line(0, 0, 30, 0, class_="chance"), "chance"))
    rows, height = legend(entries)
    description = "; ".join(each.label for each in shown) + "."
    return picture(key, title, description, WIDTH, height, *parts, rows)


def _marks(series: int, points: Sequence[tuple[float, float]]) -> list[str]:
    """Markers at the same places across for every curve; each once."""
    places = [LEFT + share * (RIGHT - LEFT) for share in _MARKS_AT]
    nearest = {min(range(len(points)), key=lambda i: abs(points[i][0] - place)) for place in places}
    return [marker(series, *points[i]) for i in sorted(nearest)]


def _sample(series: int) -> str:
    return group(
        series, line(0, 0, 30, 0, class_="curve", stroke_dasharray=dash(series)), marker(series, 15, 0)
    )


def legend(entries: Sequence[tuple[str, str]]) -> tuple[str, float]:
    """Rows of a sample and its label below the frame; also the height of the whole picture.

    Args:
        entries: Markup of the sample, and the label.
    """
    top = BOTTOM + 58
    rows = [
        tag("g", sample, text(38, 4.5, label, class_="label"), transform=f"translate(20 {y:.0f})")
        for y, (sample, label) in zip(
            (top + i * _LEGEND_ROW for i in range(len(entries))), entries, strict=True
        )
    ]
    return "".join(rows), top + len(entries) * _LEGEND_ROW - 4


def histogram_plot(
    key: str, title: str, edges: Sequence[object], genuine: Sequence[object], impostors: Sequence[object]
) -> str:
    """Scores of genuine pairs (hatched) over those of impostor pairs (plain), as shares of each kind.

    Args:
        key: A word that no other picture of the page has.
        title: What it is.
        edges: `[bin + 1]`, rising.
        genuine: `[bin]`, shares of the genuine pairs.
        impostors: `[bin]`, shares of the impostor pairs.
    """
    borders = [edge for edge in map(finite, edges) if edge is not None]
    bins = min(len(borders) - 1, len(genuine), len(impostors))
    if bins < 1 or len(borders) != len(edges) or not borders[0] < borders[bins]:
        return ""
    shares = [[max(0.0, finite(v) or 0.0) for v in side[:bins]] for side in (impostors, genuine)]
    top = max(max(side) for side in shares)
    if not top > 0:
        return ""
    across = Axis(borders[0], borders[bins], LEFT, RIGHT, "likeness of the two images (score)")
    up = Axis(0, top * 1.08, BOTTOM, TOP, "share of pairs")
    hatch = f"{key}-hatch"
    pattern = tag(
        "pattern",
        line(0, 0, 0, 6, class_="hatching"),
        id=hatch,
        width=6,
        height=6,
        patternUnits="userSpaceOnUse",
        patternTransform="rotate(45)",
    )
    fills = (
        (3, "currentColor", 0.3, "impostor pairs (two patients)"),
        (1, f"url(#{hatch})", 1.0, "genuine pairs (one patient)"),
    )
    parts, entries = [], []
    for (series, fill, opacity, name), side in zip(fills, shares, strict=True):
        outline = _steps(borders[: bins + 1], side, across, up)
        parts.append(
            group(series, path(outline, closed=True, class_="bars", fill=fill, fill_opacity=opacity))
        )
        swatch = tag("rect", x=0, y=-7, width=30, height=13, class_="bars", fill=fill, fill_opacity=opacity)
        entries.append((group(series, swatch), name))
    rows, height = legend(entries)
    means = [
        sum(s * (a + b) / 2 for s, a, b in zip(side, borders, borders[1:], strict=False)) / (sum(side) or 1)
        for side in shares
    ]
    description = f"Mean score of impostor pairs {decimal(means[0])}, of genuine pairs {decimal(means[1])}."
    # The pattern stands inside a coloured group, from which its lines take their colour.
    definitions = group(1, tag("defs", pattern))
    return picture(key, title, description, WIDTH, height, definitions, frame(across, up), *parts, rows)


def _steps(
    borders: Sequence[float], heights: Sequence[float], across: Axis, up: Axis
) -> list[tuple[float, float]]:
    points = [(across.at(borders[0]), up.at(0))]
    for left, right, height in zip(borders, borders[1:], heights, strict=False):
        points += [(across.at(left), up.at(height)), (across.at(right), up.at(height))]
    return [*points, (across.at(borders[-1]), up.at(0))]


def interval_plot(
    key: str,
    title: str,
    dots: Sequence[Dot],
    label: str,
    *,
    low: float,
    high: float,
    chance: float | None,
    percent: bool = False,
) -> str:
    """A row per measure: a mark at the value, a line over its interval.

    Args:
        key: A word that no other picture of the page has.
        title: What it is.
        dots: The rows, from above; one without a value is written as "not assessed".
        label: Of the axis.
        low: Start of the axis; lowered where a bound lies below.
        high: End of the axis; raised likewise.
        chance: Where the line of chance stands; None leaves it out.
        percent: Whether values are written in percent.
    """
    if not dots:
        return ""
    form = share if percent else decimal
    known = [
        b for dot in dots for part in ("value", "lower", "upper") if (b := of(dot.measure, part)) is not None
    ]
    low, high = min([low, *known]), max([high, *known])
    bottom = 12 + 40.0 * len(dots)
    axis = Axis(low, high if high > low else low + 1, 12, WIDTH - 12, label)
    parts = _scale(axis, bottom)
    told = []
    for number, dot in enumerate(dots):
        y = 16 + 40.0 * number
        value = measured(dot.measure, form) if of(dot.measure) is not None else "not assessed"
        faint = "label" if of(dot.measure) is not None else "label missing"
        parts.append(text(12, y + 4, shortened(dot.name, 36), class_=faint))
        parts.append(text(WIDTH - 12, y + 4, value, text_anchor="end", class_=faint))
        parts.append(_interval(dot, axis, y + 19))
        if chance is not None:
            parts.append(line(axis.at(chance), y + 9, axis.at(chance), y + 29, class_="chance"))
        told.append(f"{dot.name}: {value}")
    if chance is not None:
        told.append(f"chance: {form(chance)}")
        parts.append(text(12, bottom + 54, f"dashed line: chance ({form(chance)})", class_="tick"))
    height = bottom + (62 if chance is not None else 44)
    return picture(key, title, "; ".join(told) + ".", WIDTH, height, *parts)


def _scale(axis: Axis, bottom: float) -> list[str]:
    parts = [line(axis.start, bottom, axis.end, bottom, class_="axis")]
    for value, shown in axis.ticks():
        x = axis.at(value)
        anchor = "start" if x < axis.start + 10 else "end" if x > axis.end - 10 else "middle"
        parts += [line(x, bottom, x, bottom + 4, class_="axis")]
        parts += [text(x, bottom + 17, shown, text_anchor=anchor, class_="tick")]
    parts += [text((axis.start + axis.end) / 2, bottom + 35, axis.label, text_anchor="middle", class_="name")]
    return parts


def _interval(dot: Dot, axis: Axis, y: float) -> str:
    value, lower, upper = (of(dot.measure, part) for part in ("value", "lower", "upper"))
    if value is None:
        return line(axis.start, y, axis.end, y, class_="absent")
    parts = [line(axis.start, y, axis.end, y, class_="grid")]
    if lower is not None and upper is not None:
        ends = axis.at(lower), axis.at(upper)
        parts.append(line(ends[0], y, ends[1], y, class_="span"))
        parts += [line(x, y - 5, x, y + 5, class_="span") for x in ends]
    return group(dot.series, *parts, marker(dot.series, axis.at(value), y, 5.5))


def bar_plot(key: str, title: str, bars: Sequence[tuple[str, object]]) -> str:
    """A bar per group with its count beside it.

    Args:
        key: A word that no other picture of the page has.
        title: What it is.
        bars: Name and count.
    """
    known = [(name, number) for name, value in bars if (number := finite(value)) is not None]
    top = max((number for _, number in known), default=0)
    if not top > 0:
        return ""
    parts = []
    for row, (name, number) in enumerate(known):
        y = 14 + 30.0 * row
        width = max(0.0, number) / top * (WIDTH - 250)
        parts.append(text(150, y + 5, shortened(name, 20), text_anchor="end", class_="label"))
        parts.append(
            tag(
                "rect",
                x=160,
                y=y - 9,
                width=width,
                height=18,
                class_="bars",
                fill="currentColor",
                fill_opacity=0.3,
            )
        )
        parts.append(text(168 + width, y + 5, count(number), class_="label"))
    description = "; ".join(f"{name}: {count(number)}" for name, number in known) + "."
    return picture(key, title, description, WIDTH, 30.0 * len(known) + 4, group(3, *parts))
