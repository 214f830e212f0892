"""Private attributes that may stay (PS3.15 E.3.10), by creator and element.

The Cancer Imaging Archive's list is compiled to 2,295 elements that are kept and 9 that name a device or an
institution and need the option that retains those. Of its rows 551 speak of standard attributes inside
private sequences, which Table E.1-1 and the rule by VR decide as anywhere else, and 334 of private creators
or of elements without one, which never stay; no row is left that is not understood.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

from deid.dicom.profile.actions import Action, Option
from deid.dicom.profile.tables import SAFE_PRIVATE, TCIA, read_table
from deid.dicom.profile.unlisted import BINARY_VRS, BULK_VRS, DATE_VRS, TEXT_VRS

STANDARD = "standard"
TCIA_SOURCE = "tcia"
PRIVATE_SOURCES = (STANDARD, TCIA_SOURCE)

_Key = tuple[int, str, int]
"""Group, creator, last two digits of the element."""


@dataclass(frozen=True)
class PrivateRule:
    """Why a private attribute may stay, and as what.

    Attributes:
        action: KEEP (numbers, codes; the rewriter checks their grammar), CLEAN (text is cleaned, sequences
            are walked, dates and times are shifted), UID (replaced), or what a recipe asks for.
        vr: How its value is to be read; ``UN`` where neither the file nor a table says.
        source: ``standard``, ``tcia`` or ``recipe``.
        value: The constant of a recipe; None otherwise.
        retained: It names a device or an institution, and stays because an option retains those.
    """

    action: Action
    vr: str
    source: str
    value: str | None = None
    retained: bool = False


@dataclass(frozen=True)
class _Entry:
    vr: str
    letter: str
    anywhere: bool = True

    def holds(self, options: frozenset[Option]) -> bool:
        """Whether the element may stay under these options."""
        return self.letter != "X" and (self.letter not in _RETAINED or _RETAINED[self.letter] in options)


_RETAINED = {"V": Option.RETAIN_DEVICE_IDENTITY, "I": Option.RETAIN_INSTITUTION_IDENTITY}
"""Names of devices and institutions stay with the option that retains them, by the letter of the entry."""


@functools.cache
def standard_entries() -> Mapping[_Key, _Entry]:
    """Table E.3.10-1."""
    return {
        (int(group, 16), creator, int(element, 16)): _Entry(vr or "UN", "K")
        for group, element, creator, vr in read_table(SAFE_PRIVATE)
    }


@functools.cache
def tcia_entries() -> Mapping[tuple[str, _Key], _Entry]:
    """The knowledge base of The Cancer Imaging Archive; the path of sequences is part of the key."""
    found = {}
    for path, group, creator, elements in read_table(TCIA):
        for element in elements.split(" "):
            number, vr, letter = element.split(":")
            key = (int(group, 16), creator, int(number, 16))
            found[path, key] = _Entry(vr, letter[0], letter.endswith("*"))
    return found


def _path(parents: tuple[int, ...]) -> str:
    steps = (f"{tag >> 16:04x}xx{tag & 0xFF:02x}" if tag & 0x10000 else f"{tag:08x}" for tag in parents)
    return ">".join(steps)


def entry_count(source: str, options: frozenset[Option]) -> int:
    """How many private elements of a list may stay."""
    entries = standard_entries().values() if source == STANDARD else tcia_entries().values()
    return sum(entry.holds(options) for entry in entries)


def _entry(sources: tuple[str, ...], key: _Key, parents: tuple[int, ...]) -> tuple[_Entry, str] | None:
    if STANDARD in sources:
        entry = standard_entries().get(key)
        if entry is not None:
            return entry, STANDARD
    if TCIA_SOURCE in sources:
        here = tcia_entries().get((_path(parents), key))
        if here is not None:
            return here, TCIA_SOURCE
        top = tcia_entries().get(("", key))
        if top is not None and top.anywhere:
            return top, TCIA_SOURCE
    return None


def private_rule(
    sources: tuple[str, ...],
    options: frozenset[Option],
    key: _Key,
    vr: str,
    parents: tuple[int, ...],
) -> PrivateRule | None:
    """Look a private attribute up.

    Args:
        sources: Which lists count: ``standard``, ``tcia``.
        options: Active options; without Retain Safe Private nothing private stays.
        key: Group, stripped creator, last two digits of the element.
        vr: VR in the file.
        parents: Tags of the sequences around it.

    Returns:
        None: it is removed.
    """
    if Option.RETAIN_SAFE_PRIVATE not in options:
        return None
    found = _entry(sources, key, parents)
    if found is None:
        return None
    entry, source = found
    if not entry.holds(options):
        return None
    declared = entry.vr
    vr = effective_vr(vr, declared)
    if entry.letter == "U" or vr == "UI":
        return PrivateRule(Action.KEEP if Option.RETAIN_UIDS in options else Action.UID, vr, source)
    if entry.letter == "T":
        vr = declared
    action = private_action(vr, options)
    if action is None:
        return None
    return PrivateRule(action, vr, source, retained=entry.letter in _RETAINED)


def effective_vr(vr: str, declared: str) -> str:
    """How a private value is read: by the file, unless the file says nothing or only "bytes"."""
    if vr == "UN" or (vr in BULK_VRS and declared != "UN"):
        return declared
    # a text VR says more of what may be inside than the list does, a numeric one says less
    return declared if declared in TEXT_VRS and vr in BINARY_VRS else vr


def private_action(vr: str, options: frozenset[Option]) -> Action | None:
    """What happens to a private value of known meaning; None: it is removed."""
    if vr in TEXT_VRS or vr in ("SQ", "UN"):
        return Action.CLEAN
    if vr in DATE_VRS:
        if Option.RETAIN_MODIFIED_DATES in options:
            return Action.CLEAN
        return Action.KEEP if Option.RETAIN_FULL_DATES in options else None
    if vr == "UI":
        return Action.KEEP if Option.RETAIN_UIDS in options else Action.UID
    if vr == "AS":
        return Action.KEEP if Option.RETAIN_PATIENT_CHARACTERISTICS in options else None
    return None if vr in ("PN", "AE", "UR") else Action.KEEP
