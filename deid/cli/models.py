"""``mami-deid models``: the models that are there, and what they are."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deid.cli.terminal import one_line, print_json, print_lines, print_table

if TYPE_CHECKING:
    from deid.core.model_card import ModelRecord
    from deid.workflows.models import Listed

app = typer.Typer(
    help="List, show, verify, import and remove models.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

ModelsOption = Annotated[
    Path | None,
    typer.Option("--models", metavar="FOLDER", help="A model or folder of models to look in first."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_(models: ModelsOption = None, as_json: JsonOption = False) -> None:
    """Print the models that can be used, and where they lie."""
    from deid.workflows.models import list_models

    found = list(list_models(models))
    if as_json:
        print_json([entry.to_json() for entry in found])
        return
    header = ("name", "kind", "modality", "size", "licence", "place", "folder")
    print_table(header, [_row(entry) for entry in found])
    if not found:
        typer.echo("no models were found; 'mami-deid models import' brings one in.", err=True)
    for entry in found:
        if entry.problem:
            typer.echo(f"{entry.name}: {entry.problem}", err=True)


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name of 'models list'.")],
    models: ModelsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the record of a model and its card."""
    from deid.core.model_card import record_text
    from deid.workflows.models import show_model

    record, card = show_model(name, models)
    if as_json:
        print_json(json.loads(record_text(record)) | {"card": card})
        return
    print_lines([*_record_lines(record), ""])
    print_lines(one_line(line) for line in card.split("\n"))


@app.command("verify")
def verify(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="All if none is given.")
    ] = None,
    models: ModelsOption = None,
) -> None:
    """Check records, hashes and weights by loading each model; exit status 1 if one is not sound."""
    from deid.core.errors import ExitStatus
    from deid.workflows.models import verify_models

    sound = True
    for name, problem in verify_models(names or [], models):
        print_lines([f"{name}\t{problem or 'sound'}"])
        sound = sound and not problem
    raise typer.Exit(ExitStatus.RELEASED if sound else ExitStatus.HELD)


@app.command("import")
def import_(
    source: Annotated[
        Path,
        typer.Argument(metavar="SOURCE", help="MAMI_pretrained.pth, a model folder, or a .zip of one."),
    ],
    to: Annotated[
        Path | None,
        typer.Option(
            "--to", metavar="FOLDER", help="The model folder to make; by default among your models."
        ),
    ] = None,
) -> None:
    """Bring in a model: it is checked, and nothing in it is run.

    The published MaMI checkpoint has no licence and is not shipped; your own copy is converted.
    """
    from deid.workflows.models import import_model

    imported = import_model(source, to)
    print_lines(imported.report)
    print_lines([f"{imported.record.name}\t{imported.folder}"])


@app.command("remove")
def remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name of 'models list'.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove one of your own models; those of the package are not removed."""
    from deid.core.errors import UsageError
    from deid.workflows.models import removable, remove_model

    folder = removable(name)
    if not yes and not sys.stdin.isatty():
        raise UsageError("there is nobody to ask; give --yes to remove the model.")
    if not yes and not typer.confirm(f"remove {folder}?", err=True):
        typer.echo("nothing was removed", err=True)
        return
    remove_model(name)
    typer.echo(f"{name} removed", err=True)


def _row(entry: Listed) -> tuple[str, ...]:
    record = entry.record
    return (
        entry.name,
        record.kind if record else "?",
        " ".join(record.input.modalities) if record else "?",
        f"{entry.size / 1e6:.1f} MB",
        record.licence if record else "?",
        entry.place,
        one_line(str(entry.folder)),
    )


def _record_lines(record: ModelRecord) -> list[str]:
    weights = record.weights
    assert weights is not None
    return [
        f"{record.name}: {record.kind}, architecture {record.architecture}",
        f"arguments {json.dumps(record.arguments, sort_keys=True)}",
        f"{weights.parameters} parameters as {weights.dtype}, SHA-256 {weights.sha256}",
        f"written by {record.created_by}",
    ]
