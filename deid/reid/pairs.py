"""Pairs of images that differ in nothing but the person, and their scores within and across two sides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from deid.reid.metrics import ScoredPairs, roc_auc

MOST_PAIRS = 500_000


@dataclass(frozen=True, eq=False)
class FairPairs:
    """Pairs of one source that differ in nothing but the person: view, size and finding group are alike.

    They are all there are, but for what `candidates` leaves out in a group of many images.

    Attributes:
        source: The source.
        first: Index of an image in the store, `[pair]`.
        second: Index of the other, `[pair]`.
        first_patients: Patient of the first, as a number, `[pair]`.
        second_patients: Patient of the second, `[pair]`; the pair is genuine where both are equal.
        weights: By which each patient counts alike, and genuine as much as impostors in each group, `[pair]`.
    """

    source: str
    first: NDArray[np.intp]
    second: NDArray[np.intp]
    first_patients: NDArray[np.intp]
    second_patients: NDArray[np.intp]
    weights: NDArray[np.float64]

    @property
    def genuine(self) -> NDArray[np.bool_]:
        """Whether both images show one patient, `[pair]`."""
        same: NDArray[np.bool_] = self.first_patients == self.second_patients
        return same

    @property
    def patients(self) -> int:
        """Patients with a genuine pair."""
        return len(np.unique(self.first_patients[self.genuine]))

    @property
    def images(self) -> NDArray[np.intp]:
        """Indices of the images of all pairs."""
        return np.union1d(self.first, self.second)

    def scored(self, scores: NDArray[np.floating]) -> ScoredPairs:
        """The pairs with scores `[pair]`, for intervals."""
        return ScoredPairs.of(scores, self.first_patients, self.second_patients)

    def auc(self, scores: NDArray[np.floating]) -> float:
        """ROC AUC of scores `[pair]`."""
        return roc_auc(scores, self.genuine, self.weights)


def candidates(
    patients: NDArray[np.intp], limit: int = MOST_PAIRS, seed: int = 0
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """All pairs of the images of a group; of more than `limit`, all of one patient and some of two by lot.

    Each patient then draws as many impostor pairs as any other (`limit` by the number of patients), between
    one of their images and one of anybody else's; a pair that is drawn twice counts once.

    Args:
        patients: Patient of each image as a number, `[image]`.
        limit: Pairs up to which none is left out, and about the number of impostor pairs beyond.
        seed: Of the lot.

    Returns:
        Indices of the two images, the lower first, `[pair]` each.
    """
    count = len(patients)
    if count * (count - 1) // 2 <= limit:
        return np.triu_indices(count, 1)
    order = np.argsort(patients, kind="stable")
    starts = np.flatnonzero(np.diff(patients[order], prepend=-1))
    sizes = np.diff(starts, append=count)
    pairs = [
        order[start + np.stack(np.triu_indices(size, 1))] for start, size in zip(starts, sizes, strict=True)
    ]
    if len(starts) > 1:
        random = np.random.default_rng(seed)
        drawing = np.repeat(np.arange(len(starts)), max(1, limit // len(starts)))
        own = starts[drawing] + random.integers(sizes[drawing])
        other = random.integers(count - sizes[drawing])
        other += np.where(other >= starts[drawing], sizes[drawing], 0)
        pairs.append(order[np.stack([own, other])])
    low, high = np.sort(np.concatenate(pairs, axis=1), axis=0)
    first, second = np.divmod(np.unique(low * count + high), count)
    return first, second


def both_ways(pairs: FairPairs) -> FairPairs:
    """Each pair twice: the attacker has the first image, the second is scrubbed; then the other way."""
    return FairPairs(
        pairs.source,
        np.concatenate([pairs.first, pairs.second]),
        np.concatenate([pairs.second, pairs.first]),
        np.concatenate([pairs.first_patients, pairs.second_patients]),
        np.concatenate([pairs.second_patients, pairs.first_patients]),
        np.concatenate([pairs.weights, pairs.weights]) / 2,
    )


def probing(pairs: FairPairs, probes: NDArray[np.integer]) -> FairPairs:
    """The pairs whose second image is a probe; each probe's impostors together weigh as its genuine pairs.

    Args:
        pairs: From `both_ways`.
        probes: Images of the store; those without a genuine or without an impostor pair are left out.
    """
    size = int(max(pairs.second.max(initial=-1), np.max(probes, initial=-1))) + 1
    sums = [
        np.bincount(pairs.second[kind], pairs.weights[kind], size) for kind in (pairs.genuine, ~pairs.genuine)
    ]
    wanted = np.zeros(size, bool)
    wanted[probes] = True
    wanted &= (sums[0] > 0) & (sums[1] > 0)
    share = np.divide(sums[0], sums[1], out=np.zeros(size), where=wanted)
    weights = np.where(pairs.genuine, pairs.weights, pairs.weights * share[pairs.second])
    kept = wanted[pairs.second]
    return FairPairs(
        pairs.source,
        pairs.first[kept],
        pairs.second[kept],
        pairs.first_patients[kept],
        pairs.second_patients[kept],
        weights[kept],
    )


def evenly_chosen(pairs: Sequence[FairPairs], count: int, seed: int) -> NDArray[np.intp]:
    """Images to look at where not all can be: sources in turns, and of a source patients in turns, by lot.

    Args:
        pairs: From `both_ways`, of each source.
        count: Images at most.
        seed: Of the lot.

    Returns:
        Images `[image]`, in the order of the store, that are the second of a genuine and of an impostor pair.
    """
    random = np.random.default_rng(seed)
    rows = []
    for each in pairs:
        able = np.intersect1d(each.second[each.genuine], each.second[~each.genuine])
        drawn = random.permutation(able)
        owners = dict(zip(each.second.tolist(), each.second_patients.tolist(), strict=True))
        seen: Counter[int] = Counter()
        turns = []
        for image in drawn.tolist():
            turns.append(seen[owners[image]])
            seen[owners[image]] += 1
        rows.append(drawn[np.argsort(turns, kind="stable")].tolist())
    in_turns = [image for turn in zip_longest(*rows) for image in turn if image is not None]
    return np.sort(np.array(in_turns[:count], np.intp))


def cross_scores(
    pairs: FairPairs, originals: NDArray[np.float32], scrubbed: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Cosines `[pair]` of the first image as it was with the second scrubbed.

    Args:
        pairs: From `both_ways`.
        originals: Unit embeddings `[image, dimension]`.
        scrubbed: Unit embeddings of the same images scrubbed.
    """
    cosines = np.einsum("pd,pd->p", originals[pairs.first], scrubbed[pairs.second])
    return np.asarray(cosines, np.float64)


def joined(parts: Sequence[FairPairs]) -> FairPairs:
    """All pairs of several groups of one source."""
    columns = ("first", "second", "first_patients", "second_patients", "weights")
    return FairPairs(
        parts[0].source, *(np.concatenate([getattr(part, column) for part in parts]) for column in columns)
    )
