"""The attacker who knows the anonymizer: a recogniser trained on what it makes, original to scrubbed.

A frozen network proves a leak but never its absence: scrubbed images are new to it. This one sees, in
training, the originals of training patients with their other images scrubbed several times over, as anybody
can make them from the public weights with keys of his own; then it meets test patients whose images were
scrubbed with noise that it has never seen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from deid.networks.siamese import SiameseResNet
from deid.reid.embedding import embed_images
from deid.reid.pairs import FairPairs, both_ways, cross_scores
from deid.training.augment import Augmentation, augment
from deid.training.decay import decayed
from deid.training.images import ImageStore
from deid.training.loop import Batch, BoundToData, Run
from deid.training.pairs import PKSampler, group_names
from deid.training.reid_losses import verification_loss
from deid.training.split import near_duplicates
from deid.training.verification import fair_pairs, verified

Comparison = Literal["cosine", "verification"]
"""How two images are compared: by their embeddings alone, or by what a `SiameseResNet` says of both."""

SINGLE_WEIGHT = 0.3


@dataclass(frozen=True, eq=False)
class AttackImages:
    """Images of one part of the data, before and after.

    Attributes:
        originals: What the attacker has.
        scrubbed: The same images scrubbed, each entry with other noise; the originals themselves for a
            ceiling.
    """

    originals: ImageStore
    scrubbed: Sequence[ImageStore]

    def digest(self) -> str:
        """SHA-256, in hex, of the pixels before and after, and of whose they are."""
        digest = hashlib.sha256()
        for store in (self.originals, *self.scrubbed):
            digest.update(np.ascontiguousarray(store.images).data)
        for sample in self.originals.samples:
            digest.update(repr((sample.patient, sample.study, sample.source, sample.findings)).encode())
        return digest.hexdigest()


@dataclass(frozen=True)
class AttackSettings:
    """How the attacker learns.

    Attributes:
        patients: Patients in a batch, two images of each.
        paired_share: Share of them with several images; the others teach by two views of one image.
        rate: Full learning rate.
        weight_decay: Of matrices and kernels.
        steps_per_epoch: Steps between two validations.
        augmentation: How images are changed on both sides; None leaves them.
        verification: Whether a `SiameseResNet` may compare by its verification, where that does better on the
            validation patients; otherwise by cosine, which is what a search in a large gallery can do.
    """

    patients: int = 32
    paired_share: float = 0.6
    rate: float = 2e-3
    weight_decay: float = 0.05
    steps_per_epoch: int = 60
    augmentation: Augmentation | None = field(default_factory=Augmentation)
    verification: bool = True


class AttackerTask(BoundToData):
    """`deid.training.loop.Task`: contrast of originals with scrubbed images of the same patients.

    Args:
        network: With `embed`.
        train: To learn from.
        validation: To choose the best epoch by.
        settings: How.

    Raises:
        UsageError: Too few patients have several images.
    """

    score = "auc"

    def __init__(
        self, network: nn.Module, train: AttackImages, validation: AttackImages, settings: AttackSettings
    ) -> None:
        super().__init__(f"{train.digest()} {validation.digest()}")
        self.network, self._train, self._validation, self._settings = network, train, validation, settings
        self._sampler = PKSampler(
            train.originals,
            patients=settings.patients,
            images=2,
            groups=group_names(train.originals),
            paired_share=settings.paired_share,
        )
        store = validation.originals
        self._pairs = [both_ways(pairs) for pairs in fair_pairs(store, near_duplicates(store.images))]
        self.steps_per_epoch = settings.steps_per_epoch

    def modules(self) -> Mapping[str, nn.Module]:
        """The attacker."""
        return {"attacker": self.network}

    def frozen(self) -> Mapping[str, nn.Module]:
        """None."""
        return {}

    def optimizers(self) -> Mapping[str, Optimizer]:
        """AdamW."""
        return {"attacker": AdamW(decayed(self.network, self._settings.weight_decay), lr=self._settings.rate)}

    def batch(self, step: int, generator: torch.Generator) -> Batch:
        """Originals, and other images of the same patients scrubbed; `[patient, 1, row, column]` each."""
        seed = int(torch.randint(2**62, (1,), generator=generator))
        drawn = self._sampler.batch(np.random.default_rng(seed))
        version = int(torch.randint(len(self._train.scrubbed), (1,), generator=generator))
        one, other = drawn[0::2], drawn[1::2]
        return {
            "originals": self._changed(self._train.originals.tensor(one), generator),
            "scrubbed": self._changed(self._train.scrubbed[version].tensor(other), generator),
            "weights": torch.from_numpy(np.where(one == other, SINGLE_WEIGHT, 1.0)).float(),
        }

    def step(self, batch: Batch, run: Run) -> Mapping[str, Tensor | float]:
        """One update."""
        count = len(batch["originals"])
        with run.autocast():
            images = torch.cat([batch["originals"], batch["scrubbed"]])
            embeddings: Tensor = self.network.embed(images)  # type: ignore[operator]
        one, other = embeddings[:count].float(), embeddings[count:].float()
        if isinstance(self.network, SiameseResNet):
            loss = paired_verification(self.network, one, other)
        else:
            loss = paired_contrast(one, other, batch["weights"])
        run.backward(loss)
        run.update("attacker")
        return {"loss": loss}

    def _changed(self, images: Tensor, generator: torch.Generator) -> Tensor:
        how = self._settings.augmentation
        return images if how is None else augment(images, generator, how)

    def validate(self, run: Run) -> Mapping[str, float]:
        """The AUC of each source, original to scrubbed, and their mean; the better of two ways to compare."""
        ways: list[Comparison] = ["cosine"]
        if self._settings.verification and isinstance(self.network, SiameseResNet):
            ways.append("verification")
        found, means = {}, {}
        for way in ways:
            scores = attack_scores(self.network, self._validation, self._pairs, run.device, way)
            found[way] = {
                f"auc ({pairs.source})": pairs.auc(own)
                for pairs, own in zip(self._pairs, scores, strict=True)
            }
            means[way] = float(np.mean(list(found[way].values())))
        best = max(means, key=lambda way: means[way])
        of_ways = {f"auc by {way}": mean for way, mean in means.items()} if len(ways) > 1 else {}
        return {"auc": means[best]} | of_ways | found[best]

    def sheet(self, run: Run) -> None:
        """There is nothing to see."""


def paired_contrast(one: Tensor, other: Tensor, weights: Tensor, temperature: float = 0.1) -> Tensor:
    """Each row of one side must find its partner among all of the other, and the other way (InfoNCE).

    Args:
        one: Embeddings `[pair, dimension]`.
        other: Of the partners, in the same order.
        weights: Of the pairs, `[pair]`.
        temperature: Cosines are divided by it.
    """
    unit = [torch.nn.functional.normalize(side, dim=1) for side in (one, other)]
    logits = unit[0] @ unit[1].T / temperature
    target = torch.arange(len(one), device=one.device)
    losses = sum(
        torch.nn.functional.cross_entropy(table, target, reduction="none") for table in (logits, logits.T)
    )
    return (losses * weights).sum() / (2 * weights.sum())


def paired_verification(network: SiameseResNet, one: Tensor, other: Tensor) -> Tensor:
    """Each row of one side with each of the other: one patient or not (Packhaeuser et al. 2022).

    Args:
        network: Verifies pairs.
        one: Embeddings `[pair, dimension]`.
        other: Of the partners, in the same order.
    """
    every = torch.arange(len(one), device=one.device)
    first, second = torch.cartesian_prod(every, every).T
    logits = network.verification_logit(one[first], other[second])
    return verification_loss(logits, first == second)


def attack_scores(
    network: nn.Module,
    images: AttackImages,
    pairs: Sequence[FairPairs],
    device: torch.device | str = "cpu",
    comparison: Comparison = "cosine",
) -> list[NDArray[np.float64]]:
    """Scores `[pair]` of pairs from `both_ways`, originals against the first scrubbing."""
    by_cosine = comparison == "cosine"
    originals, scrubbed = (
        embed_images(network, side.images, device=device, normalise=by_cosine)
        for side in (images.originals, images.scrubbed[0])
    )
    if by_cosine:
        return [cross_scores(each, originals, scrubbed) for each in pairs]
    assert isinstance(network, SiameseResNet)
    return [verified(network, originals, scrubbed, each.first, each.second, device) for each in pairs]


@dataclass(frozen=True, eq=False)
class Attack:
    """A trained attacker, and how it compares.

    Attributes:
        network: In eval mode.
        comparison: What did better on the validation patients.
    """

    network: nn.Module
    comparison: Comparison = "cosine"

    @classmethod
    def of(cls, network: nn.Module, validated: Mapping[str, float]) -> Attack:
        """By what `AttackerTask.validate` gave in the best epoch."""
        verification = validated.get("auc by verification", -np.inf)
        better = verification > validated.get("auc by cosine", np.inf)
        return cls(network, "verification" if better else "cosine")

    @property
    def name(self) -> str:
        """For figures: which comparison of two was taken is said."""
        two = isinstance(self.network, SiameseResNet)
        return f"re-trained attacker (by {self.comparison})" if two else "re-trained attacker"

    def scores(self, images: AttackImages, pairs: Sequence[FairPairs]) -> list[NDArray[np.float64]]:
        """As `attack_scores`."""
        return attack_scores(self.network, images, pairs, comparison=self.comparison)
