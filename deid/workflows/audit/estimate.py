"""How long an audit will take, and how much it may do so that it ends in time: arithmetic, no measurement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace

from deid.workflows.audit.options import Attack

QUICK_SECONDS = 15 * 60.0
"""What ``--effort quick`` may take, on the machine at hand."""

_BACKWARD = 3  # a step with gradients costs about three passes forward
_LESS = 0.8
_LEAST = {"undone": 40, "undo_steps": 15, "restorer_steps": 50, "epochs": 2, "rescrubbed": 150, "images": 100}
_SHOWN = {
    "images": "images and volumes read",
    "undone": "images undone",
    "undo_steps": "steps of undoing",
    "epochs": "epochs of the attacker",
    "restorer_steps": "steps of the restorer",
    "rescrubbed": "images scrubbed again",
}
_MINUTE = 60
_PAIRED, _ALONE = 4, 1
"""Sets of pairs of an attacker: originals, both ways across the sides, scrubbed; or scrubbed alone."""
_RESTORED = 3
"""Originals, and across the sides both ways."""
_SHUFFLED = 2
_UNTRAINED = 3
"""Attackers without a network."""


@dataclass(frozen=True)
class Plan:
    """How much an audit does.

    Attributes:
        images: Images and volumes read at most.
        undone: Pictures that inversion undoes.
        undo_steps: Of the iteration and of the descent.
        restorer_steps: Of the restorer's training.
        epochs: Of the attacker's training.
        trainings: Of attackers: folds times restarts times kinds.
        strengths: That inversion tries.
        replicates: Of each bootstrap.
        steps: Of an epoch.
        batch: Pictures in a step of the attacker's training.
        rescrubbed: Pictures that are scrubbed again for the plane.
        points: Strengths of the plane.
        impostors: Impostor pairs at most in a geometry.
        trained: Trained attackers that are measured: restarts times kinds.
        compared: Pictures each of which is compared with each, where that goes pair by pair.
    """

    images: int
    undone: int
    undo_steps: int
    restorer_steps: int
    epochs: int
    trainings: int
    strengths: int
    replicates: int
    steps: int
    batch: int
    rescrubbed: int
    points: int
    impostors: int
    trained: int
    compared: int

    def shown(self) -> dict[str, int]:
        """What the manifest says of it."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name in _SHOWN}


@dataclass(frozen=True)
class Costs:
    """Seconds of one unit of work, timed on the machine at hand.

    Attributes:
        header: A file in the header attack.
        reading: An image or volume, all its sides.
        recognition: A picture through all recognisers.
        anonymizer: A picture through the anonymizer; 0 where there is none to undo.
        classifier: A picture through the classifier.
        attacker: A picture through an attacker that is being trained.
        restorer: A picture through the restorer.
        comparing: A pair in one replicate of the intervals of an attacker's figures.
        keypoints: Finding the keypoints of a picture.
        matching: A pair of pictures by their keypoints.
    """

    header: float = 0.0
    reading: float = 0.0
    recognition: float = 0.0
    anonymizer: float = 0.0
    classifier: float = 0.0
    attacker: float = 0.0
    restorer: float = 0.0
    comparing: float = 0.0
    keypoints: float = 0.0
    matching: float = 0.0


@dataclass(frozen=True)
class Workload:
    """What there is to do.

    Attributes:
        files: In the header attack.
        items: Images and volumes.
        pictures: Of one image or volume, on average.
        sides: 2 where the originals are known, else 1.
        recognisers: Networks that recognise patients.
        trains: There are enough patients to train attackers on.
        wanted: Attacks that run.
    """

    files: int
    items: int
    pictures: float
    sides: int
    recognisers: int
    trains: bool
    wanted: frozenset[Attack]

    def seconds(self, plan: Plan, costs: Costs) -> dict[str, float]:
        """Seconds by phase."""
        items = min(self.items, plan.images)
        pictures = items * self.pictures
        found = {
            Attack.HEADER: self.files * costs.header,
            Attack.REID: self._reid(plan, costs, pictures),
            Attack.LINKAGE: self._linkage(plan, costs, pictures),
            Attack.INVERSION: self._inversion(plan, costs, pictures) if self.sides > 1 else 0.0,
            Attack.UTILITY: 2 * pictures * costs.classifier,
            Attack.PLANE: self._plane(plan, costs, pictures) if self.sides > 1 else 0.0,
        }
        chosen = {str(attack): cost for attack, cost in found.items() if attack in self.wanted}
        if self.wanted - {Attack.HEADER}:
            chosen["images"] = items * costs.reading
        return chosen

    def _reid(self, plan: Plan, costs: Costs, pictures: float) -> float:
        """Templates of both sides and of the random change; comparisons; attackers trained on the pairs."""
        trainings = plan.trainings if self.trains and self.sides > 1 else 0
        attackers = _UNTRAINED + self.recognisers + (plan.trained if trainings else 0)
        # The strongest attacker meets shuffled labels as well and, beside originals, a random change.
        sets = attackers * _PAIRED + 2 * _SHUFFLED if self.sides > 1 else attackers * _ALONE + 1
        training = plan.epochs * (plan.steps * plan.batch * _BACKWARD + pictures / 5) * costs.attacker
        return (
            (self.sides + 1) * pictures * costs.recognition
            + trainings * (training + self.sides * pictures * costs.attacker)
            + sets * _intervals(plan, costs, pictures)
            + self._matching(plan, costs, pictures, self.sides)
        )

    def _linkage(self, plan: Plan, costs: Costs, pictures: float) -> float:
        """Products of all pairs, and keypoints of some."""
        some = min(plan.compared, pictures)
        products = (_UNTRAINED + self.recognisers) * pictures**2 * 5e-7
        return products + 2 * some * costs.keypoints + some**2 * costs.matching

    def _matching(self, plan: Plan, costs: Costs, pictures: float, sides: int) -> float:
        """Keypoints of every side, pairs of strangers (twice across the sides), and searches."""
        pairs = (3 * sides - 2) * min(plan.impostors, pictures**2 / 2)
        searched = (2 * sides - 1) * min(plan.compared, pictures / 2) ** 2
        return sides * pictures * costs.keypoints + (pairs + searched) * costs.matching

    def _inversion(self, plan: Plan, costs: Costs, pictures: float) -> float:
        """Each step of the iteration is a pass, each of the descent one with gradients."""
        attempts = 2 * plan.strengths if costs.anonymizer else 0
        undone = min(plan.undone, pictures)
        undoing = plan.strengths * plan.undo_steps * (1 + _BACKWARD) * undone * costs.anonymizer
        restoring = (plan.restorer_steps * 16 * _BACKWARD + pictures / 2) * costs.restorer
        measuring = 2 * (attempts * undone + pictures) * costs.recognition
        sets = (_UNTRAINED + self.recognisers) * _RESTORED + _SHUFFLED
        measuring += attempts * sets * _intervals(plan, costs, undone)
        measuring += sets * _intervals(plan, costs, pictures / 2)
        for times, some in ((attempts, undone), (1, pictures / 2)):
            matching = self._matching(plan, costs, some, 2) + self._linkage(plan, costs, some)
            measuring += times * matching
        return undoing + restoring + measuring

    def _plane(self, plan: Plan, costs: Costs, pictures: float) -> float:
        """Each point scrubs, recognises, reads and compares; the originals are looked at once."""
        if not costs.anonymizer:
            return 0.0
        looking = costs.recognition + costs.classifier
        shown = min(plan.rescrubbed, pictures)
        compared = plan.points * self.recognisers * _intervals(plan, costs, shown)
        again = shown * (plan.points * (costs.anonymizer + looking) + looking)
        return again + compared


def _intervals(plan: Plan, costs: Costs, pictures: float) -> float:
    """Seconds of one attacker's figures on one set of pairs."""
    pairs = min(plan.impostors, pictures**2 / 2)
    return pairs * plan.replicates * costs.comparing


def within(plan: Plan, work: Workload, costs: Costs, limit: float = QUICK_SECONDS) -> Plan:
    """The same plan, or one that does less, so that the estimate is under a limit if it can be.

    First inversion undoes fewer images in fewer steps, restorers and attackers are trained for a shorter time
    and fewer images are scrubbed again; then fewer images are read.

    Args:
        plan: What is wanted.
        work: What there is.
        costs: What it costs.
        limit: In seconds.
    """
    for less in _lesser(plan, work.items):
        if sum(work.seconds(less, costs).values()) <= limit:
            return less
    return less


def reductions(plan: Plan, given: Plan) -> list[str]:
    """What was reduced, for the user."""
    before, after = plan.shown(), given.shown()
    return [
        f"{_SHOWN[name]} {before[name]} to {after[name]}" for name in _SHOWN if before[name] > after[name]
    ]


def estimate_line(seconds: Mapping[str, float]) -> str:
    """The estimate, for the user: in all, and by phase where it takes a minute or more."""
    total = sum(seconds.values())
    parts = [
        f"{phase} {_minutes(cost)}"
        for phase, cost in sorted(seconds.items(), key=lambda each: -each[1])
        if cost >= _MINUTE
    ]
    return f"estimated time: {_minutes(total)}" + (f" ({', '.join(parts)})" if len(parts) > 1 else "")


def _minutes(seconds: float) -> str:
    if seconds < _MINUTE:
        return "less than a minute"
    minutes = round(seconds / _MINUTE)
    if minutes < 2 * _MINUTE:
        return f"{minutes} min"
    return f"{minutes / _MINUTE:.1f} h"


def _lesser(plan: Plan, items: int) -> Iterator[Plan]:
    """The plan, and plans that do ever less."""
    plan = replace(plan, images=min(plan.images, items))
    yield plan
    for names in (("undone", "undo_steps", "restorer_steps", "epochs", "rescrubbed"), ("images",)):
        before = None
        while plan != before:
            before = plan
            now = plan.shown()
            less = {name: max(min(now[name], _LEAST[name]), int(now[name] * _LESS)) for name in names}
            plan = replace(plan, **less)
            yield plan
