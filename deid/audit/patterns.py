"""What looks like identity by its form alone: for a release whose originals are not known."""

from __future__ import annotations

import re
from collections.abc import Iterator

from deid.audit.leaves import Leaf

_TEXTS = frozenset({"LO", "SH", "ST", "LT", "UT", "UC", "PN", "UN", "UR", "AE"})
_PATTERNS = tuple(
    map(
        re.compile,
        (
            r"(?<![\d.-])\d{3}-\d{2}-\d{4}(?![\d-])",  # social security number
            r"(?<![\w.])[\w.+-]+@[\w-]+(?:\.[\w-]+)+",  # e-mail
            r"(?<![\d.])(?:\+\d{1,3}[ -]?)?\(?\d{3}\)?[ -]\d{3}[ -]\d{4}(?![\d-])",  # phone
            r"(?<![\d.])\+\d{2}[ -]?\d{2,5}[ -/]?\d{4,9}(?!\d)",  # phone, international
            r"(?<![a-z])(?:mrn|ssn|patient id|pat\.? ?id)[ :#=]{1,3}\w*\d\w*",
        ),
    )
)
_PATIENT_ID = 0x00100020
_DATE = re.compile(
    r"(?<![\d.])(?:(?:19|20)\d\d([-/._]?)(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12]\d|3[01])"
    r"|(?:0[1-9]|[12]\d|3[01])([-/.])(?:0[1-9]|1[0-2])\2(?:19|20)\d\d)(?!\d|\.\d)"
)


def suspicious(leaf: Leaf) -> Iterator[tuple[int, int]]:
    """Ranges in the text of one value that look like a number of a person, a phone or an e-mail address.

    Dates count in person names and ids, where no shift puts any.
    """
    if leaf.vr not in _TEXTS:
        return
    text = leaf.text.lower()
    dates = (_DATE,) if leaf.vr == "PN" or leaf.tag == _PATIENT_ID else ()
    done = 0
    for start, end in sorted(match.span() for each in (*_PATTERNS, *dates) for match in each.finditer(text)):
        if start >= done:
            yield start, end
            done = end


def dates_in_name(name: str) -> int:
    """Dates in the path of a file."""
    return sum(1 for _ in _DATE.finditer(name))
