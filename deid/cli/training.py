"""Options that the training commands share, as flags of those in `deid.training.options`.

A flag that is not given is None, so that the YAML file of ``--config`` can speak; the defaults shown in the
help are those of the options, and a test compares names, texts and defaults.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deid.cli.terminal import print_json, print_table

if TYPE_CHECKING:
    from deid.core.model_card import Metric
    from deid.training.loop import FitReport

Data = Annotated[
    Path | None, typer.Argument(metavar="DATA", help="Manifest CSV, or a folder of DICOM or BIDS files.")
]
Out = Annotated[
    Path | None,
    typer.Option(metavar="RUN", help="Run folder: private, for it shows and remembers patients."),
]
Config = Annotated[Path | None, typer.Option(metavar="FILE", help="YAML with options; flags win.")]
Epochs = Annotated[int | None, typer.Option(help="epochs at most", show_default="20")]
Steps = Annotated[int | None, typer.Option(help="steps at most; 0: no limit but epochs", show_default="0")]
Minutes = Annotated[
    float | None,
    typer.Option(
        help="minutes at most, over all resumptions; the rate then follows the clock; 0: no limit",
        show_default="0.0",
    ),
]
Patience = Annotated[
    int | None,
    typer.Option(
        help="stop after so many epochs without a better validation score; 0: never", show_default="0"
    ),
]
Seed = Annotated[int | None, typer.Option(help="seed of everything that is random", show_default="0")]
Device = Annotated[
    str | None, typer.Option(help="auto: cuda, mps or cpu", metavar="auto|cuda|mps|cpu", show_default="auto")
]
Precision = Annotated[
    str | None,
    typer.Option(
        help="of forward passes; auto: mixed on cuda, float32 elsewhere",
        metavar="auto|float32|bfloat16|float16",
        show_default="auto",
    ),
]
Warmup = Annotated[
    float | None, typer.Option(help="share of the training in which the rate rises", show_default="0.05")
]
FinalRate = Annotated[
    float | None, typer.Option(help="rate at the end, as a share of the full rate", show_default="0.01")
]
Clip = Annotated[
    float | None, typer.Option(help="longest gradient of an optimizer; 0 for no clipping", show_default="1.0")
]
Workers = Annotated[int | None, typer.Option(help="threads that prepare batches ahead", show_default="2")]
SaveEvery = Annotated[
    int | None, typer.Option(help="steps between checkpoints within an epoch", show_default="500")
]
LogEvery = Annotated[int | None, typer.Option(help="steps between lines of the log", show_default="20")]
Tensorboard = Annotated[
    bool | None,
    typer.Option(
        "--tensorboard/--no-tensorboard", help="also write event files for TensorBoard", show_default="off"
    ),
]
Resume = Annotated[
    str | None,
    typer.Option(
        help="auto: go on with the run in the folder if it had these options; force: in any case; never: "
        "start anew and delete that run",
        metavar="auto|force|never",
        show_default="auto",
    ),
]
Labels = Annotated[
    Path | None,
    typer.Option(help="CSV with path or patient_id, and labels, of images in a folder", metavar="FILE"),
]
Size = Annotated[int | None, typer.Option(help="side of the network's input, in pixels", show_default="128")]
LowPass = Annotated[
    int | None,
    typer.Option(
        help="first reduce images to this side, against blur that betrays a source; 0: no", show_default="0"
    ),
]
MinimumSide = Annotated[
    int | None, typer.Option(help="leave out images with a smaller side, in pixels", show_default="0")
]
Sources = Annotated[str | None, typer.Option(help="only these sources, between commas; empty: all")]
Modalities = Annotated[str | None, typer.Option(help="only these modalities, between commas; empty: all")]
Batch = Annotated[int | None, typer.Option(help="images in a batch", show_default="32")]
Rate = Annotated[float | None, typer.Option(help="full learning rate", show_default="0.001")]
WeightDecay = Annotated[float | None, typer.Option(help="decay of matrices and kernels", show_default="0.05")]
Augment = Annotated[
    bool | None,
    typer.Option(
        "--augment/--no-augment", help="change exposure, crop and markers of the images", show_default="on"
    ),
]
Age = Annotated[
    str | None,
    typer.Option(help="whose images they are, for the card", metavar="adult|child|any", show_default="any"),
]
BodyParts = Annotated[str | None, typer.Option(help="what they show, such as CHEST, for the card")]
Licence = Annotated[
    str | None, typer.Option(help="licence of the model, for the card", show_default="Apache-2.0")
]
Half = Annotated[
    bool | None,
    typer.Option("--half/--no-half", help="store weights in half the space (float16)", show_default="off"),
]
Jobs = Annotated[int | None, typer.Option(help="threads that read images", show_default="4")]
Cache = Annotated[
    Path | None, typer.Option(help="private folder for finished images, for a faster start", metavar="FOLDER")
]
Json = Annotated[bool, typer.Option("--json", help="Print the figures as JSON on standard output.")]

_NOT_OPTIONS = frozenset({"data", "out", "config", "as_json"})


def flags(context: typer.Context) -> dict[str, object]:
    """The flags by the names of the options; None where one was not given."""
    return {name: value for name, value in context.params.items() if name not in _NOT_OPTIONS}


def say(text: str) -> None:
    """A line for the user while the work goes on."""
    typer.echo(text, err=True)


def print_trained(model: Path, report: FitReport, metrics: Sequence[Metric], *, as_json: bool) -> None:
    """What came of a training: the model's place, how it ended, figures on the test patients."""
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
