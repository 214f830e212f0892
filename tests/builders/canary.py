"""Canaries: unique words planted where a data set can hold an identity."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID

_SYLLABLES = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]

# Attributes of Table E.1-1 (2026d) that no option of the `research` preset lets through, by VR.
IDENTIFYING: dict[str, str] = {
    "AE": "RetrieveAETitle StationAETitle PerformedStationAETitle ScheduledStationAETitle",
    "PN": "PatientBirthName PatientMotherBirthName ReferringPhysicianName OperatorsName ResponsiblePerson "
    "PerformingPhysicianName NameOfPhysiciansReadingStudy RequestingPhysician "
    "ConsultingPhysicianName ContentCreatorName OrderEnteredBy ScheduledPerformingPhysicianName "
    "NamesOfIntendedRecipientsOfResults HumanPerformerName ReviewerName PersonName InterpretationAuthor",
    "LO": "PatientID IssuerOfPatientID OtherPatientIDs AdmissionID BranchOfService MilitaryRank CassetteID "
    "PlateID "
    "InstitutionName InstitutionalDepartmentName DeviceSerialNumber GantryID GeneratorID PatientAddress "
    "CountryOfResidence RegionOfResidence CurrentPatientLocation PatientInstitutionResidence "
    "DeviceDescription "
    "PatientReligiousPreference MedicalRecordLocator InsurancePlanIdentification ResponsibleOrganization "
    "PlacerOrderNumberImagingServiceRequest FillerOrderNumberImagingServiceRequest ServiceEpisodeID "
    "ClinicalTrialSponsorName ClinicalTrialProtocolID ClinicalTrialProtocolName ClinicalTrialSiteID "
    "ClinicalTrialSiteName ClinicalTrialSubjectID ClinicalTrialSubjectReadingID HumanPerformerOrganization "
    "PersonTelephoneNumbers RequestedProcedureLocation SecondaryCaptureDeviceID ModifyingSystem "
    "SlideIdentifier "
    "SourceSerialNumber TopicAuthor TopicTitle SpecimenAccessionNumber PatientTransportArrangements",
    "SH": "AccessionNumber StudyID StationName DetectorID PatientTelephoneNumbers OrderCallbackPhoneNumber "
    "ReferringPhysicianTelephoneNumbers PerformedProcedureStepID ScheduledProcedureStepID "
    "RequestedProcedureID "
    "PerformedLocation PerformedStationName ScheduledStationName ScheduledProcedureStepLocation ResultsID "
    "TreatmentMachineName OrderEntererLocation",
    "ST": "InstitutionAddress ReferringPhysicianAddress PersonAddress XRayDetectorLabel TopicSubject "
    "AddressTrial",
    "LT": "PatientTelecomInformation PersonTelecomInformation Arbitrary BarcodeValue TextComments",
    "UT": "CameraOwnerName LensSerialNumber UniqueDeviceIdentifier GPSMapDatum LensModel",
    "UC": "DeviceAlternateIdentifier XRayDetectorID XRaySourceID",
}
# Attributes that the preset keeps or cleans: they hold a name of the patient amid words that may stay.
TEXTUAL: dict[str, str] = {
    "LO": "StudyDescription SeriesDescription ProtocolName AdmittingDiagnosesDescription Allergies "
    "MedicalAlerts "
    "ContrastBolusAgent RequestedProcedureDescription PerformedProcedureStepDescription PatientState "
    "PreMedication "
    "ScheduledProcedureStepDescription SpecialNeeds ReasonForStudy RequestedContrastAgent "
    "SpecimenShortDescription "
    "ReasonForTheRequestedProcedure AcquisitionDeviceProcessingDescription ManufacturerModelName "
    "SoftwareVersions",
    "SH": "Occupation EthnicGroup ConvolutionKernel",
    "LT": "PatientComments ImageComments AdditionalPatientHistory AcquisitionComments StudyComments "
    "VisitComments "
    "RequestedProcedureComments ImagingServiceRequestComments FrameComments",
    "ST": "DerivationDescription AcquisitionContextDescription CommentsOnRadiationDose BolusDescription "
    "CommentsOnThePerformedProcedureStep ContributionDescription RTPlanDescription StructureSetDescription",
    "UT": "ReasonForVisit LabelText SpecimenDetailedDescription DecompositionDescription",
}


@dataclass
class Canaries:
    """Hands out unique words and remembers where each was planted.

    Attributes:
        where: For each word, the place (keyword path) that holds it.
    """

    where: dict[str, str] = field(default_factory=dict)
    seed: int = 0

    def word(self, place: str) -> str:
        """Return a new word of 10 ASCII letters: no word of any language, no part of another word."""
        number = (len(self.where) + 1) * 7919 + self.seed * 1_000_003
        syllables = []
        for _ in range(4):
            number, digit = divmod(number, len(_SYLLABLES))
            syllables.append(_SYLLABLES[digit])
        word = "Xq" + "".join(syllables)
        if word in self.where:  # 70**4 words: a clash means a broken counter
            raise AssertionError(word)
        self.where[word] = place
        return word


def plant(dataset: Dataset, canaries: Canaries) -> None:
    """Plant canaries in every text-capable place of the data set, in place.

    Identifying attributes hold a word alone; descriptive ones hold it amid medical words, and it stands in
    Other Patient's Names too, so that cleaning can know it.
    """
    family = canaries.word("PatientName")
    dataset.PatientName = f"{family}^{canaries.word('PatientName given')}"
    known: list[str] = []
    _fill(dataset, canaries, known, "")
    for name, build in (
        ("ReferencedPatientSequence", _person),
        ("RequestAttributesSequence", _request),
        ("ContributingEquipmentSequence", _equipment),
        ("OriginalAttributesSequence", _original),
        ("OtherPatientIDsSequence", _other_id),
        ("ReferencedStudySequence", _reference),
        ("PerformedProtocolCodeSequence", _nested),
    ):
        existing = list(dataset.get(name, []))
        setattr(dataset, name, Sequence([*existing, build(canaries, known, name)]))
    _private(dataset, canaries)
    _overlay(dataset, canaries)
    _icon(dataset, canaries)
    _unknown(dataset, canaries)
    if "file_meta" in dataset.__dict__:
        _meta(dataset, canaries)
    dataset.OtherPatientNames = known


def _fill(dataset: Dataset, canaries: Canaries, known: list[str], place: str) -> None:
    for vr, names in IDENTIFYING.items():
        for name in names.split():
            word = canaries.word(place + name)
            setattr(dataset, name, f"{word}^Test" if vr == "PN" else word)
    for names in TEXTUAL.values():
        for name in names.split():
            word = _known(canaries, known, place + name)
            # SH holds 16 characters
            setattr(
                dataset,
                name,
                f"with {word}" if name in TEXTUAL["SH"].split() else f"CHEST with {word} contrast",
            )


def _known(canaries: Canaries, known: list[str], place: str) -> str:
    word = canaries.word(place)
    known.append(f"{word}^Test")
    return word


def _code(meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "113691", "DCM", meaning
    return code


def _reference(canaries: Canaries, known: list[str], place: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = UID("1.2.840.10008.3.1.2.3.1")
    item.ReferencedSOPInstanceUID = UID("1.2.3.4.5.6.7.8.9")
    item.StudyDescription = f"prior of {_known(canaries, known, place)}"
    return item


def _person(canaries: Canaries, known: list[str], place: str) -> Dataset:
    item = _reference(canaries, known, place)
    item.PatientName = f"{canaries.word(place + '.PatientName')}^Test"
    item.PatientID = canaries.word(place + ".PatientID")
    return item


def _request(canaries: Canaries, known: list[str], place: str) -> Dataset:
    item = Dataset()
    item.RequestedProcedureID = canaries.word(place + ".RequestedProcedureID")
    item.AccessionNumber = canaries.word(place + ".AccessionNumber")
    item.ScheduledProcedureStepDescription = f"CT for {_known(canaries, known, place)}"
    item.RequestedProcedureDescription = f"CT of {_known(canaries, known, place)}"
    return item


def _equipment(canaries: Canaries, known: list[str], place: str) -> Dataset:
    item = Dataset()
    item.Manufacturer = f"Maker {_known(canaries, known, place)}"
    for name in ("InstitutionName", "InstitutionAddress", "StationName", "DeviceSerialNumber"):
        setattr(item, name, canaries.word(f"{place}.{name}"))
    item.OperatorsName = f"{canaries.word(place + '.OperatorsName')}^Test"
    item.ContributionDescription = f"sent for {_known(canaries, known, place)}"
    item.PurposeOfReferenceCodeSequence = Sequence([_code("Acquisition Equipment")])
    return item


def _original(canaries: Canaries, known: list[str], place: str) -> Dataset:
    item, modified = Dataset(), Dataset()
    modified.PatientName = f"{canaries.word(place + '.PatientName')}^Test"
    modified.PatientID = canaries.word(place + ".PatientID")
    item.ModifiedAttributesSequence = Sequence([modified])
    item.ModifyingSystem = canaries.word(place + ".ModifyingSystem")
    item.SourceOfPreviousValues = canaries.word(place + ".SourceOfPreviousValues")
    item.AttributeModificationDateTime = "20200101120000"
    item.ReasonForTheAttributeModification = "COERCE"
    return item


def _other_id(canaries: Canaries, known: list[str], place: str) -> Dataset:
    item = Dataset()
    item.PatientID = canaries.word(place + ".PatientID")
    item.IssuerOfPatientID = canaries.word(place + ".IssuerOfPatientID")
    item.TypeOfPatientID = "TEXT"
    return item


def _nested(canaries: Canaries, known: list[str], place: str) -> Dataset:
    """Sequences four deep, with an identity on the last level."""
    inner = _person(canaries, known, place + "[4]")
    inner.TextValue = f"for {_known(canaries, known, place + '[4].TextValue')}"
    for level in (3, 2, 1):
        outer = _code("Nested")
        outer.ProtocolContextSequence = Sequence([inner])
        outer.InstitutionName = canaries.word(f"{place}[{level}].InstitutionName")
        inner = outer
    return inner


def _private(dataset: Dataset, canaries: Canaries) -> None:
    """A private block of every text VR, a sequence and bytes; and a block whose creator is not written."""
    block = dataset.private_block(0x0019, "ACME TEST 1.0", create=True)
    for offset, vr in enumerate(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT", "UR")):
        word = canaries.word(f"private {vr}")
        block.add_new(0x10 + offset, vr, word.upper() if vr == "CS" else word)
    block.add_new(0x20, "OB", canaries.word("private OB").encode())
    block.add_new(0x21, "UN", canaries.word("private UN").encode())
    item = Dataset()
    item.PatientName = f"{canaries.word('private SQ')}^Test"
    item.private_block(0x0021, "ACME NESTED", create=True).add_new(0x01, "LO", canaries.word("private in SQ"))
    block.add_new(0x22, "SQ", Sequence([item]))
    dataset.private_block(0x0009, canaries.word("private creator"), create=True).add_new(1, "LO", "value")
    dataset.add(DataElement(0x00291099, "LO", canaries.word("private without creator")))


def _overlay(dataset: Dataset, canaries: Canaries) -> None:
    for group in (0x6000, 0x6002):
        base = group << 16
        word = canaries.word(f"overlay {group:04x} data").encode()
        for element, vr, value in (
            (0x0010, "US", 16),
            (0x0011, "US", 16),
            (0x0022, "LO", canaries.word("overlay description")),
            (0x0040, "CS", "G"),
            (0x0050, "SS", [1, 1]),
            (0x0100, "US", 1),
            (0x0102, "US", 0),
            (0x1500, "LO", canaries.word("overlay label")),
            (0x3000, "OB", word.ljust(32, b"\0")),
            (0x4000, "LT", canaries.word("overlay comments")),
        ):
            dataset.add(DataElement(base | element, vr, value))
    dataset.add(DataElement(0x50000005, "US", 1))  # a retired curve
    dataset.add(DataElement(0x50003000, "OB", canaries.word("curve data").encode()))


def _icon(dataset: Dataset, canaries: Canaries) -> None:
    icon = Dataset()
    icon.SamplesPerPixel, icon.PhotometricInterpretation = 1, "MONOCHROME2"
    icon.Rows = icon.Columns = 4
    icon.BitsAllocated, icon.BitsStored, icon.HighBit, icon.PixelRepresentation = 8, 8, 7, 0
    icon.add(DataElement(0x7FE00010, "OB", canaries.word("icon").encode().ljust(16, b"\0")))
    dataset.IconImageSequence = Sequence([icon])


def _unknown(dataset: Dataset, canaries: Canaries) -> None:
    """A standard attribute written as UN, and a private UN that is a sequence in implicit little endian."""
    dataset.add(DataElement(0x00081048, "UN", canaries.word("PhysiciansOfRecord as UN").encode()))
    word = canaries.word("sequence in UN").encode()
    element = b"\x10\x00\x10\x00" + len(word).to_bytes(4, "little") + word
    blob = b"\xfe\xff\x00\xe0" + len(element).to_bytes(4, "little") + element
    dataset.private_block(0x0019, "ACME TEST 1.0").add_new(0x23, "UN", blob)


def _meta(dataset: Dataset, canaries: Canaries) -> None:
    meta = dataset.file_meta
    for name in (
        "SourceApplicationEntityTitle",
        "SendingApplicationEntityTitle",
        "ReceivingApplicationEntityTitle",
    ):
        setattr(meta, name, canaries.word("meta " + name))
    meta.PrivateInformationCreatorUID = UID("1.2.3.4.5")
    meta.PrivateInformation = canaries.word("meta PrivateInformation").encode()


def trailing_padding(dataset: Dataset, canaries: Canaries) -> None:
    """Add a Data Set Trailing Padding (FFFC,FFFC) that holds a canary."""
    dataset.add(DataElement(0xFFFCFFFC, "OB", canaries.word("trailing padding").encode()))


def surviving(data: bytes, canaries: Iterable[str]) -> list[str]:
    """Return the canaries that stand in the bytes, in any case, as ASCII or UTF-16, raw or inflated."""
    haystacks = [data.lower()]
    for start in _deflated_starts(data):
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        haystacks.append(inflater.decompress(data[start:]).lower())
    found = []
    for word in canaries:
        needles = [word.lower().encode(code) for code in ("ascii", "utf-16-le", "utf-16-be")]
        if any(needle in haystack for needle in needles for haystack in haystacks):
            found.append(word)
    return found


def _deflated_starts(data: bytes) -> list[int]:
    """The end of the file meta where the transfer syntax is Deflated Explicit VR Little Endian."""
    if data[128:132] != b"DICM" or b"1.2.840.10008.1.2.1.99" not in data[:1024]:
        return []
    return [144 + int.from_bytes(data[140:144], "little")]
