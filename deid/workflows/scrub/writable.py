"""Whether a run can write where it is to write, asked before it reads anything."""

from __future__ import annotations

import tempfile
from pathlib import Path

from deid.core.errors import UsageError
from deid.core.files import strerror
from deid.core.project import ProjectOptions
from deid.workflows.scrub.options import ScrubOptions

_PROBE_BYTES = 1 << 16


def check_writable(options: ScrubOptions, project: ProjectOptions) -> None:
    """Try to write into the output and the state folder, or where they are going to be made.

    Raises:
        UsageError: A folder cannot be written, or its disk is full; nothing was changed.
    """
    if not options.dry_run:
        _try(options.out, "the output folder", "give a folder that you may write to, on a disk with space")
    _try(project.folder(), "the state folder", "free some space, mend its rights or give another (--state)")


def _try(folder: Path, what: str, advice: str) -> None:
    """Write and lose a nameless file in a folder, or in the first folder above it that exists."""
    try:
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(_PROBE_BYTES))
    except OSError as error:
        raise UsageError(f"{what} cannot be written: {strerror(error)}; {advice}.") from None
