"""The profile: which action applies to which attribute."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from deid.core.errors import UsageError
from deid.dicom.profile.actions import PSEUDONYMS, REVEALS, Action, Option, Pseudonym
from deid.dicom.profile.concepts import concept_action, concept_is_retained
from deid.dicom.profile.iods import need
from deid.dicom.profile.overrides import Override, Wish, last_covering
from deid.dicom.profile.private import PRIVATE_SOURCES, PrivateRule, private_rule
from deid.dicom.profile.resolve import chosen, combined, is_retained
from deid.dicom.profile.tables import TableRow, table_row
from deid.dicom.profile.unlisted import (
    BULK_VRS,
    DATE_VRS,
    KNOWN_BULK,
    TEXT_VRS,
    dictionary_vrs,
    is_never_kept,
    is_other_kind,
    unlisted,
)

if TYPE_CHECKING:
    from deid.dicom.profile.claims import ProfileClaims

_UNCLEANABLE = BULK_VRS | {"UN", "UR", "PN"}
"""VRs without a way to take identity out of a value and leave the rest."""
_PRIVATE_BIT = 0x10000


@dataclass(frozen=True)
class Profile:
    """The Basic Application Level Confidentiality Profile (PS3.15 Annex E) with options and exceptions.

    All methods are pure functions of their arguments; callers remember the answers.

    Attributes:
        name: Preset it comes from, or ``custom``.
        options: Active options.
        private_sources: Lists of safe private attributes: ``standard``, ``tcia``.
        overrides: Exceptions of the recipe; later ones win. Those bound to modalities only hold in the
            profile that :meth:`for_modality` returns.
        keep_times: Times of day stay; only days are shifted.
        replace_references: Sequences of row ``X/Z/U*`` (Referenced and Source Image Sequence) stay with
            replaced UIDs, which the row allows, also where the IOD could do without them.
        digest: SHA-256 of the recipe and the editions of the tables; empty if not made from a recipe.
    """

    name: str
    options: frozenset[Option] = frozenset()
    private_sources: tuple[str, ...] = ()
    overrides: tuple[Override, ...] = ()
    keep_times: bool = False
    replace_references: bool = False
    digest: str = ""

    def __post_init__(self) -> None:
        if {Option.RETAIN_FULL_DATES, Option.RETAIN_MODIFIED_DATES} <= self.options:
            raise UsageError(
                "options: retain-full-dates and retain-modified-dates exclude each other (PS3.15 E.3.6); "
                "choose one of them"
            )
        if not set(self.private_sources) <= set(PRIVATE_SOURCES):
            raise UsageError(f"private: allowed are {', '.join(PRIVATE_SOURCES)}")
        if self.private_sources and Option.RETAIN_SAFE_PRIVATE not in self.options:
            raise UsageError("private: needs the option retain-safe-private; add it or leave the lists out")

    def for_modality(self, modality: str) -> Profile:
        """The profile for objects of one modality (value of (0008,0060)): its exceptions become general.

        Exceptions for other modalities are dropped. Returns the profile itself if no exception is bound to
        a modality.
        """
        if not any(override.modalities for override in self.overrides):
            return self
        kept = (o for o in self.overrides if not o.modalities or modality.strip() in o.modalities)
        return replace(self, overrides=tuple(replace(o, modalities=frozenset()) for o in kept))

    def action(self, tag: int, vr: str, parents: tuple[int, ...], sop_class: str) -> Action:
        """What happens to a standard attribute.

        KEEP of a text VR is only returned where a recipe says ``keep-verbatim``; whatever else stays is
        CLEAN. Private attributes, group lengths and groups 0000 and 0002 are REMOVE here: private ones are
        asked of :meth:`private`, file meta is written anew by the caller. For the attributes in
        :data:`~deid.dicom.profile.actions.PSEUDONYMS` see :meth:`pseudonym`, for constants of a recipe
        :meth:`replacement`.

        Args:
            tag: Tag number.
            vr: VR in the file; for implicit VR that of the data dictionary.
            parents: Tags of the sequences around it, outermost first.
            sop_class: SOP Class UID of the object.
        """
        if self.overrides and not is_never_kept(tag):
            override = self._override(tag, parents, sop_class)
            if override is not None:
                return _carried_out(override, vr)
        return self.table_action(tag, vr, parents, sop_class)

    def table_action(self, tag: int, vr: str, parents: tuple[int, ...], sop_class: str) -> Action:
        """What tables, options and the rule for unlisted attributes say, without a recipe's exceptions."""
        if tag & _PRIVATE_BIT or is_never_kept(tag):
            return Action.REMOVE
        vr = _known_vr(tag, vr)
        row = table_row(tag)
        if row is None:
            action = unlisted(tag, vr, self.options)
        else:
            action = self._row_action(row, vr, parents, sop_class)
        if REVEALS[action] == 0:
            if row is None:
                return self.removal(tag, vr, parents, sop_class)
            return action
        action = _possible(action, tag, vr)
        return self.removal(tag, vr, parents, sop_class) if action is Action.REMOVE else action

    def _row_action(self, row: TableRow, vr: str, parents: tuple[int, ...], sop_class: str) -> Action:
        assert row.tag is not None
        action = chosen(row.options, self.options)
        if action is Action.CLEAN and vr not in DATE_VRS and row.options.get(Option.RETAIN_MODIFIED_DATES):
            # a time stamp in bytes or a zone in text cannot be shifted, so it goes
            action = None
        if action is not None:
            return action
        if "U*" in row.basic and self.replace_references:
            return Action.UID
        return combined(row.basic, need(sop_class, parents, row.tag))

    def removal(self, tag: int, vr: str, parents: tuple[int, ...], sop_class: str) -> Action:
        """What happens to a value that may not stay although its attribute may.

        Returns:
            REMOVE, EMPTY or DUMMY, as the row and the IOD ask.
        """
        if tag & _PRIVATE_BIT or is_never_kept(tag):
            return Action.REMOVE
        row = table_row(tag)
        basic = row.basic if row is not None else ("Z" if vr == "PN" and dictionary_vrs(tag) else "X")
        action = combined(basic, need(sop_class, parents, tag))
        return action if action is not Action.UID else combined("X/Z/D", need(sop_class, parents, tag))

    def replacement(self, tag: int, parents: tuple[int, ...], sop_class: str) -> str | None:
        """The constant that the recipe puts in place of a standard attribute; None: it names none."""
        override = self._override(tag, parents, sop_class) if self.overrides else None
        return override.value if override is not None and override.wish is Wish.REPLACE else None

    def retains(self, tag: int, parents: tuple[int, ...], sop_class: str) -> bool:
        """Whether an attribute names a device or an institution that an option retains.

        Such a value loses only what is known of the patient. What no table lists follows the sequences around
        it.
        """
        if self._override(tag, parents, sop_class) is not None:
            return False
        row = next((row for row in map(table_row, (tag, *reversed(parents))) if row is not None), None)
        return row is not None and is_retained(row.options, self.options)

    def pseudonym(self, tag: int, parents: tuple[int, ...], sop_class: str) -> Pseudonym | None:
        """Which pseudonym replaces an attribute; None: none does, or the recipe wants something else."""
        found = PSEUDONYMS.get(tag)
        if found is None or self._override(tag, parents, sop_class) is None:
            return found
        return None

    def private(
        self, creator: str, group: int, element_low: int, vr: str, parents: tuple[int, ...] = ()
    ) -> PrivateRule | None:
        """Why a private attribute may stay, and as what.

        Args:
            creator: Private creator of its block; leading and trailing spaces and nulls do not count,
                everything else, case included, must match.
            group: Group number.
            element_low: Last two hexadecimal digits of the element number.
            vr: VR in the file.
            parents: Tags of the sequences around it.

        Returns:
            None: it is removed.
        """
        name = creator.strip(" \0")
        tag = (group << 16) | element_low
        general = self._general_overrides()
        override = last_covering(general, tag, parents, "", name) if general else None
        if override is not None:
            return _private_override(override, vr)
        return private_rule(self.private_sources, self.options, (group, name, element_low), vr, parents)

    def concept(self, code_value: str, scheme: str, value_type: str) -> Action | None:
        """What happens to the value of a content item or waveform annotation; None: not listed."""
        return concept_action(code_value, scheme, value_type, self.options)

    def retains_concept(self, code_value: str, scheme: str, value_type: str) -> bool:
        """Whether a content item names a device or an institution that an option retains."""
        return concept_is_retained(code_value, scheme, value_type, self.options)

    def claims(self, sop_class: str = "", modality: str = "") -> ProfileClaims:
        """Which codes of CID 7050 an object may claim, and which exceptions forbid it."""
        from deid.dicom.profile.claims import profile_claims

        return profile_claims(self, sop_class, modality)

    def keeps_verbatim(self, tag: int, parents: tuple[int, ...], sop_class: str) -> bool:
        """Whether the recipe keeps an attribute word by word at this place."""
        override = self._override(tag, parents, sop_class) if self.overrides else None
        return override is not None and override.wish is Wish.KEEP_VERBATIM

    @property
    def kept(self) -> frozenset[int]:
        """Tags whose dates or UIDs the recipe keeps on purpose."""
        wishes = (o.leaf for o in self.overrides if o.wish.action is Action.KEEP)
        return frozenset(leaf.value for leaf in wishes if leaf.is_exact)

    @property
    def verbatim(self) -> frozenset[int]:
        """Tags that the recipe keeps word by word on purpose."""
        wishes = (o.leaf for o in self.overrides if o.wish is Wish.KEEP_VERBATIM)
        return frozenset(leaf.value for leaf in wishes if leaf.is_exact)

    @property
    def temporal(self) -> str:
        """Value of Longitudinal Temporal Information Modified (0028,0303)."""
        if Option.RETAIN_FULL_DATES in self.options:
            return "UNMODIFIED"
        return "MODIFIED" if Option.RETAIN_MODIFIED_DATES in self.options else "REMOVED"

    def _override(self, tag: int, parents: tuple[int, ...], sop_class: str) -> Override | None:
        general = self._general_overrides()
        return last_covering(general, tag, parents, sop_class, None) if general else None

    def _general_overrides(self) -> tuple[Override, ...]:
        if any(o.modalities for o in self.overrides):
            return tuple(o for o in self.overrides if not o.modalities)
        return self.overrides


def _known_vr(tag: int, vr: str) -> str:
    """The VR of the file (the first of alternatives), or of the data dictionary where the file says UN."""
    if vr != "UN":
        return vr.split(" or ", 1)[0]
    allowed = dictionary_vrs(tag)
    return next(iter(allowed)) if len(allowed) == 1 else vr


def _possible(action: Action, tag: int, vr: str) -> Action:
    """Limit KEEP, CLEAN and UID to what can be done with a value of that VR; REMOVE where nothing can."""
    if vr == "SQ":
        return Action.CLEAN if action is Action.KEEP else action
    if is_other_kind(tag, vr):
        return Action.REMOVE
    if action is Action.UID:
        return action if vr == "UI" else Action.REMOVE
    if vr in BULK_VRS and tag in KNOWN_BULK:
        return action
    if vr in _UNCLEANABLE:
        return Action.REMOVE
    if vr in TEXT_VRS or vr == "AE":
        return Action.CLEAN
    return Action.UID if vr == "UI" and action is Action.CLEAN else action


def _carried_out(override: Override, vr: str) -> Action:
    """The action that carries out an exception: also what a recipe keeps is cleaned, unless verbatim."""
    action = override.wish.action
    if vr == "SQ" and action is Action.KEEP:
        return Action.CLEAN
    if action is Action.KEEP and override.wish is Wish.KEEP:
        return Action.CLEAN if vr in TEXT_VRS or vr in ("AE", "PN") else action
    if action is Action.CLEAN and vr == "UI":
        return Action.UID
    return Action.REMOVE if action is Action.CLEAN and vr in BULK_VRS | {"UN"} else action


def _private_override(override: Override, vr: str) -> PrivateRule | None:
    action = _carried_out(override, vr) if vr != "UN" else override.wish.action
    if action is Action.REMOVE:
        return None
    return PrivateRule(action, vr, "recipe", override.value if override.wish is Wish.REPLACE else None)


PRESETS = ("basic", "research")
DEFAULT_PRESET = "research"

_RESEARCH = frozenset(
    {
        Option.CLEAN_DESCRIPTORS,
        Option.CLEAN_STRUCTURED_CONTENT,
        Option.CLEAN_GRAPHICS,
        Option.RETAIN_PATIENT_CHARACTERISTICS,
        Option.RETAIN_MODIFIED_DATES,
        Option.RETAIN_SAFE_PRIVATE,
    }
)


def preset_profile(name: str = DEFAULT_PRESET, private: Iterable[str] | None = None) -> Profile:
    """The profile of a preset.

    Args:
        name: ``basic`` (no options) or ``research``.
        private: Lists of safe private attributes; None for those of the preset.

    Raises:
        UsageError: No such preset or list.
    """
    if name == "basic":
        return Profile("basic", private_sources=tuple(sorted(set(private or ()))))
    if name == "research":
        sources = PRIVATE_SOURCES if private is None else tuple(sorted(set(private)))
        return Profile("research", _RESEARCH, sources, replace_references=True)
    raise UsageError(f"preset: no such preset; choose {' or '.join(PRESETS)}")
