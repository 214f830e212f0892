"""A start from the data: embeddings that differ from one another before the first step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


@torch.no_grad()
def spread_embeddings(network: nn.Module, images: Tensor) -> None:
    """Give the last linear layer the scale and offset by which embeddings have mean 0 and deviation 1.

    Medical images are much alike, and a network with random weights gives all nearly one embedding (cosine
    0.98 on chest X-rays), which losses on cosines are slow to leave. After Mishkin and Matas 2016; nothing of
    the network's shape changes. Networks whose embedding is not made by a linear layer are left as they are.

    Args:
        network: An `Embedder` with new weights; run in training mode, as batches of the training will be.
        images: Some of the training images, two at least, `[image, 1, row, column]`.
    """
    calls: list[tuple[nn.Linear, Tensor]] = []

    def note(layer: nn.Module, _: Any, made: Tensor) -> None:
        assert isinstance(layer, nn.Linear)
        calls.append((layer, made))

    hooks = [m.register_forward_hook(note) for m in network.modules() if isinstance(m, nn.Linear)]
    embeddings: Tensor = network.train().embed(images)  # type: ignore[operator]
    for hook in hooks:
        hook.remove()
    if not calls or not torch.equal(calls[-1][1], embeddings):
        return
    last, mean = calls[-1][0], embeddings.mean(dim=0)
    deviation = embeddings.std(dim=0).clamp_min(1e-6)
    last.weight /= deviation[:, None]
    if last.bias is not None:
        last.bias.copy_((last.bias - mean) / deviation)
