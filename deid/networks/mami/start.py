"""Weights that training from scratch starts with."""

from __future__ import annotations

import math

from torch import nn
from torch.nn import init

from deid.networks.mami.adapter import TemporalAdapter
from deid.networks.mami.config import LEAK
from deid.networks.mami.lowrank import DOWN_UP, FactorMlp, GroupedLinear, LowRankHost
from deid.networks.mami.vit import Attention

STD = 0.02  # of a transformer's linear maps, as in ViT


def initialise(network: nn.Module) -> None:
    """Fresh weights for every module, from torch's generator.

    At the start the adapters and the low-rank changes add nothing. Of each low-rank pair the side next to the
    input is not zero, so that the first gradient reaches the other side, and the second both.
    """
    for module in network.modules():
        if isinstance(module, nn.Linear):
            init.trunc_normal_(module.weight, std=STD)
            init.zeros_(module.bias)
        elif isinstance(module, nn.Conv2d):
            init.kaiming_normal_(module.weight, a=LEAK)
            if module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, GroupedLinear):
            init.normal_(module.weight, std=_he(module.weight.shape[1]))
            init.zeros_(module.bias)
        elif isinstance(module, Attention):
            init.trunc_normal_(module.in_proj_weight, std=STD)
            init.zeros_(module.in_proj_bias)
    for module in network.modules():
        if isinstance(module, TemporalAdapter):
            _start_adapter(module)
        elif isinstance(module, LowRankHost):
            _start_low_rank(module)


def start_head(head: nn.Sequential) -> None:
    """A head of linear layers with leaky ReLU between, which keeps the scale of what it is given."""
    for layer in head:
        if isinstance(layer, nn.Linear):
            init.normal_(layer.weight, std=_he(layer.in_features))


def _start_adapter(adapter: TemporalAdapter) -> None:
    """Each frame sees itself only, and nothing is added."""
    assert adapter.conv.bias is not None
    init.zeros_(adapter.conv.weight)
    init.ones_(adapter.conv.weight[:, :, 1])
    init.zeros_(adapter.conv.bias)
    init.zeros_(adapter.fc2.weight)


def _start_low_rank(host: LowRankHost) -> None:
    for target in host.targets:
        for letter, up in zip(DOWN_UP[target], (False, True), strict=True):
            static = getattr(host, f"linear_{letter}_{target}_static")
            mlp: FactorMlp = getattr(host, f"lora_mlp_{target}_{letter}")
            std = 0.0 if up else 1 / math.sqrt(static.shape[-1])
            init.normal_(static, std=std)
            init.normal_(mlp.l31.weight, std=std * _he(mlp.l31.weight.shape[1]))


def _he(inputs: int) -> float:
    """Standard deviation that keeps the scale through a leaky ReLU (He et al. 2015)."""
    return math.sqrt(2 / (1 + LEAK**2) / inputs)
