"""Content items of structured reports and their relatives: what the concept name says of the value.

PS3.15 E.3.4: a content item (PS3.3 C.17.3) is named by its Concept Name Code Sequence; Table E.3.4-1 gives
an action per concept and value type. Items are never dropped, because others may refer to them by position
(Referenced Content Item Identifier); a value that may not stay is replaced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deid.dicom.elements import Buffer, Element
from deid.dicom.profile import Action, Profile

if TYPE_CHECKING:
    from deid.dicom.handlers import Fate
    from deid.dicom.rewrite import Level

CONCEPT_NAME = 0x0040A043
_VALUE_TYPE = 0x0040A040
_CODE_VALUE = 0x00080100
_SCHEME = 0x00080102
NUMERIC_VALUE = 0x0040A30A
MEASURED_VALUE_SEQUENCE = 0x0040A300
EXACT_VALUES = frozenset({0x0040A161, 0x0040A162, 0x0040A163})
"""Floating Point Value, Rational Numerator and Denominator: Numeric Value again, where it is not exact."""
TEXTS = frozenset({0x0040A160, 0x00700006})
"""Text Value, and Unformatted Text Value of a waveform annotation."""
VALUES = (
    TEXTS
    | EXACT_VALUES
    | {
        0x0040A120,  # DateTime
        0x0040A121,  # Date
        0x0040A122,  # Time
        0x0040A123,  # Person Name
        0x0040A124,  # UID
        0x0040A168,  # Concept Code Sequence
        NUMERIC_VALUE,
        MEASURED_VALUE_SEQUENCE,
    }
)
"""Attributes that hold the value of a content item."""

_UNITS = 0x004008EA
_AGES = frozenset(
    {("121033", "DCM"), ("397669002", "SCT"), ("424144002", "SCT"), ("30525-0", "LN"), ("29553-5", "LN")}
)
"""Concepts whose number is the age of a person."""
_OLDEST = 89
_IN_A_YEAR = {"mo": 12, "wk": 52.18, "d": 365.25, "h": 8766}


def value_is_replaced(body: Buffer, item: list[Element], profile: Profile) -> bool:
    """Whether the value of this content item is replaced because of one of its concept names."""
    value_type = _text(body, item, _VALUE_TYPE)
    actions = {profile.concept(code, scheme, value_type) for code, scheme in concepts(body, item)}
    return not actions.isdisjoint((Action.REMOVE, Action.EMPTY, Action.DUMMY))


def value_is_retained(body: Buffer, item: list[Element], profile: Profile) -> bool:
    """Whether this content item names a device or an institution that an option retains."""
    value_type = _text(body, item, _VALUE_TYPE)
    names = concepts(body, item)
    return bool(names) and all(profile.retains_concept(code, scheme, value_type) for code, scheme in names)


def is_age(body: Buffer, item: list[Element]) -> bool:
    """Whether a content item is the age of a person."""
    return any(concept in _AGES for concept in concepts(body, item))


def capped_number(body: Buffer, element: Element, level: Level) -> bytes | Fate:
    """Numeric Value of an age: above 89 years it becomes 90, in the unit of the item."""
    from deid.dicom.handlers import Fate

    if not level.age:
        return Fate.KEEP
    units = level.find(_UNITS)
    unit = _text(body, units.items[0], _CODE_VALUE) if units is not None and units.items else ""
    limit = _OLDEST * _IN_A_YEAR.get(unit, 1)
    values = body[element.start : element.end].decode("latin-1").strip(" \0").split("\\")
    if all(not value.strip() or float(value) <= limit for value in values):
        return Fate.KEEP
    return f"{(_OLDEST + 1) * _IN_A_YEAR.get(unit, 1):g}".encode()


def concepts(body: Buffer, item: list[Element]) -> list[tuple[str, str]]:
    """Code and scheme of every concept name, those of doubled elements included."""
    names = [name for element in item if element.tag == CONCEPT_NAME for name in element.items or []]
    return [(_text(body, name, _CODE_VALUE), _text(body, name, _SCHEME)) for name in names]


def _text(body: Buffer, data_set: list[Element], tag: int) -> str:
    for element in data_set:
        if element.tag == tag:
            return body[element.start : element.end].decode("latin-1").strip(" \0")
    return ""
