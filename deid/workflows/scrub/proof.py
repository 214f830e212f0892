"""What critics and classifier see of an image before and after, for the journal and the review."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from deid.core.coverage import ImageFacts
from deid.core.errors import Held, UsageError
from deid.core.model_card import ModelKind, ModelRecord
from deid.core.review_store import LARGEST_SIDE, ReviewEntry, ReviewStore
from deid.core.unrelated import Template, Templates
from deid.networks.classifier import Classifier
from deid.networks.folder import load_network
from deid.networks.similarity import peak_signal_to_noise, structural_similarity
from deid.training.device import choose_device
from deid.workflows.scrub.units import Unit

NO_DEVICE = "identity: the device of --device is not there"
_DIGITS = 4
_MOST_PSNR = 100.0


def device_of(name: str) -> torch.device:
    """The device of ``--device``; torch then computes in one thread, so that jobs change no result.

    A GPU computes convolutions in full single precision: TensorFloat-32, torch's default there, has ten bits,
    too few for images of twelve or sixteen to come out as on a CPU; and by algorithms that repeat their bits.

    Raises:
        Held: It is not there.
    """
    torch.set_num_threads(1)
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    try:
        return choose_device(name)
    except UsageError:
        raise Held(NO_DEVICE) from None


@dataclass(frozen=True, eq=False)
class Figures:
    """What was measured of one image.

    Attributes:
        critics: Cosine of original and scrubbed image by re-identification network, -1..1.
        findings: Output of the classifier before and after by finding, 0..1.
        psnr: Peak signal to noise in dB, 100 at most, at the anonymizer's resolution.
        ssim: Structural similarity, likewise.
        before: The image, `[row, column]` in 0..1.
        after: The same scrubbed.
        templates: What the re-identification networks make of both, by name.
    """

    critics: Mapping[str, float]
    findings: Mapping[str, tuple[float, float]]
    psnr: float
    ssim: float
    before: NDArray[np.float32]
    after: NDArray[np.float32]
    templates: Mapping[str, Template]

    def to_json(self) -> dict[str, Any]:
        """The figures, rounded, without images and templates."""
        return {
            "critics": {name: round(cosine, _DIGITS) for name, cosine in self.critics.items()},
            "findings": {
                name: [round(value, _DIGITS) for value in pair] for name, pair in self.findings.items()
            },
            "psnr": round(self.psnr, _DIGITS),
            "ssim": round(self.ssim, _DIGITS),
        }


class Proof:
    """Looks at images with networks that know patients and diseases.

    Args:
        observers: Folders of critics, attackers and classifiers.
        anonymizer: Whose images they are.
        device: Where the networks run.
    """

    def __init__(self, observers: tuple[Path, ...], anonymizer: ModelRecord, device: torch.device) -> None:
        self._anonymizer, self._device = anonymizer, device
        self._critics: dict[str, nn.Module] = {}
        self._weights: dict[str, str] = {}
        self._classifiers: list[Classifier] = []
        for folder in observers:
            network, record = load_network(folder)
            network.to(device).requires_grad_(False)
            if record.kind in (ModelKind.REID, ModelKind.ATTACKER):
                assert record.weights is not None
                self._critics[record.name], self._weights[record.name] = network, record.weights.sha256
            elif isinstance(network, Classifier):
                self._classifiers.append(network)

    @torch.inference_mode()
    def figures(self, before: NDArray[np.float32], after: NDArray[np.float32]) -> Figures:
        """Compare an image `[row, column]` in 0..1 with what became of it."""
        size = self._anonymizer.input.size
        images = torch.cat([_sized(image, size, self._device) for image in (before, after)])
        embeddings = {name: _embed(network, images) for name, network in self._critics.items()}
        beliefs: dict[str, tuple[float, float]] = {}
        for classifier in self._classifiers:
            logits = torch.sigmoid(classifier(images).logits.float()).cpu()
            beliefs |= {
                name: (float(logits[0, number]), float(logits[1, number]))
                for number, name in enumerate(classifier.findings)
            }
        one, other = images[:1], images[1:]
        return Figures(
            {name: float(functional.cosine_similarity(e[0], e[1], dim=0)) for name, e in embeddings.items()},
            beliefs,
            float(peak_signal_to_noise(one, other).clamp(max=_MOST_PSNR)),
            float(structural_similarity(one, other)),
            before,
            after,
            {name: Template(self._weights[name], *e.cpu().numpy()) for name, e in embeddings.items()},
        )

    def keep(self, folder: Path, unit: Unit, facts: ImageFacts, strength: float, figures: Figures) -> None:
        """Put an image into the review store: before, after, what changed, and where critics look."""
        known = self._anonymizer.companions
        entry = ReviewEntry(
            ref=unit.ref,
            output=unit.outputs[0],
            modality=facts.modality,
            view=facts.view,
            model=self._anonymizer.name,
            strength=strength,
            critics=figures.critics,
            held_out=tuple(name for name in self._critics if name not in known),
            findings=figures.findings,
            psnr=figures.psnr,
            ssim=figures.ssim,
            held="",
        )
        before, after = (_picture(image) for image in (figures.before, figures.after))
        change = np.clip(128 + (after.astype(np.int16) - before) // 2, 0, 255).astype(np.uint8)
        heat = _grey(self._heat(figures, before.shape))
        pictures = {"before": before, "after": after, "change": change, "heat": heat}
        ReviewStore(folder).write(entry, pictures, Templates(unit.patient, figures.templates))

    def _heat(self, figures: Figures, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Where critics would know the patient again: `[row, column]` in 0..1.

        The change of each pixel times how much it moved the likeness to the original, by the gradient half
        way between both images, averaged over the critics.
        """
        size = self._anonymizer.input.size
        one, other = (_sized(image, size, self._device) for image in (figures.before, figures.after))
        total = torch.zeros_like(one)
        for name, network in self._critics.items():
            wanted = torch.from_numpy(figures.templates[name].before)[None].to(self._device)
            middle = ((one + other) / 2).requires_grad_()
            likeness = functional.cosine_similarity(_embed(network, middle), wanted).sum()
            (slope,) = torch.autograd.grad(likeness, middle)
            found = (slope * (one - other)).abs()
            total += found / found.sum().clamp_min(1e-12)
        smooth = functional.avg_pool2d(total, 9, 1, 4)
        large = functional.interpolate(smooth, shape, mode="bilinear", align_corners=False)[0, 0]
        return np.asarray((large / large.max().clamp_min(1e-12)).cpu().numpy(), np.float32)


def _embed(network: nn.Module, images: Tensor) -> Tensor:
    embeddings: Tensor = network.embed(images)  # type: ignore[operator]
    return embeddings.float()


def _sized(image: NDArray[np.float32], size: tuple[int, int], device: torch.device) -> Tensor:
    """`[1, 1, row, column]` at the size of the networks."""
    native = torch.from_numpy(image)[None, None].to(device)
    return functional.interpolate(native, size, mode="bilinear", antialias=True, align_corners=False)


def _picture(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A small grey picture that keeps the image's shape."""
    rows, columns = image.shape
    share = min(1.0, LARGEST_SIDE / max(rows, columns))
    size = (max(1, round(rows * share)), max(1, round(columns * share)))
    return _grey(_sized(image, size, torch.device("cpu"))[0, 0].numpy())


def _grey(unit: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.rint(np.clip(unit, 0, 1) * 255).astype(np.uint8)
