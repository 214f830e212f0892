"""A line of a manifest that names the folder of a series."""

import os
from dataclasses import replace

import numpy as np
import pytest
from builders import Person, build, nifti_bytes, series, write

from deid.core.errors import UsageError
from deid.pixels.slices import SliceRule
from deid.training.dataset import read_samples
from deid.training.images import ImageStore, LoadOptions
from deid.training.manifest import read_manifest
from deid.training.options import ModelOptions
from deid.training.tree import read_tree

PERSON = Person("A^B", "MRN-1")
RULE = LoadOptions(16, slices=SliceRule(count=3))


def stored(folder, study=1, number=1, slices=7):
    """A CT series whose files are named in another order than that of their planes."""
    datasets = series(PERSON, study, number, slices)
    for dataset, name in zip(datasets, np.random.default_rng(study).permutation(slices), strict=True):
        write(dataset, folder / f"IM{name:03d}")
    return folder


def manifest(folder, *lines, header="path,patient_id"):
    path = folder / "manifest.csv"
    path.write_text("\n".join((header, *lines)) + "\n")
    return path


def refused(path):
    with pytest.raises(UsageError) as caught:
        read_manifest(path)
    text = str(caught.value)
    assert str(path.parent) not in text and "secret" not in text and "MRN" not in text
    return text


def test_a_folder_gives_the_samples_and_images_of_a_tree(tmp_path):
    for study in (1, 2):
        stored(tmp_path / f"secret/study{study}", study)
    tree = read_tree(tmp_path / "secret")
    lines = (f"secret/study{study},MRN-1,device 1" for study in (1, 2))
    table = read_manifest(manifest(tmp_path, *lines, header="path,patient_id,source"))
    assert tree[0].patient == "MRN-1\x1f"  # with the issuer, which a manifest has no column for
    assert [replace(sample, patient="MRN-1\x1f") for sample in table] == [*tree]
    assert len(table[0].parts) == 7
    assert table[0].study != table[1].study and table[0].alike == tree[0].alike != ""
    one, other = (ImageStore.load(samples, 16, options=RULE) for samples in (table.samples, tree.samples))
    assert one.images.shape == (6, 16, 16)
    np.testing.assert_array_equal(one.images, other.images)
    np.testing.assert_array_equal(one.frames, other.frames)


def test_a_series_of_one_file_is_that_file(tmp_path):
    write(build("cr").dataset, tmp_path / "a/x.dcm")
    (sample,) = read_manifest(manifest(tmp_path, "a,P1"))
    assert sample.parts == () and sample.path.name == "x.dcm" and sample.modality == "CR"
    enhanced = build("mr_enhanced").dataset
    write(enhanced, tmp_path / "b/x.dcm")
    (sample,) = read_manifest(manifest(tmp_path, "b,P1"))
    store = ImageStore.load([sample], 16, options=LoadOptions(16, slices=SliceRule(count=None)))
    assert len(store) == enhanced.NumberOfFrames > 1


def test_what_a_line_says_comes_before_the_headers(tmp_path):
    stored(tmp_path / "a")
    (sample,) = read_manifest(
        manifest(
            tmp_path,
            "a,P1,site,MR,S9,T1,Mass,CC0",
            header="path,patient_id,source,modality,study,view,labels,licence",
        )
    )
    said = (sample.patient, sample.source, sample.modality, sample.study, sample.view, sample.licence)
    assert said == ("P1", "site", "MR", "S9", "T1", "CC0") and sample.findings == ("Mass",)
    assert sample.body_part == "CHEST" and len(sample.parts) == 7


def test_what_is_no_image_is_passed_over_and_counted(tmp_path):
    stored(tmp_path / "a")
    (tmp_path / "a/.DS_Store").write_bytes(b"x")
    (tmp_path / "a/sub").mkdir()
    write(build("sr").dataset, tmp_path / "a/sub/sr.dcm")
    table = read_samples(manifest(tmp_path, "a,P1"), ModelOptions(name="x"))
    assert len(table[0].parts) == 7
    assert table.left_out == {"not DICOM, NIfTI or BIDS": 1, "pixels: no image in this object": 1}


def test_several_series_are_refused_by_the_number_of_the_line(tmp_path):
    stored(tmp_path / "ok")
    stored(tmp_path / "secret/1")
    stored(tmp_path / "secret/2", number=2)
    text = refused(manifest(tmp_path, "ok,P1", "secret,P1"))
    assert text.startswith(
        "the manifest's line 3 names a folder that holds 2 series (by Series Instance UID);"
    )
    assert (
        "must hold the files of one DICOM series" in text and "Give each series a folder and a line" in text
    )


def test_no_series_is_refused(tmp_path):
    (tmp_path / "secret").mkdir()
    assert "line 2 names a folder that holds no DICOM image (it is empty)" in refused(
        manifest(tmp_path, "secret,P1")
    )
    (tmp_path / "secret/a.nii.gz").write_bytes(nifti_bytes())
    text = refused(manifest(tmp_path, "secret,P1"))
    assert "no DICOM image (1 not DICOM, NIfTI or BIDS)" in text and "NIfTI files themselves" in text


def test_a_series_of_which_something_cannot_be_read_is_refused(tmp_path):
    stored(tmp_path / "secret")
    path = manifest(tmp_path, "secret,P1")
    whole = (tmp_path / "secret/IM003").read_bytes()
    (tmp_path / "secret/IM003").write_bytes(whole[:400])
    assert "line 2 names a folder in which something cannot be read (1 unreadable" in refused(path)
    (tmp_path / "secret/IM003").unlink()
    os.symlink(tmp_path / "secret/IM002", tmp_path / "secret/IM003")
    text = refused(path)
    assert "(1 symbolic link)" in text and "Mend it or take it out." in text


def test_one_series_that_is_no_one_volume_is_refused(tmp_path):
    datasets = series(PERSON, 1, 1, 4)
    datasets[0].ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    for number, dataset in enumerate(datasets):
        write(dataset, tmp_path / f"secret/{number}.dcm")
    text = refused(manifest(tmp_path, "secret,P1"))
    assert "one series in 4 files which are no slices of one volume" in text
    for number in (1, 2):
        write(build("cr", number=number).dataset, tmp_path / f"views/{number}.dcm")
    assert "one series in 2 files" in refused(manifest(tmp_path, "views,P1"))
    assert len(read_tree(tmp_path / "views")) == 2


@pytest.mark.parametrize("second", ["a", "./a", "b/../a/IM004"])
def test_a_file_may_not_stand_on_two_lines(tmp_path, second):
    stored(tmp_path / "a")
    (tmp_path / "b").mkdir()
    assert "as its images 1 and 2" in refused(manifest(tmp_path, "a,P1", f"{second},P1"))
