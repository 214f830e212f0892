"""The disease classifier: any timm backbone, one logit for each finding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional

from deid.core.errors import UsageError
from deid.networks.backbones import timm_backbone


class Diagnosis(NamedTuple):
    """What the classifier says.

    Attributes:
        features: Pooled features before the last layer, `[image, dimension]`.
        logits: `[image, finding]`; the sigmoid of one is the network's belief in that finding.
    """

    features: Tensor
    logits: Tensor


class Classifier(nn.Module):
    """Findings of an image, each on its own: several, one or none may be present.

    Differentiable with respect to the images. The weights start at random: nothing is downloaded.

    Args:
        backbone: A name of timm, such as ``"resnet18"``.
        findings: What the logits stand for, in their order.
        size: Side in pixels that images are resized to.
        drop_rate: Dropout before the last layer, 0..1, in training.
        mean: Taken from the images, which lie in 0..1.
        std: What the rest is divided by.

    Raises:
        UsageError: timm has no such backbone, or no finding is named.
    """

    def __init__(
        self,
        backbone: str,
        findings: Sequence[str],
        size: int,
        drop_rate: float = 0.0,
        mean: float = 0.5,
        std: float = 0.25,
    ) -> None:
        super().__init__()
        if not findings or len(set(findings)) < len(findings):
            raise UsageError("a classifier needs the names of its findings, each once.")
        self.backbone, self.findings, self.size = backbone, tuple(findings), size
        self.mean, self.std = mean, std
        self.encoder, self.dimension = timm_backbone(backbone, size)
        self.dropout = nn.Dropout(drop_rate)
        self.head = nn.Linear(self.dimension, len(self.findings))

    def forward(self, images: Tensor) -> Diagnosis:
        """Findings of images `[image, 1, row, column]` in 0..1 of any size."""
        if images.shape[2:] != (self.size, self.size):
            images = functional.interpolate(images, (self.size, self.size), mode="bilinear", antialias=True)
        features = self.encoder((images - self.mean) / self.std)
        return Diagnosis(features, self.head(self.dropout(features)))

    def embed(self, images: Tensor) -> Tensor:
        """The features alone, `[image, dimension]`, for use as a teacher."""
        return self(images).features  # type: ignore[no-any-return]
