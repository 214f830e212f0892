"""Networks that turn an image into a vector."""

from __future__ import annotations

from typing import Any, Protocol

import timm
from torch import Tensor, nn

from deid.networks.classifier import check_backbone
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
        check_backbone(backbone)
        self.size = size
        config = timm.get_pretrained_cfg(backbone)
        arguments: dict[str, Any] = {"in_chans": 1, "num_classes": 0}
        if config is not None and config.fixed_input_size:
            arguments["img_size"] = size
        self.backbone = timm.create_model(backbone, pretrained=False, **arguments)
        # several backbones widen their features after pooling
        name = "head_hidden_size" if hasattr(self.backbone, "head_hidden_size") else "num_features"
        pooled: int = getattr(self.backbone, name)
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
