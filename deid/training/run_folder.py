"""The folder of a run: options, checkpoints, log, sheets; and whether a run in it may be gone on with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from deid.core.errors import UsageError
from deid.core.files import strerror
from deid.training.checkpoint import read_checkpoint, write_checkpoint
from deid.training.options import LoopOptions, differing

_OPTIONS = "options.json"
_CHECKPOINTS = "checkpoints"
_OWN = (_OPTIONS, _CHECKPOINTS, "log.jsonl", "log.csv", "sheets", "tensorboard", "attackers")


class RunFolder:
    """Where a run keeps what it made.

    Args:
        path: The folder; it may be missing.
        is_main: Whether this process may write.
    """

    def __init__(self, path: Path, is_main: bool = True) -> None:
        self.path = path
        self._is_main = is_main
        self._checkpoints = path / _CHECKPOINTS

    def open(self, options: LoopOptions) -> None:
        """Make the folder ready for a run with these options, or for going on with one; by the main process.

        Raises:
            UsageError: It holds something else, or a run with other options.
        """
        if not self._is_main:
            return
        self.check(options)
        try:
            if options.resume == "never":
                self._clear()
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)  # it shows patients
            text = json.dumps(options.model_dump(mode="json"), indent=2)
            (self.path / _OPTIONS).write_text(text + "\n", "utf-8")
        except OSError as error:
            raise UsageError(f"--out: the run folder cannot be made or written: {strerror(error)}.") from None

    def check(self, options: LoopOptions) -> None:
        """Whether a run with these options may begin or go on here; nothing is written.

        Raises:
            UsageError: It holds something else, or a run with other options.
        """
        try:
            old = self._options()
            if old is None and self.path.exists() and any(self.path.iterdir()):
                raise UsageError(
                    "--out: the folder holds other files and no run; give a new or an empty folder."
                )
        except OSError as error:
            raise UsageError(f"--out: the run folder cannot be read: {strerror(error)}.") from None
        if old is not None and options.resume == "auto":
            _refuse_other(old, options)

    def save(self, name: str, state: dict[str, Any]) -> None:
        """Keep a checkpoint ("last" or "best")."""
        if self._is_main:
            write_checkpoint(self._checkpoints / f"{name}.safetensors", state)

    def load(self, name: str) -> dict[str, Any] | None:
        """A checkpoint, or None if there is none yet."""
        return read_checkpoint(self._checkpoints / f"{name}.safetensors")

    def sheet(self, epoch: int) -> Path:
        """Where the picture of an epoch (from 1) goes."""
        return self.path / "sheets" / f"epoch_{epoch:04d}.png"

    def _options(self) -> dict[str, Any] | None:
        path = self.path / _OPTIONS
        if not path.is_file():
            return None
        try:
            found = json.loads(path.read_text("utf-8"))
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise UsageError(f"--out: {_OPTIONS} of the run cannot be read; give another folder.")
        return found

    def _clear(self) -> None:
        for name in _OWN:
            path = self.path / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def _refuse_other(old: dict[str, Any], options: LoopOptions) -> None:
    names = differing(old, options)
    if names:
        raise UsageError(
            f"--out: the folder holds a run with other options ({', '.join(names)}). Give the same options "
            "to go on with it, --resume force to go on with these, --resume never to start anew, or another "
            "folder."
        )
