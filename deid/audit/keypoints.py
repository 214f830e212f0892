"""Keypoints of pictures: places that stand out, each with a description of what is around it.

Blobs of the difference of Gaussians (Lowe 2004), described by blurred maps of directed gradients on a grid
(Tola et al. 2010). Nothing is learned. Pictures are upright, so that a keypoint has no direction of its own;
its size is that of its blob.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as nnf

from deid.audit.pictures import Pictures

KEYPOINTS = 128
"""Of a picture at most: the strongest."""
SIDE = 160
"""Of the square to which pictures are brought first, in pixels."""

_SIGMAS = tuple(1.2 * 2 ** (step / 2) for step in range(7))
_SURROUND, _FAINT = 12.0, 0.03
_MARGIN = 6
_WEAKEST = 0.02
_DIRECTIONS, _GRID = 8, 4
_CLIP, _SCALE = 0.2, 512.0
_COARSE = 2
_AT_ONCE = 16


@dataclass(frozen=True, eq=False)
class Keypoints:
    """The keypoints of some pictures; a picture with fewer has empty places at the end.

    Attributes:
        places: Column + 1j x row in pixels of a square of `SIDE`, `[image, keypoint]`; NaN is empty.
        descriptions: 512 x a vector of length 1, uint8 `[image, keypoint, dimension]`; 0 is empty.
    """

    places: NDArray[np.complex64]
    descriptions: NDArray[np.uint8]


def find_keypoints(pictures: Pictures) -> Keypoints:
    """Find and describe.

    Args:
        pictures: `[image, row, column]` in 0..1; brightness and contrast do not matter.
    """
    parts = []
    with torch.inference_mode():
        for at in range(0, len(pictures), _AT_ONCE):
            some = torch.from_numpy(np.ascontiguousarray(pictures[at : at + _AT_ONCE]))[:, None]
            parts.append(_found(some))
    return Keypoints(*(np.concatenate([part[i] for part in parts]) for i in range(2)))


def _found(images: Tensor) -> tuple[NDArray[np.complex64], NDArray[np.uint8]]:
    size = (SIDE, SIDE)
    square = nnf.interpolate(images, size, mode="bilinear", antialias=True, align_corners=False)
    scales = torch.cat([_blurred(_contrast(square), sigma) for sigma in _SIGMAS], dim=1)
    level, row, column, strength = _strongest(scales)
    vectors = _described(scales, level, row, column)
    places = torch.complex(column.float(), row.float())
    empty = strength < _WEAKEST
    places[empty], vectors[empty] = torch.nan, 0
    return places.numpy(), (vectors * _SCALE).round().clamp(max=255).byte().numpy()


def _contrast(images: Tensor) -> Tensor:
    """Grey values against those around, in deviations: what a window or a gamma does is mostly gone."""
    mean = _blurred(images, _SURROUND)
    deviation = (_blurred(images**2, _SURROUND) - mean**2).clamp(min=0).sqrt()
    return (images - mean) / (deviation + _FAINT)


def _strongest(scales: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Level, row, column and strength of the strongest blobs, each `[image, keypoint]`.

    Args:
        scales: `[image, level, row, column]`.
    """
    strength = scales.diff(dim=1).abs()
    around = strength
    for dim in (1, 2, 3):
        steps = [around.narrow(dim, step, around.shape[dim] - 2) for step in range(3)]
        around = torch.maximum(torch.maximum(steps[0], steps[1]), steps[2])
    inner = strength[:, 1:-1]
    peaks = nnf.pad(inner[:, :, 1:-1, 1:-1] >= around, (1, 1, 1, 1))
    inside = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    inside[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN] = True
    top, index = torch.where(peaks & inside, inner, 0).flatten(1).topk(KEYPOINTS, dim=1)
    level, place = 1 + index // SIDE**2, index % SIDE**2
    return level, place // SIDE, place % SIDE, top


def _described(scales: Tensor, level: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Unit vectors `[image, keypoint, dimension]`: gradients by direction on a grid of four by four."""
    sigma = torch.tensor(_SIGMAS)[level][..., None]
    steps = 3 * (torch.arange(_GRID) - (_GRID - 1) / 2)
    rows, columns = (
        ((place[..., None] + sigma * steps) / _COARSE).round().long().clamp(0, SIDE // _COARSE - 1)
        for place in (row, column)
    )
    maps = torch.stack([_directed(scales[:, k : k + 1], _SIGMAS[k]) for k in range(1, len(_SIGMAS) - 2)], 1)
    image, inner = torch.arange(len(scales))[:, None, None, None], (level - 1)[:, :, None, None]
    vectors = maps[image, inner, rows[:, :, :, None], columns[:, :, None, :]].flatten(2)
    return nnf.normalize(nnf.normalize(vectors, dim=2).clamp(max=_CLIP), dim=2)


def _directed(scale: Tensor, sigma: float) -> Tensor:
    """Gradients by direction, blurred over cells, every other pixel, `[image, row, column, direction]`."""
    padded = nnf.pad(scale, (1, 1, 1, 1), mode="replicate")
    along_rows = padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]
    along_columns = padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]
    angles = torch.arange(_DIRECTIONS) * (2 * torch.pi / _DIRECTIONS)
    turned = torch.cat([angle.cos() * along_columns + angle.sin() * along_rows for angle in angles], dim=1)
    return _blurred(turned.relu(), 1.5 * sigma, _COARSE).permute(0, 2, 3, 1)


def _blurred(images: Tensor, sigma: float, step: int = 1) -> Tensor:
    matrix = _gaussian(sigma)[::step]
    return matrix @ images @ matrix.T


@lru_cache
def _gaussian(sigma: float) -> Tensor:
    """What blurs the rows of a picture by a product from the left; the edge goes on outside."""
    reach = round(3 * sigma)
    offsets = torch.arange(-reach, reach + 1)
    weights = torch.exp(-0.5 * (offsets / sigma) ** 2)
    places = (torch.arange(SIDE)[:, None] + offsets).clamp(0, SIDE - 1)
    spread = (weights / weights.sum()).expand(SIDE, -1)
    return torch.zeros(SIDE, SIDE).scatter_add_(1, places, spread)
