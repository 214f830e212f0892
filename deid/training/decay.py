"""Which weights decay: matrices and kernels, not biases and norms."""

from __future__ import annotations

from typing import Any

from torch import nn


def decayed(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Parameter groups for an optimizer; parameters that take no gradient are left out.

    Args:
        module: Whose parameters.
        weight_decay: For those of two dimensions or more.
    """
    taught = [p for p in module.parameters() if p.requires_grad]
    return [
        {"params": [p for p in taught if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in taught if p.ndim <= 1], "weight_decay": 0.0},
    ]
