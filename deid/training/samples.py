"""What there is to train on: one sample an image or volume, from a manifest CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deid.core.errors import UsageError

COLUMNS = ("path", "patient_id", "source", "modality", "study", "view", "labels", "licence")
"""Columns of a manifest; the first two are required, others than these are passed over."""
NORMAL = frozenset({"no finding", "normal"})
"""Labels, in any case, that say that no finding is there."""
POSITIVE, NEGATIVE, MISSING = 1, 0, -1

Findings = tuple[str, ...] | None
"""Labels that are present: ``()`` says that none is, None that nobody looked."""

_MANIFEST_HELP = (
    "A manifest is a CSV file with a header line and at least the columns path and patient_id; source, "
    "modality, study, view, labels (several separated by ';') and licence may follow. For example:\n"
    "path,patient_id,source,modality,study,view,labels\n"
    "images/0001.png,P1,hospital-a,DX,S1,PA,Effusion;Edema"
)


@dataclass(frozen=True)
class Sample:
    """One image or volume of one patient.

    Attributes:
        path: The file; of a volume in several files the first.
        patient: Who it shows; the same text is the same person.
        source: The data set or site it comes from; a card, a log and the terminal tell it.
        modality: Modality (0008,0060), such as ``DX``; empty if nothing says it.
        study: Which of the patient's studies; empty if nothing says it.
        view: Projection or sequence, such as ``PA`` or ``T1``; its first word goes into a model's record.
        findings: Labels that are present, see :data:`Findings`.
        licence: Of the image.
        parts: All files of a volume in several files, in their order.
        body_part: Body Part Examined (0018,0015), a word that the standard defines; empty if nothing says it.
        alike: What else images must have in common to be compared, such as the name of the series. It may
            hold anything that a header does, so it goes nowhere.
    """

    path: Path
    patient: str
    source: str = ""
    modality: str = ""
    study: str = ""
    view: str = ""
    findings: Findings = None
    licence: str = ""
    parts: tuple[Path, ...] = ()
    body_part: str = ""
    alike: str = field(default="", repr=False)


@dataclass(frozen=True)
class SampleTable:
    """Samples in a stated order, that of the manifest or of the sorted paths.

    Attributes:
        samples: All of them.
        left_out: What a tree holds beside them, by reason.
    """

    samples: tuple[Sample, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.samples)

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]

    def only(
        self, *, sources: Iterable[str] | None = None, modalities: Iterable[str] | None = None
    ) -> SampleTable:
        """The samples of some sources and modalities."""
        wanted, kinds = _set_or_none(sources), _set_or_none(modalities)
        return SampleTable(
            tuple(
                sample
                for sample in self.samples
                if (wanted is None or sample.source in wanted) and (kinds is None or sample.modality in kinds)
            )
        )

    @property
    def finding_names(self) -> tuple[str, ...]:
        """Every label that occurs, sorted."""
        return tuple(sorted({name for sample in self.samples for name in sample.findings or ()}))


def _set_or_none(names: Iterable[str] | None) -> frozenset[str] | None:
    return None if names is None else frozenset(names)


def read_manifest(path: Path) -> SampleTable:
    """Read a manifest CSV; see :data:`COLUMNS`.

    A relative path is relative to the CSV. Labels: an empty field is "nobody looked" (None), ``No Finding``
    or ``Normal`` is "looked, and there is none" (``()``), anything else is what is present.

    Raises:
        UsageError: No file, no such columns, a line without path or patient, a finding beside ``Normal``, or
            one image twice; the message names the line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            _check_columns(reader.fieldnames or ())
            samples = tuple(_sample(row, reader.line_num, path.parent) for row in reader)
    except OSError:
        raise UsageError(f"the manifest cannot be read: {path}; check the name.") from None
    except (UnicodeDecodeError, csv.Error):
        raise UsageError(f"the manifest is no CSV file in UTF-8. {_MANIFEST_HELP}") from None
    if not samples:
        raise UsageError(f"the manifest holds no image. {_MANIFEST_HELP}")
    _refuse_twice(samples)
    return SampleTable(samples)


def label_matrix(
    samples: Sequence[Sample], findings: Mapping[str, Sequence[str]] | Sequence[str]
) -> NDArray[np.int8]:
    """What is known of each finding of each sample.

    A finding is present if one of its alternatives is; an alternative such as ``"Pneumonia;bacteria"`` is
    present if all its labels are. A label that is not named is absent where the sample is normal or its
    source names that label at all, and else not known: a data set that only looks for pneumonia says nothing
    of the heart's size.

    Args:
        samples: All samples at hand, since they tell what each source looks for.
        findings: For each finding its alternatives; a plain list of labels stands for itself.

    Returns:
        `[sample, finding]`: :data:`POSITIVE`, :data:`NEGATIVE` or :data:`MISSING`, findings in their order.
    """
    named: dict[str, set[str]] = {}
    for sample in samples:
        named.setdefault(sample.source, set()).update(sample.findings or ())
    spec = findings if isinstance(findings, Mapping) else {name: (name,) for name in findings}
    matrix = np.full((len(samples), len(spec)), MISSING, np.int8)
    for row, sample in enumerate(samples):
        for column, alternatives in enumerate(spec.values()):
            matrix[row, column] = _any(
                _all(_state(sample, label.strip(), named[sample.source]) for label in alternative.split(";"))
                for alternative in alternatives
            )
    return matrix


def _state(sample: Sample, label: str, named: set[str]) -> int:
    if sample.findings is None:
        return MISSING
    if label in sample.findings:
        return POSITIVE
    return NEGATIVE if not sample.findings or label in named else MISSING


def _all(states: Iterable[int]) -> int:
    """Kleene's "and"."""
    found = set(states)
    return NEGATIVE if NEGATIVE in found else MISSING if MISSING in found else POSITIVE


def _any(states: Iterable[int]) -> int:
    """Kleene's "or"."""
    found = set(states)
    return POSITIVE if POSITIVE in found else MISSING if MISSING in found else NEGATIVE


def parse_labels(text: str) -> Findings:
    """Findings of one labels field; see :func:`read_manifest`.

    Raises:
        ValueError: A finding stands beside ``Normal``.
    """
    names = tuple(dict.fromkeys(filter(None, (name.strip() for name in text.split(";")))))
    if not names:
        return None
    present = tuple(name for name in names if name.lower() not in NORMAL)
    if present and present != names:
        raise ValueError("a finding beside normal")
    return present


def _check_columns(names: Sequence[str]) -> None:
    missing = [name for name in COLUMNS[:2] if name not in names]
    if missing:
        raise UsageError(f"the manifest has no column {' and no column '.join(missing)}. {_MANIFEST_HELP}")


def _sample(row: dict[str | None, str | None], line: int, folder: Path) -> Sample:
    if None in row or None in row.values():
        raise UsageError(f"the manifest's line {line} has another number of fields than its header; mend it.")
    fields = {name: (row.get(name) or "").strip() for name in COLUMNS}
    for name in COLUMNS[:2]:
        if not fields[name]:
            raise UsageError(f"the manifest's line {line} has no {name}; fill it in or take the line out.")
    try:
        findings = parse_labels(fields["labels"])
    except ValueError:
        raise UsageError(
            f"the manifest's line {line} names a finding beside Normal or No Finding; keep one of the two."
        ) from None
    return Sample(
        path=folder / fields["path"],
        patient=fields["patient_id"],
        source=fields["source"],
        modality=fields["modality"],
        study=fields["study"],
        view=fields["view"],
        findings=findings,
        licence=fields["licence"],
    )


def _refuse_twice(samples: Sequence[Sample]) -> None:
    ordered = sorted(range(len(samples)), key=lambda index: (str(samples[index].path), index))
    for one, other in pairwise(ordered):
        if samples[one].path == samples[other].path:
            raise UsageError(
                f"the manifest names one image twice, as its images {one + 1} and {other + 1}; take one out."
            )
