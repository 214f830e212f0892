"""Inversion: what those who have the anonymizer's weights, but not the key, get back from scrubbed images.

The attacker undoes the change, by fixed-point iteration or by gradient descent through the public weights, or
with a network trained on pairs of the user's own; then he re-identifies and links what he got. Where the
strength is not known he tries several and keeps the best.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from deid.audit.assessment import Section, figure, not_assessed, standard_error
from deid.audit.attackers import TRAINING_FREE, Attacker, embedding
from deid.audit.linkage import are_linked, matches
from deid.audit.pairing import LEAST_PATIENTS
from deid.audit.pictures import AuditImages, Pictures
from deid.audit.reid import Bout, ReidOptions
from deid.audit.verdict import LINKABLE, NOT_ASSESSED, Evidence, judge, strongest, words
from deid.networks.anonymizer import Anonymizer
from deid.networks.inversion import fixed_point, gradient_descent
from deid.reid.ranking import patient_mean

_AT_ONCE = 32
_GUESS = 404


class TrainRestorer(Protocol):
    """Trains a network that turns scrubbed images back, `[image, 1, row, column]` to the same."""

    def __call__(self, originals: Pictures, scrubbed: Pictures, seed: int) -> nn.Module:
        """A network in eval mode."""


@dataclass(frozen=True)
class InversionOptions:
    """How thoroughly to undo.

    Attributes:
        reid: For the attackers on what comes back.
        images: Undone at most, patients with several studies first.
        steps: Of the iteration and of the descent.
        strengths: Tried where the strength is not known.
    """

    reid: ReidOptions = field(default_factory=ReidOptions)
    images: int = 120
    steps: int = 40
    strengths: tuple[float, ...] = (0.5, 1.0)

    @classmethod
    def of(cls, effort: Literal["quick", "full"], seed: int = 0) -> InversionOptions:
        """What an effort stands for."""
        options = ReidOptions.of(effort, seed)
        return cls(options) if effort == "quick" else cls(options, 1_000, 80, (0.25, 0.5, 0.75, 1.0))


@dataclass(frozen=True, eq=False)
class _Undone:
    """What an attempt reached.

    Attributes:
        section: Of `audit.json`.
        links: Own originals found, by each method.
        patients: Shown by what came back.
        ceiling: Recognition of the originals.
        chance_error: Of an AUC of recognition at chance.
        tried: Figures looked at.
    """

    section: Section
    links: list[Section]
    patients: int
    ceiling: Section
    chance_error: float
    tried: int


def inversion(
    images: AuditImages,
    anonymizer: Anonymizer | None,
    strength: float | None,
    attackers: Mapping[str, nn.Module],
    restorer: TrainRestorer | None = None,
    options: InversionOptions | None = None,
) -> Section:
    """The section "inversion" of `audit.json`.

    Args:
        images: Both sides.
        anonymizer: Its public weights; None leaves the white-box methods out.
        strength: At which it worked; None where the attacker must search.
        attackers: Networks with `embed` that recognise originals, by name; training-free ones come with them.
        restorer: Trains a network to turn scrubbed images back; None leaves it out.
        options: How thoroughly.
    """
    options = options or InversionOptions()
    if images.originals is None or (anonymizer is None and restorer is None):
        reason = "there are no originals" if images.originals is None else "there is no anonymizer to undo"
        return _nothing(f"{reason}, so that nothing can be compared")
    if len(set(images.patients)) < LEAST_PATIENTS:
        return _nothing(f"fewer than {LEAST_PATIENTS} patients")
    chosen = images.at_most(options.images, options.reid.seed)
    methods: dict[str, Section] = {}
    found: list[_Undone] = []
    if anonymizer is not None:
        for name, undone in _white_box(chosen, anonymizer, strength, attackers, options).items():
            _keep(methods, found, name, undone)
    if restorer is None:
        methods["trained_restorer"] = not_assessed("no restorer was trained on these images")
    else:
        kept, back = _restored(images.at_most(options.reid.most_images, options.reid.seed), restorer, options)
        _keep(methods, found, "trained_restorer", [_measured(kept, back, attackers, options)])
    return _verdict(found) | {"methods": methods}


def _verdict(found: list[_Undone]) -> Section:
    """Linkable where what came back is recognised, or its own original found, better than chance explains."""
    tried = sum(one.tried for one in found)
    attacks = [one.section["reid"] for one in found]
    if any(are_linked(one.links, one.patients, tried) for one in found):
        verdict, reason = LINKABLE, ""
    elif strongest(attacks) is None:
        return _nothing(f"fewer than {LEAST_PATIENTS} patients with several studies")
    else:
        ceiling = strongest([one.ceiling for one in found]) or not_assessed("")
        verdict, reason = judge(Evidence(attacks, tried, ceiling, max(one.chance_error for one in found)))
    return {"status": "assessed", "reason": reason, "verdict": verdict, "words": words(verdict, attacks)}


def _keep(methods: dict[str, Section], found: list[_Undone], name: str, undone: list[_Undone]) -> None:
    """Of several attempts of one method the one that recognises best stands for it, else that links best."""
    found += undone
    best = strongest([one.section["reid"] for one in undone])
    recognised = [one.section for one in undone if best is not None and one.section["reid"] is best]
    methods[name] = recognised[0] if recognised else max((one.section for one in undone), key=_found_first)


def _found_first(section: Section) -> float:
    return float(section["linkage"]["rank_1"]["value"]) if section["linkage"].get("rank_1") else 0.0


def _white_box(
    images: AuditImages,
    anonymizer: Anonymizer,
    strength: float | None,
    attackers: Mapping[str, nn.Module],
    options: InversionOptions,
) -> dict[str, list[_Undone]]:
    """Each method that goes through the weights, once for each strength tried."""
    strengths = options.strengths if strength is None else (strength,)
    ways: dict[str, Callable[..., Tensor]] = {
        "fixed_point": partial(fixed_point, steps=options.steps),
        "gradient_descent": partial(gradient_descent, steps=options.steps),
    }
    undone: dict[str, list[_Undone]] = {}
    for name, way in ways.items():
        for tried in strengths:
            back = _back(anonymizer.eval(), images.scrubbed, tried, way)
            undone.setdefault(name, []).append(_measured(images, back, attackers, options))
    return undone


def _back(
    anonymizer: Anonymizer, scrubbed: Pictures, strength: float, way: Callable[..., Tensor]
) -> Pictures:
    """All images undone with guessed noise: the true one is drawn under the project's key."""
    generator = torch.Generator().manual_seed(_GUESS)
    parts = []
    for at in range(0, len(scrubbed), _AT_ONCE):
        some = torch.from_numpy(np.ascontiguousarray(scrubbed[at : at + _AT_ONCE]))[:, None]
        noise = anonymizer.draw_noise(len(some), generator)
        parts.append(way(anonymizer, some, torch.full((len(some),), strength), noise)[:, 0].numpy())
    made: Pictures = np.concatenate(parts)
    return made


def _restored(
    images: AuditImages, restorer: TrainRestorer, options: InversionOptions
) -> tuple[AuditImages, Pictures]:
    """Images of half the patients, turned back by a network that was trained on the other half."""
    assert images.originals is not None
    names = sorted(set(images.patients))
    order = np.random.default_rng(options.reid.seed + 2).permutation(len(names))
    taught = {names[i] for i in order[: len(names) // 2]}
    learning, held = (
        [i for i, p in enumerate(images.patients) if (p in taught) is side] for side in (True, False)
    )
    network = restorer(images.originals[learning], images.scrubbed[learning], options.reid.seed)
    kept = images.subset(held)
    parts = []
    with torch.inference_mode():
        for at in range(0, len(kept), _AT_ONCE):
            some = torch.from_numpy(np.ascontiguousarray(kept.scrubbed[at : at + _AT_ONCE]))[:, None]
            parts.append(network(some)[:, 0].clamp(0, 1).numpy())
    return kept, np.concatenate(parts)


def _measured(
    images: AuditImages, back: Pictures, attackers: Mapping[str, nn.Module], options: InversionOptions
) -> _Undone:
    """Error, recognition and linkage of what came back."""
    assert images.originals is not None
    undone = AuditImages(images.originals, back, images.patients, images.studies, images.sources)
    error = np.abs(back - images.originals).mean(axis=(1, 2), dtype=np.float64)
    ready = [Attacker(name, "training_free", made) for name, made in TRAINING_FREE.items()]
    ready += [Attacker(name, "frozen", embedding(network)) for name, network in attackers.items()]
    bouts = [Bout.begin(attacker, undone, options.reid) for attacker in ready]
    attacks = [bout.figures(undone, "original_scrubbed", options.reid) for bout in bouts]
    ceiling = strongest([bout.figures(undone, "original_original", options.reid) for bout in bouts])
    best = strongest(attacks) or attacks[0]
    chosen = next(bout for bout, attack in zip(bouts, attacks, strict=True) if attack is best)
    shuffled = chosen.shuffled(undone, "original_scrubbed", options.reid)
    patients = len(set(images.patients))
    links = matches(undone, attackers, options.reid.seed) if patients >= LEAST_PATIENTS else []
    section = {
        "error": figure(patient_mean(error, np.array(images.patients), seed=options.reid.seed)),
        "reid": best,
        "linkage": max(links, key=_surest, default=not_assessed(f"fewer than {LEAST_PATIENTS} patients")),
    }
    chance_error = standard_error(shuffled) if shuffled else float("inf")
    tried = len(bouts) + 2 * len(links)  # of a link the rank and the area
    return _Undone(section, links, patients, ceiling or not_assessed(""), chance_error, tried)


def _surest(link: Section) -> tuple[float, float]:
    return link["rank_1"]["value"], link["auc"]["value"]


def _nothing(reason: str) -> Section:
    return not_assessed(reason) | {"verdict": NOT_ASSESSED, "words": NOT_ASSESSED}
