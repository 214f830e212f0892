"""Low-rank changes to a block's weights: static factors plus factors predicted from a context.

A changed map computes ``W x + up^T (down x)``, where `down` and `up` have `rank` rows each. Either is the sum
of a static factor, alike for all images, and one that a grouped MLP predicts for every frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from deid.networks.mami.config import LEAK

# In the checkpoint, factor "a" of q, k and v lies next to the input, but that of c_fc next to the output.
DOWN_UP = {"q": "ab", "k": "ab", "v": "ab", "c_fc": "ba"}


class Factors(NamedTuple):
    """The change of one map.

    Attributes:
        down: `[frame, rank, input channel]`.
        up: `[frame, rank, output channel]`.
    """

    down: Tensor
    up: Tensor


def add_low_rank(output: Tensor, tokens: Tensor, factors: Factors | None) -> Tensor:
    """`output` plus the change, `[frame, token, channel]`; may reuse `output`. None changes nothing."""
    if factors is None:
        return output
    inner = tokens @ factors.down.transpose(1, 2)
    if torch.is_grad_enabled() or not output.dtype == inner.dtype == factors.up.dtype:
        return torch.baddbmm(output, inner, factors.up)
    for frame in range(len(output)):  # in place: half the time, as no new memory is taken
        output[frame].addmm_(inner[frame], factors.up[frame])
    return output


class GroupedLinear(nn.Module):
    """A linear map of each group of channels on its own.

    Args:
        groups: Groups that inputs and outputs are cut into, in order.
        given: Inputs of one group.
        made: Outputs of one group.
    """

    def __init__(self, groups: int, given: int, made: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(groups, given, made))
        self.bias = nn.Parameter(torch.empty(groups, made))

    def forward(self, values: Tensor) -> Tensor:
        """`[frame, groups x given]` to `[frame, groups x made]`."""
        if len(self.weight) == 1:
            return torch.addmm(self.bias, values, self.weight[0])
        grouped = torch.unflatten(values, 1, (len(self.weight), -1)).transpose(0, 1)
        return torch.baddbmm(self.bias[:, None], grouped, self.weight).transpose(0, 1).flatten(1)


class FactorMlp(nn.Module):
    """Predicts one factor from the context: two plain layers, then one in groups.

    Args:
        width: Channels of the context.
        rank: Rows of the factor.
        columns: Columns of the factor.
        groups: Groups of the last layer.
    """

    def __init__(self, width: int, rank: int, columns: int, groups: int) -> None:
        super().__init__()
        self.rank = rank
        self.l11 = GroupedLinear(1, width, width // 2)
        self.l21 = GroupedLinear(1, width // 2, width // 4)
        self.l31 = GroupedLinear(groups, width // 4 // groups, rank * columns // groups)

    def forward(self, context: Tensor) -> Tensor:
        """Context `[frame, channel]` to factor `[frame, rank, column]`."""
        hidden = functional.leaky_relu(self.l11(context), LEAK)
        hidden = functional.leaky_relu(self.l21(hidden), LEAK)
        return torch.unflatten(self.l31(hidden), 1, (self.rank, -1))


class LowRankHost(nn.Module):
    """What a block inherits to own low-rank factors under the checkpoint's flat names.

    While every factor is zero, as in the published checkpoint, the arithmetic is skipped; not in training,
    which expects gradients.

    Args:
        width: Channels of the block.
        rank: Rank, or -1 for no factors at all.
    """

    def __init__(self, width: int, rank: int) -> None:
        super().__init__()
        self.targets = tuple(DOWN_UP) if rank > 0 else ()
        for target in self.targets:
            made = 4 * width if target == "c_fc" else width
            groups = 2 * rank if target == "c_fc" else rank
            for letter, columns in zip(DOWN_UP[target], (width, made), strict=True):
                self.register_parameter(
                    f"linear_{letter}_{target}_static", nn.Parameter(torch.empty(1, rank, columns))
                )
                self.add_module(f"lora_mlp_{target}_{letter}", FactorMlp(width, rank, columns, groups))

    def factors(self, context: Tensor) -> dict[str, Factors]:
        """The change of each map for contexts `[frame, channel]`; empty where nothing would change."""
        if self._nothing_to_add():
            return {}
        return {
            target: Factors(*(self._factor(target, letter, context) for letter in DOWN_UP[target]))
            for target in self.targets
        }

    def _factor(self, target: str, letter: str, context: Tensor) -> Tensor:
        static: Tensor = getattr(self, f"linear_{letter}_{target}_static")
        predicted: Tensor = getattr(self, f"lora_mlp_{target}_{letter}")(context)
        return static + predicted

    def _nothing_to_add(self) -> bool:
        if self.training and torch.is_grad_enabled():
            return False
        # Looked at every time: a tensor's version does not tell, as fused optimizers leave it as it was.
        return all(_is_zero(end) for end in self._ends())

    def _ends(self) -> Iterator[Tensor]:
        """The tensors that are all zero exactly when every factor is."""
        for target in self.targets:
            for letter in "ab":
                yield getattr(self, f"linear_{letter}_{target}_static")
                yield from getattr(self, f"lora_mlp_{target}_{letter}").l31.parameters()


def dead_low_rank(state: Mapping[str, Tensor]) -> list[str]:
    """Low-rank pairs that are zero on both sides, which no gradient ever reaches.

    Args:
        state: State dict of a `MaMI` network.

    Returns:
        Names such as ``"transformer.resblocks.0.q"``, in the order of the state dict; empty where all live
        or none is.
    """
    dead = []
    for key in state:
        block, mark, rest = key.partition("linear_a_")
        target = rest.removesuffix("_static")
        if not mark or target not in DOWN_UP:
            continue
        ends = [
            state[name]
            for letter in "ab"
            for name in (
                f"{block}linear_{letter}_{target}_static",
                f"{block}lora_mlp_{target}_{letter}.l31.weight",
                f"{block}lora_mlp_{target}_{letter}.l31.bias",
            )
        ]
        if all(_is_zero(end) for end in ends):
            dead.append(block + target)
    return dead


def _is_zero(tensor: Tensor) -> bool:
    # ten times as fast as any(); NaN is not zero here either
    return not bool(torch.stack(tensor.aminmax()).any())
