"""What white-box inversion gives back of scrubbed images, beside the same images as they were scrubbed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deid.core.model_card import Metric
from deid.networks.anonymizer import Anonymizer
from deid.networks.inversion import fixed_point, gradient_descent
from deid.reid.metrics import Interval, patient_bootstrap
from deid.reid.pairs import FairPairs, evenly_chosen, probing
from deid.training.attacker import Attack, AttackImages
from deid.training.card import metric
from deid.training.images import ImageStore

_GUESS_SEED = 404
_AT_ONCE = 64


def inversion_metrics(
    network: Anonymizer,
    attacker: Attack,
    images: AttackImages,
    pairs: Sequence[FairPairs],
    strength: float,
    count: int,
    seed: int,
) -> list[Metric]:
    """Of each source, the error that is left and how well the attacker finds the originals' patients again.

    What inversion gained is the difference to the figures of "no inversion", which are of the same images and
    pairs.

    Args:
        network: The anonymizer.
        attacker: Trained on originals.
        images: Test images, before and after.
        pairs: From `both_ways`, of each source.
        strength: At which the images were scrubbed.
        count: Images to invert at most; the attacker compares each with all originals.
        seed: Of their choice.
    """
    chosen = evenly_chosen(pairs, count, seed)
    own = [few for each in pairs if len((few := probing(each, chosen)).second)]
    if not own:
        return []
    test, scrubbed = images.originals, images.scrubbed[0]
    states = {"no inversion": scrubbed.images[chosen]}
    for name, invert in (("fixed point", fixed_point), ("gradient descent", gradient_descent)):
        states[f"inversion by {name}"] = _inverted(network, scrubbed.subset(chosen), strength, invert)
    found = []
    for name, back in states.items():
        whole = scrubbed.images.copy()
        whole[chosen] = back
        after = replace(scrubbed, images=whole)
        title = f"{name}, strength {strength:g}"
        scores = attacker.scores(AttackImages(test, [after]), own)
        for each, similarity in zip(own, scores, strict=True):
            probes = np.unique(each.second)
            of = (test.subset(probes), "test", each.source)
            error = Interval(_error(test.images[probes], whole[probes]), float("nan"), float("nan"))
            found.append(metric(f"{title}, mean absolute error, 0..1", error, *of))
            auc = patient_bootstrap(each.scored(similarity), weights=each.weights)
            found.append(metric(f"{title}, then recognition, ROC AUC", auc, *of))
    return found


def _error(before: NDArray[np.integer], after: NDArray[np.integer]) -> float:
    """Mean absolute difference as a share of the type's range."""
    return float(np.abs(after.astype(np.float64) - before).mean() / np.iinfo(before.dtype).max)


def _inverted(
    network: Anonymizer, store: ImageStore, strength: float, invert: Callable[..., Tensor]
) -> NDArray[np.integer]:
    """Guesses at the originals `[image, row, column]`, by one who has the weights and guesses the noise."""
    generator = torch.Generator().manual_seed(_GUESS_SEED)
    top = np.iinfo(store.images.dtype).max
    parts = []
    for start in range(0, len(store), _AT_ONCE):
        images = store.tensor(np.arange(start, min(start + _AT_ONCE, len(store))))
        noise = network.draw_noise(len(images), generator)
        back = invert(network.eval(), images, torch.full((len(images),), strength), noise)
        parts.append(np.rint(back[:, 0].numpy() * top).astype(store.images.dtype))
    return np.concatenate(parts)
