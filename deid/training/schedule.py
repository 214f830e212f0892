"""The learning rate over a training: a linear rise, then half a cosine."""

from __future__ import annotations

import math
from collections.abc import Iterable

from torch.optim import Optimizer


class Schedule:
    """Multiplies the learning rates that a task gave its optimizers.

    Args:
        optimizers: Those of the task, at their full rates.
        warmup: Share of the training in which the rate rises, 0..1.
        final: Share of the full rate at the end, 0..1.
    """

    def __init__(self, optimizers: Iterable[Optimizer], warmup: float, final: float) -> None:
        self._warmup, self._final = warmup, final
        self._full = [(o, [float(group["lr"]) for group in o.param_groups]) for o in optimizers]

    def set(self, progress: float) -> float:
        """Set the rates for a step; returns the share of the full rate."""
        factor = rate_factor(progress, self._warmup, self._final)
        for optimizer, rates in self._full:
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * factor
        return factor


def rate_factor(progress: float, warmup: float, final: float) -> float:
    """Share of the full learning rate.

    Args:
        progress: Share of the training that is done when this step is, above 0 to 1.
        warmup: As in `Schedule`.
        final: As in `Schedule`.
    """
    if progress < warmup:
        return progress / warmup
    done = min(1.0, (progress - warmup) / (1 - warmup))
    return final + (1 - final) * (1 + math.cos(math.pi * done)) / 2
