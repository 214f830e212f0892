"""From the letters of a table row to one action."""

from __future__ import annotations

from collections.abc import Mapping

from deid.dicom.profile.actions import Action, Option
from deid.dicom.profile.iods import Need


def chosen(letters: Mapping[Option, str], options: frozenset[Option]) -> Action | None:
    """What the active options say of a row; None: nothing, so the Basic Profile holds.

    C beats K, because what one option cleans may not stay untouched by another.
    """
    active = {letter for option, letter in letters.items() if option in options}
    if "C" in active:
        return Action.CLEAN
    return Action.KEEP if "K" in active else None


def is_retained(letters: Mapping[Option, str], options: frozenset[Option]) -> bool:
    """Whether an active option retains what the row names, a device or an institution, as it is."""
    by = _IDENTITIES & options
    return any(letters.get(option) == "K" for option in by) and chosen(letters, options) is Action.KEEP


_IDENTITIES = frozenset({Option.RETAIN_DEVICE_IDENTITY, Option.RETAIN_INSTITUTION_IDENTITY})


def combined(basic: str, need: Need) -> Action:
    """Resolve the action codes of the Basic Profile by the type of the attribute (PS3.15 Table E.1-1a).

    Letters stand in the order of what they take away: the first holds unless the IOD asks for more, so an
    unknown IOD gets the strictest. Also where the row has a single letter the object stays valid: what must
    be present is emptied instead of removed, and what must have a value gets a dummy.

    Args:
        basic: Letters such as ``X/Z/D`` or ``X/Z/U*``.
        need: What the IOD asks for.
    """
    letters = basic.replace("*", "").split("/")
    if len(letters) == 1 and letters[0] in "DU":
        return Action(letters[0])
    if need is Need.VALUE:
        return Action.UID if "U" in letters else Action.DUMMY
    return Action.EMPTY if need is Need.PRESENT else Action(letters[0])
