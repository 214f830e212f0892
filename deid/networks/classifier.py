"""The disease classifier: any timm backbone, one logit for each finding."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any, NamedTuple

import timm
from torch import Tensor, nn
from torch.nn import functional

from deid.core.errors import UsageError


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
        check_backbone(backbone)
        self.backbone, self.findings, self.size = backbone, tuple(findings), size
        self.mean, self.std = mean, std
        config = timm.get_pretrained_cfg(backbone)
        arguments: dict[str, Any] = {"in_chans": 1, "num_classes": 0}
        if config is not None and config.fixed_input_size:
            arguments["img_size"] = size
        self.encoder = timm.create_model(backbone, pretrained=False, **arguments)
        # several backbones widen their features after pooling
        name = "head_hidden_size" if hasattr(self.encoder, "head_hidden_size") else "num_features"
        self.dimension: int = getattr(self.encoder, name)
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


def check_backbone(name: str) -> None:
    """Refuse a name that is none of timm's; one with an address in it would be downloaded.

    Raises:
        UsageError: As above, with names that are near.
    """
    plain = name.replace("_", "").replace(".", "").isalnum()
    if plain and timm.is_model(name):
        return
    near = difflib.get_close_matches(name, timm.list_models(), 3)
    hint = f"did you mean {', '.join(near)}?" if near else "one of them is resnet18."
    raise UsageError(f"the backbone is not one of timm's (see timm.list_models()); {hint}")
