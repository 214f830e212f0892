"""Exceptions that a recipe makes for single attributes."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from deid.dicom.profile.actions import REVEALS, Action


class Wish(StrEnum):
    """What a recipe can ask for an attribute."""

    KEEP = "keep"
    KEEP_VERBATIM = "keep-verbatim"
    CLEAN = "clean"
    REMOVE = "remove"
    EMPTY = "empty"
    DUMMY = "dummy"
    UID = "uid"
    REPLACE = "replace"

    @property
    def action(self) -> Action:
        """The action that carries the wish out; a constant value is a dummy."""
        return _ACTIONS[self]


_ACTIONS = {
    Wish.KEEP: Action.KEEP,
    Wish.KEEP_VERBATIM: Action.KEEP,
    Wish.CLEAN: Action.CLEAN,
    Wish.REMOVE: Action.REMOVE,
    Wish.EMPTY: Action.EMPTY,
    Wish.DUMMY: Action.DUMMY,
    Wish.UID: Action.UID,
    Wish.REPLACE: Action.DUMMY,
}


@dataclass(frozen=True)
class Step:
    """One attribute or sequence of a path, in tags with wildcard digits, or private with its creator.

    Attributes:
        mask: Which bits of the tag count.
        value: What they must be.
        creator: Private creator, stripped; None for a standard attribute.
    """

    mask: int
    value: int
    creator: str | None = None

    def matches(self, tag: int) -> bool:
        """Whether a tag is meant; the creator of a private sequence is not looked at."""
        return tag & self.mask == self.value

    @property
    def is_exact(self) -> bool:
        """Whether the step means one standard tag."""
        return self.creator is None and self.mask == 0xFFFFFFFF


MANAGED: Mapping[int, str] = MappingProxyType(
    {
        0x00080005: "Specific Character Set says how to read everything else",
        0x00080016: "SOP Class UID says what the object is",
        0x00080018: "the tool keeps instances apart by it",
        0x00100010: "the tool writes the patient's pseudonym there; map patients with --patient-map",
        0x00100020: "the tool writes the patient's pseudonym there; map patients with --patient-map",
        0x00120062: "the tool states there what it did",
        0x00120063: "the tool states there what it did",
        0x00120064: "the tool states there what it did",
        0x0020000D: "the tool keeps studies apart by it",
        0x0020000E: "the tool keeps series apart by it",
        0x00280303: "the tool states there what it did",
        0x7FE00010: "pixels are the business of the pixel steps",
    }
)
"""Attributes of the outermost data set that no exception reaches, and why."""

_STANDARD = re.compile(r"\(?([0-9a-fx]{4}),?([0-9a-fx]{4})\)?", re.IGNORECASE)
_PRIVATE = re.compile(r"\(([0-9a-f]{4}),\s*\"([^\"]+)\",\s*(?:xx)?([0-9a-f]{2})\)", re.IGNORECASE)


def parse_step(text: str) -> Step | None:
    """Parse ``(gggg,eeee)``, with ``x`` for any digit, or ``(gggg,"creator",ee)``; None: neither."""
    private = _PRIVATE.fullmatch(text)
    if private:
        group, creator, element = int(private[1], 16), private[2].strip(), int(private[3], 16)
        return Step(0xFFFF00FF, (group << 16) | element, creator) if group & 1 and creator else None
    standard = _STANDARD.fullmatch(text)
    if standard is None:
        return None
    digits = (standard[1] + standard[2]).lower()
    mask = int("".join("0" if digit == "x" else "f" for digit in digits), 16)
    return Step(mask, int(digits.replace("x", "0"), 16))


@dataclass(frozen=True)
class Override:
    """One exception of a recipe.

    Attributes:
        label: As written in the recipe.
        path: Sequences and the attribute itself; matched against the end of the way to an attribute, so a
            single step holds at every level.
        wish: What is to happen.
        value: The constant for ``replace``.
        modalities: Only for these modalities; empty for all.
        sop_classes: Only for these SOP Class UIDs; empty for all.
    """

    label: str
    path: tuple[Step, ...]
    wish: Wish
    value: str = ""
    modalities: frozenset[str] = frozenset()
    sop_classes: frozenset[str] = frozenset()

    @property
    def leaf(self) -> Step:
        """The attribute itself."""
        return self.path[-1]

    @property
    def reveals(self) -> int:
        """How much it lets through, on the scale of :data:`deid.dicom.profile.actions.REVEALS`."""
        return REVEALS[self.wish.action] + (self.wish is Wish.KEEP_VERBATIM)

    def concerns(self, sop_class: str) -> bool:
        """Whether it holds for objects of a SOP class."""
        return not self.sop_classes or sop_class in self.sop_classes

    def covers(self, tag: int, parents: tuple[int, ...], creator: str | None = None) -> bool:
        """Whether an attribute is meant: its tag, the sequences around it and its private creator."""
        leaf = self.path[-1]
        if tag in MANAGED and not parents:
            return False
        if leaf.creator != creator or not leaf.matches(tag):
            return False
        if creator is None and tag & 0x10000:
            return False  # wildcards never reach into private groups: they are named with their creator
        around = self.path[:-1]
        if len(around) > len(parents):
            return False
        last = parents[len(parents) - len(around) :]
        return all(step.matches(parent) for step, parent in zip(around, last, strict=True))


@functools.lru_cache(4096)
def last_covering(
    overrides: tuple[Override, ...], tag: int, parents: tuple[int, ...], sop_class: str, creator: str | None
) -> Override | None:
    """The override that holds for an attribute: the last one in the recipe that covers it."""
    for override in reversed(overrides):
        if override.concerns(sop_class) and override.covers(tag, parents, creator):
            return override
    return None
