"""The summary of a scrub run as text: a table on standard error, nothing on standard output."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from deid.workflows.scrub.summary import Summary


def print_summary(summary: Summary, *, dry_run: bool) -> None:
    """Print what became of the inputs, and why."""
    from rich.console import Console

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    written = "would be released" if dry_run else "released"
    console.print(f"{summary.released:>8} {written}  ({summary.patients} patients)")
    if summary.unchanged:
        console.print(f"{summary.unchanged:>8} unchanged since the last run")
    _reasons(console.print, summary.held.total(), "held back", summary.held, summary.examples)
    _reasons(console.print, summary.dropped.total(), "left out on request", summary.dropped, {})
    _reasons(console.print, summary.skipped.total(), "skipped", summary.skipped, {})
    for number, words in (
        (summary.without_id, "studies or files without a usable patient id, each a patient of its own"),
        (summary.shared_uids, "instances share their SOP Instance UID with another"),
        (summary.weaker, "released with Patient Identity Removed = NO"),
        (summary.deleted, "outputs deleted"),
        (summary.gone, "outputs have lost their input (--prune deletes them)"),
    ):
        if number:
            console.print(f"{number:>8} {words}")
    for row in summary.weaker_because:
        console.print(f"         weaker than the standard: {row}", markup=False)
    for level, words in summary.levels().items():
        console.print(f"{level:>24}: {words}", markup=False)
    for line in (*summary.series_lines(), *_likeness(summary)):
        console.print(f"         {line}", markup=False)
    rate = summary.released / max(summary.seconds.get("write", 0.0), 1e-9)
    phases = ", ".join(f"{phase} {seconds:.1f} s" for phase, seconds in summary.seconds.items())
    console.print(
        f"         {phases} ({rate:.0f} files/s written)" if summary.released else f"         {phases}"
    )
    if summary.held:
        console.print(
            "         'mami-deid show REF', with the --out, --project or --state of this run, names the file "
            "behind a reference."
        )
    if not (summary.units or summary.skipped):
        console.print("         the input holds no file; give a folder with DICOM or NIfTI files.")
    elif not summary.units:
        console.print(
            "         no file of the input is DICOM, NIfTI or BIDS; check that it is the right one."
        )


def _likeness(summary: Summary) -> Iterator[str]:
    """By each critic, how alike scrubbed images are to their originals, and those of unrelated patients."""
    for made, by_critic in sorted(summary.unrelated.items()):
        for name, found in by_critic.items():
            yield (
                f"{name} on {made}: cosine to the own original {found.own:.2f}, to those of others "
                f"{found.median:.2f} ({found.low:.2f} to {found.high:.2f}); {found.patients} patients"
            )
        if not by_critic:
            yield f"critics on {made}: how alike unrelated patients look is not known (too few were seen)"


def _reasons(
    show: object, total: int, words: str, reasons: Mapping[str, int], examples: Mapping[str, list[str]]
) -> None:
    assert callable(show)
    if not total:
        return
    show(f"{total:>8} {words}")
    for reason, number in sorted(reasons.items(), key=lambda item: -item[1]):
        shown = " ".join(examples.get(reason, []))
        more = " ..." if number > len(examples.get(reason, [])) and shown else ""
        show(f"         {number:>6}  {reason}  {shown}{more}".rstrip(), markup=False)
