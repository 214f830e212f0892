"""``mami-deid scrub``: de-identify a tree."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deid.cli.project import KeyFile, ProjectName, StateFolder, prompt_once
from deid.cli.terminal import ProgressLine, print_json

if TYPE_CHECKING:
    from deid.workflows.audit.options import AuditOptions
    from deid.workflows.scrub.options import ScrubOptions


Source = Annotated[
    Path | None, typer.Argument(metavar="IN", help="Folder or file to read; not given with --files-from.")
]
Out = Annotated[Path | None, typer.Argument(metavar="OUT", help="Folder to write.")]
FilesFrom = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Read the paths of IN from a file, or with - from standard input."),
]
Null = Annotated[bool, typer.Option("--null", "-0", help="Paths of --files-from end with NUL.")]
RecipeFile = Annotated[Path | None, typer.Option(help="YAML recipe; see 'profile schema'.")]
Preset = Annotated[str, typer.Option(help="research or basic; where no recipe is given.")]
PatientMap = Annotated[
    Path | None,
    typer.Option("--patient-map", "--subject-map", help="CSV: path, folder or id, and the patient."),
]
Risk = Annotated[
    str, typer.Option(help="hold or release what may show text or a face until a step has looked.")
]
Documents = Annotated[str, typer.Option(help="hold, drop or keep encapsulated documents.")]
KeepTimes = Annotated[bool, typer.Option(help="Leave times of day as they are.")]
IdentityMode = Annotated[
    str,
    typer.Option(
        help="auto: remove identity cues from images that a model covers; require: hold the others; off."
    ),
]
Strength = Annotated[str, typer.Option(help="How strongly: light, medium, strong, or 0 to 1.")]
Model = Annotated[str | None, typer.Option(help="Anonymizer, by name or folder; else those installed.")]
Device = Annotated[str, typer.Option(help="Where networks run: auto, cpu, cuda or mps.")]
WithProof = Annotated[
    bool, typer.Option(help="Let critics and classifier look at each changed image, for the journal.")
]
ReviewShare = Annotated[
    float, typer.Option(min=0, max=1, help="Share of changed images to keep pictures of, for 'review'.")
]
Jobs = Annotated[int, typer.Option("--jobs", "-j", min=0, help="Processes; 0 for one a core.")]
Part = Annotated[str, typer.Option(metavar="I/N", help="Write only part I of N of the patients.")]
DryRun = Annotated[bool, typer.Option(help="Do everything but write.")]
Diff = Annotated[
    Path | None, typer.Option(help="Private file that receives every changed value (JSON lines).")
]
Replace = Annotated[bool, typer.Option(help="Make OUT anew; delete what else is in it.")]
Prune = Annotated[bool, typer.Option(help="Delete outputs whose input is gone.")]
HeldOk = Annotated[bool, typer.Option(help="Held units do not change the exit status.")]
MaxHeld = Annotated[
    str, typer.Option(metavar="N|P%", help="Up to so many held units do not change the exit status.")
]
Audit = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Then attack the headers and link the images of OUT; report in DIR."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the summary as JSON on standard output.")]


def command(
    source: Source = None,
    out: Out = None,
    files_from: FilesFrom = None,
    null: Null = False,
    project: ProjectName = None,
    state: StateFolder = None,
    key_file: KeyFile = None,
    recipe: RecipeFile = None,
    preset: Preset = "research",
    patient_map: PatientMap = None,
    on_risk: Risk = "hold",
    encapsulated: Documents = "hold",
    keep_times: KeepTimes = False,
    identity: IdentityMode = "auto",
    strength: Strength = "strong",
    model: Model = None,
    device: Device = "auto",
    proof: WithProof = True,
    review: ReviewShare = 1.0,
    jobs: Jobs = 0,
    shard: Part = "1/1",
    dry_run: DryRun = False,
    diff: Diff = None,
    replace: Replace = False,
    prune: Prune = False,
    held_ok: HeldOk = False,
    max_held: MaxHeld = "0",
    audit: Audit = None,
    json: AsJson = False,
) -> None:
    """De-identify the tree IN into OUT.

    OUT gets files that may be shared: DICOM as patient/study/series/instance, NIfTI and BIDS in their own
    layout, all under keyed pseudonyms. What is not understood, or may still show a text or a face, is held
    back and counted with its reason; 'mami-deid show REF' says which file a reference means.
    """
    from deid.core.shards import Shard
    from deid.workflows.scrub.options import (
        Encapsulated,
        HeldLimit,
        Identity,
        OnRisk,
        ScrubOptions,
        one_of,
        parse_strength,
    )

    source, out, listed = _paths(source, out, files_from, null)
    options = ScrubOptions(
        source=source,
        out=out,
        listed=listed,
        project=project,
        state=state,
        key_file=key_file,
        recipe=recipe,
        preset=preset,
        patient_map=patient_map,
        on_risk=one_of(OnRisk, "--on-risk", on_risk),
        encapsulated=one_of(Encapsulated, "--encapsulated", encapsulated),
        keep_times=keep_times,
        identity=one_of(Identity, "--identity", identity),
        strength=parse_strength(strength),
        model=model,
        device=device,
        proof=proof,
        review=review,
        jobs=jobs or _cores(),
        shard=Shard.parse(shard),
        dry_run=dry_run,
        diff=diff,
        replace=replace,
        prune=prune,
        held_limit=None if held_ok else HeldLimit.parse(max_held),
    )
    checks = None if audit is None else _audit_options(options, audit)
    ask = prompt_once()
    status = _run(options, ask, json=json)
    if checks is not None:
        _audit(checks, ask)
    raise typer.Exit(status)


def _run(options: ScrubOptions, ask: Callable[[], str] | None, *, json: bool) -> int:
    """Scrub, print the summary, and return the exit status."""
    from deid.cli.summary import print_summary
    from deid.workflows.scrub import scrub

    with ProgressLine() as progress:
        summary = scrub(options, progress.update, ask)
    if json:
        print_json(summary.to_json())
    else:
        print_summary(summary, dry_run=options.dry_run)
    return summary.exit_status(options.held_limit)


def _audit_options(options: ScrubOptions, report: Path) -> AuditOptions:
    from deid.core.errors import UsageError
    from deid.core.project import ProjectOptions
    from deid.workflows.audit.options import AuditOptions

    if options.dry_run:
        raise UsageError("--dry-run writes nothing that --audit could attack; give one of them.")
    return AuditOptions.after_scrub(
        report,
        [options.source] if options.source is not None else [],
        ProjectOptions(options.out, options.project, options.state, options.key_file),
        recipe=options.recipe,
        preset=options.preset,
        device=options.device,
        shard=options.shard,
    )


def _audit(options: AuditOptions, ask: Callable[[], str] | None) -> None:
    """Attack what was written; the exit status stays that of the scrub."""
    from deid.cli.audit import run
    from deid.core.errors import UsageError

    try:
        run(options, ask)
    except UsageError as refused:
        typer.echo(f"not audited: {refused}", err=True)


def _cores() -> int:
    """Cores that this process may use, which a batch system makes fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _paths(
    source: Path | None, out: Path | None, files_from: str | None, null: bool
) -> tuple[Path | None, Path, tuple[Path, ...] | None]:
    """IN, OUT and the list; with ``--files-from`` the one path given is OUT."""
    from deid.core.errors import UsageError
    from deid.core.files import read_file_list

    if files_from is None:
        if source is None or out is None:
            raise UsageError("two paths are needed: mami-deid scrub IN OUT (or --files-from - OUT).")
        return source, out, None
    if source is None or out is not None:
        raise UsageError("with --files-from give one path, the output: mami-deid scrub --files-from - OUT.")
    if files_from == "-":
        return None, source, tuple(read_file_list(sys.stdin.buffer, null))
    try:
        with Path(files_from).open("rb") as stream:
            return None, source, tuple(read_file_list(stream, null))
    except OSError:
        raise UsageError("the list of --files-from cannot be read; check the path.") from None
