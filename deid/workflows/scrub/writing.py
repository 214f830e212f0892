"""The write pass: batches of one patient become verified files, in this process or in several."""

from __future__ import annotations

import dataclasses
import functools
import traceback
from dataclasses import dataclass, field
from pathlib import Path

from deid.core.errors import Held
from deid.core.files import strerror
from deid.core.identifiers import KnownIdentifiers
from deid.core.keys import ProjectKey
from deid.core.noise import NoiseCounter
from deid.core.outcomes import Outcome, Status
from deid.core.pseudonyms import Pseudonyms
from deid.core.staging import Staging, remove_leftovers
from deid.core.staging import Written as Placed
from deid.dicom.claims import claims_of, expectation_of
from deid.dicom.elements import Buffer
from deid.dicom.index import DicomRecord
from deid.dicom.part10 import Part10, open_part10
from deid.dicom.release import PatientRelease, map_file
from deid.dicom.values import Patient
from deid.nifti.index import NiftiRecord
from deid.nifti.scrub import TEXT_KINDS, Context, check_text, scrub_file, verify_outputs
from deid.workflows.scrub.differences import differences
from deid.workflows.scrub.units import Batch, PatientUnits, Unit


@dataclass(frozen=True)
class Setup:
    """What every process of a run needs; picklable and hashable.

    Attributes:
        key: Key of the project.
        keep_times: Times of day stay.
        recipe: The recipe as canonical JSON.
        context: Digest of key, recipe, options and tool.
        out: The output folder.
        subjects: The user's map of paths and ids to patients, for NIfTI.
        dry_run: Nothing is written.
        diff: Every changed value is reported.
    """

    key: ProjectKey
    keep_times: bool
    recipe: str
    context: bytes
    out: Path
    subjects: tuple[tuple[str, str], ...]
    dry_run: bool
    diff: bool


@dataclass
class Written:
    """The result of one batch."""

    outcomes: list[Outcome] = field(default_factory=list)
    noise: dict[str, int] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)
    weaker: int = 0


def write_batch(task: tuple[Setup, Batch]) -> Written:
    """Write the units of one batch; what cannot be released is held with its reason."""
    setup, batch = task
    return _writer(setup).write(batch)


def lost_batch(task: tuple[Setup, Batch]) -> Written:
    """The result of a batch whose process died."""
    setup, batch = task
    reason = "internal: the process died, perhaps for want of memory; try fewer --jobs"
    return Written([_held(unit, setup.context, reason) for part in batch for unit in part.units])


def finish_writing(setup: Setup, jobs: int) -> None:
    """Close the writer of this process, and remove what writers of ended processes left in the output."""
    if setup.dry_run:
        return
    if jobs == 1:
        _writer(setup).close()
        _writer.cache_clear()
    if setup.out.is_dir():
        remove_leftovers(setup.out)


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
        self._staging = None if setup.dry_run else Staging(setup.out)

    def write(self, batch: Batch) -> Written:
        """Release the units of a batch; files appear together, after all of them are durable."""
        result = Written()
        for part in batch:
            known = KnownIdentifiers(part.identifiers)
            dicom = self._dicom_release(part, known)
            nifti = Context(self._pseudonyms, known, part.identity, dict(self._setup.subjects))
            for unit in part.units:
                self._unit(unit, dicom, nifti, result)
        if self._staging is not None:
            self._commit(self._staging, result)
        result.noise = self._noise.take()
        return result

    def close(self) -> None:
        """Remove the hidden folder of this process from the output."""
        if self._staging is not None:
            self._staging.close()

    def _dicom_release(self, part: PatientUnits, known: KnownIdentifiers) -> PatientRelease:
        label, shift = self._pseudonyms.patient(part.identity), self._pseudonyms.shift(part.identity)
        patient = Patient(part.identity, label, shift, known)
        expectation = expectation_of(self._profile, self._setup.keep_times)
        return PatientRelease(self._profile, patient, self._pseudonyms, expectation)

    def _unit(self, unit: Unit, dicom: PatientRelease, nifti: Context, result: Written) -> None:
        """The unit wrapper: whatever goes wrong with one unit holds that unit, and the run goes on."""
        try:
            if isinstance(unit.record, DicomRecord):
                self._release_dicom(unit, unit.record, dicom, result)
            else:
                self._release_nifti(unit, unit.record, nifti)
        except Held as held:
            reason = held.reason
        except OSError as error:
            reason = f"unreadable: {strerror(error)}"
        except MemoryError:
            reason = "internal: out of memory; try fewer --jobs"
        except Exception as error:  # noqa: BLE001 - the one place: an unforeseen file must not stop the run
            reason = f"internal: {type(error).__name__} at {_own_line(error)}"
        else:
            context = self._setup.context
            result.outcomes.append(
                Outcome(unit.ref, unit.done_key, context, Status.RELEASED, outputs=unit.outputs)
            )
            return
        if self._staging is not None:
            for name in unit.outputs:
                self._staging.withdraw(name)
        result.outcomes.append(_held(unit, self._setup.context, reason))

    def _release_dicom(
        self, unit: Unit, record: DicomRecord, release: PatientRelease, result: Written
    ) -> None:
        claims = claims_of(self._profile, record.sop_class, record.modality, released_unseen=bool(unit.risk))
        (output,) = unit.outputs
        with open_part10(unit.path) as source:
            prepared = release.prepare(source, record, claims)
            if prepared.in_memory:
                data = prepared.to_bytes()
                self._verify_dicom(unit, release, source, data, result)
                if self._staging is not None:
                    self._staging.write(output, [data])
            elif self._staging is not None:
                self._staging.write(output, prepared.chunks())
                with map_file(self._staging.staged_path(output)) as written:
                    self._verify_dicom(unit, release, source, written, result)
        result.weaker += not claims.removed

    def _verify_dicom(
        self, unit: Unit, release: PatientRelease, source: Part10, written: Buffer, result: Written
    ) -> None:
        release.verify(source, written)
        if self._setup.diff:
            result.differences.extend(differences(unit, source, written))

    def _release_nifti(self, unit: Unit, record: NiftiRecord, context: Context) -> None:
        outputs = scrub_file(record.kind, unit.path, unit.relative, context)
        if tuple(output.relative for output in outputs) != unit.outputs:
            raise Held("output: the files changed during the run")
        if self._staging is None:
            for output in outputs:
                for _ in output.chunks:
                    pass
            return
        for output in outputs:
            self._staging.write(output.relative, output.chunks)
        written = [self._staging.staged_path(output.relative) for output in outputs]
        verify_outputs(outputs, written, context)
        if record.kind in TEXT_KINDS:
            for path in written:
                check_text(path, context.known)

    def _commit(self, staging: Staging, result: Written) -> None:
        """Move the staged files into place and complete their outcomes with size and time."""
        try:
            placed = {written.relative: written for written in staging.commit()}
        except Held as held:
            result.outcomes = [
                dataclasses.replace(o, status=Status.HELD, reason=held.reason, outputs=())
                if o.status is Status.RELEASED
                else o
                for o in result.outcomes
            ]
            return
        result.outcomes = [_completed(outcome, placed) for outcome in result.outcomes]


def _completed(outcome: Outcome, placed: dict[str, Placed]) -> Outcome:
    files = [placed[name] for name in outcome.outputs]
    if not files:
        return outcome
    newest = max(file.mtime_ns for file in files)
    return dataclasses.replace(outcome, size=sum(file.size for file in files), mtime_ns=newest)


def _own_line(error: Exception) -> str:
    """Where in this package an error came from; never its text, which may carry values."""
    own = [
        frame for frame in traceback.extract_tb(error.__traceback__) if "deid" in Path(frame.filename).parts
    ]
    return f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else "unknown"
