"""The loss of what a picture loses."""

from __future__ import annotations

from torch import Tensor

from deid.networks.similarity import structural_similarity

_BACKGROUND = 0.02


def fidelity_loss(before: Tensor, after: Tensor, strength: Tensor) -> Tensor:
    """What of the picture is lost, the more the lower the strength; zero for equal images.

    Mean absolute difference and dissimilarity of structure, both weighed by 1.2 - strength, and light that
    appears where the original is background.

    Args:
        before: `[image, 1, row, column]` in 0..1.
        after: The same images scrubbed.
        strength: `[image]`.

    Returns:
        A scalar.
    """
    pixels = (after - before).abs().mean((1, 2, 3))
    structure = 1 - structural_similarity(before, after)
    empty = (before < _BACKGROUND).to(before)
    spilt = ((after - before).relu() * empty).sum((1, 2, 3)) / empty.sum((1, 2, 3)).clamp_min(1)
    return ((1.2 - strength) * (pixels + 0.5 * structure) + spilt).mean()
