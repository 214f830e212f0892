"""Ctrl-C and SIGTERM during a training: finish the step, keep the state, then end as without us."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class SignalWatch:
    """Notes the first signal instead of acting on it; use it as a context manager.

    A second signal acts at once, as it would have without the watch. Outside the main thread, where Python
    does not let signals be watched, it does nothing.

    Attributes:
        number: The signal that arrived, or None.
    """

    def __init__(self, announce: Callable[[str], None]) -> None:
        self.number: int | None = None
        self._announce = announce
        self._before: dict[int, Any] = {}

    def __enter__(self) -> SignalWatch:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._restore()
        if kind is None:
            self.act()

    def act(self) -> None:
        """Do what the signal would have done: end the command, or raise KeyboardInterrupt in a library."""
        self._restore()
        if self.number is not None:
            signal.raise_signal(self.number)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        self._restore()
        self._announce("stopping after this step; its state is saved. Once more to stop at once.")

    def _restore(self) -> None:
        while self._before:
            number, handler = self._before.popitem()
            signal.signal(number, handler)
