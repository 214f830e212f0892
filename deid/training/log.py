"""What a run writes down: ``log.jsonl`` (all records), ``log.csv`` (a row an epoch), TensorBoard."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from deid.core.errors import UsageError

Record = dict[str, float | int | str]


class RunLog:
    """The log of one run; a resumed run goes on in the same files, without what came after its checkpoint.

    Args:
        folder: The run folder.
        step: Steps done; records beyond are dropped.
        tensorboard: Also write event files.

    Raises:
        UsageError: TensorBoard is wanted and not installed.
    """

    def __init__(self, folder: Path, step: int, tensorboard: bool) -> None:
        self._csv = folder / "log.csv"
        path = folder / "log.jsonl"
        kept = [record for record in read_log(path) if int(record["step"]) <= step]
        self._epochs = [record for record in kept if record["kind"] == "epoch"]
        self._stream: TextIO = path.open("w", encoding="utf-8")
        self._stream.writelines(_line(record) for record in kept)
        self._stream.flush()
        self._events = _event_writer(folder, step) if tensorboard else None

    def write(self, kind: str, step: int, figures: Mapping[str, float | int | str]) -> None:
        """Add a record of a kind ("steps" or "epoch")."""
        record: Record = {"kind": kind, "step": step, **figures}
        self._stream.write(_line(record))
        self._stream.flush()
        if kind == "epoch":
            self._epochs.append(record)
            self._write_csv()
        if self._events is not None:
            for name, value in figures.items():
                if isinstance(value, int | float):
                    self._events.add_scalar(f"{kind}/{name}", value, step)

    def close(self) -> None:
        """Close the files."""
        self._stream.close()
        if self._events is not None:
            self._events.close()

    def _write_csv(self) -> None:
        columns = list(dict.fromkeys(name for record in self._epochs for name in record if name != "kind"))
        with self._csv.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, columns, extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            writer.writerows(self._epochs)


def read_log(path: Path) -> list[Record]:
    """The records of a log; a last line that a killed run left half-written is dropped."""
    try:
        lines = path.read_text("utf-8").split("\n")[:-1]
    except OSError:
        return []
    return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]


def _line(record: Record) -> str:
    # JSON has no NaN
    plain = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in record.items()}
    return json.dumps(plain) + "\n"


def _event_writer(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UsageError(
            "--tensorboard needs TensorBoard: pip install 'mami-deid[tensorboard]', or leave the option out; "
            "log.csv has the same figures."
        ) from None
    return SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)
