"""The ``mami-deid`` command: its sub-commands, and what the shell hears of how it ended."""

from __future__ import annotations

import signal
import sys
import traceback
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from deid import __version__
from deid.cli import (
    audit,
    crosswalk,
    models,
    profile,
    review,
    scrub,
    show,
    train_classifier,
    train_reid,
    train_unet,
    training,
)
from deid.core.errors import ExitStatus, UsageError

app = typer.Typer(
    name="mami-deid",
    help="De-identify DICOM and NIfTI trees so that they may be shared.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("scrub")(scrub.command)
app.command("audit")(audit.command)
app.command("show")(show.command)
app.command("review")(review.command)
_TRAININGS = {
    "train-classifier": train_classifier.Command,
    "train-reid": train_reid.Command,
    "train-unet": train_unet.Command,
}
for _name, _command in _TRAININGS.items():
    app.command(_name, cls=_command, help=_command.__doc__)(training.command)
app.add_typer(profile.app, name="profile")
app.add_typer(crosswalk.app, name="crosswalk")
app.add_typer(models.app, name="models")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mami-deid {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """De-identify DICOM and NIfTI trees so that they may be shared."""


_STOPPED = {
    signal.SIGINT: "interrupted; run the same command again to go on.",
    signal.SIGTERM: "terminated; run the same command again to go on.",
}


class Stopped(BaseException):
    """SIGINT or SIGTERM arrived: clean up, and end with the status that shells expect."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def _on_signal(number: int, frame: FrameType | None) -> None:
    raise Stopped(number)


def main() -> None:
    """Run the command line and exit with a documented status; never a traceback, never a source value."""
    signal.signal(signal.SIGTERM, _on_signal)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # nohup ignores it
        signal.signal(signal.SIGINT, _on_signal)
    try:
        status = app(prog_name="mami-deid", standalone_mode=False) or 0
    except typer.Exit as ended:
        status = ended.exit_code
    except UsageError as error:
        status = _fail(ExitStatus.USAGE, str(error))
    except typer.Abort:  # Ctrl-D at a prompt
        status = _fail(ExitStatus.INTERRUPTED, _STOPPED[signal.SIGINT])
    except Stopped as stopped:
        status = _fail(ExitStatus(128 + stopped.number), _STOPPED[signal.Signals(stopped.number)])
    except Exception as error:  # noqa: BLE001 - the last line of defence: a message without values
        status = _usage_or_internal(error)
    sys.exit(int(status))


def _usage_or_internal(error: Exception) -> int:
    # typer's own click comes under several names; its errors know how to show themselves
    show = getattr(error, "show", None)
    if show is not None and hasattr(error, "exit_code"):
        show()
        return ExitStatus.USAGE
    own = [f for f in traceback.extract_tb(error.__traceback__) if "deid" in Path(f.filename).parts]
    where = f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else "outside this package"
    return _fail(ExitStatus.INTERNAL, f"internal error: {type(error).__name__} at {where}; please report it.")


def _fail(status: ExitStatus, message: str) -> int:
    print(f"mami-deid: {message}", file=sys.stderr)  # noqa: T201 - a broken terminal library must not matter
    return status
