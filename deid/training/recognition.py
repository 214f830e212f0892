"""The task of ``train-reid``: a network that tells whether two images show one patient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from deid.networks.mami import MaMI
from deid.networks.siamese import SiameseResNet
from deid.training.augment import Augmentation, augment
from deid.training.decay import decayed
from deid.training.images import ImageStore
from deid.training.loop import Batch, BoundToData, Run
from deid.training.medical_prior import MedicalPrior
from deid.training.pairs import PKSampler, group_names
from deid.training.reid_losses import (
    IdentityHead,
    batch_hard_triplet,
    comparable_pairs,
    supervised_contrast,
    verification_loss,
)
from deid.training.sheet import picture_sheet
from deid.training.split import joined_patients, near_duplicates
from deid.training.start import spread_embeddings
from deid.training.verification import fair_pairs, pair_scores

_SHOWN = 6
_STARTING = 128  # images by which the network's start is scaled
Losses = dict[str, tuple[float, Tensor]]
"""By name, the weight of a loss and the loss."""


@dataclass(frozen=True)
class RecognitionSettings:
    """How a recogniser learns.

    Attributes:
        patients: P, patients in a batch.
        images: K, images of each.
        paired_share: Share of the P that have several images; of the others, one image is seen K times.
        rate: Full learning rate.
        weight_decay: Of matrices and kernels.
        warm_up: Epochs of self-supervision before patients are told apart.
        identity: Weight of the identity cross-entropy.
        triplet: Weight of the soft-margin triplet loss at the end; it grows with the training's progress.
            From random weights on, the hardest impostors are so hard that one embedding for all images is the
            best answer, and there the network would stay.
        contrast: Weight of the supervised contrast, which carries the training from scratch.
        prior: Weight of the medical prior; it needs a teacher.
        smoothing: Of the identity cross-entropy's targets.
        temperature: Of the contrast.
        augmentation: How training images are changed; None leaves them.
        batch: Images at once in a validation.
    """

    patients: int = 16
    images: int = 4
    paired_share: float = 0.75
    rate: float = 3e-4
    weight_decay: float = 0.05
    warm_up: int = 5
    identity: float = 0.1
    triplet: float = 0.2
    contrast: float = 1.0
    prior: float = 0.01
    smoothing: float = 0.1
    temperature: float = 0.1
    augmentation: Augmentation | None = field(default_factory=Augmentation)
    batch: int = 128


class RecognitionTask(BoundToData):
    """`deid.training.loop.Task`: identity cross-entropy, triplet and contrast on P x K batches of one group.

    It begins with a self-supervised stage: two views of one image of each patient, all patients alike. A
    `SiameseResNet` learns by the verification of pairs instead, as published, on the same batches.

    Args:
        network: An `Embedder` with new weights; see `spread_embeddings` for what is done to them.
        train: To learn from.
        validation: To choose the best epoch by.
        settings: How.
        digest: Of the data, so that a run is not resumed with others.
        teacher: A frozen network with `embed`, for the medical prior of a `MaMI`.

    Raises:
        UsageError: Too few patients have several images, to learn from or to choose by.
    """

    score = "auc"

    def __init__(
        self,
        network: nn.Module,
        train: ImageStore,
        validation: ImageStore,
        settings: RecognitionSettings,
        digest: str = "",
        teacher: nn.Module | None = None,
    ) -> None:
        super().__init__(digest)
        self.network, self._train, self._validation, self._settings = network, train, validation, settings
        self._people = _People(train)
        self._pairs = fair_pairs(validation, near_duplicates(validation.images))
        self._sampler = PKSampler(
            train, patients=settings.patients, images=settings.images, paired_share=settings.paired_share
        )
        self.steps_per_epoch = self._sampler.batches
        spread_embeddings(
            network, train.tensor(self._people.one_image_each(_STARTING, np.random.default_rng(0)))
        )
        dimension = embedding_dimension(network, train)
        self._head = self._prior = self._teacher = None
        if settings.identity and not isinstance(network, SiameseResNet):
            self._head = IdentityHead(dimension, self._people.members)
        if teacher is not None and settings.prior and isinstance(network, MaMI):
            self._teacher = teacher
            self._prior = MedicalPrior(network.config.width, embedding_dimension(teacher, train))
        self._scores: list[NDArray[np.float64]] = []

    def modules(self) -> Mapping[str, nn.Module]:
        """The network, and what helps it in training only."""
        helpers = {"head": self._head, "prior": self._prior}
        return {"network": self.network} | {name: m for name, m in helpers.items() if m is not None}

    def frozen(self) -> Mapping[str, nn.Module]:
        """The teacher."""
        return {} if self._teacher is None else {"teacher": self._teacher}

    def optimizers(self) -> Mapping[str, Optimizer]:
        """AdamW."""
        settings = self._settings
        groups = [group for m in self.modules().values() for group in decayed(m, settings.weight_decay)]
        return {"recognition": AdamW(groups, lr=settings.rate)}

    def batch(self, step: int, generator: torch.Generator) -> Batch:
        """P x K images of one group, each changed in its own way; in the warm-up P x K / 2 images twice."""
        settings = self._settings
        random = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
        if self._is_warm_up(step):
            indices = np.tile(
                self._people.one_image_each(settings.patients * settings.images // 2, random), 2
            )
        else:
            indices = self._sampler.batch(random)
        images = self._train.tensor(indices)
        if settings.augmentation is not None:
            images = augment(images, generator, settings.augmentation)
        people = self._people
        labels = {"persons": people.persons, "groups": people.groups, "identities": people.identities}
        return {"images": images} | {name: torch.from_numpy(of[indices]) for name, of in labels.items()}

    def step(self, batch: Batch, run: Run) -> Mapping[str, Tensor | float]:
        """One update."""
        if self._is_warm_up(run.step):
            losses = self._contrast(self._embedded(batch, run), batch, 1.0)
        elif isinstance(self.network, SiameseResNet):
            losses = self._verification(self.network, self._embedded(batch, run), batch)
        else:
            losses = self._recognition(batch, run)
        run.backward(torch.stack([weight * loss for weight, loss in losses.values()]).sum())
        run.update("recognition")
        return {name: loss for name, (_, loss) in losses.items()}

    def validate(self, run: Run) -> Mapping[str, float]:
        """The AUC of fair pairs within each source, and their mean."""
        self._scores = [
            pair_scores(self.network, self._validation, pairs, self._settings.batch, run.device)
            for pairs in self._pairs
        ]
        figures = {
            f"auc {pairs.source}".strip(): pairs.auc(scores)
            for pairs, scores in zip(self._pairs, self._scores, strict=True)
        }
        return figures | {"auc": float(np.mean(list(figures.values())))}

    def sheet(self, run: Run) -> NDArray[np.uint8]:
        """Pairs of the first source, one above the other: genuine ones least alike, impostors most alike."""
        pairs = self._pairs[0]
        order = np.argsort(self._scores[0], kind="stable")
        genuine, impostor = order[pairs.genuine[order]], order[~pairs.genuine[order]]
        rows = []
        for chosen in (genuine[:_SHOWN], impostor[: -_SHOWN - 1 : -1]):
            rows += [
                list(self._validation.tensor(side[chosen]).numpy()[:, 0])
                for side in (pairs.first, pairs.second)
            ]
        return picture_sheet(rows)

    def _is_warm_up(self, step: int) -> bool:
        return step < self._settings.warm_up * self.steps_per_epoch

    def _embedded(self, batch: Batch, run: Run) -> Tensor:
        with run.autocast():
            embeddings: Tensor = self.network.embed(batch["images"])  # type: ignore[operator]
        return embeddings.float()

    def _recognition(self, batch: Batch, run: Run) -> Losses:
        """What a network learns from that is compared by cosine."""
        if self._prior is None or not isinstance(self.network, MaMI):
            return self._supervised(self._embedded(batch, run), batch, run.progress)
        assert self._teacher is not None
        with run.autocast():
            view = self.network.view(self.network.prepare(batch["images"]))
            with torch.no_grad():
                seen = self._teacher.embed(batch["images"])  # type: ignore[operator]
        alignment = self._prior(view.token.float(), view.patch_map.float(), seen.float())
        losses = self._supervised(view.embedding.float(), batch, run.progress)
        return losses | {"prior": (self._settings.prior, alignment)}

    def _supervised(self, embeddings: Tensor, batch: Batch, progress: float) -> Losses:
        settings, losses = self._settings, {}
        if self._head is not None:
            identity = self._head.loss(embeddings, batch["identities"], batch["groups"], settings.smoothing)
            losses["identity"] = (settings.identity, identity)
        if settings.triplet:
            triplet = batch_hard_triplet(embeddings, batch["persons"], batch["groups"])
            losses["triplet"] = (settings.triplet * progress, triplet)
        if settings.contrast:
            losses |= self._contrast(embeddings, batch, settings.contrast)
        return losses

    def _contrast(self, embeddings: Tensor, batch: Batch, weight: float) -> Losses:
        temperature = self._settings.temperature
        loss = supervised_contrast(embeddings, batch["persons"], batch["groups"], temperature)
        return {"contrast": (weight, loss)}

    def _verification(self, network: SiameseResNet, embeddings: Tensor, batch: Batch) -> Losses:
        genuine, impostor = comparable_pairs(batch["persons"], batch["groups"])
        first, second = torch.triu(genuine | impostor).nonzero(as_tuple=True)
        logits = network.verification_logit(embeddings[first], embeddings[second])
        return {"verification": (1.0, verification_loss(logits, genuine[first, second]))}


class _People:
    """Who is shown by the images of a store, as numbers.

    Attributes:
        persons: `[image]`, those that near-duplicates join as one.
        groups: `[image]`, what may be compared.
        identities: `[image]`, number among the persons with several images; -1 for the others.
        members: Which of these have images in which group, bool `[group, identity]`.
    """

    def __init__(self, store: ImageStore) -> None:
        person = joined_patients(store.patients, near_duplicates(store.images))
        self.persons = _numbers([person[patient] for patient in store.patients])
        self.groups = _numbers(group_names(store))
        several = np.bincount(self.persons) > 1
        self.identities = np.where(several, np.cumsum(several) - 1, -1)[self.persons]
        members = np.zeros((self.groups.max() + 1, several.sum()), bool)
        known = self.identities >= 0
        members[self.groups[known], self.identities[known]] = True
        self.members = torch.from_numpy(members)

    def one_image_each(self, count: int, random: np.random.Generator) -> NDArray[np.int64]:
        """One image of each of ``count`` persons of a group, or of all it has; groups drawn by their size."""
        group = self.groups[random.integers(len(self.groups))]
        images = random.permutation(np.flatnonzero(self.groups == group))
        _, first = np.unique(self.persons[images], return_index=True)
        return np.asarray(images[random.permutation(first)[:count]])


@torch.no_grad()
def embedding_dimension(network: nn.Module, store: ImageStore) -> int:
    """Length of a network's embeddings, found by trying; its mode and statistics are kept."""
    was_training = network.training
    embedding: Tensor = network.eval().embed(store.tensor([0]).to(next(network.parameters()).device))  # type: ignore[operator]
    network.train(was_training)
    return embedding.shape[1]


def _numbers(labels: object) -> NDArray[np.int64]:
    return np.unique(np.array(labels), return_inverse=True)[1].astype(np.int64)
