"""A few files and pictures, timed: what the estimate of an audit is made of."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from deid.audit.release import Release
from deid.workflows.audit.estimate import Costs, Plan, Workload
from deid.workflows.audit.options import Attack

if TYPE_CHECKING:
    from torch import nn

    from deid.dicom.profile import Profile
    from deid.workflows.audit.images import Item
    from deid.workflows.audit.networks import Networks
    from deid.workflows.audit.options import AuditOptions, Effort

_FILES, _ITEMS, _PICTURES, _MATCHED = 8, 4, 4, 8
_COMPARED, _REPLICATES = 1000, 20


def plan_of(effort: Effort, most: int) -> Plan:
    """What an effort stands for."""
    from deid.audit.inversion import InversionOptions
    from deid.audit.plane import PlaneOptions
    from deid.audit.reid import ReidOptions
    from deid.training.audit_attacker import AuditTraining

    reid, undo = ReidOptions.of(effort.value), InversionOptions.of(effort.value)
    plane = PlaneOptions.of(effort.value)
    training = AuditTraining.of(effort.value)
    return Plan(
        images=most,
        undone=undo.images,
        undo_steps=undo.steps,
        restorer_steps=training.restorer_steps,
        epochs=training.epochs,
        trainings=reid.folds * reid.restarts * len(training.kinds),
        strengths=len(undo.strengths),
        replicates=reid.replicates,
        steps=training.steps,
        batch=2 * training.patients,
        rescrubbed=plane.images,
        points=len(plane.strengths) + 1,
        impostors=reid.impostors,
        trained=reid.restarts * len(training.kinds),
        compared=reid.compared,
    )


def workload(
    release: Release, networks: Networks, options: AuditOptions, header: float
) -> tuple[Workload, Costs]:
    """What there is to do, and what it costs.

    Args:
        release: What is audited.
        networks: Its models.
        options: Of the audit.
        header: Seconds of a file in the header attack.
    """
    from deid.audit.reid import ReidOptions
    from deid.workflows.audit.images import all_items, pictures_of

    items = all_items(release)
    reading, pictures = reading_cost(items, lambda item: pictures_of(item, release.paired, networks.size))
    finding, matching = keypoint_costs(networks.size)
    costs = replace(
        network_costs(networks, options.effort),
        header=header,
        reading=reading,
        comparing=comparing_cost(),
        keypoints=finding,
        matching=matching,
    )
    work = Workload(
        files=len(release.instances) + len(release.texts),
        items=len(items),
        pictures=pictures,
        sides=1 + release.paired,
        recognisers=len(networks.frozen) + len(networks.shipped),
        trains=release.several_studies() >= ReidOptions().adaptive_patients,
        wanted=frozenset(attack for attack in Attack if options.wants(attack)),
    )
    return work, costs


def header_cost(release: Release, profile: Profile) -> float:
    """Seconds of a file in the header attack."""
    from deid.audit.header import header

    some = replace(release, instances=release.instances[:_FILES], texts=())
    return _timed(lambda: header(some, profile)) / len(some.instances)


def reading_cost(items: Sequence[Item], read: Callable[[Item], int]) -> tuple[float, float]:
    """Seconds of an image or volume, and its pictures, on average.

    Args:
        items: Of which a few are read.
        read: Reads one and says how many pictures it has.
    """
    some = [items[int(place)] for place in np.linspace(0, len(items) - 1, min(_ITEMS, len(items)))]
    pictures: list[int] = []
    seconds = _timed(lambda: pictures.extend(read(item) for item in some))
    return seconds / len(some), max(1.0, sum(pictures) / len(some))


def comparing_cost() -> float:
    """Seconds of a pair in one replicate of all intervals of an attacker.

    Figures of many pairs with distinct scores are what takes longest where networks are small.
    """
    from deid.audit.assessment import assess
    from deid.audit.pairing import study_pairs

    images = np.arange(_COMPARED)
    pairs = study_pairs(images // 2, images, np.zeros_like(images), 4 * _COMPARED)
    assert pairs is not None
    scores = np.random.default_rng(0).random(len(pairs.first))
    return _timed(lambda: assess("", pairs, scores, None, _REPLICATES, 0)) / (len(scores) * _REPLICATES)


def network_costs(networks: Networks, effort: Effort) -> Costs:
    """Seconds of a picture through each kind of network; the first pass, which is slower, does not count."""
    import torch

    from deid.networks.compact import CompactResNet
    from deid.reid.embedding import embed_images
    from deid.training.audit_attacker import AuditTraining, restorer_network

    shape = (_PICTURES, networks.size, networks.size)
    pictures = np.random.default_rng(0).random(shape, np.float32)
    tensor = torch.from_numpy(pictures)[:, None]
    training = AuditTraining.of(effort.value)

    def embedding(network: nn.Module) -> float:
        return _twice(lambda: embed_images(network, pictures))

    def passing(network: nn.Module, *more: torch.Tensor) -> float:
        with torch.inference_mode():
            return _twice(lambda: network.eval()(tensor, *more))

    undo = 0.0
    if networks.anonymizer is not None:
        noise = networks.anonymizer.draw_noise(_PICTURES, torch.Generator().manual_seed(0))
        undo = passing(networks.anonymizer, torch.ones(_PICTURES), noise)
    recognisers = [*networks.frozen.values(), *networks.shipped.values()]
    return Costs(
        recognition=sum(map(embedding, recognisers)),
        anonymizer=undo,
        classifier=passing(networks.classifier) if networks.classifier is not None else 0.0,
        attacker=embedding(CompactResNet(training.size, training.width)),
        restorer=passing(restorer_network()),
    )


def keypoint_costs(size: int) -> tuple[float, float]:
    """Seconds of a picture whose keypoints are found, and of a pair of pictures.

    Args:
        size: Side of the pictures.
    """
    from deid.audit.attackers import keypoints

    pictures = np.random.default_rng(0).random((_MATCHED, size, size), np.float32)
    finding = _timed(lambda: keypoints(pictures)) / _MATCHED
    found = keypoints(pictures)
    pairs = [each.ravel() for each in np.indices((_MATCHED, _MATCHED))]
    found.scores(found, *pairs)
    return finding, _timed(lambda: found.scores(found, *pairs)) / len(pairs[0])


def _twice(call: Callable[[], object]) -> float:
    call()
    return _timed(call) / _PICTURES


def _timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started
