"""Content items of structured reports and their relatives: what the concept name says of the value.

PS3.15 E.3.4: a content item (PS3.3 C.17.3) is named by its Concept Name Code Sequence; Table E.3.4-1 gives
an action per concept and value type. Items are never dropped, because others may refer to them by position
(Referenced Content Item Identifier); a value that may not stay is replaced.
"""

from __future__ import annotations

from deid.dicom.elements import Buffer, Element
from deid.dicom.profile import Action, Profile

CONCEPT_NAME = 0x0040A043
_VALUE_TYPE = 0x0040A040
_CODE_VALUE = 0x00080100
_SCHEME = 0x00080102
VALUES = frozenset(
    {
        0x0040A120,  # DateTime
        0x0040A121,  # Date
        0x0040A122,  # Time
        0x0040A123,  # Person Name
        0x0040A124,  # UID
        0x0040A160,  # Text Value
        0x0040A168,  # Concept Code Sequence
        0x00700006,  # Unformatted Text Value of a waveform annotation
    }
)
"""Attributes that hold the value of a content item."""


def value_is_replaced(body: Buffer, item: list[Element], profile: Profile) -> bool:
    """Whether the value of this content item is replaced because of its concept name."""
    concept = next((element for element in item if element.tag == CONCEPT_NAME), None)
    if concept is None or not concept.items:
        return False
    code = _text(body, concept.items[0], _CODE_VALUE)
    scheme = _text(body, concept.items[0], _SCHEME)
    action = profile.concept(code, scheme, _text(body, item, _VALUE_TYPE))
    return action in (Action.REMOVE, Action.EMPTY, Action.DUMMY)


def _text(body: Buffer, data_set: list[Element], tag: int) -> str:
    for element in data_set:
        if element.tag == tag:
            return body[element.start : element.end].decode("latin-1").strip(" \0")
    return ""
