"""Measuring a recogniser on held-out patients: every fair pair, weights and intervals by patient."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from deid.core.errors import UsageError
from deid.networks.siamese import SiameseResNet
from deid.reid.embedding import embed_images
from deid.reid.metrics import (
    Interval,
    ScoredPairs,
    Statistic,
    auc_statistic,
    balanced_weights,
    eer_statistic,
    estimable,
    paired_difference,
    patient_bootstrap,
    tpr_statistic,
)
from deid.reid.pairs import FairPairs, candidates, joined
from deid.reid.ranking import cmc, search
from deid.training.images import ImageStore
from deid.training.pairs import group_names
from deid.training.split import joined_patients

_FALSE_POSITIVES = (0.01, 0.001)
_GALLERY = 50
_AT_ONCE = 50_000


def fair_pairs(
    store: ImageStore,
    duplicates: Iterable[tuple[int, int]] = (),
    groups: Sequence[str] | None = None,
) -> list[FairPairs]:
    """Every pair of images of one group, by source; in large groups, impostors by lot (`candidates`).

    Genuine pairs are of different studies (different images where studies are not named), never
    near-duplicates, and patients that near-duplicates join are no impostors of one another. Groups without a
    genuine and an impostor pair are left out.

    Args:
        store: Images, such as one part of a split.
        duplicates: Pairs from `deid.training.split.near_duplicates`.
        groups: Group of each image of the store; `deid.training.pairs.group_names` if None.

    Raises:
        UsageError: No source has both kinds of pair.
    """
    names = np.array(group_names(store) if groups is None else groups)
    duplicates = list(duplicates)
    people = _People(store, duplicates)
    never = {pair for one, other in duplicates for pair in ((one, other), (other, one))}
    found: dict[str, list[FairPairs]] = {}
    for name in np.unique(names):
        pairs = _pairs_of_group(store, np.flatnonzero(names == name), people, never)
        if pairs is not None:
            found.setdefault(pairs.source, []).append(pairs)
    if not found:
        raise UsageError(
            "recognition cannot be measured: of the patients held out, no source has one with two images of "
            "different studies and another patient beside it. Give more patients with several images."
        )
    return [joined(found[source]) for source in sorted(found)]


def pair_scores(
    network: nn.Module,
    store: ImageStore,
    pairs: FairPairs,
    batch: int = 128,
    device: str | torch.device = "cpu",
    by_cosine: bool = False,
) -> NDArray[np.float64]:
    """Scores `[pair]` of pairs, higher for one patient: the cosine, or what a `SiameseResNet` says of both.

    Args:
        network: An `Embedder`.
        store: The images that the pairs were made of.
        pairs: The pairs.
        batch: Images at once.
        device: Where the network runs.
        by_cosine: Of a `SiameseResNet`, too.
    """
    verifier = network if isinstance(network, SiameseResNet) and not by_cosine else None
    images = pairs.images
    embeddings = embed_images(network, store.images[images], batch, device, normalise=verifier is None)
    first, second = (np.searchsorted(images, side) for side in (pairs.first, pairs.second))
    if verifier is not None:
        return verified(verifier, embeddings, embeddings, first, second, device)
    parts = []
    for at in range(0, len(first), _AT_ONCE):
        one, other = (torch.from_numpy(embeddings[side[at : at + _AT_ONCE]]) for side in (first, second))
        parts.append((one * other).sum(dim=1))
    return torch.cat(parts).numpy().astype(np.float64)


def verified(
    network: SiameseResNet,
    one: NDArray[np.float32],
    other: NDArray[np.float32],
    first: NDArray[np.intp],
    second: NDArray[np.intp],
    device: str | torch.device = "cpu",
) -> NDArray[np.float64]:
    """What a siamese network says of pairs `[pair]`, higher for one patient.

    Args:
        network: Verifies pairs; it is on the device.
        one: Its embeddings `[image, dimension]`, not normalised.
        other: Of the other side, which may be the same.
        first: Row of the one, `[pair]`.
        second: Row of the other, `[pair]`.
        device: Where the network runs.
    """
    parts = []
    with torch.inference_mode():
        for at in range(0, len(first), _AT_ONCE):
            own = slice(at, at + _AT_ONCE)
            both = (torch.from_numpy(side).to(device) for side in (one[first[own]], other[second[own]]))
            parts.append(network.verification_logit(*both).cpu())
    return torch.cat(parts).numpy().astype(np.float64)


def figures(pairs: FairPairs, scores: NDArray[np.floating], replicates: int = 1000) -> dict[str, Interval]:
    """AUC, EER and, where impostors suffice, TPR at small FPR of one source, each patient counting alike.

    Args:
        pairs: Of the source.
        scores: `[pair]`.
        replicates: Of the bootstrap.
    """
    scored = pairs.scored(scores)
    statistics: dict[str, Statistic] = {"ROC AUC": auc_statistic, "EER": eer_statistic}
    impostors = pairs.weights[~pairs.genuine]
    statistics |= {
        f"TPR at FPR {rate:g}": tpr_statistic(rate) for rate in _FALSE_POSITIVES if estimable(impostors, rate)
    }
    return {
        name: patient_bootstrap(scored, statistic, pairs.weights, replicates)
        for name, statistic in statistics.items()
    }


def search_figures(
    store: ImageStore, pairs: FairPairs, scores: NDArray[np.floating], ranks: Sequence[int] = (1, 5)
) -> dict[str, Interval]:
    """Rank-k of one source in a gallery of stated size, by a name that states the chance of guessing, too.

    Each image searches the others of its group; the gallery has 50 patients, or those of the smallest group.
    Where impostors were drawn by lot, another patient answers with the images that were drawn only, which
    makes finding a little easier.

    Args:
        store: The images that the pairs were made of.
        pairs: Of the source.
        scores: `[pair]`.
        ranks: The k.
    """
    images = pairs.images
    rows, columns = (np.searchsorted(images, side) for side in (pairs.first, pairs.second))
    similarity = np.full((len(images), len(images)), -np.inf)
    similarity[rows, columns] = similarity[columns, rows] = scores
    patients = np.array([store.samples[image].patient for image in images])
    answers = search(similarity, patients, patients)
    size = min(_GALLERY, int(answers.others.min()) + 1)
    return {
        f"rank-{point.rank} of {size} patients (chance {point.chance:.3g})": point.found
        for point in cmc(answers, size, max(ranks))
        if point.rank in ranks
    }


def difference(
    pairs: FairPairs,
    scores: NDArray[np.floating],
    other_scores: NDArray[np.floating],
    replicates: int = 1000,
) -> Interval:
    """AUC of one system minus that of another on the same pairs, patients resampled alike."""
    return paired_difference(pairs.scored(scores), other_scores, weights=pairs.weights, replicates=replicates)


def _pairs_of_group(
    store: ImageStore, images: NDArray[np.intp], people: _People, never: set[tuple[int, int]]
) -> FairPairs | None:
    """The fair pairs among the images of one group; None if one of the two kinds is missing."""
    rows, columns = candidates(people.patients[images])
    first, second = images[rows], images[columns]
    fair = people.different_studies(first, second) & np.fromiter(
        (pair not in never for pair in zip(first.tolist(), second.tolist(), strict=True)), bool, len(first)
    )
    first, second = first[fair], second[fair]
    own, other = people.patients[first], people.patients[second]
    genuine = own == other
    if genuine.all() or not genuine.any():
        return None
    weights = balanced_weights(ScoredPairs.of(np.zeros(len(first)), own, other))
    weights[~genuine] *= weights[genuine].sum() / weights[~genuine].sum()
    return FairPairs(store.samples[int(images[0])].source, first, second, own, other, weights)


class _People:
    """Who is shown by the images of a store, and when, as numbers `[image]`."""

    def __init__(self, store: ImageStore, duplicates: Iterable[tuple[int, int]]) -> None:
        person = joined_patients(store.patients, duplicates)
        self.patients = _numbers(store.patients)
        self._persons = _numbers([person[patient] for patient in store.patients])
        self._studies = _numbers([sample.study for sample in store.samples])
        self._named = np.array([sample.study != "" for sample in store.samples])

    def different_studies(self, first: NDArray[np.intp], second: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Pairs of two persons, or of two studies of one patient; not of one person under two names."""
        same = self.patients[first] == self.patients[second]
        one_study = self._named[first] & (self._studies[first] == self._studies[second])
        fair: NDArray[np.bool_] = np.where(same, ~one_study, self._persons[first] != self._persons[second])
        return fair


def _numbers(labels: Sequence[str]) -> NDArray[np.intp]:
    return np.unique(np.array(labels), return_inverse=True)[1]
