"""The U-Net anonymizer: a network that says where, and operators that take the identity out.

The U-Net (segmentation-models-pytorch) sees the image, the template drawn for it, and the strength; it
predicts maps for a row of operators, which are applied one after the other. The image never passes through as
a sum with something that can be computed again: see `deid.networks.operators`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as nnf

from deid.networks.familiarity import Familiarity
from deid.networks.operators import KSame, Operator, make_operator

DEFAULT_OPERATORS: Mapping[str, Mapping[str, Any]] = {"ksame": {}, "residual": {}, "warp": {}}


class Anonymizer(nn.Module):
    """Scrubs identity from images.

    Attributes:
        size: Side at which the U-Net sees the image.
        familiarity: Tells whether an image looks like those that it was trained on.

    Args:
        size: Side at which the U-Net sees the image; a multiple of ``fold`` times 2 to the power ``depth``.
        encoder: Name of an encoder of segmentation-models-pytorch.
        depth: Stages of the encoder.
        decoder: Channels of the decoder's stages, deepest first.
        operators: Operator names to their arguments. They are applied in the order of their names, however
            they are given: the JSON of a model's record keeps no other.
        fold: Blocks of so many rows and columns go to the U-Net as channels of one pixel. What it predicts is
            smooth and needs no map of each pixel, whose decoder takes most of a step.

    Raises:
        ValueError: The size does not suit the depth, or an operator does not exist.
    """

    def __init__(
        self,
        size: int = 112,
        encoder: str = "resnet18",
        depth: int = 4,
        decoder: Sequence[int] = (96, 48, 24, 16),
        operators: Mapping[str, Mapping[str, Any]] = DEFAULT_OPERATORS,
        fold: int = 1,
    ) -> None:
        super().__init__()
        import segmentation_models_pytorch as smp

        if size % (fold * 2**depth):
            raise ValueError(
                f"the size, {size}, must be a multiple of {fold * 2**depth} (2 to the depth, times the fold)"
            )
        self.size, self._fold = size, fold
        self.familiarity = Familiarity()
        self.operators = nn.ModuleDict(
            {name: make_operator(name, operators[name]) for name in sorted(operators)}
        )
        self.unet = smp.Unet(
            encoder,
            encoder_depth=depth,
            encoder_weights=None,
            decoder_channels=list(decoder),
            in_channels=3 * fold**2,
            classes=sum(operator.maps for operator in self._row()),
        )
        last = self.unet.segmentation_head[0]
        with torch.no_grad():
            last.weight *= 0.1
            last.bias.copy_(torch.tensor([value for operator in self._row() for value in operator.start]))

    def _row(self) -> list[Operator]:
        return [operator for operator in self.operators.values() if isinstance(operator, Operator)]

    @property
    def noise(self) -> int:
        """Standard normal values that one image takes."""
        return sum(operator.noise for operator in self._row())

    def draw_noise(self, count: int, generator: torch.Generator) -> Tensor:
        """Noise `[image, noise]` of a generator on the CPU; in a project its key seeds it."""
        return torch.randn(count, self.noise, generator=generator)

    def forward(self, images: Tensor, strength: Tensor, noise: Tensor) -> Tensor:
        """Scrub.

        Args:
            images: `[image, 1, row, column]`, 0..1, of any size.
            strength: `[image]`, 0..1; at 0 an image comes back as it was.
            noise: `[image, noise]` from `draw_noise`.

        Returns:
            Like ``images``.
        """
        wide = strength.view(-1, 1, 1, 1)
        row = self._row()
        parts = torch.split(noise, [operator.noise for operator in row], dim=1)
        small = nnf.interpolate(
            images, (self.size, self.size), mode="bilinear", antialias=True, align_corners=False
        )
        seen = torch.cat([2 * small - 1, self._template(small, parts), wide.expand_as(small)], 1)
        maps = self.unet(nnf.pixel_unshuffle(seen, self._fold))
        scrubbed = images
        for operator, own, part in zip(row, maps.split([o.maps for o in row], dim=1), parts, strict=True):
            scrubbed = operator(scrubbed, own, wide, part)
        return scrubbed

    def _template(self, like: Tensor, parts: Sequence[Tensor]) -> Tensor:
        for operator, part in zip(self._row(), parts, strict=True):
            if isinstance(operator, KSame):
                chosen = nnf.interpolate(
                    operator.choose(part), like.shape[-2:], mode="bilinear", align_corners=False
                )
                return 2 * chosen - 1
        return torch.zeros_like(like)
