"""``mami-deid crosswalk``: the table of pseudonyms and source values, encrypted."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deid.cli.project import KeyFile, OutOption, ProjectName, StateFolder, open_project

if TYPE_CHECKING:
    from deid.core.crosswalk import Passphrase, PrivateKey, PublicKey

app = typer.Typer(
    help="Export or open the encrypted table of pseudonyms and source values.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("export")
def export(
    target: Annotated[Path, typer.Argument(metavar="FILE", help="New file; not inside OUT.")],
    out: OutOption = None,
    public_key: Annotated[
        Path | None,
        typer.Option(help="Encrypt to this X25519 or RSA public key (PEM) instead of a passphrase."),
    ] = None,
    project: ProjectName = None,
    state: StateFolder = None,
    key_file: KeyFile = None,
) -> None:
    """Write the crosswalk of an output, encrypted; the export is noted in the journal."""
    from deid.core.errors import UsageError
    from deid.workflows.crosswalk import export_crosswalk_of

    if out is None:
        raise UsageError("--out is needed: the output folder whose crosswalk is meant.")
    recipient = _recipient(public_key)
    with open_project(out, project, state, key_file) as opened:
        rows = export_crosswalk_of(opened, out, target, recipient)
    typer.echo(f"{rows} rows written, encrypted", err=True)


@app.command("open")
def open_(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="An exported crosswalk.")],
    private_key: Annotated[
        Path | None, typer.Option(help="Private key (PEM) instead of a passphrase.")
    ] = None,
) -> None:
    """Decrypt a crosswalk to CSV on standard output; it names patients."""
    from deid.core.crosswalk import open_crosswalk
    from deid.core.errors import UsageError

    opener = _opener(private_key)
    try:
        with source.open("rb") as stream:
            open_crosswalk(stream, sys.stdout.buffer, opener)
    except OSError:
        raise UsageError("the crosswalk file cannot be read; check the path.") from None


def _recipient(public_key: Path | None) -> Passphrase | PublicKey:
    from deid.core.crosswalk import Passphrase, PublicKey

    return Passphrase(_passphrase()) if public_key is None else PublicKey(_pem(public_key))


def _opener(private_key: Path | None) -> Passphrase | PrivateKey:
    from deid.core.crosswalk import Passphrase, PrivateKey

    return Passphrase(_passphrase()) if private_key is None else PrivateKey(_pem(private_key))


def _passphrase() -> str:
    """The passphrase of the crosswalk: its own variable, so that it is not the key's by accident."""
    import os

    from deid.cli.project import prompt
    from deid.core.errors import UsageError

    given = os.environ.get("MAMI_DEID_CROSSWALK_PASSPHRASE")
    ask = prompt()
    if not given and ask is None:
        raise UsageError("set MAMI_DEID_CROSSWALK_PASSPHRASE, or run in a terminal to type the passphrase.")
    return given or (ask() if ask is not None else "")


def _pem(path: Path) -> bytes:
    from deid.core.errors import UsageError

    try:
        return path.read_bytes()
    except OSError:
        raise UsageError("the key file (PEM) cannot be read; check the path.") from None
