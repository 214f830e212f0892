"""An attacker trained on the user's own pairs: what he reaches who learns how this release looks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import nn

from deid.networks.compact import CompactResNet
from deid.networks.siamese import SiameseResNet
from deid.training.attacker import AttackerTask, AttackImages, AttackSettings
from deid.training.images import ImageStore
from deid.training.loop import fit
from deid.training.options import LoopOptions
from deid.training.samples import Sample

if TYPE_CHECKING:
    from deid.workflows.audit.options import Effort

_VALIDATION = 0.2
_TOP = np.iinfo(np.uint16).max
_EPOCHS = {"quick": 6, "full": 40}
_SIDE = 96
_RESTART = 1000


@dataclass(frozen=True)
class AdaptiveTrainer:
    """Trains a recogniser, original to scrubbed, on a part of the patients of an audit.

    Restarts, whose seeds are 1000 apart, train a compact residual network and the Siamese one of Packhäuser
    et al. in turn.

    Attributes:
        effort: How long.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        folder: A private temporary folder.
    """

    effort: Effort
    device: str
    folder: Path

    def __call__(
        self,
        originals: NDArray[np.float32],
        scrubbed: NDArray[np.float32],
        patients: tuple[str, ...],
        studies: tuple[str, ...],
        sources: tuple[str, ...],
        seed: int,
    ) -> nn.Module:
        """A network with ``embed``, in evaluation mode on the CPU.

        Args:
            originals: `[image, row, column]` in 0..1.
            scrubbed: The same images after the scrub.
            patients: Of each image.
            studies: Likewise.
            sources: Likewise; impostors are drawn within one.
            seed: Of everything random.

        Raises:
            UsageError: Too few patients have several images.
        """
        import torch

        torch.manual_seed(seed)
        network = _recogniser(seed)
        samples = [
            Sample(Path(str(number)), patient, source, study=study)
            for number, (patient, source, study) in enumerate(zip(patients, sources, studies, strict=True))
        ]
        before, after = (ImageStore.of(_whole(side), samples) for side in (originals, scrubbed))
        chosen = _validation(patients, seed)
        train, validation = (
            AttackImages(before.subset(rows), [after.subset(rows)])
            for rows in (np.flatnonzero(~chosen), np.flatnonzero(chosen))
        )
        task = AttackerTask(network, train, validation, AttackSettings())
        options = LoopOptions.model_validate(
            {"epochs": _EPOCHS[self.effort], "patience": 6, "seed": seed, "device": self.device}
        )
        with TemporaryDirectory(dir=self.folder) as run:
            fit(task, options, Path(run) / "attacker")
        return network.cpu().eval()


def _recogniser(seed: int) -> nn.Module:
    return SiameseResNet(size=_SIDE) if seed // _RESTART % 2 else CompactResNet(size=_SIDE)


def _validation(patients: tuple[str, ...], seed: int) -> NDArray[np.bool_]:
    """Images of the patients by whom the best epoch is chosen, `[image]`."""
    names = sorted(set(patients))
    drawn = np.random.default_rng(seed).permutation(len(names))
    held_back = {names[index] for index in drawn[: max(1, round(_VALIDATION * len(names)))]}
    return np.array([patient in held_back for patient in patients])


def _whole(images: NDArray[np.float32]) -> NDArray[np.uint16]:
    return np.rint(images * _TOP).astype(np.uint16)
