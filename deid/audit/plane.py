"""The privacy-utility plane: the originals scrubbed again at several strengths, and what both sides get.

A point is one strength: across, what the strongest attacker at hand reaches; up, what the pictures are still
good for. Nobody is trained here, so every point is a lower bound of what an attacker could reach.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import torch
from torch import nn

from deid.audit.assessment import Section, auc, figure, not_assessed
from deid.audit.attackers import Templates, embedding
from deid.audit.controls import psnr
from deid.audit.pairing import enough, numbers, study_pairs
from deid.audit.pictures import AuditImages, Pictures
from deid.audit.reid import ReidOptions
from deid.audit.utility import Floats, kept, logits, ssim
from deid.audit.verdict import strongest
from deid.networks.anonymizer import Anonymizer
from deid.networks.classifier import Classifier
from deid.reid.pairs import FairPairs, both_ways
from deid.reid.ranking import patient_mean

NO_ANONYMIZER = "there is no anonymizer to scrub the originals again with"
NO_STRENGTH = "nothing says at which strength the release was made"
SIMILARITY = "structural similarity"

_AT_ONCE, _NOISE = 32, 505
_LEAST_CHANGE = 1e-3  # of a range of 1: what rounding does is no change


@dataclass(frozen=True)
class PlaneOptions:
    """How thoroughly to measure.

    Attributes:
        reid: Pairs, replicates and seed.
        images: Scrubbed again at most, patients with several studies first.
        strengths: 0..1, rising; the release's own comes with them.
        replicates: Of the bootstrap of what is retained.
    """

    reid: ReidOptions = field(default_factory=ReidOptions)
    images: int = 400
    strengths: tuple[float, ...] = (0.0, 1 / 3, 2 / 3, 1.0)
    replicates: int = 400

    @classmethod
    def of(cls, effort: Literal["quick", "full"], seed: int = 0) -> PlaneOptions:
        """What an effort stands for."""
        options = ReidOptions.of(effort, seed)
        return cls(options) if effort == "quick" else cls(options, 2_000, replicates=1000)


def plane(
    images: AuditImages,
    anonymizer: Anonymizer | None,
    strength: float | None,
    recognisers: Mapping[str, nn.Module],
    classifier: Classifier | None,
    options: PlaneOptions | None = None,
    missing: str = NO_ANONYMIZER,
) -> Section:
    """The section "plane" of `audit.json`.

    Only pictures that the release changed are scrubbed again, if there are any: those are what the anonymizer
    is for. They are the pictures of the audit, not the files, so that figures at the release's own strength
    differ a little from those of the release.

    Args:
        images: Both sides.
        anonymizer: What made the release; None if it is not known or not here.
        strength: At which the release was made, 0..1; None where nothing says it.
        recognisers: Networks with `embed` that need no training, by name.
        classifier: Reads findings; None for structural similarity in its place.
        options: How thoroughly.
        missing: Why there is no anonymizer.
    """
    options = options or PlaneOptions()
    if images.originals is None:
        return not_assessed("there are no originals to scrub again")
    if anonymizer is None:
        return not_assessed(missing)
    if not recognisers:
        return not_assessed("there is no network that recognises patients in such images")
    sample = _changed(images).at_most(options.images, options.reid.seed)
    listed = study_pairs(
        numbers(sample.patients),
        numbers(sample.studies),
        numbers(sample.sources),
        options.reid.impostors,
        options.reid.seed,
    )
    if listed is None or enough(listed):
        return not_assessed(enough(listed))
    survey = _Survey.begin(sample, both_ways(listed), recognisers, classifier, options)
    own = () if strength is None else (strength,)
    strengths = {strength_name(each): each for each in sorted((*options.strengths, *own))}
    points = {name: survey.point(anonymizer, each) for name, each in strengths.items()}
    release = not_assessed(NO_STRENGTH) if strength is None else dict(points[strength_name(strength)])
    return {
        "status": "assessed",
        "reason": "",
        "basis": survey.basis,
        "images": len(sample),
        "patients": listed.patients,
        "genuine": int(listed.genuine.sum()),
        "impostors": int((~listed.genuine).sum()),
        "strengths": points,
        "release": release,
    }


def strength_name(strength: float) -> str:
    """A strength as it is written in the result, such as "0.33" or "1"."""
    return f"{strength:.2f}".rstrip("0").rstrip(".")


def scrubbed_again(anonymizer: Anonymizer, originals: Pictures, strength: float, seed: int) -> Pictures:
    """Originals through the anonymizer, with noise of the audit's own: the project's key is not needed.

    Args:
        anonymizer: In evaluation mode.
        originals: `[image, row, column]` in 0..1.
        strength: 0..1; at 0 nothing changes.
        seed: Of the noise, which is the same at every strength.
    """
    if not strength:
        return originals
    generator = torch.Generator().manual_seed(seed)
    parts = []
    with torch.inference_mode():
        for at in range(0, len(originals), _AT_ONCE):
            some = torch.from_numpy(np.ascontiguousarray(originals[at : at + _AT_ONCE]))[:, None]
            noise = anonymizer.draw_noise(len(some), generator)
            made = anonymizer(some, torch.full((len(some),), strength), noise)
            parts.append(made[:, 0].clamp(0, 1).numpy())
    scrubbed: Pictures = np.concatenate(parts)
    return scrubbed


@dataclass(frozen=True, eq=False)
class _Survey:
    """What stays the same at every strength.

    Attributes:
        sample: The pictures.
        pairs: Each both ways.
        recognisers: By name.
        known: Templates of the originals, by recogniser.
        classifier: Reads findings.
        before: Its logits of the originals, `[image, finding]`; None without it.
        options: How thoroughly.
    """

    sample: AuditImages
    pairs: FairPairs
    recognisers: Mapping[str, nn.Module]
    known: Mapping[str, Templates]
    classifier: Classifier | None
    before: Floats | None
    options: PlaneOptions

    @classmethod
    def begin(
        cls,
        sample: AuditImages,
        pairs: FairPairs,
        recognisers: Mapping[str, nn.Module],
        classifier: Classifier | None,
        options: PlaneOptions,
    ) -> _Survey:
        """Read the originals once."""
        assert sample.originals is not None
        known = {name: embedding(network)(sample.originals) for name, network in recognisers.items()}
        before = None if classifier is None else logits(classifier, sample.originals)
        return cls(sample, pairs, recognisers, known, classifier, before, options)

    @property
    def basis(self) -> str:
        """What stands for utility."""
        if self.classifier is None or self.before is None:
            return SIMILARITY
        return str(kept(self.sample, self.classifier.findings, self.before, self.before, 2, 0)["basis"])

    def point(self, anonymizer: Anonymizer, strength: float) -> Section:
        """All figures of one strength."""
        seed = self.options.reid.seed
        assert self.sample.originals is not None
        scrubbed = scrubbed_again(anonymizer.eval(), self.sample.originals, strength, seed + _NOISE)
        reached = {name: self._reached(name, scrubbed) for name in self.recognisers}
        best = strongest([{"attacker": name, "auc": found} for name, found in reached.items()])
        return {
            "status": "assessed",
            "strength": round(float(strength), 6),
            "attacker": best["attacker"] if best else "",
            "auc": best["auc"] if best else None,
            "attackers": reached,
            **self._retained(replace(self.sample, scrubbed=scrubbed)),
        }

    def _reached(self, name: str, scrubbed: Pictures) -> Section | None:
        """AUC of one recogniser, original to the scrubbed image of another study."""
        found = embedding(self.recognisers[name])(scrubbed)
        pairs, options = self.pairs, self.options.reid
        scores = self.known[name].scores(found, pairs.first, pairs.second)
        return auc(pairs, scores, options.replicates, options.seed)

    def _retained(self, images: AuditImages) -> Section:
        """What the pictures are still good for."""
        assert images.originals is not None
        patients, replicates = np.array(images.patients), self.options.replicates
        seed = self.options.reid.seed
        alike = {
            name: figure(patient_mean(measure(images.originals, images.scrubbed), patients, replicates, seed))
            for name, measure in (("psnr", psnr), ("ssim", ssim))
        }
        if self.classifier is None or self.before is None:
            return {"retained": alike["ssim"], "findings": {}, **alike}
        after = logits(self.classifier, images.scrubbed)
        read = kept(images, self.classifier.findings, self.before, after, replicates, seed)
        return {"retained": read["retained"], "findings": read["findings"], **alike}


def _changed(images: AuditImages) -> AuditImages:
    """The pictures that the release changed; all if it changed none."""
    assert images.originals is not None
    sides = zip(images.originals, images.scrubbed, strict=True)
    places = [i for i, (one, other) in enumerate(sides) if np.abs(one - other).max() > _LEAST_CHANGE]
    return images.subset(places) if places else images
