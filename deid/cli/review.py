"""``mami-deid review``: a private page of the images whose identity cues were removed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deid.cli.project import KeyFile, OutOption, ProjectName, StateFolder, open_project
from deid.cli.terminal import print_lines


def command(
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="New file, not inside OUT; else review.html in the state folder."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Images on the page at most, worst first.")] = 500,
    out: OutOption = None,
    project: ProjectName = None,
    state: StateFolder = None,
    key_file: KeyFile = None,
) -> None:
    """Write a page that shows images before and after their identity cues were removed, and print its path.

    The page shows patients: open it here, keep it as private as the source, never send it with the output.
    """
    from deid.workflows.review import write_review

    with open_project(out, project, state, key_file) as opened:
        written = write_review(opened, report, limit)
    print_lines([str(written.path)])
    for line in written.notes():
        typer.echo(line, err=True)
