"""Options of every command that works on a project, and how they open it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deid.cli.terminal import ask_passphrase

if TYPE_CHECKING:
    from deid.core.project import Project

OutOption = Annotated[
    Path | None, typer.Option("--out", metavar="OUT", help="The output folder whose project is meant.")
]
ProjectName = Annotated[str | None, typer.Option("--project", help="Name of a shared project.")]
StateFolder = Annotated[Path | None, typer.Option("--state", help="State folder of the project.")]
KeyFile = Annotated[Path | None, typer.Option("--key-file", help="File with the project's key.")]


def prompt() -> Callable[[], str] | None:
    """How to ask for a passphrase; None where standard input is no terminal."""
    return ask_passphrase if sys.stdin.isatty() else None


def prompt_once() -> Callable[[], str] | None:
    """The same for a command that opens one project several times: what was typed is asked for once."""
    ask = prompt()
    return cache(ask) if ask is not None else None


def open_project(out: Path | None, name: str | None, state: Path | None, key_file: Path | None) -> Project:
    """Open an existing project.

    Raises:
        UsageError: There is none, or its key cannot be used.
    """
    from deid.core.project import Project, ProjectOptions

    return Project.open(ProjectOptions(out, name, state, key_file), create=False, prompt=prompt())
