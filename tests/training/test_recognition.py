"""The task of ``train-reid``: what it learns, and how it behaves in the loop."""

import numpy as np
import pytest
import torch
from training.recognition_sets import blobs, phantoms, sample, store_of, two_modalities

from deid.core.errors import UsageError
from deid.networks.compact import CompactResNet
from deid.networks.encoder import TimmEncoder
from deid.networks.mami import MaMI
from deid.networks.siamese import SiameseResNet
from deid.training.loop import LoopOptions, fit
from deid.training.recognition import RecognitionSettings, RecognitionTask
from deid.training.start import spread_embeddings
from deid.training.verification import fair_pairs, pair_scores

SETTINGS = {"patients": 16, "images": 4, "paired_share": 1.0, "warm_up": 0, "rate": 2e-3}


def small_mami(**given):
    shape = {"size": 32, "patch": 8, "width": 64, "depth": 2, "heads": 2, "gates": 4, "rank": 2}
    return MaMI(**(shape | {"adapter": 16, "dimension": 32, "stem": "convolution"} | given))


@pytest.fixture(scope="module")
def learning():
    """80 patients to learn from, 40 others to validate on."""
    return blobs(80, 4, seed=1), blobs(40, 3, seed=2)


def trained(network, stores, folder, epochs=8, teacher=None, steps=0, **given):
    task = RecognitionTask(network, *stores, RecognitionSettings(**(SETTINGS | given)), "digest", teacher)
    loop = LoopOptions(epochs=epochs, steps=steps, device="cpu", workers=1, warmup=0.1)
    return task, fit(task, loop, folder)


def seeded(make, *arguments, **given):
    torch.manual_seed(0)
    return make(*arguments, **given)


def untrained_auc(network, store):
    (pairs,) = fair_pairs(store)
    return pairs.auc(pair_scores(network.eval(), store, pairs))


def test_a_critic_learns_phantom_patients(tmp_path):
    network = seeded(CompactResNet, 48, 12, 64)
    stores = phantoms(80, 4, 1), phantoms(30, 3, 2)
    assert untrained_auc(network, stores[1]) < 0.8
    _, report = trained(network, stores, tmp_path, epochs=14, rate=3e-3, images=2)
    assert report.best["auc"] > 0.9


@pytest.mark.parametrize(
    ("make", "images", "epochs", "gain"),
    [
        (small_mami, 4, 8, 0.05),
        (lambda: CompactResNet(32, 8, 32), 4, 5, 0.05),
        (lambda: SiameseResNet("resnet10t", 32, 32), 2, 8, 0.05),
        (lambda: TimmEncoder("lcnet_035", 32, 32), 2, 8, 0.05),
    ],
    ids=["mami", "compact", "siamese", "timm"],
)
def test_every_network_learns(learning, tmp_path, make, images, epochs, gain):
    network = seeded(make)
    before = untrained_auc(network, learning[1])
    _, report = trained(network, learning, tmp_path, epochs, images=images)
    assert report.best["auc"] > before + gain
    assert (tmp_path / "sheets" / "epoch_0001.png").exists()


def test_self_supervision_alone_helps(learning, tmp_path):
    singles = learning[0].subset(np.arange(0, len(learning[0]), 4))  # one image of each patient ...
    pair = store_of(*_with_one_pair(singles))  # ... but for one, which the sampler asks for
    network = seeded(CompactResNet, 32, 8, 32)
    before = untrained_auc(network, learning[1])
    _, report = trained(network, (pair, learning[1]), tmp_path, steps=25, epochs=99, warm_up=99)
    assert report.best["auc"] > before + 0.03


def _with_one_pair(store):
    samples = [*store.samples, sample("extra.png", store.samples[0].patient, "another")]
    return np.concatenate([store.images, store.images[:1][:, ::-1]]), samples


@pytest.mark.long
def test_compa_gains_where_modalities_differ(tmp_path):
    """Gates and low rank on against off, the mean of three starts; minutes, as the low rank is slow to wake.

    Single starts differ by 0.1 either way, so nothing is said of them. Three other starts, each on other
    patients, gained 0.030, -0.003 and 0.075: a mean of 0.034, with a standard error of 0.023.
    """
    stores = two_modalities(200, 4, 1), two_modalities(80, 3, 2)
    gains = []
    for seed in range(3):
        reached = {}
        for rank in (4, -1):
            torch.manual_seed(seed)
            given = {"epochs": 40, "augmentation": None}
            _, report = trained(small_mami(rank=rank), stores, tmp_path / f"{seed} {rank}", **given)
            reached[rank] = report.best["auc"]
        gains.append(reached[4] - reached[-1])
    assert np.mean(gains) > 0.02


def test_warm_up_batches_hold_two_views_of_one_image_of_each_patient(learning):
    task = RecognitionTask(
        small_mami(), *learning, RecognitionSettings(**(SETTINGS | {"warm_up": 1, "augmentation": None}))
    )
    batch = task.batch(0, torch.Generator().manual_seed(0))
    one, other = batch["images"].chunk(2)
    assert torch.equal(one, other) and len(one) == 32
    assert len(batch["persons"].unique()) == 32
    later = task.batch(task.steps_per_epoch, torch.Generator().manual_seed(0))
    assert len(later["persons"].unique()) == 16 and len(later["images"]) == 64


def test_batches_depend_on_the_generator_alone(learning):
    task = RecognitionTask(small_mami(), *learning, RecognitionSettings(**SETTINGS))
    one, other = (task.batch(3, torch.Generator().manual_seed(9)) for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_medical_prior_learns_from_a_frozen_teacher(learning, tmp_path):
    torch.manual_seed(0)
    teacher = TimmEncoder("resnet10t", 32)
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    task, _ = trained(seeded(small_mami), learning, tmp_path, epochs=3, teacher=teacher, prior=1.0)
    assert set(task.modules()) == {"network", "head", "prior"} and set(task.frozen()) == {"teacher"}
    losses = [line for line in (tmp_path / "log.jsonl").read_text().splitlines() if '"prior"' in line]
    assert losses
    after = teacher.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    none = RecognitionTask(
        CompactResNet(32, 8, 32), *learning, RecognitionSettings(**SETTINGS), teacher=teacher
    )
    assert not none.frozen()  # only MaMI has the context and the patch map that the prior needs


def test_a_stopped_run_goes_on_to_the_same_weights(learning, tmp_path):
    straight, _ = trained(seeded(small_mami), learning, tmp_path / "one", epochs=2)
    task = RecognitionTask(seeded(small_mami), *learning, RecognitionSettings(**SETTINGS), "digest")
    loop = {"epochs": 2, "device": "cpu", "workers": 1, "warmup": 0.1}
    interrupt = task.step

    def stop(batch, run):
        if run.step == 5:
            raise KeyboardInterrupt
        return interrupt(batch, run)

    task.step = stop
    with pytest.raises(KeyboardInterrupt):
        fit(task, LoopOptions(**loop, save_every=1), tmp_path / "two")
    again = RecognitionTask(small_mami(), *learning, RecognitionSettings(**SETTINGS), "digest")
    fit(again, LoopOptions(**loop, save_every=1), tmp_path / "two")
    for name, value in straight.network.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[name]), name
    with pytest.raises(UsageError, match="other images"):
        again.load_state({"data": "else"})


def test_embeddings_are_spread_at_the_start(learning):
    torch.manual_seed(0)
    images = learning[0].tensor(np.arange(0, 320, 4))
    for network in (small_mami(), CompactResNet(32, 8, 32, dropout=0.0), SiameseResNet("resnet10t", 32, 16)):
        spread_embeddings(network, images)
        embeddings = network.embed(images).detach()
        torch.testing.assert_close(embeddings.mean(0), torch.zeros(embeddings.shape[1]), atol=1e-3, rtol=0)
        torch.testing.assert_close(embeddings.std(0), torch.ones(embeddings.shape[1]), atol=1e-2, rtol=0)
    bare = TimmEncoder("resnet10t", 32)  # pooled features, made by no linear layer
    weights = [p.clone() for p in bare.parameters()]
    spread_embeddings(bare, images)
    assert all(torch.equal(a, b) for a, b in zip(weights, bare.parameters(), strict=True))


def test_too_few_patients_are_refused_with_what_to_do(learning):
    images = learning[0].images[:4]
    alone = store_of(images[:2], [sample("0", "A", "1"), sample("1", "A", "2")])
    singles = store_of(images, [sample(f"{i}", f"P{i}", "1") for i in range(4)])
    for train, validation, message in (
        (singles, learning[1], "training needs patients with several images"),
        (alone, learning[1], "training needs patients with several images"),
        (learning[0], singles, "recognition cannot be measured"),
    ):
        with pytest.raises(UsageError, match=message):
            RecognitionTask(small_mami(), train, validation, RecognitionSettings(**SETTINGS))
