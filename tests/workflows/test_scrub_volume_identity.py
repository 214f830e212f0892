"""Identity cues in DICOM series of slices: neighbouring slices change alike."""

import dataclasses

import numpy as np
import pydicom
import pytest
import torch
from builders.anonymizers import save_head_scrubber
from builders.models import CHEST
from workflows.command import Tool

from deid.core.draws import normal_values
from deid.core.model_card import Slices
from deid.dicom.pixels import read_image
from deid.networks.folder import load_network
from deid.networks.scrubber import Scrubber
from deid.pixels.network_range import apply_range, from_network, to_network
from deid.pixels.slices import SliceRule
from deid.training.phantoms import make_cohort, write_dicom
from deid.workflows.scrub.frames import _slice_rule
from deid.workflows.scrub.options import OnRisk

SIDE = 48


@pytest.fixture(scope="module", params=["MR", "CT"])
def modality(request):
    return request.param


@pytest.fixture(scope="module")
def models(tmp_path_factory, modality):
    return save_head_scrubber(tmp_path_factory.mktemp("models"), modality)


@pytest.fixture(scope="module")
def head(tmp_path_factory, modality):
    folder = tmp_path_factory.mktemp("heads") / "in"
    write_dicom(make_cohort(1, 1, 9, "head", SIDE, (modality,)), folder)
    (folder / "manifest.csv").unlink()
    return folder


@pytest.fixture
def tool(tmp_path, models, monkeypatch):
    monkeypatch.setenv("MAMI_DEID_MODELS", str(models))
    return Tool(tmp_path)


def scrub(tool, source, **options):
    return tool.direct(source, model="heads", on_risk=OnRisk.RELEASE, proof=False, review=0.0, **options)


def images(folder):
    """The slices from the neck up."""
    paths = sorted(folder.rglob("*.dcm"), key=lambda path: pydicom.dcmread(path).InstanceNumber)
    return [read_image(path) for path in paths]


def stacked(slices):
    return np.stack([image.array[0, :, :, 0] for image in slices]).astype(float)


def unrest(volume):
    """Mean difference between neighbours among the middle slices, in shares of the whole range."""
    middle = volume[SIDE // 5 : -SIDE // 5]
    return np.abs(np.diff(middle, axis=0)).mean() / np.ptp(volume)


def independently_scrubbed(folder, models):
    """What comes of each slice by a noise of its own."""
    network, _ = load_network(models / "heads")
    scrubber = Scrubber(network, torch.device("cpu"))
    changed = []
    for number, image in enumerate(images(folder)):
        unit, found = to_network(image)
        noise = normal_values(b"test", str(number), scrubber.noise)
        changed.append(from_network(scrubber.scrub(unit, 1.0, noise), found, image))
    return changed


def test_neighbouring_slices_stay_neighbours(tool, head, models):
    summary = scrub(tool, head)
    assert summary.changed["heads, strength 1"] >= SIDE - 4, summary.not_changed
    before, after = stacked(images(head)), stacked(images(tool.out))
    alone = stacked(independently_scrubbed(head, models))
    assert (before != after).mean() > 0.2
    assert unrest(after) < 1.5 * unrest(before)
    assert unrest(alone) > 2 * unrest(after)


def test_slices_of_another_series_get_another_change(tool, head, tmp_path):
    """The noise is the series', so two series of one patient are not displaced alike."""
    twice = tmp_path / "twice"
    twice.mkdir()
    for number, path in enumerate(sorted(head.rglob("*.dcm"))):
        for series in (1, 2):
            dataset = pydicom.dcmread(path)
            dataset.SeriesInstanceUID = f"1.2.3.{series}"
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{series}.{number}"
            dataset.SeriesNumber = series
            dataset.save_as(twice / f"{series}-{number}.dcm")
    scrub(tool, twice)
    found = {1: {}, 2: {}}
    for path in tool.outputs():
        dataset = pydicom.dcmread(path)
        found[dataset.SeriesNumber][dataset.InstanceNumber] = dataset.pixel_array
    one, two = ([found[series][number] for number in range(10, 40)] for series in (1, 2))
    assert all((a != b).mean() > 0.1 for a, b in zip(one, two, strict=True))


def test_an_enhanced_volume_is_changed_as_a_whole(tool, head, tmp_path, modality):
    """Its empty ends look like nothing; the slices that training takes decide."""
    slices = images(head)
    dataset = pydicom.dcmread(next(head.rglob("*.dcm")))
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4.1"
    dataset.NumberOfFrames = SIDE + 6
    empty = [np.zeros((SIDE, SIDE), np.uint16)] * 3
    frames = np.stack([*empty, *(image.array[0, :, :, 0] for image in slices), *empty])
    dataset.PixelData = frames.astype("<u2").tobytes()
    (tmp_path / "in").mkdir()
    dataset.save_as(tmp_path / "in" / "a.dcm")
    assert scrub(tool, tmp_path / "in").changed == {"heads, strength 1": 1}
    (path,) = tool.outputs()
    after = read_image(path)
    assert (after.array[10:40, :, :, 0] != frames[10:40]).mean() > 0.2
    (tmp_path / "in" / "a.dcm").unlink()
    dataset.PixelData = (4095 - frames[3:-3]).astype("<u2").tobytes()
    dataset.NumberOfFrames = SIDE
    dataset.save_as(tmp_path / "in" / "b.dcm")
    other = scrub(tool, tmp_path / "in", out=tmp_path / "out2", state=tmp_path / "state2")
    assert sum(other.not_changed.values()) == 1, "inverted, it does not look like what was trained on"


def test_ct_stays_in_hounsfield_units(tool, head, modality):
    if modality != "CT":
        assert images(head)[0].units == ""
        return
    scrub(tool, head)
    for before, after in zip(images(head), images(tool.out), strict=True):
        assert after.units == before.units == "HU" and after.rescale == before.rescale
        one, found = to_network(before)
        other = apply_range(after, found)
        assert (found.low, found.high) == (-1000, 1000)
        assert abs(float(one.mean() - other.mean())) < 0.25


def test_a_volume_is_looked_at_by_the_slices_that_its_model_was_made_for():
    assert _slice_rule(CHEST) == SliceRule()
    assert _slice_rule(dataclasses.replace(CHEST, slices=Slices(1, 0.1))) == SliceRule(1, 0.1)
