"""What became of every unit, and which files of the output are ours."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from deid.core.database import Database


class Status(StrEnum):
    """Where a unit stands."""

    PLANNED = "planned"
    RELEASED = "released"
    HELD = "held"
    SKIPPED = "skipped"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one unit.

    Attributes:
        ref: Keyed digest (16 bytes) of the relative path of its input.
        done_key: Digest of everything the result depends on; equal means that nothing is to be done again.
        context: Digest of key, recipe, models and tool.
        status: Where it stands; ``PLANNED`` is written before the files appear.
        reason: A fixed phrase where it is held, skipped or dropped.
        outputs: Relative pseudonymous names of its files in the output.
        size: Bytes of the outputs.
        mtime_ns: Time of the last output, nanoseconds since 1970.
        details: More for reports, as JSON types, without any source value.
    """

    ref: bytes
    done_key: bytes
    context: bytes
    status: Status
    reason: str = ""
    outputs: tuple[str, ...] = ()
    size: int = 0
    mtime_ns: int = 0
    details: Mapping[str, Any] = field(default_factory=dict)


class Outcomes:
    """The outcomes of all units, and a register of every output that was ever planned and not yet deleted."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, outcomes: Iterable[Outcome]) -> None:
        """Writes a batch in one transaction; it is on the disk when this returns.

        Outputs that a unit had before and has no more stay registered as stale until :meth:`forget_outputs`.
        """
        batch = list(outcomes)
        with self._database.transaction() as connection:
            connection.executemany("UPDATE outputs SET current=0 WHERE ref=?", ((o.ref,) for o in batch))
            connection.executemany(
                "INSERT INTO units VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (ref) DO UPDATE SET "
                "done_key=excluded.done_key, context=excluded.context, status=excluded.status, "
                "reason=excluded.reason, outputs=excluded.outputs, size=excluded.size, "
                "mtime_ns=excluded.mtime_ns, details=excluded.details",
                (_row(outcome) for outcome in batch),
            )
            connection.executemany(
                "INSERT INTO outputs VALUES (?, ?, ?, 1) ON CONFLICT (path) DO UPDATE SET "
                "ref=excluded.ref, context=excluded.context, current=1",
                ((path, o.ref, o.context) for o in batch for path in o.outputs),
            )

    def lookup(self, refs: Collection[bytes]) -> dict[bytes, Outcome]:
        """The outcomes of these units, where there are any."""
        return {row[0]: _outcome(row) for row in self._database.rows_of(f"{_SELECT} WHERE ref IN", refs)}

    def all(self, status: Status | None = None) -> Iterator[Outcome]:
        """The outcomes of all units or of those of one status, ordered by ref, read in pages."""
        query = f"{_SELECT} WHERE ref > ? AND (? IS NULL OR status = ?) ORDER BY ref LIMIT 2000"
        last = b""
        while page := self._database.rows(query, (last, status, status)):
            yield from map(_outcome, page)
            last = page[-1][0]

    def counts(self) -> dict[tuple[Status, str], int]:
        """The number of units by status and reason."""
        query = "SELECT status, reason, count(*) FROM units GROUP BY status, reason ORDER BY status, reason"
        return {(Status(status), reason): number for status, reason, number in self._database.rows(query)}

    def known_outputs(self) -> dict[str, bytes]:
        """Every output that may lie in the tree, planned and stale ones included, with its context."""
        return dict(self._database.rows("SELECT path, context FROM outputs"))

    def stale_outputs(self) -> list[str]:
        """Outputs that their unit does not have any more (it was held, renamed, or its input is gone)."""
        return [
            path for (path,) in self._database.rows("SELECT path FROM outputs WHERE current=0 ORDER BY path")
        ]

    def forget_outputs(self, paths: Iterable[str]) -> None:
        """Takes deleted files off the register."""
        gone = [(path,) for path in paths]
        with self._database.transaction() as connection:
            connection.executemany("DELETE FROM outputs WHERE path=?", gone)


_SELECT = "SELECT ref, done_key, context, status, reason, outputs, size, mtime_ns, details FROM units"


def _row(outcome: Outcome) -> tuple[Any, ...]:
    return (
        outcome.ref,
        outcome.done_key,
        outcome.context,
        str(outcome.status),
        outcome.reason,
        json.dumps(outcome.outputs),
        outcome.size,
        outcome.mtime_ns,
        json.dumps(dict(outcome.details), sort_keys=True) if outcome.details else "{}",
    )


def _outcome(row: tuple[Any, ...]) -> Outcome:
    ref, done_key, context, status, reason, outputs, size, mtime_ns, details = row
    return Outcome(
        ref,
        done_key,
        context,
        Status(status),
        reason,
        tuple(json.loads(outputs)),
        size,
        mtime_ns,
        json.loads(details),
    )
