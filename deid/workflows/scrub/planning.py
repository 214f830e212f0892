"""The plan: patient by patient, what becomes of every input and where it goes."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby, islice

from deid.core.errors import Held
from deid.core.identifiers import Identifier, Kind
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
from deid.nifti.kinds import FileKind
from deid.workflows.scrub.formats import NIFTI, owner_of, read_record, subject_map
from deid.workflows.scrub.indexing import HELD, Found
from deid.workflows.scrub.inputs import Inputs, relative_of
from deid.workflows.scrub.options import Encapsulated, OnRisk, ScrubOptions
from deid.workflows.scrub.stacks import stacks
from deid.workflows.scrub.units import Batch, Entry, PatientUnits, Unit, dicom_outputs, nifti_files, risks

_BATCH_UNITS = 64
_DECIDED_AT_ONCE = 1000
_LOOKED_UP_AT_ONCE = 500
_BATCH_BYTES = 128 << 20


@dataclass
class Plan:
    """What planning counted on its way; complete when the batches are exhausted.

    Attributes:
        patients: Patients seen in this shard.
        without_id: Studies and files whose id names nobody, each its own patient.
        shared_uids: Instances whose SOP Instance UID another file has too.
        elsewhere: Patients of other shards.
    """

    patients: int = 0
    without_id: int = 0
    shared_uids: int = 0
    elsewhere: int = 0


class Planner:
    """Turns the index into outcomes that are decided and batches that are to be written.

    Args:
        options: Of the run.
        inputs: Of the run.
        found: What the index pass did not come across.
        journal: Holds the index and what is done already.
        pseudonyms: Of the project.
        patients: The user's table of patients.
        context: Digest of key, recipe, options and tool.
        retained: Options of the profile; some keep identifiers on purpose.
        on_decided: Is told the outcome of every unit that needs no writing, and whether it is an old one.
        stacked: Modalities whose series are judged as one, because a model of the run takes them.
    """

    def __init__(
        self,
        options: ScrubOptions,
        inputs: Inputs,
        found: Found,
        journal: Journal,
        pseudonyms: Pseudonyms,
        patients: PatientMap,
        context: bytes,
        retained: frozenset[Option],
        on_decided: Callable[[Outcome, bool], None],
        stacked: Collection[str] = (),
    ) -> None:
        self._options = options
        self._inputs = inputs
        self._gone = found.gone
        # what is made anew is made anew as a whole, also what this run was not pointed at
        self._beside = frozenset() if options.replace else found.beside
        self._journal = journal
        self._pseudonyms = pseudonyms
        self._patients = patients
        self._context = context
        self._retained = retained
        self._on_decided = on_decided
        self._stacked = stacked
        self._owners: dict[str, bytes] = {}
        self._decided: list[Outcome] = []
        self._people: dict[str, set[Identifier]] = {}
        self._everybody: set[Identifier] = set()
        self._taken: set[str] = set()
        self._paths = PathMapper(pseudonyms, subject_map(patients))
        self.plan = Plan()

    def batches(self) -> Iterator[Batch]:
        """Plan patient by patient.

        Yields:
            What is to be written; its units are journalled as planned before they are yielded, so that the
            files of a killed run are known to the next one.
        """
        self._meet_people()
        batch: list[PatientUnits] = []
        units = size = 0
        for part in self._parts_of_patients():
            batch.append(part)
            units += len(part.units)
            size += sum(unit.size for unit in part.units)
            if units >= _BATCH_UNITS or size >= _BATCH_BYTES:
                yield self._as_planned(batch)
                batch, units, size = [], 0, 0
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

    def _rows(self, kind: str | None = None) -> Iterator[InputRow]:
        rows = self._journal.inputs.records(kind=kind)
        return (row for row in rows if row.ref not in self._gone)

    def _parts_of_patients(self) -> Iterator[PatientUnits]:
        for patient, group in groupby(self._rows(), key=lambda row: row.patient):
            if not patient:
                self._decide_unreadable(group)
                continue
            rows = list(group)
            if self._beside.issuperset(row.ref for row in rows):
                continue
            if self._options.shard.holds(patient):
                yield from self._plan_patient(patient, rows)
            else:
                self.plan.elsewhere += 1

    def _decide_unreadable(self, rows: Iterator[InputRow]) -> None:
        for row in rows:
            if row.ref in self._beside or not self._options.shard.holds(row.ref):
                continue
            status = Status.HELD if row.kind == HELD else Status.SKIPPED
            self._decide(row.ref, status, row.record.decode())

    def _decide(self, ref: bytes, status: Status, reason: str) -> None:
        outcome = Outcome(ref, b"", self._context, status, reason)
        self._on_decided(outcome, False)
        self._decided.append(outcome)
        if len(self._decided) >= _DECIDED_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        if not self._options.dry_run:
            self._journal.outcomes.record(self._decided)
        self._decided = []

    def _plan_patient(self, patient: bytes, rows: list[InputRow]) -> Iterator[PatientUnits]:
        entries = list(self._entries(rows))
        identity = owner_of(entries[0].record, entries[0].relative, self._patients)
        label = self._pseudonyms.patient(identity)
        self.plan.patients += 1
        nameless = identity.startswith(("study\x1f", "file\x1f", "nifti:"))
        self.plan.without_id += nameless
        if self._owners.setdefault(label, patient) != patient:
            for row in rows:
                self._decide(row.ref, Status.HELD, "pseudonym: two patients would get the same one")
            return
        identifiers = self._identifiers(identity, entries)
        done = self._journal.outcomes.lookup([row.ref for row in rows])
        released = {ref for ref, outcome in done.items() if outcome.status is Status.RELEASED}
        # of what this run was not pointed at, only what lies in the output may have to be done again
        wanted = {row.ref for row in rows if row.ref not in self._beside or row.ref in released}
        todo = []
        for unit in self._units(entries, wanted, label, _digest(identity, identifiers)):
            outcome = done.get(unit.ref)
            if outcome is None or not self._is_done(unit, outcome):
                todo.append(unit if nameless else replace(unit, patient=label))
            elif unit.ref not in self._beside:
                self._on_decided(outcome, True)
        todo.sort(key=_stack_of)  # so that few processes have to judge one series
        for part in _parts(todo):
            yield PatientUnits(identity, identifiers, tuple(part))

    def _entries(self, rows: Iterable[InputRow]) -> Iterator[Entry]:
        source = iter(rows)
        while page := list(islice(source, _LOOKED_UP_AT_ONCE)):
            names = self._journal.paths([row.ref for row in page])
            for row in page:
                name = names.get(row.ref, "")
                record = read_record(row.kind, row.record)
                yield Entry(row, record, relative_of(name), self._inputs.path(name))

    def _identifiers(self, identity: str, entries: list[Entry]) -> tuple[Identifier, ...]:
        """Everything known of a patient; files that speak of all patients need what is known of all."""
        pairs = {
            p for e in entries if isinstance(e.record, DicomRecord) for p in e.record.known(self._retained)
        }
        found = {Identifier(Kind(kind), value) for kind, value in pairs} | self._people.get(identity, set())
        found |= {i for e in entries if isinstance(e.record, NiftiRecord) for i in e.record.identifiers}
        if any(isinstance(e.record, NiftiRecord) and e.record.of_all for e in entries):
            found |= self._everybody
        return tuple(sorted(found))

    def _meet_people(self) -> None:
        """Learn from BIDS tables what they say of each person, and what all files say of anybody."""
        names = subject_map(self._patients)
        for entry in self._entries(self._rows(NIFTI)):
            assert isinstance(entry.record, NiftiRecord)
            self._everybody.update(entry.record.identifiers)
            if entry.record.kind is FileKind.TABLE:
                try:
                    people = collect_by_person(entry.path, entry.relative, self._pseudonyms, names)
                except (Held, OSError):
                    continue  # the write pass meets the same trouble, and holds the table for it
                for identity, identifiers in people.items():
                    self._people.setdefault(identity, set()).update(identifiers)
                    self._everybody.update(identifiers)

    def _is_done(self, unit: Unit, outcome: Outcome) -> bool:
        if outcome.status is not Status.RELEASED or outcome.done_key != unit.done_key:
            return False
        try:
            found = [(self._options.out / name).stat() for name in unit.outputs]
        except OSError:
            return False
        newest = max(status.st_mtime_ns for status in found)
        return (sum(status.st_size for status in found), newest) == (outcome.size, outcome.mtime_ns)

    def _units(self, entries: list[Entry], wanted: set[bytes], label: str, digest: bytes) -> Iterator[Unit]:
        """The units of one patient that may be written; the others are decided here."""
        risk_of, stack_of = risks(entries), stacks(entries, self._stacked)
        files, shared = dicom_outputs(entries, label, self._pseudonyms)
        self.plan.shared_uids += shared
        files |= nifti_files(entries, self._paths)
        claimed = Counter(name for outputs, _ in files.values() for name in outputs)
        for entry in entries:
            ref, record = entry.row.ref, entry.record
            risk = risk_of.get(ref, "")
            if ref not in wanted or (risk and not self._may_release(ref, risk)):
                continue
            outputs, read = files[ref]
            if not outputs:
                assert isinstance(record, NiftiRecord)
                self._decide(ref, Status.SKIPPED, str(record.kind))
                continue
            if any(claimed[name] > 1 for name in outputs) or not self._taken.isdisjoint(outputs):
                self._decide(ref, Status.HELD, "output: another input leads to the same name")
                continue
            if not isinstance(record, DicomRecord):
                self._taken.update(outputs)
            stat = repr([(part.row.size, part.row.mtime_ns, part.row.ctime_ns) for part in read])
            stack = stack_of.get(ref)
            parts = [self._context, digest, stat.encode(), repr(outputs).encode(), risk.encode()]
            parts += [stack.token] if stack else []
            done_key = hashlib.sha256(b"\0".join(parts)).digest()
            reads = tuple((part.path, part.row.size, part.row.mtime_ns) for part in read)
            made = Unit(ref, entry.path, entry.relative, record.bare(), outputs, reads, done_key, risk)
            yield replace(made, stack=stack)

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


def _stack_of(unit: Unit) -> bytes:
    return unit.stack.token if unit.stack else b""


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
