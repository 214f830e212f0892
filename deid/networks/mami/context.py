"""ComPA: what modality an image is of, as a mixture of learned chunks."""

from __future__ import annotations

from torch import Tensor, nn

from deid.networks.mami.config import LEAK


def spatial_transform(width: int) -> nn.Sequential:
    """Two maps of each patch on its own, `[frame, channel, row, column]` to the same shape."""
    return nn.Sequential(nn.Conv2d(width, width, 1), nn.LeakyReLU(LEAK), nn.Conv2d(width, width, 1))


def two_layers(width: int, made: int) -> nn.Sequential:
    """The router (`made` gates) and the embedding's head (`made` dimensions)."""
    return nn.Sequential(nn.Linear(width, width), nn.LeakyReLU(LEAK), nn.Linear(width, made))


def patch_bias(width: int) -> nn.Sequential:
    """From the summary of a frame to what is added to each of its patches."""
    return nn.Sequential(
        nn.LeakyReLU(LEAK), nn.Linear(width, width), nn.LeakyReLU(LEAK), nn.Linear(width, width)
    )


def mix(pool: Tensor, gate_logits: Tensor) -> Tensor:
    """The modality context: each chunk of the pool, scaled by the softmax of its gate.

    Args:
        pool: `[1, gate, channel of a chunk]`.
        gate_logits: `[frame, gate]`.

    Returns:
        `[frame, gate x channel of a chunk]`.
    """
    return (gate_logits.softmax(-1).unsqueeze(-1) * pool).flatten(1)
