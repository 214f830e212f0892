"""The images of a release as networks see them, before and after, with what attacks need to know of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pictures = NDArray[np.float32]
"""`[image, row, column]` in 0..1."""


@dataclass(frozen=True, eq=False)
class AuditImages:
    """Network images of both sides, in the same order.

    Attributes:
        originals: float32 `[image, row, column]` in 0..1; None for a release alone.
        scrubbed: The same images after the scrub, of the same shape.
        patients: One opaque label an image.
        studies: Likewise; two images are of different studies where the labels differ.
        sources: Group in which impostors may be drawn (modality, view, size class ...), one label an image.
        labels: int8 `[image, finding]`, 1 present, 0 absent, -1 not known; None without any.
        findings: Names of the findings.
        refs: Keyed reference of each image's input, for the private annex; empty where none is known.

    Raises:
        ValueError: The parts are not of one length or shape.
    """

    originals: Pictures | None
    scrubbed: Pictures
    patients: tuple[str, ...]
    studies: tuple[str, ...]
    sources: tuple[str, ...]
    labels: NDArray[np.int8] | None = None
    findings: tuple[str, ...] = ()
    refs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.scrubbed.ndim != 3:
            raise ValueError("scrubbed images are one array [image, row, column]")
        if self.originals is not None and self.originals.shape != self.scrubbed.shape:
            raise ValueError("originals and scrubbed images must have one shape, image by image")
        count = len(self.scrubbed)
        if not len(self.patients) == len(self.studies) == len(self.sources) == count:
            raise ValueError("each image needs one patient, one study and one source")
        if self.labels is not None and self.labels.shape != (count, len(self.findings)):
            raise ValueError("labels are [image, finding], one column for each finding named")

    def __len__(self) -> int:
        return len(self.scrubbed)

    def subset(self, indices: Sequence[int] | NDArray[np.intp]) -> AuditImages:
        """Some of the images, in this order."""
        index = np.asarray(indices, np.intp)
        return AuditImages(
            None if self.originals is None else self.originals[index],
            self.scrubbed[index],
            tuple(self.patients[i] for i in index),
            tuple(self.studies[i] for i in index),
            tuple(self.sources[i] for i in index),
            None if self.labels is None else self.labels[index],
            self.findings,
            tuple(self.refs[i] for i in index) if self.refs else (),
        )

    def recurring(self) -> frozenset[str]:
        """Patients with several studies."""
        studies: defaultdict[str, set[str]] = defaultdict(set)
        for patient, study in zip(self.patients, self.studies, strict=True):
            studies[patient].add(study)
        return frozenset(patient for patient, own in studies.items() if len(own) > 1)

    def at_most(self, count: int, seed: int = 0) -> AuditImages:
        """All images of as many patients as give about so many, those with several studies first.

        Args:
            count: Images wanted; at least one patient is kept.
            seed: Of the draw.
        """
        if len(self) <= count:
            return self
        several = self.recurring()
        names = sorted(set(self.patients))
        order = [names[i] for i in np.random.default_rng(seed).permutation(len(names))]
        order.sort(key=lambda name: name not in several)
        images: defaultdict[str, list[int]] = defaultdict(list)
        for index, patient in enumerate(self.patients):
            images[patient].append(index)
        sizes = np.cumsum([len(images[name]) for name in order])
        kept = order[: max(1, int(np.searchsorted(sizes, count, side="right")))]
        return self.subset(sorted(index for name in kept for index in images[name]))
