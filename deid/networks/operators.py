"""What the anonymizer may do to an image: replace (`ksame`), displace (`warp`) or add (`residual`).

Each operator takes maps that the U-Net predicts at its own resolution and applies them to images of any size,
so a large radiograph is changed at its native size. At strength 0 each is the identity. `ksame` and `warp`
depend on noise drawn under the project's key: what they replace or displace by cannot be computed from the
weights, which are public. `residual` alone is undone by fixed-point iteration (`deid.networks.inversion`
measures it).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as nnf


class Operator(nn.Module):
    """One way to change an image.

    Attributes:
        start: What the U-Net predicts for each map of it before it has learned: little is replaced yet.
        noise: Number of standard normal values that it takes for each image.
    """

    start: tuple[float, ...]
    noise: int = 0

    @property
    def maps(self) -> int:
        """Number of maps that the U-Net predicts for it."""
        return len(self.start)

    def forward(self, images: Tensor, maps: Tensor, strength: Tensor, noise: Tensor) -> Tensor:
        """Change images.

        Args:
            images: `[image, 1, row, column]`, 0..1.
            maps: `[image, maps, row, column]`, unbounded, at any resolution.
            strength: `[image, 1, 1, 1]`, 0..1; 0 changes nothing.
            noise: `[image, noise]`, standard normal.

        Returns:
            Like ``images``.
        """
        raise NotImplementedError


class Residual(Operator):
    """Adds a bounded change: image + strength * bound * tanh(map)."""

    start = (0.0,)

    def __init__(self, bound: float = 0.2) -> None:
        super().__init__()
        self.bound = bound

    def forward(self, images: Tensor, maps: Tensor, strength: Tensor, noise: Tensor) -> Tensor:
        """See `Operator.forward`."""
        change = self.bound * torch.tanh(_sized(maps, images))
        return (images + strength * change).clamp(0, 1)


class Warp(Operator):
    """Displaces by a smooth random field, whose amplitude the U-Net sets, and by a field of its own.

    Displacements are in units of half the image's side. The random field is a grid of normal values,
    interpolated bicubically: the large forms move differently in every image of a patient.

    Args:
        grid: Values per side of the random field.
        spread: Standard deviation of the random displacement at full amplitude and strength 1.
        bound: Largest displacement of the U-Net's own field.
        floor: Least amplitude, 0..1, so that the network cannot switch the random field off.
    """

    start = (0.0, 0.0, 0.0)

    def __init__(self, grid: int = 5, spread: float = 0.15, bound: float = 0.1, floor: float = 0.5) -> None:
        super().__init__()
        self.grid, self.spread, self.bound, self.floor = grid, spread, bound, floor
        self.noise = 2 * grid * grid

    def forward(self, images: Tensor, maps: Tensor, strength: Tensor, noise: Tensor) -> Tensor:
        """See `Operator.forward`."""
        field = nnf.interpolate(
            noise.view(-1, 2, self.grid, self.grid), maps.shape[-2:], mode="bicubic", align_corners=True
        )
        # A coarse copy of the maps keeps the displacement smooth: it must not tear edges.
        smooth = _sized(nnf.adaptive_avg_pool2d(maps, 2 * self.grid), maps)
        amplitude = self.floor + (1 - self.floor) * torch.sigmoid(smooth[:, :1])
        shift = self.spread * amplitude * field + self.bound * torch.tanh(smooth[:, 1:])
        shift = _sized(strength * shift, images).permute(0, 2, 3, 1)
        # In place of affine_grid, which is four times as large for images of millions of pixels.
        down, along = (_centres(side, images) for side in images.shape[-2:])
        here = torch.stack([shift[..., 0] + along, shift[..., 1] + down[:, None]], -1)
        return nnf.grid_sample(images, here, padding_mode="reflection", align_corners=False)


class KSame(Operator):
    """Replaces the large forms and the tone by those of a template, a mean over k other patients (k-same).

    The image is split into a low band (blurred at the network's resolution) and the detail above it. The
    U-Net says where how much of either gives way; the template is drawn by noise, not by likeness, so it says
    nothing of the patient.

    Args:
        templates: Number of templates; filled by `set_templates`.
        size: Side of a template in pixels.
        blur: Standard deviation of the blur as a share of the side.
        floor: Least share of the low band, 0..1, that gives way at strength 1.
    """

    start = (-1.0, -2.0)
    noise = 1
    templates: Tensor

    def __init__(self, templates: int = 64, size: int = 56, blur: float = 0.05, floor: float = 0.3) -> None:
        super().__init__()
        self.size, self.blur, self.floor = size, blur, floor
        self.register_buffer("templates", torch.full((templates, 1, size, size), 0.5))

    def set_templates(self, means: Tensor) -> None:
        """Take templates.

        Args:
            means: `[template, 1, row, column]` in 0..1, each the mean of the images of k patients.
        """
        if len(means) != len(self.templates):
            raise ValueError(f"{len(self.templates)} templates are needed, {len(means)} were given")
        self.templates.copy_(nnf.interpolate(means, (self.size, self.size), mode="area"))

    def choose(self, noise: Tensor) -> Tensor:
        """The template of each image, `[image, 1, size, size]`, from one normal value each, `[image, 1]`."""
        chance = torch.special.ndtr(noise[:, 0])
        return self.templates[(chance * len(self.templates)).long().clamp(max=len(self.templates) - 1)]

    def forward(self, images: Tensor, maps: Tensor, strength: Tensor, noise: Tensor) -> Tensor:
        """See `Operator.forward`."""
        size = maps.shape[-2:]
        small = nnf.interpolate(images, size, mode="bilinear", antialias=True, align_corners=False)
        low = blurred(small, self.blur)
        other = blurred(_sized(self.choose(noise), maps), self.blur)
        share = torch.sigmoid(maps)
        replaced = strength * (self.floor + (1 - self.floor) * share[:, :1])
        faded = strength * share[:, 1:]
        detail = images - _sized(low, images)
        forms = low + replaced * (other - low)
        return (_sized(forms, images) + (1 - _sized(faded, images)) * detail).clamp(0, 1)


OPERATORS: Mapping[str, Callable[..., Operator]] = {"residual": Residual, "warp": Warp, "ksame": KSame}


def make_operator(name: str, arguments: Mapping[str, Any]) -> Operator:
    """An operator by name.

    Raises:
        ValueError: There is none of that name.
    """
    if name not in OPERATORS:
        raise ValueError(f"no operator is called {name}; there are: {', '.join(sorted(OPERATORS))}")
    return OPERATORS[name](**arguments)


def blurred(images: Tensor, share: float) -> Tensor:
    """Gaussian blur, its deviation a share of the rows, edges mirrored; `[image, 1, row, column]`."""
    sigma = max(share * images.shape[-2], 1e-3)
    reach = min(int(3 * sigma + 0.5), min(images.shape[-2:]) - 1)
    offsets = torch.arange(-reach, reach + 1, device=images.device, dtype=images.dtype)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = kernel / kernel.sum()
    padded = nnf.pad(images, (reach,) * 4, mode="reflect")
    return nnf.conv2d(nnf.conv2d(padded, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))


def _sized(maps: Tensor, like: Tensor) -> Tensor:
    if maps.shape[-2:] == like.shape[-2:]:
        return maps
    return nnf.interpolate(maps, like.shape[-2:], mode="bilinear", align_corners=False)


def _centres(side: int, like: Tensor) -> Tensor:
    """Centres of a row of pixels from -1 to 1."""
    return torch.linspace(-1, 1, side, device=like.device, dtype=like.dtype) * (side - 1) / side
