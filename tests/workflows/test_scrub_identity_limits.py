"""How much memory the identity step takes, and what it does where a network fails."""

import subprocess
import sys

import memory
import numpy as np
import pydicom
import pytest
import torch
from builders.anonymizers import save_models, save_open_scrubber
from workflows.command import Tool

from deid.dicom.pixels import read_frames
from deid.networks.anonymizer import Anonymizer
from deid.networks.scrubber import NO_MEMORY, NO_NUMBER
from deid.training.phantoms import make_cohort, write_dicom

LIMIT = 2 << 30
XA = "1.2.840.10008.5.1.4.1.1.12.1"


@pytest.fixture
def models(tmp_path):
    save_models(tmp_path / "models")
    return save_open_scrubber(tmp_path / "models", modalities=("CR", "DX", "XA"))


@pytest.fixture
def tool(tmp_path, models):
    made = Tool(tmp_path)
    made.environment |= {"MAMI_DEID_MODELS": str(models)}
    return made


def radiograph(folder, stored, **values):
    """One file with these pixels, of 16 bits."""
    write_dicom(make_cohort(1, 1, 5, "chest", 64), folder.parent / "chest")
    (path,) = (folder.parent / "chest").rglob("*.dcm")
    dataset = pydicom.dcmread(path)
    dataset.Modality, dataset.PhotometricInterpretation = "CR", "MONOCHROME2"
    dataset.Rows, dataset.Columns = stored.shape[-2:]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    for name, value in values.items():
        setattr(dataset, name, value)
    dataset.PixelData = stored.astype("<u2").tobytes()
    folder.mkdir()
    dataset.save_as(folder / "a.dcm")
    return folder


def peak_of(tool, source, *options):
    """Peak resident bytes of a run with proof and review."""
    memory.peak()  # skips where it cannot be known
    arguments = [str(part) for part in tool.arguments(source, "--model", "any", *options)]
    done = subprocess.run(
        [sys.executable, "-c", memory.COMMAND, *arguments],
        capture_output=True,
        env=tool.environment,
        check=True,
    )
    return int(done.stderr.split()[-1])


def phantom(side):
    return make_cohort(1, 1, 5, "chest", side).images[0]


@pytest.mark.slow
def test_a_large_radiograph_takes_little_memory(tool, tmp_path):
    grain = np.random.default_rng(1).normal(0, 0.01, (4000, 4000))
    stored = (np.kron(phantom(1000), np.ones((4, 4))) + grain).clip(0, 1) * 65535
    peak = peak_of(tool, radiograph(tmp_path / "in", stored))
    assert len(tool.outputs()) == 1 and peak < LIMIT, peak


@pytest.mark.slow
def test_an_object_of_many_frames_takes_little_memory(tool, tmp_path):
    stored = np.stack([np.roll(phantom(64), frame % 64, 0) for frame in range(2000)]) * 65535
    source = radiograph(tmp_path / "in", stored, NumberOfFrames=2000, Modality="XA", SOPClassUID=XA)
    peak = peak_of(tool, source)
    (path,) = tool.outputs()
    assert sum(image.frames for image in read_frames(path)) == 2000 and peak < LIMIT, peak


@pytest.mark.parametrize(
    ("failure", "reason"),
    [(torch.OutOfMemoryError("a text"), NO_MEMORY), (float("nan"), NO_NUMBER)],
    ids=["memory", "no number"],
)
def test_a_network_that_fails_holds_the_unit(tool, tmp_path, monkeypatch, models, failure, reason):
    def forward(self, images, strength, noise):
        if isinstance(failure, Exception):
            raise failure
        return images * failure

    monkeypatch.setenv("MAMI_DEID_MODELS", str(models))
    monkeypatch.setattr(Anonymizer, "forward", forward)
    source = radiograph(tmp_path / "in", phantom(64) * 65535)
    summary = tool.direct(source, model="any")
    assert summary.held == {reason: 1} and tool.outputs() == [] and tool.hidden() == []
    assert not list((tool.state / "review").rglob("*.png"))
