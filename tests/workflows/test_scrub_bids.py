"""A BIDS tree with canaries in every text, end to end by the command."""

import hashlib
import json
from datetime import date, timedelta

import nibabel
import numpy as np
from builders import bids_tree, surviving


def test_no_canary_survives_in_a_bids_tree_and_voxels_are_equal(tool, tmp_path):
    built = bids_tree(tmp_path / "in")
    summary = tool.scrub(tmp_path / "in", "--on-risk", "release")
    assert summary["held"] == 0, summary
    everything = b"\n".join([tool.streams, *tool.tree().values(), *(n.encode() for n in tool.tree())])
    # a condition of the task (trial_type) is a category of the study's own making and stays
    identifying = {word for word, place in built.where.items() if place != "events.tsv"}
    assert surviving(everything, identifying) == []
    before = sorted(p for p in (tmp_path / "in").rglob("*.nii*"))
    after = sorted(p for p in tool.outputs() if ".nii" in p.name)
    assert len(before) == len(after) > 0

    def content(path):
        image = nibabel.load(path)
        data = np.asanyarray(image.dataobj)
        return hashlib.sha256(data.tobytes() + image.affine.tobytes()).hexdigest()

    assert sorted(map(content, before)) == sorted(map(content, after))


def test_volumes_that_may_show_a_face_are_held(tool, tmp_path):
    folder = tmp_path / "in" / "sub-01" / "anat"
    folder.mkdir(parents=True)
    volume = nibabel.Nifti1Image(np.zeros((32, 32, 24), np.int16), np.eye(4))
    nibabel.save(volume, folder / "sub-01_T1w.nii.gz")
    summary = tool.scrub(tmp_path / "in", status=3)
    assert ["face" in reason for reason in summary["held_by_reason"]] == [True]


def test_a_second_run_changes_nothing(tool, tmp_path):
    bids_tree(tmp_path / "in")
    first = tool.scrub(tmp_path / "in", "--on-risk", "release")
    tree = tool.tree()
    second = tool.scrub(tmp_path / "in", "--on-risk", "release")
    assert second["unchanged"] == first["released"] and second["released"] == 0
    assert tool.tree() == tree


def test_dates_of_many_patients_in_one_table(tool, tmp_path):
    """Of 200 patients scanned within three months, some are always shifted onto the date of another."""
    rows = ["participant_id\tscan_date"]
    for number in range(200):
        day = date(2020, 1, 1) + timedelta(days=number % 90)
        rows.append(f"sub-{number:04}\t{day}")
        folder = tmp_path / "in" / f"sub-{number:04}" / "anat"
        folder.mkdir(parents=True)
        (folder / f"sub-{number:04}_T1w.json").write_text(json.dumps({"AcquisitionDate": str(day)}))
    (tmp_path / "in" / "participants.tsv").write_text("\n".join(rows) + "\n")
    summary = tool.scrub(tmp_path / "in")
    assert summary["held"] == 0, summary
