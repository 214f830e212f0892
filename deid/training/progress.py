"""Progress on standard error: a bar with rate and losses on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from tqdm import tqdm

_SHOWN = 4  # losses in the bar
_QUIET_SECONDS = 60.0  # between two plain lines within an epoch
_LOADING_SECONDS = 10.0


class LoadProgress:
    """Says now and then how many files are read; call it after each.

    Args:
        total: How many there are.
        say: Receives lines for the user.
        seconds: Between two lines.
    """

    def __init__(self, total: int, say: Callable[[str], None], seconds: float = _LOADING_SECONDS) -> None:
        self._total, self._say, self._seconds = total, say, seconds
        self._done, self._said = 0, time.monotonic()

    def __call__(self, count: int) -> None:
        """So many more are read."""
        self._done += count
        if time.monotonic() - self._said >= self._seconds and self._done < self._total:
            self._said = time.monotonic()
            self._say(f"reading images: {self._done} of {self._total}")


class TrainingProgress:
    """Shows how a training goes.

    Args:
        epochs: How many there are at most.
        steps_per_epoch: How many steps each has.
        silent: Show nothing, for processes beside the main one.
    """

    def __init__(self, epochs: int, steps_per_epoch: int, silent: bool = False) -> None:
        self._epochs, self._steps = epochs, steps_per_epoch
        self._silent = silent
        self._terminal = sys.stderr.isatty() and not silent
        self._bar: tqdm[NoReturn] | None = None
        self._said = time.monotonic()

    def show(self, done: int) -> None:
        """So many steps are done, over all epochs."""
        if not self._terminal:
            return
        if self._bar is None:
            self._bar = self._new_bar(done - 1)
        self._bar.update(1)

    def losses(self, done: int, rate: float, figures: Mapping[str, float]) -> None:
        """Mean losses of the last steps; ``rate`` in steps a second."""
        shown = dict(list(figures.items())[:_SHOWN])
        if self._bar is not None:
            self._bar.set_postfix(shown)
        elif time.monotonic() - self._said > _QUIET_SECONDS:
            self.say(f"{self._title(done - 1)} step {done}  {rate:.2f} steps/s  {_text(shown)}")

    def end_epoch(self, epoch: int, figures: Mapping[str, float]) -> None:
        """Figures of an epoch (from 1) that is done."""
        self.close()
        self.say(f"epoch {epoch}/{self._epochs}  {_text(figures)}")

    def say(self, text: str) -> None:
        """One line."""
        if self._silent:
            return
        self._said = time.monotonic()
        if self._bar is not None:
            self._bar.clear()
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _title(self, done: int) -> str:
        return f"epoch {done // self._steps + 1}/{self._epochs}"

    def _new_bar(self, done: int) -> tqdm[NoReturn]:
        from tqdm import tqdm

        # a terminal that does not know its size would show nothing
        columns, lines = os.get_terminal_size(sys.stderr.fileno())
        return tqdm(
            desc=self._title(done),
            total=self._steps,
            initial=done % self._steps,
            unit=" steps",
            file=sys.stderr,
            ncols=columns or 80,
            nrows=lines or 24,
            leave=False,
        )


def _text(figures: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
