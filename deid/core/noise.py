"""Libraries talk, and what they say holds values of the file: it is counted by kind and not passed on."""

from __future__ import annotations

import functools
import logging
import sys
import warnings
from collections import Counter
from typing import TextIO


class NoiseCounter(logging.Handler):
    """Takes the place of every warning and log message of the libraries; keeps only their kinds.

    Attributes:
        counts: Number of messages by kind: the category of a warning, or logger and level.
    """

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    @classmethod
    @functools.cache
    def installed(cls) -> NoiseCounter:
        """The counter of this process, put in place at the first call."""
        counter = cls()
        counter.install()
        return counter

    def install(self) -> None:
        """Silence warnings and loggers of this process from here on."""
        warnings.simplefilter("always")
        warnings.showwarning = self._warning
        root = logging.getLogger()
        root.handlers[:] = [self]
        for name in list(logging.root.manager.loggerDict):
            logger = logging.getLogger(name)
            logger.handlers.clear()
            logger.propagate = True
        logging.lastResort = None
        logging.raiseExceptions = False
        sys.unraisablehook = self._unraisable

    def emit(self, record: logging.LogRecord) -> None:
        """Count one log message; its text is never formatted."""
        self.counts[f"{record.name.split('.')[0]} {record.levelname.lower()}"] += 1

    def take(self) -> dict[str, int]:
        """The counts since the last call."""
        counts = dict(self.counts)
        self.counts.clear()
        return counts

    def _unraisable(self, unraisable: sys.UnraisableHookArgs) -> None:
        """An error in a finaliser, which Python would print with its text."""
        self.counts[f"ignored {unraisable.exc_type.__name__}"] += 1

    def _warning(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        self.counts[category.__name__] += 1
