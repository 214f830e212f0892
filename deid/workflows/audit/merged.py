"""Audits of the shards of a release, merged into one report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from deid.audit.gates import Gate, check_gates, parse_gate
from deid.audit.merge import merge
from deid.audit.report import read_result, render
from deid.core.errors import UsageError
from deid.workflows.audit.document import Document
from deid.workflows.audit.folder import ReportFolder
from deid.workflows.audit.outcome import Audit


def merge_audits(
    files: Sequence[Path],
    report: Path,
    gates: Sequence[Gate] = (),
    *,
    allow_not_assessed: bool = False,
    sr: Path | None = None,
) -> Audit:
    """Write the ``audit.json`` and ``audit.html`` of all shards together.

    The gates that the audits were made with are checked again, on the merged figures, before those given.

    Args:
        files: The ``audit.json`` of each shard.
        report: A new or empty folder.
        gates: Conditions on the merged result.
        allow_not_assessed: What was not assessed passes a gate; also where all the audits were made so.
        sr: A new file for the DICOM SR; None for none.

    Raises:
        UsageError: A file is no audit, they do not belong together or share patients, the folder holds
            something, or the file of the SR is there.
    """
    if not files:
        raise UsageError("--merge needs the audit.json of each shard: mami-deid audit --merge A.json B.json.")
    results = [read_result(file) for file in files]
    result = merge(results)
    document = Document.new(sr) if sr is not None else None
    folder = ReportFolder.new(report, ())
    before = sorted({gate["expression"] for each in results for gate in each["gates"]})
    if len(results) == 1:
        before = [gate["expression"] for gate in results[0]["gates"]]
    every = dict.fromkeys((*map(parse_gate, before), *gates))
    allowed = allow_not_assessed or all(
        each["manifest"]["options"].get("allow_not_assessed") is True for each in results
    )
    checked = check_gates(every, result, allow_not_assessed=allowed)
    result["gates"] = [gate.to_json() for gate in checked]
    folder.save(result)
    folder.save_page(render(result))
    if document is None:
        return Audit(folder.path, result, {})
    document.save(result)
    return Audit(folder.path, result, {}, document=document.path)
