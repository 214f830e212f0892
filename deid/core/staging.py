"""The output tree: files appear in it finished or not at all.

A batch of files is written into a hidden folder inside the output, made durable, and renamed into place. A
killed run leaves at most that folder, which the next run removes.
"""

import errno
import fcntl
import hashlib
import os
import platform
import re
import stat
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from deid.core.errors import Held, UsageError
from deid.core.files import strerror, sync_folder
from deid.core.outputs import FOLDER_FLAGS, PARTIAL_PREFIX, check_relative

_BUFFER = _COPIED = 1 << 16
_FLUSHERS = 4
_LOCK = "lock"
_FOREIGN_AGE = (
    3600.0  # seconds without a new file, after which a folder of another machine counts as left over
)


@dataclass(frozen=True, slots=True)
class FileRange:
    """Bytes of an open file to copy: ``length`` from ``offset`` of ``descriptor``, never all in memory."""

    descriptor: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Written:
    """A file in its place: relative name, size in bytes, time of its content in nanoseconds since 1970."""

    relative: str
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class _Staged:
    """A file that waits in the hidden folder, and its way to the disk."""

    temporary: str
    written: Written
    flush: Future[None]


class Staging:
    """Writes batches of files into the output tree; use it as a context manager.

    Args:
        out: The output folder; it is made where missing.

    Raises:
        UsageError: The output folder cannot be made or written.
    """

    def __init__(self, out: Path) -> None:
        try:
            out.mkdir(parents=True, exist_ok=True)
            self._out = os.open(out, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise UsageError(f"the output folder cannot be made or opened: {strerror(error)}.") from None
        remove_leftovers(out)
        try:
            self._name, self._lock = _new_partial(self._out)
            self._partial = os.open(self._name, FOLDER_FLAGS, dir_fd=self._out)
        except OSError as error:
            os.close(self._out)
            raise UsageError(f"the output folder cannot be written: {strerror(error)}.") from None
        self._root = out
        self._staged: dict[str, _Staged] = {}
        # Files are made durable while the next ones are still being written: waiting for the disk costs
        # the run no time, and file systems join flushes that come together.
        self._flusher = ThreadPoolExecutor(_FLUSHERS, "flush")
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def folder(self) -> Path:
        """The hidden folder, on the disk of the output: for temporary files that nobody else sees."""
        return self._root / self._name

    def write(self, relative: str, chunks: Iterable[bytes | bytearray | memoryview | FileRange]) -> int:
        """Stages one file and returns its size in bytes; it appears in the tree at :meth:`commit`.

        Raises:
            Held: The name leaves the output or is staged already, the disk is full, or an input range is cut.
        """
        check_relative(relative)
        if relative in self._staged:
            raise Held("two inputs lead to one output")
        self._count += 1
        temporary = f"{self._count:08d}"
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            descriptor = os.open(temporary, flags, 0o666, dir_fd=self._partial)
        except OSError as error:
            raise Held(f"cannot be written: {strerror(error)}") from None
        try:
            with os.fdopen(descriptor, "wb", buffering=_BUFFER, closefd=False) as stream:
                for chunk in chunks:
                    if isinstance(chunk, FileRange):
                        _copy_range(chunk, stream)
                    else:
                        stream.write(chunk)
            status = os.fstat(descriptor)
        except BaseException as error:
            # Whatever stopped it, the caller's own error or Ctrl-C: no half file may reach a commit.
            os.close(descriptor)
            with suppress(OSError):
                os.unlink(temporary, dir_fd=self._partial)
            if isinstance(error, OSError):
                raise Held(f"cannot be written: {strerror(error)}") from None
            raise
        flush = self._flusher.submit(_flush, descriptor)
        self._staged[relative] = _Staged(
            temporary, Written(relative, status.st_size, status.st_mtime_ns), flush
        )
        return status.st_size

    def staged_path(self, relative: str) -> Path:
        """Where a staged file lies until it is committed, to read it back."""
        return self._root / self._name / self._staged[relative].temporary

    def withdraw(self, relative: str) -> None:
        """Takes one staged file back, so that the next commit does not release it."""
        file = self._staged.pop(relative, None)
        if file is not None:
            wait([file.flush])
            os.unlink(file.temporary, dir_fd=self._partial)

    def commit(self) -> list[Written]:
        """Makes all staged files durable and moves them into place, in the order of writing.

        Raises:
            Held: It could not be done (disk full, a link or folder in the way); no file of the batch is left.
        """
        staged, self._staged = self._staged, {}
        folders = _Folders(self._out)
        placed: list[Written] = []
        try:
            wait([file.flush for file in staged.values()])
            for file in staged.values():
                file.flush.result()
            # All folders first: what can fail must fail before the first file appears.
            places = [
                (name, folders.open(name.rpartition("/")[0]), name.rpartition("/")[2]) for name in staged
            ]
            for relative, folder, name in places:
                file = staged[relative]
                os.rename(file.temporary, name, src_dir_fd=self._partial, dst_dir_fd=folder)
                placed.append(file.written)
            folders.sync(self._flusher)
        except OSError as error:
            self._roll_back(staged, placed, folders)
            raise Held(f"cannot be written: {_reason(error)}") from None
        finally:
            folders.close()
        return placed

    def close(self) -> None:
        """Removes what was not committed and the hidden folder."""
        if self._partial < 0:
            return
        self._flusher.shutdown()
        _empty_partial(self._out, self._name)
        for descriptor in (self._partial, self._lock, self._out):
            os.close(descriptor)
        self._partial = -1

    def _roll_back(
        self, staged: dict[str, "_Staged"], placed: Sequence[Written], folders: "_Folders"
    ) -> None:
        for written in placed:
            folder, _, name = written.relative.rpartition("/")
            with suppress(OSError):
                os.unlink(name, dir_fd=folders.open(folder))
        for file in staged.values():
            with suppress(OSError):
                os.unlink(file.temporary, dir_fd=self._partial)


class _Folders:
    """The open folders of one commit; every one is reached from the output without following a link."""

    def __init__(self, out: int) -> None:
        self._open: dict[str, int] = {"": os.dup(out)}

    def open(self, relative: str) -> int:
        found = self._open.get(relative)
        if found is not None:
            return found
        parent, _, name = relative.rpartition("/")
        above = self.open(parent)
        with suppress(FileExistsError):
            os.mkdir(name, dir_fd=above)
        descriptor = os.open(name, FOLDER_FLAGS, dir_fd=above)
        self._open[relative] = descriptor
        return descriptor

    def sync(self, flusher: ThreadPoolExecutor) -> None:
        for _ in flusher.map(sync_folder, self._open.values()):
            pass

    def close(self) -> None:
        for descriptor in self._open.values():
            os.close(descriptor)


def _flush(descriptor: int) -> None:
    try:
        sync_file(descriptor)
    finally:
        os.close(descriptor)


def sync_file(descriptor: int) -> None:
    """Makes the content of a file durable; on macOS past the cache of the drive."""
    full = getattr(fcntl, "F_FULLFSYNC", None)
    if full is not None:
        fcntl.fcntl(descriptor, full)
    else:
        os.fsync(descriptor)


def remove_leftovers(out: Path) -> int:
    """Removes the hidden folders that killed runs left in the output; returns how many."""
    root = os.open(out, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    removed = 0
    try:
        for name in os.listdir(root):  # noqa: PTH208 - by descriptor, which no rename can swap
            if name.startswith(PARTIAL_PREFIX) and _is_left_over(root, name):
                removed += 1
    finally:
        os.close(root)
    return removed


def _copy_range(part: FileRange, stream: BinaryIO) -> None:
    """Copies piece by piece; each is read back while it is in the processor's cache, and compared."""
    stream.flush()
    target, offset, left = stream.fileno(), part.offset, part.length
    at = os.lseek(target, 0, os.SEEK_CUR)
    while left:
        data = _read(part.descriptor, min(left, _COPIED), offset)
        if not data:
            raise Held("unreadable: truncated")
        done = os.write(target, data)
        if os.pread(target, done, at) != data[:done]:
            raise Held("verification: the written bytes are not those that were read")
        offset, at, left = offset + done, at + done, left - done


def _read(descriptor: int, length: int, offset: int) -> bytes:
    try:
        return os.pread(descriptor, length, offset)
    except OSError as error:
        raise Held(f"unreadable: {strerror(error)}") from None


def _new_partial(out: int) -> tuple[str, int]:
    """Makes and locks a hidden folder; returns its name and the descriptor of its lock."""
    while True:
        name = f"{PARTIAL_PREFIX}{_machine()}-{os.getpid()}-{os.urandom(4).hex()}"
        os.mkdir(name, 0o700, dir_fd=out)
        lock = os.open(f"{name}/{_LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=out)
        with suppress(
            OSError
        ):  # a file system without locks: then nobody can take the folder for a left-over
            fcntl.flock(lock, fcntl.LOCK_EX)
        # Between mkdir and the lock another run may have taken the folder for a left-over and removed it.
        if os.fstat(lock).st_nlink:
            return name, lock
        os.close(lock)


def _is_left_over(out: int, name: str) -> bool:
    """Removes the folder if no living process holds its lock; whether it did."""
    try:
        status = os.stat(name, dir_fd=out, follow_symlinks=False)
        if not stat.S_ISDIR(status.st_mode):
            return False
        own = re.match(re.escape(PARTIAL_PREFIX + _machine()) + "-", name) is not None
        # Locks of another machine may be invisible here (Lustre, some NFS mounts): let its folder grow old.
        if not own and time.time() - status.st_mtime < _FOREIGN_AGE:
            return False
        lock = os.open(f"{name}/{_LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=out)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _empty_partial(out, name)
    except OSError:
        return False
    finally:
        os.close(lock)
    return True


def _empty_partial(out: int, name: str) -> None:
    with suppress(OSError):
        folder = os.open(name, FOLDER_FLAGS, dir_fd=out)
        try:
            # The lock goes last, so that a removal cut short can be finished by the next run.
            entries = os.listdir(folder)  # noqa: PTH208 - by descriptor
            for entry in sorted(entries, key=lambda entry: entry == _LOCK):
                os.unlink(entry, dir_fd=folder)
        finally:
            os.close(folder)
        os.rmdir(name, dir_fd=out)


def _machine() -> str:
    return hashlib.blake2s(platform.node().encode(), digest_size=4).hexdigest()


def _reason(error: OSError) -> str:
    in_the_way = (errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY)
    return "a link or folder is in the way" if error.errno in in_the_way else strerror(error)
