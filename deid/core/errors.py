"""Errors a user can act on, and the exit status of every command.

A message says what was given, what is allowed and what to do. It never carries a value of the source
(name, identifier, date, UID or path found on the way): such values stay in the private state folder.
"""

from enum import IntEnum


class ExitStatus(IntEnum):
    """How a command ended; part of the interface, listed in the README."""

    RELEASED = 0
    HELD = 1
    USAGE = 2
    NOTHING_WRITTEN = 3
    AUDIT_GATE = 5
    INTERNAL = 70
    INTERRUPTED = 130
    TERMINATED = 143


class UsageError(Exception):
    """The command line, a recipe, a key or a project is not usable as given (exit status 2)."""


class Held(Exception):  # noqa: N818 - a verdict on a unit, not a failure of the program
    """One unit is held back from the release; the run goes on.

    Attributes:
        reason: A short fixed phrase, such as ``"unreadable: truncated element"``. Reasons are counted and
            shown in the summary, so they never carry a value of the file.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Skipped(Exception):  # noqa: N818 - likewise
    """An input is none of this tool's: it is listed and never copied.

    Attributes:
        reason: A short fixed phrase without any value of the file.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
