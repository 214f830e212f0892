"""What may hold identity outside its header is held back until somebody says otherwise."""

import pydicom
import pytest
from builders import Person, build, enhanced_stack, nifti_bytes, series, to_bytes, write

from deid.dicom.risk import Risk
from deid.workflows.scrub.options import Encapsulated, HeldLimit, OnRisk

SC, OP = "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.77.1.5.1"


def changed(kind, **attributes):
    dataset = build(kind).dataset
    for name, value in attributes.items():
        setattr(dataset, name, value)
    if "SOPClassUID" in attributes:
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    return dataset


def overlaid(kind, position):
    """With an overlay that the header puts into bits of the pixel data (PS3.3 C.9.2, retired)."""
    dataset = changed(kind)
    dataset.add_new(0x60000040, "CS", "G")
    dataset.add_new(0x60000100, "US", 16)
    dataset.add_new(0x60000102, "US", position)
    return dataset


def slide(flavour):
    return changed("wsi", BurnedInAnnotation="NO", ImageType=["ORIGINAL", "PRIMARY", flavour, "NONE"])


HELD = {
    "declared": (changed("cr", BurnedInAnnotation="YES"), Risk.DECLARED),
    "us": (changed("us", BurnedInAnnotation=""), Risk.MODALITY),
    "us that denies": (changed("us", BurnedInAnnotation="NO"), Risk.MODALITY),
    "es": (changed("xc", Modality="ES"), Risk.MODALITY),
    "xc": (changed("xc"), Risk.MODALITY),
    "gm": (changed("xc", Modality="GM"), Risk.MODALITY),
    "op": (changed("xc", Modality="OP", SOPClassUID=OP), Risk.MODALITY),
    "sc": (changed("sc"), Risk.CAPTURE),
    "sc as ct": (changed("ct", SOPClassUID=SC), Risk.CAPTURE),
    "screen save": (changed("ct", ImageType=["DERIVED", "SECONDARY", "SCREEN SAVE"]), Risk.CAPTURE),
    "slide label": (
        slide("LABEL"),
        Risk.SLIDE_LABEL,
    ),
    "slide overview": (
        slide("OVERVIEW"),
        Risk.SLIDE_LABEL,
    ),
    "overlay in the pixels": (overlaid("cr", 12), Risk.OVERLAY),
    "overlay in the pixels of a volume": (overlaid("ct", 15), Risk.OVERLAY),
    "head ct": (changed("ct", BodyPartExamined="HEAD"), Risk.FACE),
    "head mr": (changed("mr", SeriesDescription="t1 mprage"), Risk.FACE),
    "head pt": (changed("pt", StudyDescription="FDG brain"), Risk.FACE),
    "whole body": (changed("ct", StudyDescription="Whole body"), Risk.FACE),
}
RELEASED = {
    "cr": changed("cr"),
    "declared no": changed("cr", BurnedInAnnotation="NO"),
    "chest ct": changed("ct", BodyPartExamined="CHEST"),
    "one slice of unknown region": changed(
        "ct", BodyPartExamined="", StudyDescription="", SeriesDescription="", ProtocolName=""
    ),
    "slide": slide("VOLUME"),
    "report": changed("sr"),
    "overlay beside the pixels": overlaid("cr", 0),
}


@pytest.mark.parametrize("case", sorted(HELD))
def test_risk_is_held_and_released_on_request_with_a_mark(tool, tmp_path, case):
    dataset, risk = HELD[case]
    write(dataset, tmp_path / "in" / "x")
    held = tool.direct(tmp_path / "in")
    assert dict(held.held) == {str(risk): 1} and not tool.outputs()
    assert held.exit_status(None) == 3
    out = tmp_path / "released"
    released = tool.direct(tmp_path / "in", out=out, on_risk=OnRisk.RELEASE)
    assert (released.released, released.weaker, released.weaker_because) == (1, 1, {str(risk)})
    again = tool.direct(tmp_path / "in", out=out, on_risk=OnRisk.RELEASE)
    assert (again.unchanged, again.weaker, again.weaker_because) == (1, 1, {str(risk)})
    after = pydicom.dcmread(tool.outputs(out)[0])
    assert after.PatientIdentityRemoved == "NO"
    assert after.get("BurnedInAnnotation") == dataset.get("BurnedInAnnotation")
    assert "RecognizableVisualFeatures" not in after


@pytest.mark.parametrize("case", sorted(RELEASED))
def test_no_risk_is_released_and_removed_says_yes(tool, tmp_path, case):
    write(RELEASED[case], tmp_path / "in" / "x")
    summary = tool.direct(tmp_path / "in")
    assert (summary.released, summary.weaker) == (1, 0), summary.held
    assert pydicom.dcmread(tool.outputs()[0]).PatientIdentityRemoved == "YES"


def unknown_series(root, slices, number=1):
    for dataset in series(Person("Li^Na", "PAT-12"), 1, number, slices=slices, size=4):
        for name in ("BodyPartExamined", "ProtocolName"):
            if name in dataset:
                setattr(dataset, name, "")
        dataset.StudyDescription = dataset.SeriesDescription = ""
        write(dataset, root / f"{number}-{dataset.InstanceNumber}")


def test_a_volume_of_unknown_region_is_held_from_sixteen_slices_on(tool, tmp_path):
    unknown_series(tmp_path / "in", 15)
    assert tool.direct(tmp_path / "in").released == 15
    unknown_series(tmp_path / "in", 16)
    grown = tool.direct(tmp_path / "in")
    assert dict(grown.held) == {str(Risk.FACE_UNKNOWN): 16}
    assert grown.deleted == 15 and not tool.outputs(), "what turned out to be of risk is taken back"
    assert tool.direct(tmp_path / "in", on_risk=OnRisk.RELEASE).released == 16


def test_one_file_with_many_frames_is_a_volume(tool, tmp_path):
    dataset = enhanced_stack(Person("Li^Na", "PAT-12"))
    dataset.StudyDescription = dataset.SeriesDescription = dataset.BodyPartExamined = ""
    write(dataset, tmp_path / "in" / "few")
    frames = int(dataset.NumberOfFrames)
    assert tool.direct(tmp_path / "in").released == (frames < 16)


@pytest.mark.parametrize("choice", list(Encapsulated))
def test_encapsulated_documents(tool, tmp_path, choice):
    write(build("pdf").dataset, tmp_path / "in" / "x")
    write(build("cr").dataset, tmp_path / "in" / "y")
    summary = tool.direct(tmp_path / "in", encapsulated=choice, on_risk=OnRisk.RELEASE)
    document = {str(Risk.DOCUMENT): 1}
    assert dict(summary.held) == (document if choice is Encapsulated.HOLD else {})
    assert dict(summary.dropped) == (document if choice is Encapsulated.DROP else {})
    assert summary.released == (2 if choice is Encapsulated.KEEP else 1)
    assert summary.exit_status(HeldLimit()) == (1 if choice is Encapsulated.HOLD else 0)
    marks = {pydicom.dcmread(p).Modality: pydicom.dcmread(p).PatientIdentityRemoved for p in tool.outputs()}
    assert marks == {"CR": "YES"} | ({"DOC": "NO"} if choice is Encapsulated.KEEP else {})


def test_a_head_volume_in_nifti_is_held(tool, tmp_path):
    folder = tmp_path / "in" / "sub-01" / "anat"
    folder.mkdir(parents=True)
    (folder / "sub-01_T1w.nii.gz").write_bytes(nifti_bytes(shape=(20, 20, 20)))
    assert [reason.split(":")[0] for reason in tool.direct(tmp_path / "in").held] == ["face"]
    released = tool.direct(tmp_path / "in", on_risk=OnRisk.RELEASE)
    assert released.released == 1 and any("face" in reason for reason in released.weaker_because)


def test_a_weaker_recipe_says_no_and_is_named(tool, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("preset: basic\noverrides:\n  - {attribute: InstitutionName, action: keep-verbatim}\n")
    dataset = build("cr").dataset
    dataset.InstitutionName = "Quermmel"
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x").write_bytes(to_bytes(dataset))
    summary = tool.direct(tmp_path / "in", recipe=recipe)
    assert summary.released == summary.weaker == 1, summary.held
    assert any("InstitutionName" in row for row in summary.weaker_because)
    after = pydicom.dcmread(tool.outputs()[0])
    assert (after.PatientIdentityRemoved, after.InstitutionName) == ("NO", "Quermmel")
