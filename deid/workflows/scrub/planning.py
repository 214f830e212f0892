"""The plan: patient by patient, what becomes of every input and where it goes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from deid.core.identifiers import Identifier
from deid.core.journal import InputRow, Journal
from deid.core.outcomes import Outcome, Status
from deid.core.patient_map import PatientMap
from deid.core.pseudonyms import Pseudonyms
from deid.dicom.index import DicomRecord
from deid.dicom.profile import Option
from deid.dicom.risk import Risk
from deid.nifti.bids import PathMapper
from deid.nifti.collect import collect_by_person
from deid.nifti.index import NiftiRecord
from deid.nifti.kinds import FileKind, find_image
from deid.workflows.scrub.formats import NIFTI, owner_of, read_record, sibling, subject_map
from deid.workflows.scrub.indexing import HELD, input_root
from deid.workflows.scrub.options import Encapsulated, OnRisk, ScrubOptions
from deid.workflows.scrub.units import (
    Batch,
    Entry,
    PatientUnits,
    Unit,
    dicom_outputs,
    nifti_outputs,
    risks,
)

_BATCH_UNITS = 64
_DECIDED_AT_ONCE = 1000
_BATCH_BYTES = 128 << 20


@dataclass
class Plan:
    """What planning counted on its way; complete when the batches are exhausted.

    Attributes:
        unchanged: Units that are done already.
        patients: Patients seen in this shard.
        without_id: Studies and files whose id names nobody, each its own patient.
        shared_uids: Instances whose SOP Instance UID another file has too.
    """

    unchanged: int = 0
    patients: int = 0
    without_id: int = 0
    shared_uids: int = 0


class Planner:
    """Turns the index into outcomes that are decided and batches that are to be written.

    Args:
        options: Of the run.
        journal: Holds the index and what is done already.
        pseudonyms: Of the project.
        patients: The user's table of patients.
        context: Digest of key, recipe, options and tool.
        options_of_profile: Options of the profile; some keep identifiers on purpose.
        on_decided: Is told the outcome of every unit that needs no writing.
    """

    def __init__(
        self,
        options: ScrubOptions,
        journal: Journal,
        pseudonyms: Pseudonyms,
        patients: PatientMap,
        context: bytes,
        options_of_profile: frozenset[Option],
        on_decided: Callable[[Outcome], None],
    ) -> None:
        self._options = options
        self._journal = journal
        self._pseudonyms = pseudonyms
        self._patients = patients
        self._context = context
        self._retained = options_of_profile
        self._on_decided = on_decided
        self._root = input_root(options)
        self._owners: dict[str, bytes] = {}
        self._decided: list[Outcome] = []
        self._people: dict[str, set[Identifier]] = {}
        self._everybody: set[Identifier] = set()
        self._taken: set[str] = set()
        self._paths = PathMapper(pseudonyms, subject_map(patients))
        self.plan = Plan()

    def batches(self, gone: frozenset[bytes]) -> Iterator[Batch]:
        """Plan patient by patient.

        Args:
            gone: Inputs that are not there any more.

        Yields:
            What is to be written; its units are journalled as planned before they are yielded, so that the
            files of a killed run are known to the next one.
        """
        self._meet_people(gone)
        batch: list[PatientUnits] = []
        for part in self._parts_of_patients(gone):
            batch.append(part)
            units = [unit for part in batch for unit in part.units]
            if len(units) >= _BATCH_UNITS or sum(unit.size for unit in units) >= _BATCH_BYTES:
                yield self._as_planned(batch)
                batch = []
        if batch:
            yield self._as_planned(batch)
        self._flush()

    def _as_planned(self, batch: list[PatientUnits]) -> Batch:
        if not self._options.dry_run:
            self._journal.outcomes.record(
                Outcome(unit.ref, unit.done_key, self._context, Status.PLANNED, outputs=unit.outputs)
                for part in batch
                for unit in part.units
            )
        return tuple(batch)

    def _parts_of_patients(self, gone: frozenset[bytes]) -> Iterator[PatientUnits]:
        rows = (row for row in self._journal.inputs.records() if row.ref not in gone)
        for patient, group in groupby(rows, key=lambda row: row.patient):
            if not patient:
                self._decide_unreadable(group)
            elif self._options.shard.holds(patient):
                yield from self._plan_patient(patient, list(group))

    def _decide_unreadable(self, rows: Iterator[InputRow]) -> None:
        for row in rows:
            if not self._options.shard.holds(row.ref):
                continue
            status = Status.HELD if row.kind == HELD else Status.SKIPPED
            self._decide(row.ref, status, row.record.decode())

    def _decide(self, ref: bytes, status: Status, reason: str) -> None:
        outcome = Outcome(ref, b"", self._context, status, reason)
        self._on_decided(outcome)
        self._decided.append(outcome)
        if len(self._decided) >= _DECIDED_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        if not self._options.dry_run:
            self._journal.outcomes.record(self._decided)
        self._decided = []

    def _plan_patient(self, patient: bytes, rows: list[InputRow]) -> Iterator[PatientUnits]:
        entries = [self._entry(row) for row in rows]
        identity = owner_of(entries[0].record, entries[0].relative, self._patients)
        label = self._pseudonyms.patient(identity)
        self.plan.patients += 1
        self.plan.without_id += identity.startswith(("study\x1f", "file\x1f", "nifti:"))
        if self._owners.setdefault(label, patient) != patient:
            for row in rows:
                self._decide(row.ref, Status.HELD, "pseudonym: two patients would get the same one")
            return
        identifiers = self._identifiers(identity, entries)
        units = list(self._units(entries, label, _digest(identity, identifiers)))
        done = self._journal.outcomes.lookup([unit.ref for unit in units])
        todo = [unit for unit in units if not self._is_done(unit, done.get(unit.ref))]
        self.plan.unchanged += len(units) - len(todo)
        for part in _parts(todo):
            yield PatientUnits(identity, identifiers, tuple(part))

    def _entry(self, row: InputRow) -> Entry:
        relative = self._journal.path(row.ref) or ""
        return Entry(row, read_record(row.kind, row.record), relative, self._root / relative)

    def _identifiers(self, identity: str, entries: list[Entry]) -> tuple[Identifier, ...]:
        """Everything known of a patient; files that speak of all patients need what is known of all."""
        found = {i for entry in entries for i in self._known(entry)} | self._people.get(identity, set())
        if any(isinstance(e.record, NiftiRecord) and e.record.of_all for e in entries):
            found |= self._everybody
        return tuple(sorted(found))

    def _known(self, entry: Entry) -> Iterable[Identifier]:
        record = entry.record
        return record.known(self._retained) if isinstance(record, DicomRecord) else record.identifiers

    def _meet_people(self, gone: frozenset[bytes]) -> None:
        """Learn from BIDS tables what they say of each person, and what all files say of anybody.

        Only trees with files that speak of all their patients need it; for DICOM alone nothing is read.
        """
        rows = (row for row in self._journal.inputs.records() if row.kind == NIFTI and row.ref not in gone)
        names = subject_map(self._patients)
        for entry in map(self._entry, rows):
            assert isinstance(entry.record, NiftiRecord)
            self._everybody.update(entry.record.identifiers)
            if entry.record.kind is FileKind.TABLE:
                people = collect_by_person(entry.path, entry.relative, self._pseudonyms, names)
                for identity, identifiers in people.items():
                    self._people.setdefault(identity, set()).update(identifiers)
                    self._everybody.update(identifiers)

    def _is_done(self, unit: Unit, outcome: Outcome | None) -> bool:
        if outcome is None or outcome.status is not Status.RELEASED or outcome.done_key != unit.done_key:
            return False
        try:
            found = [(self._options.out / name).stat() for name in unit.outputs]
        except OSError:
            return False
        newest = max(status.st_mtime_ns for status in found)
        return (sum(status.st_size for status in found), newest) == (outcome.size, outcome.mtime_ns)

    def _units(self, entries: list[Entry], label: str, digest: bytes) -> Iterator[Unit]:
        """The units of one patient that may be written; the others are decided here."""
        risk_of = risks(entries)
        names, shared = dicom_outputs(entries, label, self._pseudonyms)
        self.plan.shared_uids += shared
        stats = {entry.relative: entry.row for entry in entries}
        for entry in entries:
            ref, record = entry.row.ref, entry.record
            risk = risk_of.get(ref, "")
            if risk and not self._may_release(ref, risk):
                continue
            if isinstance(record, DicomRecord):
                outputs: tuple[str, ...] = (names[ref],)
                read = [entry.row]
            else:
                outputs = nifti_outputs(entry, self._paths)
                if not outputs:
                    self._decide(ref, Status.SKIPPED, str(record.kind))
                    continue
                image = find_image(entry.path) if record.kind is FileKind.PAIR else None
                beside = sibling(entry.path, entry.relative, image) if image else ""
                read = [entry.row, *([stats[beside]] if beside in stats else [])]
            if not self._taken.isdisjoint(outputs):
                self._decide(ref, Status.HELD, "output: another input leads to the same name")
                continue
            if not isinstance(record, DicomRecord):
                self._taken.update(outputs)
            stat = repr([(row.size, row.mtime_ns, row.ctime_ns) for row in read])
            parts = (self._context, digest, stat.encode(), repr(outputs).encode(), risk.encode())
            done_key = hashlib.sha256(b"\0".join(parts)).digest()
            yield Unit(
                ref, entry.path, entry.relative, record.bare(), outputs, entry.row.size, done_key, risk
            )

    def _may_release(self, ref: bytes, risk: str) -> bool:
        """Whether an instance of risk is released unseen; what is not is held or dropped here."""
        if risk == Risk.DOCUMENT:
            choice = self._options.encapsulated
            if choice is not Encapsulated.KEEP:
                self._decide(ref, Status.DROPPED if choice is Encapsulated.DROP else Status.HELD, risk)
            return choice is Encapsulated.KEEP
        if self._options.on_risk is OnRisk.HOLD:
            self._decide(ref, Status.HELD, risk)
        return self._options.on_risk is OnRisk.RELEASE


def _digest(identity: str, identifiers: tuple[Identifier, ...]) -> bytes:
    """Digest of everything about a patient that his outputs depend on."""
    text = repr((identity, [(str(i.kind), i.value) for i in identifiers]))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _parts(units: list[Unit]) -> Iterator[list[Unit]]:
    part: list[Unit] = []
    size = 0
    for unit in units:
        part.append(unit)
        size += unit.size
        if len(part) == _BATCH_UNITS or size >= _BATCH_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part
