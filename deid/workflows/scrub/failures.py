"""Why a unit is held when something goes wrong with it: a fixed phrase without any value of the source."""

from __future__ import annotations

import traceback
from pathlib import Path

from deid.core.errors import Held
from deid.core.files import strerror

OUT_OF_MEMORY = "internal: out of memory; try fewer --jobs"
PROCESS_DIED = "internal: the process died, perhaps for want of memory; try fewer --jobs"


def reason_of(error: Exception) -> str:
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
