"""What a classifier still reads, and what the pictures keep."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from audit_sets import copy, noise, release
from torch import nn

from deid.audit.utility import utility
from deid.networks.classifier import Diagnosis


class Bright(nn.Module):
    """Reads two findings from the brightness of two corners."""

    findings = ("Left", "Right")

    def forward(self, images):
        half = images.shape[-1] // 2
        logits = torch.stack([images[..., :half].mean((1, 2, 3)), images[..., half:].mean((1, 2, 3))], 1)
        return Diagnosis(logits, logits)


def labelled(patients, scrub, rare=False):
    """Findings are the sides that are brighter than half of them; "Right" may be rare."""
    images = release(patients, scrub)
    logits = Bright()(torch.from_numpy(images.originals)[:, None]).logits.numpy()
    limits = np.quantile(logits, [0.5, 0.95 if rare else 0.5], axis=0).diagonal()
    blurred = logits + np.random.default_rng(0).normal(0, 0.01, logits.shape)
    return replace(images, labels=(blurred > limits).astype(np.int8), findings=("Left", "Right"))


def test_a_copy_keeps_everything():
    section = utility(labelled(40, copy), Bright(), 100)
    assert section["pixels_unchanged"] == 1 and section["psnr"]["value"] == 100
    assert section["ssim"]["value"] == pytest.approx(1, abs=1e-5)
    assert section["classifier"]["retained"]["value"] == 1 and section["classifier"]["basis"] == "labels"
    finding = section["classifier"]["findings"]["Left"]
    assert finding["before"] == finding["after"] and finding["difference"]["value"] == 0
    assert finding["images"] == 80 and finding["positives"] >= 30


def test_pixels_are_counted_and_not_pictures():
    def half(originals):
        scrubbed = originals.copy()
        scrubbed[:, :8] = 1 - scrubbed[:, :8]  # a quarter of every picture, but for greys of one half
        return scrubbed

    images = release(40, half)
    same = float((images.originals == images.scrubbed).mean())
    assert utility(images, None, 20)["pixels_unchanged"] == pytest.approx(same, abs=0.001)
    assert 0.7 < same < 0.8


def test_noise_fails():
    section = utility(labelled(60, noise), Bright(), 100)
    assert section["classifier"]["retained"]["upper"] < 0.9
    assert section["classifier"]["findings"]["Left"]["difference"]["upper"] < 0
    assert (
        section["pixels_unchanged"] == 0 and section["psnr"]["upper"] < 15 and section["ssim"]["upper"] < 0.3
    )


def test_a_rare_finding_is_left_out():
    section = utility(labelled(40, copy, rare=True), Bright(), 50)
    assert set(section["classifier"]["findings"]) == {"Left"}


def test_without_labels_the_classifier_is_compared_with_itself():
    kept = utility(release(20, copy), Bright(), 50)["classifier"]
    assert kept["basis"] == "agreement of the classifier with itself"
    assert kept["retained"]["value"] == pytest.approx(1) and not kept["findings"]
    assert utility(release(60, noise), Bright(), 50)["classifier"]["retained"]["value"] < 0.4


def test_what_cannot_be_measured_is_said():
    assert utility(release(20, copy), None, 50)["classifier"]["status"] == "not assessed"
    assert utility(release(4, copy), None)["reason"] == "fewer than 5 patients"
    assert utility(replace(release(9, copy), originals=None), None)["status"] == "not assessed"


def test_the_section_holds_no_label_and_repeats():
    images = labelled(40, noise)
    text = json.dumps(utility(images, Bright(), 50), allow_nan=False)
    assert text == json.dumps(utility(images, Bright(), 50), allow_nan=False)
    assert "secret" not in text
