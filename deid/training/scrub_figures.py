"""What a card says of an anonymizer: what re-trained attackers and inversion reach, what is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from deid.core.model_card import Metric
from deid.networks.anonymizer import Anonymizer
from deid.networks.classifier import Classifier
from deid.networks.familiarity import altered
from deid.networks.similarity import peak_signal_to_noise, structural_similarity
from deid.reid.metrics import Interval, patient_bootstrap, percentile_interval
from deid.reid.pairs import FairPairs, both_ways
from deid.training.attacker import Attack, AttackerTask, AttackImages, AttackSettings
from deid.training.card import metric
from deid.training.dataset import Dataset
from deid.training.diagnosis_figures import Cell
from deid.training.images import ImageStore
from deid.training.inversion_figures import inversion_metrics
from deid.training.loop import fit
from deid.training.options import LoopOptions
from deid.training.prefetch import step_generator
from deid.training.scrub_checks import read_findings, scrub_store
from deid.training.split import near_duplicates
from deid.training.verification import fair_pairs

_TRAIN_SEED, _VALIDATION_SEED, _TEST_SEED = 101, 202, 303
_CHANCE = 0.5


@dataclass(frozen=True)
class MeasureSettings:
    """How thoroughly to measure.

    Attributes:
        strengths: At which to measure.
        versions: How many times training images are scrubbed, each with other noise, for an attacker to learn
            from.
        loop: How long an attacker learns.
        attack: How.
        inverted: Test images to invert at most, see `deid.reid.pairs.evenly_chosen`; 0 for none.
    """

    strengths: Sequence[float]
    versions: int
    loop: LoopOptions
    attack: AttackSettings
    inverted: int


@dataclass(frozen=True, eq=False)
class AnonymizerFigures:
    """What was measured.

    Attributes:
        metrics: For the record.
        attackers: By strength, the one that was trained on the scrubbed images; 0 is the ceiling's, which
            was trained on originals.
    """

    metrics: tuple[Metric, ...]
    attackers: dict[float, Attack]


def attacked_pairs(test: ImageStore) -> list[FairPairs]:
    """The pairs that are measured, of each source.

    Raises:
        UsageError: There are none.
    """
    return [both_ways(each) for each in fair_pairs(test, near_duplicates(test.images))]


def measure_anonymizer(
    network: Anonymizer,
    classifier: Classifier,
    cells: Sequence[Cell],
    dataset: Dataset,
    make_attacker: Callable[[], nn.Module],
    settings: MeasureSettings,
    folder: Path,
    say: Callable[[str], None],
) -> AnonymizerFigures:
    """Measure on the test patients, once.

    An attacker's start depends on the seed and the strength only, so who measures a finished run again, with
    the attackers deleted, gets the same figures.

    Args:
        network: The anonymizer.
        classifier: The frozen reader.
        cells: Findings of the test images that can be measured.
        dataset: Attackers learn from its training patients and are chosen on its validation patients.
        make_attacker: Gives a new attacker with random weights, by torch's global random numbers.
        settings: How thoroughly.
        folder: For the runs of the attackers.
        say: Receives lines for the user.
    """
    test = dataset.test
    pairs = attacked_pairs(test)
    ceiling = _trained(make_attacker, network, dataset, 0.0, settings, folder)
    attackers, metrics = {0.0: ceiling}, list(_familiar(network, test))
    highest = dict(_attacked(ceiling, AttackImages(test, [test]), pairs))
    metrics += [
        _figure(f"{ceiling.name}, original to original, ROC AUC (ceiling)", test, p, found)
        for p, found in highest.items()
    ]
    metrics += _kept(cells, read_findings(classifier, test), test, "original")
    for strength in settings.strengths:
        say(f"measuring at strength {strength:g}")
        scrubbed = scrub_store(network, test, strength, _TEST_SEED)
        attackers[strength] = _trained(make_attacker, network, dataset, strength, settings, folder)
        at, sides = f"strength {strength:g}", AttackImages(test, [scrubbed])
        for each, found in _attacked(attackers[strength], sides, pairs):
            metrics.append(
                _figure(f"{attackers[strength].name}, original to scrubbed, ROC AUC, {at}", test, each, found)
            )
            metrics += _excess(found, highest[each], test, each, at)
        metrics += inversion_metrics(
            network, ceiling, sides, pairs, strength, settings.inverted, settings.loop.seed
        )
        metrics += _kept(cells, read_findings(classifier, scrubbed), test, at)
        metrics += _pictures(test, scrubbed, at)
    return AnonymizerFigures(tuple(metrics), attackers)


def _excess(
    found: Interval, ceiling: Interval, test: ImageStore, pairs: FairPairs, at: str
) -> Iterator[Metric]:
    """`excess`, where there is a ceiling to speak of: its interval lies above chance."""
    if ceiling.low > _CHANCE:
        name = f"excess over chance as a share of the ceiling's, {at}"
        yield _figure(name, test, pairs, excess(found, ceiling))


def excess(found: Interval, ceiling: Interval) -> Interval:
    """(AUC - 0.5) / (ceiling - 0.5); the interval takes the ceiling, which is above 0.5, as given."""
    span = ceiling.value - _CHANCE
    return Interval(*((end - _CHANCE) / span for end in (found.value, found.low, found.high)))


def _trained(
    make_attacker: Callable[[], nn.Module],
    network: Anonymizer,
    dataset: Dataset,
    strength: float,
    settings: MeasureSettings,
    folder: Path,
) -> Attack:
    """An attacker that has learned from images scrubbed at a strength; from originals at 0."""

    def sides(store: ImageStore, seed: int, versions: int) -> AttackImages:
        if not strength:
            return AttackImages(store, [store])
        return AttackImages(store, [scrub_store(network, store, strength, seed + n) for n in range(versions)])

    train = sides(dataset.train, _TRAIN_SEED, settings.versions)
    validation = sides(dataset.validation, _VALIDATION_SEED, 1)
    torch.manual_seed(step_generator(settings.loop.seed, "attacker", f"{strength:g}").initial_seed())
    attacker = make_attacker()
    task = AttackerTask(attacker, train, validation, settings.attack)
    name = f"attacker-{strength:g}-{_digest(attacker, train, validation, settings)[:12]}"
    report = fit(task, settings.loop, folder / name, alone=True)
    return Attack.of(attacker.cpu().eval(), report.best)


def _digest(
    attacker: nn.Module, train: AttackImages, validation: AttackImages, settings: MeasureSettings
) -> str:
    """SHA-256, in hex, of all that an attacker is made of: with anything else it is another run.

    So a stopped measurement goes on only with what it was made of, and one with other settings is measured
    beside it.
    """
    loop = settings.loop.model_dump(mode="json", exclude=set(settings.loop.FREE))
    parts = (train.digest(), validation.digest(), settings.attack, sorted(loop.items()))
    digest = hashlib.sha256(repr(parts).encode())
    for name, tensor in attacker.state_dict().items():
        digest.update(name.encode() + tensor.cpu().numpy().tobytes())
    return digest.hexdigest()


def _attacked(
    attacker: Attack, images: AttackImages, pairs: Sequence[FairPairs]
) -> Iterator[tuple[FairPairs, Interval]]:
    for each, scores in zip(pairs, attacker.scores(images, pairs), strict=True):
        yield each, patient_bootstrap(each.scored(scores), weights=each.weights)


def _figure(name: str, store: ImageStore, pairs: FairPairs, found: Interval) -> Metric:
    return metric(name, found, store.subset(pairs.images), "test", pairs.source)


def _familiar(network: Anonymizer, store: ImageStore) -> Iterator[Metric]:
    """Shares of the images that the anonymizer takes for its own, as they are and altered."""
    index = np.arange(len(store))
    images = store.tensor(index)
    for name, some in (("images", images), ("altered images (turned, inverted, cut)", altered(images))):
        share = network.familiarity(some).float().mean().item()
        yield metric(f"share of {name} taken for familiar", _exact(share), store, "test", "all")


def _kept(cells: Sequence[Cell], logits: NDArray[np.float32], store: ImageStore, at: str) -> Iterator[Metric]:
    for cell in cells:
        name = f"classifier, {cell.finding}, ROC AUC, {at}"
        yield metric(name, cell.interval(logits), store.subset(cell.images), "test", cell.source)


def _pictures(before: ImageStore, after: ImageStore, at: str) -> Iterator[Metric]:
    """SSIM and PSNR, each patient counting once in the interval."""
    index = np.arange(len(before))
    one, other = before.tensor(index), after.tensor(index)
    _, patients = np.unique(np.array(before.patients), return_inverse=True)
    for name, measure in (("SSIM", structural_similarity), ("PSNR, dB", peak_signal_to_noise)):
        values = measure(one, other).clamp(max=100).numpy().astype(np.float64)
        means = np.bincount(patients, values) / np.bincount(patients)
        random = np.random.default_rng(0)
        drawn = random.choice(means, (1000, len(means))).mean(axis=1)
        found = percentile_interval(float(means.mean()), drawn, 0.95)
        yield metric(f"{name}, original to scrubbed, {at}", found, before, "test", "all")


def _exact(value: float) -> Interval:
    return Interval(value, float("nan"), float("nan"))
