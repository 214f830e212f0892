"""The report: one self-contained page, a pure function of ``audit.json``.

Style and pictures stand in it, nothing is fetched, no script runs, and its content security policy allows
neither. It is meant to be shared, so it shows nothing that is not in the result.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from markupsafe import Markup

from deid.audit.conformity import violation
from deid.audit.numerals import is_assessed, part
from deid.audit.schema import VERSION, schema
from deid.audit.sections import Section, declared
from deid.audit.summaries import summary
from deid.audit.tables import Table
from deid.audit.words import THREATS, Verdict, plane_sentence, sentence, utility_sentence, verdict
from deid.core.errors import UsageError
from deid.core.files import strerror
from deid.core.json_fields import parse_json
from deid.core.pages import hash_source, page_template, page_text

_LARGEST = 50 * 10**6
_SAID: Mapping[str, Callable[[Mapping[str, Any]], str]] = MappingProxyType(
    {"utility": utility_sentence, "plane": plane_sentence}
)
"""What is measured beside the threats, and judged by nobody."""


@dataclass(frozen=True)
class Shown:
    """A section as the page shows it.

    Attributes:
        key: Its anchor.
        title: Heading.
        intro: What is asked.
        verdict: Of a threat; None for other sections.
        words: What came out.
        pictures: Markup of the pictures and their caption.
        tables: Those that have rows.
        open: Whether it is shown in full; a section that was not assessed is not.
        empty: What is said where there is nothing.
    """

    key: str
    title: str
    intro: str
    verdict: Verdict | None
    words: str
    pictures: tuple[tuple[tuple[Markup, ...], str], ...]
    tables: tuple[Table, ...]
    open: bool
    empty: str


def render(result: Mapping[str, Any]) -> str:
    """The page of a result.

    Args:
        result: What ``audit.json`` holds.

    Returns:
        HTML; the same for the same result. Half surrogate pairs, which UTF-8 cannot write, are escaped.
    """
    style = page_text(__package__, "report.css")
    sections, glossary = declared()
    overall = result.get("verdict")
    page = page_template(__package__, "report.html.jinja").render(
        # Our own file, which is not escaped; the policy allows it by hash and nothing else.
        style=Markup(style),  # noqa: S704
        style_hash=hash_source(style),
        overall=overall if overall in list(Verdict) else Verdict.NOT_ASSESSED,
        summaries=[
            (key, summary(key, part(result, key)), sentence(key, part(result, key))) for key in THREATS
        ],
        unbroken=_unbroken,
        sections=[_shown(section, result) for section in sections],
        release=part(result, "release"),
        merged=part(result, "merged"),
        failed=[gate for gate in result.get("gates") or () if gate.get("passed") is not True],
        gates=len(result.get("gates") or ()),
        glossary=glossary,
        tool=part(result, "tool"),
    )
    return page.encode("utf-8", "backslashreplace").decode("utf-8")


def _unbroken(text: str) -> str:
    """The same text, in which no line breaks within an interval or before a percent sign."""
    text = re.sub(r"\([-+.,e\d]+ to [-+.,e\d]+( %)?\)", lambda found: found[0].replace(" ", "\u00a0"), text)
    return re.sub(r"(?<=\d) %", "\u00a0%", text)


def _shown(section: Section, result: Mapping[str, Any]) -> Shown:
    known = part(result, section.key)
    is_threat, has_status = section.key in THREATS, section.key in (*THREATS, *_SAID)
    is_open = is_assessed(known) or not has_status
    # What a threat says of itself was made from the same numbers; where it says nothing, it is said here.
    said = _SAID[section.key](known) if section.key in _SAID else ""
    if is_threat:
        said = str(known.get("words") or "") if is_assessed(known) else ""
        said = said or sentence(section.key, known)
    made = [table for make in section.tables if (table := make(result)).rows] if is_open else []
    # Markup of our own, in which every text of the result was escaped when it was made.
    drawn = [
        (tuple(Markup(svg) for svg in picture.draw(result)), picture.caption)  # noqa: S704
        for picture in (section.pictures if is_open else ())
    ]
    return Shown(
        section.key,
        section.title,
        section.intro,
        verdict(known) if is_threat else None,
        said,
        tuple((pictures, caption) for pictures, caption in drawn if pictures),
        tuple(made),
        is_open,
        section.empty,
    )


def read_result(path: Path) -> dict[str, Any]:
    """Reads an ``audit.json``, strictly.

    Args:
        path: The file.

    Raises:
        UsageError: It cannot be read, is no JSON, or is not what `deid.audit.schema.schema` allows.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(_LARGEST + 1)
    except OSError as error:
        raise UsageError(f"the audit result cannot be read: {strerror(error)}; give an audit.json.") from None
    if len(data) > _LARGEST:
        raise UsageError(f"the audit result is larger than {_LARGEST // 10**6} MB; give an audit.json.")
    value = parse_json(data, "the audit result")
    wrong = violation(value, schema())
    if wrong or not isinstance(value, dict):
        raise UsageError(
            f"the audit result is not an audit.json of schema {VERSION}: {wrong}. "
            "Give the file that mami-deid audit wrote; --schema prints what it may hold."
        )
    return value
