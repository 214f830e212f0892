"""Runs that change pixels: without torch where nothing is changed, killed, in shards, and what they tell."""

import shutil

import pydicom
import pytest
from builders import build, surviving, to_bytes
from builders.anonymizers import save_models
from builders.canary import Canaries, plant
from nibabel import Nifti1Image
from numpy import eye, int16, zeros
from workflows.command import Tool, kill_group, wait_until

from deid.training.phantoms import make_cohort, write_dicom

ONLY = ("--model", "scrubber")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return save_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def cohort():
    return make_cohort(6, 2, 11, "chest", 64)


@pytest.fixture(scope="module")
def chests(tmp_path_factory, cohort):
    folder = tmp_path_factory.mktemp("chests") / "in"
    write_dicom(cohort, folder)
    (folder / "manifest.csv").unlink()
    return folder


@pytest.fixture
def tool(tmp_path, models):
    made = Tool(tmp_path)
    made.environment |= {"MAMI_DEID_MODELS": str(models)}
    return made


def test_torch_is_not_loaded_where_no_model_takes_the_modality(tool, tmp_path):
    source, stub = tmp_path / "in", tmp_path / "stub"
    source.mkdir()
    for kind in ("ct", "mr", "sr"):
        (source / f"{kind}.dcm").write_bytes(to_bytes(build(kind).dataset))
    (source / "scan.nii").write_bytes(Nifti1Image(zeros((9, 9, 9), int16), eye(4)).to_bytes())
    (stub / "torch").mkdir(parents=True)
    (stub / "torch" / "__init__.py").write_text("raise AssertionError('torch was imported')\n")
    done = tool.run("models", "list", environment={"PYTHONPATH": f"{stub}"}, status=0)
    assert b"scrubber" in done.stdout
    summary = tool.scrub(
        source, "--on-risk", "release", environment={"PYTHONPATH": f"{stub}:{_pythonpath(tool)}"}
    )
    assert summary["released"] == 4 and summary["held"] == 0
    assert summary["identity_not_removed"]["no model for this modality"] == 2
    held = tool.scrub(
        source, "--on-risk", "release", "--replace", "--identity", "require", status=1,
        environment={"PYTHONPATH": f"{stub}:{_pythonpath(tool)}"},
    )  # fmt: skip
    assert held["held_by_reason"]["identity: no model for this modality"] == 2
    assert held["released"] == 1, "a report has no pixels"


def _pythonpath(tool):
    return tool.environment.get("PYTHONPATH", "")


def test_what_unrelated_patients_have_is_said_whatever_the_jobs(tool, chests, tmp_path, key):
    summary = tool.scrub(chests, *ONLY, "--key-file", key)
    found = summary["unrelated_patients"]["scrubber, strength 1"]
    assert set(found) >= {"critic", "fresh"}
    for cosines in found.values():
        assert cosines["patients"] == 6 and -1 <= cosines["low"] <= cosines["median"] <= cosines["high"] <= 1
        assert -1 <= cosines["own"] <= 1
    assert not [path for path in tool.out.rglob("*") if path.is_file() and path.suffix != ".dcm"]
    assert (
        len(list(tool.state.rglob("templates.json"))) == summary["identity_removed"]["scrubber, strength 1"]
    )
    places = {"out": tmp_path / "other", "state": tmp_path / "other-state"}
    done = tool.run(*tool.arguments(chests, *ONLY, "--key-file", key, "--jobs", 2, **places), status=0)
    assert b"fresh on scrubber, strength 1: cosine to the own original" in done.stderr
    again = tool.scrub(chests, *ONLY, "--key-file", key, **places)
    assert again["unchanged"] == 12 and again["unrelated_patients"] == {"scrubber, strength 1": found}


def test_what_unrelated_patients_have_is_not_known_of_few_and_forgotten(tool, chests, tmp_path):
    source = tmp_path / "in"
    shutil.copytree(chests, source)
    assert tool.scrub(source, *ONLY)["unrelated_patients"]["scrubber, strength 1"]
    people = {}
    for path in source.rglob("*.dcm"):
        people.setdefault(pydicom.dcmread(path).PatientID, []).append(path)
    for paths in list(people.values())[:2]:
        for path in paths:
            path.unlink()
    few = tool.scrub(source, *ONLY, "--prune")
    assert few["unrelated_patients"] == {"scrubber, strength 1": {}}
    assert len(list(tool.state.rglob("templates.json"))) == few["identity_removed"]["scrubber, strength 1"]
    none = tool.scrub(source, *ONLY, "--review", "0", "--strength", "0.5", "--replace")
    assert none["unrelated_patients"] == {"scrubber, strength 0.5": {}}
    assert not list(tool.state.rglob("templates.json"))


def test_patients_without_an_id_are_no_strangers(tool, chests, tmp_path):
    source = tmp_path / "in"
    shutil.copytree(chests, source)
    for path in source.rglob("*.dcm"):
        dataset = pydicom.dcmread(path)
        dataset.PatientID = ""
        dataset.save_as(path)
    summary = tool.scrub(source, *ONLY)
    assert summary["patients_without_id"] and summary["identity_removed"]["scrubber, strength 1"] > 5
    assert summary["unrelated_patients"] == {"scrubber, strength 1": {}}
    assert not list(tool.state.rglob("templates.json"))


def test_a_killed_run_goes_on_to_the_same_bytes(tool, chests, tmp_path, key):
    once = tool.scrub(chests, *ONLY, "--key-file", key)
    whole = tool.tree()
    assert len(whole) == 12
    places = {"out": tmp_path / "killed", "state": tmp_path / "killed-state"}
    process = tool.start(chests, *ONLY, "--key-file", key, **places)
    wait_until(lambda: any(places["out"].glob(".mami-deid*/*")), 60)
    kill_group(process)
    process.communicate()
    assert process.returncode < 0 and set(tool.tree(places["out"])) != set(whole)
    resumed = tool.scrub(chests, *ONLY, "--key-file", key, **places)
    assert tool.tree(places["out"]) == whole
    assert tool.hidden(places["out"]) == []
    assert resumed["unrelated_patients"] == once["unrelated_patients"]


def test_shards_make_what_one_run_makes(tool, chests, tmp_path, key):
    tool.scrub(chests, *ONLY, "--key-file", key)
    places = {"out": tmp_path / "shards", "state": tmp_path / "shards-state"}
    released = [
        tool.scrub(chests, *ONLY, "--key-file", key, "--shard", shard, **places)["released"]
        for shard in ("1/2", "2/2")
    ]
    assert sum(released) == 12 and all(released)
    assert tool.tree(places["out"]) == tool.tree()


def test_no_planted_value_is_in_anything_that_a_run_leaves(tool, chests, cohort, tmp_path):
    source, canaries = tmp_path / "in", Canaries()
    source.mkdir()
    for number, path in enumerate(sorted(chests.rglob("*.dcm"))):
        dataset = pydicom.dcmread(path)
        plant(dataset, canaries)
        dataset.save_as(source / f"Xqpathcanary{number}.dcm")
    summary = tool.scrub(source, *ONLY)
    assert summary["released"] == 12 and summary["identity_removed"]["scrubber, strength 1"] >= 10, summary
    planted = [*canaries.where, "Xqpathcanary"]
    planted += [value for study in cohort.studies for value in study.identifiers]
    done = tool.run("review", "--out", tool.out, "--state", tool.state, status=0)
    streams = tool.streams + done.stdout + done.stderr
    names = b"\n".join(name.encode() for name in tool.tree())
    assert surviving(b"\n".join([streams, names, *tool.tree().values()]), planted) == []
    state = [path for path in tool.state.rglob("*") if path.is_file()]
    assert surviving(b"\n".join(path.read_bytes() for path in state), planted) == []
    pictures = {path.suffix for path in state if "review" in path.parts}
    assert pictures == {".png", ".json"}
    assert {path.suffix for path in tool.outputs()} == {".dcm"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in state)
