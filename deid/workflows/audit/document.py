"""The file of ``--sr``: the result as a DICOM SR, whole from the moment it appears."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from deid.core.errors import UsageError
from deid.core.files import lies_inside, strerror, sync_folder


@dataclass(frozen=True)
class Document:
    """A file that is not there yet; made by :meth:`new`, which checks it.

    Attributes:
        path: Where it will lie.
    """

    path: Path

    @classmethod
    def new(cls, path: Path, roots: Sequence[Path] = ()) -> Self:
        """A new file.

        Args:
            path: The file.
            roots: Folders that it may not lie in: a release would carry it along.

        Raises:
            UsageError: It lies in one of them, or something lies there.
        """
        if any(lies_inside(path, root) for root in roots):
            raise UsageError(
                "--sr lies inside one of the audited folders or the state folder; name a file outside them."
            )
        if os.path.lexists(path):
            raise UsageError("--sr names what is there already; name a new file.")
        return cls(path)

    def save(self, result: Mapping[str, Any]) -> None:
        """Write the document of a result.

        Raises:
            UsageError: It cannot be written, or something lies there by now.
        """
        from deid.audit.structured_report import structured_report

        made = structured_report(result, datetime.now(UTC))
        partial = self.path.with_name(f".{os.urandom(8).hex()}.part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with partial.open("xb") as stream:
                    made.save_as(stream, enforce_file_format=True)
                    stream.flush()
                    os.fsync(stream.fileno())
                    os.fchmod(stream.fileno(), 0o644)
                self.new(self.path)  # nothing came there during the audit
                partial.replace(self.path)
            finally:
                with suppress(FileNotFoundError):
                    partial.unlink()
            sync_folder(self.path.parent)
        except OSError as error:
            raise UsageError(f"the file of --sr cannot be written: {strerror(error)}.") from None
