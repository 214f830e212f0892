"""Content items by concept name and value type (PS3.15 E.3.4, Table E.3.4-1)."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Mapping

from deid.dicom.profile.actions import REVEALS, Action, Option
from deid.dicom.profile.iods import Need
from deid.dicom.profile.resolve import chosen, combined, is_retained
from deid.dicom.profile.tables import ConceptRow, concept_rows

_REFERENCES = frozenset({"UIDREF", "COMPOSITE", "IMAGE", "WAVEFORM"})
_TEXTS = frozenset({"TEXT", "PNAME"})


@functools.cache
def _by_code() -> Mapping[tuple[str, str], tuple[ConceptRow, ...]]:
    found: dict[tuple[str, str], list[ConceptRow]] = defaultdict(list)
    for row in concept_rows():
        found[row.code, row.scheme.partition(" ")[0]].append(row)
    return {key: tuple(rows) for key, rows in found.items()}


def concept_action(code: str, scheme: str, value_type: str, options: frozenset[Option]) -> Action | None:
    """What happens to the value of a content item or waveform annotation.

    The type of a content item in its template is not known, so the strictest of combined letters holds. A
    UID is never removed but replaced by its mapped UID, which is as good a dummy and keeps references.

    Args:
        code: Code Value of its concept name.
        scheme: Coding Scheme Designator of its concept name.
        value_type: Its Value Type; where the table lists the concept with other value types only, the
            strictest of their actions holds.
        options: Active options.

    Returns:
        None: the table does not list the concept, and its value is treated by its VR.
    """
    rows = _by_code().get((code.strip(), scheme.strip().partition(" ")[0]))
    if not rows:
        return None
    exact = [row for row in rows if row.value_type == value_type.strip()]
    actions = [_action(row, value_type.strip(), options) for row in exact or rows]
    return min(actions, key=REVEALS.__getitem__)


def concept_is_retained(code: str, scheme: str, value_type: str, options: frozenset[Option]) -> bool:
    """Whether a content item names a device or an institution and an active option retains it (K)."""
    rows = _by_code().get((code.strip(), scheme.strip().partition(" ")[0]), ())
    letters = (row.options for row in rows if row.value_type == value_type.strip())
    return any(is_retained(found, options) for found in letters)


def _action(row: ConceptRow, value_type: str, options: frozenset[Option]) -> Action:
    action = chosen(row.options, options) or combined(row.basic, Need.OPTIONAL)
    if action is Action.KEEP and value_type in _TEXTS:
        return Action.CLEAN
    if REVEALS[action] == 0 and value_type in _REFERENCES:
        return Action.UID
    return action
