"""The page of a finished audit, and its DICOM SR, made again from its result alone."""

from __future__ import annotations

from pathlib import Path

from deid.audit.report import read_result, render
from deid.workflows.audit.document import Document
from deid.workflows.audit.folder import PAGE, ReportFolder


def redraw(result: Path, report: Path | None, sr: Path | None = None) -> tuple[Path, ...]:
    """Write ``audit.html`` of an ``audit.json``.

    Args:
        result: The ``audit.json``.
        report: A new or empty folder for the page, or that of the result; None for that of the result.
        sr: A new file for the DICOM SR; None for none.

    Returns:
        The page, and the SR.

    Raises:
        UsageError: The result cannot be read or is none, the folder holds something else, or the file of the
            SR is there.
    """
    known = read_result(result)
    document = Document.new(sr) if sr is not None else None
    page = render(known)
    folder = ReportFolder.of_result(result, report if report is not None else result.parent)
    folder.save_page(page)
    if document is None:
        return (folder.path / PAGE,)
    document.save(known)
    return folder.path / PAGE, document.path
