"""Small pieces of inline SVG: elements, axes and a frame.

Colours come from the page (``currentColor`` and classes), never from attributes, so a picture follows light,
dark and print. Nothing here uses a ``style`` attribute: the content security policy would not allow it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

SERIES = 5
"""Series that differ in dash and marker; more begin again."""

_TITLE = 28
_DASHES = ("", "7 4", "2 3", "9 3 2 3", "14 4")


def tag(name: str, *children: str, **attributes: object) -> str:
    """An element; children are markup already, attributes are escaped, ``_`` in their names is ``-``."""
    shown = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_plain(value))}"'
        for key, value in attributes.items()
        if value != ""
    )
    return f"<{name}{shown}>{''.join(children)}</{name}>"


def _plain(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def text(x: float, y: float, words: str, **attributes: object) -> str:
    """A line of text, escaped."""
    return tag("text", escape(words), x=x, y=y, **attributes)


def line(x1: float, y1: float, x2: float, y2: float, **attributes: object) -> str:
    """A straight line."""
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, **attributes)


def path(points: Sequence[tuple[float, float]], *, closed: bool = False, **attributes: object) -> str:
    """A line through points; nothing where there are none."""
    if not points:
        return ""
    way = "M" + "L".join(f"{_plain(float(x))} {_plain(float(y))}" for x, y in points)
    return tag("path", d=way + ("Z" if closed else ""), **attributes)


def marker(series: int, x: float, y: float, size: float = 4.5) -> str:
    """The mark of a series: dot, square, triangle, diamond or ring."""
    kind, s = series % SERIES, size
    if kind == 0:
        return tag("circle", cx=x, cy=y, r=s, class_="mark")
    if kind == 4:
        return tag("circle", cx=x, cy=y, r=s, class_="ring")
    shapes = {
        1: [(-s, -s), (s, -s), (s, s), (-s, s)],
        2: [(0.0, -1.25 * s), (1.2 * s, s), (-1.2 * s, s)],
        3: [(0.0, -1.4 * s), (1.4 * s, 0.0), (0.0, 1.4 * s), (-1.4 * s, 0.0)],
    }
    return path([(x + dx, y + dy) for dx, dy in shapes[kind]], closed=True, class_="mark")


def dash(series: int) -> str:
    """The dash pattern of a series; "" is a full line."""
    return _DASHES[series % SERIES]


def group(series: int, *children: str) -> str:
    """Children in the colour of a series."""
    return tag("g", *children, class_=f"series-{series % SERIES}")


@dataclass(frozen=True)
class Axis:
    """A scale from numbers to places in the picture.

    Attributes:
        low: Smallest number.
        high: Largest number; above `low`.
        start: Place of `low`.
        end: Place of `high`.
        label: What is shown.
    """

    low: float
    high: float
    start: float
    end: float
    label: str

    def at(self, value: float) -> float:
        """The place of a number; one beyond the ends is put on the end."""
        within = min(max(value, self.low), self.high)
        return self.start + (within - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self) -> Iterator[tuple[float, str]]:
        """Three to seven round numbers and how they are written."""
        raw = (self.high - self.low) / 6
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw * 0.999)
        digits = max(0, -math.floor(math.log10(step) + 1e-9)) + (1 if f"{step:e}".startswith("2.5") else 0)
        number = math.ceil(self.low / step - 1e-9)
        while number * step <= self.high + step * 1e-9:
            yield number * step, f"{number * step + 0.0:.{digits}f}"
            number += 1


def frame(across: Axis, up: Axis) -> str:
    """Grid, axes, numbers and names of both axes; `up.start` is the lower end."""
    parts = []
    for value, shown in across.ticks():
        x = across.at(value)
        parts += [line(x, up.start, x, up.end, class_="grid")]
        parts += [text(x, up.start + 16, shown, text_anchor="middle", class_="tick")]
    for value, shown in up.ticks():
        y = up.at(value)
        parts += [line(across.start, y, across.end, y, class_="grid")]
        parts += [text(across.start - 6, y + 4, shown, text_anchor="end", class_="tick")]
    parts += [line(across.start, up.start, across.end, up.start, class_="axis")]
    parts += [line(across.start, up.start, across.start, up.end, class_="axis")]
    middle = (across.start + across.end) / 2
    parts += [text(middle, up.start + 34, across.label, text_anchor="middle", class_="name")]
    y = (up.start + up.end) / 2
    parts += [
        text(14, y, up.label, text_anchor="middle", class_="name", transform=f"rotate(-90 14 {_plain(y)})")
    ]
    return "".join(parts)


def picture(key: str, title: str, description: str, width: float, height: float, *parts: str) -> str:
    """The whole picture, its title above, with the names that a screen reader tells.

    Args:
        key: A word that no other picture of the page has.
        title: What it is.
        description: What it shows, with the numbers.
        width: In units of its own.
        height: Likewise, without the title.
        parts: Markup.
    """
    return tag(
        "svg",
        tag("title", escape(title), id=f"{key}-title"),
        tag("desc", escape(description), id=f"{key}-desc"),
        text(4, 17, title, class_="title"),
        tag("g", *parts, transform=f"translate(0 {_TITLE})"),
        viewBox=f"0 0 {_plain(width)} {_plain(height + _TITLE)}",
        role="img",
        aria_labelledby=f"{key}-title {key}-desc",
    )


def shortened(words: str, most: int) -> str:
    """At most so many characters."""
    return words if len(words) <= most else words[: most - 1].rstrip() + "…"
