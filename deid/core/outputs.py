"""The files of the output tree: listing and deleting them without ever following a link."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from deid.core.errors import Held, UsageError
from deid.core.files import strerror, sync_folder

PARTIAL_PREFIX = ".mami-deid-partial-"
FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def list_outputs(out: Path) -> Iterator[str]:
    """Every file below the output by relative name, links included; hidden folders of a run are left out."""
    stack = [""]
    while stack:
        relative = stack.pop()
        try:
            with os.scandir(out / relative) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise UsageError(f"a folder of the output cannot be read: {strerror(error)}.") from None
        for entry in entries:
            name = f"{relative}/{entry.name}" if relative else entry.name
            if not entry.is_dir(follow_symlinks=False):
                yield name
            elif relative or not entry.name.startswith(PARTIAL_PREFIX):
                stack.append(name)


def remove_outputs(out: Path, relatives: Iterable[str]) -> list[str]:
    """Deletes outputs and the folders that become empty, without following a link; returns what is gone now.

    Files that are gone already count as deleted. The caller forgets the returned names in the journal.
    """
    gone: list[str] = []
    root = os.open(out, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for relative in relatives:
            check_relative(relative)
            if _remove(root, relative.split("/")):
                gone.append(relative)
        sync_folder(root)
    finally:
        os.close(root)
    return gone


def check_relative(relative: str) -> None:
    """Refuse a name that leaves the output folder or hides in the folder of a run."""
    parts = relative.split("/")
    if (
        "\0" in relative
        or any(part in ("", ".", "..") for part in parts)
        or parts[0].startswith(PARTIAL_PREFIX)
    ):
        raise Held("output name leaves the output folder")


def _remove(folder: int, parts: Sequence[str]) -> bool:
    """Deletes ``parts`` below an open folder; whether the file is gone."""
    try:
        if len(parts) == 1:
            os.unlink(parts[0], dir_fd=folder)
            return True
        below = os.open(parts[0], FOLDER_FLAGS, dir_fd=folder)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        gone = _remove(below, parts[1:])
    finally:
        os.close(below)
    with suppress(OSError):  # not empty: other outputs lie in it
        os.rmdir(parts[0], dir_fd=folder)
    return gone
