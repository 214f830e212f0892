"""The task of ``train-classifier``: several findings at once, each known or not for each image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import AdamW, Optimizer

from deid.core.errors import UsageError
from deid.networks.classifier import Classifier
from deid.training.augment import Augmentation, augment
from deid.training.decay import decayed
from deid.training.diagnosis_figures import Cell, cells
from deid.training.images import ImageStore
from deid.training.loop import Batch, BoundToData, Run
from deid.training.samples import MISSING, NEGATIVE, POSITIVE
from deid.training.sheet import picture_sheet

_LARGEST_WEIGHT = 20.0
_SHOWN = 4


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images with what is known of each finding.

    Attributes:
        store: The images.
        labels: `[image, finding]`, as `deid.training.samples.label_matrix` gives.
    """

    store: ImageStore
    labels: NDArray[np.int8]

    def cells(self, findings: Sequence[str], least: int) -> list[Cell]:
        """What can be measured: findings of a source that ``least`` patients have and ``least`` have not."""
        sources = [sample.source for sample in self.store.samples]
        found = cells(self.labels, findings, sources, self.store.patients)
        return [cell for cell in found if cell.has(least)]


@dataclass(frozen=True)
class DiagnosisSettings:
    """How the classifier learns.

    Attributes:
        batch: Images in a batch.
        rate: Full learning rate.
        weight_decay: Of matrices and kernels.
        balance: Draw sources, and in each source images with and without a finding, evenly.
        positive_weights: Weigh the loss of present findings by how rare they are in the batches.
        augmentation: How training images are changed; None leaves them.
        least: Patients with and without a finding in a source that a figure needs.
    """

    batch: int
    rate: float
    weight_decay: float
    balance: bool
    positive_weights: bool
    augmentation: Augmentation | None
    least: int


class DiagnosisTask(BoundToData):
    """`deid.training.loop.Task`: binary cross-entropy over the findings that are known.

    Args:
        network: To train.
        train: To learn from.
        validation: To choose the best epoch by.
        settings: How.
        digest: Of the data, which a resumed run must share.

    Raises:
        UsageError: There are too few images for a batch, or too few patients to measure any finding.
    """

    score = "auc"

    def __init__(
        self,
        network: Classifier,
        train: LabelledImages,
        validation: LabelledImages,
        settings: DiagnosisSettings,
        digest: str = "",
    ) -> None:
        super().__init__(digest)
        self.network, self._train, self._validation, self._settings = network, train, validation, settings
        self._cells = validation.cells(network.findings, settings.least)
        if not self._cells:
            raise UsageError(
                f"no finding can be measured: no source has {settings.least} validation patients with and "
                f"{settings.least} without one. Give more patients, or lower --least."
            )
        sources = [sample.source for sample in train.store.samples]
        self._weights = torch.from_numpy(draw_weights(train, sources, settings.balance))
        drawable = int((self._weights > 0).sum())
        if drawable < settings.batch:
            raise UsageError(
                f"there are {drawable} training images with a known finding, fewer than a batch "
                f"({settings.batch}); give more images or lower --batch."
            )
        self.steps_per_epoch = drawable // settings.batch
        self._positive = torch.ones(len(network.findings))
        if settings.positive_weights:
            self._positive = positive_weights(train.labels, self._weights.numpy())
        self._logits = np.zeros((0, len(network.findings)), np.float32)

    def modules(self) -> Mapping[str, nn.Module]:
        """The classifier."""
        return {"classifier": self.network}

    def frozen(self) -> Mapping[str, nn.Module]:
        """None."""
        return {}

    def optimizers(self) -> Mapping[str, Optimizer]:
        """AdamW."""
        groups = decayed(self.network, self._settings.weight_decay)
        return {"classifier": AdamW(groups, lr=self._settings.rate)}

    def batch(self, step: int, generator: torch.Generator) -> Batch:
        """Images drawn by their weights, changed by the augmentation, and their labels."""
        chosen = torch.multinomial(self._weights, self._settings.batch, generator=generator)
        images = self._train.store.tensor(chosen)
        if self._settings.augmentation is not None:
            images = augment(images, generator, self._settings.augmentation)
        return {"images": images, "labels": torch.from_numpy(self._train.labels[chosen.numpy()])}

    def step(self, batch: Batch, run: Run) -> Mapping[str, Tensor | float]:
        """One update."""
        with run.autocast():
            logits = self.network(batch["images"]).logits
        loss = masked_loss(logits.float(), batch["labels"], self._positive.to(logits.device))
        run.backward(loss)
        run.update("classifier")
        return {"loss": loss}

    def validate(self, run: Run) -> Mapping[str, float]:
        """The AUC of every finding within its source, and their mean."""
        self._logits = predict(self.network, self._validation.store, self._settings.batch)
        figures = {f"auc {cell.name}": cell.auc(self._logits) for cell in self._cells}
        return {"auc": float(np.mean(list(figures.values())))} | figures

    def sheet(self, run: Run) -> NDArray[np.uint8]:
        """A row for each finding: the validation images with its highest and its lowest logits."""
        rows = []
        for column in range(len(self.network.findings)):
            order = np.argsort(-self._logits[:, column], kind="stable")
            shown = np.concatenate([order[:_SHOWN], order[-_SHOWN:]])
            rows.append(list(self._validation.store.tensor(shown).numpy()[:, 0]))
        return picture_sheet(rows)


def masked_loss(logits: Tensor, labels: Tensor, positive: Tensor) -> Tensor:
    """Mean binary cross-entropy over what is known; 0 if nothing is.

    Args:
        logits: `[image, finding]`.
        labels: `[image, finding]`, `POSITIVE`, `NEGATIVE` or `MISSING`.
        positive: Weight of the present, `[finding]`.
    """
    known = (labels != MISSING).to(logits)
    truth = (labels == POSITIVE).to(logits)
    losses = functional.binary_cross_entropy_with_logits(logits, truth, pos_weight=positive, reduction="none")
    return (losses * known).sum() / known.sum().clamp_min(1)


def draw_weights(images: LabelledImages, sources: Sequence[str], balance: bool) -> NDArray[np.float64]:
    """How often each image is drawn, adding up to 1; images of which nothing is known never.

    Every patient of a source is drawn as often as any other, however many images there are of him. Balanced,
    half of the draws for a finding have it and half do not *within each source*, so that the source says
    nothing of the finding, and sources are drawn as the square roots of their numbers of images.

    Args:
        images: The images.
        sources: Of each image.
        balance: Whether to balance.
    """
    _, patient = np.unique(np.array(images.store.patients), return_inverse=True)
    known = (images.labels != MISSING).any(axis=1)
    once = known / np.bincount(patient, known)[patient].clip(1)
    if not balance:
        return np.asarray(once / once.sum())
    weights = np.zeros(len(once))
    names = np.array(sources, object)
    for source in set(sources):
        inside = np.flatnonzero(names == source)
        share = _evened(images.labels[inside], once[inside])
        weights[inside] = share * np.sqrt(known[inside].sum()) / max(share.sum(), 1e-12)
    weights /= weights.sum()
    return weights


def _evened(labels: NDArray[np.int8], once: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights by which each finding of a source is as often present as absent, averaged over its findings."""
    total, found = np.zeros(len(once)), False
    for column in labels.T:
        present, absent = (once * (column == state) for state in (POSITIVE, NEGATIVE))
        if present.any() and absent.any():
            total += present / present.sum() + absent / absent.sum()
            found = True
    return total if found else once


def positive_weights(labels: NDArray[np.int8], weights: NDArray[np.float64]) -> Tensor:
    """How much rarer each finding is drawn than its absence, `[finding]`, within 1/20 to 20."""
    present, absent = (weights @ (labels == state) for state in (POSITIVE, NEGATIVE))
    ratio = absent / np.maximum(present, 1e-12)
    return torch.from_numpy(ratio).float().clamp(1 / _LARGEST_WEIGHT, _LARGEST_WEIGHT)


@torch.no_grad()
def predict(network: Classifier, store: ImageStore, batch: int) -> NDArray[np.float32]:
    """Logits of all images, `[image, finding]`."""
    device, parts = network.head.weight.device, []
    for start in range(0, len(store), batch):
        images = store.tensor(np.arange(start, min(start + batch, len(store)))).to(device)
        parts.append(network(images).logits.float().cpu())
    return torch.cat(parts).numpy()
