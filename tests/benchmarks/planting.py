"""Planting one patient's identity into one data set, and writing down what is required of the output."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from datetime import date, timedelta

from key import Action, Planted
from people import Draw, Person
from pydicom.charset import python_encoding
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from texts import EPONYMS, Phrase, phrases, written_date

TECHNICAL = [
    "Modality", "SOPClassUID", "ImageType", "Manufacturer", "ManufacturerModelName", "SoftwareVersions",
    "Rows", "Columns", "BitsAllocated", "BitsStored", "PixelSpacing", "SliceThickness",
    "ImageOrientationPatient", "ImagePositionPatient", "SpacingBetweenSlices", "BodyPartExamined",
    "PatientPosition", "KVP", "XRayTubeCurrent", "ExposureTime", "ConvolutionKernel", "EchoTime",
    "RepetitionTime", "FlipAngle", "RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth",
    "PhotometricInterpretation", "MagneticFieldStrength", "ScanningSequence", "NumberOfFrames", "DoseUnits",
    "DoseGridScaling", "SeriesNumber", "PatientWeight", "ConversionType", "ReconstructionDiameter",
]  # fmt: skip
_SHORT_TEXT = (
    "StudyDescription",
    "SeriesDescription",
    "ProtocolName",
    "RequestedProcedureDescription",
    "AdmittingDiagnosesDescription",
)
_LONG_TEXT = [
    "PatientComments", "ImageComments", "AdditionalPatientHistory", "DerivationDescription",
    "VisitComments", "AcquisitionComments", "RequestedProcedureComments", "ReasonForStudy",
    "ImagingServiceRequestComments", "CommentsOnThePerformedProcedureStep",
]  # fmt: skip
_DATE_PAIRS = (
    ("StudyDate", "StudyTime"),
    ("SeriesDate", "SeriesTime"),
    ("AcquisitionDate", "AcquisitionTime"),
    ("ContentDate", "ContentTime"),
    ("InstanceCreationDate", "InstanceCreationTime"),
    ("PerformedProcedureStepStartDate", "PerformedProcedureStepStartTime"),
    ("ScheduledProcedureStepStartDate", ""),
    ("AcquisitionDateTime", ""),
    ("DateOfSecondaryCapture", ""),
    ("AdmittingDate", ""),
)


def hexadecimal(*keywords: str) -> tuple[str, ...]:
    """Return the path of nested keywords as tags of 8 hex digits."""
    return tuple(f"{tag_for_keyword(keyword):08X}" for keyword in keywords)


@dataclass
class Study:
    """What all files of one study share."""

    number: int
    uid: str
    day: date
    accession: str
    identifier: str
    hospital: str
    address: str
    department: str
    station: str
    serial: str
    staff: dict[str, str]
    series: dict[str, str] = field(default_factory=dict)


class Planter:
    """Plants into one data set; the methods are the topics."""

    def __init__(self, dataset: Dataset, planted: Planted, person: Person, study: Study, draw: Draw) -> None:
        self.dataset, self.planted, self.person, self.study, self.draw = dataset, planted, person, study, draw
        encodings = [python_encoding.get(str(name), "ascii") for name in _listed(person.charset)]
        self._encoding = encodings[0] if len(encodings) == 1 else "ascii"
        dataset.SpecificCharacterSet = person.charset
        last, *rest = person.shown.split(" ")[::-1]
        self.values = {
            "shown": person.shown, "last": last, "first": rest[-1], "id": person.id, "phone": person.phone,
            "ssn": person.numbers["ssn"], "mrn": person.numbers["mrn"], "email": person.email,
            "street": person.street, "city": person.city, "state": person.state, "zip": person.zip,
            "hospital": study.hospital, "accession": study.accession, "old": str(int(person.age[:3])),
        }  # fmt: skip

    def fit(self, text: str) -> str:
        """Return the text as the character set can hold it: accents fall away where it cannot."""
        return "".join(map(self._fit, text))

    def _fit(self, letter: str) -> str:
        try:
            letter.encode(self._encoding)
        except UnicodeEncodeError:
            letter = letter.translate(str.maketrans("ŁłØøĐđŒœ", "LlOoDdOo"))
            return unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
        return letter

    def hide(self, place: Dataset, path: tuple[str, ...], keyword: str, value: str, *parts: str) -> None:
        """Set an identifying value and require that its parts (default: all of it) be gone."""
        value = self.fit(value)
        setattr(place, keyword, value)
        for part in map(self.fit, parts or (value,)):
            self.gone((*path, *hexadecimal(keyword)), part)

    def gone(self, path: tuple[str, ...], text: str) -> None:
        """Require that the text be gone from the attribute, and from the file if it is long enough to
        search."""
        self.planted.require(Action.TEXT_REMOVED, path, text)
        recent = re.fullmatch(r"20\d{6}", text) is not None  # may equal another date, shifted
        long = len(text) >= 5 if text.isascii() else len(text) > 1 and len(text.encode()) >= 6
        if long and not recent and text not in EPONYMS:
            self.planted.strings.append(text)

    def staff(self, place: Dataset, path: tuple[str, ...], keyword: str, name: str) -> None:
        """Set the name of a person other than the patient."""
        family, given, *_ = name.split("^")
        self.hide(place, path, keyword, name, family, given)

    def phrase(self, short: bool) -> Phrase:
        """Return a free text about the patient, with people and dates that no attribute holds."""
        day = self.study.day - timedelta(self.draw.random.randint(1, 700))
        family = self.draw.random.choice([self.draw.family()] * 4 + [self.draw.random.choice(EPONYMS)])
        fresh = {
            "dr": f"{self.draw.given()} {family}",
            "tech": family,
            "date": written_date(self.draw.random, day),
            "birth": written_date(self.draw.random, date.fromisoformat(self.person.birth)),
        }
        if self.draw.random.random() < 0.5:
            fresh["phone"] = self.draw.phone()
        values = {name: self.fit(value) for name, value in {**self.values, **fresh}.items()}
        return next(phrases(self.draw.random, values, short))

    def describe(
        self, place: Dataset, path: tuple[str, ...], keyword: str, short: bool | None = None
    ) -> None:
        """Set a free text and require its medical words to stay and its identity to go."""
        if short is None:
            short = dictionary_VR(tag_for_keyword(keyword) or 0) in ("LO", "SH")
        phrase = self.phrase(short)
        setattr(place, keyword, phrase.text)
        self.written((*path, *hexadecimal(keyword)), phrase)

    def written(self, path: tuple[str, ...], phrase: Phrase) -> None:
        """Require what a phrase requires of the attribute that holds it."""
        own = {token.casefold() for token in self.person.shown.split()}
        if not own & set(
            phrase.keep.casefold().split()
        ):  # `MR HEAD` of a patient called Head: either is right
            self.planted.require(Action.TEXT_RETAINED, path, phrase.keep)
        for text in phrase.remove:
            self.gone(path, text)

    def stamp(
        self, place: Dataset, path: tuple[str, ...], date_keyword: str, time_keyword: str = "", days: int = 0
    ) -> None:
        """Set a date, a date and time, or a date-time near the study's day and require that it be shifted."""
        day = self.study.day + timedelta(days)
        hour, minute, second = (
            self.draw.random.randint(low, high) for low, high in ((7, 18), (0, 59), (0, 59))
        )
        clock = f"{hour:02d}{minute:02d}{second:02d}" + self.draw.random.choice(["", ".500000", ".25"])
        where = (*path, *hexadecimal(date_keyword))
        if dictionary_VR(tag_for_keyword(date_keyword) or 0) == "DT":
            value = f"{day:%Y%m%d}{clock}"
            setattr(place, date_keyword, value)
            self.planted.require(Action.DATE_SHIFTED, where, value)
            return
        setattr(place, date_keyword, f"{day:%Y%m%d}")
        if not time_keyword:
            self.planted.require(Action.DATE_SHIFTED, where, f"{day:%Y%m%d}")
            return
        setattr(place, time_keyword, clock)
        time_path = (*path, *hexadecimal(time_keyword))
        self.planted.require(Action.DATE_SHIFTED, where, f"{day:%Y%m%d} {clock}", time_path)

    def patient(self) -> None:
        """Plant the patient module."""
        dataset, person = self.dataset, self.person
        dataset.PatientName, dataset.PatientID = person.name, person.id
        for token in person.tokens:
            self.gone(hexadecimal("PatientName"), token)
        self.gone(hexadecimal("PatientID"), person.id)
        self.planted.require(Action.PATID_CONSISTENT, hexadecimal("PatientID"), person.id)
        self.planted.require(Action.TEXT_NOTNULL, hexadecimal("PatientID"))
        self.planted.require(Action.TEXT_NOTNULL, hexadecimal("PatientName"))
        self.hide(dataset, (), "PatientBirthDate", person.birth)
        self.planted.require(Action.TAG_RETAINED, hexadecimal("PatientBirthDate"))
        dataset.PatientSex, dataset.PatientAge, dataset.PatientWeight = person.sex, person.age, "71.5"
        self.planted.require(Action.TEXT_RETAINED, hexadecimal("PatientSex"), person.sex)
        older = int(person.age[:3]) > 89
        action = Action.TEXT_REMOVED if older else Action.TEXT_RETAINED
        self.planted.require(action, hexadecimal("PatientAge"), person.age)
        dataset.OtherPatientIDs = [person.numbers["ssn"], person.numbers["mrn"]]
        for name in ("ssn", "mrn"):
            self.gone(hexadecimal("OtherPatientIDs"), person.numbers[name])
        address = f"{person.street}, {person.city}, {person.state} {person.zip}"
        street = " ".join(person.street.split(" ")[:2])
        self.hide(dataset, (), "PatientAddress", address, street, person.city, person.zip)
        self.hide(dataset, (), "PatientTelephoneNumbers", person.phone[:16])
        self.hide(dataset, (), "PatientTelecomInformation", person.email)
        self.staff(dataset, (), "PatientMotherBirthName", f"{person.maiden}^{self.draw.given()}")
        self.staff(dataset, (), "ResponsiblePerson", self.draw.staff())
        self.hide(dataset, (), "AdmissionID", person.numbers["admission"])
        self.hide(dataset, (), "InsurancePlanIdentification", person.numbers["insurance"])
        self.hide(dataset, (), "MilitaryRank", "Lieutenant Commander")
        self.hide(dataset, (), "CountryOfResidence", self.draw.random.choice(["Liechtenstein", "Luxembourg"]))

    def visit(self) -> None:
        """Plant study, equipment, staff, request and dates."""
        dataset, study = self.dataset, self.study
        for keyword, value in (
            ("AccessionNumber", study.accession),
            ("StudyID", study.identifier),
            ("InstitutionName", study.hospital),
            ("InstitutionAddress", study.address),
            ("InstitutionalDepartmentName", study.department),
            ("StationName", study.station),
            ("DeviceSerialNumber", study.serial),
            ("DetectorID", "DET" + self.draw.digits(6)),
            ("PlateID", "PLT" + self.draw.digits(6)),
            ("ReferringPhysicianTelephoneNumbers", self.draw.phone()[:16]),
            ("OrderCallbackPhoneNumber", self.draw.phone()[:16]),
            ("RequestedProcedureID", "RP" + self.draw.digits(6)),
            ("PerformedProcedureStepID", "PPS" + self.draw.digits(6)),
            ("PlacerOrderNumberImagingServiceRequest", "PON" + self.draw.digits(7)),
            ("FillerOrderNumberImagingServiceRequest", "FON" + self.draw.digits(7)),
            ("CurrentPatientLocation", f"Ward {self.draw.family()} {self.draw.random.randint(2, 9)}B"),
            ("RetrieveAETitle", "PACS" + self.draw.digits(5)),
            ("PersonAddress", self.draw.street()),
            ("PersonTelephoneNumbers", self.draw.phone()),
            ("PersonTelecomInformation", f"{self.draw.digits(6)}@staff.example.org"),
        ):
            self.hide(dataset, (), keyword, value)
        for keyword in ("AccessionNumber", "StudyID"):
            self.planted.require(Action.TAG_RETAINED, hexadecimal(keyword))
        for keyword, name in study.staff.items():
            self.staff(dataset, (), keyword, name)
        self.planted.require(Action.TAG_RETAINED, hexadecimal("ReferringPhysicianName"))
        for index, (date_keyword, time_keyword) in enumerate(_DATE_PAIRS):
            self.stamp(dataset, (), date_keyword, time_keyword, days=index // 4)
        self.planted.require(Action.TEXT_NOTNULL, hexadecimal("StudyDate"))

    def descriptions(self) -> None:
        """Plant free text in the short descriptions and in three of the long ones."""
        for keyword in _SHORT_TEXT:
            self.describe(self.dataset, (), keyword)
        for keyword in self.draw.random.sample(_LONG_TEXT, 3):
            self.describe(self.dataset, (), keyword)

    def technical(self) -> None:
        """Require that what is technical stays as it is."""
        present = [keyword for keyword in TECHNICAL if self.dataset.get(keyword) not in (None, "", [])]
        for keyword in self.draw.random.sample(present, min(12, len(present))):
            value = shown(self.dataset[keyword].value)
            if not re.search(
                r"://|\d{4}[-/]\d\d[-/]\d\d|\d\d/\d\d/\d\d", value
            ):  # a build date: either is right
                self.planted.require(Action.TEXT_RETAINED, hexadecimal(keyword), value)
        for keyword in present:
            self.planted.require(Action.TAG_RETAINED, hexadecimal(keyword))

    def item(self, keyword: str) -> Dataset:
        """Add an item to a sequence of the data set and return it."""
        item = Dataset()
        setattr(self.dataset, keyword, Sequence([*self.dataset.get(keyword, []), item]))
        return item


def shown(value: object) -> str:
    """Return a value as text, several ones joined by a backslash."""
    if isinstance(value, MultiValue | list):
        return "\\".join(map(str, value))
    return str(value)


def _listed(charset: str | list[str]) -> list[str]:
    return [charset] if isinstance(charset, str) else charset
