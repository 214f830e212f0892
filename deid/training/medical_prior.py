"""MaMI's medical priors: look where medicine looks, and see changes between images as a medical network does.

Key-structure selection pools the patch map with a few query tokens made from the modality context. Structural
residual alignment asks that the *difference* of two images, so pooled, matches the difference of the same two
in a frozen teacher, better than it matches the differences of other pairs of the batch (arXiv 2503.08173).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class KeyStructures(nn.Module):
    """Query tokens, made from the modality context, attend over the patch map.

    Args:
        width: Channels of context and patch map.
        queries: Query tokens, that is, structures looked for.
    """

    def __init__(self, width: int, queries: int = 4) -> None:
        super().__init__()
        self.queries = queries
        self.token_maker = nn.Sequential(
            nn.Linear(width, width),
            nn.GELU(),
            nn.Linear(width, width),
            nn.GELU(),
            nn.Linear(width, queries * width),
        )
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)

    def forward(self, context: Tensor, patch_map: Tensor) -> Tensor:
        """Pooled features of each image.

        Args:
            context: `[image, channel]`.
            patch_map: `[image, channel, row, column]`.

        Returns:
            `[image, query x channel]`.
        """
        tokens = self.token_maker(context).unflatten(1, (self.queries, -1))
        patches = patch_map.flatten(2).transpose(1, 2)
        pooled = functional.scaled_dot_product_attention(tokens, self.key(patches), self.value(patches))
        return pooled.flatten(1)


class MedicalPrior(nn.Module):
    """Key structures of a student, and their alignment with a frozen teacher's features.

    Args:
        width: Channels of the student's context and patch map.
        teacher_dimension: Length of the teacher's feature vector.
        queries: See `KeyStructures`.
        temperature: Of the contrastive loss.
    """

    def __init__(
        self, width: int, teacher_dimension: int, queries: int = 4, temperature: float = 0.1
    ) -> None:
        super().__init__()
        self.structures = KeyStructures(width, queries)
        # no bias: it would cancel in a difference
        self.project = nn.Linear(queries * width, teacher_dimension, bias=False)
        self.temperature = temperature

    def forward(self, context: Tensor, patch_map: Tensor, teacher: Tensor) -> Tensor:
        """The alignment loss of a batch.

        Args:
            context: Modality context of the student, `[image, channel]`.
            patch_map: Of the student, `[image, channel, row, column]`.
            teacher: Features of the same images in the teacher, `[image, dimension]`; they get no gradient.
        """
        student = self.project(self.structures(context, patch_map))
        return residual_alignment(student, teacher.detach(), self.temperature)


def residual_alignment(student: Tensor, teacher: Tensor, temperature: float = 0.1) -> Tensor:
    """InfoNCE between differences in the student and the same differences in the teacher.

    Differences are those of each image to the next one of the batch (cyclic): in a batch of K images per
    patient, K - 1 of K show one patient at two times, the others two patients.

    Args:
        student: `[image, dimension]`.
        teacher: `[image, dimension]`.
        temperature: Cosines are divided by it.

    Returns:
        A scalar: log(images) for a student that knows nothing, near zero for one whose differences each point
        where the teacher's do.
    """
    ours, theirs = (functional.normalize(both - both.roll(-1, dims=0), dim=1) for both in (student, teacher))
    logits = ours @ theirs.T / temperature
    target = torch.arange(len(logits), device=logits.device)
    return (functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)) / 2
