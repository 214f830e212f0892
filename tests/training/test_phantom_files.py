"""Written phantoms: readable, right in geometry and values, without planted identities once scrubbed."""

import csv
import gzip
import shutil
import subprocess

import nibabel as nib
import numpy as np
import pydicom
import pytest
from workflows.command import Tool

from deid.core.errors import UsageError
from deid.training.manifest import read_manifest
from deid.training.phantoms import make_cohort, write_dicom, write_nifti, write_png
from deid.workflows.scrub.options import OnRisk


@pytest.fixture(scope="module")
def chests():
    return make_cohort(4, 3, 2, "chest", 24)


@pytest.fixture(scope="module")
def heads():
    return make_cohort(3, 2, 2, "head", 20, ("MR", "CT"))


@pytest.fixture
def tool(tmp_path):
    return Tool(tmp_path / "tool")


def tree_bytes(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def left(identifiers, contents):
    """Identifiers that stand in any name or byte of the files, compressed ones opened, in any case."""
    opened = [gzip.decompress(data) for name, data in contents.items() if name.endswith(".nii.gz")]
    text = b"\n".join([*contents.values(), *opened, *(name.encode() for name in contents)]).lower()
    return sorted(word for word in identifiers if word.lower().encode() in text)


def identifiers(cohort):
    return {word for study in cohort.studies for word in study.identifiers}


@pytest.mark.parametrize("write", [write_dicom, write_png])
def test_the_same_cohort_gives_the_same_bytes(chests, tmp_path, write):
    write(chests, tmp_path / "a")
    write(chests, tmp_path / "b")
    assert tree_bytes(tmp_path / "a") == tree_bytes(tmp_path / "b")


def test_the_manifest_says_what_is_known(chests, tmp_path):
    paths = write_dicom(chests, tmp_path / "out")
    table = read_manifest(tmp_path / "out" / "manifest.csv")
    assert [sample.path for sample in table] == list(paths)
    assert [sample.findings for sample in table] == list(chests.findings)
    assert [sample.patient for sample in table] == [study.person.id for study in chests.studies]
    assert {sample.modality for sample in table} == {"CR", "DX"}
    with (tmp_path / "out" / "manifest.csv").open() as stream:
        row = next(csv.DictReader(stream))
    assert (row["width"], row["height"], row["source"]) == ("24", "24", "phantom-chest")


def test_radiographs_hold_their_image_in_either_polarity(chests, tmp_path):
    photometric, bits = set(), set()
    for path, image, study in zip(
        write_dicom(chests, tmp_path / "out"), chests.images, chests.studies, strict=True
    ):
        dataset = pydicom.dcmread(path)
        shown = dataset.pixel_array / (2**dataset.BitsStored - 1)
        if dataset.PhotometricInterpretation == "MONOCHROME1":
            shown = 1 - shown
        assert np.abs(shown - image).max() < 2e-4
        assert dataset.Modality == study.acquisition.modality
        photometric.add(dataset.PhotometricInterpretation)
        bits.add(dataset.BitsStored)
    assert photometric == {"MONOCHROME1", "MONOCHROME2"} and bits == {12, 14, 16}


def test_planted_identities_stand_in_every_header(chests, tmp_path):
    for path, study in zip(write_dicom(chests, tmp_path / "out"), chests.studies, strict=True):
        dataset, person, visit = pydicom.dcmread(path), study.person, study.visit
        assert dataset.PatientName == person.name and dataset.PatientID == person.id
        assert dataset.PatientBirthDate == person.birth and dataset.StudyDate == visit.date
        assert dataset.AccessionNumber == visit.accession
        text = path.read_bytes()
        assert [word for word in study.identifiers if word.encode() not in text] == []


def test_a_series_is_its_volume(heads, tmp_path):
    write_dicom(heads, tmp_path / "out")
    for image, study in zip(heads.images, heads.studies, strict=True):
        folder = tmp_path / "out" / study.person.id / f"study{study.study + 1}"
        slices = [pydicom.dcmread(path) for path in folder.iterdir()]
        slices.sort(key=lambda dataset: dataset.ImagePositionPatient[2])
        assert [dataset.InstanceNumber for dataset in slices] == list(range(1, 21))
        assert len({dataset.SeriesInstanceUID for dataset in slices}) == 1
        stored = np.stack([dataset.pixel_array for dataset in slices]).astype(float)
        if study.acquisition.modality == "CT":
            shown = (stored + float(slices[0].RescaleIntercept) + 1000) / 2000
        else:
            shown = stored / 4095
        assert np.abs(shown - image).max() < 1e-3


def test_nifti_volumes_agree_with_the_series(heads, tmp_path):
    for path, image, study in zip(
        write_nifti(heads, tmp_path / "out"), heads.images, heads.studies, strict=True
    ):
        volume = nib.load(path)
        low, high = (-1000, 1000) if study.acquisition.modality == "CT" else (0, 4095)
        shown = (volume.get_fdata().transpose(2, 1, 0) - low) / (high - low)
        assert np.abs(shown - image).max() < 1e-3
        assert nib.aff2axcodes(volume.affine) == ("L", "P", "S")
        assert study.person.family.encode() in bytes(volume.header["descrip"])
    planted = left(identifiers(heads), tree_bytes(tmp_path / "out"))
    assert planted == sorted(identifiers(heads))


@pytest.mark.parametrize("kind", ["chest dicom", "head dicom", "head nifti"])
def test_scrub_removes_every_planted_identity(chests, heads, tool, tmp_path, kind):
    cohort = chests if kind.startswith("chest") else heads
    write = write_nifti if kind.endswith("nifti") else write_dicom
    write(cohort, tmp_path / "in")
    assert set(left(identifiers(cohort), tree_bytes(tmp_path / "in"))) == identifiers(cohort)
    summary = tool.direct(tmp_path / "in", on_risk=OnRisk.RELEASE)
    written = tree_bytes(tool.out)
    assert not summary.held and sum(name.endswith((".dcm", ".nii.gz")) for name in written) >= len(cohort)
    assert left(identifiers(cohort), written) == []


def test_scrub_moves_every_planted_date(chests, tool, tmp_path):
    write_dicom(chests, tmp_path / "in")
    tool.direct(tmp_path / "in", on_risk=OnRisk.RELEASE)
    planted = {(study.visit.date, study.visit.time) for study in chests.studies}
    for path in tool.outputs():
        dataset = pydicom.dcmread(path)
        assert (dataset.StudyDate, dataset.StudyTime) not in planted
        assert dataset.PatientBirthDate not in {study.person.birth for study in chests.studies}


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is not installed")
def test_files_are_valid(chests, heads, tmp_path):
    paths = [*write_dicom(chests, tmp_path / "chests"), *write_dicom(heads, tmp_path / "heads")]
    assert {pydicom.dcmread(path).Modality for path in paths} == {"CR", "DX", "MR", "CT"}
    for path in paths:
        done = subprocess.run(["dciodvfy", "-new", path], capture_output=True, text=True)
        assert [line for line in (done.stdout + done.stderr).splitlines() if "Error" in line] == []


def test_pictures_of_volumes_are_one_slice(heads, tmp_path):
    from PIL import Image

    for path, image in zip(write_png(heads, tmp_path / "out"), heads.images, strict=True):
        assert np.abs(np.asarray(Image.open(path)) / 255 - image[13]).max() < 0.003


def test_a_folder_in_use_and_a_chest_in_nifti_are_refused(chests, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="not empty"):
        write_png(chests, tmp_path)
    with pytest.raises(UsageError, match="DICOM or PNG"):
        write_nifti(chests, tmp_path / "out")
    with pytest.raises(UsageError, match="cannot be made"):
        write_dicom(chests, tmp_path / "file" / "below")
