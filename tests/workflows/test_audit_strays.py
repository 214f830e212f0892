"""What lies in a release beside the outputs is searched, whoever has put it there."""

import json
import shutil

import pytest
from workflows.command import Tool

from deid.audit.strays import NO_ORIGINAL
from deid.core.shards import Shard
from deid.training.phantoms import make_cohort, write_dicom
from deid.workflows.audit import Attack, AuditOptions, audit

PATIENTS = 6


@pytest.fixture
def released(tmp_path):
    cohort = make_cohort(PATIENTS, 2, 1, "chest", 32)
    tool = Tool(tmp_path)
    tool.originals = write_dicom(cohort, tmp_path / "in")
    (tmp_path / "in" / "manifest.csv").unlink()
    tool.direct(tmp_path / "in")
    tool.name = str(cohort.studies[0].person.name)
    return tool


def audited(tool, **found_by):
    report = tool.out.parent / f"report{len(list(tool.out.parent.glob('report*')))}"
    done = audit(AuditOptions(report, attacks=(Attack.HEADER,), **found_by), lambda *_: None)
    assert tool.name not in (report / "audit.json").read_text()
    return done


def ways(tool):
    """The same release, its pairs found by the journal and by the key."""
    folders = {"originals": tool.originals[0].parents[2], "scrubbed": tool.out}
    shutil.copy(tool.state / "key", tool.out.parent / "key")
    shutil.move(tool.state, tool.out.parent / "elsewhere")
    yield {"state": tool.out.parent / "elsewhere"}
    yield folders | {"key_file": tool.out.parent / "key"}


def test_a_copied_original_is_found_however_the_pairs_are(released):
    (released.out / "more" / ".git").mkdir(parents=True)
    shutil.copy(released.originals[0], released.out / "more" / ".git" / "IM1")
    for found_by in ways(released):
        done = audited(released, **found_by)
        section = done.result["header"]
        assert section["certain"] > 0 and section["verdict"] == "linkable"
        assert done.left_out == {NO_ORIGINAL: 1}
        assert section["reason"].endswith("searched for what all patients' say: 1")
        assert section["files"] == 2 * PATIENTS + 1
        assert sum(section["uniqueness"]["k"].values()) == PATIENTS


def test_a_note_with_a_name_is_found(released):
    released.out.joinpath("notes.txt").write_text(f"seen: {released.name}\n")
    assert audited(released, state=released.state).result["header"]["verdict"] == "linkable"


def test_a_file_that_says_nothing_is_counted_and_no_link(released):
    released.out.joinpath("README").write_text("Chest radiographs.\n")
    done = audited(released, state=released.state)
    assert done.left_out == done.result["release"]["left_out"] == {NO_ORIGINAL: 1}
    assert done.result["header"]["verdict"] == "no link found"
    page = (done.folder / "audit.html").read_text()
    assert f"left out: {NO_ORIGINAL}" in page


def test_outputs_and_unfinished_work_are_no_strays(released):
    partial = released.out / ".mami-deid-partial-1"
    partial.mkdir()
    (partial / "1.dcm").write_text(released.name)
    done = audited(released, state=released.state)
    assert done.left_out == {} and done.result["header"]["reason"] == ""


def test_every_shard_searches_them(released):
    released.out.joinpath("notes.txt").write_text(f"seen: {released.name}\n")
    found = [
        audited(released, state=released.state, shard=Shard(number, 2)).result["header"]["certain"]
        for number in (1, 2)
    ]
    assert max(found) > 0


def test_patterns_tell_a_stray_of_somebody_else(released, tmp_path):
    """A patient of whom there is no original: only what looks like identity can be told."""
    other = make_cohort(1, 1, 99, "chest", 32)
    (path,) = write_dicom(other, tmp_path / "other")
    shutil.copy(path, released.out / "IM9.dcm")
    before = audited(released, state=released.state).result["header"]
    assert before["possible"] > 0 and json.dumps(before).find(other.studies[0].person.id) < 0
