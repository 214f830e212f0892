"""Which pairs an attacker must tell: other studies of one patient, against other patients of the same source.

A pair within one study is left out: it may be one exposure saved twice, which tells nothing of the person.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from deid.audit.search import Codes
from deid.reid.metrics import ScoredPairs, balanced_weights
from deid.reid.pairs import FairPairs, joined

LEAST_PATIENTS, LEAST_GENUINE = 5, 20
_GENUINE_OF_ONE = 100


def numbers(labels: Sequence[str]) -> Codes:
    """Labels as numbers from 0, `[image]`."""
    return np.unique(np.array(labels, dtype=object).astype(str), return_inverse=True)[1]


def study_pairs(
    patients: Codes, studies: Codes, groups: Codes, impostors: int = 20_000, seed: int = 0
) -> FairPairs | None:
    """Genuine pairs of different studies, and impostors of the same group.

    Every patient counts alike, and in each group genuine pairs weigh as much as impostors, so that a network
    which tells groups apart gains nothing by it.

    Args:
        patients: Of each image, `[image]`.
        studies: Likewise.
        groups: Likewise; both images of every pair are of one group.
        impostors: Listed at most, over all groups; they are drawn where there are more.
        seed: Of the draw.

    Returns:
        The pairs; None where no group has both kinds.
    """
    random = np.random.default_rng(seed)
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    parts = []
    for own in members:
        share = max(200, int(impostors * len(own) / len(groups)))
        genuine = _genuine(own, patients, studies, random)
        others = _impostors(own, patients, share, random)
        if len(genuine) and len(others):
            parts.append(_weighted(np.concatenate([genuine, others]), patients))
    return joined(parts) if parts else None


def gallery_of_patients(
    own: Codes, patients: Codes, most: int | None = None, seed: int = 0
) -> tuple[Codes, Codes]:
    """Queries, and a gallery of one image a patient.

    Args:
        own: Images of one group.
        patients: Of all images.
        most: Patients of the gallery, and queries, at most; those with a query are drawn first. None for all.
        seed: Of the draw.
    """
    gallery = own[np.unique(patients[own], return_index=True)[1]]
    queries = np.setdiff1d(own, gallery)
    if most is None:
        return queries, gallery
    random = np.random.default_rng(seed)
    order = random.permutation(gallery)
    order = order[np.argsort(~np.isin(patients[order], patients[queries]), kind="stable")]
    gallery = np.sort(order[:most])
    queries = random.permutation(queries[np.isin(patients[queries], patients[gallery])])
    return np.sort(queries[:most]), gallery


def enough(pairs: FairPairs | None) -> str:
    """Why pairs are too few to report anything of; empty where they are not."""
    if pairs is None or pairs.patients < LEAST_PATIENTS:
        return f"fewer than {LEAST_PATIENTS} patients with several studies and another patient beside them"
    return ""


def _genuine(own: Codes, patients: Codes, studies: Codes, random: np.random.Generator) -> Codes:
    found: list[tuple[int, int]] = []
    order = own[np.argsort(patients[own], kind="stable")]
    for images in np.split(order, np.flatnonzero(np.diff(patients[order])) + 1):
        pairs = [(one, other) for one, other in combinations(images, 2) if studies[one] != studies[other]]
        chosen = random.permutation(len(pairs))[:_GENUINE_OF_ONE]
        found += [pairs[i] for i in np.sort(chosen)]
    return np.array(found, np.intp).reshape(-1, 2)


def _impostors(own: Codes, patients: Codes, count: int, random: np.random.Generator) -> Codes:
    if len(own) * (len(own) - 1) // 2 <= 2 * count:
        pairs = own[np.stack(np.triu_indices(len(own), 1), axis=1)]
    else:
        pairs = np.unique(np.sort(own[random.integers(len(own), size=(2 * count, 2))], axis=1), axis=0)
    pairs = pairs[patients[pairs[:, 0]] != patients[pairs[:, 1]]]
    chosen: Codes = pairs[np.sort(random.permutation(len(pairs))[:count])]
    return chosen


def _weighted(pairs: Codes, patients: Codes) -> FairPairs:
    first, second = pairs.T
    one, other = patients[first], patients[second]
    genuine = one == other
    weights = balanced_weights(ScoredPairs.of(np.zeros(len(first)), one, other))
    weights[~genuine] *= weights[genuine].sum() / weights[~genuine].sum()
    return FairPairs("", first, second, one, other, weights)
