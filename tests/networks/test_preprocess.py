"""The published pre-processing to the last bit, and the differentiable one."""

import hashlib
import json

import numpy as np
import pytest
import torch
from builders.mami import DATA

from deid.networks.preprocess import MEAN, STD, normalise, published_input, resize

FACTS = json.loads((DATA / "mami_preprocess.json").read_text())


def picture(height, width):
    i, j = np.ogrid[:height, :width]
    waves = 80 * np.sin(2 * np.pi * (3 * j / width + 2 * i / height))
    chirp = 40 * np.sin(2 * np.pi * 17 * i * j / (height * width))
    values = np.floor(127.5 + waves + chirp) + ((i * 31 + j * 17) % 13) - 6
    return np.clip(values, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("case", FACTS["cases"], ids=lambda case: f"{case['H']}x{case['W']}")
def test_the_published_pre_processing_is_met_exactly(case):
    grey = picture(case["H"], case["W"])
    assert hashlib.sha256(grey.tobytes()).hexdigest() == case["input_sha256"]
    made = published_input(grey)
    assert made.shape == (1, 3, 1, 224, 224) and made.dtype == torch.float32
    assert np.allclose(made.flatten()[FACTS["flat_indices"]].numpy(), case["values"], rtol=0, atol=1e-7)
    assert float(made.double().mean()) == pytest.approx(case["mean"], abs=1e-7)
    assert float(made.double().std(correction=0)) == pytest.approx(case["std"], abs=1e-7)
    assert torch.equal(published_input(np.stack([grey] * 3, -1)), made)


def test_resize_keeps_what_fits_and_shrinks_without_aliasing():
    images = torch.rand(2, 1, 20, 20)
    assert resize(images, 20) is images
    stripes = (torch.arange(400) % 2).float().expand(1, 1, 300, 400)
    small = resize(stripes, 50)
    assert small.shape == (1, 1, 50, 50)
    assert (small - 0.5).abs().max() < 0.05


def test_normalise_makes_three_channels():
    grey = torch.full((2, 1, 3, 3), 0.5)
    for channel, (mean, std) in enumerate(zip(MEAN, STD, strict=True)):
        assert normalise(grey)[1, channel, 2, 2].item() == pytest.approx((0.5 - mean) / std)
