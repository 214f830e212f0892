"""``mami-deid audit``: attack a release, and report what the attacks reach."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from deid.cli.project import KeyFile, OutOption, ProjectName, StateFolder, prompt
from deid.cli.terminal import ProgressLine, print_json

if TYPE_CHECKING:
    from deid.audit.gates import Gate
    from deid.workflows.audit import Audit, AuditOptions

Folders = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[ORIGINALS] [SCRUBBED]",
        help="Two folders; or a release alone; or none, for the last run of a project; files for --merge.",
    ),
]
Report = Annotated[
    Path | None, typer.Option(metavar="DIR", help="New or empty folder; else ./audit-DATE-TIME.")
]
Attacks = Annotated[
    list[str] | None,
    typer.Option(
        "--attack", help="reid, linkage, inversion, header, utility or plane; repeatable; else all."
    ),
]
EffortOption = Annotated[str, typer.Option(help="quick, or full: train attackers to the end.")]
Require = Annotated[
    list[str] | None,
    typer.Option(
        metavar="EXPR", help="A gate such as 'header.certain==0'; repeatable; status 5 if any fails."
    ),
]
Allow = Annotated[bool, typer.Option(help="What was not assessed passes a gate.")]
Pairs = Annotated[
    Path | None, typer.Option(metavar="CSV", help="original,scrubbed: paths in the two folders.")
]
Patients = Annotated[
    Path | None, typer.Option(metavar="CSV", help="path,patient of released files; goes before headers.")
]
Labels = Annotated[
    Path | None,
    typer.Option(
        metavar="CSV", help="path,labels or uid,labels, of released files or their originals, for utility."
    ),
]
RecipeFile = Annotated[Path | None, typer.Option(help="Recipe that the release was made by.")]
Preset = Annotated[
    str | None,
    typer.Option(help="research or basic; where neither this nor --recipe is given, what the project says."),
]
Model = Annotated[str | None, typer.Option(help="Anonymizer that made the release, by name or folder.")]
Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of everything that is drawn.")]
Device = Annotated[str, typer.Option(help="Where networks run: auto, cpu, cuda or mps.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print audit.json on standard output.")]
Render = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Draw the page of an audit.json again, into DIR or beside it, and end."
    ),
]
Merge = Annotated[
    bool,
    typer.Option("--merge", help="Join audit.json files of shards, given in place of folders."),
]
Part = Annotated[
    str, typer.Option(metavar="I/N", help="Audit only part I of N of the patients, as 'scrub --shard'.")
]
StructuredReport = Annotated[
    Path | None,
    typer.Option(
        "--sr", metavar="FILE", help="New file for the result as a DICOM SR; also with --render and --merge."
    ),
]
Forget = Annotated[bool, typer.Option("--forget", help="Delete the private annexes of a project and end.")]
Schema = Annotated[bool, typer.Option("--schema", help="Print the JSON schema of audit.json and end.")]


def command(
    folders: Folders = None,
    report: Report = None,
    attack: Attacks = None,
    effort: EffortOption = "quick",
    require: Require = None,
    allow_not_assessed: Allow = False,
    pairs: Pairs = None,
    patients: Patients = None,
    labels: Labels = None,
    recipe: RecipeFile = None,
    preset: Preset = None,
    model: Model = None,
    out: OutOption = None,
    project: ProjectName = None,
    state: StateFolder = None,
    key_file: KeyFile = None,
    seed: Seed = 0,
    device: Device = "auto",
    shard: Part = "1/1",
    merge: Merge = False,
    json: AsJson = False,
    render: Render = None,
    sr: StructuredReport = None,
    forget: Forget = False,
    schema: Schema = False,
) -> None:
    """Attack a release and report what the attacks reach, as audit.json and audit.html.

    The report holds counts, quantiles and curves, and may be shared. It says "linkable", "no link found by
    these attackers" or "not assessed": that an attack failed shows nothing of attacks that were not tried.
    """
    if require and (schema or forget or render is not None):
        _refuse("--require needs an audit, or --merge: it is not checked by --render, --forget or --schema.")
    if schema:
        _print_schema()
        return
    if render is not None:
        _redraw(render, report, sr)
        return
    if forget:
        _forget(out, project, state)
        return
    from deid.audit.gates import parse_gate

    report = report if report is not None else Path(f"audit-{datetime.now():%Y%m%d-%H%M%S}")
    gates = tuple(map(parse_gate, require or ()))
    if merge:
        _end(_merge(folders or [], report, gates, allow_not_assessed, sr), json=json)
    from deid.core.shards import Shard
    from deid.workflows.audit import Attack, AuditOptions, Effort
    from deid.workflows.audit.options import device_named, one_of

    originals, scrubbed = _sides(folders or [])
    options = AuditOptions(
        report=report,
        originals=originals,
        scrubbed=scrubbed,
        out=out,
        project=project,
        state=state,
        key_file=key_file,
        pairs=pairs,
        patients=patients,
        labels=labels,
        recipe=recipe,
        preset=preset,
        attacks=tuple(one_of(Attack, "--attack", word) for word in attack or ()),
        effort=one_of(Effort, "--effort", effort),
        gates=gates,
        allow_not_assessed=allow_not_assessed,
        model=model,
        seed=seed,
        device=device_named(device),
        shard=Shard.parse(shard),
        sr=sr,
    )
    _end(run(options, prompt()), json=json)


def run(options: AuditOptions, ask: Callable[[], str] | None) -> Audit:
    """Audit, and tell on standard error what came out; ``ask`` gives the passphrase of an encrypted key."""
    from deid.workflows.audit import audit

    with ProgressLine() as progress:
        done = audit(options, progress.update, ask, lambda line: typer.echo(line, err=True))
    _tell(done)
    return done


def _end(done: Audit, *, json: bool) -> NoReturn:
    if json:
        print_json(done.result)
    raise typer.Exit(done.exit_status)


def _merge(
    files: list[Path], report: Path, gates: tuple[Gate, ...], allow_not_assessed: bool, sr: Path | None
) -> Audit:
    from deid.workflows.audit.merged import merge_audits

    done = merge_audits(files, report, gates, allow_not_assessed=allow_not_assessed, sr=sr)
    _tell(done)
    return done


def _sides(folders: list[Path]) -> tuple[Path | None, Path | None]:
    if len(folders) > 2:
        _refuse("give at most two folders: ORIGINALS and SCRUBBED.")
    if len(folders) == 2:
        return folders[0], folders[1]
    return None, folders[0] if folders else None


def _refuse(message: str) -> NoReturn:
    from deid.core.errors import UsageError

    raise UsageError(message)


def _print_schema() -> None:
    from deid.audit.schema import schema

    print_json(schema())


def _redraw(result: Path, report: Path | None, sr: Path | None) -> None:
    from deid.workflows.audit.redraw import redraw

    for path in redraw(result, report, sr):
        typer.echo(str(path), err=True)


def _forget(out: Path | None, project: str | None, state: Path | None) -> None:
    from deid.core.project import ProjectOptions
    from deid.workflows.audit.annexes import forget_annexes

    count = forget_annexes(ProjectOptions(out, project, state))
    typer.echo(f"private annexes deleted: {count}", err=True)


def _tell(done: Audit) -> None:
    """The verdicts, what was left out, failed gates and the place of the report, on standard error."""
    for threat, verdict, words in done.rows():
        typer.echo(f"{threat:<10} {verdict:<14} {words}", err=True)
    for reason, count in done.left_out.items():
        typer.echo(f"left out: {count} ({reason})", err=True)
    for gate in done.result["gates"]:
        if not gate["passed"]:
            found = gate["reason"] or f"found {gate['found']:g}"
            typer.echo(f"gate failed: {gate['expression']} ({found})", err=True)
    for path in done.files:
        typer.echo(str(path), err=True)
    if done.annex is not None:
        typer.echo(f"private annex, not to be shared: {done.annex}", err=True)
