"""The training commands: their flags are the fields of their options, declared once.

A flag that is not given is None, so that the YAML file of ``--config`` can speak; the defaults shown in the
help are those of the options.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, get_args, get_origin

import typer
from typer.core import TyperCommand

from deid.cli.terminal import print_json, print_table

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from deid.core.model_card import Metric
    from deid.training.options import LoopOptions
    from deid.training.trained import Trained

Data = Annotated[
    Path | None,
    typer.Argument(
        metavar="DATA", help="Manifest CSV, or a folder: with a manifest.csv, or of DICOM or BIDS files."
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(metavar="RUN", help="Run folder: private, for it shows and remembers patients."),
]
Config = Annotated[Path | None, typer.Option(metavar="FILE", help="YAML with options; flags win.")]
Json = Annotated[bool, typer.Option("--json", help="Print the figures as JSON on standard output.")]

_METAVARS = {"labels": "FILE", "cache": "FOLDER"}
_FLAGS = "deid.flags"


class Training(NamedTuple):
    """What a command runs.

    Attributes:
        needed: What to say if data or run folder are missing.
        options: The class of the options.
        train: The workflow: of data, run folder, options and a function that takes lines for the user.
    """

    needed: str
    options: type[LoopOptions]
    train: Callable[[Path, Path, Any, Callable[[str], None]], Trained]


class TrainingCommand(TyperCommand):
    """A command with a flag for each field of its options, beside what `command` declares.

    Its docstring is the text of its help.
    """

    @staticmethod
    def load() -> Training:
        """What it runs; called when the flags are needed, so that ``mami-deid --help`` stays light."""
        raise NotImplementedError

    def get_params(self, ctx: Any) -> list[Any]:
        """Declared parameters, then the flags, the command's own first, then the help."""
        declared = super().get_params(ctx)
        return [*self.params, *_flags(self.load().options), *declared[len(self.params) :]]

    def invoke(self, ctx: Any) -> Any:
        """Calls the function with what it declares; `run` takes the flags from the context."""
        declared = {parameter.name for parameter in self.params}
        ctx.meta[_FLAGS] = {name: ctx.params.pop(name) for name in ctx.params.keys() - declared}
        return super().invoke(ctx)


def _flags(options: type[LoopOptions]) -> list[Any]:
    """Typer's parameters for the fields of a class of options; those of the most special class come first."""
    own_first = {name: None for part in options.__mro__ for name in inspect.get_annotations(part)}
    names = [name for name in own_first if name in options.model_fields]

    def declared() -> None: ...

    declared.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=_flag(name, options.model_fields[name]),
            )
            for name in names
        ]
    )
    alone = typer.Typer(add_completion=False)
    alone.command()(declared)
    return [parameter for parameter in typer.main.get_command(alone).params if parameter.name in names]


def _flag(name: str, field: FieldInfo) -> Any:
    """A field as typer takes the annotation of a parameter: what is no number, switch or path is text."""
    from deid.training.options import option_text

    default = field.get_default(call_default_factory=True)
    text = option_text(default)
    metavar = _METAVARS.get(name)
    if get_origin(field.annotation) is Literal:
        metavar = "|".join(get_args(field.annotation))
    option = typer.Option(help=field.description, metavar=metavar, show_default=text or True)
    kinds = {field.annotation, *get_args(field.annotation)} & {bool, int, float, Path}
    kind: Any = kinds.pop() if kinds else str
    return Annotated[kind | None, option]


def command(
    context: typer.Context,
    data: Data = None,
    out: Out = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Train and say what came of it; the function of every `TrainingCommand`."""
    from deid.core.errors import UsageError
    from deid.training.device import explained_memory
    from deid.training.options import read_options

    assert isinstance(context.command, TrainingCommand)
    needed, options, train = context.command.load()
    if data is None or out is None:
        raise UsageError(needed)
    given = read_options(options, config, context.meta[_FLAGS])
    with explained_memory():
        trained = train(data, out, given, say)
    _print_trained(trained, as_json=as_json)


def say(text: str) -> None:
    """A line for the user while the work goes on; of several processes the first one tells it."""
    if os.environ.get("WORLD_SIZE", "1") == "1" or os.environ.get("RANK", "0") == "0":
        typer.echo(text, err=True)


def _print_trained(trained: Trained, *, as_json: bool) -> None:
    """What came of a training: the model's place, how it ended, figures on the test patients."""
    model, report, metrics = trained.model, trained.report, trained.metrics
    if not report.is_main:
        return
    if as_json:
        found = [asdict(metric) for metric in metrics]
        print_json({"model": str(model), "report": asdict(report), "metrics": found})
        return
    rows = [(m.name, m.source, f"{m.value:.3f}", _ends(m), str(m.patients), str(m.images)) for m in metrics]
    if rows:
        print_table(("test figure", "source", "value", "95 % interval", "patients", "images"), rows)
    else:
        say("no figure could be measured on the test patients: they are too few or all alike.")
    say(
        f"{report.steps} steps, best epoch {report.best_epoch}, ended by {report.reason}; "
        f"{100 * report.outside:.0f} % of the steps' time outside forward and backward. The model: {model}"
    )


def _ends(metric: Metric) -> str:
    return "-" if metric.low is None or metric.high is None else f"{metric.low:.3f} to {metric.high:.3f}"
