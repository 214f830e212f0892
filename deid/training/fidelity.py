"""How much of a picture is kept: structural similarity, peak signal to noise, and the loss made of them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_WINDOW = 7
_C1, _C2 = 0.01**2, 0.03**2
_BACKGROUND = 0.02


def structural_similarity(one: Tensor, other: Tensor) -> Tensor:
    """SSIM of each pair of images (Wang et al. 2004), uniform window of 7 x 7, on 0..1.

    Args:
        one: `[image, 1, row, column]`.
        other: The same.

    Returns:
        `[image]`, 1 for equal images.
    """
    mean_one, mean_other = _mean(one), _mean(other)
    # Of samples, not of the whole (as scikit-image does): n / (n - 1).
    unbiased = _WINDOW**2 / (_WINDOW**2 - 1)
    variance_one = (_mean(one * one) - mean_one**2) * unbiased
    variance_other = (_mean(other * other) - mean_other**2) * unbiased
    covariance = (_mean(one * other) - mean_one * mean_other) * unbiased
    similar = (2 * mean_one * mean_other + _C1) * (2 * covariance + _C2)
    similar = similar / ((mean_one**2 + mean_other**2 + _C1) * (variance_one + variance_other + _C2))
    return similar.mean((1, 2, 3))


def peak_signal_to_noise(one: Tensor, other: Tensor) -> Tensor:
    """PSNR of each pair of images in dB, peak 1; infinite for equal images; `[image]`."""
    return -10 * torch.log10((one - other).square().mean((1, 2, 3)))


def fidelity_loss(before: Tensor, after: Tensor, strength: Tensor) -> Tensor:
    """What of the picture is lost, the more the lower the strength; zero for equal images.

    Mean absolute difference and dissimilarity of structure, both weighed by 1.2 - strength, and light that
    appears where the original is background.

    Args:
        before: `[image, 1, row, column]` in 0..1.
        after: The same images scrubbed.
        strength: `[image]`.

    Returns:
        A scalar.
    """
    pixels = (after - before).abs().mean((1, 2, 3))
    structure = 1 - structural_similarity(before, after)
    empty = (before < _BACKGROUND).to(before)
    spilt = ((after - before).relu() * empty).sum((1, 2, 3)) / empty.sum((1, 2, 3)).clamp_min(1)
    return ((1.2 - strength) * (pixels + 0.5 * structure) + spilt).mean()


def _mean(images: Tensor) -> Tensor:
    return functional.avg_pool2d(images, _WINDOW, stride=1)
