"""A project: one state folder with one key, outside the output.

Pseudonyms, UIDs and shifts agree within a project and only there. By default every output is a project of its
own, so that two recipients cannot join their releases; ``--project`` and ``--state`` join runs on purpose.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from deid.core.errors import UsageError
from deid.core.files import lies_inside, refuse_inside, strerror
from deid.core.journal import Journal
from deid.core.keys import KEY_VARIABLE, ProjectKey, key_source, load_key
from deid.core.pseudonyms import Pseudonyms

APPLICATION = "mami-deid"

_KEY = "key"
_LOCK = "lock"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class ProjectOptions:
    """Where a project lies and where its key comes from, as given on the command line.

    Attributes:
        out: The output folder; None only where ``name`` or ``state`` says where the project is.
        name: ``--project``: a name of 1 to 64 letters, digits, ``.``, ``_``, ``-``.
        state: ``--state``: the state folder itself.
        key_file: ``--key-file``.
    """

    out: Path | None
    name: str | None = None
    state: Path | None = None
    key_file: Path | None = None

    def folder(self) -> Path:
        """The state folder.

        Raises:
            UsageError: ``name`` and ``state`` are both given, the name is not valid, or nothing is given.
        """
        if self.name is not None and self.state is not None:
            raise UsageError("--project and --state were both given; give one of them.")
        if self.state is not None:
            return Path(os.path.realpath(self.state))
        import platformdirs

        base = Path(platformdirs.user_state_path(APPLICATION, appauthor=False))
        if self.name is not None:
            if not _NAME.fullmatch(self.name):
                raise UsageError(
                    "the project's name is not valid; use 1 to 64 letters, digits, '.', '_' or '-', "
                    "the first a letter or digit."
                )
            return base / "projects" / self.name
        if self.out is None:
            raise UsageError("no output, --project or --state was given; give one, to say which project.")
        return base / hashlib.sha256(os.fsencode(os.path.realpath(self.out))).hexdigest()[:32]


class Project:
    """An open project; use it as a context manager.

    Attributes:
        state: The state folder (mode 0700).
        key: The key.

    Open it with :meth:`open`.
    """

    def __init__(self, state: Path, key: ProjectKey, out: Path | None, lock: int) -> None:
        self.state = state
        self.key = key
        self._out = out
        self._lock = lock

    @classmethod
    def open(
        cls,
        options: ProjectOptions,
        *,
        create: bool = True,
        exclusive: bool = False,
        environment: Mapping[str, str] | None = None,
        prompt: Callable[[], str] | None = None,
    ) -> Self:
        """Opens a project, made where missing, and locks it.

        Args:
            options: Where it is.
            create: Make state folder and key where missing.
            exclusive: Allow no other run meanwhile (``--replace``, ``--prune``, change of key); else any
                number of runs (shards) share the project.
            environment: In place of ``os.environ``.
            prompt: Asks for the passphrase of an encrypted key.

        Raises:
            UsageError: The state folder or the key cannot be used, lies inside the output, or is in use.
        """
        environment = os.environ if environment is None else environment
        state = options.folder()
        if options.out is not None:
            refuse_inside(state, options.out, "the state folder")
            if lies_inside(options.out, state):
                raise UsageError("the output lies inside the state folder, which is private; name another.")
            if options.key_file is not None:
                refuse_inside(options.key_file, options.out, "the key file")
        _prepare_folder(state, create)
        lock = _take_lock(state / _LOCK, exclusive)
        try:
            given = options.key_file is not None or bool(environment.get(KEY_VARIABLE))
            if not given:
                _check_key_is_there(state, create)
            key = load_key(state / _KEY, options.key_file, environment, prompt)
            _check_fingerprint(lock, key, key_source(options.key_file, environment))
        except BaseException:
            os.close(lock)
            raise
        return cls(state, key, options.out, lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Releases the lock."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def pseudonyms(self, *, keep_times: bool = False) -> Pseudonyms:
        """The pseudonyms of the project."""
        return Pseudonyms(self.key, keep_times=keep_times)

    def journal(self, *, create: bool = True) -> Journal:
        """The journal of the output of this run; every output of a project has its own.

        Raises:
            UsageError: The project was opened without an output, or the journal cannot be used.
        """
        if self._out is None:
            raise UsageError("no output was given; give the output folder whose journal is meant.")
        return Journal(self.state / self._journal_name(self._out), self.key, create=create)

    def journals(self) -> list[Journal]:
        """The journals of all outputs of the project, opened; the caller closes them."""
        return [Journal(path, self.key, create=False) for path in sorted(self.state.glob("journal-*.sqlite"))]

    def resolve(self, reference: str) -> list[str]:
        """The relative input paths that a reference of a message stands for, from all journals."""
        with contextlib.ExitStack() as stack:
            journals = [stack.enter_context(journal) for journal in self.journals()]
            return sorted({path for journal in journals for path in journal.resolve(reference)})

    def refuse_inside_outputs(self, path: Path, what: str) -> None:
        """Refuses a private file inside the output of this run or any other output that has a journal here.

        Args:
            path: The private path; it need not exist.
            what: Its name in the message, such as ``"the review"``.

        Raises:
            UsageError: It lies inside one.
        """
        folders = Path(os.path.realpath(path)).parents
        known = [folder for folder in folders if (self.state / self._journal_name(folder)).exists()]
        for out in (*known, *([self._out] if self._out is not None else [])):
            refuse_inside(path, out, what)

    def _journal_name(self, out: Path) -> str:
        digest = Pseudonyms(self.key).digest("output", os.path.realpath(out))
        return f"journal-{digest[:8].hex()}.sqlite"


def _prepare_folder(state: Path, create: bool) -> None:
    if not create and not state.is_dir():
        raise UsageError("there is no such project; check the output, --project or --state.")
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = stat.S_IMODE(state.stat().st_mode)
    except OSError as error:
        raise UsageError(f"the state folder cannot be made or opened: {strerror(error)}.") from None
    if mode & 0o077:
        raise UsageError(
            f"the state folder has mode {mode:04o}, so others can reach it; run chmod 700 on it."
        )


def _check_key_is_there(state: Path, create: bool) -> None:
    """A new key beside an old journal would split the project in two without a word."""
    if (state / _KEY).exists():
        return
    if not create or any(state.glob("journal-*.sqlite")):
        raise UsageError(
            "the key of this project is missing from its state folder; restore it from a copy, "
            "or give the key that it was made with (--key-file, MAMI_DEID_KEY)."
        )


def _check_fingerprint(lock: int, key: ProjectKey, what: str) -> None:
    """Compares the key with the one the project began with; the lock file keeps its fingerprint."""
    own = key.fingerprint.encode("ascii")
    known = os.pread(lock, 64, 0)
    if not known:
        os.pwrite(lock, own, 0)
        os.fsync(lock)
    elif known != own:
        raise UsageError(
            f"{what} is not the one this project was made with; give that key (--key-file, MAMI_DEID_KEY), "
            "or name another project or output for the new key."
        )


def _take_lock(path: Path, exclusive: bool) -> int:
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UsageError(f"the state folder cannot be written: {strerror(error)}.") from None
    try:
        fcntl.flock(lock, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise UsageError(
            "another run uses this project; wait until it has ended"
            + (" (this command needs the project for itself)." if exclusive else ".")
        ) from None
    except OSError as error:
        os.close(lock)
        raise UsageError(
            f"the state folder cannot be locked: {strerror(error)}; use --state on a local disk."
        ) from None
    return lock
