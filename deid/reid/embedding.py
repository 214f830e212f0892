"""Embedding many images with one network, in batches of bounded memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional


def embed_images(
    network: nn.Module,
    images: NDArray[np.unsignedinteger] | NDArray[np.floating],
    batch: int = 64,
    device: str | torch.device = "cpu",
    normalise: bool = True,
) -> NDArray[np.float32]:
    """Embeddings of single-channel images.

    Args:
        network: A network with `embed(images[image, 1, row, column]) -> [image, dimension]`
            (`deid.networks.encoder.Embedder`); it is left in the mode it came in.
        images: `[image, row, column]`, floating 0..1, or unsigned whole numbers of which the full
            range is 0..1; a memory map is read batch by batch.
        batch: Images in memory at once.
        device: Where the network runs; the network is moved there.
        normalise: Give every embedding the length 1, so that a dot product is the cosine.

    Returns:
        float32 `[image, dimension]`.

    Raises:
        ValueError: There is no image, or they are not `[image, row, column]`.
    """
    if images.ndim != 3 or not len(images):
        raise ValueError("images are one array [image, row, column] with at least one image")
    was_training = network.training
    network.to(device).eval()
    try:
        with torch.inference_mode():
            parts = [_embed(network, images[at : at + batch], device) for at in range(0, len(images), batch)]
    finally:
        network.train(was_training)
    embeddings = torch.cat(parts)
    return (functional.normalize(embeddings, dim=1) if normalise else embeddings).numpy()


def _embed(network: nn.Module, images: NDArray[Any], device: str | torch.device) -> torch.Tensor:
    scale = np.iinfo(images.dtype).max if images.dtype.kind == "u" else 1
    units = torch.from_numpy(images.astype(np.float32) / np.float32(scale))
    embeddings: torch.Tensor = network.embed(units[:, None].to(device))  # type: ignore[operator]
    return embeddings.float().cpu()
