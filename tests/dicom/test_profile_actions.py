"""Actions of the profile, against the standard's words written a second time and read from the CSV anew."""

import csv
import functools
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.datadict import tag_for_keyword

from deid.core.errors import UsageError
from deid.dicom.profile import PSEUDONYMS, REVEALS, Action, Option, Profile, Pseudonym, preset_profile
from deid.dicom.profile.iods import Need, sop_classes
from deid.dicom.profile.resolve import combined
from deid.dicom.profile.unlisted import dictionary_vrs

CT, ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1"
UNKNOWN = "1.2.3.4"
BASIC, RESEARCH = preset_profile("basic"), preset_profile("research")
K, C, X, Z, D, U = Action.KEEP, Action.CLEAN, Action.REMOVE, Action.EMPTY, Action.DUMMY, Action.UID


@functools.cache
def published():
    """Rows of the data file, by a reader of its own: tag -> (basic, letters by column)."""
    text = (files("deid.dicom") / "data/ps315_e1_1.csv").read_text()
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return {
        int(r["tag"][1:5] + r["tag"][6:10], 16): r
        for r in rows
        if "x" not in r["tag"] and "gggg" not in r["tag"]
    }


def with_options(*options):
    return Profile("custom", frozenset(options))


def act(profile, keyword, sop_class=CT, parents=(), vr=None):
    tag = tag_for_keyword(keyword)
    path = tuple(tag_for_keyword(parent) for parent in parents)
    return profile.action(tag, vr or sorted(dictionary_vrs(tag))[0], path, sop_class)


@pytest.mark.parametrize(
    ("keyword", "option", "plain", "chosen"),
    [
        ("StudyInstanceUID", Option.RETAIN_UIDS, U, K),
        ("ReferencedImageSequence", Option.RETAIN_UIDS, X, C),
        ("SourceImageSequence", Option.RETAIN_UIDS, X, C),
        ("DeviceUID", Option.RETAIN_DEVICE_IDENTITY, U, K),
        ("StationName", Option.RETAIN_DEVICE_IDENTITY, X, C),
        ("DateOfLastCalibration", Option.RETAIN_DEVICE_IDENTITY, X, K),
        ("DateOfLastCalibration", Option.RETAIN_MODIFIED_DATES, X, C),
        ("InstitutionName", Option.RETAIN_INSTITUTION_IDENTITY, X, C),
        ("PatientSex", Option.RETAIN_PATIENT_CHARACTERISTICS, Z, K),
        ("PatientAge", Option.RETAIN_PATIENT_CHARACTERISTICS, X, K),
        ("PatientWeight", Option.RETAIN_PATIENT_CHARACTERISTICS, X, K),
        ("Allergies", Option.RETAIN_PATIENT_CHARACTERISTICS, X, C),
        ("StudyDate", Option.RETAIN_FULL_DATES, Z, K),
        ("StudyDate", Option.RETAIN_MODIFIED_DATES, Z, C),
        ("StudyTime", Option.RETAIN_MODIFIED_DATES, Z, C),
        ("StudyDescription", Option.CLEAN_DESCRIPTORS, X, C),
        ("PatientComments", Option.CLEAN_DESCRIPTORS, X, C),
        ("ContentSequence", Option.CLEAN_STRUCTURED_CONTENT, D, C),
        ("GraphicAnnotationSequence", Option.CLEAN_GRAPHICS, D, C),
        ("PatientName", None, Z, Z),
        ("PatientBirthDate", None, Z, Z),
        ("OtherPatientIDs", None, X, X),
        ("OperatorsName", None, X, X),
    ],
)
def test_every_option_does_what_its_column_says(keyword, option, plain, chosen):
    assert act(BASIC, keyword, UNKNOWN) is plain
    assert act(with_options(*([option] if option else [])), keyword, UNKNOWN) is chosen


def test_clean_beats_keep():
    both = with_options(Option.RETAIN_DEVICE_IDENTITY, Option.RETAIN_MODIFIED_DATES)
    assert act(both, "DateOfLastCalibration") is C


def test_both_date_options_are_refused():
    with pytest.raises(UsageError, match="exclude each other"):
        with_options(Option.RETAIN_FULL_DATES, Option.RETAIN_MODIFIED_DATES)


@pytest.mark.parametrize(
    ("letters", "optional", "present", "valued"),
    [
        ("X", X, Z, D),
        ("Z", Z, Z, D),
        ("D", D, D, D),
        ("U", U, U, U),
        ("X/Z", X, Z, D),
        ("X/D", X, Z, D),
        ("Z/D", Z, Z, D),
        ("X/Z/D", X, Z, D),
        ("X/Z/U*", X, Z, U),
    ],
)
def test_types_decide_combined_letters(letters, optional, present, valued):
    assert [combined(letters, n) for n in (Need.OPTIONAL, Need.PRESENT, Need.VALUE)] == [
        optional,
        present,
        valued,
    ]


@pytest.mark.parametrize(
    ("keyword", "sop_class", "parents", "expected"),
    [
        ("DeviceSerialNumber", CT, (), X),
        ("DeviceSerialNumber", ENHANCED_CT, (), D),
        ("ContentDate", CT, (), Z),
        ("ContentDate", ENHANCED_CT, (), D),
        ("AcquisitionDateTime", CT, (), X),
        ("AcquisitionDateTime", ENHANCED_CT, (), D),
        ("AcquisitionDateTime", UNKNOWN, (), X),
        ("ContentDate", UNKNOWN, (), Z),
        ("ScheduledProcedureStepID", CT, ("RequestAttributesSequence",), D),
        ("ScheduledProcedureStepID", CT, (), X),
        ("ScheduledProcedureStepID", UNKNOWN, ("RequestAttributesSequence",), X),
        ("ROIInterpreter", "1.2.840.10008.5.1.4.1.1.481.3", ("RTROIObservationsSequence",), Z),
        ("ReferencedImageSequence", ENHANCED_CT, ("SharedFunctionalGroupsSequence",), Z),
    ],
)
def test_basic_profile_at_its_place_in_the_object(keyword, sop_class, parents, expected):
    assert act(BASIC, keyword, sop_class, parents) is expected


def test_every_row_resolves_for_every_sop_class_and_vr_as_published():
    for tag, row in published().items():
        letters = row["basic"].replace("*", "").split("/")
        vr = next(iter(dictionary_vrs(tag)), "LO")
        for sop_class in (*sop_classes(), UNKNOWN):
            action = BASIC.action(tag, vr, (), sop_class)
            # emptied and dummies stand in for X where the object would break
            assert action in letters or (action in (Z, D) and set(letters) & {"X", "Z"}), row["tag"]


@given(
    tag=st.one_of(st.sampled_from(sorted(published())), st.integers(0, 0xFFFFFFFF)),
    vr=st.sampled_from(
        [
            "AE",
            "AS",
            "AT",
            "CS",
            "DA",
            "DS",
            "DT",
            "FD",
            "FL",
            "IS",
            "LO",
            "LT",
            "OB",
            "OW",
            "PN",
            "SH",
            "SL",
            "SQ",
            "SS",
            "ST",
            "TM",
            "UC",
            "UI",
            "UL",
            "UN",
            "UR",
            "US",
            "UT",
        ]
    ),
    parents=st.lists(
        st.sampled_from([0x00081140, 0x00400275, 0x0040A730, 0x52009230, 0x00091010]), max_size=3
    ),
    sop_class=st.sampled_from([CT, ENHANCED_CT, UNKNOWN, ""]),
    options=st.sets(st.sampled_from([o for o in Option if o is not Option.RETAIN_FULL_DATES])),
)
def test_no_action_is_weaker_than_the_table(tag, vr, parents, sop_class, options):
    profile = Profile("custom", frozenset(options))
    action = profile.action(tag, vr, tuple(parents), sop_class)
    assert profile.removal(tag, vr, tuple(parents), sop_class) in (X, Z, D)
    row = published().get(tag)
    if tag >> 16 & 1:
        assert action is X
    elif row is not None:
        letters = {row[option.value] for option in options} - {""}
        allowed = [3 if letter == "K" else 2 for letter in letters]
        allowed += [1 if "U" in row["basic"] else 0]
        assert REVEALS[action] <= max(allowed)
        if "C" in letters and vr != "SQ":
            assert action is not K or vr not in ("LO", "SH", "LT", "ST", "UT", "UC", "PN")
    if vr in ("LO", "SH", "ST", "LT", "UT", "UC", "PN"):
        assert action is not K


@pytest.mark.parametrize(
    ("keyword", "basic", "research"),
    [
        ("Modality", K, K),
        ("KVP", K, K),
        ("Rows", K, K),
        ("FrameIncrementPointer", K, K),
        ("ConvolutionKernel", C, C),
        ("CodeMeaning", C, C),
        ("TextValue", X, C),
        ("SegmentSequence", C, C),
        ("SOPClassUID", U, U),
        ("PixelData", K, K),
        ("LUTData", K, K),
        ("RedPaletteColorLookupTableData", K, K),
        ("WaveformData", K, K),
        ("SpectroscopyData", K, K),
        ("HPGLDocument", X, X),
        ("MAC", X, X),
        ("EncryptedContent", X, X),
        ("URNCodeValue", X, X),
        ("IconImageSequence", X, X),
    ],
)
def test_unlisted_and_bulk_attributes(keyword, basic, research):
    assert act(BASIC, keyword, UNKNOWN) is basic
    assert act(RESEARCH, keyword, UNKNOWN) is research


@pytest.mark.parametrize("vr", ["LO", "OB", "US", "UN", "SQ", "DA", "PN", "UI"])
@pytest.mark.parametrize(
    "tag", [0x00080000, 0x00000100, 0x00020016, 0x0008FFF1, 0x60000010, 0x60221500, 0x50003000]
)
def test_what_is_never_kept(tag, vr):
    assert BASIC.action(tag, vr, (), CT) is X
    assert RESEARCH.action(tag, vr, (), CT) is X


@pytest.mark.parametrize(
    ("keyword", "vr"),
    [
        ("StudyDescription", "OB"),
        ("PatientComments", "US"),
        ("StudyDate", "LO"),
        ("StudyDate", "UN0"),
        ("ImageType", "OW"),
        ("ConvolutionKernel", "AE"),
        ("PatientAge", "OB"),
    ],
)
def test_a_false_vr_does_not_pass_by_the_rule(keyword, vr):
    assert REVEALS[act(RESEARCH, keyword, UNKNOWN, vr=vr)] == 0


def test_research_keeps_what_research_needs_and_no_birth_date():
    assert act(RESEARCH, "PatientSex") is K
    assert act(RESEARCH, "StudyDate") is C
    assert act(RESEARCH, "StudyDescription") is C
    assert act(RESEARCH, "PatientBirthDate") is Z
    assert act(RESEARCH, "ReferencedImageSequence") is U
    assert act(RESEARCH, "TimezoneOffsetFromUTC") is X
    assert act(RESEARCH, "InstitutionName") is X


def test_pseudonyms():
    assert RESEARCH.pseudonym(0x00100020, (), CT) is Pseudonym.PATIENT
    assert RESEARCH.pseudonym(0x00080050, (), CT) is Pseudonym.ACCESSION
    assert RESEARCH.pseudonym(0x00100040, (), CT) is None
    # a dummy is within what their rows allow
    assert all(set(published()[tag]["basic"].split("/")) <= {"Z", "D"} for tag in PSEUDONYMS)


@pytest.mark.parametrize(
    ("code", "scheme", "value_type", "basic", "research"),
    [
        ("121022", "DCM", "TEXT", X, X),  # Accession Number
        ("126201", "DCM", "DATE", X, C),  # Acquisition Date
        ("121008", "DCM", "PNAME", D, D),  # Person Observer Name
        ("121032", "DCM", "CODE", X, K),  # Subject Sex
        ("112040", "DCM", "UIDREF", U, U),  # Tracking Unique Identifier
        ("11329-0", "LN", "TEXT", X, C),  # History
        ("121008", "DCM", "TEXT", D, D),  # listed as PNAME: the strictest of what is listed
        ("121071", "DCM", "TEXT", X, C),  # Finding
        ("121022", "99LOCAL", "TEXT", None, None),
        ("113812", "DCM", "NUM", None, None),
    ],
)
def test_content_items(code, scheme, value_type, basic, research):
    assert BASIC.concept(code, scheme, value_type) is basic
    assert RESEARCH.concept(f" {code} ", scheme, value_type) is research
