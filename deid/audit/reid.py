"""Re-identification: is the person of a scrubbed image found in another study of hers?

Only pairs of different studies count. Every attacker meets three geometries: original to original, which is
its ceiling; original to scrubbed, the headline; and scrubbed to scrubbed, what joins a release in itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import nn

from deid.audit.annex import Annex
from deid.audit.assessment import Answers, Section, assess, auc, not_assessed, standard_error
from deid.audit.attackers import PAIR_BY_PAIR, TRAINING_FREE, Attacker, Kind, Templates, embedding, folded
from deid.audit.controls import random_change
from deid.audit.pairing import enough, gallery_of_patients, numbers, study_pairs
from deid.audit.pictures import AuditImages, Pictures
from deid.audit.search import Codes, OwnImages, search
from deid.audit.verdict import LINKABLE, NOT_ASSESSED, Evidence, judge, strongest, words
from deid.core.errors import UsageError
from deid.reid.pairs import FairPairs, both_ways
from deid.reid.ranking import Ranks

Geometry = Literal["original_original", "original_scrubbed", "scrubbed_scrubbed"]
GEOMETRIES: tuple[Geometry, ...] = ("original_original", "original_scrubbed", "scrubbed_scrubbed")

JOINED = "an original does not find the person, but scrubbed studies of a person find each other"

_LEAST_GALLERY = 10


class TrainAttacker(Protocol):
    """Trains an attacker on a part of the user's own images, original to scrubbed."""

    def __call__(
        self,
        originals: Pictures,
        scrubbed: Pictures,
        patients: tuple[str, ...],
        studies: tuple[str, ...],
        sources: tuple[str, ...],
        seed: int,
    ) -> nn.Module:
        """An `Embedder` in eval mode.

        Args:
            originals: `[image, row, column]` in 0..1.
            scrubbed: The same images scrubbed.
            patients: Of each image.
            studies: Likewise.
            sources: Likewise.
            seed: Of the training.
        """


@dataclass(frozen=True)
class ReidOptions:
    """How thoroughly to attack.

    Attributes:
        seed: Of everything that is drawn.
        most_images: Images used at most, patients with several studies first.
        impostors: Impostor pairs at most in a geometry.
        compared: Patients of a gallery, and queries, at most, where comparisons go pair by pair.
        replicates: Of the bootstrap over patients.
        adaptive_patients: Patients with several studies from which on an attacker is trained.
        folds: Parts of the patients; an attacker meets the part that it was not trained on.
        restarts: Trainings of each fold.
    """

    seed: int = 0
    most_images: int = 2_000
    impostors: int = 20_000
    compared: int = 200
    replicates: int = 400
    adaptive_patients: int = 100
    folds: int = 2
    restarts: int = 2

    @classmethod
    def of(cls, effort: Literal["quick", "full"], seed: int = 0) -> ReidOptions:
        """What an effort stands for."""
        if effort == "quick":
            return cls(seed)
        most = {"most_images": 20_000, "impostors": 200_000, "compared": 1000}
        return cls(seed, **most, replicates=1000, folds=5, restarts=3)


@dataclass(frozen=True, eq=False)
class Bout:
    """One attacker against all pictures of one audit.

    Attributes:
        attacker: Who.
        pairs: That it must tell, each once; None where there are too few.
        groups: Images of two groups are never compared, `[image]`.
        sides: Its templates, by side: "original" where there are originals, and "scrubbed".
    """

    attacker: Attacker
    pairs: FairPairs | None
    groups: Codes
    sides: Mapping[str, Templates]

    @classmethod
    def begin(cls, attacker: Attacker, images: AuditImages, options: ReidOptions) -> Bout:
        """Make pairs and templates."""
        groups = numbers(images.sources)
        if attacker.folds is not None:
            groups = groups * (int(attacker.folds.max()) + 1) + attacker.folds
        people = numbers(images.patients), numbers(images.studies)
        pairs = study_pairs(*people, groups, options.impostors, options.seed)
        given = {"original": images.originals, "scrubbed": images.scrubbed}
        sides = {name: attacker.templates(some) for name, some in given.items() if some is not None}
        return cls(attacker, pairs, groups, sides)

    def listed(self, geometry: Geometry) -> FairPairs | None:
        """The pairs of a geometry: across two sides each pair stands twice."""
        crossed = geometry == "original_scrubbed" and self.pairs is not None
        return both_ways(self.pairs) if crossed and self.pairs is not None else self.pairs

    def scores(self, pairs: FairPairs, geometry: Geometry) -> NDArray[np.float64]:
        """Scores `[pair]`; those of each fold's network have mean 0 and deviation 1, so that they compare."""
        first, second = (self.sides[side] for side in geometry.split("_"))
        scores = first.scores(second, pairs.first, pairs.second).astype(np.float64)
        if self.attacker.folds is not None:
            folds = self.attacker.folds[pairs.first]
            for fold in np.unique(folds):
                own = scores[folds == fold]
                scores[folds == fold] = (own - own.mean()) / max(float(own.std()), 1e-9)
        return scores

    def figures(self, images: AuditImages, geometry: Geometry, options: ReidOptions) -> Section:
        """All figures of a geometry."""
        pairs = self.listed(geometry)
        if pairs is None or enough(pairs):
            return not_assessed(enough(pairs))
        scores = self.scores(pairs, geometry)
        answers = self._answers(images, geometry, options, turned=pairs.auc(scores) < 0.5)
        return assess(self.attacker.name, pairs, scores, answers, options.replicates, options.seed)

    def _answers(
        self, images: AuditImages, geometry: Geometry, options: ReidOptions, *, turned: bool
    ) -> Answers | None:
        """Searches in galleries of one image a patient, by those patients' other studies.

        Galleries of fewer than ten patients, or a quarter of the largest, are left out: ranks are stated for
        the smallest. Where strangers score higher, the search is turned round as the scores are.
        """
        first, second = (self.sides[side] for side in geometry.split("_"))
        patients, studies = numbers(images.patients), numbers(images.studies)
        parts: list[tuple[Ranks, NDArray[np.float64]]] = []
        sizes = {group: len(np.unique(patients[self.groups == group])) for group in np.unique(self.groups)}
        least = max(_LEAST_GALLERY, max(sizes.values()) // 4)
        for group in (group for group, size in sizes.items() if size >= least):
            own = np.flatnonzero(self.groups == group)
            pairwise = self.attacker.name in PAIR_BY_PAIR
            most = max(2 * _LEAST_GALLERY, options.compared * len(own) // len(images)) if pairwise else None
            queries, gallery = gallery_of_patients(own, patients, most, options.seed)
            known = OwnImages.of(patients[queries], patients[gallery], studies[queries], studies[gallery])
            probe, held = first.searchable(second, queries, gallery)
            found = search(-probe if turned else probe, held, known)
            if len(found.queries):
                whose = patients[queries][found.queries]
                ranks = Ranks(whose, found.higher, found.tied, found.others)
                parts.append((ranks, found.average_precision))
        return Answers.joined(parts) if parts else None

    def shuffled(self, images: AuditImages, geometry: Geometry, options: ReidOptions) -> Section | None:
        """The AUC where patients' labels are dealt out anew among the images of each group."""
        random = np.random.default_rng(options.seed + 1)
        patients = numbers(images.patients)
        for group in np.unique(self.groups):
            own = np.flatnonzero(self.groups == group)
            patients[own] = random.permutation(patients[own])
        every = np.arange(len(patients))
        pairs = study_pairs(patients, every, self.groups, options.impostors, options.seed)
        dealt = replace(self, pairs=pairs).listed(geometry)
        if dealt is None or enough(dealt):
            return None
        return auc(dealt, self.scores(dealt, geometry), options.replicates, options.seed)


@dataclass(eq=False)
class _Findings:
    """What all attackers found, while they are at it."""

    images: AuditImages
    options: ReidOptions
    geometries: tuple[Geometry, ...]
    annex: Annex | None = None
    sections: dict[str, dict[Geometry, Section]] = field(default_factory=dict)
    bouts: dict[str, Bout] = field(default_factory=dict)
    tried: int = 0

    def add(self, attacker: Attacker) -> dict[Geometry, Section]:
        """Let an attacker loose on every geometry."""
        bout = Bout.begin(attacker, self.images, self.options)
        found = {name: bout.figures(self.images, name, self.options) for name in self.geometries}
        self.sections[attacker.name], self.bouts[attacker.name] = found, bout
        self.tried += 1
        self._note(bout)
        return found

    @property
    def headline(self) -> Geometry:
        """Original to scrubbed, or what there is."""
        return self.geometries[min(1, len(self.geometries) - 1)]

    def _note(self, bout: Bout) -> None:
        """The genuine pairs that look most alike to an attacker, for the private annex."""
        pairs = bout.listed(self.headline)
        if self.annex is None or pairs is None or not self.images.refs:
            return
        own = np.flatnonzero(pairs.genuine)
        scores = bout.scores(pairs, self.headline)
        if pairs.auc(scores) < 0.5:
            scores = -scores
        first, second = pairs.first[own], pairs.second[own]
        self.annex.note_pairs(bout.attacker.name, self.images.refs, first, second, scores[own])

    def best(self, geometry: Geometry, kind: Kind | None = None) -> Section:
        """The strongest of a kind, or of all."""
        if geometry not in self.geometries:
            return not_assessed("there are no originals to compare with")
        chosen = [
            found[geometry]
            for name, found in self.sections.items()
            if kind is None or self.bouts[name].attacker.kind == kind
        ]
        found = strongest(chosen)
        if found is None:
            return not_assessed(chosen[0]["reason"] if chosen else "no attacker of this kind")
        return found


def reid(
    images: AuditImages,
    attackers: Mapping[str, nn.Module],
    adaptive: Mapping[str, TrainAttacker] | None,
    options: ReidOptions | None = None,
    shipped: Mapping[str, nn.Module] | None = None,
    annex: Annex | None = None,
) -> Section:
    """The section "reid" of `audit.json`.

    Args:
        images: Both sides, or the scrubbed alone.
        attackers: Frozen networks with `embed`, by name.
        adaptive: Train attackers on the user's own pairs, by name; None leaves them out.
        options: How thoroughly.
        shipped: Networks that were trained on what the anonymizer makes, by name; applied as they are, they
            count as adaptive.
        annex: Receives the most alike pairs.
    """
    options = options or ReidOptions()
    images = images.at_most(options.most_images, options.seed)
    geometries = GEOMETRIES if images.originals is not None else GEOMETRIES[2:]
    findings = _Findings(images, options, geometries, annex)
    whole = study_pairs(
        numbers(images.patients), numbers(images.studies), numbers(images.sources), options.impostors
    )
    if reason := enough(whole):
        return not_assessed(reason) | {"verdict": NOT_ASSESSED, "words": NOT_ASSESSED}
    for attacker in _ready(attackers, shipped or {}):
        findings.add(attacker)
    untrained = _train(findings, adaptive)
    return _section(findings, untrained)


def _ready(frozen: Mapping[str, nn.Module], shipped: Mapping[str, nn.Module]) -> list[Attacker]:
    """Attackers that need no training."""
    found = [Attacker(name, "training_free", templates) for name, templates in TRAINING_FREE.items()]
    found += [Attacker(name, "frozen", embedding(network)) for name, network in frozen.items()]
    return found + [Attacker(name, "adaptive", embedding(network)) for name, network in shipped.items()]


def _train(findings: _Findings, adaptive: Mapping[str, TrainAttacker] | None) -> str:
    """Train each kind on the user's pairs. Returns why it was not done."""
    images, options = findings.images, findings.options
    several = len(images.recurring())
    if images.originals is None:
        return "there are no originals to train an attacker with"
    if not adaptive:
        return "no attacker was trained on these images"
    if several < options.adaptive_patients:
        return f"fewer than {options.adaptive_patients} patients with several studies to train an attacker on"
    known, refused = False, "the folds of the patients are too small"
    for name, trainer in adaptive.items():
        try:
            known |= _restarted(findings, name, trainer)
        except UsageError as error:  # the others have still found what they found
            refused = str(error)
    return "" if known else refused


def _restarted(findings: _Findings, name: str, trainer: TrainAttacker) -> bool:
    """Train one kind several times; the strongest stays. Returns whether any could be assessed."""
    images, options, runs = findings.images, findings.options, []
    for restart in range(options.restarts):
        found = findings.add(_trained(images, name, trainer, options, restart))
        runs.append((found, findings.bouts.pop(name), findings.sections.pop(name)))
    known = [run for run in runs if run[0]["original_scrubbed"].get("auc")]
    if not known:
        return False
    values = [run[0]["original_scrubbed"]["auc"]["value"] for run in known]
    best = known[int(np.argmax(values))]
    best[0]["original_scrubbed"]["restarts"] = {
        "mean": round(float(np.mean(values)), 6), "maximum": max(values), "count": len(values)
    }  # fmt: skip
    findings.sections[name], findings.bouts[name] = best[0], best[1]
    return True


def _trained(
    images: AuditImages, name: str, trainer: TrainAttacker, options: ReidOptions, restart: int
) -> Attacker:
    """An attacker of one network a fold, each trained on the patients of the other folds."""
    assert images.originals is not None
    patients = numbers(images.patients)
    count = int(patients.max()) + 1
    seed = options.seed + 1000 * (restart + 1)
    fold_of_patient = np.random.default_rng(seed).permutation(count) % options.folds
    folds = fold_of_patient[patients]
    networks = []
    for fold in range(options.folds):
        part = images.subset(np.flatnonzero(folds != fold))
        assert part.originals is not None
        networks.append(
            trainer(
                part.originals, part.scrubbed, part.patients, part.studies, part.sources, seed=seed + fold
            )
        )
    return Attacker(name, "adaptive", folded(networks, folds), folds)


def _section(findings: _Findings, untrained: str) -> Section:
    images, options = findings.images, findings.options
    headline = findings.headline
    ceiling, best = findings.best("original_original"), findings.best(headline)
    shuffled = findings.bouts[best["attacker"]].shuffled(images, headline, options)
    chance_error = standard_error(shuffled) if shuffled else float("inf")
    attacks = [found[headline] for found in findings.sections.values()]
    adaptive = findings.best(headline, "adaptive")
    if untrained and not adaptive.get("auc"):
        adaptive = not_assessed(untrained)
    evidence = Evidence(attacks, findings.tried, ceiling, chance_error, bool(adaptive.get("auc")))
    verdict, reason = judge(evidence)
    if verdict != LINKABLE and images.originals is None:
        reason = "there are no originals for a ceiling"
    elif verdict != LINKABLE and _is_joined(findings, chance_error):
        verdict, reason = LINKABLE, JOINED
    return {
        "status": "assessed",
        "reason": reason,
        "verdict": verdict,
        "words": words(verdict, attacks),
        "ceiling": ceiling,
        "frozen": findings.best(headline, "frozen") if images.originals is not None else _alone(),
        "training_free": findings.best(headline, "training_free")
        if images.originals is not None
        else _alone(),
        "adaptive": adaptive,
        "scrubbed_scrubbed": findings.best("scrubbed_scrubbed"),
        "attackers": {name: dict(found) for name, found in findings.sections.items()},
        "controls": {"shuffled_labels": shuffled, "random_change": _random_change(findings, ceiling)},
        "power": {
            "smallest_difference": round(evidence.smallest_difference, 6) if shuffled else None,
        },
    }


def _is_joined(findings: _Findings, chance_error: float) -> bool:
    """Whether the scrubbed studies of a person find each other, which joins releases without any original."""
    joined = [found["scrubbed_scrubbed"] for found in findings.sections.values()]
    return Evidence(joined, 2 * findings.tried, {}, chance_error).is_linkable()


def _alone() -> Section:
    return not_assessed("there are no originals to compare with")


def _random_change(findings: _Findings, ceiling: Section) -> Section:
    """The ceiling's attacker on originals changed at random, as far as the anonymizer changes them."""
    images = findings.images
    if images.originals is None or not ceiling.get("auc"):
        return _alone()
    changed = random_change(images.originals, images.scrubbed, findings.options.seed)
    if changed is None:
        return not_assessed("the scrubbed images are the originals")
    bout = findings.bouts[ceiling["attacker"]]
    sides = dict(bout.sides) | {"scrubbed": bout.attacker.templates(changed)}
    return replace(bout, sides=sides).figures(images, "original_scrubbed", findings.options)
