"""Planting where rules for the top level do not reach: nested, private, unknown, structured."""

from __future__ import annotations

from key import Action
from planting import Planter, hexadecimal
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

# creator, group, element, VR, value: in Table E.3.10-1 (2026d) as safe
_SAFE = (
    ("GEMS_ACQU_01", 0x0019, 0x9E, "LO", "FSE-XL"),
    ("GEMS_ACQU_01", 0x0019, 0x23, "DS", "39.37"),
    ("GEMS_PARM_01", 0x0043, 0x27, "SH", "0.984:1"),
    ("SIEMENS MR HEADER", 0x0019, 0x0C, "IS", "1000"),
    ("SIEMENS MR HEADER", 0x0019, 0x0D, "CS", "DIRECTIONAL"),
    ("Philips Imaging DD 001", 0x2001, 0x03, "FL", 800.0),
    ("Philips Imaging DD 001", 0x2001, 0x0B, "CS", "TRANSVERSAL"),
    ("ELSCINT1", 0x01F1, 0x01, "CS", "HELIX"),
)
_UNSAFE = (
    ("GEIIS", 0x0903), ("SPI-P Release 1", 0x0009), ("AGFA PACS Archive", 0x0031),
    ("MITRA LINKED 1.0", 0x0025), ("ACME TELERADIOLOGY 2", 0x0099),
)  # fmt: skip


def private(planter: Planter) -> None:
    """Plant a safe private value to keep and an unsafe block of every VR that can hold a name."""
    draw, dataset, person = planter.draw, planter.dataset, planter.person
    for creator, group, element, vr, value in draw.random.sample(_SAFE, 2):
        dataset.private_block(group, creator, create=True).add_new(element, vr, value)
        path = (f"{group:04X}|{creator}|{element:02X}",)
        planter.planted.require(Action.TEXT_RETAINED, path, str(value))
    creator, group = draw.random.choice(_UNSAFE)
    block = dataset.private_block(group, creator, create=True)
    name, phone = planter.fit(person.shown), draw.phone()
    for element, vr, value, parts in (
        (0x01, "LO", name, person.shown.split()),
        (0x02, "PN", person.name.split("=")[0], person.shown.split()),
        (0x03, "ST", f"call {phone}", [phone]),
        (0x04, "UN", person.numbers["mrn"].encode().ljust(10), [person.numbers["mrn"]]),
        (0x05, "OB", f"{person.numbers['ssn']} {person.zip}".ljust(18).encode(), [person.numbers["ssn"]]),
        (0x06, "SH", planter.study.accession, [planter.study.accession]),
    ):
        if isinstance(value, str):
            value = planter.fit(value)
        block.add_new(element, vr, value)
        for part in parts:
            planter.gone((f"{group:04X}|{creator}|{element:02X}",), planter.fit(part))
    inner = Dataset()
    path = (f"{group:04X}|{creator}|10",)
    planter.staff(inner, path, "OperatorsName", draw.staff())
    planter.hide(inner, path, "InstitutionName", draw.hospital())
    block.add_new(0x10, "SQ", Sequence([inner]))
    block.add_new(0x11, "UN", _blob(planter, (f"{group:04X}|{creator}|11",)))


def _blob(planter: Planter, path: tuple[str, ...]) -> bytes:
    """A sequence of one item in Implicit VR Little Endian, as an archive that does not know it passes it
    on."""
    name, number = planter.draw.family(), planter.draw.digits(8)
    elements = b""
    for tag, text in (("10001000", planter.fit(name)), ("10002000", number)):
        value = text.encode("ascii", "replace").ljust(len(text) + len(text) % 2)
        elements += bytes.fromhex(tag) + len(value).to_bytes(4, "little") + value
    if planter.fit(name).isascii():
        planter.gone((*path, "00100010"), planter.fit(name))
    planter.gone((*path, "00100020"), number)
    return b"\xfe\xff\x00\xe0" + len(elements).to_bytes(4, "little") + elements


def nested(planter: Planter) -> None:
    """Plant sequences of every kind that carries identity, and one three deep."""
    draw, person = planter.draw, planter.person
    path = hexadecimal("RequestAttributesSequence")
    request = planter.item("RequestAttributesSequence")
    planter.hide(request, path, "RequestedProcedureID", "RQ" + draw.digits(6))
    planter.hide(request, path, "AccessionNumber", "AX" + draw.digits(7))
    phrase = planter.phrase(short=True)
    request.ScheduledProcedureStepDescription = phrase.text
    for text in phrase.remove:
        planter.gone((*path, *hexadecimal("ScheduledProcedureStepDescription")), text)
    _equipment(planter)
    other = planter.item("OtherPatientIDsSequence")
    path = hexadecimal("OtherPatientIDsSequence")
    planter.hide(other, path, "PatientID", "OLD" + draw.digits(7))
    planter.hide(other, path, "IssuerOfPatientID", draw.hospital())
    other.TypeOfPatientID = "TEXT"
    _original(planter)
    patient = planter.item("ReferencedPatientSequence")
    path = hexadecimal("ReferencedPatientSequence")
    patient.ReferencedSOPClassUID = "1.2.840.10008.3.1.2.1.1"
    planter.hide(
        patient, path, "ReferencedSOPInstanceUID", f"1.2.40.0.{person.numbers['mrn']}.{draw.digits(5)}"
    )
    _physician(planter)
    _deep(planter)


def _equipment(planter: Planter) -> None:
    draw, path = planter.draw, hexadecimal("ContributingEquipmentSequence")
    item = planter.item("ContributingEquipmentSequence")
    item.Manufacturer = "Gateway Systems"
    planter.planted.require(Action.TEXT_RETAINED, (*path, *hexadecimal("Manufacturer")), "Gateway Systems")
    for keyword, value in (
        ("InstitutionName", draw.hospital()),
        ("InstitutionAddress", draw.street()),
        ("StationName", "GW" + draw.digits(5)),
        ("DeviceSerialNumber", draw.serial()),
    ):
        planter.hide(item, path, keyword, value)
    planter.staff(item, path, "OperatorsName", draw.staff())
    planter.describe(item, path, "ContributionDescription", short=False)
    planter.stamp(item, path, "ContributionDateTime", days=1)
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "109103", "DCM", "Modifying Equipment"
    item.PurposeOfReferenceCodeSequence = Sequence([code])


def _original(planter: Planter) -> None:
    item, modified = planter.item("OriginalAttributesSequence"), Dataset()
    path = hexadecimal("OriginalAttributesSequence")
    planter.staff(
        modified, (*path, *hexadecimal("ModifiedAttributesSequence")), "PatientName", planter.draw.staff()
    )
    planter.hide(
        modified,
        (*path, *hexadecimal("ModifiedAttributesSequence")),
        "PatientID",
        "PRE" + planter.draw.digits(7),
    )
    item.ModifiedAttributesSequence = Sequence([modified])
    planter.hide(item, path, "ModifyingSystem", "PACS-" + planter.draw.digits(5))
    item.AttributeModificationDateTime = f"{planter.study.day:%Y%m%d}180000"
    item.ReasonForTheAttributeModification, item.SourceOfPreviousValues = "COERCE", ""


def _physician(planter: Planter) -> None:
    keyword = "ReferringPhysicianIdentificationSequence"
    item, path, draw = Dataset(), hexadecimal(keyword), planter.draw
    setattr(planter.dataset, keyword, Sequence([item]))
    planter.hide(item, path, "InstitutionName", draw.hospital())
    planter.hide(item, path, "PersonAddress", draw.street())
    planter.hide(item, path, "PersonTelephoneNumbers", draw.phone())
    code, name = Dataset(), planter.fit(f"{draw.given()} {draw.family()}")
    code.CodeValue, code.CodingSchemeDesignator = draw.digits(7), "99LOCAL"
    inside = (*path, *hexadecimal("PersonIdentificationCodeSequence"))
    planter.hide(code, inside, "CodeMeaning", name, *name.split())
    item.PersonIdentificationCodeSequence = Sequence([code])


def _deep(planter: Planter) -> None:
    """A protocol context whose modifiers hold a person, a text and a time."""
    keywords = ("PerformedProtocolCodeSequence", "ProtocolContextSequence", "ContentItemModifierSequence")
    inner, path = Dataset(), hexadecimal(*keywords)
    planter.staff(inner, path, "PersonName", planter.draw.staff())
    planter.hide(inner, path, "PatientID", planter.person.numbers["mrn"])
    planter.stamp(inner, path, "DateTime")
    inner.ValueType = "DATETIME"
    for keyword, code in (
        (keywords[2], ("122083", "DCM", "Drug administered")),
        (keywords[1], ("121145", "DCM", "Description of Material")),
    ):
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code
        setattr(item, keyword, Sequence([inner]))
        inner = item
    planter.dataset.PerformedProtocolCodeSequence = Sequence([inner])


def graphics(planter: Planter) -> None:
    """Plant an overlay's comments and labels, and a name in an attribute that was written as UN."""
    dataset, person = planter.dataset, planter.person
    if "OverlayRows" not in dataset and dataset.get("Rows"):
        for element, vr, value in (
            (0x10, "US", dataset.Rows),
            (0x11, "US", dataset.Columns),
            (0x40, "CS", "G"),
            (0x50, "SS", [1, 1]),
            (0x100, "US", 1),
            (0x102, "US", 0),
            (0x3000, "OB", b"\0" * (-(-dataset.Rows * dataset.Columns // 8) // 2 * 2 + 2)),
        ):
            dataset.add(DataElement(0x60000000 | element, vr, value))
        dataset.add(DataElement(0x60004000, "LT", planter.fit(f"Marked for {person.shown} {person.phone}")))
        dataset.add(DataElement(0x60001500, "LO", planter.fit(person.shown)))
        for text in person.shown.split():
            planter.gone(("60004000",), planter.fit(text))
            planter.gone(("60001500",), planter.fit(text))
        planter.gone(("60004000",), person.phone)
    family = planter.fit(planter.draw.family())
    dataset.add(
        DataElement(0x00081048, "UN", family.encode("ascii", "replace").ljust(len(family) // 2 * 2 + 2))
    )
    if family.isascii():
        planter.gone(("00081048",), family)


def _concept(value: str, meaning: str) -> Sequence:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "DCM", meaning
    return Sequence([code])


def content(planter: Planter) -> None:
    """Plant text, persons and dates into structured content, presentation states and waveforms."""
    dataset = planter.dataset
    if "ContentSequence" in dataset and dataset.get("ValueType") == "CONTAINER":
        path = hexadecimal("ContentSequence")
        items = []
        for value_type, concept in (
            ("TEXT", ("121071", "Finding")),
            ("TEXT", ("121073", "Impression")),
            ("PNAME", ("121008", "Person Observer Name")),
            ("DATE", ("111060", "Study Date")),
            ("DATETIME", ("111526", "DateTime Started")),
        ):
            item = Dataset()
            item.RelationshipType, item.ValueType = "CONTAINS", value_type
            item.ConceptNameCodeSequence = _concept(*concept)
            if value_type == "TEXT":
                planter.describe(item, path, "TextValue", short=False)
            elif value_type == "PNAME":
                planter.staff(item, path, "PersonName", planter.draw.staff())
            else:
                planter.stamp(item, path, "Date" if value_type == "DATE" else "DateTime")
            items.append(item)
        dataset.ContentSequence = Sequence([*dataset.ContentSequence, *items])
    keywords = ("GraphicAnnotationSequence", "TextObjectSequence", "UnformattedTextValue")
    for annotation in dataset.get(keywords[0], []):
        for item in annotation.get(keywords[1], []):
            planter.describe(item, hexadecimal(*keywords[:2]), keywords[2], short=True)
    for note in dataset.get("WaveformAnnotationSequence", []):
        if "UnformattedTextValue" in note:
            path = hexadecimal("WaveformAnnotationSequence")
            planter.describe(note, path, "UnformattedTextValue", short=True)
