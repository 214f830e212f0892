"""Series of slices, a file each: one verdict, one range and one noise for all of them."""

import shutil
import sqlite3
import sys
from json import loads

import numpy as np
import pydicom
import pytest
import torch
from builders.anonymizers import save_head_scrubber
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGLSLossless
from workflows.command import Tool

import deid.workflows.scrub as workflow
from deid.core.errors import Held
from deid.core.model_card import read_record
from deid.dicom.pixels import read_image
from deid.networks.folder import load_network
from deid.networks.scrubber import Scrubber
from deid.pixels.network_range import to_network
from deid.training.phantoms import make_cohort, write_dicom
from deid.workflows.scrub import planning
from deid.workflows.scrub.frames import UNFAMILIAR_SERIES
from deid.workflows.scrub.options import Identity, OnRisk
from deid.workflows.scrub.stacks import Stack
from deid.workflows.scrub.verdicts import CHANGED, UNSEEN, Verdicts

SIDE = 48
DONE = "heads, strength 1"
ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return save_head_scrubber(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def head(tmp_path_factory):
    folder = tmp_path_factory.mktemp("heads") / "in"
    write_dicom(make_cohort(1, 1, 9, "head", SIDE, ("MR",)), folder)
    (folder / "manifest.csv").unlink()
    assert len(files(folder)) == SIDE
    return folder


@pytest.fixture
def tool(tmp_path, models, monkeypatch):
    monkeypatch.setenv("MAMI_DEID_MODELS", str(models))
    return Tool(tmp_path)


@pytest.fixture
def scrub(tool, key):
    """The workflow in this process under one key; its summary."""
    options = {"model": "heads", "on_risk": OnRisk.RELEASE, "proof": False, "review": 0.0, "key_file": key}
    return lambda source, **more: tool.direct(source, **(options | more))


@pytest.fixture
def copy(head, tmp_path):
    return shutil.copytree(head, tmp_path / "copy")


def files(folder):
    """Slices from the neck up."""
    return sorted(folder.rglob("*.dcm"), key=lambda path: pydicom.dcmread(path).InstanceNumber)


def elsewhere(tmp_path, name):
    return {"out": tmp_path / name, "state": tmp_path / f"{name}-state"}


def change(path, **values):
    dataset = pydicom.dcmread(path)
    for name, value in values.items():
        setattr(dataset, name, value)
    dataset.save_as(path)


def invert(paths):
    for path in paths:
        stored = pydicom.dcmread(path).pixel_array
        change(path, PixelData=(stored.max() - stored).astype("<u2").tobytes())


def familiar(models, paths):
    """Whether each slice by itself looks like what the model knows."""
    scrubber = Scrubber(load_network(models / "heads")[0], torch.device("cpu"))
    return [scrubber.is_familiar(to_network(read_image(path))[0]) for path in paths]


def judged(summary):
    return summary.to_json()["identity_series"]


def test_slices_are_changed_as_the_frames_of_one_object_are(scrub, tool, head, tmp_path):
    """One noise and one range: what an enhanced object with the same slices becomes, but for rounding."""
    summary = scrub(head)
    assert summary.changed == {DONE: SIDE}
    assert judged(summary) == [{"modality": "MR", "verdict": DONE, "series": 1, "slices": SIDE}]
    before = np.concatenate([read_image(path).array for path in files(head)])
    after = np.concatenate([read_image(path).array for path in files(tool.out)])
    dataset = pydicom.dcmread(files(head)[0])
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = ENHANCED_MR
    dataset.NumberOfFrames, dataset.PixelData = SIDE, before.astype("<u2").tobytes()
    (tmp_path / "enhanced").mkdir()
    dataset.save_as(tmp_path / "enhanced" / "a.dcm")
    places = elsewhere(tmp_path, "one")
    assert scrub(tmp_path / "enhanced", **places).changed == {DONE: 1}
    (path,) = tool.outputs(places["out"])
    assert (after != before).mean() > 0.2
    off = np.abs(read_image(path).array.astype(int) - after)
    assert off.max() <= 1 and (off > 0).mean() < 0.01, "frames at once round differently"


def test_all_slices_are_changed_though_some_look_like_nothing(scrub, copy, models):
    """Those of the ends do not decide, by the rule of slice choice."""
    paths = files(copy)
    invert(paths[:3])
    alone = familiar(models, paths)
    assert not any(alone[:3]) and all(alone[3:])
    assert scrub(copy, identity=Identity.REQUIRE).changed == {DONE: SIDE}


def test_no_slice_is_changed_where_the_series_is_unfamiliar(scrub, tool, copy, models):
    paths = files(copy)
    invert(paths[20:30])
    alone = familiar(models, paths)
    assert sum(alone) > SIDE // 3 and not all(alone[20:30])
    summary = scrub(copy)
    assert summary.changed == {} and summary.not_changed == {UNFAMILIAR_SERIES: SIDE}
    assert judged(summary) == [{"modality": "MR", "verdict": UNFAMILIAR_SERIES, "series": 1, "slices": SIDE}]
    (line,) = summary.series_lines()
    assert line == f"MR series judged as one: 1 ({SIDE} slices): {UNFAMILIAR_SERIES}"
    for one, other in zip(paths, files(tool.out), strict=True):
        assert np.array_equal(read_image(one).array, read_image(other).array)
    held = scrub(copy, identity=Identity.REQUIRE, replace=True)
    assert held.held == {f"identity: {UNFAMILIAR_SERIES}": SIDE} and not tool.outputs()


def test_one_uncovered_header_speaks_for_its_series(scrub, copy):
    change(files(copy)[25], BodyPartExamined="KNEE")
    assert scrub(copy).not_changed == {"no model for this body part": SIDE}


def test_series_are_judged_apart(scrub, copy):
    """Neither slices of other planes nor those of another series matter to a verdict."""
    turned = [1.0, 0, 0, 0, 0, -1]
    for path in files(copy)[::2]:
        change(path, ImageOrientationPatient=turned)
    for path in files(copy)[1::4]:
        change(path, SeriesInstanceUID="1.2.3.4")
        invert([path])
    (one, two) = judged(scrub(copy))
    assert (one["verdict"], one["series"], one["slices"]) == (DONE, 2, 36)
    assert (two["verdict"], two["series"], two["slices"]) == (UNFAMILIAR_SERIES, 1, 12)


def test_it_does_not_matter_where_the_files_lie(scrub, tool, head, tmp_path):
    scrub(head)
    spread = tmp_path / "spread"
    for number, path in enumerate(files(head)):
        folder = spread / f"d{number * 7 % 5}" / f"e{number * 11 % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / f"{number * 29 % SIDE:03}.dcm")
    places = elsewhere(tmp_path, "other")
    assert scrub(spread, **places).changed == {DONE: SIDE}
    assert tool.tree(places["out"]) == tool.tree() and len(tool.tree()) == SIDE


def test_jobs_change_nothing(scrub, tool, head, tmp_path, monkeypatch):
    scrub(head)
    monkeypatch.setattr(planning, "_BATCH_UNITS", 5)
    places = elsewhere(tmp_path, "two")
    assert judged(scrub(head, jobs=2, **places))[0]["series"] == 1
    assert tool.tree(places["out"]) == tool.tree() and len(tool.tree()) == SIDE


def test_a_run_that_was_stopped_goes_on_to_the_same_bytes(scrub, tool, head, tmp_path, monkeypatch):
    scrub(head)
    places, written = elsewhere(tmp_path, "stopped"), []

    def write(task):
        if len(written) == 3:
            raise KeyboardInterrupt
        written.append(workflow_write(task))
        return written[-1]

    workflow_write = workflow.write_batch
    with monkeypatch.context() as patched:
        patched.setattr(planning, "_BATCH_UNITS", 8)
        patched.setattr(workflow, "write_batch", write)
        with pytest.raises(KeyboardInterrupt):
            scrub(head, **places)
    assert len(tool.outputs(places["out"])) == 24
    resumed = scrub(head, **places)
    assert (resumed.unchanged, resumed.released) == (24, 24)
    assert judged(resumed) == [{"modality": "MR", "verdict": DONE, "series": 1, "slices": SIDE}]
    assert tool.tree(places["out"]) == tool.tree()


def test_slices_that_come_later_make_the_series_anew(scrub, tool, head, tmp_path):
    scrub(head)
    whole, grown, places = files(head), tmp_path / "grown", elsewhere(tmp_path, "grown-out")
    grown.mkdir()
    for path in whole[:30]:
        shutil.copyfile(path, grown / path.name)
    scrub(grown, **places)
    first = tool.tree(places["out"])
    assert any(data != tool.tree()[name] for name, data in first.items()), "another range"
    for path in whole[30:]:
        shutil.copyfile(path, grown / path.name)
    assert scrub(grown, **places).unchanged == 0
    assert tool.tree(places["out"]) == tool.tree()
    assert scrub(grown, **places).unchanged == SIDE


def test_a_slice_that_cannot_be_decoded_is_held_alone(scrub, tool, copy):
    path = files(copy)[SIDE // 2]
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = JPEGLSLossless
    dataset.PixelData = encapsulate([bytes(range(256)) * 4])
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(path)
    summary = scrub(copy)
    assert summary.held == {"pixels: cannot be decoded": 1}
    assert summary.changed == {DONE: SIDE - 1} and len(tool.outputs()) == SIDE - 1


def test_the_journal_names_no_value_of_the_source(scrub, tool, head):
    scrub(head)
    (journal,) = tool.state.glob("journal-*.sqlite")
    with sqlite3.connect(journal) as connection:
        rows = connection.execute("SELECT details FROM units WHERE status='released'").fetchall()
    found = [loads(row[0])["identity_series"] for row in rows]
    assert len(found) == SIDE and all(each == found[0] for each in found)
    assert set(found[0]) == {"id", "modality", "verdict"}
    uid = pydicom.dcmread(files(head)[0]).SeriesInstanceUID
    assert uid not in journal.read_bytes().decode("latin-1")


def test_headers_that_no_model_covers_need_no_network(copy, models, monkeypatch):
    monkeypatch.setitem(sys.modules, "deid.workflows.scrub.frames", None)
    path = files(copy)[0]
    change(path, BodyPartExamined="KNEE")
    folder, stat = models / "heads", path.stat()
    verdicts = Verdicts([(folder, read_record(folder))], lambda _: pytest.fail("no network is needed"))
    found = verdicts.of(Stack(b"1", "MR", ((path, stat.st_size, stat.st_mtime_ns),)))
    assert found == "no model for this body part"


def test_files_that_changed_or_cannot_be_read_give_no_verdict(head, models, tmp_path):
    folder = models / "heads"
    verdicts = Verdicts([(folder, read_record(folder))], lambda _: pytest.fail("no network is needed"))
    path = files(head)[0]
    stat = path.stat()
    broken = tmp_path / "broken.dcm"
    broken.write_bytes(b"\0" * 200)
    status = broken.stat()
    for stack, reason in (
        (Stack(b"1", "MR", ((path, stat.st_size + 1, stat.st_mtime_ns),)), CHANGED),
        (Stack(b"2", "MR", ((tmp_path / "gone.dcm", 1, 1),)), CHANGED),
        (Stack(b"3", "MR", ((broken, status.st_size, status.st_mtime_ns),)), UNSEEN),
    ):
        for _ in range(2):  # what could not be told is not told the second time either
            with pytest.raises(Held) as held:
                verdicts.of(stack)
            assert held.value.reason == reason
