"""A narrow residual encoder that keeps where things are: a strong recogniser for little data and no GPU.

Global average pooling forgets positions; the large forms of a chest or a skull are positions. Here the last
map, 4 x 4, is flattened. Trained from scratch by contrast on two sources of chest X-rays it recognises better
than pooled encoders of ten times its size.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional as nnf


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions and a short cut (He et al. 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.short = (
            nn.Identity()
            if stride == 1 and inputs == outputs
            else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        )

    def forward(self, maps: Tensor) -> Tensor:
        """`[image, channel, row, column]` to the same at 1 / stride of the size."""
        return nnf.relu(self.inner(maps) + self.short(maps))


class CompactResNet(nn.Module):
    """Four residual stages, the last map flattened to an embedding.

    Args:
        size: Rows and columns of the input; a multiple of 16.
        width: Channels of the first stage; they double at each.
        dimension: Of the embedding.
        dropout: Share of the flattened map that is dropped in training.

    Raises:
        ValueError: The size is no multiple of 16.
    """

    def __init__(self, size: int = 64, width: int = 24, dimension: int = 128, dropout: float = 0.2) -> None:
        super().__init__()
        if size % 16:
            raise ValueError(f"the size, {size}, must be a multiple of 16")
        self.size, self.dimension = size, dimension
        widths = [width * 2**stage for stage in range(4)]
        self.stages = nn.Sequential(
            nn.Conv2d(1, width, 5, 2, 2, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            *(
                ResidualBlock(inputs, outputs, 1 if stage == 0 else 2)
                for stage, (inputs, outputs) in enumerate(zip([width, *widths], widths, strict=False))
            ),
        )
        self.embedding = nn.Sequential(
            nn.Flatten(), nn.Dropout(dropout), nn.Linear(widths[-1] * (size // 16) ** 2, dimension)
        )

    def embed(self, images: Tensor) -> Tensor:
        """Embeddings `[image, dimension]` of images `[image, 1, row, column]` in 0..1, of any size."""
        small = nnf.interpolate(
            images, (self.size, self.size), mode="bilinear", antialias=True, align_corners=False
        )
        return cast("Tensor", self.embedding(self.stages((small - 0.5) / 0.25)))

    def forward(self, images: Tensor) -> Tensor:
        """The same as `embed`."""
        return self.embed(images)
