"""Linkage: is a scrubbed image matched with its own original, where somebody holds both?

Whoever has the originals (the hospital, a leak, an earlier release) needs no other study of the person. The
gallery is all originals of the release, or of a part of it where comparisons go pair by pair.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from torch import nn

from deid.audit.annex import Annex, Scores
from deid.audit.assessment import Section, figure, not_assessed, standard_error
from deid.audit.attackers import (
    KEYPOINTS,
    PAIR_BY_PAIR,
    TRAINING_FREE,
    Templates,
    VectorTemplates,
    aligned_correlation,
    embedding,
)
from deid.audit.pairing import LEAST_PATIENTS, numbers
from deid.audit.pictures import AuditImages, Pictures
from deid.audit.search import Codes, OwnImages, search, shares_below
from deid.audit.verdict import LINKABLE, NO_LINK, NOT_ASSESSED, Evidence, judge, match_error, quantile
from deid.reid.ranking import Ranks, found_within, patient_mean, patient_share

COMPARED = 200
"""Images at most where comparisons go pair by pair."""

_CERTAIN = {"auc": {"value": 1.0}}  # an original is its own original: the ceiling


def linkage(
    images: AuditImages,
    critics: Mapping[str, nn.Module],
    most_images: int = 2_000,
    seed: int = 0,
    annex: Annex | None = None,
    compared: int = COMPARED,
) -> Section:
    """The section "linkage" of `audit.json`.

    The AUC is over all pairs of a scrubbed image and an original; intervals resample the patients of the
    scrubbed images, the gallery stays.

    Args:
        images: Both sides.
        critics: Networks with `embed`, by name.
        most_images: Used at most.
        seed: Of all that is drawn.
        annex: Receives the images that were found most surely.
        compared: Images at most where comparisons go pair by pair.
    """
    if images.originals is None:
        return _nothing("there are no originals to link to")
    images = images.at_most(most_images, seed)
    if len(set(images.patients)) < LEAST_PATIENTS:
        return _nothing(f"fewer than {LEAST_PATIENTS} patients")
    methods = {
        name: match(
            _part(images, name, compared, seed),
            templates,
            seed,
            partial(annex.note_links, name) if annex else None,
        )
        for name, templates in _methods(critics).items()
    }
    patients = len(set(images.patients))
    evidence = Evidence(list(methods.values()), len(methods), _CERTAIN, match_error(patients))
    verdict, reason = judge(evidence)
    if any(_finds_first(method, patients, 2 * len(methods)) for method in methods.values()):
        verdict, reason = LINKABLE, ""
    upper = max(method["auc"]["upper"] for method in methods.values())
    said = f"no link found by these attackers at N = {patients} patients, upper bound AUC {upper:.2f}"
    return {
        "status": "assessed",
        "reason": reason,
        "verdict": verdict,
        "words": {LINKABLE: LINKABLE, NO_LINK: said, NOT_ASSESSED: NOT_ASSESSED}[verdict],
        "methods": methods,
    }


def match(
    images: AuditImages,
    templates: Callable[[Pictures], Templates],
    seed: int = 0,
    note: Callable[[Sequence[str], Codes, Scores], object] | None = None,
) -> Section:
    """Rank-1 and AUC of one method.

    Args:
        images: Both sides.
        templates: The method.
        seed: Of the bootstrap.
        note: Is told which images were found first, with their scores.
    """
    assert images.originals is not None
    made, known = templates(images.scrubbed), templates(images.originals)
    itself = np.arange(len(images))
    probe, gallery = made.searchable(known, itself, itself)
    own = OwnImages.of(itself, itself)
    shares = shares_below(probe, gallery, own)
    turned = shares.mean() < 0.5
    patients = numbers(images.patients)
    found = search(-probe if turned else probe, gallery, own)  # as an attacker would with negatives
    if note is not None and images.refs:
        first = found.queries[(found.higher == 0) & (found.tied == 0)]
        note(images.refs, first, made.scores(known, first, first))
    ranks = Ranks(patients, found.higher, found.tied, found.others)
    within: Codes | np.ndarray[tuple[int], np.dtype[np.float64]] = found_within(ranks, 1, len(images))
    return {
        "rank_1": figure(patient_share(within, patients, seed=seed)),
        "auc": figure(patient_mean(1 - shares if turned else shares, patients, seed=seed)),
        "gallery": len(images),
        "chance_rank_1": round(1 / len(images), 6),
    }


def are_linked(found: Sequence[Section], patients: int, tried: int) -> bool:
    """Whether some method finds own originals better than chance explains.

    Args:
        found: Figures of :func:`match`, assessed or not.
        patients: Of the images.
        tried: Figures that are looked at together, the two of each method counted.
    """
    known = [method for method in found if method.get("auc")]
    evidence = Evidence(known, tried, _CERTAIN, match_error(patients))
    return evidence.is_linkable() or any(_finds_first(method, patients, tried) for method in known)


def _finds_first(method: Section, patients: int, tried: int) -> bool:
    """Whether more originals come first than chance explains: a few copies in a release hardly move its AUC.

    Args:
        method: Its figures.
        patients: Of the release.
        tried: Figures that are looked at together.
    """
    first, chance = method["rank_1"], method["chance_rank_1"]
    guessing = (chance * (1 - chance) / min(patients, method["gallery"])) ** 0.5
    return bool(first["value"] - chance > quantile(tried) * max(guessing, standard_error(first)))


def matches(images: AuditImages, critics: Mapping[str, nn.Module], seed: int = 0) -> list[Section]:
    """What each method finds of images that were changed again."""
    return [
        match(_part(images, name, COMPARED, seed), templates, seed)
        for name, templates in _methods(critics).items()
    ]


def _part(images: AuditImages, method: str, compared: int, seed: int) -> AuditImages:
    """The images that a method is tried on: of as many patients as can be, where they are fewer than all."""
    if method not in PAIR_BY_PAIR or len(images) <= compared:
        return images
    order = np.random.default_rng(seed).permutation(len(images))
    patients = numbers(images.patients)[order]
    by_patient = np.argsort(patients, kind="stable")
    starts = np.searchsorted(patients[by_patient], patients[by_patient])
    place = np.empty(len(images), np.intp)
    place[by_patient] = np.arange(len(images)) - starts  # of an image among those of its patient
    return images.subset(np.sort(order[np.argsort(place, kind="stable")[:compared]]))


def _methods(critics: Mapping[str, nn.Module]) -> dict[str, Callable[[Pictures], Templates]]:
    methods: dict[str, Callable[[Pictures], Templates]] = {
        "perceptual_hash": TRAINING_FREE["perceptual_hash"],
        "pixels": _unshifted,
        KEYPOINTS: TRAINING_FREE[KEYPOINTS],
    }
    return methods | {f"embedding {name}": embedding(network) for name, network in critics.items()}


def _unshifted(pictures: Pictures) -> VectorTemplates:
    """Pixels without the search over shifts: a scrubbed image lies where its original lies."""
    probe = aligned_correlation(pictures).probe
    return VectorTemplates(probe, probe[None])


def _nothing(reason: str) -> Section:
    return not_assessed(reason) | {"verdict": NOT_ASSESSED, "words": NOT_ASSESSED}
