"""MaMI: one network that recognises a patient in images of any modality (arXiv 2503.08173)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from deid.networks.mami.adapter import TemporalAdapter
from deid.networks.mami.config import MaMIConfig
from deid.networks.mami.context import mix, patch_bias, spatial_transform, two_layers
from deid.networks.mami.lowrank import LowRankHost
from deid.networks.mami.start import initialise, start_head
from deid.networks.mami.vit import Attention, Mlp, convolution_stem
from deid.networks.preprocess import normalise, resize


class View(NamedTuple):
    """All that the network says of a batch.

    Attributes:
        embedding: `[image, dimension]`, not normalised; compare by cosine.
        patch_map: Mean over frames of the last block's patches, `[image, channel, row, column]`.
        token: The modality context, mean over frames, `[image, channel]`.
    """

    embedding: Tensor
    patch_map: Tensor
    token: Tensor


class Block(LowRankHost):
    """Temporal adapter on the patches, then attention and MLP on all tokens, each added to what came in.

    Args:
        config: The network's shape.
    """

    def __init__(self, config: MaMIConfig) -> None:
        super().__init__(config.width, config.rank)
        self.adapter_pre_attn = TemporalAdapter(config.width, config.adapter)
        self.ln_1 = nn.LayerNorm(config.width)
        self.attn = Attention(config.width, config.heads)
        self.ln_2 = nn.LayerNorm(config.width)
        self.mlp = Mlp(config.width)

    def forward(self, tokens: Tensor, context: Tensor, frames: int) -> Tensor:
        """Tokens `[image x frame, 1 + patch, channel]`, context `[image x frame, channel]`."""
        factors = self.factors(context)
        patches = tokens[:, 1:]
        tokens = torch.cat([tokens[:, :1], patches + self.adapter_pre_attn(patches, frames)], 1)
        tokens = tokens + self.attn(self.ln_1(tokens), factors)
        tokens = tokens + self.mlp(self.ln_2(tokens), factors)
        return tokens


class Transformer(nn.Module):
    """The blocks, one after the other.

    Args:
        config: The network's shape.
    """

    def __init__(self, config: MaMIConfig) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(Block(config) for _ in range(config.depth))

    def forward(self, tokens: Tensor, context: Tensor, frames: int) -> Tensor:
        """As `Block`."""
        for block in self.resblocks:
            tokens = block(tokens, context, frames)
        return tokens


class MaMI(nn.Module):
    """Modality-adaptive re-identification network; satisfies `deid.networks.encoder.Embedder`.

    Names of modules are those of the published checkpoint, and its weights fit (`MaMI.published`).

    Args:
        **arguments: Fields of `MaMIConfig`; those left out are the published ones.

    Attributes:
        config: The network's shape.

    Raises:
        UsageError: The numbers do not fit each other.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__()
        self.config = config = MaMIConfig(**arguments)
        width = config.width
        self.knowledge_pool = nn.Parameter(torch.empty(1, config.gates, width // config.gates))
        self.class_embedding = nn.Parameter(torch.empty(width))
        self.positional_embedding = nn.Parameter(torch.empty(1 + config.grid**2, width))
        self.conv1: nn.Module = (
            nn.Conv2d(3, width, config.patch, config.patch, bias=False)
            if config.stem == "patch"
            else convolution_stem(width, config.patch)
        )
        self.router_spatial_transform = spatial_transform(width)
        self.router_MLP = two_layers(width, config.gates)
        if config.low_rank:
            self.ft_comp_MLP = patch_bias(width)
        self.ln_pre = nn.LayerNorm(width)
        self.transformer = Transformer(config)
        self.last_mlp = two_layers(width, config.dimension)
        self._start()

    @classmethod
    def published(cls, rank: int = 16) -> Self:
        """The published ViT-B/16, with random weights; rank -1 is the published variant without low rank."""
        return cls(rank=rank)

    @classmethod
    def small(cls, **arguments: Any) -> Self:
        """A network of a few million weights for 112-pixel images; `arguments` change its numbers."""
        shape = {
            "size": 112,
            "width": 192,
            "depth": 6,
            "heads": 3,
            "gates": 8,
            "rank": 4,
            "adapter": 96,
            "dimension": 192,
        }
        return cls(**{**shape, **arguments})

    def arguments(self) -> dict[str, int | str]:
        """What to give the constructor for a network of this shape; fit for JSON."""
        return asdict(self.config)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Embedding and patch map.

        Args:
            images: `[image, 3, frame, row, column]`, normalised (`deid.networks.preprocess`).

        Returns:
            See `View`.
        """
        view = self.view(images)
        return view.embedding, view.patch_map

    def modality_token(self, images: Tensor) -> Tensor:
        """The modality context of images as in `forward`, `[image, channel]`."""
        return self._over_frames(self._context(self._summary(self._patches(images))), images)

    def embed(self, images: Tensor) -> Tensor:
        """Embeddings `[image, dimension]` of grey images `[image, 1, row, column]` in 0..1 of any size."""
        return self.view(self.prepare(images)).embedding

    def prepare(self, images: Tensor) -> Tensor:
        """What `forward` expects, made of grey images `[image, 1, row, column]` in 0..1; one frame each."""
        return normalise(resize(images, self.config.size)).unsqueeze(2)

    def view(self, images: Tensor) -> View:
        """Embedding, patch map and modality token in one pass; `images` as in `forward`."""
        patches = self._patches(images)
        summary = self._summary(patches)
        context = self._context(summary)
        tokens = patches.flatten(2).transpose(1, 2)
        if self.config.low_rank:
            tokens = tokens + self.ft_comp_MLP(summary).unsqueeze(1)
        first = self.class_embedding.expand(len(tokens), 1, -1)
        tokens = self.ln_pre(torch.cat([first, tokens], 1) + self.positional_embedding)
        tokens = self.transformer(tokens, context, images.shape[2])
        last = self._over_frames(tokens[:, 1:], images)
        patch_map = torch.unflatten(last.transpose(1, 2), 2, (self.config.grid, self.config.grid))
        return View(self.last_mlp(last.mean(1)), patch_map, self._over_frames(context, images))

    def _patches(self, images: Tensor) -> Tensor:
        """`[image, 3, frame, row, column]` to `[image x frame, channel, row, column]`."""
        side = self.config.size
        if images.dim() != 5 or images.shape[1] != 3 or images.shape[3:] != (side, side):
            raise ValueError(
                f"MaMI takes [image, 3, frame, {side}, {side}], not {list(images.shape)}; see MaMI.prepare."
            )
        patches: Tensor = self.conv1(images.transpose(1, 2).flatten(0, 1))
        return patches

    def _summary(self, patches: Tensor) -> Tensor:
        transformed: Tensor = self.router_spatial_transform(patches)
        return transformed.mean((2, 3))

    def _context(self, summary: Tensor) -> Tensor:
        return mix(self.knowledge_pool, self.router_MLP(summary))

    def _over_frames(self, values: Tensor, images: Tensor) -> Tensor:
        return torch.unflatten(values, 0, (-1, images.shape[2])).mean(1)

    def _start(self) -> None:
        initialise(self)
        start_head(self.router_MLP)
        start_head(self.last_mlp)
        # Routing lies between even (each gate 1/gates) and decided (one gate 1): unit contexts midway.
        nn.init.normal_(self.knowledge_pool, std=self.config.gates**0.5)
        nn.init.normal_(self.class_embedding, std=0.02)
        nn.init.trunc_normal_(self.positional_embedding, std=0.02)
