"""How well findings are told: AUC by source and finding, patients resampled for intervals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deid.reid.metrics import Interval, percentile_interval
from deid.reid.roc import Curve
from deid.training.samples import NEGATIVE, POSITIVE

_REPLICATES_AT_ONCE = 50


@dataclass(frozen=True, eq=False)
class Cell:
    """One finding in the images of one source, where it is known.

    A finding is measured within a source only: a network that tells hospitals apart would else seem to tell
    diseases, wherever they are not equally common.

    Attributes:
        source: The source.
        finding: Its name.
        column: Its place among the findings.
        images: Indices of the images, `[image]`.
        present: `[image]`.
        patients: Codes of their patients from 0, `[image]`.
    """

    source: str
    finding: str
    column: int
    images: NDArray[np.intp]
    present: NDArray[np.bool_]
    patients: NDArray[np.intp]

    @property
    def name(self) -> str:
        """How logs call it."""
        return f"{self.finding} ({self.source})" if self.source else self.finding

    def has(self, least: int) -> bool:
        """Whether so many patients have the finding and so many do not."""
        return all(len(np.unique(self.patients[self.present == state])) >= least for state in (False, True))

    def auc(self, logits: NDArray[np.floating]) -> float:
        """AUC of the finding's logits `[image of the store, finding]`; each patient counts once."""
        curve = Curve(logits[self.images, self.column], self.present)
        return float(curve.auc(curve.ordered(self._once()))[0])

    def interval(
        self, logits: NDArray[np.floating], replicates: int = 1000, seed: int = 0, level: float = 0.95
    ) -> Interval:
        """AUC with its percentile interval, patients resampled with replacement."""
        curve = Curve(logits[self.images, self.column], self.present)
        once, random = self._once(), np.random.default_rng(seed)
        count = int(self.patients.max()) + 1
        values = []
        for start in range(0, replicates, _REPLICATES_AT_ONCE):
            size = min(_REPLICATES_AT_ONCE, replicates - start)
            drawn = random.multinomial(count, np.full(count, 1 / count), size)
            values.append(curve.auc((drawn[:, self.patients] * once)[:, curve.order]))
        return percentile_interval(self.auc(logits), np.concatenate(values), level)

    def _once(self) -> NDArray[np.float64]:
        """Weights `[image]` by which each patient counts once."""
        weights: NDArray[np.float64] = 1 / np.bincount(self.patients)[self.patients]
        return weights


def cells(
    labels: NDArray[np.int8], findings: Sequence[str], sources: Sequence[str], patients: Sequence[str]
) -> Iterator[Cell]:
    """Every finding in every source.

    Args:
        labels: `[image, finding]`, as `deid.training.samples.label_matrix` gives.
        findings: Their names.
        sources: Of each image.
        patients: Of each image.
    """
    where = np.array(sources, object)
    whose = np.array(patients, object)
    for source in sorted(set(sources)):
        for column, finding in enumerate(findings):
            known = (labels[:, column] == POSITIVE) | (labels[:, column] == NEGATIVE)
            images = np.flatnonzero((where == source) & known)
            _, codes = np.unique(whose[images].astype(str), return_inverse=True)
            yield Cell(source, finding, column, images, labels[images, column] == POSITIVE, codes)
