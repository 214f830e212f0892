"""Samples from a manifest: a CSV file with a line for each image or volume."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from deid.core.errors import UsageError
from deid.training.samples import Findings, Sample, SampleTable, parse_labels
from deid.training.series import read_series

COLUMNS = ("path", "patient_id", "source", "modality", "study", "view", "labels", "licence")
"""Columns of a manifest; the first two are required, others than these are passed over."""

_MANIFEST_HELP = (
    "A manifest is a CSV file with a header line and at least the columns path and patient_id; source, "
    "modality, study, view, labels (several separated by ';') and licence may follow. For example:\n"
    "path,patient_id,source,modality,study,view,labels\n"
    "images/0001.png,P1,hospital-a,DX,S1,PA,Effusion;Edema\n"
    "A path may also name a folder that holds the files of one DICOM series."
)


def read_manifest(path: Path) -> SampleTable:
    """Read a manifest CSV; see :data:`COLUMNS`.

    A relative path is relative to the CSV. It names a file, or a folder that holds one DICOM series, which is
    read as in a tree: what the line leaves empty of modality, study and view comes from the headers then.
    Labels: an empty field is "nobody looked" (None), ``No Finding`` or ``Normal`` is "looked, and there is
    none" (``()``), anything else is what is present.

    Raises:
        UsageError: No file, no such columns, a line without path or patient, a finding beside ``Normal``, one
            image twice, or a folder that holds no series, several, or what cannot be read; the message names
            the line.
    """
    left_out: Counter[str] = Counter()
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            _check_columns(reader.fieldnames or ())
            samples = tuple(_sample(row, reader.line_num, path.parent, left_out) for row in reader)
    except OSError:
        raise UsageError(f"the manifest cannot be read: {path}; check the name.") from None
    except (UnicodeDecodeError, csv.Error):
        raise UsageError(f"the manifest is no CSV file in UTF-8. {_MANIFEST_HELP}") from None
    if not samples:
        raise UsageError(f"the manifest holds no image. {_MANIFEST_HELP}")
    _refuse_twice(samples)
    return SampleTable(samples, dict(sorted(left_out.items())))


def _check_columns(names: Sequence[str]) -> None:
    missing = [name for name in COLUMNS[:2] if name not in names]
    if missing:
        raise UsageError(f"the manifest has no column {' and no column '.join(missing)}. {_MANIFEST_HELP}")


def _sample(row: dict[str | None, str | None], line: int, folder: Path, left_out: Counter[str]) -> Sample:
    where = f"the manifest's line {line}"
    if None in row or None in row.values():
        raise UsageError(f"{where} has another number of fields than its header; mend it.")
    fields = {name: (row.get(name) or "").strip() for name in COLUMNS}
    for name in COLUMNS[:2]:
        if not fields[name]:
            raise UsageError(f"{where} has no {name}; fill it in or take the line out.")
    findings, named = _findings(fields["labels"], where), folder / fields["path"]
    known = Sample(named, "")
    if os.path.isdir(named):  # noqa: PTH112 - Path.is_dir() raises without rights
        known, beside = read_series(named, where)
        left_out.update(beside)
    return replace(
        known,
        patient=fields["patient_id"],
        source=fields["source"],
        modality=fields["modality"] or known.modality,
        study=fields["study"] or known.study,
        view=fields["view"] or known.view,
        findings=findings,
        licence=fields["licence"],
    )


def _findings(labels: str, where: str) -> Findings:
    try:
        return parse_labels(labels)
    except ValueError:
        raise UsageError(
            f"{where} names a finding beside Normal or No Finding; keep one of the two."
        ) from None


def _refuse_twice(samples: Iterable[Sample]) -> None:
    """Refuse a file that two lines name, by itself or in a folder."""
    resolved = cache(os.path.realpath)
    first: dict[tuple[str, str], int] = {}
    for number, sample in enumerate(samples, 1):
        for path in sample.parts or (sample.path,):
            earlier = first.setdefault((resolved(path.parent), path.name), number)
            if earlier != number:
                raise UsageError(
                    f"the manifest names one image twice, as its images {earlier} and {number}; take one out."
                )
