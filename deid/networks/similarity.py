"""How alike two pictures are: structural similarity and peak signal to noise."""

from __future__ import annotations

from torch import Tensor, log10
from torch.nn import functional

_WINDOW = 7
_C1, _C2 = 0.01**2, 0.03**2


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
    return -10 * log10((one - other).square().mean((1, 2, 3)))


def _mean(images: Tensor) -> Tensor:
    return functional.avg_pool2d(images, _WINDOW, stride=1)
