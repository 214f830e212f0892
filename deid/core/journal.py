"""The journal of a project: what was found, what became of it, and which runs did it.

It holds keyed digests, sizes, times and pseudonymous output names. What the local operator needs beyond that
(paths, identifiers for the index, options and roots of the runs) is sealed with a sub-key of the project.
"""

import json
import re
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from deid.core.database import Database
from deid.core.errors import UsageError
from deid.core.keys import ProjectKey
from deid.core.outcomes import Outcomes
from deid.core.sealing import Sealer

_REFERENCE = re.compile(r"#?([0-9a-f]{4,32})")
_PAGE = 2000


@dataclass(frozen=True, slots=True)
class InputRow:
    """One input of the index.

    Attributes:
        ref: Keyed digest (16 bytes) of the relative path (``Pseudonyms.path_digest``).
        size: Bytes.
        mtime_ns: Time of the content, nanoseconds since 1970.
        ctime_ns: Time of the status, nanoseconds since 1970.
        kind: What the file is, a word of the caller, such as ``"dicom"``.
        patient: Keyed digest (16 bytes) of the patient's identity; empty where there is none.
        record: What the caller keeps of the headers (identifiers); stored sealed.
        path: The relative path; stored sealed in its own table, where given.
    """

    ref: bytes
    size: int
    mtime_ns: int
    ctime_ns: int
    kind: str
    patient: bytes
    record: bytes
    path: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """One run: options and roots as the caller gave them, unsealed."""

    number: int
    started: float
    ended: float | None
    recipe: str
    options: dict[str, Any]
    roots: dict[str, Any]
    counts: dict[str, int]
    exit_status: int | None


class InputIndex:
    """The index of all inputs: one row for each, its record sealed."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    def known_stats(self, refs: Collection[bytes] | None = None) -> dict[bytes, tuple[int, int, int]]:
        """Size, mtime and ctime (nanoseconds) of the inputs indexed before: of ``refs``, or of all."""
        query = "SELECT ref, size, mtime_ns, ctime_ns FROM inputs"
        found = (
            self._database.rows(query)
            if refs is None
            else self._database.rows_of(f"{query} WHERE ref IN", refs)
        )
        return {ref: (size, mtime, ctime) for ref, size, mtime, ctime in found}

    def upsert(self, rows: Iterable[InputRow], run: int) -> None:
        """Writes new or changed inputs in one transaction and marks them as seen by ``run``."""
        seal = self._sealer.seal
        batch = list(rows)
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT INTO inputs VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (ref) DO UPDATE SET "
                "size=excluded.size, mtime_ns=excluded.mtime_ns, ctime_ns=excluded.ctime_ns, "
                "kind=excluded.kind, patient=excluded.patient, record=excluded.record, "
                "run=max(run, excluded.run)",
                (
                    (r.ref, r.size, r.mtime_ns, r.ctime_ns, r.kind, r.patient, seal(r.record, r.ref), run)
                    for r in batch
                ),
            )
            connection.executemany(
                _PUT_PATH, ((r.ref, _seal_path(self._sealer, r.ref, r.path)) for r in batch if r.path)
            )

    def mark_seen(self, refs: Iterable[bytes], run: int) -> None:
        """Marks unchanged inputs as seen by ``run``; of two runs at a time the later number stays."""
        marks = [(run, ref) for ref in refs]
        with self._database.transaction() as connection:
            connection.executemany("UPDATE inputs SET run=max(run, ?) WHERE ref=?", marks)

    def gone(self, run: int) -> list[bytes]:
        """The inputs that neither ``run`` nor a later one has seen."""
        return [
            ref for (ref,) in self._database.rows("SELECT ref FROM inputs WHERE run<? ORDER BY ref", (run,))
        ]

    def forget(self, refs: Collection[bytes]) -> None:
        """Deletes inputs with their records, sealed paths and unit rows; the outputs' rows stay."""
        with self._database.transaction() as connection:
            for table in ("inputs", "paths", "units"):
                connection.executemany(f"DELETE FROM {table} WHERE ref=?", ((ref,) for ref in refs))  # noqa: S608
            connection.executemany("UPDATE outputs SET current=0 WHERE ref=?", ((ref,) for ref in refs))

    def patients(self) -> list[tuple[bytes, int]]:
        """Every patient digest with the number of inputs, in the order of :meth:`records`."""
        query = "SELECT patient, count(*) FROM inputs GROUP BY patient ORDER BY patient"
        return self._database.rows(query)

    def records(self, patient: bytes | None = None, kind: str | None = None) -> Iterator[InputRow]:
        """The inputs of one patient or kind, or all, ordered by patient and ref, read in pages.

        The journal may be written to between two rows; ``path`` is left empty (:meth:`Journal.path`).
        """
        query = (
            "SELECT ref, size, mtime_ns, ctime_ns, kind, patient, record FROM inputs "
            "WHERE (patient, ref) > (?, ?) AND patient <= ? AND (? IS NULL OR kind = ?) "
            "ORDER BY patient, ref LIMIT ?"
        )
        last_patient, last_ref = patient or b"", b""
        end = b"\xff" * 17 if patient is None else patient
        while page := self._database.rows(query, (last_patient, last_ref, end, kind, kind, _PAGE)):
            for ref, size, mtime, ctime, word, owner, record in page:
                yield InputRow(ref, size, mtime, ctime, word, owner, self._sealer.unseal(record, ref))
            last_ref, last_patient = page[-1][0], page[-1][5]


class Journal:
    """The journal of one output of a project; use it as a context manager.

    Args:
        path: The SQLite file.
        key: The key of the project.
        create: Make the file where missing.

    Attributes:
        inputs: The index of the inputs.
        outcomes: What became of every unit, and the outputs.

    Raises:
        UsageError: The file cannot be used (see :class:`deid.core.database.Database`), or was made with
            another key.
    """

    def __init__(self, path: Path, key: ProjectKey, *, create: bool = True) -> None:
        self._database = Database(path, create=create)
        try:
            self._check_key(key)
        except BaseException:
            self._database.close()
            raise
        self._sealer = key.sealer("journal")
        self.inputs = InputIndex(self._database, key.sealer("index"))
        self._paths = key.sealer("index")
        self.outcomes = Outcomes(self._database)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file."""
        self._database.close()

    def add_paths(self, pairs: Iterable[tuple[bytes, str]]) -> None:
        """Seals the relative paths of refs that have no row in the index (skipped files)."""
        sealed = [(ref, _seal_path(self._paths, ref, path)) for ref, path in pairs]
        with self._database.transaction() as connection:
            connection.executemany(_PUT_PATH, sealed)

    def path(self, ref: bytes) -> str | None:
        """The relative path behind a ref, or None."""
        found = self._database.rows("SELECT ref, path FROM paths WHERE ref=?", (ref,))
        return self._open_path(*found[0]) if found else None

    def paths(self, refs: Collection[bytes]) -> dict[bytes, str]:
        """The relative paths behind refs, where they are known."""
        found = self._database.rows_of("SELECT ref, path FROM paths WHERE ref IN", refs)
        return {ref: self._open_path(ref, path) for ref, path in found}

    def resolve(self, reference: str) -> list[str]:
        """The relative paths that a reference of a message stands for (``#`` and 4 or more hex digits).

        Raises:
            UsageError: It is not a reference.
        """
        match = _REFERENCE.fullmatch(reference.strip().lower())
        if not match:
            raise UsageError("a reference is '#' and 4 to 32 hexadecimal digits, as messages show it.")
        digits = match[1]
        low, high = bytes.fromhex(digits.ljust(32, "0")), bytes.fromhex(digits.ljust(32, "f"))
        found = self._database.rows(
            "SELECT ref, path FROM paths WHERE ref BETWEEN ? AND ? ORDER BY ref", (low, high)
        )
        return [self._open_path(ref, path) for ref, path in found]

    def start_run(self, options: Mapping[str, Any], roots: Mapping[str, Any], recipe: str) -> int:
        """Opens a run and returns its number.

        Args:
            options: The options as JSON types; stored sealed.
            roots: Inputs, output and recipe of the run as JSON types, for ``audit``; stored sealed.
            recipe: Digest of the recipe.
        """
        sealed = (self._seal_json(options, b"options"), self._seal_json(roots, b"roots"))
        with self._database.transaction() as connection:
            number = connection.execute(
                "INSERT INTO runs (started, recipe, options, roots) VALUES (?, ?, ?, ?)",
                (time.time(), recipe, *sealed),
            ).lastrowid
        return int(number or 0)

    def end_run(self, number: int, counts: Mapping[str, int], exit_status: int) -> None:
        """Closes a run with its counts and the exit status of the command."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE runs SET ended=?, counts=?, exit_status=? WHERE id=?",
                (time.time(), json.dumps(dict(counts), sort_keys=True), int(exit_status), number),
            )

    def runs(self, last: int = 100) -> list[Run]:
        """The last runs, newest first; a run without end was killed or still goes on."""
        query = (
            "SELECT id, started, ended, recipe, options, roots, counts, exit_status FROM runs "
            "ORDER BY id DESC LIMIT ?"
        )
        return [self._run(row) for row in self._database.rows(query, (last,))]

    def record_export(self, recipient: str, rows: int) -> None:
        """Notes that a crosswalk left the project.

        Args:
            recipient: How it was encrypted, such as ``"passphrase"``; no source value.
            rows: Its number of rows.
        """
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO exports (made, recipient, rows) VALUES (?, ?, ?)", (time.time(), recipient, rows)
            )

    def exports(self) -> list[tuple[float, str, int]]:
        """The crosswalk exports: time (seconds since 1970), recipient, rows."""
        return self._database.rows("SELECT made, recipient, rows FROM exports ORDER BY id")

    def _check_key(self, key: ProjectKey) -> None:
        with self._database.transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO meta VALUES ('fingerprint', ?)", (key.fingerprint,))
        if self._database.rows("SELECT value FROM meta WHERE name='fingerprint'") != [(key.fingerprint,)]:
            raise UsageError(
                "the key is not the one this project was made with; give that key (--key-file, "
                "MAMI_DEID_KEY), or name another project or output for the new key."
            )

    def _run(self, row: Sequence[Any]) -> Run:
        number, started, ended, recipe, options, roots, counts, status = row
        opened = [
            json.loads(self._sealer.unseal(sealed, context))
            for sealed, context in ((options, b"options"), (roots, b"roots"))
        ]
        return Run(number, started, ended, recipe, opened[0], opened[1], json.loads(counts), status)

    def _seal_json(self, value: Mapping[str, Any], context: bytes) -> bytes:
        return self._sealer.seal(json.dumps(dict(value), sort_keys=True).encode("ascii"), context)

    def _open_path(self, ref: bytes, sealed: bytes) -> str:
        return self._paths.unseal(sealed, b"path" + ref).decode("utf-8", "surrogatepass")


_PUT_PATH = "INSERT INTO paths VALUES (?, ?) ON CONFLICT (ref) DO UPDATE SET path=excluded.path"


def _seal_path(sealer: Sealer, ref: bytes, path: str) -> bytes:
    return sealer.seal(path.encode("utf-8", "surrogatepass"), b"path" + ref)
