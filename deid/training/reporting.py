"""What a training tells while it runs: losses, figures and pictures, to the log and to the terminal."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from deid.core.errors import UsageError
from deid.training.log import RunLog
from deid.training.meter import Meter, not_finite
from deid.training.options import LoopOptions
from deid.training.progress import TrainingProgress
from deid.training.run_folder import RunFolder
from deid.training.sheet import write_png


class Reporter:
    """Log, terminal and sheets of one training; use it as a context manager.

    Args:
        folder: Where the log goes.
        options: Of the run.
        steps_per_epoch: Steps of an epoch.
        step: Steps done when it begins.
        is_main: Whether this process writes; the others only check their losses.
    """

    def __init__(
        self, folder: RunFolder, options: LoopOptions, steps_per_epoch: int, step: int, is_main: bool
    ) -> None:
        self._folder, self._steps_per_epoch = folder, steps_per_epoch
        self._log = RunLog(folder.path, step, options.tensorboard) if is_main else None
        self._progress = TrainingProgress(options.epochs, steps_per_epoch, silent=not is_main)
        self._losses, self._norms = Meter(), Meter()
        self._flushed = (time.monotonic(), step)
        self.say = self._progress.say
        if step:
            self.say(f"going on after step {step}")

    def __enter__(self) -> Reporter:
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.close()
        if self._log is not None:
            self._log.close()

    def step(self, done: int, losses: Mapping[str, Tensor | float], norms: Mapping[str, Tensor]) -> None:
        """The losses and gradient lengths of a step; ``done`` steps are behind us now."""
        self._losses.add(losses)
        self._norms.add(norms)
        self._progress.show(done)

    def flush(self, step: int, rate: float) -> None:
        """Write means of the losses since the last flush; waits for the device.

        Args:
            step: Steps done.
            rate: Share of the full learning rate.

        Raises:
            UsageError: A loss is not finite.
        """
        losses, norms = self._losses.flush(), self._norms.flush()
        bad = not_finite(losses)
        if bad:
            raise not_finite_error(f"the loss is not a finite number ({', '.join(bad)})", step)
        then, before = self._flushed
        if self._log is None or step == before:
            return
        now = time.monotonic()
        speed = {"rate": rate, "steps_per_second": (step - before) / max(now - then, 1e-9)}
        self._flushed = (now, step)
        self._log.write("steps", step, losses | {f"gradient_{k}": v for k, v in norms.items()} | speed)
        self._progress.losses(step, speed["steps_per_second"], losses)

    def epoch(self, epoch: int, step: int, figures: Mapping[str, float], times: Mapping[str, float]) -> None:
        """Write the figures of an epoch (from 1) that is done."""
        losses = self._losses.end_epoch()
        self._norms.end_epoch()
        self._flushed = (time.monotonic(), step)
        if self._log is not None:
            self._log.write("epoch", step, {"epoch": epoch, **losses, **figures, **times})
        self._progress.end_epoch(epoch, {**losses, **figures})

    def sheet(self, epoch: int, picture: NDArray[np.uint8] | None) -> None:
        """Keep the picture of an epoch (from 1)."""
        if picture is not None and self._log is not None:
            write_png(picture, self._folder.sheet(epoch))


def not_finite_error(what: str, step: int) -> UsageError:
    """What to do when a training went astray."""
    return UsageError(
        f"{what} at step {step}; the training ends here, and the last good checkpoint is kept. Lower the "
        "learning rate, raise --warmup or use --precision float32, and add --resume force to go on from that "
        "checkpoint with the new options."
    )
