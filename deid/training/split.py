"""Which patients are for training, which for choices, which for the one final test.

The share of a patient is a pure function of his id, so that it stays the same when images are added, and for
every network: what tests one has trained no other. Patients with nearly the same image (one person under two
ids, or an image published twice) go to one side together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deid.core.errors import UsageError

PARTS = ("train", "validation", "test")
FRACTIONS = (0.7, 0.1, 0.2)

_SIDE = 16
_ROWS_AT_ONCE = 1024
_FILLED = 0.9
"""Share of an image above which its background counts for little."""


@dataclass(frozen=True)
class Split:
    """Indices of images, ascending, no patient in two of them.

    Attributes:
        train: For fitting.
        validation: For every choice.
        test: For one look at the end.
    """

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]


def part_of(patient: str, fractions: Sequence[float] = FRACTIONS) -> str:
    """The part of one patient: SHA-256 of his id as a number in 0..1 against the fractions.

    Args:
        patient: Patient id.
        fractions: Shares of :data:`PARTS`; they add up to 1.
    """
    number = int.from_bytes(hashlib.sha256(patient.encode()).digest()[:8], "big") / 2**64
    for part, end in zip(PARTS, np.cumsum(fractions), strict=True):
        if number < end:
            return part
    return PARTS[-1]


def split_patients(
    patients: Sequence[str],
    duplicates: Iterable[tuple[int, int]] = (),
    fractions: Sequence[float] = FRACTIONS,
) -> Split:
    """Split images by patient.

    Args:
        patients: Patient id of each image.
        duplicates: Pairs of images that are nearly the same, from :func:`near_duplicates`: all patients that
            they join take the part of the one whose id comes first.
        fractions: Shares of :data:`PARTS`.

    Raises:
        UsageError: The fractions do not add up to 1.
    """
    if len(fractions) != len(PARTS) or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6:
        raise UsageError(f"the fractions of {', '.join(PARTS)} must be three that add up to 1.")
    head = joined_patients(patients, duplicates)
    parts = {patient: part_of(head[patient], fractions) for patient in head}
    index = {part: [i for i, patient in enumerate(patients) if parts[patient] == part] for part in PARTS}
    return Split(*(np.array(index[part], np.int64) for part in PARTS))


def joined_patients(patients: Sequence[str], duplicates: Iterable[tuple[int, int]]) -> dict[str, str]:
    """For each patient the one, first by id, of all that near-duplicates join him with."""
    head = {patient: patient for patient in patients}

    def find(patient: str) -> str:
        while head[patient] != patient:
            patient = head[patient]
        return patient

    for one, other in duplicates:
        first, second = sorted((find(patients[one]), find(patients[other])))
        head[second] = first
    return {patient: find(patient) for patient in head}


def near_duplicates(images: NDArray[np.integer], correlation: float = 0.99) -> list[tuple[int, int]]:
    """Pairs of images that are one picture, but for coding, size or exposure.

    Each image is averaged down to 16 x 16, its values replaced by their ranks, which no monotonic change of
    exposure touches, and compared with all others by Pearson's correlation. Equal values have equal ranks,
    and a background that two images share must not be all that makes them alike: so without it, too.

    Args:
        images: `[image, row, column]`, all at least 16 x 16.
        correlation: From here on two are one picture. Different chest X-rays of one patient stay below 0.988;
            copies of another JPEG quality, gamma or resolution reach 0.994. Crops and marks are not found.

    Returns:
        Pairs of indices, the lower first, sorted.
    """
    if not len(images):
        return []
    small = np.stack([_reduced(image) for image in images])
    ranks = np.stack([_ranks(means) for means in small])
    norms = np.linalg.norm(ranks, axis=1, keepdims=True)
    flat = norms[:, 0] == 0
    signatures = ranks / np.where(norms > 0, norms, 1)
    pairs: list[tuple[int, int]] = []
    for start in range(0, len(signatures), _ROWS_AT_ONCE):
        close = signatures[start : start + _ROWS_AT_ONCE] @ signatures[start:].T >= correlation
        for row, column in zip(*np.nonzero(np.triu(close, 1)), strict=True):
            one, other = start + int(row), start + int(column)
            if not flat[one] and not flat[other] and _alike_inside(small[one], small[other], correlation):
                pairs.append((one, other))
    return pairs


def _alike_inside(one: NDArray[np.float32], other: NDArray[np.float32], correlation: float) -> bool:
    """Whether two images are one picture without the background (the lowest value) that both have."""
    inside = (one > one.min()) | (other > other.min())
    if inside.mean() > _FILLED:
        return True
    first, second = _ranks(one[inside]), _ranks(other[inside])
    return bool(first @ second >= correlation * np.linalg.norm(first) * np.linalg.norm(second))


def _ranks(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Ranks about their mean, equal values sharing the mean of theirs, as Spearman's correlation has them."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = counts.cumsum()
    ranks: NDArray[np.float32] = (ends - (counts + len(values)) / 2)[place].astype(np.float32)
    return ranks


def _reduced(image: NDArray[np.integer]) -> NDArray[np.float32]:
    """Means of 16 x 16 areas, flat."""
    rows = np.linspace(0, image.shape[0], _SIDE + 1).astype(np.intp)
    columns = np.linspace(0, image.shape[1], _SIDE + 1).astype(np.intp)
    sums = np.add.reduceat(np.add.reduceat(image.astype(np.float64), rows[:-1], 0), columns[:-1], 1)
    means: NDArray[np.float64] = sums / np.outer(np.diff(rows), np.diff(columns))
    return means.astype(np.float32).ravel()
