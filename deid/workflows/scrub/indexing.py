"""The index pass: every header is read once, before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from deid.core.errors import Skipped
from deid.core.files import NOT_FOUND, UNREADABLE_FILE, UNREADABLE_FOLDER, InputFile, SkippedInput
from deid.core.journal import InputRow, Journal
from deid.core.noise import NoiseCounter
from deid.core.parallel import map_batches
from deid.core.patient_map import PatientMap
from deid.core.pseudonyms import Pseudonyms
from deid.workflows.scrub.failures import PROCESS_DIED, attempt
from deid.workflows.scrub.formats import index_input, owner_of, read_record
from deid.workflows.scrub.inputs import Inputs, relative_of

HELD, SKIPPED = "held", "skipped"
"""Kinds of index rows that are no unit; their record is the reason."""
_HELD_REASONS = frozenset({UNREADABLE_FOLDER, UNREADABLE_FILE, NOT_FOUND})
_BATCH = 128
_NO_STAT = (0, 0, 0)
"""Size and times that no file has: the row is never taken for unchanged, so every run tries it again."""


@dataclass(frozen=True)
class Indexed:
    """What the index pass learnt of one file: its kind and record, or why there is none."""

    file: InputFile
    kind: str
    record: bytes


@dataclass(frozen=True)
class IndexedBatch:
    """The result of one task, with the library messages that were counted meanwhile."""

    files: list[Indexed]
    noise: dict[str, int]


@dataclass(frozen=True)
class Found:
    """Inputs of earlier runs that this run did not come across.

    Attributes:
        gone: They are not there any more.
        beside: They are still there, outside of what this run was given.
        files: Number of inputs that this run found.
    """

    gone: frozenset[bytes]
    beside: frozenset[bytes]
    files: int


class Indexer:
    """Brings the index of a journal up to date with the inputs of a run.

    Args:
        inputs: What is to be read.
        journal: Receives one row an input.
        pseudonyms: Of the project.
        patients: The user's table of patients.
        jobs: Number of processes.
        progress: Called with the number of files done and the library messages counted.
    """

    def __init__(
        self,
        inputs: Inputs,
        journal: Journal,
        pseudonyms: Pseudonyms,
        patients: PatientMap,
        jobs: int,
        progress: Callable[[int, dict[str, int]], None],
    ) -> None:
        self._inputs = inputs
        self._journal = journal
        self._pseudonyms = pseudonyms
        self._patients = patients
        self._jobs = jobs
        self._progress = progress

    def run(self, run: int, reads: Mapping[str, Any]) -> Found:
        """Index what is new or changed.

        Args:
            run: Number of this run; its row is in the journal already.
            reads: Options that the index depends on, as the journal has them of earlier runs.
        """
        index = self._journal.inputs
        stale = frozenset(index.gone(_first_alike(self._journal, run, reads)))
        known = {ref: stats for ref, stats in index.known_stats().items() if ref not in stale}
        unchanged: list[bytes] = []
        skipped: list[InputRow] = []
        files = self._index(self._changed(known, unchanged, skipped), run)
        index.mark_seen(unchanged, run)
        index.upsert(skipped, run)
        self._progress(len(unchanged) + len(skipped), {})
        found = self._look_for_unseen(run, known)
        return Found(*found, files + len(unchanged) + len(skipped))

    def _changed(
        self, known: Mapping[bytes, tuple[int, int, int]], unchanged: list[bytes], skipped: list[InputRow]
    ) -> Iterator[InputFile]:
        for found in self._inputs.find():
            ref = self._pseudonyms.path_digest(found.relative)
            if isinstance(found, SkippedInput):
                kind = HELD if found.reason in _HELD_REASONS else SKIPPED
                skipped.append(InputRow(ref, *_NO_STAT, kind, b"", found.reason.encode(), found.relative))
            elif known.get(ref) == (found.size, found.mtime_ns, found.ctime_ns):
                unchanged.append(ref)
            else:
                yield found

    def _look_for_unseen(
        self, run: int, known: Mapping[bytes, tuple[int, int, int]]
    ) -> tuple[frozenset[bytes], frozenset[bytes]]:
        unseen = self._journal.inputs.gone(run)
        beside: set[bytes] = set()
        changed: list[InputFile] = []
        for ref, file in self._inputs.revisit((ref, self._journal.path(ref) or "") for ref in unseen):
            beside.add(ref)
            if file is not None and known.get(ref) != (file.size, file.mtime_ns, file.ctime_ns):
                changed.append(file)
        self._index(changed, run)
        return frozenset(unseen) - beside, frozenset(beside)

    def _index(self, files: Iterable[InputFile], run: int) -> int:
        done = 0
        batches = map_batches(_index_batch, _batches(files), self._jobs, _parts, _lost)
        with closing(batches):
            for batch in batches:
                rows = [self._row(indexed) for indexed in batch.files]
                self._journal.inputs.upsert(rows, run)
                self._progress(len(rows), batch.noise)
                done += len(rows)
        return done

    def _row(self, indexed: Indexed) -> InputRow:
        file, kind = indexed.file, indexed.kind
        ref = self._pseudonyms.path_digest(file.relative)
        patient, stat = b"", (file.size, file.mtime_ns, file.ctime_ns)
        if kind == HELD:
            stat = _NO_STAT
        elif kind != SKIPPED:
            record = read_record(kind, indexed.record)
            owner = owner_of(record, relative_of(file.relative), self._patients)
            patient = self._pseudonyms.digest("patient", owner)
        return InputRow(ref, *stat, kind, patient, indexed.record, file.relative)


def _first_alike(journal: Journal, run: int, reads: Mapping[str, Any]) -> int:
    """The first of the runs up to this one that read inputs in the same way; what is older is read again.

    A run that was killed in the middle leaves rows of the way before, so the last run alone does not tell.
    """
    first = run
    for earlier in journal.runs():
        if earlier.options != reads:
            break
        first = min(first, earlier.number)
    return first


def _batches(files: Iterable[InputFile]) -> Iterator[list[InputFile]]:
    batch: list[InputFile] = []
    for file in files:
        batch.append(file)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _index_batch(files: list[InputFile]) -> IndexedBatch:
    noise = NoiseCounter.installed()
    return IndexedBatch([_index_one(file) for file in files], noise.take())


def _parts(files: list[InputFile]) -> Sequence[list[InputFile]]:
    return [[file] for file in files]


def _lost(files: list[InputFile]) -> IndexedBatch:
    return IndexedBatch([Indexed(file, HELD, PROCESS_DIED.encode()) for file in files], {})


def _index_one(file: InputFile) -> Indexed:
    def read() -> Indexed:
        try:
            kind, record = index_input(file)
        except Skipped as skipped:
            return Indexed(file, SKIPPED, skipped.reason.encode())
        return Indexed(file, kind, record)

    return attempt(read, lambda reason: Indexed(file, HELD, reason.encode()))
