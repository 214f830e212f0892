"""Which attributes name the patient and those around him, and what kind of name they hold.

Drawn from Table E.1-1: what the basic profile removes or replaces, and no option cleans as a description
or keeps as a patient characteristic, is an identifier.
"""

from __future__ import annotations

import functools
import re

from deid.core.identifiers import Kind
from deid.dicom.dictionary import entry_of
from deid.dicom.elements import dictionary_vr
from deid.dicom.profile import Option

_PATIENT_NAMES = frozenset({0x00100010, 0x00100012, 0x00101001, 0x00101005})
_DATES = frozenset({0x00080020, 0x00080021, 0x00080022, 0x00080023, 0x0008002A, 0x00100030})
_WORDS = frozenset({"LO", "SH", "ST", "LT", "UT", "UC", "AE"})
_PHONE = re.compile(r"Telephone|Telecom|Phone")
_PLACE = re.compile(
    r"Address|Institution|Location|Station|Department|Residence|Site|Center|Organization|Service"
)
_DEVICE = re.compile(r"Serial|Device|Detector|Plate|Cassette|Gantry|Generator|AE|Machine|Source|Slot")
_PERSON = re.compile(r"Name|Physician|Person|Reviewer|Interpreter|Author|Enter|Owner|Recorder|Transcriber")
_NAMES_A_MODEL = re.compile(r"Description|Label|Lens(Make|Model|Specification)|SourceManufacturer|Class")
_NAMES_NOBODY = frozenset(
    {"MilitaryRank", "PatientReligiousPreference", "BranchOfService", "ModifiedImageDescription"}
    | {"ImagePresentationComments", "TextComments", "TextString", "Arbitrary", "TopicTitle", "TopicSubject"}
    | {"TopicKeywords", "ConfidentialityConstraintOnPatientDataDescription", "PatientTransportArrangements"}
    | {"ScheduledProcedureStepID", "PerformedProcedureStepID", "RequestedProcedureID", "StudyID"}
    | {"ModifyingSystem", "InstanceOriginStatus", "NameToUseComment", "ClinicalTrialTimePointID"}
)
"""Attributes that the profile removes although they hold a common word, a sentence or a small number."""
_CODED = {
    0x00080082: Kind.PLACE,  # Institution Code Sequence
    0x00081041: Kind.PLACE,  # Institutional Department Type Code Sequence
    0x00401101: Kind.PERSON,  # Person Identification Code Sequence
}
"""Code sequences whose code and meaning name somebody or some place."""
CODE_ATTRIBUTES = frozenset({0x00080100, 0x00080104})


@functools.cache
def identifier_kinds() -> dict[int, Kind]:
    """Kind of identifier that an attribute holds, by tag; person names (VR PN) are not listed."""
    from deid.dicom.profile import table_rows

    kinds: dict[int, Kind] = dict.fromkeys(_PATIENT_NAMES, Kind.PATIENT_NAME)
    kinds |= dict.fromkeys(_DATES, Kind.DATE)
    for row in table_rows():
        if row.tag is None or row.tag in kinds or row.described or row.characteristic:
            continue
        entry = entry_of(row.tag)
        keyword = entry.keyword if entry is not None else ""
        if dictionary_vr(row.tag) not in _WORDS or keyword in _NAMES_NOBODY:
            continue
        if not _NAMES_A_MODEL.search(keyword):
            kinds[row.tag] = _kind(keyword)
    return kinds


@functools.cache
def retained_by(tag: int) -> Option | None:
    """The option that keeps an identifier of a device or an institution on purpose."""
    from deid.dicom.profile import table_row

    row = table_row(tag)
    for option in (Option.RETAIN_DEVICE_IDENTITY, Option.RETAIN_INSTITUTION_IDENTITY):
        if row is not None and row.options.get(option) == "K":
            return option
    return None


@functools.cache
def concept_kinds() -> dict[tuple[str, str], Kind]:
    """Kind of identifier that the text of a content item holds, by code and scheme of its concept name."""
    from deid.dicom.profile.tables import concept_rows

    return {
        (row.code, row.scheme): Kind.PERSON if row.value_type == "PNAME" else _kind(row.meaning)
        for row in concept_rows()
        if row.value_type in ("TEXT", "PNAME") and Option.CLEAN_DESCRIPTORS not in row.options
        if not _NAMES_A_MODEL.search(row.meaning) and "Type" not in row.meaning
    }


@functools.cache
def concept_retained_by(concept: tuple[str, str]) -> Option | None:
    """The option that keeps the text of a content item, by code and scheme of its concept name."""
    from deid.dicom.profile.tables import concept_rows

    letters = [row.options for row in concept_rows() if (row.code, row.scheme) == concept]
    for option in (Option.RETAIN_DEVICE_IDENTITY, Option.RETAIN_INSTITUTION_IDENTITY):
        if letters and all(found.get(option) == "K" for found in letters):
            return option
    return None


def coded_kind(tag: int) -> Kind | None:
    """Kind of identifier that the items of a code sequence hold."""
    return _CODED.get(tag)


def _kind(keyword: str) -> Kind:
    for kind, words in ((Kind.PHONE, _PHONE), (Kind.PLACE, _PLACE), (Kind.DEVICE, _DEVICE)):
        if words.search(keyword):
            return kind
    return Kind.PERSON if _PERSON.search(keyword) else Kind.ID
