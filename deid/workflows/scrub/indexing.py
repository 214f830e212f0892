"""The index pass: every header is read once, before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from deid.core.errors import Held, Skipped
from deid.core.files import InputFile, SkippedInput, discover, discover_listed, strerror
from deid.core.journal import InputRow, Journal
from deid.core.noise import NoiseCounter
from deid.core.parallel import map_batches
from deid.core.patient_map import PatientMap
from deid.core.pseudonyms import Pseudonyms
from deid.workflows.scrub.formats import index_input, owner_of, read_record
from deid.workflows.scrub.options import ScrubOptions

HELD, SKIPPED = "held", "skipped"
"""Kinds of index rows that are no unit; their record is the reason."""
_BATCH = 128


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


def run_index(
    options: ScrubOptions,
    journal: Journal,
    pseudonyms: Pseudonyms,
    patients: PatientMap,
    run: int,
    fresh: bool,
    progress: Callable[[int, dict[str, int]], None],
) -> None:
    """Bring the index of the journal up to date with the input tree.

    Args:
        options: Where the input is, and how many processes may read it.
        journal: Receives one row an input.
        pseudonyms: Of the project.
        patients: The user's table of patients.
        run: Number of this run; inputs that it does not see are gone.
        fresh: Read every file again, even if it has not changed.
        progress: Called with the number of files done and the library messages counted.
    """
    known = {} if fresh else journal.inputs.known_stats()
    unchanged: list[bytes] = []
    skipped: list[InputRow] = []

    def changed() -> Iterator[InputFile]:
        for found in _inputs(options):
            ref = pseudonyms.path_digest(found.relative)
            if isinstance(found, SkippedInput):
                reason = found.reason.encode()
                skipped.append(InputRow(ref, 0, 0, 0, SKIPPED, b"", reason, found.relative))
            elif known.get(ref) == (found.size, found.mtime_ns, found.ctime_ns):
                unchanged.append(ref)
            else:
                yield found

    for batch in map_batches(_index_batch, _batches(changed()), options.jobs, _lost):
        rows = [_row(indexed, pseudonyms, patients) for indexed in batch.files]
        journal.inputs.upsert(rows, run)
        progress(len(rows), batch.noise)
    journal.inputs.mark_seen(unchanged, run)
    journal.inputs.upsert(skipped, run)
    progress(len(unchanged) + len(skipped), {})


def _inputs(options: ScrubOptions) -> Iterator[InputFile | SkippedInput]:
    if options.listed is not None:
        return discover_listed(options.listed)
    assert options.source is not None
    return discover(options.source)


def input_root(options: ScrubOptions) -> Path:
    """The folder that relative names of inputs are relative to."""
    if options.listed is not None or options.source is None:
        return Path("/")
    return options.source if options.source.is_dir() else options.source.parent


def _batches(files: Iterator[InputFile]) -> Iterator[list[InputFile]]:
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


def _lost(files: list[InputFile]) -> IndexedBatch:
    reason = b"internal: the process that read the file died"
    return IndexedBatch([Indexed(file, HELD, reason) for file in files], {})


def _index_one(file: InputFile) -> Indexed:
    try:
        kind, record = index_input(file)
    except Held as held:
        return Indexed(file, HELD, held.reason.encode())
    except Skipped as skipped:
        return Indexed(file, SKIPPED, skipped.reason.encode())
    except OSError as error:
        return Indexed(file, HELD, f"unreadable: {strerror(error)}".encode())
    return Indexed(file, kind, record)


def _row(indexed: Indexed, pseudonyms: Pseudonyms, patients: PatientMap) -> InputRow:
    file = indexed.file
    patient = b""
    if indexed.kind not in (HELD, SKIPPED):
        owner = owner_of(read_record(indexed.kind, indexed.record), file.relative, patients)
        patient = pseudonyms.digest("patient", owner)
    return InputRow(
        pseudonyms.path_digest(file.relative),
        file.size,
        file.mtime_ns,
        file.ctime_ns,
        indexed.kind,
        patient,
        indexed.record,
        file.relative,
    )
