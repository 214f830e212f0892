"""What the rewriting of a changed image does beyond the profile: provenance in, what is outdated out.

The profile decides first what stays of the source; its handlers are wrapped, so what is added joins what it
has cleaned, and what tells of the old pixels goes even where a recipe keeps it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from deid.dicom.derived import (
    CONTRIBUTING_EQUIPMENT,
    DERIVATION_CODES,
    DERIVATION_DESCRIPTION,
    FRAME_TYPE,
    IMAGE_TYPE,
    LARGEST,
    OUTDATED,
    PIXEL_DATA,
    PLANAR,
    SMALLEST,
    Derivation,
    derived_type,
    described,
    own_items,
)
from deid.dicom.elements import Element, Encoding
from deid.dicom.handlers import Fate, Handler

if TYPE_CHECKING:
    from deid.dicom.rewrite import Level

_WRITTEN = {
    IMAGE_TYPE: "CS",
    DERIVATION_DESCRIPTION: "ST",
    DERIVATION_CODES: "SQ",
    CONTRIBUTING_EQUIPMENT: "SQ",
}
"""Attributes of the top level that every changed image has, with their VRs."""
_MISSING = -1
"""Offset of what the source does not have."""
_GROWING = frozenset({DERIVATION_CODES, CONTRIBUTING_EQUIPMENT})
_MADE_ANEW = frozenset({PLANAR, SMALLEST, LARGEST, PIXEL_DATA})
_NESTED_OUTDATED = OUTDATED | {SMALLEST, LARGEST}


class Amendments:
    """Amends the data sets of images that one network has changed.

    Args:
        derivation: Which network.
        value: Returns the value bytes of an element of the data set at hand.
    """

    def __init__(self, derivation: Derivation, value: Callable[[Element], bytes]) -> None:
        self._derivation = derivation
        self._value = value

    def elements(self, elements: list[Element], pixel_vr: str) -> list[Element]:
        """The top level with a place for all that is written, and without what is made anew elsewhere.

        A text or sequence of another VR than its own could not take what is added, so it makes room for it.
        """
        encoding = elements[0].encoding
        kept = [e for e in elements if e.tag not in _MADE_ANEW and _WRITTEN.get(e.tag, e.vr) == e.vr]
        present = {e.tag for e in kept}
        places = {tag: vr for tag, vr in _WRITTEN.items() if tag not in present} | {PIXEL_DATA: pixel_vr}
        return kept + [
            Element(tag, vr, _MISSING, _MISSING, _MISSING, _MISSING, [] if vr == "SQ" else None, encoding)
            for tag, vr in places.items()
        ]

    def handler(self, tag: int, parents: tuple[int, ...], handler: Handler) -> Handler:
        """The handler of an attribute at its place, around that of the profile."""
        if tag in (_NESTED_OUTDATED if parents else OUTDATED):
            return lambda element, level: Fate.DROP
        if tag == FRAME_TYPE or (tag == IMAGE_TYPE and not parents):
            return self._changed(handler, derived_type)
        if parents:
            return handler
        if tag == DERIVATION_DESCRIPTION:
            return self._changed(handler, lambda theirs: described(theirs, self._derivation))
        if tag == PIXEL_DATA:
            return lambda element, level: Fate.NEW_PIXELS
        return self._grown(handler) if tag in _GROWING else handler

    def added_item(self, tag: int, encoding: Encoding) -> bytes:
        """The encoded item that a sequence of the top level ends with; empty for most."""
        return own_items(self._derivation, encoding)[tag] if tag in _GROWING else b""

    def _changed(self, handler: Handler, change: Callable[[bytes], bytes]) -> Handler:
        """Change what the profile leaves of a value, be it nothing."""

        def handle(element: Element, level: Level) -> bytes | Fate:
            return change(self._left(handler, element, level))

        return handle

    def _grown(self, handler: Handler) -> Handler:
        """A sequence whose items are walked ends with ours; where none are, ours follows what stays."""

        def handle(element: Element, level: Level) -> bytes | Fate:
            if element.start == _MISSING:
                return Fate.WALK
            fate = handler(element, level)
            if fate in (Fate.WALK, Fate.DUMMY_WALK):
                return fate
            kept = self._value(element) if fate is Fate.KEEP else b""
            return kept + self.added_item(element.tag, element.encoding)

        return handle

    def _left(self, handler: Handler, element: Element, level: Level) -> bytes:
        """What the profile leaves of a value."""
        if element.start == _MISSING:
            return b""
        fate = handler(element, level)
        if isinstance(fate, bytes):
            return fate
        return self._value(element) if fate is Fate.KEEP else b""
