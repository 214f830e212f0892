"""The sections of the report as ``report.yaml`` declares them, and its glossary."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deid.audit import figures, plane_tables, tables
from deid.audit.tables import Table
from deid.core.pages import page_text

Result = Mapping[str, Any]


@dataclass(frozen=True)
class Picture:
    """Pictures of one kind, with the caption below them.

    Attributes:
        draw: From the whole result to as many pictures as can be drawn.
        caption: How to read them.
    """

    draw: Callable[[Result], Sequence[str]]
    caption: str


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        key: Its name in the result and its anchor on the page.
        title: Heading.
        intro: What is asked, and how it was tried.
        pictures: From above.
        tables: Below the pictures; those without rows are left out.
        empty: What is said where no table has rows.
    """

    key: str
    title: str
    intro: str
    pictures: tuple[Picture, ...]
    tables: tuple[Callable[[Result], Table], ...]
    empty: str


def declared() -> tuple[tuple[Section, ...], dict[str, str]]:
    """The sections from above, and the glossary by term."""
    import yaml

    known = yaml.safe_load(page_text(__package__, "report.yaml"))
    return tuple(_section(**each) for each in known["sections"]), known["glossary"]


def _section(
    key: str,
    title: str,
    intro: str,
    pictures: Sequence[Mapping[str, str]] = (),
    tables: Sequence[str] = (),
    empty: str = "",
) -> Section:
    drawn = tuple(Picture(getattr(figures, each["draw"]), each["caption"]) for each in pictures)
    return Section(key, title, intro, drawn, tuple(_table(name) for name in tables), empty)


def _table(name: str) -> Callable[[Result], Table]:
    make: Callable[[Result], Table] = getattr(plane_tables if name.startswith("plane") else tables, name)
    return make
