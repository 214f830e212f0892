"""From an attribute's action to a function on its value.

A handler is resolved once for (tag, VR, place, SOP class) and then called for every such element. Which
action applies is the profile's word; what an action does to a value of some VR is written here:

========  =====================================================================================
VR        cleaned or kept
========  =====================================================================================
SQ        every item is walked
text      LO SH ST LT UT UC AE: free text is cleaned, also where the table says K
codes     Code Value and its scheme, names and versions of technical things lose known identifiers only
CS        stays if it follows the grammar of PS3.5 6.2 and holds no identifier of six characters or more
DS IS     stay if they are numbers; else cleaned as text
DA TM DT  shifted (C) or kept (K); what is no date or time is removed
AS        stays, above 89 years becomes 090Y; what is no age is removed
UI        registered UIDs stay, others are replaced; with Retain UIDs all that are UIDs stay
binary    US SS UL SL FL FD SV UV AT stay if their length is a multiple of their size
bulk      OB OW OF OD OL OV stay where the profile knows what they hold
UN        treated as the VR that the data dictionary knows; otherwise removed
========  =====================================================================================
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING

from deid.core.errors import Held
from deid.dicom.elements import Buffer, Element, StructureError, dictionary_vr, walk_items
from deid.dicom.identity import identity_of
from deid.dicom.pairs import partner_of
from deid.dicom.private import is_opaque_safe
from deid.dicom.profile import Action, PrivateRule, Profile, Pseudonym
from deid.dicom.structured import EXACT_VALUES, MEASURED_VALUE_SEQUENCE, NUMERIC_VALUE, capped_number
from deid.dicom.values import (
    BINARY_SIZES,
    CODES,
    DATE_VRS,
    DESIGNATIONS,
    NUMBERS,
    TEXT_VRS,
    ValueCleaner,
    capped_age,
    is_plain_ascii,
    is_valid_date,
    is_valid_uid,
)

if TYPE_CHECKING:
    from deid.dicom.rewrite import Level

BULK_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW"})
_PIXEL_GROUP = 0x7FE0
PATIENT_NAME, PATIENT_ID = 0x00100010, 0x00100020
_ISSUER = 0x00100021
_REMEMBERED = 4096
_SHORTEST_NUMBER = 6
_CODE_MEANING, _SCHEME = 0x00080104, 0x00080102
_STANDARD_SCHEMES = frozenset(
    {b"DCM", b"SCT", b"SRT", b"SNM3", b"99SDM", b"LN", b"UCUM", b"FMA", b"RADLEX", b"NCIt", b"UMLS", b"MDC"}
    | {b"BI", b"I10", b"I9", b"I9C", b"I10P", b"C4", b"MAYO", b"NEU", b"PUBCHEM_CID", b"RXNORM", b"ISO3166_1"}
    | {
        b"ISO639_1",
        b"SCPECG",
        b"ASTM-sigpurpose",
        b"IBSI",
        b"MSH",
        b"ICDO3",
        b"CD8",
        b"RFC5646",
        b"UNS",
        b"ITIS_TSN",
    }
)
"""Coding schemes whose meanings are terms of a standard (PS3.16 chapter 8), not free text."""


class Fate(Enum):
    """What a handler decides when it does not return a new value."""

    KEEP = "copied as it is"
    DROP = "left out"
    WALK = "its items are walked"
    DUMMY_WALK = "its items are walked and every text in them is replaced"
    NEW_PIXELS = "new pixel data takes its place"


Handler = Callable[[Element, "Level"], "bytes | Fate"]


class Handlers:
    """Resolves and holds the handlers of one patient under one profile.

    Args:
        profile: Which action applies to which attribute.
        cleaner: How values of this patient are replaced.
    """

    def __init__(self, profile: Profile, cleaner: ValueCleaner) -> None:
        self.profile = profile
        self.cleaner = cleaner
        self.body: Buffer = b""
        self.own: dict[int, bytes] = {}

    def value(self, element: Element) -> bytes:
        """The value bytes of an element of the current body."""
        return self.body[element.start : element.end]

    def resolve(self, element: Element, level: Level, sop_class: str) -> Handler:
        """Return the handler of a standard (even group) element at its place."""
        tag, parents = element.tag, level.parents
        vr = element.vr if element.vr != "UN" else dictionary_vr(tag)
        if tag & 0xFFFF == 0 or tag >> 16 in (0x0000, 0x0002):
            return _drop  # group lengths, command and meta elements do not belong into a data set
        if tag >> 16 == _PIXEL_GROUP and parents:
            return _drop  # pixels inside a sequence are an icon or a copy that no step looks at
        constant = self.profile.replacement(tag, parents, sop_class)
        if constant is not None:
            value = constant.encode()
            return lambda element, level: value
        pseudonym = self.profile.pseudonym(tag, parents, sop_class)
        if pseudonym is Pseudonym.PATIENT:
            return self._patient
        if pseudonym is not None:
            return self._labelled(str(pseudonym))
        if level.dummy_all and tag in EXACT_VALUES:
            return _drop  # what they say is said by Numeric Value, which becomes a dummy
        if level.dummy_all and vr not in BINARY_SIZES and vr != "CS":
            return self.dummy(vr)  # numbers and codes say how the rest is built
        action = self.profile.action(tag, vr, parents, sop_class)
        if action is Action.KEEP and self.profile.keeps_verbatim(tag, parents, sop_class):
            return _keep
        if action in (Action.KEEP, Action.CLEAN):
            otherwise = self._gone(self.profile.removal(tag, vr, parents, sop_class), vr)
            retained = self.profile.retains(tag, parents, sop_class)
            return self.kept(vr, otherwise, shift=action is Action.CLEAN, tag=tag, retained=retained)
        if action is Action.UID:
            return _walk if vr == "SQ" else self._uid
        return self._gone(action, vr)

    def private(self, rule: PrivateRule, vr: str) -> Handler:
        """Return the handler of a private element that a rule lets stay."""
        if rule.value is not None:
            value = rule.value.encode()
            return lambda element, level: value
        if rule.action is Action.UID:
            return self._uid
        if rule.action not in (Action.KEEP, Action.CLEAN):
            return self._gone(rule.action, vr)
        if vr in BULK_VRS or vr == "UN":
            return self._opaque
        # a private date is never kept as it is: no option of the standard speaks of it
        shift = rule.action is Action.CLEAN or vr in DATE_VRS
        return self.kept(vr, _drop, shift=shift, tag=0, retained=rule.retained)

    def _opaque(self, element: Element, level: Level) -> bytes | Fate:
        return Fate.KEEP if is_opaque_safe(self.value(element)) else Fate.DROP

    def _gone(self, action: Action, vr: str) -> Handler:
        if action is Action.REMOVE:
            return _drop
        return _empty if action is Action.EMPTY else self.dummy(vr)

    def kept(self, vr: str, otherwise: Handler, *, shift: bool, tag: int, retained: bool = False) -> Handler:
        """Handler of an attribute that stays in some form.

        Args:
            vr: Its VR, by the stream or by the data dictionary.
            otherwise: What happens to a value that may not stay at all.
            shift: Dates are shifted, UIDs replaced (action C), not kept (action K).
            tag: To find the time that belongs to a date.
            retained: It names a device or an institution that an option retains.
        """
        if vr == "SQ":
            return lambda element, level: _walkable(self.body, element, level, otherwise)
        if retained and (vr in TEXT_VRS or vr in ("AE", "CS")):
            return self.retained(vr, otherwise)
        if tag == _CODE_MEANING:
            return self._meaning(vr, otherwise)
        if tag in CODES:
            return self._checked(lambda raw, level: self.cleaner.code_value(raw, level.charset), otherwise)
        if tag in DESIGNATIONS:
            return self._checked(
                lambda raw, level: self.cleaner.designation(raw, vr, level.charset), otherwise
            )
        if vr in TEXT_VRS or vr == "AE":
            return self._checked(lambda raw, level: self.cleaner.text(raw, vr, level.charset), otherwise)
        if vr == "CS":
            return self._checked(lambda raw, level: self.cleaner.code_string(raw), otherwise)
        if vr in ("DS", "IS"):
            return self._numbers(vr, tag, otherwise)
        if vr == "AS":
            return self._checked(lambda raw, level: capped_age(raw), otherwise)
        if vr in DATE_VRS and shift:
            return self._dates(vr, tag, otherwise)
        if vr in DATE_VRS:
            return self._checked(lambda raw, level: raw if is_valid_date(raw, vr) else b"", otherwise)
        if vr == "UI" and shift:
            return self._uid
        if vr == "UI":
            return self._checked(
                lambda raw, level: raw if is_valid_uid(raw) else self.cleaner.uid(raw), otherwise
            )
        if vr in BINARY_SIZES:
            size = BINARY_SIZES[vr]
            return lambda element, level: (
                Fate.KEEP if (element.end - element.start) % size == 0 else otherwise(element, level)
            )
        return _keep if vr in BULK_VRS else otherwise

    def _checked(self, change: Callable[[bytes, Level], bytes], otherwise: Handler) -> Handler:
        """A handler that compares the changed value with the old one: keep, replace or give up.

        What became of a value is remembered: a series repeats the same values in every instance.
        """
        memo: dict[bytes, bytes | Fate] = {}

        def handle(element: Element, level: Level) -> bytes | Fate:
            raw = self.body[element.start : element.end]
            fate = memo.get(raw)
            if fate is None:
                fate = self._compared(raw, change(raw, level) if raw else raw, element, level, otherwise)
                if is_plain_ascii(raw):  # other bytes mean something else in another character set
                    if len(memo) >= _REMEMBERED:
                        memo.clear()
                    memo[raw] = fate
            return fate

        return handle

    def _compared(
        self, raw: bytes, new: bytes, element: Element, level: Level, otherwise: Handler
    ) -> bytes | Fate:
        if new == raw:
            return Fate.KEEP
        if not new:
            return otherwise(element, level) if raw.strip(b" \0") else new
        # only the padding differs: nothing was found
        return Fate.KEEP if new == raw.rstrip(b" \0") and len(raw) - len(new) <= 1 else new

    def _numbers(self, vr: str, tag: int, otherwise: Handler) -> Handler:
        """Numbers stay without being copied out; anything else in their place is cleaned as text."""
        is_number, numbers = NUMBERS[vr].fullmatch, self.cleaner.numbers
        words = self._checked(lambda raw, level: self.cleaner.text(raw, "SH", level.charset), otherwise)

        def handle(element: Element, level: Level) -> bytes | Fate:
            if not is_number(self.body, element.start, element.end):
                return words(element, level)
            if numbers and element.end - element.start >= _SHORTEST_NUMBER:
                values = self.value(element).strip(b" \0").split(b"\\")
                if not numbers.isdisjoint(value.strip() for value in values):
                    return otherwise(element, level)
            return capped_number(self.body, element, level) if tag == NUMERIC_VALUE else Fate.KEEP

        return handle

    def _meaning(self, vr: str, otherwise: Handler) -> Handler:
        """Code meanings of standard schemes are terms; those of local schemes are free text."""
        term = self._checked(lambda raw, level: self.cleaner.designation(raw, vr, level.charset), otherwise)
        text = self._checked(lambda raw, level: self.cleaner.text(raw, vr, level.charset), otherwise)

        def handle(element: Element, level: Level) -> bytes | Fate:
            scheme = level.find(_SCHEME)
            known = scheme is not None and self.value(scheme).strip(b" \0") in _STANDARD_SCHEMES
            return (term if known else text)(element, level)

        return handle

    def _dates(self, vr: str, tag: int, otherwise: Handler) -> Handler:
        partner_tag = partner_of(tag)

        alone = self._checked(lambda raw, level: self.cleaner.date(raw, vr), otherwise)

        def handle(element: Element, level: Level) -> bytes | Fate:
            partner = level.find(partner_tag) if partner_tag else None
            if partner is None or partner.items is not None:
                return alone(element, level)
            raw, other = self.value(element), self.value(partner)
            new = self.cleaner.pair(raw, other)[0] if vr == "DA" else self.cleaner.pair(other, raw)[1]
            return self._compared(raw, new, element, level, otherwise)

        return handle

    def _uid(self, element: Element, level: Level) -> bytes | Fate:
        raw = self.body[element.start : element.end]
        new = self.cleaner.uid(raw)
        return Fate.KEEP if new == raw.rstrip(b" \0") else new

    def _patient(self, element: Element, level: Level) -> bytes | Fate:
        """Patient ID and Patient's Name in a nested data set: of this patient, or of somebody else."""
        raw = self.value(element).strip(b" \0")
        if not raw or raw == self.own.get(element.tag):
            return self.cleaner.patient.label.encode()
        issuer = level.find(_ISSUER) if element.tag == PATIENT_ID else None
        somebody = identity_of(raw.decode("latin-1"), self.value(issuer).decode("latin-1") if issuer else "")
        if element.tag == PATIENT_ID and somebody is not None:
            return self.cleaner.pseudonyms.patient(somebody).encode()
        return self.cleaner.pseudonyms.label("person", raw.decode("latin-1")).encode()

    def _labelled(self, purpose: str) -> Handler:
        """Accession Number and Study ID: keyed pseudonyms, equal in every file, within the length of SH."""

        def handle(element: Element, level: Level) -> bytes | Fate:
            raw = self.value(element).strip(b" \0")
            return self.cleaner.pseudonyms.label(purpose, raw.decode("latin-1")).encode() if raw else b""

        return handle

    def retained(self, vr: str, otherwise: Handler) -> Handler:
        """Handler of a text that names a device or an institution and is retained by an option."""
        return self._checked(lambda raw, level: self.cleaner.retained(raw, vr, level.charset), otherwise)

    def replaced(self, tag: int, vr: str) -> Handler:
        """Handler of the value of a content item that may not stay."""
        if tag == MEASURED_VALUE_SEQUENCE:
            return _empty  # type 2: without an item the value is not known (PS3.3 C.18.1)
        return _drop if tag in EXACT_VALUES else self.dummy(vr)

    def dummy(self, vr: str) -> Handler:
        """Handler that leaves something valid and meaningless (action D)."""
        if vr == "SQ":
            return lambda element, level: Fate.DUMMY_WALK if element.items is not None else b""
        return lambda element, level: self.cleaner.dummy(self.value(element), vr, element.tag)


def _walkable(body: Buffer, element: Element, level: Level, otherwise: Handler) -> bytes | Fate:
    """Sequences whose content cannot be walked may not stay."""
    if element.items is not None:
        return Fate.WALK
    if element.vr == "UN":
        with contextlib.suppress(StructureError):
            walk_items(body, element.start, element.end)
            return Fate.WALK
    fate = otherwise(element, level)
    if fate is Fate.DROP or fate == b"":
        return fate
    raise Held("structure: a sequence that must stay cannot be read")


def _keep(element: Element, level: Level) -> bytes | Fate:
    return Fate.KEEP


def _drop(element: Element, level: Level) -> bytes | Fate:
    return Fate.DROP


def _empty(element: Element, level: Level) -> bytes | Fate:
    return b""


def _walk(element: Element, level: Level) -> bytes | Fate:
    return Fate.WALK
