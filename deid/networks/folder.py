"""Model folders: a network with its record, written whole and read with distrust."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from deid.core.errors import UsageError
from deid.core.model_card import ModelRecord, Weights, WeightsType, read_record, record_text
from deid.core.model_files import CARD, WEIGHTS, new_folder, sha256_of
from deid.core.models import MANIFEST
from deid.networks.architectures import build

_FLOATS = ("F32", "F16")
_OTHERS = {torch.int64: "I64", torch.int32: "I32", torch.uint8: "U8", torch.bool: "BOOL"}
_SHOWN = 3


def save_model(
    folder: Path,
    network: nn.Module,
    record: ModelRecord,
    card: str,
    *,
    dtype: WeightsType = WeightsType.FLOAT32,
    overwrite: bool = False,
) -> ModelRecord:
    """Writes a model folder: it appears complete or not at all.

    Args:
        folder: The folder to make; its name is the record's.
        network: Built by the record's architecture from its arguments; nothing of it changes.
        record: What the model is; the weights in it are filled in.
        card: The text of ``card.md``; see :func:`deid.core.card_text.card_text`.
        dtype: How matrices and kernels are stored. Vectors (norms, biases, running statistics) are stored as
            float32 always: they cost nothing, and half precision hurts them most.
        overwrite: Whether it may take the place of a model folder that is there.

    Returns:
        The record as it was written.

    Raises:
        UsageError: Weights are not finite or too large for float16, the record is not valid, or the folder
            cannot be written.
    """
    if record.name != folder.name:
        raise UsageError(f"the model {record.name} goes to a folder of that name, not to {folder.name}.")
    tensors = {key: _stored(key, tensor, dtype) for key, tensor in network.state_dict().items()}
    parameters = _count(network)
    with new_folder(folder, replace=overwrite) as new:
        try:
            save_file(tensors, new / WEIGHTS)
        except SafetensorError:
            raise UsageError("the weights cannot be written; is the disk full?") from None
        written = replace(record, weights=Weights(sha256_of(new, WEIGHTS), dtype, parameters))
        (new / MANIFEST).write_text(record_text(written), encoding="utf-8")
        (new / CARD).write_text(card, encoding="utf-8")
    return written


def load_network(folder: Path) -> tuple[nn.Module, ModelRecord]:
    """The network of a model folder in evaluation mode on the CPU, in float32, and its record.

    The hash of the weights is checked, then names, shapes and types of all tensors against the architecture
    (built without memory), and only then anything is allocated and read, tensor by tensor.

    Raises:
        UsageError: Something in the folder is not as its record and architecture say.
    """
    record = read_record(folder)
    weights = record.weights
    assert weights is not None
    if sha256_of(folder, WEIGHTS) != weights.sha256:
        raise _broken(folder, "its SHA-256 is not the one in model.json")
    expected = build(record.architecture, record.arguments, "meta")
    if _count(expected) != weights.parameters:
        raise _broken(folder, f"model.json names {weights.parameters} parameters, not {_count(expected)}")
    try:
        with safe_open(folder / WEIGHTS, framework="pt") as stored:
            _check_layout(folder, stored, expected.state_dict())
            network = build(record.architecture, record.arguments)
            with torch.no_grad():
                for key, tensor in network.state_dict().items():
                    tensor.copy_(_finite(folder, key, stored.get_tensor(key)))
    except (SafetensorError, OSError):
        raise _broken(folder, "it is damaged or not a safetensors file") from None
    return network.eval(), record


def _stored(key: str, tensor: Tensor, dtype: WeightsType) -> Tensor:
    """A copy of a tensor of the network in the form in which it is written."""
    tensor = tensor.detach().cpu()
    if not tensor.is_floating_point():
        return tensor.clone(memory_format=torch.contiguous_format)
    half = dtype is WeightsType.FLOAT16 and tensor.dim() > 1
    stored = tensor.to(torch.float16 if half else torch.float32, copy=True).contiguous()
    if not torch.isfinite(stored).all():
        reason = "too large for float16; store float32" if torch.isfinite(tensor).all() else "NaN or infinite"
        raise UsageError(f"the weights {key} cannot be stored: a number is {reason}.")
    return stored


def _check_layout(folder: Path, stored: Any, expected: Mapping[str, Tensor]) -> None:
    keys = set(stored.keys())
    for words, names in (("lacks", expected.keys() - keys), ("has besides", keys - expected.keys())):
        if names:
            raise _broken(folder, f"it {words} {some(names)}")
    for key, tensor in expected.items():
        part = stored.get_slice(key)
        shape, dtype = part.get_shape(), part.get_dtype()
        allowed = _FLOATS if tensor.is_floating_point() else (_OTHERS[tensor.dtype],)
        if list(shape) != list(tensor.shape) or dtype not in allowed:
            raise _broken(folder, f"{key} is {dtype} {shape}, not {allowed[0]} {list(tensor.shape)}")


def _finite(folder: Path, key: str, tensor: Tensor) -> Tensor:
    if tensor.is_floating_point() and not torch.isfinite(tensor).all():
        raise _broken(folder, f"{key} holds NaN or infinite numbers")
    return tensor


def some(names: set[str] | tuple[str, ...]) -> str:
    """A few of many names for a message, and how many there are."""
    first = ", ".join(ascii(name)[1:-1][:100] for name in sorted(names)[:_SHOWN])
    return first if len(names) <= _SHOWN else f"{first} and {len(names) - _SHOWN} more"


def _count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _broken(folder: Path, reason: str) -> UsageError:
    return UsageError(f"the weights of the model {folder.name} are not used: {reason}. Import it again.")
