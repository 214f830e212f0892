"""What a profile does, for people: every tag with its action, and the conformance statement."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from deid.dicom.profile.actions import METHOD_CODES, REVEALS, Action, Option
from deid.dicom.profile.iods import Need
from deid.dicom.profile.private import STANDARD, entry_count
from deid.dicom.profile.profile import Profile
from deid.dicom.profile.resolve import combined
from deid.dicom.profile.tables import TableRow, concept_rows, editions, table_rows
from deid.dicom.profile.unlisted import dictionary_vrs, is_never_kept, unlisted

ACTION_NAMES = {
    Action.KEEP: "kept",
    Action.CLEAN: "cleaned",
    Action.REMOVE: "removed",
    Action.EMPTY: "emptied",
    Action.DUMMY: "replaced by a dummy",
    Action.UID: "UID replaced",
}


@dataclass(frozen=True)
class ProfileRow:
    """One attribute and what happens to it.

    Attributes:
        label: Tag such as ``(0010,0010)`` or ``(60xx,3000)``.
        name: Name of the attribute.
        vr: VR by the data dictionary; empty where it is not known.
        listed: Whether Table E.1-1 lists it; otherwise the rule for unlisted attributes decides.
        optional: Action where the IOD does not need it, or is not known.
        present: Action where it is of type 2.
        valued: Action where it is of type 1.
    """

    label: str
    name: str
    vr: str
    listed: bool
    optional: Action
    present: Action
    valued: Action

    @property
    def actions(self) -> str:
        """The actions in one word, such as ``X/Z/D``; one letter where the type makes no difference."""
        return "/".join(dict.fromkeys((self.optional, self.present, self.valued)))


def profile_rows(profile: Profile) -> Iterator[ProfileRow]:
    """Every attribute of Table E.1-1 and of the data dictionary, and what the profile does to it.

    Exceptions of a recipe that hold for all modalities, SOP classes and places are included.
    """
    from pydicom._dicom_dict import DicomDictionary

    for row in table_rows():
        if row.tag is None:
            yield _special(profile, row)
    names = {row.tag: row.name for row in table_rows() if row.tag is not None}
    unlisted_tags = {tag for tag in DicomDictionary if tag >> 16 not in (0x0000, 0x0002) and tag not in names}
    for tag in sorted(unlisted_tags | set(names)):
        if is_never_kept(tag) or tag >> 16 in (0xFFFE,):
            continue
        name = names.get(tag) or str(DicomDictionary[tag][2])
        yield _row(profile, tag, name, listed=tag in names)


def _special(profile: Profile, row: TableRow) -> ProfileRow:
    odd = row.label.startswith("(gggg")
    keeps = odd and Option.RETAIN_SAFE_PRIVATE in profile.options and profile.private_sources
    action = Action.CLEAN if keeps else Action.REMOVE
    name = f"{row.name} (those on the lists: {', '.join(profile.private_sources)})" if keeps else row.name
    return ProfileRow(row.label, name, "", True, action, action, action)


def _row(profile: Profile, tag: int, name: str, *, listed: bool) -> ProfileRow:
    vrs = sorted(dictionary_vrs(tag))
    vr = vrs[0] if vrs else "LO"
    action = profile.action(tag, vr, (), "")
    plain = profile.table_action(tag, vr, (), "")
    by_type = (action, action, action)
    if action is plain and REVEALS[action] == 0:
        basic = _basic(tag, vr, profile, listed)
        by_type = (
            combined(basic, Need.OPTIONAL),
            combined(basic, Need.PRESENT),
            combined(basic, Need.VALUE),
        )
    label = f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
    return ProfileRow(label, name, " or ".join(vrs), listed, *by_type)


def _basic(tag: int, vr: str, profile: Profile, listed: bool) -> str:
    if listed:
        return next(row.basic for row in _listed_rows(tag))
    return "Z" if unlisted(tag, vr, profile.options) is Action.EMPTY else "X"


def _listed_rows(tag: int) -> Iterator[TableRow]:
    from deid.dicom.profile.tables import table_row

    row = table_row(tag)
    if row is not None:
        yield row


def conformance_statement(profile: Profile) -> str:
    """The conformance statement that PS3.15 E.1.3 asks for, as Markdown.

    Generated from the active profile: options and codes, what goes beyond or below the tables, the lists
    of safe private attributes, and the edition of every table.
    """
    claims = profile.claims()
    sections = [
        "# De-identification conformance statement (PS3.15 E.1.3)",
        f"Profile `{profile.name}`: Basic Application Level Confidentiality Profile, with "
        + (", ".join(f"`{option.key}`" for option in Option if option in profile.options) or "no options")
        + ".",
        _codes(claims.codes),
        _counts(profile),
        _choices(profile),
        _private(profile),
        _exceptions(profile, claims.weakened),
        "## Tables\n\n" + "\n".join(f"- {source}: {edition}" for source, edition in editions().items()),
        "DICOM PS3.15 (c) NEMA. Tags, names and action codes are facts.",
    ]
    if profile.digest:
        sections.append(f"Recipe and tables: SHA-256 `{profile.digest}`")
    return "\n\n".join(sections) + "\n"


def _codes(codes: tuple[tuple[str, str], ...]) -> str:
    lines = [f"- {code} DCM {meaning}" for code, meaning in codes]
    never = "; ".join(f"{code} {METHOD_CODES[code]}" for code in ("113101", "113102"))
    lines.append(f"- Not by this profile, only by the pixel steps that carry them out: {never}")
    return "## Claimed (CID 7050)\n\n" + "\n".join(lines)


def _counts(profile: Profile) -> str:
    counts: dict[tuple[bool, str], int] = {}
    for row in profile_rows(profile):
        key = (row.listed, row.actions)
        counts[key] = counts.get(key, 0) + 1
    lines = ["## Actions", "", "| attributes | actions by type 3, 2, 1 | number |", "|---|---|---|"]
    for (listed, actions), number in sorted(counts.items(), key=lambda item: (not item[0][0], -item[1])):
        words = ", ".join(ACTION_NAMES[Action(letter)] for letter in actions.split("/"))
        lines.append(f"| {'Table E.1-1' if listed else 'not listed, by VR'} | {words} | {number} |")
    lines.append(f"\n{len(concept_rows())} content items are treated by Table E.3.4-1.")
    return "\n".join(lines)


def _choices(profile: Profile) -> str:
    references = (
        "Referenced and Source Image Sequences (X/Z/U*) stay with replaced UIDs."
        if profile.replace_references
        else "Referenced and Source Image Sequences (X/Z/U*) go where the IOD lets them."
    )
    lines = [
        "Combined actions such as X/Z/D are resolved by the type of the attribute in the IOD; for an unknown "
        "IOD the strictest letter holds. What an IOD requires is emptied (type 2) or replaced by a dummy "
        "(type 1), also where the row says X. Conditional attributes that are present stay present.",
        references,
        "Patient's Name, Patient ID, Accession Number and Study ID are replaced by keyed pseudonyms.",
        "Retained free text (K) is cleaned all the same; names of devices and institutions that an option "
        "retains lose only what is known of the patient.",
        "Overlay planes (60xx) and curves (50xx) are removed whole, also with Clean Graphics: bitmaps cannot "
        "be cleaned. Graphic annotations are cleaned.",
        "Attributes that Table E.1-1 does not list are decided by VR; unknown standard attributes, group "
        "lengths and bulk data of unknown content are removed; file meta information is written anew.",
    ]
    if Option.RETAIN_MODIFIED_DATES in profile.options:
        times = "times of day stay" if profile.keep_times else "times of day are shifted too"
        lines.append(
            f"Dates are shifted by a keyed number of days per patient; {times}. Time stamps that are no DA, "
            "TM or DT (time zone offset, binary stamps) are removed."
        )
    return "## Choices\n\n" + "\n".join(f"- {line}" for line in lines)


def _private(profile: Profile) -> str:
    if not profile.private_sources:
        return "## Private attributes\n\nAll are removed."
    lines = ["## Private attributes", "", "Removed, except, by private creator and element, and cleaned:"]
    for source in profile.private_sources:
        kept = entry_count(source, profile.options)
        name = (
            "Table E.3.10-1"
            if source == STANDARD
            else "The Cancer Imaging Archive's private tag knowledge base"
        )
        lines.append(f"- {kept} elements of {name}")
    return "\n".join(lines)


def _exceptions(profile: Profile, weakened: tuple[str, ...]) -> str:
    if not profile.overrides:
        return "## Exceptions of the recipe\n\nNone."
    lines = ["## Exceptions of the recipe", ""]
    for override in profile.overrides:
        limits = [*sorted(override.modalities), *sorted(override.sop_classes)]
        where = f" (only {', '.join(limits)})" if limits else ""
        note = " - weaker than the tables" if override.label in weakened else ""
        lines.append(f"- `{override.label}`: {override.wish}{where}{note}")
    if weakened:
        lines.append("\nPatient Identity Removed is NO because of the weaker exceptions.")
    elif any(o.modalities or o.sop_classes for o in profile.overrides):
        lines.append("\nExceptions for single modalities or SOP classes are judged per object.")
    return "\n".join(lines)
