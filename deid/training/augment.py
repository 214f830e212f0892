"""Batch augmentation against what a network must not take for identity: exposure, crop, markers.

All chance is drawn from the given generator, on the CPU, so that a resumed run makes the same batches, on any
device. Flips are off by default: a mirrored chest is another anatomy (situs), not another picture of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Augmentation:
    """How far images are changed; every amount is drawn for each image, 0 leaves a change out.

    Attributes:
        gamma: Exponent from ``1 / (1 + gamma)`` to ``1 + gamma``.
        contrast: Factor about the image's mean from ``1 - contrast`` to ``1 + contrast``.
        brightness: Sum from ``-brightness`` to ``brightness``, on 0..1.
        scale: The side of the crop, as a share of the image, from ``1 - scale`` to ``1 + scale / 2``.
        shift: Along each axis, as a share of the side.
        rotation: To both sides, in degrees.
        markers: Chance of a bright marker in a corner.
        noise: Highest standard deviation of Gaussian noise, on 0..1.
        erasing: Chance that a rectangle is replaced by its mean.
        flip: Chance of a horizontal flip.
    """

    gamma: float = 0.3
    contrast: float = 0.2
    brightness: float = 0.1
    scale: float = 0.12
    shift: float = 0.06
    rotation: float = 7.0
    markers: float = 0.3
    noise: float = 0.02
    erasing: float = 0.3
    flip: float = 0.0


def augment(images: Tensor, generator: torch.Generator, how: Augmentation | None = None) -> Tensor:
    """Change each image of a batch in its own way.

    Args:
        images: `[image, 1, row, column]` in 0..1; left as it is.
        generator: On the CPU.
        how: How far; the defaults if None.

    Returns:
        A new batch, in 0..1.
    """
    how = how or Augmentation()
    changed = _move(images, generator, how)
    changed = _expose(changed, generator, how)
    changed = _mark(changed, generator, how.markers)
    changed = _erase(changed, generator, how.erasing)
    if how.noise:
        spread = _uniform(len(images), 0, how.noise, generator).to(images)
        changed = changed + spread * torch.randn(images.shape, generator=generator).to(images)
    return changed.clamp(0, 1)


def _move(images: Tensor, generator: torch.Generator, how: Augmentation) -> Tensor:
    """Rotation, scale, shift and flip in one resampling; beyond the border stands black."""
    count = len(images)
    angle = _uniform(count, -how.rotation, how.rotation, generator).flatten() * (math.pi / 180)
    scale = _uniform(count, 1 - how.scale, 1 + how.scale / 2, generator).flatten()
    shift = _uniform(2 * count, -how.shift, how.shift, generator).view(count, 2) * 2
    mirror = torch.where(torch.rand(count, generator=generator) < how.flip, -1.0, 1.0)
    if not (how.rotation or how.scale or how.shift or how.flip):
        return images
    cosine, sine = torch.cos(angle) * scale, torch.sin(angle) * scale
    aspect = images.shape[2] / images.shape[3]
    row, column = (_centres(n)[None] * 2 - 1 for n in images.shape[2:])
    column = column * mirror[:, None]
    across, down = _places(cosine, column), _places(cosine, row)
    x = (across + shift[:, :1])[:, None, :] - _places(sine * aspect, row)[:, :, None]
    y = (down + shift[:, 1:])[:, :, None] + _places(sine / aspect, column)[:, None, :]
    return functional.grid_sample(images, torch.stack((x, y), 3).to(images), align_corners=False)


def _places(factor: Tensor, along: Tensor) -> Tensor:
    return factor[:, None] * along


def _expose(images: Tensor, generator: torch.Generator, how: Augmentation) -> Tensor:
    count = len(images)
    wide = math.log(1 + how.gamma)
    gamma = _uniform(count, -wide, wide, generator).exp().to(images)
    contrast = _uniform(count, 1 - how.contrast, 1 + how.contrast, generator).to(images)
    brightness = _uniform(count, -how.brightness, how.brightness, generator).to(images)
    changed = images.clamp_min(1e-4) ** gamma if how.gamma else images
    mean = changed.mean((1, 2, 3), keepdim=True)
    return (changed - mean) * contrast + mean + brightness


def _mark(images: Tensor, generator: torch.Generator, chance: float) -> Tensor:
    """A bright block with a random pattern of bars, such as a side letter, near one of the corners."""
    if not chance:
        return images
    count, _, height, width = images.shape
    size = _uniform(2 * count, 0.04, 0.12, generator).view(count, 2)
    away = _uniform(2 * count, 0.01, 0.15, generator).view(count, 2)
    far = torch.rand(count, 2, generator=generator) < 0.5
    start = torch.where(far, 1 - away - size, away)
    inside = _box(start, size, height, width, torch.rand(count, 1, generator=generator) < chance)
    strokes = torch.rand(count, 20, generator=generator) < 0.6
    cell_row = ((_centres(height) - start[:, :1]) / size[:, :1] * 5).long().clamp(0, 4)
    cell_column = ((_centres(width) - start[:, 1:]) / size[:, 1:] * 4).long().clamp(0, 3)
    flat = cell_row[:, :, None] * 4 + cell_column[:, None, :]
    pattern = strokes.gather(1, flat.view(count, -1)).view(count, 1, height, width)
    drawn = inside & pattern
    bright = _uniform(count, 0.75, 1, generator).to(images)
    return torch.where(drawn.to(images.device), bright, images)


def _erase(images: Tensor, generator: torch.Generator, chance: float) -> Tensor:
    """A rectangle of 2 to 15 % of the area gets the image's mean."""
    if not chance:
        return images
    count, _, height, width = images.shape
    size = _uniform(2 * count, 0.14, 0.39, generator).view(count, 2)
    start = torch.rand(count, 2, generator=generator) * (1 - size)
    gone = _box(start, size, height, width, torch.rand(count, 1, generator=generator) < chance)
    return torch.where(gone.to(images.device), images.mean((1, 2, 3), keepdim=True), images)


def _box(start: Tensor, size: Tensor, height: int, width: int, chosen: Tensor) -> Tensor:
    """Pixels in the rectangles of the chosen images: `[image, 1, row, column]`; start and size in shares."""
    rows, columns = _centres(height), _centres(width)
    down = chosen & (rows >= start[:, :1]) & (rows < start[:, :1] + size[:, :1])
    right = (columns >= start[:, 1:]) & (columns < start[:, 1:] + size[:, 1:])
    return (down[:, :, None] & right[:, None, :])[:, None]


def _centres(count: int) -> Tensor:
    """Where the centres of pixels lie along an axis of length 1."""
    return (torch.arange(count) + 0.5) / count


def _uniform(count: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    """`[image, 1, 1, 1]`."""
    return low + (high - low) * torch.rand(count, 1, 1, 1, generator=generator)
