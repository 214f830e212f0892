"""Why a unit is held when something goes wrong with it: a fixed phrase without any value of the source."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from deid.core.errors import Held
from deid.core.files import strerror

Result = TypeVar("Result")

OUT_OF_MEMORY = "internal: out of memory; try fewer --jobs"
PROCESS_DIED = "internal: the process died, perhaps for want of memory; try fewer --jobs"


def attempt(work: Callable[[], Result], failed: Callable[[str], Result]) -> Result:
    """The unit wrapper: whatever goes wrong with one file or patient holds it, and the run goes on.

    Args:
        work: Does the work on one unit.
        failed: Makes the result of a unit that is held, from the reason.
    """
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - the one place: an unforeseen file must not stop the run
        return failed(_reason_of(error))


def _reason_of(error: Exception) -> str:
    """The reason that a unit is held for, from whatever was raised.

    The text of an unforeseen error may carry values, so only its type and our line are told.
    """
    if isinstance(error, Held):
        return error.reason
    if isinstance(error, OSError):
        return f"unreadable: {strerror(error)}"
    if isinstance(error, MemoryError):
        return OUT_OF_MEMORY
    return f"internal: {type(error).__name__} at {_own_line(error)}"


def _own_line(error: Exception) -> str:
    own = [
        frame for frame in traceback.extract_tb(error.__traceback__) if "deid" in Path(frame.filename).parts
    ]
    return f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else "unknown"
