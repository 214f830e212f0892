"""The result as a DICOM Enhanced SR document, for archives that keep nothing else.

It is a pure function of ``audit.json`` and says what that says: verdicts, counts, figures with their
intervals, gates and the manifest, in nested containers of the same names; curves and histograms are left out.
TID 1500 does not fit: it reports measurements of one patient's images, and an audit is about a release and of
nobody. The patient module is therefore empty, and no instance is referenced.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from highdicom.sr import (
    CodeContentItem,
    CodedConcept,
    ContainerContentItem,
    ContentItem,
    ContentSequence,
    EnhancedSR,
    NumContentItem,
    RelationshipTypeValues,
    TextContentItem,
    UIDRefContentItem,
)
from pydicom import Dataset
from pydicom.sr.coding import Code

SCHEME = "99MAMIDEID"
_TITLE = CodedConcept("AUDIT", SCHEME, "Audit of a de-identified release")
_OBSERVER_TYPE = Code("121005", "DCM", "Observer Type")
_DEVICE = Code("121007", "DCM", "Device")
_OBSERVER_UID = Code("121012", "DCM", "Device Observer UID")
_OBSERVER_NAME = Code("121013", "DCM", "Device Observer Name")
_YES, _NO = Code("373066001", "SCT", "Yes"), Code("373067005", "SCT", "No")
_UNITS = {"seconds": Code("s", "UCUM", "second"), "psnr": Code("dB", "UCUM", "decibel")}
_NO_UNIT = Code("1", "UCUM", "no units")
_ENDS = ("lower", "upper", "confidence")
_LONGEST, _LARGEST = 64, 1e15
_CONTAINS, _PROPERTIES = RelationshipTypeValues.CONTAINS, RelationshipTypeValues.HAS_PROPERTIES


def structured_report(result: Mapping[str, Any], now: datetime) -> EnhancedSR:
    """The document.

    Its UIDs are made from the content and its date, so that one audit has one document.

    Args:
        result: What ``audit.json`` holds.
        now: Its date where the result, of an earlier version, has none.
    """
    created = _created(result) or now
    text = json.dumps(result, sort_keys=True) + created.isoformat()
    study, series, instance = (_uid(level, text) for level in ("study", "series", "instance"))
    root = ContainerContentItem(_TITLE, is_content_continuous=False)
    root.ContentSequence = ContentSequence([*_observer(result), *_items(result, _NO_UNIT)])
    document = EnhancedSR(
        evidence=[_nobody(study)],
        content=root,
        series_instance_uid=series,
        series_number=1,
        sop_instance_uid=instance,
        instance_number=1,
        manufacturer="mami-deid",
        is_complete=True,
        record_evidence=False,
        specific_character_set="ISO_IR 192",
        series_description=_TITLE.meaning,
    )
    _date(document, created)
    document.CodingSchemeIdentificationSequence = [_scheme()]
    del document.CurrentRequestedProcedureEvidenceSequence  # of nobody's instance, which does not exist
    return document


def _created(result: Mapping[str, Any]) -> datetime | None:
    """When the audit began; None where the manifest does not say it in ISO 8601."""
    said = result["manifest"].get("created")
    try:
        return datetime.fromisoformat(said).astimezone(UTC) if said else None
    except ValueError:
        return None


def _date(document: Dataset, created: datetime) -> None:
    """Put the date of the audit, in UTC, where highdicom put that of this moment."""
    day, moment = created.strftime("%Y%m%d"), created.strftime("%H%M%S")
    for keyword in ("ContentDate", "InstanceCreationDate"):
        setattr(document, keyword, day)
    for keyword in ("ContentTime", "InstanceCreationTime"):
        setattr(document, keyword, moment)
    document.TimezoneOffsetFromUTC = "+0000"
    for equipment in document.ContributingEquipmentSequence:
        equipment.ContributionDateTime = day + moment


def _uid(level: str, text: str) -> str:
    digest = hashlib.sha256(f"mami-deid audit {level}\0{text}".encode("utf-8", "surrogatepass")).digest()
    return f"2.25.{int.from_bytes(digest[:16])}"


def _nobody(study: str) -> Dataset:
    """From which the document takes patient and study: there is no patient."""
    dataset = Dataset()
    for keyword in (
        "PatientID", "PatientName", "PatientBirthDate", "PatientSex",
        "AccessionNumber", "StudyID", "StudyDate", "StudyTime", "ReferringPhysicianName",
    ):  # fmt: skip
        setattr(dataset, keyword, "")
    dataset.StudyInstanceUID = study
    dataset.SOPInstanceUID, dataset.SOPClassUID = f"{study[:60]}.1", "1.2.840.10008.5.1.4.1.1.88.22"
    dataset.SeriesInstanceUID = study
    return dataset


def _scheme() -> Dataset:
    item = Dataset()
    item.CodingSchemeDesignator, item.CodingSchemeName = SCHEME, "mami-deid: fields of audit.json"
    item.CodingSchemeResponsibleOrganization = "mami-deid"
    return item


def _observer(result: Mapping[str, Any]) -> list[ContentItem]:
    """This tool as the observer (PS3.16 TID 1004)."""
    tool = result["tool"]
    context = RelationshipTypeValues.HAS_OBS_CONTEXT
    name = f"{tool['name']} {tool['version']}"
    return [
        CodeContentItem(_OBSERVER_TYPE, _DEVICE, context),
        UIDRefContentItem(_OBSERVER_UID, _uid("tool", name), context),
        TextContentItem(_OBSERVER_NAME, name, context),
    ]


def _items(fields: Mapping[str, Any], unit: Code) -> Iterator[ContentItem]:
    """One item a field; what says nothing has none."""
    for key, value in fields.items():
        yield from _item(key, value, _UNITS.get(key, unit))


def _item(key: str, value: object, unit: Code) -> Iterator[ContentItem]:
    name = _concept(key)
    if isinstance(value, bool):
        yield CodeContentItem(name, _YES if value else _NO, _CONTAINS)
    elif isinstance(value, int | float):
        yield _number(name, value, unit, _CONTAINS)
    elif isinstance(value, str) and value.strip():
        yield TextContentItem(name, value, _CONTAINS)
    elif isinstance(value, Mapping) and isinstance(value.get("value"), int | float):
        yield _measure(name, value, unit)
    elif isinstance(value, Mapping):
        yield from _container(name, list(_items(value, unit)))
    elif isinstance(value, Sequence) and not isinstance(value, str) and not _is_curve(value):
        yield from _list(key, value)


def _list(key: str, value: Sequence[object]) -> Iterator[ContentItem]:
    """A line for words, a container for each of several objects."""
    objects = [each for each in value if isinstance(each, Mapping)]
    if not objects and value:
        yield TextContentItem(_concept(key), ", ".join(map(str, value)), _CONTAINS)
    parts = [item for each in objects for item in _container(_concept(key), list(_items(each, _NO_UNIT)))]
    yield from _container(_concept(key), parts)


def _container(name: CodedConcept, parts: Sequence[ContentItem]) -> Iterator[ContentItem]:
    if parts:
        made = ContainerContentItem(name, is_content_continuous=False, relationship_type=_CONTAINS)
        made.ContentSequence = ContentSequence(parts)
        yield made


def _measure(name: CodedConcept, measure: Mapping[str, Any], unit: Code) -> ContentItem:
    """A value with the ends of its interval as its properties."""
    made = _number(name, measure["value"], unit, _CONTAINS)
    ends = [(key, measure.get(key)) for key in _ENDS]
    known = [
        _number(_concept(key), end, _NO_UNIT if key == "confidence" else unit, _PROPERTIES)
        for key, end in ends
        if isinstance(end, int | float)
    ]
    if known:
        made.ContentSequence = ContentSequence(known)
    return made


def _number(
    name: CodedConcept, value: float, unit: Code, relationship: RelationshipTypeValues
) -> ContentItem:
    if not abs(value) < _LARGEST or not math.isfinite(value):
        return TextContentItem(name, f"beyond {_LARGEST:g}", relationship)
    return NumContentItem(name, value, unit, relationship_type=relationship)


def _concept(key: str) -> CodedConcept:
    """The name of a field as a code of our own scheme."""
    meaning = key.replace("_", " ").encode()[:_LONGEST].decode(errors="ignore")  # some readers count bytes
    return CodedConcept(key, SCHEME, meaning.strip() or key[:_LONGEST])


def _is_curve(values: Sequence[object]) -> bool:
    return bool(values) and all(isinstance(value, int | float) for value in values)
