"""A short attack on an anonymizer that is still learning, by a recogniser that has never met it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from deid.networks.anonymizer import Anonymizer
from deid.reid.pairs import both_ways
from deid.training.attacker import AttackerTask, AttackImages, AttackSettings, attack_scores
from deid.training.images import ImageStore
from deid.training.prefetch import step_generator
from deid.training.schedule import Schedule
from deid.training.scrub_checks import scrub_store
from deid.training.verification import fair_pairs

_TRAIN_SEED, _CHOICE_SEED = 404, 505
_WARM_UP, _FINAL_RATE, _CLIP = 0.1, 0.0, 1.0


@dataclass(frozen=True, eq=False)
class FreshAttack:
    """Trains an attacker from random weights on images as they are scrubbed now, at strength 1.

    Critics that learn beside the anonymizer flatter it; this is what the measurement at the end will do, only
    shorter.

    Attributes:
        make: Gives the attacker, by torch's global random numbers.
        train: Images to learn from.
        validation: Images to attack.
        duplicates: Pairs of these that are nearly the same.
        steps: Steps that it learns; 0: no attack.
    """

    make: Callable[[], nn.Module]
    train: ImageStore
    validation: ImageStore
    duplicates: tuple[tuple[int, int], ...] = ()
    steps: int = 0

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
        attacker = self.make().to(device)
        task = AttackerTask(attacker, train, validation, AttackSettings())
        run = _ShortRun(task, device)
        schedule = Schedule([run.optimizer], _WARM_UP, _FINAL_RATE)
        with torch.enable_grad():
            attacker.train()
            for step in range(self.steps):
                run.step, run.generator = step, step_generator(seed, "fresh attacker", step)
                schedule.set((step + 1) / self.steps)
                batch = task.batch(step, run.generator)
                task.step({name: tensor.to(device) for name, tensor in batch.items()}, run)
        pairs = [both_ways(each) for each in fair_pairs(self.validation, self.duplicates)]
        scores = attack_scores(attacker.eval(), validation, pairs, device)
        return {each.source: each.auc(own) for each, own in zip(pairs, scores, strict=True)}


class _ShortRun:
    """`deid.training.task.Run` of one process, with nothing kept: it belongs to a validation."""

    folder = Path()
    epoch, progress = 0, 0.0

    def __init__(self, task: AttackerTask, device: torch.device) -> None:
        self.device, self.step, self.generator = device, 0, torch.Generator()
        (self.optimizer,) = task.optimizers().values()
        self._weights = list(task.network.parameters())

    def autocast(self) -> AbstractContextManager[object]:
        return nullcontext()

    def backward(self, loss: Tensor) -> None:
        torch.autograd.backward(loss)

    def update(self, *names: str) -> None:
        torch.nn.utils.clip_grad_norm_(self._weights, _CLIP)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
