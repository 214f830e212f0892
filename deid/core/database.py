"""The SQLite file of a project: opening, schema, transactions, and errors that a user can act on."""

import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deid.core.errors import UsageError

APPLICATION_ID = 0x4D414D49  # "MAMI"
SCHEMA_VERSION = 1

_WAIT_MS = 60_000
_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE inputs (
    ref BLOB NOT NULL UNIQUE, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, ctime_ns INTEGER NOT NULL,
    kind TEXT NOT NULL, patient BLOB NOT NULL, record BLOB NOT NULL, run INTEGER NOT NULL);
CREATE INDEX inputs_by_patient ON inputs (patient, ref);
CREATE TABLE paths (ref BLOB PRIMARY KEY, path BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE units (
    ref BLOB NOT NULL UNIQUE, done_key BLOB NOT NULL, context BLOB NOT NULL, status TEXT NOT NULL,
    reason TEXT NOT NULL, outputs TEXT NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    details TEXT NOT NULL);
CREATE TABLE outputs (
    path TEXT PRIMARY KEY, ref BLOB NOT NULL, context BLOB NOT NULL, current INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX outputs_by_ref ON outputs (ref);
CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, started REAL NOT NULL, ended REAL, recipe TEXT NOT NULL,
    options BLOB NOT NULL, roots BLOB NOT NULL, counts TEXT NOT NULL DEFAULT '{}', exit_status INTEGER);
CREATE TABLE exports (
    id INTEGER PRIMARY KEY AUTOINCREMENT, made REAL NOT NULL, recipient TEXT NOT NULL, rows INTEGER NOT NULL);
"""


class Database:
    """One connection to the journal's file, made where missing with mode 0600.

    A connection belongs to the process that opened it. Several processes of one machine may each open the
    file (write-ahead log); it must lie on a local disk.

    Args:
        path: The file.
        create: Make it where missing.

    Raises:
        UsageError: The file is missing, damaged, of another program, or made by a newer version.
    """

    def __init__(self, path: Path, *, create: bool = True) -> None:
        if not create and not path.exists():
            raise UsageError("there is no journal for this output; run scrub first, or name its project.")
        with guarded():
            _make_private(path)
            self._connection = sqlite3.connect(
                path, timeout=_WAIT_MS / 1000, isolation_level=None, check_same_thread=False
            )
            try:
                self._prepare()
            except BaseException:
                self._connection.close()
                raise

    def close(self) -> None:
        """Closes the connection; what was committed stays."""
        with guarded():
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One write transaction: all of it becomes durable at the end, or nothing."""
        with guarded():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows of a query."""
        with guarded():
            return self._connection.execute(query, values).fetchall()

    def rows_of(self, query: str, refs: Iterable[bytes]) -> Iterator[Any]:
        """The rows of a query ending in ``ref IN (...)``, asked for 500 refs at a time."""
        pending = list(refs)
        for start in range(0, len(pending), 500):
            part = pending[start : start + 500]
            yield from self.rows(f"{query} ({','.join('?' * len(part))})", part)

    def _prepare(self) -> None:
        execute = self._connection.execute
        execute(f"PRAGMA busy_timeout={_WAIT_MS}")
        # The first statement that reads the file: a file of another kind fails here.
        # One transaction, so that a file which another process is making is seen empty or whole.
        execute("BEGIN")
        tables = execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        application, version = execute("PRAGMA application_id").fetchone()[0], _version(self._connection)
        execute("COMMIT")
        fresh = version == 0 and not tables
        if not fresh and application != APPLICATION_ID:
            raise UsageError("the journal's file was made by another program; name another state folder.")
        if version > SCHEMA_VERSION:
            raise UsageError("the journal was made by a newer mami-deid; update this one.")
        self._use_write_ahead_log()
        # FULL: a planned row must survive a power cut, or its file would look like a stranger's.
        execute("PRAGMA synchronous=FULL")
        execute("PRAGMA cache_size=-65536")
        # Digests are random, so every batch touches pages all over; write them back every 64 MiB only.
        execute("PRAGMA wal_autocheckpoint=16384")
        if fresh:
            self._create()

    def _use_write_ahead_log(self) -> None:
        """Switch the journal mode; SQLite does not wait for others here, so this does."""
        deadline = time.monotonic() + _WAIT_MS / 1000
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode=WAL")
            except sqlite3.OperationalError as error:
                busy = getattr(error, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))
                if not busy or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return

    def _create(self) -> None:
        with self.transaction() as connection:
            if _version(connection):
                return  # another process of the project was first
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")


@contextmanager
def guarded() -> Iterator[None]:
    """Turns errors of SQLite into messages that say what to do; its own texts may carry values or paths."""
    try:
        yield
    except sqlite3.OperationalError as error:
        name = getattr(error, "sqlite_errorname", "")
        raise UsageError(_ADVICE.get(name.split("_")[1] if "_" in name else "", _CANNOT_USE)) from None
    except (sqlite3.ProgrammingError, sqlite3.IntegrityError):
        raise  # a mistake of ours, not of the file
    except sqlite3.DatabaseError:
        raise UsageError(_DAMAGED) from None
    except OSError as error:
        raise UsageError(f"{_CANNOT_USE} ({os.strerror(error.errno or 0).lower()})") from None


_CANNOT_USE = "the journal in the state folder cannot be opened or written; check its rights and its disk."
_DAMAGED = (
    "the journal in the state folder is damaged or is not a journal; restore the state folder from a copy, "
    "or move the journal away and run again with --replace."
)
_ADVICE = {
    "FULL": "the disk of the state folder is full; free some space and run the same command again.",
    "BUSY": "another run kept the journal busy for a minute; wait for it and run the same command again.",
    "LOCKED": "another run kept the journal busy for a minute; wait for it and run the same command again.",
    "READONLY": "the journal in the state folder is read-only; make the state folder writable.",
    "CORRUPT": _DAMAGED,
    "NOTADB": _DAMAGED,
}


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _make_private(path: Path) -> None:
    """Makes the file with mode 0600 before SQLite does; its side files take over the mode."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(descriptor).st_mode & 0o077:
            os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)
