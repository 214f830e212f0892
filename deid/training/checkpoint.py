"""Checkpoints: one file each, tensors as safetensors and the rest as JSON in its header; no pickle.

A file appears finished or not at all, so a killed training leaves the checkpoint before.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deid.core.errors import UsageError
from deid.core.files import strerror, sync_folder

_KEY = "state"


def write_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write a tree of dicts, lists, tuples, numbers, texts and tensors; replaces an earlier file in one step.

    Raises:
        UsageError: The file cannot be written.
    """
    from safetensors.torch import save_file

    tensors: dict[str, Tensor] = {}
    tree = _pack(state, tensors)
    temporary = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        save_file(tensors, temporary, {_KEY: json.dumps(tree)})
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise UsageError(
            f"the checkpoint cannot be written: {strerror(error)}. The one before is kept; make room or give "
            "another --out."
        ) from None


def read_checkpoint(path: Path) -> dict[str, Any] | None:
    """What ``write_checkpoint`` wrote, tensors on the CPU; None if there is no file.

    Raises:
        UsageError: The file is damaged or none of ours.
    """
    from safetensors import SafetensorError, safe_open

    if not path.exists():
        return None
    try:
        with safe_open(path, "pt") as stored:
            tree = json.loads((stored.metadata() or {})[_KEY])
            state = _unpack(tree, {name: stored.get_tensor(name) for name in stored.keys()})  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, ValueError, TypeError):
        raise UsageError(
            f"the checkpoint {path.name} of the run cannot be read; start anew with --resume never, or give "
            "another --out."
        ) from None
    if not isinstance(state, dict):
        raise UsageError(f"the checkpoint {path.name} is not one of a training; give another --out.")
    return state


def is_finite(state: Any) -> bool:
    """Whether all floating-point tensors of a tree are finite."""
    if isinstance(state, Tensor):
        return not state.is_floating_point() or bool(torch.isfinite(state).all())
    if isinstance(state, Mapping):
        return all(map(is_finite, state.values()))
    return not isinstance(state, list | tuple) or all(map(is_finite, state))


def _pack(value: Any, tensors: dict[str, Tensor]) -> Any:
    """The JSON form of a tree; tensors are moved into ``tensors``.

    JSON has neither tuples nor keys that are numbers (an optimizer's state has both), so everything that is
    not plain becomes a pair of a kind and a content.
    """
    if isinstance(value, Tensor):
        name = str(len(tensors))
        tensors[name] = value.detach().to("cpu", copy=True).contiguous()
        return ["tensor", name]
    if isinstance(value, Mapping):
        return ["dict", [[_pack(k, tensors), _pack(v, tensors)] for k, v in value.items()]]
    if isinstance(value, list | tuple):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return [kind, [_pack(item, tensors) for item in value]]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a checkpoint cannot hold {type(value).__name__}")


def _unpack(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if not isinstance(value, list):
        return value
    kind, content = value
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {_unpack(k, tensors): _unpack(v, tensors) for k, v in content}
    items = [_unpack(item, tensors) for item in content]
    return tuple(items) if kind == "tuple" else items
