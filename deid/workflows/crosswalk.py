"""``crosswalk export``: which pseudonym stands for which source value, for whoever may know."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from deid.core.crosswalk import Passphrase, PublicKey, export_crosswalk
from deid.core.files import refuse_inside
from deid.core.journal import Journal
from deid.core.outcomes import Status
from deid.core.project import Project
from deid.core.pseudonyms import Pseudonyms
from deid.dicom.index import DicomRecord

COLUMNS = (
    "output",
    "source",
    "patient_pseudonym",
    "patient_id",
    "issuer",
    "study_pseudonym",
    "study_uid",
    "series_pseudonym",
    "series_uid",
    "instance_pseudonym",
    "instance_uid",
    "accession_pseudonym",
    "accession_number",
)


def export_crosswalk_of(project: Project, out: Path, target: Path, recipient: Passphrase | PublicKey) -> int:
    """Export the crosswalk of one output.

    Args:
        project: The open project.
        out: The output.
        target: The new file; refused inside the output.
        recipient: Who can open it.

    Returns:
        Number of rows.

    Raises:
        UsageError: The file exists, lies inside the output or cannot be written, or the key is no good.
    """
    refuse_inside(target, out, "the crosswalk")
    with project.journal(create=False) as journal:
        rows, how = export_crosswalk(target, COLUMNS, _rows(journal, project.pseudonyms()), recipient)
        journal.record_export(how, rows)
    return rows


def _rows(journal: Journal, pseudonyms: Pseudonyms) -> Iterator[dict[str, str]]:
    records = {row.ref: row for row in journal.inputs.records()}
    for outcome in journal.outcomes.all(Status.RELEASED):
        row = records.get(outcome.ref)
        if row is None:
            continue
        base = {"output": outcome.outputs[0], "source": journal.path(outcome.ref) or ""}
        base["patient_pseudonym"] = outcome.outputs[0].split("/")[0]
        if row.kind != "dicom":
            yield base
            continue
        entry = DicomRecord.from_bytes(row.record)
        patient_id, _, issuer = (entry.patient or "").partition("\x1f")
        yield base | {
            "patient_id": patient_id,
            "issuer": issuer,
            "study_pseudonym": pseudonyms.uid(entry.study) if entry.study else "",
            "study_uid": entry.study,
            "series_pseudonym": pseudonyms.uid(entry.series) if entry.series else "",
            "series_uid": entry.series,
            "instance_pseudonym": pseudonyms.uid(entry.instance),
            "instance_uid": entry.instance,
            "accession_pseudonym": pseudonyms.label("accession", entry.accession) if entry.accession else "",
            "accession_number": entry.accession,
        }
