"""The siamese network with which Packhäuser et al. re-identified patients in chest X-rays (Sci Rep 2022)."""

from __future__ import annotations

from torch import Tensor, nn

from deid.networks.encoder import TimmEncoder


class SiameseResNet(nn.Module):
    """One trunk for both images; the difference of their vectors says whether they show one patient.

    Satisfies `deid.networks.encoder.Embedder`. The paper's own is ``backbone="resnet50", size=256``.

    Args:
        backbone: A name of timm.
        size: Side in pixels that images are resized to.
        dimension: Length of the embedding.

    Raises:
        UsageError: timm has no such backbone.
    """

    def __init__(self, backbone: str = "resnet18", size: int = 112, dimension: int = 128) -> None:
        super().__init__()
        self.trunk = TimmEncoder(backbone, size, dimension)
        self.verify = nn.Linear(dimension, 1)

    def embed(self, images: Tensor) -> Tensor:
        """As `Embedder.embed`."""
        vectors: Tensor = self.trunk(images)
        return vectors

    def verification_logit(self, first: Tensor, second: Tensor) -> Tensor:
        """Belief that two embeddings `[pair, dimension]` are one patient's, `[pair]`, before the sigmoid."""
        logit: Tensor = self.verify((first.sigmoid() - second.sigmoid()).abs())
        return logit.squeeze(1)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """`verification_logit` of images `[pair, 1, row, column]` in 0..1 of any size."""
        return self.verification_logit(self.embed(first), self.embed(second))
