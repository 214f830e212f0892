"""Attacks on the DICOM path: values that try to survive, and meaning that tries to get lost."""

from __future__ import annotations

import contextlib
import struct
import time
from collections.abc import Callable

import pytest
from dicom_files import PSEUDONYMS, ct, element, file_of, private, read, release, sequence, survives
from pydicom.sr._concepts_dict import concepts

from deid.core.errors import Held
from deid.core.identifiers import Identifier, Kind, KnownIdentifiers
from deid.dicom.index import index_part10
from deid.dicom.part10 import parse_part10

# -- values that survive ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tag", "vr", "value"),
    [
        (0x00200011, "IS", "12345678"),  # the Patient ID as Series Number
        (0x00181318, "DS", "12345678"),
        (0x00200012, "IS", "555-123-4567"),
        (0x00280030, "DS", "1.2.840.113619.2.55"),
        (0x00280030, "DS", "2020-01-15"),
    ],
)
def test_numbers_in_text_hold_numbers_only_and_no_identifier(tag: int, vr: str, value: str) -> None:
    assert not survives(value, file_of(ct("12345678"), element(tag, vr, value)))


@pytest.mark.parametrize(
    "value", ["CALL MRS GARCIA AT 12 MAIN STREET SPRINGFIELD", "5551234567", "GARCIA MARIA DOB 19700203"]
)
def test_a_code_string_is_no_free_text(value: str) -> None:
    assert not survives(value, file_of(ct(), element(0x00180015, "CS", value)))


@pytest.mark.parametrize("vr", ["US", "UL", "FD", "AT"])
def test_binary_numbers_do_not_spell_a_name(vr: str) -> None:
    assert not survives("Testperson", file_of(ct(), element(0x00280106, vr, b"Testperson^Anna ")))


@pytest.mark.parametrize("vr", ["UL", "FD", "DS"])
def test_a_private_text_or_date_is_read_by_its_rule_whatever_its_vr(vr: str) -> None:
    date = file_of(ct(), *private(0x0009, "GEMS_PETD_01", 0x05, vr, "20190303101500  "))
    assert not survives("20190303", date)
    if vr != "DS":
        text = file_of(ct(), *private(0x0019, "GEMS_ACQU_01", 0x9E, vr, "Testperson^Anna "))
        assert not survives("Testperson", text)


@pytest.mark.parametrize(
    "entry",
    [
        "{attribute: 'ReferencedImageSequence > BodyPartExamined', action: keep-verbatim}",
        "{attribute: BodyPartExamined, action: keep-verbatim, sop_class: MRImageStorage}",
    ],
)
def test_keep_verbatim_reaches_no_further_than_its_scope(entry: str) -> None:
    source = file_of(ct(), element(0x00180015, "CS", "TESTPERSON"))
    assert not survives("TESTPERSON", source, f"overrides: [{entry}]")


def test_ages_above_89_in_content_items_are_capped() -> None:
    code = element(0x00080100, "SH", "121033") + element(0x00080102, "SH", "DCM")
    unit = element(0x00080100, "SH", "a") + element(0x00080102, "SH", "UCUM")
    value = sequence(0x004008EA, unit) + element(0x0040A30A, "DS", "95")
    item = element(0x0040A040, "CS", "NUM") + sequence(0x0040A043, code) + sequence(0x0040A300, value)
    output = read(release(file_of(ct(), sequence(0x0040A730, item))))
    measured = output.ContentSequence[0].MeasuredValueSequence[0]
    assert float(measured.NumericValue) <= 90


@pytest.mark.parametrize("doubled", [True, False])
def test_every_concept_name_of_an_item_counts(doubled: bool) -> None:
    harmless = element(0x00080100, "SH", "X1") + element(0x00080102, "SH", "99LOCAL")
    subject = element(0x00080100, "SH", "121029") + element(0x00080102, "SH", "DCM")
    if doubled:
        names = sequence(0x0040A043, harmless) + sequence(0x0040A043, subject)
    else:
        names = sequence(0x0040A043, harmless, subject)
    item = element(0x0040A040, "CS", "TEXT") + names + element(0x0040A160, "UT", "Quimble Zed")
    assert not survives("Quimble", file_of(ct(), sequence(0x0040A730, item)))


@pytest.mark.parametrize("name", ["Test\0person", "Test\u00adperson", "Test\u200bperson", "Test\u200dperson"])
def test_invisible_characters_do_not_hide_a_name(name: str) -> None:
    output = release(file_of(ct(), element(0x00081030, "LO", f"{name} axial")))
    assert b"person" not in output


# -- meaning that gets lost -----------------------------------------------------------------------------


def test_retained_uids_are_the_same_in_the_file_meta() -> None:
    output = read(release(file_of(ct()), "options: [retain-uids]"))
    assert output.file_meta.MediaStorageSOPInstanceUID == output.SOPInstanceUID


def test_a_sequence_of_vr_un_and_undefined_length_has_an_explicit_header() -> None:
    item = struct.pack("<HHI", 0x0008, 0x1155, 8) + b"1.2.3.4\0"
    raw = struct.pack("<HH2sHI", 0x0008, 0x1140, b"UN", 0, 0xFFFFFFFF)
    raw += struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF) + item
    raw += struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    output = release(file_of(ct(), raw))
    assert struct.pack("<HH", 0x0008, 0x1140) + b"UN" in output or b"\x08\x00\x40\x11SQ" in output


def test_no_patient_is_held_because_the_time_shift_is_zero() -> None:
    """About one patient of 1,440; either no shift has zero minutes, or verification knows of it."""
    patient = next(
        (p for p in (f"P{n}X" for n in range(20000)) if PSEUDONYMS.shift(f"{p}\x1f").minutes == 0), "P813X"
    )
    assert read(release(file_of(ct(patient)))).StudyTime


@pytest.mark.parametrize("patient", ["113100", "113107"])
def test_our_own_marks_are_no_finding(patient: str) -> None:
    assert read(release(file_of(ct(patient)))).PatientIdentityRemoved == "YES"


def test_a_patient_called_like_the_tool_is_not_held() -> None:
    source = ct()
    source.PatientName = "Mamideid^Eve"
    assert read(release(file_of(source))).PatientID


@pytest.mark.parametrize(
    ("tag", "keyword"), [(0x00080022, "AcquisitionDate"), (0x00200052, "FrameOfReferenceUID")]
)
def test_a_recipe_may_keep_a_date_or_uid(tag: int, keyword: str) -> None:
    source = ct()
    source.FrameOfReferenceUID = "1.2.3.4"
    expected = str(source[tag].value)
    output = read(release(file_of(source), f"overrides: [{{attribute: {keyword}, action: keep}}]"))
    assert str(output[tag].value) == expected


def test_texts_longer_than_their_vr_allows_are_not_cut() -> None:
    text = "thorax axial with contrast medium, late arterial phase, 1 mm, sharp kernel, both lungs"
    assert read(release(file_of(ct(), element(0x0008103E, "LO", text)))).SeriesDescription == text


@pytest.mark.parametrize(("age", "expected"), [("45Y", "045Y"), ("1200M", "090Y"), ("095Y", "090Y")])
def test_ages_of_bad_grammar_keep_their_meaning(age: str, expected: str) -> None:
    assert read(release(file_of(ct(), element(0x00101010, "AS", age)))).PatientAge == expected


def test_code_meanings_of_dicom_stay() -> None:
    known = KnownIdentifiers([Identifier(Kind.PATIENT_NAME, "Testperson^Anna")])
    meanings = {m for values in concepts["DCM"].values() for m, _ in values.values()}
    assert sorted(m for m in meanings if "^" not in m and known.clean(m) != m) == []


# -- crashes and time ----------------------------------------------------------------------------------


def test_a_number_of_frames_of_5000_digits_is_no_crash() -> None:
    record = index_part10(parse_part10(file_of(ct(), element(0x00280008, "IS", "9" * 5000))))
    assert record.frames == 1


@pytest.mark.parametrize(
    "raw",
    [
        element(0x00080062, "UI", "\\".join(f"1.2.3.{n}" for n in range(4000))),
        element(0x00204000, "LT", "Anna at " * 8000),
    ],
    ids=["UI", "LT"],
)
def test_a_value_that_outgrows_its_length_field_is_held_or_shortened(raw: bytes) -> None:
    try:
        release(file_of(ct(), raw))
    except Held as held:
        assert "internal" not in held.reason


def _seconds(source: bytes) -> float:
    """CPU time of one release."""
    started = time.process_time()
    with contextlib.suppress(Held):
        release(source)
    return time.process_time() - started


def _many_hits(count: int) -> bytes:
    item = element(0x00081150, "UI", "1.2.840.10008.5.1.4.1.1.2") + element(0x00200013, "IS", "123456")
    return file_of(ct("123456"), sequence(0x00081140, *[item] * count))


def _dates_without_end(count: int) -> bytes:
    return file_of(ct(), element(0x0040A160, "UT", "12/" * count))


@pytest.mark.parametrize(("make", "count"), [(_many_hits, 1000), (_dates_without_end, 1500)])
def test_time_grows_with_the_length(make: Callable[[int], bytes], count: int) -> None:
    """Four times as much takes less than 2.6 x 2.6 as long; with its square it would be 16."""
    small, large = make(count), make(4 * count)
    # in turn, and the least of several: a busy machine slows both
    runs = [(_seconds(small), _seconds(large)) for _ in range(3)]
    assert min(run[1] for run in runs) < 2.6 * 2.6 * min(run[0] for run in runs)


def test_a_name_that_only_a_report_gives_is_removed_from_other_texts() -> None:
    code = element(0x00080100, "SH", "121029") + element(0x00080102, "SH", "DCM")
    item = (
        element(0x0040A040, "CS", "TEXT")
        + sequence(0x0040A043, code)
        + element(0x0040A160, "UT", "Zedquimble")
    )
    note = element(0x00081030, "LO", "thorax Zedquimble axial")
    output = release(file_of(ct(), note, sequence(0x0040A730, item)))
    assert b"Zedquimble" not in output and b"thorax" in output


def test_a_document_that_the_user_keeps_is_whole() -> None:
    source = ct()
    source.SOPClassUID = source.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.104.1"
    document = b"%PDF-1.4 Testperson^Anna 12345678"
    del source.PixelData
    output = read(release(file_of(source, element(0x00420011, "OB", document))))
    assert output.EncapsulatedDocument.rstrip(b"\0") == document


def test_a_pseudonym_that_spells_a_short_name_holds_nothing() -> None:
    """About one label in ten thousand holds the name of a patient called Na Li, as in X4LIN3O74G4TU5IC."""
    known = KnownIdentifiers([Identifier(Kind.PATIENT_NAME, "Li^Na")])
    numbers = (f"A{n}" for n in range(200_000))
    number = next(n for n in numbers if known.residue(PSEUDONYMS.label("accession", n)) is not None)
    source = ct("12")
    source.PatientName, source.AccessionNumber = "Li^Na", number
    assert read(release(file_of(source))).AccessionNumber == PSEUDONYMS.label("accession", number)
