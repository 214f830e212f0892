"""Private blocks (PS3.5 7.8): which of their elements may stay, and as what.

A private element means something only together with its creator. Elements stay where the profile knows
(creator, element); their creators stay with them, everything else goes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from deid.dicom.elements import Buffer, Element
from deid.dicom.profile import PrivateRule, Profile
from deid.dicom.values import BINARY_SIZES

if TYPE_CHECKING:
    from deid.dicom.handlers import Handler

PRIVATE = 0x00010000
_OPAQUE_LIMIT = 1024
_LETTERS = re.compile(rb"[0-9A-Za-z\x80-\xff]{3}|(?:[0-9A-Za-z]\0){3}|(?:\0[0-9A-Za-z]){3}")


class PrivateRules:
    """The private rules of a profile as handlers, remembered: every file of a scanner has the same blocks."""

    def __init__(self, profile: Profile, make: Callable[[PrivateRule, str], Handler]) -> None:
        self._profile = profile
        self._make = make
        self._found: dict[tuple[str, int, str, tuple[int, ...]], Handler | None] = {}

    def find(self, creator: str, tag: int, vr: str, parents: tuple[int, ...]) -> Handler | None:
        """The handler of a block's element that may stay; ``tag`` without the digits of the block."""
        key = (creator, tag, vr, parents)
        try:
            return self._found[key]
        except KeyError:
            rule = self._profile.private(creator, tag >> 16, tag & 0xFF, vr, parents)
            handler = None
            if rule is not None and (vr == "UN" or rule.vr == "UN" or is_binary(vr) == is_binary(rule.vr)):
                handler = self._make(rule, rule.vr if rule.vr != "UN" else vr)
            return self._found.setdefault(key, handler)


def private_handlers(
    body: Buffer, elements: list[Element], parents: tuple[int, ...], rules: PrivateRules
) -> dict[int, Handler | None]:
    """Handlers of the private elements of one data set that stay, by tag; None for creators that stay.

    Args:
        body: What the offsets point into.
        elements: The data set, in ascending order of tags.
        parents: Tags of the sequences around it.
        rules: Knows the safe private attributes.
    """
    found: dict[int, Handler | None] = {}
    names: dict[int, str] = {}
    for element in elements:
        tag = element.tag
        if not tag & PRIVATE:
            continue
        number = tag & 0xFFFF
        if 0x10 <= number <= 0xFF:
            names[tag] = body[element.start : element.end].decode("latin-1").strip(" \0")
            continue
        creator = (tag & 0xFFFF0000) | (number >> 8)
        name = names.get(creator)
        handler = rules.find(name, tag & 0xFFFF00FF, element.vr, parents) if name else None
        if handler is not None:
            found[tag] = handler
            found[creator] = None
    return found


def is_binary(vr: str) -> bool:
    """Whether a VR holds numbers or bytes, not characters."""
    return vr in BINARY_SIZES or vr in ("OB", "OD", "OF", "OL", "OV", "OW")


def is_opaque_safe(value: bytes) -> bool:
    """Whether bytes of unknown meaning hold nothing that could be read.

    Short blobs (flags, checksums, version numbers) stay; anything with three letters or digits in a row, in
    one or two bytes a character, may be text and goes.
    """
    return len(value) <= _OPAQUE_LIMIT and _LETTERS.search(value) is None
