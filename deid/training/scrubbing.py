"""The task of ``train-unet``: an anonymizer against critics that learn from what it now makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from deid.networks.anonymizer import Anonymizer
from deid.networks.classifier import Classifier
from deid.networks.mami import MaMI
from deid.training.critics import Critics, CriticSettings, embed
from deid.training.decay import decayed
from deid.training.diagnosis import masked_loss
from deid.training.fidelity import fidelity_loss
from deid.training.fresh_attacker import FreshAttack
from deid.training.images import ImageStore
from deid.training.loop import Batch, BoundToData, Run
from deid.training.pairs import PKSampler
from deid.training.privacy_losses import indistinguishable, scores_between
from deid.training.scrub_checks import ScrubCheck
from deid.training.sheet import before_after

_SHOWN = 6
_VARIED = 4  # of so many batches one has varied strengths
_FAVOUR = 4.0
# Features tell more of a patient than their findings do: to hold them as fast as these would hold identity.
_FEATURES, _LOGITS = 0.3, 0.1
# Of the critics' rate. Measured on originals alone (--critics mami-s --critic-steps 400): at a quarter of
# 2e-3 a trained MaMI forgets in 60 steps what it knew (contrast 2.56 -> 2.69, chance 2.89), at a twentieth it
# learns on (2.42 after 120).
_MAMI_SHARE = 0.05


@dataclass(frozen=True, eq=False)
class ScrubbingImages:
    """Images to learn to scrub from.

    Attributes:
        store: The images.
        groups: Group of each image: genuine and impostor pairs stay within one.
        labels: `[image, finding]` of the classifier's findings, as `deid.training.samples.label_matrix`
            gives.
    """

    store: ImageStore
    groups: Sequence[str]
    labels: NDArray[np.int8]


@dataclass(frozen=True)
class ScrubbingSettings:
    """How the anonymizer learns.

    Attributes:
        patients: Patients with several images in a batch; one image of each is scrubbed.
        others: Images of any patients besides, drawn evenly with and without findings.
        rate: Full learning rate of the anonymizer.
        critic_rate: The same of the critics.
        weight_decay: Of matrices and kernels.
        privacy: Weight of the indistinguishability of genuine and impostor scores.
        utility: Weight of what the classifier must still see.
        fidelity: Weight of the picture.
        least_strength: Strengths are drawn from here to 1; three batches of four have 1 throughout.
        critics: How the critics learn.
        steps_per_epoch: Steps between two validations.
    """

    patients: int = 18
    others: int = 8
    rate: float = 1.5e-3
    critic_rate: float = 1e-3
    weight_decay: float = 0.02
    privacy: float = 1.0
    utility: float = 1.0
    fidelity: float = 1.0
    least_strength: float = 0.2
    critics: CriticSettings = field(default_factory=CriticSettings)
    steps_per_epoch: int = 100


class ScrubbingTask(BoundToData):
    """`deid.training.loop.Task`: privacy, utility and fidelity of scrubbed images, and critics in turns.

    Each step scrubs one batch. The critics score the scrubbed images against originals of the same patients;
    the anonymizer learns to make genuine scores indistinguishable from the impostors' in the batch, while the
    frozen classifier's features, logits and losses stay. Then critics learn, see
    `deid.training.critics.Critics`. The figures of a step are the three terms and the contrast of each critic
    that had a lesson, under its name: the log tells which of them still see anything (chance is the logarithm
    of the patients in a lesson).

    Args:
        network: To train.
        critics: Networks with `embed`, by name, of different architectures.
        classifier: Frozen.
        images: Training images.
        check: What is measured on the validation patients.
        settings: How.
        fresh: An attacker from random weights for each validation of the second half, when alone an epoch can
            be chosen; None to do without.
        digest: Of the data, so that a run is not resumed with others.

    Raises:
        UsageError: Too few patients have several images.
    """

    score = "score"
    # Early critics see little of what the anonymizer leaves: their praise is no reason to choose an epoch.
    best_from = 0.5

    def __init__(
        self,
        network: Anonymizer,
        critics: Mapping[str, nn.Module],
        classifier: Classifier,
        images: ScrubbingImages,
        check: ScrubCheck,
        settings: ScrubbingSettings,
        fresh: FreshAttack | None = None,
        digest: str = "",
    ) -> None:
        super().__init__(digest)
        self.network, self.critics, self._classifier = network, dict(critics), classifier
        self._images, self._check, self._settings, self._fresh = images, check, settings, fresh
        self._teacher = Critics(critics, images.store, images.groups, settings.critics)
        self._sampler = PKSampler(images.store, patients=settings.patients, images=2, groups=images.groups)
        self._even = even_weights(images)
        self.steps_per_epoch = settings.steps_per_epoch

    def modules(self) -> Mapping[str, nn.Module]:
        """The anonymizer and its critics."""
        return {"anonymizer": self.network} | {f"critic {name}": net for name, net in self.critics.items()}

    def frozen(self) -> Mapping[str, nn.Module]:
        """The classifier."""
        return {"classifier": self._classifier}

    def optimizers(self) -> Mapping[str, Optimizer]:
        """AdamW for each; a MaMI critic learns at a twentieth of the critics' rate."""
        rates = {"anonymizer": self._settings.rate} | {
            f"critic {name}": self._settings.critic_rate * (_MAMI_SHARE if isinstance(net, MaMI) else 1.0)
            for name, net in self.critics.items()
        }
        return {
            name: AdamW(decayed(module, self._settings.weight_decay), lr=rates[name])
            for name, module in self.modules().items()
        }

    def batch(self, step: int, generator: torch.Generator) -> Batch:
        """References and images of P patients, other images, labels, strengths and noise; and the lessons.

        ``references`` `[patient, 1, row, column]` belong to the first ``images`` in their order.
        """
        seed = int(torch.randint(2**62, (1,), generator=generator))
        drawn = self._sampler.batch(np.random.default_rng(seed))
        others = torch.multinomial(self._even, self._settings.others, generator=generator).numpy()
        indices = np.concatenate([drawn[1::2], others])
        count = len(indices)
        low = 1.0 if step % _VARIED else self._settings.least_strength
        return {
            "references": self._images.store.tensor(drawn[0::2]),
            "images": self._images.store.tensor(indices),
            "labels": torch.from_numpy(self._images.labels[indices]),
            "strength": low + (1 - low) * torch.rand(count, generator=generator),
            "noise": self.network.draw_noise(count, generator),
            **self._teacher.lessons(self.network, low, generator),
        }

    def step(self, batch: Batch, run: Run) -> Mapping[str, Tensor | float]:
        """One update of the anonymizer, unless the critics are still alone, and the critics' lessons."""
        if run.step < self._settings.critics.warm_up:
            return self._teacher.learn(self.network, batch, run)
        with run.autocast():
            scrubbed = self.network(batch["images"], batch["strength"], batch["noise"])
            terms = {
                "privacy": self._privacy(batch["references"], scrubbed),
                "utility": self._utility(batch, scrubbed),
                "fidelity": fidelity_loss(batch["images"], scrubbed, batch["strength"]),
            }
        weights = {name: getattr(self._settings, name) for name in terms}
        run.backward(torch.stack([weights[name] * term for name, term in terms.items()]).sum())
        run.update("anonymizer")
        return {**terms, **self._teacher.learn(self.network, batch, run)}

    def _privacy(self, references: Tensor, scrubbed: Tensor) -> Tensor:
        """How well critics tell genuine pairs from impostors, either way; who sees more counts more.

        Images are as an attacker has them: the changes by which critics learn would only make it easier to
        escape from them.
        """
        found = []
        for critic in self.critics.values():
            critic.eval()
            with torch.no_grad():
                known = embed(critic, references)
            seen = embed(critic, scrubbed[: len(references)])
            found.append(indistinguishable(*scores_between(known.float(), seen.float())))
        distances = torch.stack(found)
        return (distances * torch.softmax(_FAVOUR * distances.detach(), dim=0)).sum()

    def _utility(self, batch: Batch, scrubbed: Tensor) -> Tensor:
        """Features, logits and the loss per known finding of the frozen classifier."""
        with torch.no_grad():
            before = self._classifier(batch["images"])
        after = self._classifier(scrubbed)
        spread = before.features.var(0).mean().clamp_min(1e-6)
        features = (after.features - before.features).square().mean() / spread
        logits = (after.logits - before.logits).square().mean()
        positive = torch.ones(after.logits.shape[1], device=scrubbed.device)
        loss = masked_loss(after.logits.float(), batch["labels"], positive)
        kept: Tensor = _FEATURES * features + _LOGITS * logits + loss
        return kept

    def validate(self, run: Run) -> Mapping[str, float]:
        """See `deid.training.scrub_checks.ScrubCheck.figures`; of the fresh attacker in the second half."""
        fresh: Mapping[str, float] = {}
        if self._fresh is not None and run.progress >= self.best_from:
            fresh = self._fresh.figures(self.network, run.step, run.device)
        return self._check.figures(self.network, self.critics, self._classifier, run.device, fresh)

    def sheet(self, run: Run) -> NDArray[np.uint8]:
        """Validation images before, after at strength 1, and the difference."""
        before = self._check.pictures(_SHOWN).to(run.device)
        noise = self.network.draw_noise(len(before), run.generator).to(run.device)
        return before_after(before, self.network(before, torch.ones(len(before), device=run.device), noise))


def even_weights(images: ScrubbingImages) -> Tensor:
    """How often each image is drawn: each group of equal labels of a source by the root of its size.

    So rare groups come more often than they are, and still not the same few images all the time.
    """
    keys = [
        (sample.source, *labels.tolist())
        for sample, labels in zip(images.store.samples, images.labels, strict=True)
    ]
    _, group, counts = np.unique([repr(key) for key in keys], return_inverse=True, return_counts=True)
    return torch.from_numpy(1 / np.sqrt(counts[group] * float(len(counts))))
