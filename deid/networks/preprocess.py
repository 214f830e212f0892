"""From pictures to the tensors that networks take: sizes and ranges.

`published_input` is the pre-processing that the published MaMI weights were trained with. Everything else in
this tool uses `resize` and `normalise`, which are differentiable.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

# Of ImageNet, in 0..1, per RGB channel.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
SHORTER_SIDE = 256
CROP = 224


def resize(images: Tensor, size: int) -> Tensor:
    """Images `[image, channel, row, column]` as squares of `size` pixels: bilinear, antialiased."""
    if images.shape[2:] == (size, size):
        return images
    return functional.interpolate(images, (size, size), mode="bilinear", antialias=True)


def normalise(images: Tensor) -> Tensor:
    """Images `[image, 1 or 3, row, column]` in 0..1 as three channels with ImageNet's mean and deviation."""
    mean, std = (images.new_tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
    return (images - mean) / std


def published_input(picture: NDArray[np.uint8]) -> Tensor:
    """Pre-processing of the published MaMI: shorter side to 256, normalise, central 224 x 224.

    Args:
        picture: `[row, column]` grey or `[row, column, 3]` RGB, 0..255.

    Returns:
        `[image = 1, 3, frame = 1, 224, 224]` float32, for `MaMI.forward`.
    """
    image = Image.fromarray(picture).convert("RGB")
    shorter, longer = sorted(image.size)
    if shorter != SHORTER_SIDE:
        other = int(SHORTER_SIDE * longer / shorter)
        wide = image.width > image.height
        size = (other, SHORTER_SIDE) if wide else (SHORTER_SIDE, other)
        image = image.resize(size, Image.Resampling.BILINEAR)
    pixels = torch.from_numpy(np.array(image, np.float32) / 255).permute(2, 0, 1)
    # Python rounds halves to even, as the published code does.
    top, left = round((image.height - CROP) / 2), round((image.width - CROP) / 2)
    crop = pixels[None, :, top : top + CROP, left : left + CROP]
    return normalise(crop).unsqueeze(2)
