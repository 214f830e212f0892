"""What scrubbed images of held-out patients still tell: critics' scores and the classifier's reading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from deid.networks.anonymizer import Anonymizer
from deid.networks.classifier import Classifier
from deid.reid.pairs import both_ways, cross_scores
from deid.training.diagnosis_figures import Cell
from deid.training.images import ImageStore
from deid.training.verification import fair_pairs

_AT_ONCE = 64
_NOISE_SEED = 20251


class ScrubCheck:
    """Pairs and findings of one part of the data, measured again and again as the anonymizer learns.

    Args:
        store: The images.
        cells: What the classifier is measured on.
        duplicates: Pairs of images of the store that are nearly the same.
        utility: Weight, in the score, of AUC that the classifier loses.
    """

    def __init__(
        self,
        store: ImageStore,
        cells: Sequence[Cell],
        duplicates: Sequence[tuple[int, int]] = (),
        utility: float = 4.0,
    ) -> None:
        self.store, self.cells, self._utility = store, tuple(cells), utility
        fair = fair_pairs(store, duplicates)
        self.pairs = tuple(both_ways(pairs) for pairs in fair)
        self._patients = [pairs.patients for pairs in fair]
        self._before: dict[str, float] = {}

    def pictures(self, count: int) -> Tensor:
        """Some images, evenly from all: `[image, 1, row, column]`."""
        return self.store.tensor(np.linspace(0, len(self.store) - 1, count).astype(np.int64))

    def figures(
        self,
        network: Anonymizer,
        critics: Mapping[str, nn.Module],
        classifier: Classifier,
        device: torch.device,
        fresh: Mapping[str, float] = MappingProxyType({}),
    ) -> dict[str, float]:
        """AUC of each critic, original to scrubbed, and of the classifier, at strength 1.

        Args:
            network: The anonymizer.
            critics: By name.
            classifier: Reads the findings.
            device: Where they run.
            fresh: AUC by source of an attacker that was trained apart; it counts as a critic does.

        Returns:
            ``reid``: AUC of the best critic, either way round, 0.5 at chance; a critic's is the mean of the
            sources by their patients with a genuine pair, so that the noise of a source with a dozen such
            does not choose the epoch. ``lost``: mean AUC that the classifier loses. ``score``: 1 at chance
            and nothing lost, lower with either. Then each in parts.
        """
        scrubbed = self.scrubbed(network, 1.0, device)
        areas = {"fresh attacker": [fresh[pairs.source] for pairs in self.pairs]} if fresh else {}
        for name, critic in critics.items():
            sides = [self._embedded(critic, store, device) for store in (self.store, scrubbed)]
            areas[name] = [pairs.auc(cross_scores(pairs, *sides)) for pairs in self.pairs]
        means = [
            np.average([max(area, 1 - area) for area in own], weights=self._patients)
            for own in areas.values()
        ]
        found = {
            f"reid {name} ({pairs.source})": area
            for name, own in areas.items()
            for pairs, area in zip(self.pairs, own, strict=True)
        }
        if not self._before:
            self._before = self._read(classifier, self.store, device)
        after = self._read(classifier, scrubbed, device)
        worst = float(max(means))
        lost = float(np.mean([self._before[name] - after[name] for name in after])) if after else 0.0
        score = 1 - 2 * (worst - 0.5) - self._utility * max(lost, 0.0)
        return {"score": score, "reid": worst, "lost": lost} | found | after

    def scrubbed(self, network: Anonymizer, strength: float, device: torch.device) -> ImageStore:
        """The store with every image scrubbed, always with the same noise."""
        return scrub_store(network, self.store, strength, _NOISE_SEED, device)

    def _embedded(self, critic: nn.Module, store: ImageStore, device: torch.device) -> NDArray[np.float32]:
        from deid.reid.embedding import embed_images

        return embed_images(critic, store.images, _AT_ONCE, device)

    def _read(self, classifier: Classifier, store: ImageStore, device: torch.device) -> dict[str, float]:
        logits = read_findings(classifier, store, device)
        return {f"auc {cell.name}": cell.auc(logits) for cell in self.cells}


def scrub_store(
    network: Anonymizer, store: ImageStore, strength: float, seed: int, device: torch.device | str = "cpu"
) -> ImageStore:
    """A store of the same samples, every image scrubbed with its own noise and rounded as before.

    Args:
        network: The anonymizer; it is left in the mode it came in.
        store: Images.
        strength: 0..1.
        seed: Of the noise.
        device: Where it runs.
    """
    generator = torch.Generator().manual_seed(seed)
    top = np.iinfo(store.images.dtype).max
    was_training = network.training
    network.to(device).eval()
    images = np.empty_like(store.images)
    with torch.inference_mode():
        for start in range(0, len(store), _AT_ONCE):
            part = store.tensor(np.arange(start, min(start + _AT_ONCE, len(store)))).to(device)
            noise = network.draw_noise(len(part), generator).to(device)
            scrubbed = network(part, torch.full((len(part),), strength, device=device), noise)
            images[start : start + len(part)] = np.rint(scrubbed[:, 0].cpu().numpy() * top)
    network.train(was_training)
    return ImageStore(images, store.samples, store.frames, store.sides, store.report)


def read_findings(
    classifier: Classifier, store: ImageStore, device: torch.device | str = "cpu"
) -> NDArray[np.float32]:
    """Logits of the classifier `[image, finding]`."""
    classifier.to(device).eval()
    parts = []
    with torch.inference_mode():
        for start in range(0, len(store), _AT_ONCE):
            images = store.tensor(np.arange(start, min(start + _AT_ONCE, len(store)))).to(device)
            parts.append(classifier(images).logits.float().cpu())
    return torch.cat(parts).numpy()
