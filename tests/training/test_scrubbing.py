"""``train-unet`` on phantoms: identity goes, the disease stays, measured on patients not trained on."""

import json
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from training.recognition_sets import sample, store_of

from deid.networks.anonymizer import Anonymizer
from deid.networks.classifier import Classifier
from deid.networks.compact import CompactResNet
from deid.reid.pairs import both_ways
from deid.training.attacker import AttackerTask, AttackImages, AttackSettings, attack_scores
from deid.training.augment import Augmentation
from deid.training.critics import CriticSettings
from deid.training.diagnosis import DiagnosisSettings, DiagnosisTask, LabelledImages
from deid.training.loop import LoopOptions, fit
from deid.training.pairs import group_names
from deid.training.phantoms import make_cohort
from deid.training.scrub_checks import ScrubCheck, read_findings, scrub_store
from deid.training.scrubbing import ScrubbingImages, ScrubbingSettings, ScrubbingTask
from deid.training.templates import mean_templates
from deid.training.verification import fair_pairs
from deid.workflows.train_unet import UnetOptions

SIZE, FINDING = 32, "Effusion"
PATIENTS = MappingProxyType({"train": 150, "validation": 30, "test": 60})
CRITIC_STEPS, STEPS = 60, 280
MILD = Augmentation(
    gamma=0.1, contrast=0.1, brightness=0.03, scale=0.04, shift=0.02, rotation=2.0, markers=0.0, noise=0.01,
    erasing=0.0,
)  # fmt: skip


@dataclass(frozen=True)
class Figures:
    """AUC on the test patients.

    Attributes:
        ceiling: Of an attacker trained on originals, original to original.
        frozen: Of the same attacker, original to scrubbed.
        attacker: Of an attacker trained on scrubbed images, original to scrubbed.
        disease: Of the classifier, on originals.
        kept: Of the classifier, on scrubbed images.
    """

    ceiling: float
    frozen: float
    attacker: float
    disease: float
    kept: float


def labelled(patients, seed):
    """Chest phantoms, four studies each; that one shows an effusion says nothing of who it is."""
    cohort = make_cohort(patients, 4, seed, "chest", SIZE, ("DX",))
    samples = [sample(f"{n}.png", f"P{s.patient}", f"S{s.study}") for n, s in enumerate(cohort.studies)]
    labels = np.array([[FINDING in findings] for findings in cohort.findings], np.int8)
    return LabelledImages(store_of(np.rint(cohort.images * 255).astype(np.uint8), samples), labels)


def loop(epochs, seed):
    return LoopOptions(epochs=epochs, device="cpu", workers=1, warmup=0.1, seed=seed)


def reader(parts, folder, seed):
    """A classifier that has learned to tell the disease."""
    network = Classifier("resnet10t", [FINDING], SIZE)
    settings = DiagnosisSettings(
        batch=32,
        rate=2e-3,
        weight_decay=0.05,
        balance=True,
        positive_weights=False,
        augmentation=None,
        least=5,
    )
    fit(DiagnosisTask(network, parts["train"], parts["validation"], settings), loop(3, seed), folder)
    return network


def anonymizer(parts, classifier, folder, seed):
    """A U-Net trained with the weights that ``train-unet`` has by default."""
    train, validation = parts["train"], parts["validation"]
    operators = {"ksame": {"templates": 16, "size": SIZE}, "residual": {}, "warp": {}}
    network = Anonymizer(SIZE, "tu-regnetx_002", 3, (32, 24, 16), operators)
    network.operators["ksame"].set_templates(mean_templates(train.store, 16, 8, seed))
    weights = {name: UnetOptions.model_fields[name].default for name in ("privacy", "utility", "fidelity")}
    settings = ScrubbingSettings(
        patients=16, others=6, rate=5e-3, critic_rate=2e-3, critics=CriticSettings(warm_up=CRITIC_STEPS),
        steps_per_epoch=STEPS, **weights,
    )  # fmt: skip
    images = ScrubbingImages(train.store, group_names(train.store), train.labels)
    check = ScrubCheck(validation.store, validation.cells([FINDING], 5))
    task = ScrubbingTask(network, {"compact": critic()}, classifier, images, check, settings)
    fit(task, loop(1, seed), folder)
    return network


def critic():
    return CompactResNet(SIZE, 8, 64)


def attacked(parts, scrub, folder, seed):
    """AUC of an attacker trained on what ``scrub`` makes of stores (by a seed), and the attacker."""
    stores = {name: part.store for name, part in parts.items()}
    train = AttackImages(stores["train"], [scrub(stores["train"], n) for n in (101, 102)])
    validation = AttackImages(stores["validation"], [scrub(stores["validation"], 202)])
    network = critic()
    fit(AttackerTask(network, train, validation, AttackSettings(steps_per_epoch=40)), loop(5, seed), folder)
    return auc(network.eval(), stores["test"], scrub(stores["test"], 303)), network


def auc(attacker, originals, scrubbed):
    pairs = [both_ways(each) for each in fair_pairs(originals)]
    (scores,) = attack_scores(attacker, AttackImages(originals, [scrubbed]), pairs)
    return pairs[0].auc(scores)


def figures(seed, folder):
    """Everything trained and measured; the seed is that of the phantoms, too."""
    torch.manual_seed(seed)
    parts = {name: labelled(count, 1000 * seed + n) for n, (name, count) in enumerate(PATIENTS.items(), 1)}
    classifier = reader(parts, folder / "reader", seed)
    network = anonymizer(parts, classifier, folder / "unet", seed)
    test = parts["test"]
    (cell,) = test.cells([FINDING], 5)
    ceiling, attacker = attacked(parts, lambda store, _: store, folder / "ceiling", seed)
    scrubbed = scrub_store(network, test.store, 1.0, 303)
    again, _ = attacked(
        parts, lambda store, noise: scrub_store(network, store, 1.0, noise), folder / "attacker", seed
    )
    return Figures(
        ceiling=ceiling,
        frozen=auc(attacker, test.store, scrubbed),
        attacker=again,
        disease=cell.auc(read_findings(classifier, test.store)),
        kept=cell.auc(read_findings(classifier, scrubbed)),
    )


def test_attackers_find_less_and_the_disease_is_still_read(tmp_path):
    """A minute of one core.

    Four seeds that were not used to choose the settings, this one among them, came 0.29 to 0.35 below the
    ceiling and lost -0.001 to 0.018 of the disease's AUC, when critics still learned from the anonymizer's
    own batch. With 120 steps of the U-Net, not 220, another came 0.15 below, so an anonymizer that has not
    learned fails.
    """
    measured = figures(4, tmp_path)
    assert measured.ceiling > 0.85 and measured.disease > 0.9, measured
    assert measured.attacker < measured.ceiling - 0.15, measured
    assert measured.kept > measured.disease - 0.05, measured
    assert measured.frozen < measured.ceiling - 0.15, measured
    lines = [json.loads(line) for line in (tmp_path / "unet" / "log.jsonl").read_text().splitlines()]
    steps = [line for line in lines if line["kind"] == "steps"]
    assert all(("privacy" in line) == (line["step"] > CRITIC_STEPS) for line in steps)
    assert {"privacy", "utility", "fidelity"} < steps[-1].keys() and any(
        "originals" in name for name in steps[-1]
    )
