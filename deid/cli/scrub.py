"""``mami-deid scrub``: de-identify a tree."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from deid.cli.terminal import ProgressLine, ask_passphrase, print_json


def command(
    source: Annotated[
        Path | None, typer.Argument(metavar="IN", help="Folder or file to read; not given with --files-from.")
    ] = None,
    out: Annotated[Path | None, typer.Argument(metavar="OUT", help="Folder to write.")] = None,
    files_from: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Read the paths of IN from a file, or with - from standard input."),
    ] = None,
    null: Annotated[bool, typer.Option("--null", "-0", help="Paths of --files-from end with NUL.")] = False,
    project: Annotated[str | None, typer.Option(help="Project that shares key and pseudonyms.")] = None,
    state: Annotated[Path | None, typer.Option(help="State folder of the project.")] = None,
    key_file: Annotated[Path | None, typer.Option(help="File with the project's key.")] = None,
    recipe: Annotated[Path | None, typer.Option(help="YAML recipe; see 'profile schema'.")] = None,
    preset: Annotated[str, typer.Option(help="research or basic; where no recipe is given.")] = "research",
    patient_map: Annotated[
        Path | None,
        typer.Option("--patient-map", "--subject-map", help="CSV: path, folder or id, and the patient."),
    ] = None,
    on_risk: Annotated[
        str, typer.Option(help="hold or release what may show text or a face until a step has looked.")
    ] = "hold",
    encapsulated: Annotated[str, typer.Option(help="hold, drop or keep encapsulated documents.")] = "hold",
    keep_times: Annotated[bool, typer.Option(help="Leave times of day as they are.")] = False,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=0, help="Processes; 0 for one a core.")] = 0,
    shard: Annotated[
        str, typer.Option(metavar="I/N", help="Write only part I of N of the patients.")
    ] = "1/1",
    dry_run: Annotated[bool, typer.Option(help="Do everything but write.")] = False,
    diff: Annotated[
        Path | None, typer.Option(help="Private file that receives every changed value (JSON lines).")
    ] = None,
    replace: Annotated[bool, typer.Option(help="Make OUT anew; delete what else is in it.")] = False,
    prune: Annotated[bool, typer.Option(help="Delete outputs whose input is gone.")] = False,
    held_ok: Annotated[bool, typer.Option(help="Held units do not change the exit status.")] = False,
    max_held: Annotated[
        str, typer.Option(metavar="N|P%", help="Up to so many held units do not change the exit status.")
    ] = "0",
    json: Annotated[
        bool, typer.Option("--json", help="Print the summary as JSON on standard output.")
    ] = False,
) -> None:
    """De-identify the tree IN into OUT.

    OUT gets files that may be shared: DICOM as patient/study/series/instance, NIfTI and BIDS in their own
    layout, all under keyed pseudonyms. What is not understood, or may still show a text or a face, is held
    back and counted with its reason; 'mami-deid show REF' says which file a reference means.
    """
    from deid.cli.summary import print_summary
    from deid.workflows.scrub import scrub
    from deid.workflows.scrub.options import (
        Encapsulated,
        HeldLimit,
        OnRisk,
        ScrubOptions,
        Shard,
        one_of,
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
        jobs=jobs or _cores(),
        shard=Shard.parse(shard),
        dry_run=dry_run,
        diff=diff,
        replace=replace,
        prune=prune,
        held_limit=None if held_ok else HeldLimit.parse(max_held),
    )
    with ProgressLine() as progress:
        summary = scrub(options, progress.update, ask_passphrase if sys.stdin.isatty() else None)
    if json:
        print_json(summary.to_json())
    else:
        print_summary(summary, dry_run=dry_run)
    raise typer.Exit(summary.exit_status(options.held_limit))


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
