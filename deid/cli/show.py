"""``mami-deid show``: which file a keyed reference means."""

from __future__ import annotations

from typing import Annotated

import typer

from deid.cli.project import KeyFile, OutOption, ProjectName, StateFolder, open_project
from deid.cli.terminal import one_line, print_lines


def command(
    references: Annotated[
        list[str] | None, typer.Argument(metavar="[REF]...", help="References such as #3f9a2c41d0.")
    ] = None,
    held: Annotated[bool, typer.Option("--held", help="List everything that is held back.")] = False,
    out: OutOption = None,
    project: ProjectName = None,
    state: StateFolder = None,
    key_file: KeyFile = None,
) -> None:
    """Print the input paths behind references, for the operator of the project only.

    Prints paths below the input folder of the first run, or absolute ones of other folders. They are paths of
    the source: keep them as private as the source itself.
    """
    from deid.core.errors import UsageError
    from deid.workflows.show import held_inputs, resolve

    if not references and not held:
        raise UsageError("give references to resolve, or --held for all that is held back.")
    with open_project(out, project, state, key_file) as opened:
        for reference in references or []:
            print_lines(resolve(opened, reference))
        if held:
            print_lines("\t".join((ref, reason, one_line(path))) for ref, reason, path in held_inputs(opened))
