"""The folder of a report: where it may lie, and files that are whole from the moment they appear."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from deid.core.errors import UsageError
from deid.core.files import lies_inside, strerror, sync_folder

RESULT, PAGE = "audit.json", "audit.html"


class ReportFolder:
    """Where an audit writes; made by :meth:`new` or :meth:`of_result`, which check it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def new(cls, path: Path, roots: Sequence[Path], option: str = "--report") -> Self:
        """A new or empty folder; made with the first file.

        Args:
            path: The folder.
            roots: Folders that it may not lie in: a release would carry it along.
            option: Names it in messages.

        Raises:
            UsageError: It lies in one of them or holds something.
        """
        if any(lies_inside(path, root) for root in roots):
            raise UsageError(
                f"{option} lies inside one of the audited folders or the state folder; name one outside them."
            )
        try:
            if path.exists() and (not path.is_dir() or any(path.iterdir())):
                raise UsageError(f"{option} is not empty; name a new or an empty folder.")
        except OSError as error:
            raise UsageError(f"{option} cannot be read: {strerror(error)}.") from None
        return cls(path)

    @classmethod
    def of_result(cls, result: Path, path: Path) -> Self:
        """The folder that a result lies in, or a new or empty one, for the page of that result.

        Raises:
            UsageError: It is another folder that holds something, maybe the page of another result.
        """
        same = os.path.realpath(path) == os.path.realpath(result.parent)
        return cls(path) if same else cls.new(path, ())

    def save(self, result: Mapping[str, Any]) -> None:
        """Write ``audit.json``, in place of an earlier state of the same audit."""
        self._write(RESULT, json_text(result))

    def save_page(self, page: str) -> None:
        """Write ``audit.html``."""
        self._write(PAGE, page)

    def _write(self, name: str, text: str) -> None:
        partial = self.path / f".{name}-{os.urandom(4).hex()}"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            try:
                with os.fdopen(descriptor, "wb") as stream:
                    stream.write(text.encode("utf-8"))
                    stream.flush()
                    os.fsync(descriptor)
                    os.fchmod(stream.fileno(), 0o644)
                partial.replace(self.path / name)
            finally:
                with suppress(FileNotFoundError):
                    partial.unlink()
            sync_folder(self.path)
        except OSError as error:
            raise UsageError(f"the report cannot be written: {strerror(error)}.") from None


def json_text(result: Mapping[str, Any]) -> str:
    """The text of ``audit.json``; numbers that JSON has no word for are refused."""
    return json.dumps(result, indent=2, allow_nan=False) + "\n"
