"""From the command line to the pairs of originals and outputs: journal, table, key, or equal names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from deid.audit.release import (
    Instance,
    Pair,
    equal_name_pairs,
    journal_pairs,
    keyed_pairs,
    last_output,
    released_files,
    table_pairs,
)
from deid.audit.strays import stray_files
from deid.core.errors import UsageError
from deid.core.journal import Journal
from deid.core.keys import load_key
from deid.core.outcomes import Status
from deid.core.project import Project, ProjectOptions
from deid.core.pseudonyms import Pseudonyms
from deid.core.shards import WHOLE, Shard
from deid.workflows.audit.options import AuditOptions

_CHANGED = "identity"  # where scrub notes in an outcome what it did to the pixels
Prompt = Callable[[], str] | None


@dataclass(frozen=True)
class Found:
    """The files to audit.

    Attributes:
        pairs: Outputs with their originals.
        roots: Folders that no report may lie in.
        strays: Files of the release that are of no pair.
        model: Anonymizer that changed most of the images; empty if nothing says it.
        strength: Its strength, 0..1.
        recipe: That of the last run as JSON; empty where no project knows it.
        state: The private state folder of the project; None where no project is known.
        part: Which part of the project's patients this is; None where no project is known.
    """

    pairs: list[Pair]
    roots: tuple[Path, ...]
    strays: tuple[Instance, ...] = ()
    model: str = ""
    strength: float = 1.0
    recipe: str = ""
    state: Path | None = None
    part: Mapping[str, int | str] | None = None


def find_pairs(options: AuditOptions, prompt: Prompt = None) -> Found:
    """Find what is audited.

    Raises:
        UsageError: There is nothing, or it cannot be told which output comes from which original.
    """
    originals, scrubbed = options.originals, options.scrubbed
    if scrubbed is None:
        return _of_project(options, prompt)
    if originals is not None and options.pairs is None:
        where = ProjectOptions(scrubbed, options.project, options.state, options.key_file)
        if where.folder().is_dir():
            with Project.open(where, create=False, prompt=prompt) as project, project.journal() as journal:
                return _of_journal(project, journal, scrubbed, originals, options.shard)
        if options.project is not None or options.state is not None:
            raise UsageError("there is no such project; check --project or --state.")
    if options.shard != WHOLE:
        raise UsageError("--shard needs the project, whose key says who is in which; see --out and --state.")
    if originals is None:
        return Found(released_files(scrubbed), (scrubbed,))
    roots = (originals, scrubbed)
    if options.pairs is not None:
        return _paired(table_pairs(options.pairs, originals, scrubbed), scrubbed, roots)
    if options.key_file is not None:
        key = load_key(Path("unused"), options.key_file, {}, prompt)
        return _paired(keyed_pairs(Pseudonyms(key), originals, scrubbed), scrubbed, roots)
    return Found(equal_name_pairs(originals, scrubbed), roots)


def _paired(pairs: list[Pair], scrubbed: Path, roots: tuple[Path, ...]) -> Found:
    return Found(pairs, roots, stray_files(pairs, scrubbed))


def _of_project(options: AuditOptions, prompt: Prompt) -> Found:
    """The last run of the project that ``--out``, ``--project`` or ``--state`` names."""
    if options.out is None and options.project is None and options.state is None:
        raise UsageError(
            "say what to audit: ORIGINALS and SCRUBBED, or SCRUBBED alone, or a project by --out, --project "
            "or --state."
        )
    where = ProjectOptions(options.out, options.project, options.state, options.key_file)
    with Project.open(where, create=False, prompt=prompt) as project:
        if options.out is not None:
            with project.journal() as journal:
                return _of_journal(project, journal, options.out, None, options.shard)
        journals = project.journals()
        try:
            newest, out = last_output(journals)
            return _of_journal(project, newest, out, None, options.shard)
        finally:
            for each in journals:
                each.close()


def _of_journal(project: Project, journal: Journal, out: Path, originals: Path | None, shard: Shard) -> Found:
    # Tables of several patients are searched in every shard, for what the originals say of its patients.
    every = journal_pairs(journal, out, originals)
    pairs = [pair for pair in every if not pair.patient or shard.holds(bytes.fromhex(pair.patient))]
    if not pairs:
        raise UsageError("no patient of the release falls into this shard; there is nothing to audit.")
    changed: Counter[tuple[str, float]] = Counter()
    for outcome in journal.outcomes.all(Status.RELEASED):
        noted = outcome.details.get(_CHANGED)
        if isinstance(noted, dict):
            changed[str(noted.get("model", "")), float(noted.get("strength", 1.0))] += 1
    model, strength = changed.most_common(1)[0][0] if changed else ("", 1.0)
    home = originals if originals is not None else Path(str(journal.runs(1)[0].roots.get("home", "")))
    roots = (out, project.state) if home == Path(home.anchor) else (home, out, project.state)
    split = project.pseudonyms().digest("audit split", str(shard.of)).hex()[:16]
    part: dict[str, int | str] = {"number": shard.number, "of": shard.of, "split": split}
    recipe = next((str(run.roots["recipe"]) for run in journal.runs() if "recipe" in run.roots), "")
    return Found(pairs, roots, stray_files(every, out), model, strength, recipe, project.state, part)
