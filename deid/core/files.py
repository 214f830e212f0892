"""The input tree: what lies in it, and that it and the output tree stay apart."""

import errno
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

from deid.core.errors import UsageError

SYMBOLIC_LINK = "symbolic link"
LINK_OUT_OF_TREE = "symbolic link out of the tree"
BROKEN_LINK = "broken symbolic link"
SPECIAL_FILE = "not a regular file"
UNREADABLE_FOLDER = "unreadable folder"
UNREADABLE_FILE = "unreadable file"
VERSION_CONTROL = "version control folder"
NOT_FOUND = "not found"

_VERSION_CONTROL_FOLDERS = frozenset({".git", ".hg", ".svn"})


@dataclass(frozen=True, slots=True)
class InputFile:
    """A regular file of the input.

    Attributes:
        path: Where to read it.
        relative: Its name below the input root with ``/``; undecodable bytes are lone surrogates (PEP 383).
        size: Bytes.
        mtime_ns: Time of the last change of the content, in nanoseconds since 1970.
        ctime_ns: Time of the last change of the file's status, in nanoseconds since 1970.
    """

    path: Path
    relative: str
    size: int
    mtime_ns: int
    ctime_ns: int


@dataclass(frozen=True, slots=True)
class SkippedInput:
    """Something in the input tree that is not read; ``reason`` is one of the fixed phrases of this module."""

    path: Path
    relative: str
    reason: str


def check_roots(inputs: Sequence[Path], out: Path) -> None:
    """Refuses an output that is, holds or lies in an input; links and letter case of the file system count.

    Raises:
        UsageError: As above, or an input does not exist, or the output exists and is not a folder.
    """
    if not inputs:
        raise UsageError("no input was given; give a folder or a file.")
    if os.path.lexists(out) and not os.path.isdir(out):  # noqa: PTH112 - Path.is_dir() raises without rights
        raise UsageError(
            "the output exists and is not a folder; give the name of a new or earlier output folder."
        )
    for given in inputs:
        if not os.path.exists(given):  # noqa: PTH110 - Path.exists() raises without rights
            raise UsageError(f"the input does not exist or cannot be reached: {_shown(given)}; check it.")
        if lies_inside(out, given):
            raise UsageError("the output is the input or lies inside it; give another output folder.")
        if lies_inside(given, out):
            raise UsageError("the input lies inside the output; give another output folder.")


def refuse_inside(path: Path, out: Path, what: str) -> None:
    """Refuses a private file or folder inside the output, which is made to be shared.

    Args:
        path: The private path; it need not exist.
        out: The output folder; it need not exist.
        what: Its name in the message, such as ``"the key file"``.

    Raises:
        UsageError: It lies inside.
    """
    if lies_inside(path, out):
        raise UsageError(
            f"{what} lies inside the output folder, which is made to be shared; put it elsewhere."
        )


def lies_inside(path: Path, folder: Path) -> bool:
    """Whether ``path`` is ``folder`` or lies in it, by resolved name or by identity of the folders above."""
    # realpath() also takes a loop of links, where Path.resolve() raises before Python 3.13.
    resolved, other = Path(os.path.realpath(path)), Path(os.path.realpath(folder))
    if resolved.is_relative_to(other):
        return True
    identity = _identity(other)
    # Names differ on a file system without letter case, and below a bind mount, though the folder is one.
    return identity is not None and any(_identity(p) == identity for p in (resolved, *resolved.parents))


def discover(root: Path) -> Iterator[InputFile | SkippedInput]:
    """All files below ``root`` at any depth, depth first, sorted by name in every folder.

    No symbolic link to a folder is followed. A link to a file is skipped, because its target is met elsewhere
    in the tree or lies out of it; only git-annex links are read (their targets lie in the skipped ``.git``).

    Args:
        root: A folder or one file; a link named here by the user is followed.
    """
    base = Path(os.path.realpath(root))
    if not base.is_dir():
        yield _listed(base, root.name)
        return
    stack: list[os.DirEntry[str] | SkippedInput] = _entries(os.fspath(base), "")
    prefix = len(os.path.join(base, ""))  # noqa: PTH118 - one text per file, not one Path per file
    while stack:
        entry = stack.pop()
        if isinstance(entry, SkippedInput):
            yield entry
            continue
        relative = entry.path[prefix:]
        if entry.is_symlink():
            yield _link(entry.path, relative, base)
        elif not entry.is_dir(follow_symlinks=False):
            yield _file(entry, relative)
        elif entry.name in _VERSION_CONTROL_FOLDERS:
            yield SkippedInput(Path(entry.path), relative, VERSION_CONTROL)
        else:
            stack.extend(_entries(entry.path, relative))


def read_file_list(stream: BinaryIO, nul: bool) -> Iterator[Path]:
    """Paths from ``--files-from -``: one a line, or (``-0``) ended by NUL; empty ones are passed over."""
    separator = b"\0" if nul else b"\n"
    rest = b""
    while block := stream.read(1 << 16):
        *whole, rest = (rest + block).split(separator)
        yield from (_decoded(part, nul) for part in whole if part.strip(b"\r"))
    if rest.strip(b"\r"):
        yield _decoded(rest, nul)


def discover_listed(paths: Iterable[Path]) -> Iterator[InputFile | SkippedInput]:
    """The files of a list; a folder in it stands for its tree, and a file named twice comes once.

    ``relative`` is the absolute path without its leading ``/``: it does not depend on the rest of the list. A
    link in the list is skipped like one in a tree.
    """
    seen: set[str] = set()
    for path in paths:
        # resolve() would follow the link that is judged below.
        absolute = Path(os.path.abspath(path))  # noqa: PTH100
        prefix = os.fspath(absolute).lstrip("/")
        if absolute.is_symlink():
            found: Iterable[InputFile | SkippedInput] = [SkippedInput(absolute, prefix, SYMBOLIC_LINK)]
        elif absolute.is_dir():
            found = (_below(item, prefix) for item in discover(absolute))
        else:
            found = [_listed(absolute, prefix)]
        for item in found:
            if item.relative not in seen:
                seen.add(item.relative)
                yield item


def strerror(error: OSError) -> str:
    """The system's phrase for an error in lower case, without the path that ``str(error)`` carries."""
    return os.strerror(error.errno).lower() if error.errno else "input/output error"


def sync_folder(folder: Path | int) -> None:
    """Makes new names in a folder durable; a file system that cannot do it (network mounts) is let be."""
    descriptor = folder if isinstance(folder, int) else os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
            raise
    finally:
        if descriptor is not folder:
            os.close(descriptor)


def _entries(folder: str, relative: str) -> list[os.DirEntry[str] | SkippedInput]:
    """The entries of a folder, last name first, since they go onto a stack."""
    try:
        with os.scandir(folder) as entries:
            return [*sorted(entries, key=lambda entry: entry.name, reverse=True)]
    except OSError:
        return [SkippedInput(Path(folder), relative, UNREADABLE_FOLDER)]


def _file(entry: os.DirEntry[str], relative: str) -> InputFile | SkippedInput:
    try:
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return SkippedInput(Path(entry.path), relative, NOT_FOUND)
    except OSError:
        return SkippedInput(Path(entry.path), relative, UNREADABLE_FILE)
    return _judge(Path(entry.path), relative, status)


def _listed(path: Path, relative: str) -> InputFile | SkippedInput:
    try:
        status = path.lstat()
    except OSError as error:
        missing = error.errno in (errno.ENOENT, errno.ENOTDIR)
        return SkippedInput(path, relative, NOT_FOUND if missing else UNREADABLE_FILE)
    return _judge(path, relative, status)


def _judge(path: Path, relative: str, status: os.stat_result) -> InputFile | SkippedInput:
    if not stat.S_ISREG(status.st_mode):
        return SkippedInput(path, relative, SPECIAL_FILE)
    return InputFile(path, relative, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _link(path: str, relative: str, base: Path) -> InputFile | SkippedInput:
    try:
        target = Path(path).resolve(strict=True)
    except (OSError, RuntimeError):  # RuntimeError: a loop of links, before Python 3.13
        return SkippedInput(Path(path), relative, BROKEN_LINK)
    if not target.is_relative_to(base):
        return SkippedInput(Path(path), relative, LINK_OUT_OF_TREE)
    parts = target.relative_to(base).parts
    if any(pair == (".git", "annex") for pair in pairwise(parts)) and target.is_file():
        return _listed(target, relative)
    return SkippedInput(Path(path), relative, SYMBOLIC_LINK)


def _below(item: InputFile | SkippedInput, prefix: str) -> InputFile | SkippedInput:
    relative = f"{prefix}/{item.relative}" if item.relative else prefix
    if isinstance(item, SkippedInput):
        return SkippedInput(item.path, relative, item.reason)
    return InputFile(item.path, relative, item.size, item.mtime_ns, item.ctime_ns)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _decoded(part: bytes, nul: bool) -> Path:
    return Path(os.fsdecode(part if nul else part.removesuffix(b"\r")))


def _shown(path: Path) -> str:
    """A path of the command line for a message; undecodable bytes must not break the terminal."""
    return ascii(os.fspath(path)) if not os.fspath(path).isprintable() else os.fspath(path)
