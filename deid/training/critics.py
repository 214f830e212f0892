"""Critics of an anonymizer: recognisers that keep learning to find the patients in what it now makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from deid.networks.anonymizer import Anonymizer
from deid.networks.mami import MaMI
from deid.training.attacker import SINGLE_WEIGHT, paired_contrast
from deid.training.augment import Augmentation, augment
from deid.training.images import ImageStore
from deid.training.pairs import PKSampler
from deid.training.task import Batch, Run

_PAIRED_SHARE = 0.6
_ROUNDS = 4


@dataclass(frozen=True)
class CriticSettings:
    """How critics learn.

    Attributes:
        warm_up: Steps at the beginning in which only the critics learn, and the anonymizer waits for them; in
            their first half, from originals alone.
        turns: Lessons in a step, the next critic each time.
        patients: Patients in a lesson, two images of each; more of them than the anonymizer sees at once, for
            an attacker who trains at leisure does so, too.
        augmentation: How a critic's images are changed; None leaves them.
    """

    warm_up: int = 0
    turns: int = 1
    patients: int = 32
    augmentation: Augmentation | None = field(default_factory=Augmentation)


class Critics:
    """Recognisers that learn by turns, by contrast, from originals and from what the anonymizer now makes.

    The anonymizer evades what its critics look for just now; if they learn more slowly than it does, they see
    nothing while an attacker at leisure still would. So each lesson is of a batch as large as an attacker's
    own, and there may be several in a step.

    Args:
        networks: With `embed`, by name, of different architectures.
        store: Training images.
        groups: Group of each image, as `deid.training.pairs.group_names` gives.
        settings: How they learn.

    Raises:
        UsageError: Too few patients have several images.
    """

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        store: ImageStore,
        groups: Sequence[str],
        settings: CriticSettings,
    ) -> None:
        self.networks, self._store, self._settings = dict(networks), store, settings
        self._sampler = PKSampler(
            store, patients=settings.patients, images=2, groups=groups, paired_share=_PAIRED_SHARE
        )
        self._order = _order(self.networks)

    def lessons(self, anonymizer: Anonymizer, least_strength: float, generator: torch.Generator) -> Batch:
        """The images of a step's lessons, numbered from 0.

        Args:
            anonymizer: Says how much noise an image takes.
            least_strength: Of a lesson's images; they go up to 1.
            generator: Of all that is random.
        """
        batch: dict[str, Tensor] = {}
        for turn in range(self._settings.turns):
            seed = int(torch.randint(2**62, (1,), generator=generator))
            drawn = self._sampler.batch(np.random.default_rng(seed))
            known, hidden = drawn[0::2], drawn[1::2]
            batch |= {
                f"known {turn}": self._store.tensor(known),
                f"hidden {turn}": self._store.tensor(hidden),
                f"weights {turn}": torch.from_numpy(np.where(known == hidden, SINGLE_WEIGHT, 1.0)).float(),
                f"strengths {turn}": least_strength
                + (1 - least_strength) * torch.rand(len(known), generator=generator),
                f"noise {turn}": anonymizer.draw_noise(len(known), generator),
            }
        return batch

    def learn(self, anonymizer: Anonymizer, batch: Batch, run: Run) -> Mapping[str, Tensor]:
        """All lessons of a step; the contrast of each critic that had one, under its name.

        A critic learns originals first, and goes on learning them beside scrubbed images. An attacker has
        both, too, and from images whose patients are hidden well nobody learns what patients look like.
        """
        losses: dict[str, Tensor] = {}
        for turn in range(self._settings.turns):
            name = self._order[(run.step * self._settings.turns + turn) % len(self._order)]
            losses |= self._lesson(name, anonymizer, batch, turn, run)
        return losses

    def _lesson(
        self, name: str, anonymizer: Anonymizer, batch: Batch, turn: int, run: Run
    ) -> Mapping[str, Tensor]:
        critic = self.networks[name].train()
        known, hidden = batch[f"known {turn}"], batch[f"hidden {turn}"]
        kinds = {f"critic {name} originals": hidden}
        if run.step >= self._settings.warm_up // 2:
            kinds[f"critic {name}"] = self._scrubbed(anonymizer, batch, turn, run)
        changed = [self._changed(images, run.generator) for images in (known, *kinds.values())]
        with run.autocast():
            reference, *seen = torch.split(embed(critic, torch.cat(changed)).float(), len(known))
        weights = batch[f"weights {turn}"]
        losses = [paired_contrast(reference, embeddings, weights) for embeddings in seen]
        run.backward(torch.stack(losses).sum())
        run.update(f"critic {name}")
        return dict(zip(kinds, losses, strict=True))

    def _scrubbed(self, anonymizer: Anonymizer, batch: Batch, turn: int, run: Run) -> Tensor:
        """What an attacker gets to see: the anonymizer as it is applied, not as it learns."""
        anonymizer.eval()
        with torch.no_grad(), run.autocast():
            images: Tensor = anonymizer(
                batch[f"hidden {turn}"], batch[f"strengths {turn}"], batch[f"noise {turn}"]
            )
        anonymizer.train()
        return images.float()

    def _changed(self, images: Tensor, generator: torch.Generator) -> Tensor:
        how = self._settings.augmentation
        return images if how is None else augment(images, generator, how)


def _order(networks: Mapping[str, nn.Module]) -> list[str]:
    """Whose turn it is, over and over; a MaMI, slow and of a small rate, sits most rounds out."""
    slow = {name for name, network in networks.items() if isinstance(network, MaMI)}
    quick = [name for name in networks if name not in slow]
    return [*networks, *quick * (_ROUNDS - 1)]


def embed(network: nn.Module, images: Tensor) -> Tensor:
    """Embeddings `[image, dimension]` by a network that is a `deid.networks.encoder.Embedder`."""
    embeddings: Tensor = network.embed(images)  # type: ignore[operator]
    return embeddings
