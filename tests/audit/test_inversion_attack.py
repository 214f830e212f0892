"""What comes back is attacked again: an invertible anonymizer is caught, one that lost information is not."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from audit_sets import QUICK, Coarse, copy, mirrored, noise, release
from torch import nn

from deid.audit.inversion import InversionOptions, inversion
from deid.networks.anonymizer import Anonymizer

SIZE = 32
HOW = InversionOptions(QUICK, images=60, steps=12)


def anonymizer(**operators):
    """A network with random weights whose maps are far from constant."""
    torch.manual_seed(0)
    network = Anonymizer(SIZE, "tu-regnetx_002", 3, (16, 8, 8), operators).eval()
    with torch.no_grad():
        network.unet.segmentation_head[0].weight *= 20
    return network


def by(network, strength):
    """The scrub of a network with noise that nobody else knows."""

    def scrub(originals):
        given = torch.from_numpy(originals)[:, None]
        noise = network.draw_noise(len(given), torch.Generator().manual_seed(77))
        with torch.no_grad():
            return network(given, torch.full((len(given),), strength), noise)[:, 0].numpy()

    return scrub


@pytest.fixture(scope="module")
def residual():
    network = anonymizer(residual={"bound": 0.1})
    return network, release(30, by(network, 0.5))


def test_a_small_residual_is_undone_and_linked(residual):
    network, images = residual
    section = inversion(images, network, 0.5, {"coarse": Coarse()}, None, HOW)
    undone = section["methods"]["fixed_point"]
    assert section["verdict"] == "linkable"
    before = np.abs(images.scrubbed - images.originals).mean()
    assert undone["error"]["upper"] < 1 / 255 < before
    assert undone["linkage"]["rank_1"]["value"] == 1 and undone["reid"]["auc"]["lower"] > 0.9
    assert section["methods"]["trained_restorer"]["status"] == "not assessed"
    text = json.dumps(section, allow_nan=False)
    assert "secret" not in text


class Mirror(nn.Module):
    """An anonymizer that fools who does not know it, and loses nothing."""

    def draw_noise(self, count, generator):
        return torch.randn(count, 1, generator=generator)

    def forward(self, images, strength, noise):
        return images.flip(3)


def test_what_hides_the_person_but_loses_nothing_is_caught_by_descent():
    images = release(30, mirrored)
    how = replace(HOW, steps=60)
    section = inversion(images, Mirror(), 1.0, {"coarse": Coarse()}, None, how)
    undone = section["methods"]["gradient_descent"]
    assert section["verdict"] == "linkable" and undone["reid"]["auc"]["lower"] > 0.9
    assert undone["error"]["upper"] < 0.01 < np.abs(images.scrubbed - images.originals).mean()
    assert undone["linkage"]["rank_1"]["value"] == 1


def test_one_patient_is_too_few():
    def trainer(originals, scrubbed, seed):
        raise AssertionError("there is nobody to learn from")

    section = inversion(release(1, mirrored), Mirror(), 1.0, {}, trainer, HOW)
    assert (section["status"], section["reason"]) == ("not assessed", "fewer than 5 patients")


def test_an_unknown_strength_is_searched(residual):
    network, images = residual
    how = replace(HOW, steps=6)
    known = inversion(images, network, 0.5, {}, None, how)["methods"]["fixed_point"]
    searched = inversion(images, network, None, {}, None, how)["methods"]["fixed_point"]
    assert searched["reid"]["auc"]["value"] >= known["reid"]["auc"]["value"]


class Mean(nn.Module):
    """A restorer that learned nothing but the mean of the originals."""

    def __init__(self, mean):
        super().__init__()
        self.mean = mean

    def forward(self, images):
        return self.mean.expand_as(images)


def test_a_restorer_is_measured_on_patients_that_it_has_not_seen():
    images = release(60, copy)
    seen = []

    def trainer(originals, scrubbed, seed):
        seen.append(len(originals))
        return Mean(torch.from_numpy(originals.mean(axis=0)))

    section = inversion(images, None, None, {"coarse": Coarse()}, trainer, HOW)
    assert seen == [60] and set(section["methods"]) == {"trained_restorer"}
    restored = section["methods"]["trained_restorer"]
    assert restored["reid"]["patients"] == 30 and restored["linkage"]["gallery"] == 60
    assert restored["reid"]["auc"]["value"] == pytest.approx(0.5)
    assert section["verdict"] == "no link found" and "upper bound" in section["words"]


class Flip(nn.Module):
    """A restorer that knows what `mirrored` does."""

    def forward(self, images):
        return images.flip(3)


def strangers(originals):
    """Pictures in which the studies of a patient have nothing in common."""
    return np.random.default_rng(5).random(originals.shape, np.float32)


def test_an_original_that_is_found_again_is_a_link_though_nobody_is_recognised():
    images = release(40, copy)
    originals = strangers(images.originals)
    images = replace(images, originals=originals, scrubbed=mirrored(originals))
    section = inversion(images, None, None, {"coarse": Coarse()}, lambda *_: Flip(), HOW)
    restored = section["methods"]["trained_restorer"]
    assert restored["reid"]["auc"]["lower"] < 0.55 and restored["linkage"]["rank_1"]["value"] == 1
    assert section["verdict"] == section["words"] == "linkable"
    unlike = replace(images, scrubbed=noise(originals))
    section = inversion(unlike, None, None, {"coarse": Coarse()}, lambda *_: Flip(), HOW)
    assert section["verdict"] != "linkable"


def test_patients_with_one_study_can_be_linked_only():
    images = release(40, mirrored, studies=1)
    section = inversion(images, None, None, {"coarse": Coarse()}, lambda *_: Flip(), HOW)
    restored = section["methods"]["trained_restorer"]
    assert restored["reid"]["status"] == "not assessed" and restored["linkage"]["rank_1"]["value"] == 1
    assert (section["status"], section["verdict"]) == ("assessed", "linkable")


def test_nothing_to_undo_is_said():
    section = inversion(release(10, copy), None, None, {})
    assert section["status"] == section["verdict"] == "not assessed"
    assert "no anonymizer" in section["reason"]
