"""What commands share at the terminal: progress, passphrases, JSON; data to stdout, the rest to stderr."""

from __future__ import annotations

import json
import sys
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from tqdm import tqdm


class ProgressLine:
    """A line with count and rate on standard error; silent where that is no terminal.

    Args:
        show: Whether to show it at all.
    """

    def __init__(self, show: bool) -> None:
        self._show = show and sys.stderr.isatty()
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

            if self._bar is not None:
                self._bar.close()
            self._phase = phase
            self._bar = tqdm(desc=phase, unit=" files", total=total, file=sys.stderr)
        if self._bar is not None:
            self._bar.update(done)


def ask_passphrase() -> str:
    """Ask for a passphrase without echo."""
    import getpass

    return getpass.getpass("passphrase: ")


def print_json(data: object) -> None:
    """Print JSON to standard output."""
    json.dump(data, sys.stdout, indent=2, sort_keys=True, ensure_ascii=True)
    sys.stdout.write("\n")
