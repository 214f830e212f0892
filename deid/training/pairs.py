"""Genuine and impostor pairs that differ in nothing but the person, and batches of P patients x K images.

Both images of every pair come from one *group*: one source, view, size class, finding group and slice of a
volume. Else a network tells two hospitals or sick from healthy, and the score says nothing of identity.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deid.core.errors import UsageError
from deid.training.images import ImageStore
from deid.training.samples import Sample
from deid.training.split import joined_patients

FindingGroup = Callable[[Sample], str]
"""Puts a sample in a finding group, by name."""


def sick_or_healthy(sample: Sample) -> str:
    """Three groups: some finding, none, nobody looked. Label sets in full would leave few partners."""
    if sample.findings is None:
        return "not labelled"
    return "findings" if sample.findings else "no finding"


def group_names(store: ImageStore, finding_group: FindingGroup = sick_or_healthy) -> tuple[str, ...]:
    """The group of each image of a store.

    Size classes are powers of two of the smaller side; slices of volumes are told apart by their place among
    those chosen of their volume, so that like is compared with like.
    """
    names, place = [], 0
    for index, (sample, side) in enumerate(zip(store.samples, store.sides, strict=True)):
        place = place + 1 if index and store.samples[index - 1] is sample else 0
        size = int(side).bit_length()
        view = " ".join(filter(None, (sample.view, sample.body_part, sample.alike)))
        names.append(f"{sample.source}|{sample.modality}|{view}|{size}|{finding_group(sample)}|{place}")
    return tuple(names)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of images, each group with as many impostors as genuine ones.

    Attributes:
        first: `[pair]`, index of an image in the store.
        second: `[pair]`, index of the other.
        genuine: `[pair]`, whether both show one patient.
        weights: `[pair]`: within a group each patient of ``first`` counts alike among the genuine pairs,
            however many images he has, and alike among the impostors; both kinds weigh the same in sum.
        patients: `[pair]`, number of the patient of ``first``, for intervals by patient.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    genuine: NDArray[np.bool_]
    weights: NDArray[np.float64]
    patients: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.first)


def make_pairs(
    store: ImageStore,
    indices: Sequence[int] | NDArray[np.int64] | None = None,
    *,
    seed: int = 0,
    per_patient: int = 10,
    duplicates: Iterable[tuple[int, int]] = (),
    groups: Sequence[str] | None = None,
) -> Pairs:
    """Draw genuine pairs and as many impostors.

    A genuine pair is two images of one patient from different studies (from different files where studies
    are not named) that are not nearly the same. For each one an impostor is drawn: its first image with a
    random image of a random other patient of its group, each patient as likely as the other.

    Args:
        store: All images.
        indices: Those to draw from, such as one part of a split; all if None.
        seed: Of the draw.
        per_patient: Genuine pairs of one patient at most, in each group.
        duplicates: Pairs from :func:`deid.training.split.near_duplicates`, never drawn.
        groups: Group of each image of the store; :func:`group_names` if None.

    Raises:
        UsageError: No patient has two images in one group, or no group has two patients.
    """
    names = groups if groups is not None else group_names(store)
    duplicates = list(duplicates)
    never = {frozenset(pair) for pair in duplicates}
    person = joined_patients(store.patients, duplicates)
    chosen = np.arange(len(store)) if indices is None else np.asarray(indices, np.int64)
    random = np.random.default_rng(seed)
    rows: list[tuple[int, int, bool, float, str]] = []
    for members in _by_group(chosen, names).values():
        by_patient = _by_patient(store, members)
        genuine = [
            pair
            for own in by_patient.values()
            for pair in _drawn(_genuine(store, own, never), per_patient, random)
        ]
        if len({person[patient] for patient in by_patient}) < 2:
            continue
        impostors = [
            (one, _stranger(store.samples[one].patient, by_patient, person, random)) for one, _ in genuine
        ]
        for pairs, same in ((genuine, True), (impostors, False)):
            shares = _balanced([store.samples[one].patient for one, _ in pairs])
            rows += [
                (one, other, same, share * len(genuine), store.samples[one].patient)
                for (one, other), share in zip(pairs, shares, strict=True)
            ]
    if not rows:
        raise UsageError(
            "no pair can be drawn: give images of at least two patients, one of them with two images of "
            "different studies from one source, view and finding group."
        )
    return _as_pairs(rows)


class PKSampler:
    """Batches of P patients x K images, each batch within one group.

    Groups are drawn by the number of their patients with several images, then patients of the group, each as
    likely as the other, so that one with 66 images counts as much as one with 2; then images of each patient,
    from different studies first. A batch depends on the generator alone: a resumed run draws the same.

    Args:
        store: All images.
        indices: Those to draw from; all if None.
        patients: P.
        images: K.
        groups: Group of each image; :func:`group_names` if None.
        paired_share: Share of the P that have at least two images; the others only serve as strangers, and
            fill the batch where there are too few of the former.

    Raises:
        UsageError: No group has two patients of whom one has two images.
    """

    def __init__(
        self,
        store: ImageStore,
        indices: Sequence[int] | NDArray[np.int64] | None = None,
        *,
        patients: int = 16,
        images: int = 4,
        groups: Sequence[str] | None = None,
        paired_share: float = 1.0,
    ) -> None:
        names = groups if groups is not None else group_names(store)
        chosen = np.arange(len(store)) if indices is None else np.asarray(indices, np.int64)
        self._store, self._p, self._k, self._share = store, patients, images, paired_share
        self._groups = [
            (paired, single)
            for members in _by_group(chosen, names).values()
            for paired, single in [_paired_and_single(_by_patient(store, members))]
            if paired and len(paired) + len(single) > 1
        ]
        if not self._groups:
            raise UsageError(
                "training needs patients with several images: at least two patients, one of them with two "
                "images, from one source, view and finding group."
            )

    @property
    def batches(self) -> int:
        """Batches until every patient with several images has been drawn about once."""
        patients = sum(len(paired) for paired, _ in self._groups)
        return max(1, round(patients / max(1, self._p * self._share)))

    def batch(self, random: np.random.Generator) -> NDArray[np.int64]:
        """Indices of one batch, the K images of a patient side by side: `[P * K]`, fewer if patients lack.

        A patient with fewer than K images gives some of them twice; augmentation makes them differ.
        """
        sizes = np.array([len(paired) for paired, _ in self._groups], np.float64)
        paired, single = self._groups[int(random.choice(len(sizes), p=sizes / sizes.sum()))]
        wanted = min(len(paired), max(1, round(self._p * self._share)))
        strangers = min(len(single), self._p - wanted)
        drawn = [paired[i] for i in random.permutation(len(paired))[:wanted]]
        drawn += [single[i] for i in random.permutation(len(single))[:strangers]]
        return np.concatenate([self._images(own, random) for own in drawn])

    def epoch(self, random: np.random.Generator) -> Iterator[NDArray[np.int64]]:
        """The batches of one epoch."""
        return (self.batch(random) for _ in range(self.batches))

    def _images(self, own: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.int64]:
        order = random.permutation(own)
        studies = [self._store.samples[i].study for i in order]
        first_of_study = {study: place for place, study in reversed(list(enumerate(studies)))}
        heads = sorted(first_of_study.values())
        rest = [place for place in range(len(order)) if place not in set(heads)]
        return np.resize(order[heads + rest], self._k)


def _by_group(indices: NDArray[np.int64], names: Sequence[str]) -> dict[str, list[int]]:
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for index in sorted(int(i) for i in indices):
        groups[names[index]].append(index)
    return dict(sorted(groups.items()))


def _by_patient(store: ImageStore, members: Sequence[int]) -> dict[str, NDArray[np.int64]]:
    patients: defaultdict[str, list[int]] = defaultdict(list)
    for index in members:
        patients[store.samples[index].patient].append(index)
    return {patient: np.array(own, np.int64) for patient, own in sorted(patients.items())}


def _paired_and_single(
    by_patient: dict[str, NDArray[np.int64]],
) -> tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]]:
    several = [own for own in by_patient.values() if len(own) > 1]
    return several, [own for own in by_patient.values() if len(own) == 1]


def _genuine(store: ImageStore, own: NDArray[np.int64], never: set[frozenset[int]]) -> list[tuple[int, int]]:
    return [
        (int(one), int(other))
        for place, one in enumerate(own)
        for other in own[place + 1 :]
        if not _same_study(store.samples[one], store.samples[other])
        and frozenset((int(one), int(other))) not in never
    ]


def _same_study(one: Sample, other: Sample) -> bool:
    return one is other or (one.study == other.study != "")


def _drawn(pairs: list[tuple[int, int]], count: int, random: np.random.Generator) -> list[tuple[int, int]]:
    """Some of the pairs, each turned at random so that every image can come first."""
    places = random.permutation(len(pairs))[:count]
    turned = random.random(len(places)) < 0.5
    return [pairs[i][::-1] if turn else pairs[i] for i, turn in zip(places, turned, strict=True)]


def _stranger(
    patient: str,
    by_patient: Mapping[str, NDArray[np.int64]],
    person: Mapping[str, str],
    random: np.random.Generator,
) -> int:
    """A random image of a random other person."""
    names = tuple(by_patient)
    while True:
        other = names[int(random.integers(len(names)))]
        if person[other] != person[patient]:
            return int(random.choice(by_patient[other]))


def _balanced(patients: Sequence[str]) -> NDArray[np.float64]:
    """Weights that add up to 1, the same sum for each patient."""
    counts: defaultdict[str, int] = defaultdict(int)
    for patient in patients:
        counts[patient] += 1
    return np.array([1 / (counts[patient] * len(counts)) for patient in patients])


def _as_pairs(rows: Sequence[tuple[int, int, bool, float, str]]) -> Pairs:
    first, second, genuine, weights, patients = zip(*rows, strict=True)
    number = {patient: place for place, patient in enumerate(sorted(set(patients)))}
    return Pairs(
        np.array(first, np.int64),
        np.array(second, np.int64),
        np.array(genuine, np.bool_),
        np.array(weights, np.float64),
        np.array([number[patient] for patient in patients], np.int64),
    )
