"""``scrub``: from a tree that names its patients to one that may be shared."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import closing

from deid import __version__
from deid.core.errors import UsageError
from deid.core.files import check_roots, refuse_inside
from deid.core.journal import Journal
from deid.core.outputs import list_outputs, remove_outputs
from deid.core.parallel import map_batches
from deid.core.patient_map import PatientMap, read_patient_map
from deid.core.project import Project, ProjectOptions
from deid.dicom.claims import weaker_rows
from deid.dicom.profile import Profile
from deid.dicom.recipe import Recipe, load_recipe, preset_recipe
from deid.workflows.scrub.differences import DifferenceFile
from deid.workflows.scrub.formats import subject_map
from deid.workflows.scrub.indexing import input_root, run_index
from deid.workflows.scrub.options import ScrubOptions
from deid.workflows.scrub.planning import Planner
from deid.workflows.scrub.summary import Summary
from deid.workflows.scrub.units import Batch
from deid.workflows.scrub.writing import Setup, finish_writing, lost_batch, write_batch

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
    roots = list(options.listed) if options.listed is not None else [options.source or options.out]
    check_roots(roots, options.out)
    if options.diff is not None:
        refuse_inside(options.diff, options.out, "the --diff file")
    recipe = load_recipe(options.recipe) if options.recipe else preset_recipe(options.preset)
    profile = recipe.profile()
    patients = read_patient_map(options.patient_map) if options.patient_map else PatientMap()
    where = ProjectOptions(options.out, options.project, options.state, options.key_file)
    exclusive = options.replace or options.prune
    with Project.open(where, exclusive=exclusive, prompt=prompt) as project, project.journal() as journal:
        keep_times = options.keep_times or recipe.keep_times
        context = _context(project.key.fingerprint, recipe, options, keep_times)
        _check_output(options, journal, context)
        setup = Setup(
            project.key,
            keep_times,
            recipe.model_dump_json(),
            context,
            options.out,
            tuple(subject_map(patients).items()),
            options.dry_run,
            options.diff is not None,
        )
        return _run(options, setup, project, journal, patients, profile, progress)


def _run(
    options: ScrubOptions,
    setup: Setup,
    project: Project,
    journal: Journal,
    patients: PatientMap,
    profile: Profile,
    progress: Progress,
) -> Summary:
    summary = Summary(weaker_because=weaker_rows(profile))
    pseudonyms = project.pseudonyms(keep_times=setup.keep_times)
    reads = {
        "version": __version__,
        "patient_map": patients.digest,
        "root": str(input_root(options).resolve()),
    }
    previous = journal.runs(1)
    run = journal.start_run(reads, {"input": reads["root"], "out": str(options.out)}, setup.context.hex())

    started = time.perf_counter()
    fresh = not previous or previous[0].options != reads

    def indexed(files: int, noise: dict[str, int]) -> None:
        summary.noise.update(noise)
        progress("index", files, None)

    run_index(options, journal, pseudonyms, patients, run, fresh, indexed)
    summary.seconds["index"] = time.perf_counter() - started

    started = time.perf_counter()
    gone = frozenset(journal.inputs.gone(run))
    planner = Planner(options, journal, pseudonyms, patients, setup.context, profile.options, summary.add)
    try:
        _write(options, setup, journal, planner, gone, summary, progress)
    finally:
        finish_writing(setup, options.jobs)
    summary.seconds["write"] = time.perf_counter() - started
    if not options.dry_run:
        _delete_outputs(options, journal, setup.context, gone, summary)
    status = summary.exit_status(options.held_limit)
    counts = {"released": summary.released, "held": summary.held.total(), "unchanged": summary.unchanged}
    journal.end_run(run, counts, status)
    return summary


def _write(
    options: ScrubOptions,
    setup: Setup,
    journal: Journal,
    planner: Planner,
    gone: frozenset[bytes],
    summary: Summary,
    progress: Progress,
) -> None:
    """The write pass: plan, write, journal; one transaction a batch, after its files are durable."""

    def tasks() -> Iterator[tuple[Setup, Batch]]:
        for batch in planner.batches(gone):
            yield setup, batch

    with closing(DifferenceFile(options.diff)) as report:
        for written in map_batches(write_batch, tasks(), options.jobs, lost_batch):
            if not options.dry_run:
                journal.outcomes.record(written.outcomes)
            for outcome in written.outcomes:
                summary.add(outcome)
            summary.noise.update(written.noise)
            summary.weaker += written.weaker
            report.write(written.differences)
            progress("write", len(written.outcomes), None)
    plan = planner.plan
    summary.unchanged, summary.patients = plan.unchanged, plan.patients
    summary.without_id, summary.shared_uids = plan.without_id, plan.shared_uids


def _context(fingerprint: str, recipe: Recipe, options: ScrubOptions, keep_times: bool) -> bytes:
    """Digest of what an output depends on beside its input and its patient."""
    parts = (fingerprint, recipe.digest(), options.on_risk, options.encapsulated, keep_times, __version__)
    return hashlib.sha256(repr([str(part) for part in parts]).encode()).digest()


def _check_output(options: ScrubOptions, journal: Journal, context: bytes) -> None:
    """OUT belongs to one project, made in one way; anything else in it stops the run."""
    if options.replace or not options.out.is_dir():
        return
    found = list(list_outputs(options.out))
    known = journal.outcomes.known_outputs()
    unknown = sum(name not in known for name in found)
    if unknown:
        raise UsageError(
            f"the output holds {unknown} file(s) that this project did not write; "
            "give an empty or new folder, the project that wrote them (--project, --state), "
            "or --replace to delete them once the new files are in place."
        )
    other = sum(known[name] != context for name in found)
    if other:
        raise UsageError(
            f"the output holds {other} file(s) made with another recipe, option or version; "
            "give a new folder, or --replace to make them anew."
        )


def _delete_outputs(
    options: ScrubOptions, journal: Journal, context: bytes, gone: frozenset[bytes], summary: Summary
) -> None:
    """Delete what is replaced; with ``--prune`` what lost its input, with ``--replace`` what is foreign."""
    outcomes = journal.outcomes
    left = outcomes.lookup(gone)
    summary.gone = sum(len(outcome.outputs) for outcome in left.values())
    if options.prune:
        journal.inputs.forget(gone)
        summary.gone = 0
    doomed = set(outcomes.stale_outputs())
    if options.replace:
        known = outcomes.known_outputs()
        doomed |= {name for name in list_outputs(options.out) if known.get(name) != context}
    deleted = remove_outputs(options.out, sorted(doomed)) if doomed and options.out.is_dir() else []
    outcomes.forget_outputs(deleted)
    summary.deleted = len(deleted)
