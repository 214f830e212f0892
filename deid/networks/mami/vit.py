"""The vision transformer under MaMI: attention, MLP and stem, named as in the published checkpoint."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from deid.networks.mami.lowrank import Factors, add_low_rank

QUICK = 1.702


class Attention(nn.Module):
    """Self-attention over the tokens of one frame, with a low-rank change to its three input maps.

    Args:
        width: Channels.
        heads: Heads; divides `width`.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.empty(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor, factors: dict[str, Factors]) -> Tensor:
        """Tokens `[frame, token, channel]` and the factors of `q`, `k` and `v`, which may be left out."""
        joint = functional.linear(tokens, self.in_proj_weight, self.in_proj_bias)
        queries, keys, values = (
            torch.unflatten(add_low_rank(part, tokens, factors.get(name)), -1, (self.heads, -1)).transpose(
                1, 2
            )
            for name, part in zip("qkv", joint.chunk(3, dim=-1), strict=True)
        )
        mixed = functional.scaled_dot_product_attention(queries, keys, values)
        attended: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return attended


class Mlp(nn.Module):
    """Two layers with CLIP's QuickGELU between them, and a low-rank change to the first.

    Args:
        width: Channels; the hidden layer has four times as many.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.c_fc = nn.Linear(width, 4 * width)
        self.c_proj = nn.Linear(4 * width, width)

    def forward(self, tokens: Tensor, factors: dict[str, Factors]) -> Tensor:
        """Tokens `[frame, token, channel]` and the factors of `c_fc`, which may be left out."""
        hidden = add_low_rank(self.c_fc(tokens), tokens, factors.get("c_fc"))
        # QuickGELU, x sigmoid(1.702 x), is silu(1.702 x) / 1.702; with the division in the matrix product it
        # passes over the widest tensor twice, which saves a twentieth of a block's time.
        active = functional.silu(QUICK * hidden, inplace=True).flatten(0, 1)
        change = torch.addmm(self.c_proj.bias, active, self.c_proj.weight.t(), alpha=1 / QUICK)
        return change.view_as(tokens)


def convolution_stem(width: int, patch: int) -> nn.Sequential:
    """Small convolutions that halve the image while the patch is even, then one for what is left of it.

    Args:
        width: Channels of a patch.
        patch: Rows and columns of one patch.
    """
    halvings = (patch & -patch).bit_length() - 1
    layers: list[nn.Module] = []
    given = 3
    for left in range(halvings, 0, -1):
        made = max(8, width >> left)
        layers += [nn.Conv2d(given, made, 3, 2, 1, bias=False), nn.GroupNorm(1, made), nn.ReLU()]
        given = made
    rest = patch >> halvings
    return nn.Sequential(*layers, nn.Conv2d(given, width, rest, rest))
