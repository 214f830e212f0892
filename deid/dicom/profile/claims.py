"""What may be claimed of an object, and what a recipe weakens (PS3.15 E.1.1, CID 7050)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from deid.dicom.profile.actions import BASIC_CODE, METHOD_CODES, REVEALS, Action, Option
from deid.dicom.profile.overrides import Override, Wish
from deid.dicom.profile.profile import Profile
from deid.dicom.profile.tables import TableRow, table_row, table_rows
from deid.dicom.profile.unlisted import dictionary_vrs


@dataclass(frozen=True)
class ProfileClaims:
    """What the profile allows to be said of an object.

    Attributes:
        codes: Code value and meaning of CID 7050, coding scheme DCM, of every option applied in full.
        weakened: Exceptions that let more through than the tables do, as the recipe writes them. Where
            there is one, Patient Identity Removed (0012,0062) must be NO.
    """

    codes: tuple[tuple[str, str], ...]
    weakened: tuple[str, ...]

    @property
    def identity_removed(self) -> bool:
        """Whether the profile allows Patient Identity Removed = YES."""
        return not self.weakened


def profile_claims(profile: Profile, sop_class: str = "", modality: str = "") -> ProfileClaims:
    """Which options an object may claim.

    An option is claimed only if every row of it is applied: no exception weakens a row of its column, and,
    for options that retain, none takes away what they promise to keep. The code of the Basic Profile falls
    with any weakened row.

    Args:
        profile: Active profile.
        sop_class: SOP Class UID of the object.
        modality: Value of its Modality (0008,0060).
    """
    profile = profile.for_modality(modality)
    weakened: list[str] = []
    broken: set[Option] = set() if profile.private_sources else {Option.RETAIN_SAFE_PRIVATE}
    for override in profile.overrides:
        if not override.concerns(sop_class):
            continue
        if override.leaf.creator is not None:
            if _weakens_private(profile, override):
                weakened.append(override.label)
                broken.add(Option.RETAIN_SAFE_PRIVATE)
            continue
        for tag, row in _meant(override):
            weaker, stricter = _compare(profile, override, tag, row, sop_class)
            columns = set(row.options) if row is not None else set()
            if weaker:
                weakened.append(override.label)
                broken |= columns
            elif stricter:
                broken |= {option for option in columns if option.retains}
    codes = [] if weakened else [BASIC_CODE]
    codes += sorted(option.code for option in profile.options - broken)
    return ProfileClaims(tuple((c, METHOD_CODES[c]) for c in codes), tuple(dict.fromkeys(weakened)))


def _meant(override: Override) -> Iterator[tuple[int, TableRow | None]]:
    """Tags that an exception means; of wildcards those that a table or the data dictionary lists."""
    leaf = override.leaf
    if leaf.is_exact:
        yield leaf.value, table_row(leaf.value)
        return
    from pydicom._dicom_dict import DicomDictionary

    listed = {row.tag for row in table_rows() if row.tag is not None}
    for tag in sorted(listed | set(DicomDictionary)):
        if leaf.matches(tag) and not tag & 0x10000:
            yield tag, table_row(tag)


def _compare(
    profile: Profile, override: Override, tag: int, row: TableRow | None, sop_class: str
) -> tuple[bool, bool]:
    """Whether an exception is weaker, and whether it is stricter, than the tables for any VR of a tag."""
    parents = tuple(step.value for step in override.path[:-1])
    weaker = stricter = False
    for vr in dictionary_vrs(tag) or frozenset({"LO"}):
        table = profile.table_action(tag, vr, parents, sop_class)
        mine = profile.action(tag, vr, parents, sop_class)
        shown = REVEALS[mine] + (mine is Action.KEEP and override.wish is Wish.KEEP_VERBATIM)
        # the row itself allows replaced UIDs
        allowed = mine is Action.UID and row is not None and "U" in row.basic
        weaker = weaker or (shown > REVEALS[table] and not allowed)
        stricter = stricter or (REVEALS[mine] == 0 < REVEALS[table])
    return weaker, stricter


def _weakens_private(profile: Profile, override: Override) -> bool:
    """A private attribute that no list calls safe is known to nobody but the recipe's author."""
    if override.reveals == 0:
        return False
    leaf = override.leaf
    parents = tuple(step.value for step in override.path[:-1])
    plain = Profile(profile.name, profile.options, profile.private_sources)
    rule = plain.private(leaf.creator or "", leaf.value >> 16, leaf.value & 0xFF, "UN", parents)
    return rule is None or override.reveals > REVEALS[rule.action]
