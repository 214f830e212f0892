"""What there is to train on: one sample an image or volume, and what its labels mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

NORMAL = frozenset({"no finding", "normal"})
"""Labels, in any case, that say that no finding is there."""
POSITIVE, NEGATIVE, MISSING = 1, 0, -1

Findings = tuple[str, ...] | None
"""Labels that are present: ``()`` says that none is, None that nobody looked."""


@dataclass(frozen=True)
class Sample:
    """One image or volume of one patient.

    Attributes:
        path: The file; of a volume in several files the first by name.
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
        left_out: What a tree, or a folder of a manifest, holds beside them, by reason.
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
    """Findings of one labels field; see :func:`deid.training.manifest.read_manifest`.

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
