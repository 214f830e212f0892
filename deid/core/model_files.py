"""The files of a model folder: opened with care, written all or none, removed alone."""

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import IO

from deid.core.errors import UsageError
from deid.core.files import strerror, sync_folder
from deid.core.models import MANIFEST, check_name

WEIGHTS = "weights.safetensors"
CARD = "card.md"
LARGEST = {MANIFEST: 1 << 20, CARD: 1 << 20, WEIGHTS: 2 << 30}
"""The files of a model folder, and the bytes that each may have at most."""

_PIECE = 1 << 20


def open_file(folder: Path, name: str) -> BufferedReader:
    """Opens one of the files of a model folder for reading.

    Raises:
        UsageError: It is missing, unreadable, no regular file (a link could lead out of the folder), or
            larger than :data:`LARGEST` says.
    """
    where = f"{name} of the model {folder.name}"
    try:
        # O_NONBLOCK: a pipe in the place of the file must not stop the run.
        descriptor = os.open(folder / name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise UsageError(f"{where} is a symbolic link; put the file itself there.") from None
        raise UsageError(f"{where} cannot be read: {strerror(error)}; import the model again.") from None
    status = os.fstat(descriptor)
    problem = ""
    if not stat.S_ISREG(status.st_mode):
        problem = "is not a regular file; a model folder holds plain files"
    elif status.st_size > LARGEST[name]:
        problem = f"has {status.st_size} bytes; at most {LARGEST[name]} are allowed"
    if problem:
        os.close(descriptor)
        raise UsageError(f"{where} {problem}.")
    return os.fdopen(descriptor, "rb")


def sha256_of(folder: Path, name: str) -> str:
    """The SHA-256 of one of the files, in hex.

    Raises:
        UsageError: It cannot be read.
    """
    with open_file(folder, name) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def copy_file(source: IO[bytes], folder: Path, name: str) -> None:
    """Copies a stream into a new file of the folder.

    Raises:
        UsageError: The stream is longer than :data:`LARGEST` says.
    """
    written = 0
    with (folder / name).open("xb") as target:
        while piece := source.read(_PIECE):
            written += len(piece)
            if written > LARGEST[name]:
                raise UsageError(f"{name} has more than the {LARGEST[name]} bytes that are allowed.")
            target.write(piece)


@contextmanager
def new_folder(target: Path, *, replace: bool = False) -> Iterator[Path]:
    """A hidden folder beside ``target``, which takes that name when the block ends without an error.

    Whoever is killed while a model is replaced leaves the old one or the new one whole: under the target's
    name, or, between two renames, the old one as ``.NAME.old``, which the next call puts back.

    Args:
        target: The model folder to make; its name is the model's.
        replace: Whether it may take the place of a model folder that is there.

    Raises:
        UsageError: The name is not allowed, something is in the way, or the folder cannot be written.
    """
    target = Path(os.path.abspath(target))  # noqa: PTH100 - a link at the end is judged, not followed
    check_name(target.name)
    _settle(target)
    exists = os.path.lexists(target)
    if exists and not replace:
        raise UsageError(f"{target} exists; remove it first, or give another folder.")
    if exists:
        _refuse_strangers(target)
    hidden = target.with_name(f".{target.name}.{os.urandom(4).hex()}")
    try:
        hidden.mkdir(parents=True)
        yield hidden
        for file in hidden.iterdir():
            _sync(file)
        try:
            if exists:
                target.rename(_aside(target))
            hidden.rename(target)
            sync_folder(target.parent)
        finally:
            _settle(target)
    except OSError as error:
        raise UsageError(f"the model folder {target} cannot be written: {strerror(error)}.") from None
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def remove_folder(folder: Path) -> None:
    """Removes a model folder, and nothing else that may lie in it.

    Raises:
        UsageError: It holds something that no model has, or cannot be removed.
    """
    _settle(folder)  # or what it has replaced would come back in its place
    _refuse_strangers(folder)
    aside = folder.with_name(f".{folder.name}.{os.urandom(4).hex()}")
    try:
        folder.rename(aside)  # at once, so that nobody meets half a model
        shutil.rmtree(aside)
    except OSError as error:
        raise UsageError(f"the model folder {folder} cannot be removed: {strerror(error)}.") from None


def _aside(target: Path) -> Path:
    """Where a model lies while another takes its place; no temporary folder has such a name."""
    return target.with_name(f".{target.name}.old")


def _settle(target: Path) -> None:
    """Ends a replacement: the old model goes if the new one is in its place, and comes back if not."""
    old = _aside(target)
    if not os.path.lexists(old):
        return
    _refuse_strangers(old)
    try:
        if os.path.lexists(target):
            shutil.rmtree(old)
        else:
            old.rename(target)
    except OSError as error:
        raise UsageError(f"the folder {old} cannot be moved or removed: {strerror(error)}.") from None


def _refuse_strangers(folder: Path) -> None:
    if folder.is_symlink() or not folder.is_dir():
        raise UsageError(f"{folder} is not a folder; remove it by hand.")
    strangers = [entry for entry in folder.iterdir() if entry.name not in LARGEST or entry.is_dir()]
    if strangers:
        raise UsageError(f"{folder} holds {len(strangers)} entries that no model has; remove it by hand.")


def _sync(file: Path) -> None:
    with file.open("rb") as stream:
        os.fsync(stream.fileno())
