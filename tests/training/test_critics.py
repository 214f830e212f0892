"""Critics learn by turns, and a fresh attacker says what they miss."""

import json

import numpy as np
import pytest
import torch
from torch import nn
from training.recognition_sets import blobs

from deid.networks.anonymizer import Anonymizer
from deid.networks.classifier import Classifier
from deid.networks.compact import CompactResNet
from deid.networks.mami import MaMI
from deid.training.attacker import SINGLE_WEIGHT
from deid.training.critics import Critics, CriticSettings
from deid.training.fresh_attacker import FreshAttack
from deid.training.loop import LoopOptions, fit
from deid.training.pairs import group_names
from deid.training.scrub_checks import ScrubCheck
from deid.training.scrubbing import ScrubbingImages, ScrubbingSettings, ScrubbingTask

SIZE = 32
SMALL_MAMI = {"size": SIZE, "patch": 16, "width": 16, "depth": 1, "heads": 1, "gates": 2, "rank": 1}


def anonymizer():
    torch.manual_seed(0)
    return Anonymizer(SIZE, "tu-regnetx_002", 3, (16, 8, 8), {"residual": {}, "warp": {}}, fold=2)


def compact():
    return CompactResNet(SIZE, 8, 64)


def critics(networks, store, **settings):
    return Critics(networks, store, group_names(store), CriticSettings(**settings))


class Run:
    """One process without a loop; notes which optimizer was updated."""

    device, folder, epoch, progress = torch.device("cpu"), None, 0, 0.0

    def __init__(self, networks, rate=2e-3):
        self.step, self.generator = 0, torch.Generator().manual_seed(0)
        self.optimizers = {
            f"critic {name}": torch.optim.AdamW(network.parameters(), rate)
            for name, network in networks.items()
        }
        self.updated = []

    def autocast(self):
        return torch.autocast("cpu", enabled=False)

    def backward(self, loss):
        loss.backward()

    def update(self, *names):
        self.updated += names
        for name in names:
            self.optimizers[name].step()
            self.optimizers[name].zero_grad()


def learned(teacher, network, run, steps, low=0.5):
    """The losses of each step."""
    losses = []
    for step in range(steps):
        run.step = step
        batch = teacher.lessons(network, low, torch.Generator().manual_seed(step))
        losses.append(teacher.learn(network, batch, run))
    return losses


def test_a_lesson_has_two_images_of_each_patient_and_counts_single_ones_less():
    store = blobs(12, 2, seed=0)
    alone = np.concatenate([np.arange(16), np.arange(16, 24, 2)])  # four patients keep one image
    teacher = critics({"a": compact()}, store.subset(alone), turns=2, patients=10)
    batch = teacher.lessons(anonymizer(), 0.4, torch.Generator().manual_seed(1))
    for turn in range(2):
        count = len(batch[f"known {turn}"])
        assert count == 10 == len(batch[f"hidden {turn}"]) == len(batch[f"noise {turn}"])
        same = (batch[f"known {turn}"] == batch[f"hidden {turn}"]).flatten(1).all(1)
        weights = batch[f"weights {turn}"]
        assert 2 <= same.sum() <= 4 and (weights[same] - SINGLE_WEIGHT).abs().max() < 1e-6
        assert (weights[~same] == 1).all()
        strengths = batch[f"strengths {turn}"]
        assert 0.4 <= strengths.min() < strengths.max() <= 1
    assert not torch.equal(batch["known 0"], batch["known 1"])
    again = teacher.lessons(anonymizer(), 0.4, torch.Generator().manual_seed(1))
    assert all(torch.equal(batch[name], again[name]) for name in batch)


def test_a_mami_sits_three_rounds_of_four_out():
    networks = {"mami": MaMI(**SMALL_MAMI), "a": compact(), "b": compact()}
    teacher, run = critics(networks, blobs(8, 2, seed=0), turns=3, patients=4), Run(networks)
    learned(teacher, anonymizer(), run, 3)
    assert run.updated == [f"critic {name}" for name in ("mami", "a", "b", "a", "b", "a", "b", "a", "b")]


def test_critics_learn_and_leave_the_anonymizer_as_it_is():
    networks, network = {"a": compact()}, anonymizer().train()
    teacher = critics(networks, blobs(40, 2, seed=1), turns=2, patients=16, warm_up=8)
    run = Run(networks)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    losses = learned(teacher, network, run, 24)
    assert all(("critic a" in loss) == (step >= 4) for step, loss in enumerate(losses))
    last = torch.stack([loss["critic a originals"] for loss in losses[-4:]]).mean()
    assert last < 0.8 * np.log(16), "chance is the logarithm of the patients"
    assert network.training and all(p.grad is None for p in network.parameters())
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


@pytest.mark.parametrize(("shown", "low", "high"), [("as it is", 0.8, 1.0), ("noise", 0.35, 0.65)])
def test_a_fresh_attacker_finds_what_is_left(shown, low, high):
    class Stub(nn.Module):
        noise = 1

        def draw_noise(self, count, generator):
            return torch.randn(count, 1, generator=generator)

        def forward(self, images, strength, noise):
            return images if shown == "as it is" else torch.rand_like(images)

    torch.manual_seed(0)
    attack = FreshAttack(compact, blobs(60, 3, seed=3), blobs(30, 3, seed=4), 60)
    (area,) = attack.figures(Stub(), 0, torch.device("cpu")).values()
    assert low <= area <= high


class Stopped(Exception):
    """Somebody pulls the plug."""


def scrubbing(stop=None):
    """A task of nine steps with two critics, which a fresh attacker judges."""
    store, validation = blobs(16, 2, seed=5), blobs(10, 2, seed=6)
    torch.manual_seed(3)
    networks = {"a": compact(), "b": compact()}
    settings = ScrubbingSettings(
        patients=6, others=2, steps_per_epoch=3,
        critics=CriticSettings(warm_up=2, turns=2, patients=6),
    )  # fmt: skip
    images = ScrubbingImages(store, group_names(store), np.zeros((len(store), 1), np.int8))
    reader = Classifier("lcnet_035", ["Effusion"], SIZE)
    fresh = FreshAttack(compact, store, validation, 3)
    task = ScrubbingTask(anonymizer(), networks, reader, images, ScrubCheck(validation, []), settings, fresh)
    step = task.step

    def stopping(batch, run):
        if run.step == stop:
            raise Stopped
        return step(batch, run)

    task.step = stopping
    return task


def test_stopped_and_resumed_it_ends_as_one_that_was_not(tmp_path):
    options = LoopOptions(epochs=3, device="cpu", workers=1, save_every=1)
    whole = scrubbing()
    report = fit(whole, options, tmp_path / "whole")
    with pytest.raises(Stopped):
        fit(scrubbing(stop=5), options, tmp_path / "parts")
    resumed = scrubbing()
    assert fit(resumed, options, tmp_path / "parts").best == report.best
    for name, module in whole.modules().items():
        other = resumed.modules()[name].state_dict()
        assert all(torch.equal(value, other[key]) for key, value in module.state_dict().items()), name
    assert any(name.startswith("reid fresh attacker") for name in report.best)


def test_only_late_epochs_meet_a_fresh_attacker(tmp_path):
    fit(scrubbing(), LoopOptions(epochs=3, device="cpu", workers=1), tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    judged = [
        any(name.startswith("reid fresh attacker") for name in line)
        for line in lines
        if line["kind"] == "epoch"
    ]
    assert judged == [False, True, True]
