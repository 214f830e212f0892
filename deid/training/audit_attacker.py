"""What an audit trains on the user's own pairs: an attacker, original to scrubbed, and a restorer.

The audit hands over plain arrays and takes networks, so that it needs to know nothing of training.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from deid.networks.compact import CompactResNet
from deid.networks.siamese import SiameseResNet
from deid.training.attacker import AttackerTask, AttackImages, AttackSettings
from deid.training.augment import Augmentation
from deid.training.images import ImageStore
from deid.training.loop import fit
from deid.training.options import LoopOptions
from deid.training.samples import Sample
from deid.training.start import spread_embeddings

Pictures = NDArray[np.float32]
Effort = Literal["quick", "full"]
Kind = Literal["compact", "siamese"]

_NAMES: dict[Kind, str] = {"compact": "trained", "siamese": "trained siamese"}
_RATES: dict[Kind, float] = {"compact": 2e-3, "siamese": 1e-3}
_VALIDATION = 5  # every fifth patient with several studies chooses the epoch


@dataclass(frozen=True)
class AuditTraining:
    """How much to train.

    Attributes:
        size: Side at which the attacker sees images; a multiple of 16.
        width: Channels of its first stage.
        epochs: Of the attacker.
        steps: In an epoch.
        patients: In a batch, two images of each.
        restorer_steps: Steps of the restorer.
        kinds: Attackers that are trained.
        device: Where it runs.
        augmentation: How images are changed on both sides; None leaves them.
        folder: Private folder for the runs; the system's temporary one if None. What a run writes is deleted
            with it.
    """

    size: int = 64
    width: int = 16
    epochs: int = 6
    steps: int = 40
    patients: int = 32
    restorer_steps: int = 200
    kinds: tuple[Kind, ...] = ("compact",)
    device: Literal["auto", "cuda", "mps", "cpu"] = "auto"
    augmentation: Augmentation | None = field(default_factory=Augmentation)
    folder: Path | None = None

    @classmethod
    def of(cls, effort: Effort, folder: Path | None = None) -> AuditTraining:
        """What an effort stands for."""
        if effort == "quick":
            return cls(folder=folder)
        kinds: tuple[Kind, ...] = ("compact", "siamese")
        return cls(width=24, epochs=40, steps=60, restorer_steps=4_000, kinds=kinds, folder=folder)

    def attackers(self) -> dict[str, AttackerTrainer]:
        """A trainer of each kind, by the name that its attacker has in the report."""
        return {_NAMES[kind]: AttackerTrainer(self, kind) for kind in self.kinds}


class AttackerTrainer:
    """Trains a recogniser, originals against scrubbed images of the same patients.

    Satisfies `deid.audit.reid.TrainAttacker`.

    Args:
        how: How much.
        kind: ``compact``, by contrast, or ``siamese``, by verification of pairs (Packhaeuser et al. 2022).
    """

    def __init__(self, how: AuditTraining, kind: Kind = "compact") -> None:
        self._how, self._kind = how, kind

    def __call__(
        self,
        originals: Pictures,
        scrubbed: Pictures,
        patients: Sequence[str],
        studies: Sequence[str],
        sources: Sequence[str],
        seed: int,
    ) -> nn.Module:
        """An attacker in eval mode, on the CPU.

        Args:
            originals: `[image, row, column]` in 0..1.
            scrubbed: The same images scrubbed.
            patients: Of each image.
            studies: Likewise.
            sources: Likewise.
            seed: Of the training.

        Raises:
            UsageError: Too few patients have several images.
        """
        how = self._how
        samples = [
            Sample(Path(f"{number}.png"), patient, source, study=study)
            for number, (patient, source, study) in enumerate(zip(patients, sources, studies, strict=True))
        ]
        learning, choosing = (
            AttackImages(_store(originals, samples, part), [_store(scrubbed, samples, part)])
            for part in _parted(patients, studies)
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network: nn.Module = (
                CompactResNet(how.size, how.width)
                if self._kind == "compact"
                else SiameseResNet(size=how.size)
            )
            some = np.arange(min(64, len(learning.originals)))
            spread_embeddings(network, learning.originals.tensor(some))
        settings = AttackSettings(
            how.patients,
            rate=_RATES[self._kind],
            steps_per_epoch=how.steps,
            augmentation=how.augmentation,
            verification=False,  # an audit searches galleries by products of embeddings
        )
        options = LoopOptions(epochs=how.epochs, seed=seed, device=how.device, workers=1)
        with tempfile.TemporaryDirectory(prefix="attacker-", dir=how.folder) as folder:
            fit(AttackerTask(network, learning, choosing, settings), options, Path(folder), alone=True)
        return network.cpu().eval()


class RestorerTrainer:
    """Trains a small U-Net that turns scrubbed images back; satisfies `deid.audit.inversion.TrainRestorer`.

    Args:
        how: How much.
    """

    def __init__(self, how: AuditTraining) -> None:
        self._how = how

    def __call__(self, originals: Pictures, scrubbed: Pictures, seed: int) -> nn.Module:
        """A network `[image, 1, row, column]` to the same, in eval mode, on the CPU.

        Args:
            originals: `[image, row, column]` in 0..1; rows and columns are multiples of 8.
            scrubbed: The same images scrubbed.
            seed: Of the training.
        """
        generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = restorer_network().train()
        optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
        for _ in range(self._how.restorer_steps):
            drawn = torch.randint(len(originals), (16,), generator=generator).numpy()
            given, wanted = (torch.from_numpy(side[drawn])[:, None] for side in (scrubbed, originals))
            loss = (network(given) - wanted).abs().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return network.eval()


def restorer_network() -> nn.Module:
    """A new restorer, `[image, 1, row, column]` to the same; rows and columns are multiples of 8."""
    import segmentation_models_pytorch as smp

    unet = smp.Unet(
        "resnet18", encoder_depth=3, encoder_weights=None, decoder_channels=[64, 32, 16], in_channels=1
    )
    return _Added(unet)


class _Added(nn.Module):
    """What the U-Net predicts is added to the image: at first it changes little."""

    def __init__(self, unet: nn.Module) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        changed: torch.Tensor = images + self.unet(images)
        return changed


def _parted(patients: Sequence[str], studies: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Images to learn from and images to choose the best epoch by, no patient in both."""
    of_patient: dict[str, set[str]] = {}
    for patient, study in zip(patients, studies, strict=True):
        of_patient.setdefault(patient, set()).add(study)
    several = sorted(patient for patient, own in of_patient.items() if len(own) > 1)
    chosen = set(several[::_VALIDATION])
    held = np.array([patient in chosen for patient in patients])
    return np.flatnonzero(~held), np.flatnonzero(held)


def _store(pictures: Pictures, samples: Sequence[Sample], part: NDArray[np.int64]) -> ImageStore:
    whole = np.rint(pictures[part].clip(0, 1) * 65535).astype(np.uint16)
    return ImageStore.of(whole, [samples[i] for i in part])
