"""Networks that turn an image into a vector."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn

from deid.networks.backbones import timm_backbone
from deid.networks.preprocess import resize

# Mean and deviation of grey values in 0..1 over ImageNet.
GREY_MEAN, GREY_STD = 0.449, 0.226


class Embedder(Protocol):
    """What every re-identification network can do."""

    def embed(self, images: Tensor) -> Tensor:
        """Vectors of images; compare them by cosine.

        Differentiable with respect to the images.

        Args:
            images: `[image, 1, row, column]` float32 in 0..1, of any size.

        Returns:
            `[image, dimension]`, not normalised.
        """
        ...


class TimmEncoder(nn.Module):
    """Pooled features of any timm backbone, for one grey channel; the weights start at random.

    Args:
        backbone: A name of timm, such as ``"resnet18"``; nothing is downloaded.
        size: Side in pixels that images are resized to.
        dimension: Length of the embedding, by a linear layer after pooling; None keeps the backbone's own.

    Attributes:
        dimension: Length of the embedding.

    Raises:
        UsageError: timm has no such backbone.
    """

    def __init__(self, backbone: str = "resnet18", size: int = 224, dimension: int | None = None) -> None:
        super().__init__()
        self.size = size
        self.backbone, pooled = timm_backbone(backbone, size)
        self.dimension = dimension or pooled
        self.project = nn.Linear(pooled, dimension) if dimension else nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        """As `Embedder.embed`."""
        grey = (resize(images, self.size) - GREY_MEAN) / GREY_STD
        vectors: Tensor = self.project(self.backbone(grey))
        return vectors

    def embed(self, images: Tensor) -> Tensor:
        """As `Embedder.embed`."""
        vectors: Tensor = self(images)
        return vectors
