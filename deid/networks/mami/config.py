"""The shape of a MaMI network."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from deid.core.errors import UsageError

LEAK = 0.1  # of every leaky ReLU in the network
NO_LOW_RANK = -1


@dataclass(frozen=True)
class MaMIConfig:
    """Numbers that a MaMI network is built from; the defaults are the published ViT-B/16.

    Attributes:
        size: Rows and columns of the input.
        patch: Rows and columns of one patch; divides `size`.
        width: Channels of a token.
        depth: Blocks.
        heads: Attention heads; divides `width`.
        gates: Chunks of the knowledge pool that the router weighs; divides `width`.
        rank: Of the low-rank changes to q, k, v and the first MLP layer; -1 for none. Twice the rank divides
            a quarter of `width`.
        adapter: Channels of the temporal adapter.
        dimension: Length of the embedding.
        stem: How pixels become patches: one linear map (`"patch"`, as published) or a few small
            convolutions (`"convolution"`), which learn from fewer images (arXiv 2106.14881).

    Raises:
        UsageError: The numbers do not fit each other.
    """

    size: int = 224
    patch: int = 16
    width: int = 768
    depth: int = 12
    heads: int = 12
    gates: int = 16
    rank: int = 16
    adapter: int = 384
    dimension: int = 768
    stem: Literal["patch", "convolution"] = "patch"

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            off = field.name == "rank" and value == NO_LOW_RANK
            if field.name != "stem" and not off and (type(value) is not int or value < 1):
                raise UsageError(f"MaMI's {field.name} must be a whole number of 1 or more.")
        if self.stem not in ("patch", "convolution"):
            raise UsageError("MaMI's stem is 'patch' or 'convolution'.")
        for whole, part in (("size", "patch"), ("width", "heads"), ("width", "gates")):
            if getattr(self, whole) % getattr(self, part):
                given = f"{getattr(self, whole)} and {getattr(self, part)}"
                raise UsageError(f"MaMI's {whole} must be a multiple of its {part}; given are {given}.")
        if self.width % 8 or (self.low_rank and self.width % (8 * self.rank)):
            raise UsageError(
                f"MaMI's width must be a multiple of 8, and of 8 times the rank; given are {self.width} and "
                f"{self.rank}. Choose a rank that divides {self.width // 8}, or -1 for none."
            )

    @property
    def low_rank(self) -> bool:
        """Whether the context changes the weights of the blocks."""
        return self.rank != NO_LOW_RANK

    @property
    def grid(self) -> int:
        """Patches along one side."""
        return self.size // self.patch
