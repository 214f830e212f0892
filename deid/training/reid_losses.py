"""Losses by which a network learns to tell patients apart.

Everywhere `groups` names what may be compared (one source, size and finding group): images of different
groups are never impostors of one another, since telling hospitals or diseases apart recognises no patient.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Distance = Literal["cosine", "euclidean"]


class IdentityHead(nn.Module):
    """Scores of the training identities: the cosine to one learned direction each, times a scale.

    Cosines, as embeddings are compared by cosine later; batch normalisation before them keeps the identity
    loss and the triplet loss from pulling at the same vector (Luo et al. 2019, "bag of tricks").

    Args:
        dimension: Of the embeddings.
        members: Which identities have images in which group, bool `[group, identity]`; an image is
            compared with the identities of its group only.
        scale: What cosines are multiplied by.
    """

    members: Tensor

    def __init__(self, dimension: int, members: Tensor, scale: float = 16.0) -> None:
        super().__init__()
        self.normalisation = nn.BatchNorm1d(dimension)
        self.directions = nn.Parameter(torch.randn(members.shape[1], dimension) / dimension**0.5)
        self.register_buffer("members", members, persistent=False)
        self.scale = scale

    def forward(self, embeddings: Tensor) -> Tensor:
        """Scores `[image, identity]` of embeddings `[image, dimension]`."""
        unit = functional.normalize(self.normalisation(embeddings), dim=1)
        return self.scale * functional.linear(unit, functional.normalize(self.directions, dim=1))

    def loss(self, embeddings: Tensor, identities: Tensor, groups: Tensor, smoothing: float = 0.0) -> Tensor:
        """Cross-entropy among the identities of each image's own group.

        Args:
            embeddings: `[image, dimension]`.
            identities: `[image]`; images with a negative number are left out.
            groups: `[image]`.
            smoothing: Share of the target spread over the group's identities.
        """
        known = identities >= 0
        if not known.any():
            return embeddings.sum() * 0
        scores, targets = self(embeddings)[known], identities[known]
        rivals = self.members[groups[known]]
        logs = functional.log_softmax(scores.masked_fill(~rivals, -torch.inf), dim=1)
        target = -logs.gather(1, targets[:, None])[:, 0]
        spread = -(logs.masked_fill(~rivals, 0).sum(dim=1) / rivals.sum(dim=1))
        return ((1 - smoothing) * target + smoothing * spread).mean()


def batch_hard_triplet(
    embeddings: Tensor,
    identities: Tensor,
    groups: Tensor | None = None,
    distance: Distance = "cosine",
    scale: float = 10.0,
) -> Tensor:
    """Soft-margin triplet loss on each image's hardest genuine and impostor (Hermans et al. 2017).

    The mean of log(1 + exp(scale x (distance to the farthest genuine - distance to the nearest impostor))).

    Args:
        embeddings: `[image, dimension]`, of any length.
        identities: `[image]`.
        groups: `[image]`; by default all may be compared.
        distance: "cosine", 1 - cosine in 0..2, as embeddings are compared; or "euclidean", as published.
        scale: Distances are multiplied by it; 1 with the euclidean distance is the published loss.

    Returns:
        A scalar; zero (with gradients) where no image has both a genuine and an impostor partner.
    """
    distances = pairwise_distances(embeddings, distance)
    genuine, impostor = comparable_pairs(identities, groups)
    usable = genuine.any(dim=1) & impostor.any(dim=1)
    if not usable.any():
        return embeddings.sum() * 0
    farthest = distances.masked_fill(~genuine, -torch.inf).amax(dim=1)[usable]
    nearest = distances.masked_fill(~impostor, torch.inf).amin(dim=1)[usable]
    return functional.softplus(scale * (farthest - nearest)).mean()


def supervised_contrast(
    embeddings: Tensor, identities: Tensor, groups: Tensor | None = None, temperature: float = 0.1
) -> Tensor:
    """Each image must find its genuine partners among all comparable images of the batch.

    Khosla et al. 2020; with two views of each image as one identity it is NT-Xent (Chen et al. 2020).

    Args:
        embeddings: `[image, dimension]`, of any length; compared by cosine.
        identities: `[image]`.
        groups: `[image]`; by default all may be compared.
        temperature: Cosines are divided by it.

    Returns:
        A scalar; zero (with gradients) where no image has a genuine partner.
    """
    unit = functional.normalize(embeddings, dim=1)
    genuine, impostor = comparable_pairs(identities, groups)
    usable = genuine.any(dim=1)
    if not usable.any():
        return embeddings.sum() * 0
    logits = (unit @ unit.T / temperature).masked_fill(~(genuine | impostor), -torch.inf)[usable]
    logs = (logits - logits.logsumexp(dim=1, keepdim=True)).masked_fill(~genuine[usable], 0)
    return -(logs.sum(dim=1) / genuine[usable].sum(dim=1)).mean()


def verification_loss(logits: Tensor, genuine: Tensor) -> Tensor:
    """Binary cross-entropy of a pair verifier, genuine and impostor pairs weighing one half each.

    Packhaeuser et al. 2022 balance the pairs that they draw; here a batch's pairs are all used, and weighted.

    Args:
        logits: `[pair]`, higher for the same patient.
        genuine: `[pair]` bool.
    """
    terms = functional.binary_cross_entropy_with_logits(logits, genuine.to(logits), reduction="none")
    halves = [terms[chosen].mean() for chosen in (genuine, ~genuine) if chosen.any()]
    return torch.stack(halves).mean()


def pairwise_distances(embeddings: Tensor, distance: Distance) -> Tensor:
    """Distances `[image, image]` of all embeddings; gradients stay finite where two are equal."""
    if distance == "cosine":
        unit = functional.normalize(embeddings, dim=1)
        return 1 - unit @ unit.T
    squares = embeddings.square().sum(dim=1)
    squared = squares[:, None] + squares[None] - 2 * embeddings @ embeddings.T
    return squared.clamp_min(1e-12).sqrt()


def comparable_pairs(identities: Tensor, groups: Tensor | None) -> tuple[Tensor, Tensor]:
    """Which pairs of a batch are genuine and which are impostors of one group, each bool `[image, image]`."""
    same = identities[:, None] == identities[None]
    itself = torch.eye(len(identities), dtype=torch.bool, device=identities.device)
    fair = torch.ones_like(same) if groups is None else groups[:, None] == groups[None]
    return same & ~itself, ~same & fair
