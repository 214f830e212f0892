"""The result as a DICOM SR: what it says, what it does not say, and that others can read it."""

import copy
import io
import json
import shutil
import subprocess
from datetime import UTC, datetime

import highdicom
import pydicom
import pytest
from builders.audits import SAMPLES, assessed, nothing_assessed

from deid.audit.structured_report import SCHEME, structured_report

NOW = datetime(2031, 2, 3, 4, 5, 6, tzinfo=UTC)


def written(result):
    stream = io.BytesIO()
    structured_report(result, NOW).save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def read(result):
    return pydicom.dcmread(io.BytesIO(written(result)))


def named(item, name):
    """The children of a name."""
    return [
        child for child in item.get("ContentSequence", []) if _value(child.ConceptNameCodeSequence[0]) == name
    ]


def _value(code):
    return code.get("CodeValue") or code.LongCodeValue


def at(item, *path):
    for name in path:
        (item,) = named(item, name)
    return item


def number(item):
    measured = item.MeasuredValueSequence[0]
    return measured.get("FloatingPointValue", measured.NumericValue)


def walk(item):
    yield item
    for child in item.get("ContentSequence", []):
        yield from walk(child)


@pytest.mark.parametrize("make", SAMPLES.values(), ids=SAMPLES)
def test_every_sample_gives_a_document_that_is_read_back(make):
    result = make()
    before = json.dumps(result)
    document = read(result)
    assert document.SOPClassUID == pydicom.uid.EnhancedSRStorage and json.dumps(result) == before
    content = highdicom.sr.EnhancedSR.from_dataset(document).content
    assert content[0].name.meaning == "Audit of a de-identified release"
    assert {item.ValueType for item in walk(document)} <= {"CONTAINER", "TEXT", "NUM", "CODE", "UIDREF"}
    for item in walk(document):
        assert item.ValueType != "CONTAINER" or len(item.ContentSequence)
        assert item.ValueType != "TEXT" or item.TextValue.strip()
        assert len(item.ConceptNameCodeSequence[0].CodeMeaning) <= 64


def test_it_says_what_the_result_says():
    result = assessed()
    result["gates"] = [
        {"expression": "header.certain==0", "found": 0, "passed": True, "reason": ""},
        {"expression": "reid.adaptive.auc<0.6", "found": None, "passed": False, "reason": "not assessed"},
    ]
    document = read(result)
    assert at(document, "verdict").TextValue == result["verdict"]
    for threat in ("reid", "linkage", "inversion", "header"):
        assert at(document, threat, "verdict").TextValue == result[threat]["verdict"]
    auc = at(document, "reid", "adaptive", "auc")
    known = result["reid"]["adaptive"]["auc"]
    assert number(auc) == pytest.approx(known["value"])
    assert [number(at(auc, end)) for end in ("lower", "upper", "confidence")] == pytest.approx(
        [known["lower"], known["upper"], known["confidence"]]
    )
    assert {item.RelationshipType for item in auc.ContentSequence} == {"HAS PROPERTIES"}
    assert number(at(document, "header", "certain")) == result["header"]["certain"]
    assert number(at(document, "release", "patients")) == result["release"]["patients"]
    assert at(document, "manifest", "python").TextValue == result["manifest"]["python"]
    gates = named(at(document, "gates"), "gates")
    assert [at(gate, "expression").TextValue for gate in gates] == [
        gate["expression"] for gate in result["gates"]
    ]
    passed = [at(gate, "passed").ConceptCodeSequence[0].CodeMeaning for gate in gates]
    assert passed == ["Yes", "No"] and named(gates[1], "found") == []
    seconds = at(document, "manifest", "seconds").ContentSequence[0].MeasuredValueSequence[0]
    assert seconds.MeasurementUnitsCodeSequence[0].CodeValue == "s"
    assert all(
        item.ConceptNameCodeSequence[0].CodingSchemeDesignator in (SCHEME, "DCM") for item in walk(document)
    )


def test_it_is_of_nobody_and_refers_to_nothing():
    document = read(assessed())
    for keyword in (
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "AccessionNumber",
        "StudyID",
        "StudyDate",
    ):
        assert not document[keyword].value
    assert "PertinentOtherEvidenceSequence" not in document
    assert "CurrentRequestedProcedureEvidenceSequence" not in document
    assert document.VerificationFlag == "UNVERIFIED" and document.CompletionFlag == "COMPLETE"
    assert not named(at(document, "reid", "adaptive"), "histogram")
    assert not named(at(document, "reid", "adaptive"), "cmc")


def test_uids_come_from_the_content():
    result = assessed()
    result["manifest"]["created"] = "2026-01-02T03:04:05+00:00"
    assert written(result) == written(copy.deepcopy(result))
    document, other = read(result), copy.deepcopy(result)
    other["header"]["certain"] += 1
    levels = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    uids = {getattr(each, level) for each in (document, read(other)) for level in levels}
    assert len(uids) == 6 and all(uid.startswith("2.25.") and uid.is_valid for uid in uids)
    assert document.ContentDate == document.InstanceCreationDate == "20260102"
    assert document.ContentTime == "030405"


@pytest.mark.parametrize("said", [None, "yesterday"])
def test_a_result_without_a_date_gets_one(said):
    result = nothing_assessed()
    if said:
        result["manifest"]["created"] = said
    assert read(result).ContentDate == "20310203"


def test_numbers_that_no_element_can_hold_are_said_in_words():
    result = assessed()
    result["header"]["values"] = 10**400
    assert at(read(result), "header", "values").TextValue == "beyond 1e+15"


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is not installed")
@pytest.mark.parametrize("make", SAMPLES.values(), ids=SAMPLES)
def test_it_is_valid(make, tmp_path):
    (tmp_path / "report.dcm").write_bytes(written(make()))
    done = subprocess.run(["dciodvfy", "-new", tmp_path / "report.dcm"], capture_output=True, text=True)
    assert not [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]
