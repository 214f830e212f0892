"""The attacker's task: which data a run of it may go on with."""

import numpy as np
import pytest
from training.recognition_sets import blobs, store_of

from deid.core.errors import UsageError
from deid.networks.compact import CompactResNet
from deid.training.attacker import AttackerTask, AttackImages, AttackSettings
from deid.training.loop import LoopOptions, fit


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
