"""What commands share at the terminal: progress, passphrases, JSON; data to stdout, the rest to stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from tqdm import tqdm


class ProgressLine:
    """A line with count and rate on standard error; silent where that is no terminal."""

    def __init__(self) -> None:
        self._show = sys.stderr.isatty()
        self._bar: tqdm[NoReturn] | None = None
        self._phase = ""

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def update(self, phase: str, done: int, total: int | None) -> None:
        """Advance the line of a phase."""
        if not self._show:
            return
        if phase != self._phase:
            from tqdm import tqdm

            tqdm.monitor_interval = 0  # its thread would only refresh the line, and stand in the way of forks

            if self._bar is not None:
                self._bar.close()
            self._phase = phase
            # a terminal that does not know its size would show nothing
            columns, lines = os.get_terminal_size(sys.stderr.fileno())
            self._bar = tqdm(
                desc=phase,
                unit=" files",
                total=total,
                file=sys.stderr,
                ncols=columns or 80,
                nrows=lines or 24,
            )
        if self._bar is not None:
            self._bar.update(done)


def ask_passphrase() -> str:
    """Ask for a passphrase without echo."""
    import getpass

    return getpass.getpass("passphrase: ")


def print_json(data: object) -> None:
    """Print JSON to standard output."""
    print_lines([json.dumps(data, indent=2, sort_keys=True)])


def print_lines(lines: Iterable[str]) -> None:
    """Print lines to standard output: undecodable bytes of paths as they are on disk.

    A reader that went away has seen enough; it does not change how the command ends.
    """
    try:
        for line in lines:
            sys.stdout.buffer.write(line.encode("utf-8", "surrogateescape") + b"\n")
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        with Path(os.devnull).open("w") as nowhere:  # or the flush at the end would fail
            os.dup2(nowhere.fileno(), sys.stdout.fileno())


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table to a terminal, or lines with tabs to what reads the output."""
    if not sys.stdout.isatty():
        print_lines("\t".join(row) for row in [header, *rows])
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*header, box=box.SIMPLE_HEAD)
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)


def one_line(path: str) -> str:
    """A path for a table: control characters and undecodable bytes are escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in path)
