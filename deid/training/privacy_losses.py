"""What the anonymizer is trained to reach: genuine scores that nobody can tell from impostors' scores."""

from __future__ import annotations

import torch
from torch import Tensor

_LEAST_SPREAD = 1e-3


def indistinguishable(genuine: Tensor, impostors: Tensor) -> Tensor:
    """Energy distance of two samples of scores, in standard deviations of the impostors'.

    2 E|g - i| - E|g - g'| - E|i - i'| (Székely and Rizzo 2013): zero where both have one distribution,
    positive else, *on either side*: genuine scores pushed far below the impostors' tell as much as high ones,
    an attacker only has to turn his threshold round.

    Args:
        genuine: Scores of pairs of one patient, `[genuine]`, two or more.
        impostors: Scores of pairs of two patients of the same source, size and finding group, `[impostor]`.

    Returns:
        A scalar; it has gradients in both.
    """
    spread = impostors.detach().std().clamp_min(_LEAST_SPREAD)
    between = (genuine[:, None] - impostors[None]).abs().mean()
    return (2 * between - _within(genuine) - _within(impostors)) / spread


def _within(scores: Tensor) -> Tensor:
    """Mean distance of two different scores of one sample (without the zeros of each to itself: unbiased)."""
    count = len(scores)
    return (scores[:, None] - scores[None]).abs().sum() / (count * (count - 1))


def scores_between(references: Tensor, scrubbed: Tensor) -> tuple[Tensor, Tensor]:
    """Genuine and impostor cosines of a batch.

    Args:
        references: Embeddings of original images, `[patient, dimension]`.
        scrubbed: Embeddings of scrubbed images, another one of each patient, `[patient, dimension]`.

    Returns:
        Cosines of equal patients, `[patient]`, and of different ones, `[patient * (patient - 1)]`.
    """
    one = torch.nn.functional.normalize(references, dim=1)
    other = torch.nn.functional.normalize(scrubbed, dim=1)
    cosines = one @ other.T
    same = torch.eye(len(one), dtype=torch.bool, device=one.device)
    return cosines[same], cosines[~same]
