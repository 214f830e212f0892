"""Losses and times of the steps since the last line of the log, and of the epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor


class Meter:
    """Collects losses on the device, so that no step waits for them."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[Tensor]] = {}
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    def add(self, losses: Mapping[str, Tensor | float]) -> None:
        """The losses of a step."""
        for name, value in losses.items():
            kept = value.detach().float() if isinstance(value, Tensor) else torch.tensor(float(value))
            self._waiting.setdefault(name, []).append(kept.reshape(()))

    def flush(self) -> dict[str, float]:
        """Means since the last flush; waits for the device."""
        means = {}
        for name, values in self._waiting.items():
            total = float(torch.stack(values).sum())
            means[name] = total / len(values)
            self._sums[name] = self._sums.get(name, 0.0) + total
            self._counts[name] = self._counts.get(name, 0) + len(values)
        self._waiting.clear()
        return means

    def end_epoch(self) -> dict[str, float]:
        """Means of the epoch, up to the last flush; begins the next."""
        means = {name: total / self._counts[name] for name, total in self._sums.items()}
        self._sums.clear()
        self._counts.clear()
        return means


def not_finite(figures: Mapping[str, float]) -> list[str]:
    """Names of the figures that are no finite numbers."""
    return [name for name, value in figures.items() if not math.isfinite(value)]
