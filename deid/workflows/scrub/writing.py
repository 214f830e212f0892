"""The write pass: batches of one patient become verified files, in this process or in several."""

from __future__ import annotations

import functools
import stat
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from deid.core.errors import Held
from deid.core.identifiers import Identifier, KnownIdentifiers
from deid.core.keys import ProjectKey
from deid.core.noise import NoiseCounter
from deid.core.outcomes import Outcome, Status
from deid.core.pseudonyms import Pseudonyms
from deid.core.staging import FileRange, Staging, remove_leftovers
from deid.core.staging import Written as Placed
from deid.dicom.claims import claims_of, expectation_of
from deid.dicom.derived import PixelChange
from deid.dicom.elements import Buffer
from deid.dicom.index import DicomRecord
from deid.dicom.part10 import Part10, open_part10
from deid.dicom.release import PatientRelease, map_file
from deid.dicom.values import Patient
from deid.nifti.index import NiftiRecord
from deid.nifti.scrub import TEXT_KINDS, Context, check_text, scrub_file, verify_outputs
from deid.workflows.scrub.differences import differences, nifti_differences
from deid.workflows.scrub.failures import PROCESS_DIED, attempt
from deid.workflows.scrub.identity import IdentityStep
from deid.workflows.scrub.identity_setup import IdentitySetup
from deid.workflows.scrub.units import WEAKER, Batch, PatientUnits, Unit


@dataclass(frozen=True)
class Setup:
    """What every process of a run needs; picklable and hashable.

    Attributes:
        key: Key of the project.
        keep_times: Times of day stay.
        recipe: The recipe as canonical JSON.
        context: Digest of key, recipe, options and tool.
        stage: Where files are staged: the output folder, or in a dry run a private folder of this run.
        subjects: The user's map of paths and ids to patients, for NIfTI.
        dry_run: Everything is done but moving files into place.
        diff: Every changed value is reported.
        identity: Of the step that changes pixels.
        pictures: Folder of the review store.
    """

    key: ProjectKey
    keep_times: bool
    recipe: str
    context: bytes
    stage: Path
    subjects: tuple[tuple[str, str], ...]
    dry_run: bool
    diff: bool
    identity: IdentitySetup
    pictures: Path


@dataclass
class Written:
    """The result of one batch."""

    outcomes: list[Outcome] = field(default_factory=list)
    noise: dict[str, int] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)


def write_batch(task: tuple[Setup, Batch]) -> Written:
    """Write the units of one batch; what cannot be released is held with its reason."""
    setup, batch = task
    return _writer(setup).write(batch)


def parts_of(task: tuple[Setup, Batch]) -> Sequence[tuple[Setup, Batch]]:
    """One task for every unit of a task."""
    setup, batch = task
    return [(setup, (replace(part, units=(unit,)),)) for part in batch for unit in part.units]


def lost_batch(task: tuple[Setup, Batch]) -> Written:
    """The result of a task whose process died."""
    setup, batch = task
    return Written([_held(unit, setup.context, PROCESS_DIED) for part in batch for unit in part.units])


def finish_writing(setup: Setup) -> None:
    """Close the writer of this process, and remove what writers of ended processes left where they staged."""
    if _writer.cache_info().currsize:
        _writer(setup).close()
        _writer.cache_clear()
    if setup.stage.is_dir():
        remove_leftovers(setup.stage)


def _held(unit: Unit, context: bytes, reason: str) -> Outcome:
    return Outcome(unit.ref, unit.done_key, context, Status.HELD, reason)


@functools.lru_cache(maxsize=1)
def _writer(setup: Setup) -> _Writer:
    return _Writer(setup)


class _Writer:
    """The write pass of one process."""

    def __init__(self, setup: Setup) -> None:
        from deid.dicom.recipe import Recipe

        self._setup = setup
        self._profile = Recipe.model_validate_json(setup.recipe).profile()
        self._pseudonyms = Pseudonyms(setup.key, keep_times=setup.keep_times)
        self._noise = NoiseCounter.installed()
        self._identity = IdentityStep(setup.identity, setup.key.subkey("noise"), setup.pictures)
        self._latest: tuple[tuple[str, tuple[Identifier, ...]], PatientRelease, Context] | None = None
        self._own: list[str] = []  # what the unit at hand has staged
        # Last: a signal that comes while a writer is made must leave no hidden folder behind.
        self._staging = Staging(setup.stage)

    def write(self, batch: Batch) -> Written:
        """Release the units of a batch; files appear together, after all of them are durable."""
        result = Written()
        for part in batch:
            result.outcomes += self._part(part, result)
        self._commit(result)
        result.noise = self._noise.take()
        return result

    def close(self) -> None:
        """Remove the hidden folder of this process."""
        self._staging.close()

    def _part(self, part: PatientUnits, result: Written) -> list[Outcome]:
        """Release the units of one patient; what cannot be known of him holds all of them."""

        def release() -> list[Outcome]:
            dicom, nifti = self._prepared(part)
            return [self._unit(unit, dicom, nifti, result) for unit in part.units]

        def hold(reason: str) -> list[Outcome]:
            return [_held(unit, self._setup.context, reason) for unit in part.units]

        return attempt(release, hold)

    def _prepared(self, part: PatientUnits) -> tuple[PatientRelease, Context]:
        patient = (part.identity, part.identifiers)
        if self._latest is None or self._latest[0] != patient:  # batches of one patient follow each other
            known = KnownIdentifiers(part.identifiers)
            nifti = Context(self._pseudonyms, known, part.identity, dict(self._setup.subjects))
            self._latest = patient, self._dicom_release(part, known), nifti
        return self._latest[1:]

    def _dicom_release(self, part: PatientUnits, known: KnownIdentifiers) -> PatientRelease:
        label, shift = self._pseudonyms.patient(part.identity), self._pseudonyms.shift(part.identity)
        patient = Patient(part.identity, label, shift, known)
        expectation = expectation_of(self._profile, self._setup.keep_times)
        return PatientRelease(self._profile, patient, self._pseudonyms, expectation)

    def _unit(self, unit: Unit, dicom: PatientRelease, nifti: Context, result: Written) -> Outcome:
        """Release one unit; what it has staged is withdrawn where it is held."""
        self._own.clear()

        def release() -> Outcome:
            _check_unchanged(unit)
            if isinstance(unit.record, DicomRecord):
                with self._identity.treated(unit, unit.record, self._staging.folder) as treated:
                    details = self._release_dicom(unit, unit.record, dicom, result, treated.change)
                    details |= treated.details
                    if not self._setup.dry_run:
                        treated.remember()
            else:
                details = self._release_nifti(unit, unit.record, nifti, result)
            _check_unchanged(unit)
            return Outcome(
                unit.ref,
                unit.done_key,
                self._setup.context,
                Status.RELEASED,
                outputs=unit.outputs,
                details=details,
            )

        def hold(reason: str) -> Outcome:
            for name in self._own:
                self._staging.withdraw(name)
            return _held(unit, self._setup.context, reason)

        return attempt(release, hold)

    def _release_dicom(
        self,
        unit: Unit,
        record: DicomRecord,
        release: PatientRelease,
        result: Written,
        change: PixelChange | None,
    ) -> dict[str, Any]:
        claims = claims_of(self._profile, record.sop_class, record.modality, released_unseen=bool(unit.risk))
        (output,) = unit.outputs
        with open_part10(unit.path, header=not self._setup.diff) as source:
            prepared = release.prepare(source, record, claims, change)
            if prepared.tail is not None:
                head, (start, length) = prepared.to_bytes(), prepared.tail
                release.verify(source, head, len(head) + length)
                self._stage(output, [head, FileRange(source.fileno(), start, length)])
            elif prepared.in_memory:
                data = prepared.to_bytes()
                self._verify_dicom(unit, release, source, data, result, change)
                self._stage(output, [data])
            else:
                self._stage(output, prepared.chunks())
                with map_file(self._staging.staged_path(output)) as written:
                    self._verify_dicom(unit, release, source, written, result, change)
        return {} if claims.removed else {WEAKER: unit.risk}

    def _verify_dicom(
        self,
        unit: Unit,
        release: PatientRelease,
        source: Part10,
        written: Buffer,
        result: Written,
        change: PixelChange | None,
    ) -> None:
        release.verify(source, written, change=change)
        if self._setup.diff:
            result.differences.extend(differences(unit, source, written))

    def _release_nifti(
        self, unit: Unit, record: NiftiRecord, context: Context, result: Written
    ) -> dict[str, Any]:
        treated = self._identity.treated_volume(unit, record)
        context = replace(context, written_dates=Counter())
        outputs = scrub_file(record.kind, unit.path, unit.relative, context, voxels=treated.voxels)
        if tuple(output.relative for output in outputs) != unit.outputs:
            raise Held(_CHANGED)
        for output in outputs:
            self._stage(output.relative, output.chunks)
        written = [self._staging.staged_path(output.relative) for output in outputs]
        verify_outputs(outputs, written, context)
        if record.kind in TEXT_KINDS:
            for path in written:
                check_text(path, context)
        if self._setup.diff and written:
            result.differences.extend(nifti_differences(unit, record.kind, written, context))
        if not self._setup.dry_run:
            treated.remember()
        return dict(treated.details) | ({WEAKER: unit.risk} if unit.risk else {})

    def _stage(self, name: str, chunks: Iterable[bytes | FileRange]) -> None:
        self._staging.write(name, chunks)
        self._own.append(name)

    def _commit(self, result: Written) -> None:
        """Move the staged files into place and complete their outcomes with size and time."""
        released = [outcome for outcome in result.outcomes if outcome.status is Status.RELEASED]
        if self._setup.dry_run:
            for outcome in released:
                for name in outcome.outputs:
                    self._staging.withdraw(name)
            return
        try:
            placed = {written.relative: written for written in self._staging.commit()}
        except Held as held:
            result.outcomes = [
                replace(o, status=Status.HELD, reason=held.reason, outputs=(), details={})
                if o.status is Status.RELEASED
                else o
                for o in result.outcomes
            ]
            return
        result.outcomes = [_completed(outcome, placed) for outcome in result.outcomes]


_CHANGED = "unreadable: changed during the run"


def _check_unchanged(unit: Unit) -> None:
    """Hold an input that is not what the index pass read: its identifiers would not be known.

    It is looked at before, since opening a pipe that took its place would wait for ever, and after.
    """
    for path, size, mtime_ns in unit.reads:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) or (found.st_size, found.st_mtime_ns) != (size, mtime_ns):
            raise Held(_CHANGED)


def _completed(outcome: Outcome, placed: dict[str, Placed]) -> Outcome:
    files = [placed[name] for name in outcome.outputs]
    if not files:
        return outcome
    newest = max(file.mtime_ns for file in files)
    return replace(outcome, size=sum(file.size for file in files), mtime_ns=newest)
