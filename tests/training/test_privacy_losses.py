"""Indistinguishable scores, fidelity, templates: exact at best and worst."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from deid.core.errors import UsageError
from deid.networks.similarity import peak_signal_to_noise, structural_similarity
from deid.training.fidelity import fidelity_loss
from deid.training.images import ImageStore
from deid.training.privacy_losses import indistinguishable, scores_between
from deid.training.samples import Sample
from deid.training.templates import mean_templates


def normal(seed, count, mean=0.0):
    return mean + torch.randn(count, generator=torch.Generator().manual_seed(seed))


def test_equal_distributions_cost_nothing_on_average():
    losses = [indistinguishable(normal(k, 40), normal(1000 + k, 400)) for k in range(60)]
    assert abs(torch.stack(losses).mean()) < 0.02


@pytest.mark.parametrize("side", [-1, 1])
def test_either_side_costs_the_same(side):
    impostors = normal(0, 2000)
    shifted = indistinguishable(normal(1, 2000) + side * 1.5, impostors)
    # E|X - Y| of two normals 1.5 apart, with deviation sqrt(2), against twice 2 / sqrt(pi)
    between = (
        2
        * math.sqrt(2)
        * (math.sqrt(2 / math.pi) * math.exp(-(1.5**2) / 4) + 1.5 / math.sqrt(2) * math.erf(1.5 / 2))
    )
    assert shifted == pytest.approx(between - 4 / math.sqrt(math.pi), abs=0.1)


def test_gradient_pulls_genuine_scores_to_the_impostors():
    for start in (-2.0, 2.0):
        genuine = normal(3, 50, start).requires_grad_()
        indistinguishable(genuine, normal(4, 200)).backward()
        assert (genuine.grad.mean() > 0) == (start > 0)


def test_scores_between_are_cosines():
    references = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    genuine, impostors = scores_between(references, torch.tensor([[1.0, 0.0], [1.0, 1.0]]))
    assert torch.allclose(genuine, torch.tensor([1.0, math.sqrt(0.5)]))
    assert torch.allclose(impostors, torch.tensor([math.sqrt(0.5), 0.0]))


def picture(seed=0, count=2):
    return torch.rand(count, 1, 24, 24, generator=torch.Generator().manual_seed(seed))


def test_similarity_of_equal_images():
    assert torch.allclose(structural_similarity(picture(), picture()), torch.ones(2))
    assert torch.isinf(peak_signal_to_noise(picture(), picture())).all()
    assert fidelity_loss(picture(), picture(), torch.tensor([0.0, 1.0])) == pytest.approx(0, abs=1e-6)


def test_psnr_is_exact():
    assert peak_signal_to_noise(
        torch.zeros(1, 1, 9, 9), torch.full((1, 1, 9, 9), 0.1)
    ).item() == pytest.approx(20)


def test_ssim_of_constants_is_the_luminance_term():
    one, other = torch.full((1, 1, 9, 9), 0.2), torch.full((1, 1, 9, 9), 0.4)
    expected = (2 * 0.2 * 0.4 + 1e-4) / (0.2**2 + 0.4**2 + 1e-4)
    assert structural_similarity(one, other).item() == pytest.approx(expected, rel=1e-4)


def test_fidelity_asks_more_at_low_strength_and_of_the_background():
    noisy = (picture() + 0.1).clamp(0, 1)
    low, high = (fidelity_loss(picture(), noisy, torch.full((2,), s)) for s in (0.2, 1.0))
    assert low > 1.5 * high
    dark = torch.zeros(1, 1, 9, 9)
    assert fidelity_loss(dark, dark + 0.5, torch.ones(1)) > 0.5


def store(patients, images_each=1, source="a"):
    count = patients * images_each
    random = np.random.default_rng(0)
    samples = [
        Sample(
            source=source, modality="DX", view="", patient=f"{source}{i // images_each}", study=str(i),
            path=Path(f"{i}.png"),
        )
        for i in range(count)
    ]  # fmt: skip
    return ImageStore.of(random.integers(0, 256, (count, 20, 20), np.uint8), samples)


def test_templates_are_means_of_k_different_patients():
    images = store(4, images_each=3)
    (template,) = mean_templates(images, 1, k=4, seed=0)
    owners = images.images.reshape(4, 3, 20, 20).astype(np.float32) / 255
    choices = [
        owners[0, a] + owners[1, b] + owners[2, c] + owners[3, d]
        for a in range(3) for b in range(3) for c in range(3) for d in range(3)
    ]  # fmt: skip
    assert min(np.abs(choice / 4 - template[0].numpy()).max() for choice in choices) < 1e-5


def test_templates_need_k_patients():
    with pytest.raises(UsageError, match="means over 5 patients"):
        mean_templates(store(4), 1, k=5, seed=0)
