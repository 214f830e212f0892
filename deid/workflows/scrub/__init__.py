"""``scrub``: from a tree that names its patients to one that may be shared."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from deid import __version__
from deid.core.errors import UsageError
from deid.core.files import refuse_inside
from deid.core.journal import Journal
from deid.core.noise import NoiseCounter
from deid.core.outcomes import Outcome
from deid.core.outputs import list_outputs, remove_outputs
from deid.core.parallel import map_batches
from deid.core.patient_map import PatientMap, read_patient_map
from deid.core.project import Project, ProjectOptions
from deid.core.pseudonyms import Pseudonyms
from deid.core.review_store import ReviewStore
from deid.dicom.claims import weaker_rows
from deid.dicom.profile import Option, Profile
from deid.dicom.recipe import Recipe, load_recipe, preset_recipe
from deid.workflows.scrub.differences import DifferenceFile
from deid.workflows.scrub.formats import INDEX, subject_map
from deid.workflows.scrub.identity import APPLIED, how
from deid.workflows.scrub.identity_setup import IdentitySetup, identity_setup
from deid.workflows.scrub.indexing import Found, Indexer
from deid.workflows.scrub.inputs import Inputs, check_inputs
from deid.workflows.scrub.options import ScrubOptions
from deid.workflows.scrub.ownership import check_no_stranger, check_output
from deid.workflows.scrub.planning import Planner
from deid.workflows.scrub.summary import Summary
from deid.workflows.scrub.writable import check_writable
from deid.workflows.scrub.writing import Setup, Written, finish_writing, lost_batch, parts_of, write_batch

Progress = Callable[[str, int, int | None], None]
"""Called with the phase (``index`` or ``write``), units done since the last call, and the total if known."""


def scrub(options: ScrubOptions, progress: Progress, prompt: Callable[[], str] | None = None) -> Summary:
    """De-identify a tree.

    Args:
        options: Of the run.
        progress: Is told how far it is.
        prompt: Asks for the passphrase of an encrypted key; None where nobody can be asked.

    Returns:
        Counts and reasons.

    Raises:
        UsageError: Options, recipe, key or project cannot be used; nothing was changed.
    """
    noise = NoiseCounter.installed()
    options.check()
    check_inputs(options)
    if options.diff is not None:
        refuse_inside(options.diff, options.out, "the --diff file")
    recipe = load_recipe(options.recipe) if options.recipe else preset_recipe(options.preset)
    patients = read_patient_map(options.patient_map) if options.patient_map else PatientMap()
    where = ProjectOptions(options.out, options.project, options.state, options.key_file)
    check_writable(options, where)
    exclusive = options.replace or options.prune
    with ExitStack() as stack:
        project = stack.enter_context(Project.open(where, exclusive=exclusive, prompt=prompt))
        journal = stack.enter_context(project.journal())
        keep_times = options.keep_times or recipe.keep_times
        profile = recipe.profile()
        identity = identity_setup(options, retains_uids=Option.RETAIN_UIDS in profile.options)
        setup = Setup(
            project.key,
            keep_times,
            recipe.model_dump_json(),
            _context(project.key.fingerprint, recipe, options, keep_times, identity),
            Path(stack.enter_context(TemporaryDirectory(prefix="mami-deid-")))
            if options.dry_run
            else options.out,
            tuple(subject_map(patients).items()),
            options.dry_run,
            options.diff is not None,
            identity,
            project.state / "review",
        )
        check_output(options, journal, setup.context)
        report = stack.enter_context(closing(DifferenceFile(options.diff)))
        run = _Run(options, setup, project.pseudonyms(keep_times=keep_times), journal, patients, progress)
        summary = run.run(profile, report)
        check_no_stranger(options, journal)
        summary.noise.update(noise.take())
        return summary


class _Run:
    """One run over an open project."""

    def __init__(
        self,
        options: ScrubOptions,
        setup: Setup,
        pseudonyms: Pseudonyms,
        journal: Journal,
        patients: PatientMap,
        progress: Progress,
    ) -> None:
        self._options = options
        self._setup = setup
        self._pseudonyms = pseudonyms
        self._journal = journal
        self._patients = patients
        self._progress = progress
        self._inputs = Inputs.of(options, journal)
        self._summary = Summary(identity=options.identity)

    def run(self, profile: Profile, report: DifferenceFile) -> Summary:
        """Index, write, tidy up."""
        summary, options = self._summary, self._options
        summary.profile = profile.name
        summary.weaker_because |= set(weaker_rows(profile))
        reads = {"version": __version__, "index": INDEX, "patient_map": self._patients.digest}
        reads["home"] = self._inputs.home
        roots = {"input": str(options.source or ""), "home": self._inputs.home, "out": str(options.out)}
        if not options.dry_run:
            roots["recipe"] = self._setup.recipe
        number = self._journal.start_run(reads, roots, self._setup.context.hex())
        with self._timed("index"):
            found = self._index(number, reads)
        if options.prune and not found.files:
            raise UsageError(
                "the input holds no file, perhaps a disk is not mounted; --prune deletes nothing."
            )
        with self._timed("write"):
            self._write(found, profile, report)
        if not options.dry_run:
            self._delete_outputs(found.gone)
            self._compare_patients()
        counts = {"released": summary.released, "held": summary.held.total(), "unchanged": summary.unchanged}
        self._journal.end_run(number, counts, summary.exit_status(options.held_limit))
        return summary

    @contextmanager
    def _timed(self, phase: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self._summary.seconds[phase] = time.perf_counter() - started

    def _index(self, number: int, reads: dict[str, str]) -> Found:
        def progress(files: int, noise: dict[str, int]) -> None:
            self._summary.noise.update(noise)
            self._progress("index", files, None)

        indexer = Indexer(
            self._inputs, self._journal, self._pseudonyms, self._patients, self._options.jobs, progress
        )
        return indexer.run(number, reads)

    def _write(self, found: Found, profile: Profile, report: DifferenceFile) -> None:
        """The write pass: plan, write, journal; one transaction a batch, after its files are durable."""
        summary, setup = self._summary, self._setup
        planner = Planner(
            self._options,
            self._inputs,
            found,
            self._journal,
            self._pseudonyms,
            self._patients,
            setup.context,
            profile.options,
            self._decided,
            setup.identity.stacked,
        )
        tasks = ((setup, batch) for batch in planner.batches())
        batches = map_batches(write_batch, tasks, self._options.jobs, parts_of, lost_batch)
        try:
            with closing(batches):
                for written in batches:
                    self._take(written, report)
        finally:
            finish_writing(setup)
        plan = planner.plan
        summary.patients, summary.elsewhere = plan.patients, plan.elsewhere
        summary.without_id, summary.shared_uids = plan.without_id, plan.shared_uids

    def _decided(self, outcome: Outcome, unchanged: bool) -> None:
        self._summary.add(outcome, unchanged)
        if not unchanged and not self._options.dry_run:
            self._forget_pictures([outcome.ref])

    def _take(self, written: Written, report: DifferenceFile) -> None:
        if not self._options.dry_run:
            self._journal.outcomes.record(written.outcomes)
            self._forget_pictures(o.ref for o in written.outcomes if APPLIED not in o.details)
        for outcome in written.outcomes:
            self._summary.add(outcome)
        self._summary.noise.update(written.noise)
        report.write(written.differences)
        self._progress("write", len(written.outcomes), None)

    def _forget_pictures(self, refs: Iterable[bytes]) -> None:
        """Images that an earlier run has changed and this one has not are nothing to review any more."""
        if self._setup.pictures.is_dir():
            ReviewStore(self._setup.pictures).remove(refs)

    def _compare_patients(self) -> None:
        """How alike unrelated patients look to the critics, by what was kept for the review."""
        if self._summary.changed and self._setup.pictures.is_dir():
            store = ReviewStore(self._setup.pictures)
            store.trim_templates()
            found = {how(*made): cosines for made, cosines in store.unrelated().items()}
            self._summary.unrelated = {made: found.get(made, {}) for made in self._summary.changed}

    def _delete_outputs(self, gone: frozenset[bytes]) -> None:
        """Delete stale files; ``--prune``: whose input is gone; ``--replace``: also what is foreign."""
        outcomes, out, summary = self._journal.outcomes, self._options.out, self._summary
        if self._options.prune or self._options.replace:
            self._journal.inputs.forget(gone)
            self._forget_pictures(gone)
        else:
            summary.gone = sum(len(outcome.outputs) for outcome in outcomes.lookup(gone).values())
        known = outcomes.known_outputs()
        doomed = set(outcomes.stale_outputs())
        if self._options.replace:
            doomed |= {name for name in list_outputs(out) if known.get(name) != self._setup.context}
        if not doomed or not out.is_dir():
            return
        deleted = remove_outputs(out, sorted(doomed))
        outcomes.forget_outputs(name for name in deleted if name in known)
        summary.deleted = len(deleted)


def _context(
    fingerprint: str, recipe: Recipe, options: ScrubOptions, keep_times: bool, identity: IdentitySetup
) -> bytes:
    """Digest of what an output depends on beside its input and its patient."""
    parts = (
        *(fingerprint, recipe.digest(), options.on_risk, options.encapsulated, keep_times),
        *(identity.digest, __version__),
    )
    return hashlib.sha256(repr([str(part) for part in parts]).encode()).digest()
