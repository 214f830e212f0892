"""What a training job gives to the loop (`Task`) and what it gets from it (`Run`)."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer

from deid.core.errors import UsageError

Batch = Mapping[str, Tensor]


class Run(Protocol):
    """What a task may use during a step, a validation or a sheet.

    Attributes:
        device: Where modules and batches lie.
        folder: The run folder.
        step: Number of the step under way, from 0, counted over all epochs and resumptions.
        epoch: Number of the epoch under way, from 0.
        progress: Share of the planned training that is done, 0..1 (by steps, or by the clock if that ends
            first).
        generator: Random numbers on the CPU, seeded by run seed and step (or epoch, in a validation or
            sheet), so that a resumed run draws the same. torch's global generators are seeded likewise before
            each step.
    """

    device: torch.device
    folder: Path
    step: int
    epoch: int
    progress: float
    generator: torch.Generator

    def autocast(self) -> AbstractContextManager[object]:
        """Mixed precision for forward passes; does nothing where the precision is float32."""

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of a loss (scaled in float16); call it outside ``autocast``."""

    def update(self, *names: str) -> None:
        """Clip gradients and step the named optimizers (all if none is named), then clear *all* gradients.

        Clearing all means that gradients which flowed through a critic into the U-Net do not stay in the
        critic. Optimizers that share one backward pass are named in one call.
        """


class Task(Protocol):
    """One training job: what the loop, which owns steps, device, checkpoints and logs, does not know.

    Order of calls: ``modules`` and ``frozen`` (moved to the device), ``optimizers``, then for each step
    ``batch`` (in a background thread) and ``step``; after each epoch ``validate`` and ``sheet``. A task may
    also have ``state()`` and ``load_state()``, see `Stateful`, and ``best_from``: the share of the training,
    0..1, that must be done before an epoch can be the best, unless none later was measured.

    Attributes:
        steps_per_epoch: Steps between two validations.
        score: Name of the figure in ``validate`` that chooses the best checkpoint; higher is better.
    """

    steps_per_epoch: int
    score: str

    def modules(self) -> Mapping[str, nn.Module]:
        """What is trained and saved, by name; the loop sets train() and eval() mode."""

    def frozen(self) -> Mapping[str, nn.Module]:
        """Networks that are only used (teacher, classifier): eval mode, weights fixed, not saved."""

    def optimizers(self) -> Mapping[str, Optimizer]:
        """At the task's own learning rates, which the loop multiplies by warm-up and cosine."""

    def batch(self, step: int, generator: torch.Generator) -> Batch:
        """The batch of a step, on the CPU; the loop moves it to the device.

        It must depend on ``step`` and ``generator`` only and change nothing in the task: batches are made
        ahead of time, in threads. ``step // steps_per_epoch`` is the epoch.
        """

    def step(self, batch: Batch, run: Run) -> Mapping[str, Tensor | float]:
        """Forward, ``run.backward(loss)``, ``run.update(names)``; returns the scalar losses to log.

        A loss that is not finite ends the training, so return every term.
        """

    def validate(self, run: Run) -> Mapping[str, float]:
        """Validation figures, ``score`` among them; modules are in eval mode, gradients are off."""

    def sheet(self, run: Run) -> NDArray[np.uint8] | None:
        """A picture of what the network does now, `[row, column]`, or None; see `deid.training.sheet`."""


@runtime_checkable
class Stateful(Protocol):
    """A task with a state of its own beside modules and optimizers (say, a turn counter or a queue)."""

    def state(self) -> Mapping[str, Any]:
        """JSON values and tensors, nested in dicts and lists; put a digest of the data in, too."""

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take back what ``state`` gave.

        Raises:
            UsageError: It does not fit, for example because the data are others now.
        """


class BoundToData:
    """The state of a task that only its own data fit; a `Stateful`.

    Args:
        digest: Of images, patients and labels.
    """

    def __init__(self, digest: str) -> None:
        self._digest = digest

    def state(self) -> Mapping[str, Any]:
        """Which data these are."""
        return {"data": self._digest}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Refuse to go on with other data.

        Raises:
            UsageError: As above.
        """
        if state.get("data") != self._digest:
            raise UsageError(
                "the run was made with other images than these, or other labels; give another --out, or "
                "--resume never to start anew."
            )
