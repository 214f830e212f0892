"""A random change as strong as the anonymizer's: what blind noise of equal PSNR would have done."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as nnf

from deid.audit.pictures import Pictures
from deid.networks.similarity import peak_signal_to_noise

MOST_PSNR = 100.0
_GRID, _STEPS, _AT_ONCE = 5, 12, 256
_STRONGEST = 8.0


def psnr(one: Pictures, other: Pictures) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """PSNR in dB of each image, `[image]`, at most 100."""
    parts = [
        peak_signal_to_noise(_tensor(one[at : at + _AT_ONCE]), _tensor(other[at : at + _AT_ONCE]))
        for at in range(0, len(one), _AT_ONCE)
    ]
    return torch.cat(parts).clamp(max=MOST_PSNR).numpy().astype(np.float64)


def random_change(originals: Pictures, scrubbed: Pictures, seed: int) -> Pictures | None:
    """Warp and re-tone originals at random until they are as far from themselves as the scrubbed are.

    Args:
        originals: `[image, row, column]` in 0..1.
        scrubbed: The same images scrubbed; only how far they are is used.
        seed: Of the change.

    Returns:
        Changed originals of the same mean PSNR, or as near as the strongest change comes; None where the
        scrubbed images are the originals.
    """
    wanted = float(psnr(originals, scrubbed).mean())
    if wanted >= MOST_PSNR:
        return None
    low, high = 0.0, _STRONGEST
    for _ in range(_STEPS):
        amount = (low + high) / 2
        near = float(psnr(originals, _changed(originals, amount, seed)).mean()) > wanted
        low, high = (amount, high) if near else (low, amount)
    return _changed(originals, (low + high) / 2, seed)


def _changed(originals: Pictures, amount: float, seed: int) -> Pictures:
    generator = torch.Generator().manual_seed(seed)
    parts = [
        _change(_tensor(originals[at : at + _AT_ONCE]), amount, generator)
        for at in range(0, len(originals), _AT_ONCE)
    ]
    made: Pictures = torch.cat(parts)[:, 0].numpy()
    return made


def _change(images: Tensor, amount: float, generator: torch.Generator) -> Tensor:
    """A smooth displacement, a smooth field of brightness, and a gamma, all of one amount."""
    size = images.shape[-2:]
    coarse = torch.randn(len(images), 3, _GRID, _GRID, generator=generator)
    gamma = torch.randn(len(images), 1, 1, 1, generator=generator)
    fields = nnf.interpolate(coarse, size, mode="bicubic", align_corners=True)
    straight = torch.eye(2, 3).expand(len(images), 2, 3)
    here = nnf.affine_grid(straight, list(images.shape), align_corners=False)
    shift = 0.05 * amount * fields[:, :2].permute(0, 2, 3, 1)
    moved = nnf.grid_sample(images, here + shift, padding_mode="reflection", align_corners=False)
    toned = moved.clamp(1e-4, 1) ** torch.exp(0.2 * amount * gamma)
    return (toned + 0.05 * amount * fields[:, 2:]).clamp(0, 1)


def _tensor(pictures: Pictures) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pictures))[:, None]
