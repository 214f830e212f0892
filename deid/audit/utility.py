"""Utility: what the images are still good for, measured on the same images as the attacks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from deid.audit.assessment import Section, figure, not_assessed
from deid.audit.controls import psnr
from deid.audit.pairing import LEAST_PATIENTS, numbers
from deid.audit.pictures import AuditImages, Pictures
from deid.audit.search import Codes
from deid.networks.classifier import Classifier
from deid.networks.similarity import structural_similarity
from deid.reid.metrics import percentile_interval
from deid.reid.ranking import patient_mean
from deid.reid.roc import Curve

Floats = NDArray[np.float64]

LEAST_POSITIVES = 30
_AT_ONCE, _REPLICATES_AT_ONCE = 64, 50
_SAME = 1e-6


def utility(
    images: AuditImages, classifier: Classifier | None, replicates: int = 1000, seed: int = 0
) -> Section:
    """The section "utility" of `audit.json`.

    Args:
        images: Both sides.
        classifier: Reads findings; None leaves it out.
        replicates: Of the bootstrap over patients.
        seed: Of the bootstrap.
    """
    if images.originals is None:
        return not_assessed("there are no originals to compare with")
    if len(set(images.patients)) < LEAST_PATIENTS:
        return not_assessed(f"fewer than {LEAST_PATIENTS} patients")
    patients = np.array(images.patients)
    return {
        "status": "assessed",
        "reason": "",
        "classifier": not_assessed("no classifier was given")
        if classifier is None
        else kept(
            images,
            classifier.findings,
            logits(classifier, images.originals),
            logits(classifier, images.scrubbed),
            replicates,
            seed,
        ),
        "psnr": figure(patient_mean(psnr(images.originals, images.scrubbed), patients, replicates, seed)),
        "ssim": figure(patient_mean(ssim(images.originals, images.scrubbed), patients, replicates, seed)),
        "pixels_unchanged": round(_unchanged(images.originals, images.scrubbed), 6),
    }


def _unchanged(one: Pictures, other: Pictures) -> float:
    """Share of pixels that are the same on both sides."""
    parts = (slice(at, at + _AT_ONCE) for at in range(0, len(one), _AT_ONCE))
    same = sum(int((np.abs(one[part] - other[part]) <= _SAME).sum()) for part in parts)
    return same / one.size


def kept(
    images: AuditImages, findings: Sequence[str], before: Floats, after: Floats, replicates: int, seed: int
) -> Section:
    """What a classifier tells before and after: by labels where there are any, else by agreement.

    Args:
        images: Whose patients, labels and findings.
        findings: What the classifier reads, one name a column.
        before: Its logits of the originals, `[image, finding]`.
        after: Likewise of the scrubbed images.
        replicates: Of the bootstrap over patients.
        seed: Of the bootstrap.
    """
    patients = numbers(images.patients)
    drawn = _drawn(int(patients.max()) + 1, replicates, seed)
    places = {name: place for place, name in enumerate(findings)}
    known = [
        (name, images.labels[:, column], places[name])
        for column, name in enumerate(images.findings)
        if images.labels is not None and name in places
    ]
    cells = [
        _Cell(name, labels, before[:, place], after[:, place], patients, drawn)
        for name, labels, place in known
        if _measurable(labels, patients)
    ]
    if not cells:
        return _agreement(before, after, patients, drawn)
    ahead, behind = (np.mean([getattr(cell, side) for cell in cells], axis=0) for side in ("before", "after"))
    return {
        "status": "assessed",
        "basis": "labels",
        "retained": _interval(behind / ahead),
        "findings": {cell.name: cell.section() for cell in cells},
    }


class _Cell:
    """One finding: AUC before and after, the first value of all images, the others of drawn patients."""

    def __init__(
        self,
        name: str,
        labels: NDArray[np.int8],
        before: Floats,
        after: Floats,
        patients: Codes,
        drawn: Floats,
    ) -> None:
        self.name = name
        known = np.flatnonzero(labels >= 0)
        self.positives, self.images = int((labels == 1).sum()), len(known)
        # Each patient counts once, however many images show her.
        once = 1 / np.bincount(patients[known], minlength=drawn.shape[1])[patients[known]]
        self.before, self.after = (
            _areas(side[known], labels[known] == 1, drawn[:, patients[known]] * once)
            for side in (before, after)
        )

    def section(self) -> Section:
        return {
            "before": _interval(self.before),
            "after": _interval(self.after),
            "difference": _interval(self.after - self.before),
            "positives": self.positives,
            "images": self.images,
        }


def _agreement(before: Floats, after: Floats, patients: Codes, drawn: Floats) -> Section:
    """Where nobody knows the findings: the correlation of the classifier's logits, mean over findings."""
    once = 1 / np.bincount(patients)[patients]
    values = np.mean(
        [
            [_correlation(one, other, weights[patients] * once) for weights in drawn]
            for one, other in zip(before.T, after.T, strict=True)
        ],
        axis=0,
    )
    return {
        "status": "assessed",
        "basis": "agreement of the classifier with itself",
        "retained": _interval(np.clip(values, 0, 1)),
        "findings": {},
    }


def _correlation(one: Floats, other: Floats, weights: Floats) -> float:
    total = weights.sum()
    first, second = (side - (side * weights).sum() / total for side in (one, other))
    spread = np.sqrt((weights * first**2).sum() * (weights * second**2).sum())
    return float((weights * first * second).sum() / spread) if spread > 0 else 0.0


def _measurable(labels: NDArray[np.int8], patients: Codes) -> bool:
    """Whether there are thirty with and thirty without the finding, of five patients each."""
    return all(
        (labels == state).sum() >= LEAST_POSITIVES
        and len(np.unique(patients[labels == state])) >= LEAST_PATIENTS
        for state in (0, 1)
    )


def _drawn(patients: int, replicates: int, seed: int) -> Floats:
    """How often each patient counts, `[1 + replicate, patient]`; first each once."""
    random = np.random.default_rng(seed)
    draws = random.multinomial(patients, np.full(patients, 1 / patients), replicates)
    return np.concatenate([np.ones((1, patients)), draws])


def _areas(scores: Floats, present: NDArray[np.bool_], weights: Floats) -> Floats:
    curve = Curve(scores, present)
    return np.concatenate(
        [
            curve.auc(weights[at : at + _REPLICATES_AT_ONCE][:, curve.order])
            for at in range(0, len(weights), _REPLICATES_AT_ONCE)
        ]
    )


def _interval(values: Floats) -> Section | None:
    return figure(percentile_interval(float(values[0]), values[1:], 0.95))


def logits(classifier: Classifier, pictures: Pictures) -> Floats:
    """What a classifier says of pictures `[image, row, column]`, before the sigmoid, `[image, finding]`."""
    classifier.eval()
    with torch.inference_mode():
        parts = [
            classifier(torch.from_numpy(np.ascontiguousarray(pictures[at : at + _AT_ONCE]))[:, None]).logits
            for at in range(0, len(pictures), _AT_ONCE)
        ]
    return torch.cat(parts).double().numpy()


def ssim(one: Pictures, other: Pictures) -> Floats:
    """SSIM of each image, `[image]`."""
    parts = []
    for at in range(0, len(one), _AT_ONCE):
        sides = (np.ascontiguousarray(side[at : at + _AT_ONCE])[:, None] for side in (one, other))
        parts.append(structural_similarity(*map(torch.from_numpy, sides)))
    return torch.cat(parts).numpy().astype(np.float64)
