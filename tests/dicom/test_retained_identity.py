"""Names of devices and institutions where an option retains them, and values of content items that go."""

from __future__ import annotations

import struct

import pytest
from dicom_files import ct, element, file_of, private, read, release, sequence

from deid.dicom.profile import Action, Option, Profile, conformance_statement

BOTH = (
    "options: [retain-device-identity, retain-institution-identity, retain-safe-private, clean-descriptors]"
)
PLAIN = "options: [retain-safe-private, clean-descriptors]"
TCIA = "\nprivate: [standard, tcia]"


def content_item(code: str, scheme: str, value_type: str, *value: bytes) -> bytes:
    name = element(0x00080100, "SH", code) + element(0x00080102, "SH", scheme)
    return b"".join([element(0x0040A040, "CS", value_type), sequence(0x0040A043, name), *value])


@pytest.mark.parametrize(
    ("tag", "vr", "value"),
    [
        (0x0018700A, "SH", "DET 2004567890"),  # Detector ID
        (0x00181000, "LO", "020-555-4711 A"),  # Device Serial Number, which looks like a phone number
        (0x00081010, "SH", "ROOM 555-0199"),  # Station Name
        (0x00080080, "LO", "Dr. Quermmel Clinic"),  # Institution Name
        (0x00080081, "ST", "12 Main Street, Springfield 12345"),  # Institution Address
    ],
)
def test_what_an_option_retains_is_kept_whole(tag: int, vr: str, value: str) -> None:
    source = file_of(ct(), element(tag, vr, value))
    assert str(read(release(source, BOTH))[tag].value) == value
    assert tag not in read(release(source, PLAIN)) or str(read(release(source, PLAIN))[tag].value) != value


def test_what_an_option_retains_loses_the_patient() -> None:
    source = file_of(ct("77412345"), element(0x00081010, "SH", "CT 2 77412345"))
    assert read(release(source, BOTH)).StationName == "CT 2"


def test_the_option_wins_over_no_other_attribute() -> None:
    """A recipe that cleans is obeyed, and descriptions lose what looks like identity."""
    recipe = BOTH + "\noverrides: [{attribute: DetectorID, action: clean}]"
    source = file_of(
        ct(), element(0x0018700A, "SH", "DET 2004567890"), element(0x00081030, "LO", "CT 2004567890 thorax")
    )
    output = read(release(source, recipe))
    assert output.DetectorID == "DET" and output.StudyDescription == "CT thorax"


def test_codes_of_an_institution_are_kept_whole() -> None:
    item = (
        element(0x00080100, "SH", "H1")
        + element(0x00080102, "SH", "99LOCAL")
        + element(0x00080104, "LO", "Clinic of Dr. Quermmel, 555-123-4567")
    )
    source = file_of(ct(), sequence(0x00080082, item))
    (code,) = read(release(source, BOTH)).InstitutionCodeSequence
    assert code.CodeMeaning == "Clinic of Dr. Quermmel, 555-123-4567"


def test_content_items_of_a_device_are_kept_whole() -> None:
    serial = content_item("121016", "DCM", "TEXT", element(0x0040A160, "UT", "2004567890"))
    source = file_of(ct(), sequence(0x0040A730, serial))
    assert read(release(source, BOTH)).ContentSequence[0].TextValue == "2004567890"
    assert b"2004567890" not in release(source, PLAIN)


@pytest.mark.parametrize(
    ("group", "creator", "low", "option"),
    [
        *(
            (0x0009, "SIEMENS CM VA0  LAB", low, Option.RETAIN_DEVICE_IDENTITY)
            for low in (0x10, 0x11, 0x13, 0x15)
        ),
        *((0x0013, "CTP", low, Option.RETAIN_INSTITUTION_IDENTITY) for low in (0x12, 0x13)),
        (0x0009, "FDMS 1.0", 0x92, Option.RETAIN_INSTITUTION_IDENTITY),
    ],
)
def test_private_names_of_devices_and_sites_need_their_option(
    group: int, creator: str, low: int, option: Option
) -> None:
    other = ({Option.RETAIN_DEVICE_IDENTITY, Option.RETAIN_INSTITUTION_IDENTITY} - {option}).pop()

    def rule(*options: Option) -> object:
        profile = Profile("custom", frozenset({Option.RETAIN_SAFE_PRIVATE, *options}), ("standard", "tcia"))
        return profile.private(creator, group, low, "LO")

    assert rule() is None and rule(other) is None
    found = rule(option)
    assert found is not None and found.action is Action.CLEAN and found.retained
    source = file_of(ct(), *private(group, creator, low, "LO", "Unit 2004567890"))
    assert b"Unit 2004567890" in release(source, BOTH + TCIA)
    assert b"2004567890" not in release(source, PLAIN + TCIA)


def test_the_statement_counts_what_the_options_keep() -> None:
    few = Profile("custom", frozenset({Option.RETAIN_SAFE_PRIVATE}), ("tcia",))
    more = Profile("custom", few.options | {Option.RETAIN_DEVICE_IDENTITY}, ("tcia",))
    assert "2295 elements" in conformance_statement(few) and "2300 elements" in conformance_statement(more)


# -- values of content items that may not stay ---------------------------------------------------------

AGE = ("121033", "DCM")  # a characteristic of the patient, which these options do not retain
STRUCTURED = "options: [clean-structured-content, clean-descriptors]"
EXACT = (
    element(0x0040A161, "FD", struct.pack("<d", 47.25))
    + element(0x0040A162, "SL", struct.pack("<i", 189))
    + element(0x0040A163, "UL", struct.pack("<I", 4))
)


EXACT_KEYWORDS = {"FloatingPointValue", "RationalNumeratorValue", "RationalDenominatorValue"}


def number(text: str) -> bytes:
    units = element(0x00080100, "SH", "a") + element(0x00080102, "SH", "UCUM")
    return sequence(0x004008EA, units) + element(0x0040A30A, "DS", text)


def test_the_number_of_a_concept_that_goes_goes_as_well() -> None:
    item = content_item(*AGE, "NUM", sequence(0x0040A300, number("47")))
    source = file_of(ct(), sequence(0x0040A730, item))
    (kept,) = read(release(source)).ContentSequence
    assert kept.MeasuredValueSequence[0].NumericValue == 47
    (gone,) = read(release(source, STRUCTURED)).ContentSequence
    assert len(gone.MeasuredValueSequence) == 0 and gone.ConceptNameCodeSequence[0].CodeValue == AGE[0]


def test_a_number_beside_its_concept_goes_too_however_it_is_written() -> None:
    item = content_item(*AGE, "NUMERIC", number("47.25"), EXACT)
    source = file_of(ct(), sequence(0x00400555, item))
    (gone,) = read(release(source, STRUCTURED)).AcquisitionContextSequence
    assert gone.NumericValue == 0 and not set(gone.dir()) & EXACT_KEYWORDS
    (kept,) = read(release(source)).AcquisitionContextSequence
    assert (kept.NumericValue, kept.FloatingPointValue) == (47.25, 47.25)


def test_other_numbers_stay() -> None:
    item = content_item("122130", "DCM", "NUM", sequence(0x0040A300, number("47.25"), EXACT))
    source = file_of(ct(), sequence(0x0040A730, item))
    first, second = read(release(source, STRUCTURED)).ContentSequence[0].MeasuredValueSequence
    assert (first.NumericValue, second.FloatingPointValue) == (47.25, 47.25)


def test_under_the_basic_profile_no_number_stays_in_any_form() -> None:
    item = content_item("122130", "DCM", "NUM", sequence(0x0040A300, number("47.25") + EXACT))
    (dummy,) = read(release(file_of(ct(), sequence(0x0040A730, item)), "preset: basic")).ContentSequence
    (measured,) = dummy.MeasuredValueSequence
    assert measured.NumericValue == 0 and not set(measured.dir()) & EXACT_KEYWORDS
