"""A short attack on an anonymizer that is still learning, by a recogniser that has never met it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from deid.networks.anonymizer import Anonymizer
from deid.training.attacker import AttackerTask, AttackImages, AttackSettings
from deid.training.images import ImageStore
from deid.training.loop import fit
from deid.training.options import LoopOptions
from deid.training.scrub_checks import scrub_store

_TRAIN_SEED, _CHOICE_SEED = 404, 505


@dataclass(frozen=True, eq=False)
class FreshAttack:
    """Trains an attacker from random weights on images as they are scrubbed now, at strength 1.

    Critics that learn beside the anonymizer flatter it; this is what the measurement at the end will do, only
    shorter.

    Attributes:
        make: Gives the attacker, by torch's global random numbers.
        train: Images to learn from.
        validation: Images to attack.
        steps: Steps that it learns.
    """

    make: Callable[[], nn.Module]
    train: ImageStore
    validation: ImageStore
    steps: int

    def figures(self, network: Anonymizer, seed: int, device: torch.device) -> dict[str, float]:
        """AUC, original to scrubbed, by source.

        Args:
            network: The anonymizer; it stays as it is.
            seed: Of the attacker's batches.
            device: Where it runs.
        """
        train, validation = (
            AttackImages(store, [scrub_store(network, store, 1.0, noise, device)])
            for store, noise in ((self.train, _TRAIN_SEED), (self.validation, _CHOICE_SEED))
        )
        task = AttackerTask(self.make(), train, validation, AttackSettings(steps_per_epoch=self.steps))
        options = LoopOptions.model_validate({"epochs": 1, "seed": seed, "device": device.type, "workers": 1})
        with tempfile.TemporaryDirectory(prefix="attacker-") as folder, torch.enable_grad():
            found = fit(task, options, Path(folder), alone=True).best
        sources = {sample.source for sample in self.validation.samples}
        return {source: found[f"auc ({source})"] for source in sources if f"auc ({source})" in found}
