"""Recognisers by name for ``train-unet``: built in, with random weights, or models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from deid.core.errors import UsageError
from deid.core.model_card import ModelKind
from deid.core.models import find_model
from deid.networks.architectures import build
from deid.networks.folder import load_network

BUILT_IN = ("compact", "siamese", "mami")

_COMPACT = 48  # pixels that the compact one takes at least, where there are so many; else half of them
_SMALL_MAMI: dict[str, Any] = {
    "patch": 16,
    "width": 192,
    "depth": 6,
    "heads": 3,
    "gates": 8,
    "rank": 4,
    "adapter": 96,
    "dimension": 192,
    "stem": "convolution",
}


def built_in(name: str, size: int) -> tuple[str, dict[str, Any]]:
    """Architecture and arguments of a recogniser that `deid.networks.architectures.build` makes.

    Args:
        name: One of `BUILT_IN`.
        size: Side of its input at most, in pixels.

    Raises:
        UsageError: None is called so.
    """
    small: dict[str, tuple[str, dict[str, Any]]] = {
        "compact": ("compact-resnet", {"size": _whole_patches(min(size, max(size // 2, _COMPACT)))}),
        "siamese": ("siamese-resnet", {"backbone": "resnet10t", "size": size}),
        "mami": ("mami", _SMALL_MAMI | {"size": _whole_patches(size)}),
    }
    if name not in small:
        raise UsageError(f"{name} is no recogniser that is built in; there are {', '.join(small)}.")
    return small[name]


def _whole_patches(size: int) -> int:
    return max(size // 16 * 16, 32)


def make_recogniser(name: str, size: int) -> nn.Module:
    """A network with `embed`.

    Args:
        name: One of `BUILT_IN`, with random weights then, or a model or its folder.
        size: Of one that is built in, as in `built_in`.

    Raises:
        UsageError: There is none, or it recognises no patients.
    """
    if name in BUILT_IN:
        return build(*built_in(name, size))
    network, record = load_network(Path(name) if (Path(name) / "model.json").is_file() else find_model(name))
    if record.kind not in (ModelKind.REID, ModelKind.ATTACKER):
        raise UsageError(f"a critic must recognise patients; {record.name} is of the kind {record.kind}.")
    return network
