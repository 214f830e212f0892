"""The networks that a model folder may name, and how each is built from the arguments in its record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from deid.core.errors import UsageError


def _mami(**arguments: Any) -> nn.Module:
    from deid.networks.mami import MaMI

    return MaMI(**arguments)


def _siamese_resnet(**arguments: Any) -> nn.Module:
    from deid.networks.siamese import SiameseResNet

    return SiameseResNet(**arguments)


def _timm_encoder(**arguments: Any) -> nn.Module:
    from deid.networks.encoder import TimmEncoder

    return TimmEncoder(**arguments)


def _compact_resnet(**arguments: Any) -> nn.Module:
    from deid.networks.compact import CompactResNet

    return CompactResNet(**arguments)


def _classifier(**arguments: Any) -> nn.Module:
    from deid.networks.classifier import Classifier

    return Classifier(**arguments)


def _anonymizer(**arguments: Any) -> nn.Module:
    from deid.networks.anonymizer import Anonymizer

    return Anonymizer(**arguments)


# Imports stand inside the functions, so that one architecture does not load the libraries of all.
ARCHITECTURES: Mapping[str, Callable[..., nn.Module]] = MappingProxyType(
    {
        "mami": _mami,
        "siamese-resnet": _siamese_resnet,
        "timm-encoder": _timm_encoder,
        "compact-resnet": _compact_resnet,
        "classifier": _classifier,
        "anonymizer": _anonymizer,
    }
)


def build(architecture: str, arguments: Mapping[str, object], device: str = "cpu") -> nn.Module:
    """A network with the random weights that it starts with; the state of torch's generator is kept.

    Args:
        architecture: A name in :data:`ARCHITECTURES`.
        arguments: What its constructor is given.
        device: ``"meta"`` for shapes only, which takes no memory.

    Raises:
        UsageError: The architecture is not known, or cannot be built from these arguments.
    """
    constructor = ARCHITECTURES.get(architecture)
    if constructor is None:
        raise UsageError(
            f"there is no architecture {ascii(architecture)[:60]}; known are {', '.join(ARCHITECTURES)}. "
            "A newer mami-deid may know it."
        )
    try:
        with torch.random.fork_rng(devices=[]), torch.device(device):
            return constructor(**arguments)
    except Exception as error:  # noqa: BLE001 - arguments are a stranger's, and constructors raise anything
        raise UsageError(
            f"the architecture {architecture} cannot be built from its arguments "
            f"({type(error).__name__}: {ascii(str(error))[:200]}); correct the options of the training, or "
            "the model.json that names them."
        ) from None
