"""Samples from the headers and names of a tree."""

import numpy as np
import pytest
from builders import Person, build, nifti_bytes, tree, write

from deid.core.errors import UsageError
from deid.pixels.slices import SliceRule
from deid.training.images import ImageStore, LoadOptions
from deid.training.pairs import group_names
from deid.training.tree import NO_PATIENT, NO_PICTURE, read_tree


def test_series_are_volumes_and_patients_are_told_by_id(tmp_path):
    tree(tmp_path, people=(Person("A^B", "MRN-1"), Person("C^D", "MRN-2")), studies=2, slices=3)
    table = read_tree(tmp_path)
    assert len(table) == 2 * 2 * 2  # patients, studies, series; the key objects are no image
    assert table.left_out == {"pixels: no image in this object": 4}
    first = table[0]
    assert first.patient == "MRN-1\x1f" and first.modality == "CT" and len(first.parts) == 3
    assert (first.source, first.view, first.body_part) == ("device 1", "", "CHEST")
    assert first.alike == "CHEST AXIAL A"
    assert len({sample.study for sample in table}) == 4
    store = ImageStore.load(table.samples, 16, options=LoadOptions(16, slices=SliceRule(count=2)))
    assert store.images.shape == (16, 16, 16) and set(store.frames) <= {0, 1, 2}


def test_projections_of_one_series_are_images_of_their_own(tmp_path):
    for number, view in ((1, "PA"), (2, "LL")):
        dataset = build("cr", number=number, patient="MRN-7").dataset
        dataset.ViewPosition = view
        write(dataset, tmp_path / f"{number}.dcm")
    table = read_tree(tmp_path)
    assert [(sample.view, sample.body_part) for sample in table] == [("PA", "CHEST"), ("LL", "CHEST")]
    assert not any(sample.parts for sample in table)


def test_only_words_of_the_standard_are_told_and_devices_are_numbered(tmp_path):
    for number, (maker, part, view) in enumerate(
        (("Zeta", "CHEST", "PA"), ("Acme", "MUELLER", "HANS"), ("", "", ""), ("Acme", "chest", "pa"))
    ):
        dataset = build("cr", number=number, patient=f"MRN-{number}").dataset
        dataset.Manufacturer, dataset.ManufacturerModelName = maker, ""
        dataset.BodyPartExamined, dataset.ViewPosition = part, view
        write(dataset, tmp_path / f"{number}.dcm")
    table = read_tree(tmp_path)
    assert [(sample.source, sample.body_part, sample.view) for sample in table] == [
        ("device 2", "CHEST", "PA"),
        ("device 1", "OTHER", "OTHER"),
        ("", "", ""),
        ("device 1", "CHEST", "PA"),
    ]
    store = ImageStore.load(table.samples, 16)
    names = group_names(store)
    assert len(set(names)) == 4 and "MUELLER HANS" in names[1]
    assert "MUELLER" not in repr(table.samples)


def test_bids_names_tell_patient_session_and_view(tmp_path):
    for name in (
        "sub-01/ses-a/anat/sub-01_ses-a_T1w.nii.gz",
        "sub-01/ses-b/anat/sub-01_ses-b_T1w.nii.gz",
        "sub-02/anat/sub-02_FLAIR.nii.gz",
        "sub-02/anat/sub-02_desc-brain_mask.nii.gz",
        "loose.nii.gz",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(nifti_bytes())
    table = read_tree(tmp_path)
    assert [(s.patient[-2:], s.study, s.view, s.modality) for s in table] == [
        ("01", "a", "T1w", "MR"),
        ("01", "b", "T1w", "MR"),
        ("02", "only session", "FLAIR", "MR"),
    ]
    assert table.left_out == {NO_PATIENT: 1, NO_PICTURE: 1}


def test_labels_come_by_path_or_by_patient(tmp_path):
    data, labels = tmp_path / "data", tmp_path / "labels.csv"
    tree(data, people=(Person("A^B", "MRN-1"), Person("C^D", "MRN-2")), studies=1, slices=2)
    labels.write_text("path,patient_id,labels\nMRN-1/study1/IM0001,,Mass\n,MRN-1,Normal\n")
    table = read_tree(data, labels)
    assert [sample.findings for sample in table] == [("Mass",), (), None, None]
    labels.write_text("patient_id,labels\nnobody,Mass\n")
    with pytest.raises(UsageError, match="no line of the labels"):
        read_tree(data, labels)
    labels.write_text("patient_id,labels\nMRN-1,Mass;Normal\n")
    with pytest.raises(UsageError, match="line 2"):
        read_tree(data, labels)
    labels.write_text("patient_id\nMRN-1\n")
    with pytest.raises(UsageError, match="column labels"):
        read_tree(data, labels)


def test_patients_without_a_name_are_left_out_and_counted(tmp_path):
    for number, patient in enumerate(("", "ANON", "MRN-3")):
        write(build("cr", patient=patient).dataset, tmp_path / f"{number}.dcm")
    table = read_tree(tmp_path)
    assert len(table) == 1 and table.left_out == {NO_PATIENT: 2}
    with pytest.raises(UsageError, match="does not exist"):
        read_tree(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="it is empty"):
        read_tree(tmp_path / "empty")


def test_no_value_of_a_damaged_header_is_told(tmp_path, capfd):
    dataset = build("ct", canaries=True, patient="MRN-9")
    dataset.dataset.SpecificCharacterSet = "XQNOSET"
    write(dataset.dataset, tmp_path / "a.dcm")
    table = read_tree(tmp_path)
    ImageStore.load(table.samples, 16)
    told = capfd.readouterr()
    assert "XQNOSET" not in told.err + told.out
    assert np.array([word not in told.err for word in dataset.canaries]).all()
