"""Where the private annexes of a project's audits lie: ``audit/`` of its state folder, mode 0600."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path

from deid.audit.annex import Annex
from deid.core.errors import UsageError
from deid.core.files import strerror, sync_folder
from deid.core.project import ProjectOptions

_FOLDER = "audit"


def save_annex(state: Path, annex: Annex) -> Path:
    """Write an annex beside those of earlier audits.

    Args:
        state: The state folder.
        annex: What was found worst.

    Raises:
        UsageError: It cannot be written.
    """
    folder = state / _FOLDER
    path = folder / f"{datetime.now():%Y%m%d-%H%M%S-%f}.json"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(annex.to_json(), stream, indent=1)
            stream.flush()
            os.fsync(descriptor)
        sync_folder(folder)
    except OSError as error:
        raise UsageError(f"the private annex cannot be written: {strerror(error)}.") from None
    return path


def forget_annexes(where: ProjectOptions) -> int:
    """Delete all annexes of a project; its key is not needed.

    Args:
        where: The project.

    Returns:
        How many there were.

    Raises:
        UsageError: There is no such project, or an annex cannot be deleted.
    """
    state = where.folder()
    if not state.is_dir():
        raise UsageError("there is no such project; check --out, --project or --state.")
    found = sorted((state / _FOLDER).glob("*.json"))
    try:
        for path in found:
            path.unlink()
    except OSError as error:
        raise UsageError(f"a private annex cannot be deleted: {strerror(error)}.") from None
    return len(found)
