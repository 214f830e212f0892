"""The backbones of timm: built for one grey channel, with random weights, and nothing is downloaded."""

from __future__ import annotations

import difflib
from typing import Any

import timm
from torch import nn

from deid.core.errors import UsageError


def timm_backbone(name: str, size: int) -> tuple[nn.Module, int]:
    """A backbone of timm that gives pooled features, and their number.

    Args:
        name: A name of timm, such as ``"resnet18"``.
        size: Side in pixels of its images; only backbones made for one size use it.

    Returns:
        A network from `[image, 1, row, column]` to `[image, dimension]`, and the dimension.

    Raises:
        UsageError: timm has no such backbone; the message names those that are near.
    """
    _check(name)
    config = timm.get_pretrained_cfg(name)
    arguments: dict[str, Any] = {"in_chans": 1, "num_classes": 0}
    if config is not None and config.fixed_input_size:
        arguments["img_size"] = size
    network = timm.create_model(name, pretrained=False, **arguments)
    # several backbones widen their features after pooling
    width = "head_hidden_size" if hasattr(network, "head_hidden_size") else "num_features"
    return network, getattr(network, width)


def _check(name: str) -> None:
    """Refuse a name that is none of timm's: one with an address in it would be downloaded."""
    plain = name.replace("_", "").replace(".", "").isalnum()
    if plain and timm.is_model(name):
        return
    near = difflib.get_close_matches(name, timm.list_models(), 3)
    hint = f"did you mean {', '.join(near)}?" if near else "one of them is resnet18."
    raise UsageError(f"the backbone is not one of timm's (see timm.list_models()); {hint}")
