"""The attacker's task: which data a run of it may go on with."""

import numpy as np
import pytest
import torch
from training.recognition_sets import blobs, store_of

from deid.core.errors import UsageError
from deid.networks.compact import CompactResNet
from deid.networks.siamese import SiameseResNet
from deid.reid.pairs import both_ways
from deid.training.attacker import Attack, AttackerTask, AttackImages, AttackSettings, attack_scores
from deid.training.loop import LoopOptions, fit
from deid.training.verification import fair_pairs


def changed(store, by=1):
    """Every pixel a little brighter or darker; what else a store has is the same."""
    return store_of(store.images ^ np.uint8(by), store.samples)


@pytest.fixture(scope="module")
def parts():
    """What the attacker learns from and is chosen on, twenty and ten patients."""
    learning, choosing = blobs(20, 2, seed=1), blobs(10, 2, seed=2)
    return AttackImages(learning, [changed(learning)]), AttackImages(choosing, [changed(choosing)])


def attack(train, validation):
    settings = AttackSettings(patients=8, steps_per_epoch=2)
    return AttackerTask(CompactResNet(32, 4, 16), train, validation, settings)


def test_a_run_goes_on_with_the_same_images_only(parts, tmp_path):
    train, validation = parts
    once, twice = (LoopOptions(epochs=n, device="cpu", workers=1) for n in (1, 2))
    fit(attack(train, validation), once, tmp_path)
    again = LoopOptions(**(twice.model_dump() | {"resume": "force"}))
    assert fit(attack(*parts), again, tmp_path).steps == 4
    others = (
        (AttackImages(train.originals, [changed(train.originals, 3)]), validation),
        (AttackImages(changed(train.originals), train.scrubbed), validation),
        (AttackImages(train.originals, [*train.scrubbed, train.originals]), validation),
        (train, AttackImages(validation.originals, [changed(validation.originals, 3)])),
    )
    for other in others:
        with pytest.raises(UsageError, match="other images than these"):
            fit(attack(*other), again, tmp_path)


def test_the_digest_knows_whose_images_they_are(parts):
    train, _ = parts
    store = train.originals
    swapped = AttackImages(store_of(store.images, store.samples[::-1]), train.scrubbed)
    assert swapped.digest() != train.digest() == AttackImages(store, train.scrubbed).digest()


@pytest.mark.parametrize("may_verify", [True, False])
def test_a_siamese_attacker_compares_as_does_better_on_the_validation_patients(parts, tmp_path, may_verify):
    torch.manual_seed(0)
    network = SiameseResNet("resnet10t", 32, 8)
    settings = AttackSettings(patients=8, steps_per_epoch=2, verification=may_verify)
    report = fit(AttackerTask(network, *parts, settings), LoopOptions(epochs=1, device="cpu"), tmp_path)
    attack = Attack.of(network.eval(), report.best)
    pairs = [both_ways(each) for each in fair_pairs(parts[1].originals)]
    areas = {}
    for comparison in ("cosine", "verification"):
        (scores,) = attack_scores(network, parts[1], pairs, comparison=comparison)
        areas[comparison] = pairs[0].auc(scores)
    assert ("auc by verification" in report.best) == may_verify
    assert attack.comparison == (max(areas, key=areas.get) if may_verify else "cosine")
    assert report.best["auc"] == pytest.approx(areas[attack.comparison])
    (scores,) = attack.scores(parts[1], pairs)
    assert pairs[0].auc(scores) == pytest.approx(areas[attack.comparison])
    assert attack.name == f"re-trained attacker (by {attack.comparison})"


def test_the_better_comparison_is_taken():
    siamese = SiameseResNet("resnet10t", 32, 8)
    assert Attack.of(siamese, {"auc by cosine": 0.6, "auc by verification": 0.7}).comparison == "verification"
    assert Attack.of(siamese, {"auc by cosine": 0.7, "auc by verification": 0.6}).comparison == "cosine"
    assert Attack.of(CompactResNet(32, 4, 16), {"auc": 0.9}).name == "re-trained attacker"
