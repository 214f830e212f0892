"""The page of a finished audit, drawn again from its result alone."""

from __future__ import annotations

from pathlib import Path

from deid.audit.report import read_result, render
from deid.workflows.audit.folder import PAGE, ReportFolder


def redraw(result: Path, report: Path | None) -> Path:
    """Write ``audit.html`` of an ``audit.json``.

    Args:
        result: The ``audit.json``.
        report: A new or empty folder for the page, or that of the result; None for that of the result.

    Returns:
        The page.

    Raises:
        UsageError: The result cannot be read or is none, or the folder holds something else.
    """
    page = render(read_result(result))
    folder = ReportFolder.of_result(result, report if report is not None else result.parent)
    folder.save_page(page)
    return folder.path / PAGE
