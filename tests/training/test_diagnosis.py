"""Learning findings of which some are not known, from sources in which they are not equally common."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch.nn import functional

from deid.core.errors import UsageError
from deid.networks.classifier import Classifier
from deid.training.diagnosis import (
    DiagnosisSettings,
    DiagnosisTask,
    LabelledImages,
    draw_weights,
    masked_loss,
    positive_weights,
)
from deid.training.diagnosis_figures import cells
from deid.training.images import ImageStore, LoadReport
from deid.training.loop import LoopOptions, fit
from deid.training.samples import MISSING, NEGATIVE, POSITIVE, Sample

SETTINGS = DiagnosisSettings(
    batch=8,
    rate=3e-3,
    weight_decay=0.01,
    balance=True,
    positive_weights=True,
    augmentation=None,
    least=2,
)


def images(labels, sources=None, patients=None, seed=0):
    """Images on which each present finding is a bright square of its own."""
    labels = np.asarray(labels, np.int8)
    random = np.random.default_rng(seed)
    pixels = random.normal(80, 20, (len(labels), 16, 16))
    for column in range(labels.shape[1]):
        pixels[labels[:, column] == POSITIVE, 2:8, 1 + 8 * column : 7 + 8 * column] += 90
    sources = sources or ["a"] * len(labels)
    patients = patients or [f"P{i}" for i in range(len(labels))]
    samples = tuple(Sample(f"{i}.png", p, s) for i, (p, s) in enumerate(zip(patients, sources, strict=True)))
    numbers = np.zeros(len(labels), np.int64)
    stored = np.clip(pixels, 0, 255).astype(np.uint8)
    store = ImageStore(stored, samples, numbers, numbers + 16, LoadReport(len(labels), {}, 0))
    return LabelledImages(store, labels)


def mixed(count, seed):
    """Two findings in two sources; the second source knows nothing of the second finding."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, (count, 2)).astype(np.int8)
    sources = ["a" if i % 2 else "b" for i in range(count)]
    labels[[s == "b" for s in sources], 1] = MISSING
    return images(labels, sources, seed=seed)


def test_it_learns_two_findings(tmp_path):
    torch.manual_seed(0)
    network = Classifier("resnet10t", ["one", "two"], 32)
    task = DiagnosisTask(network, mixed(96, 1), mixed(48, 2), SETTINGS)
    report = fit(task, LoopOptions(epochs=2, device="cpu"), tmp_path)
    assert set(report.best) == {"auc", "auc one (a)", "auc two (a)", "auc one (b)"}
    assert report.best["auc"] > 0.9
    assert task.sheet(None).shape == (2 * 20 + 4, 8 * 20 + 4)


def test_what_is_not_known_teaches_nothing():
    logits = torch.randn(4, 2, requires_grad=True)
    labels = torch.tensor(
        [[POSITIVE, MISSING], [NEGATIVE, MISSING], [MISSING, MISSING], [POSITIVE, NEGATIVE]]
    )
    loss = masked_loss(logits, labels, torch.ones(2))
    loss.backward()
    assert (logits.grad == 0).tolist() == (labels == MISSING).tolist()
    known = labels != MISSING
    expected = functional.binary_cross_entropy_with_logits(logits[known], labels[known].float())
    assert torch.allclose(loss, expected)
    assert masked_loss(logits, torch.full((4, 2), MISSING), torch.ones(2)) == 0


def test_draws_are_even_within_each_source():
    """9 of 10 in source a have it, 1 of 10 in b; one patient of a has many images."""
    labels = [[POSITIVE]] * 18 + [[NEGATIVE]] * 2 + [[POSITIVE]] * 2 + [[NEGATIVE]] * 18 + [[MISSING]]
    sources = ["a"] * 20 + ["b"] * 21
    patients = ["many"] * 9 + [f"P{i}" for i in range(32)]
    data = images(labels, sources, patients)
    weights = draw_weights(data, sources, balance=True)
    assert weights.sum() == pytest.approx(1) and weights[-1] == 0
    present = data.labels[:, 0] == POSITIVE
    for source in "ab":
        inside = np.array(sources) == source
        assert weights[inside & present].sum() == pytest.approx(weights[inside & ~present].sum())
    assert weights[:9].sum() == pytest.approx(weights[9])
    plain = draw_weights(data, sources, balance=False)
    assert plain[9] == pytest.approx(plain[30]) and plain[:9].sum() == pytest.approx(plain[9])


def test_rare_findings_weigh_more():
    labels = np.array([[1, 1], [0, 1], [0, 1], [0, -1]], np.int8)
    assert positive_weights(labels, np.full(4, 0.25)).tolist() == [3.0, pytest.approx(0.05)]


def test_auc_is_that_within_a_source_and_counts_patients_once():
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, (60, 1)).astype(np.int8)
    sources = ["a" if i < 30 else "b" for i in range(60)]
    patients = [f"P{i}" for i in range(60)]
    logits = labels + random.normal(0, 1, (60, 1))
    for cell, part in zip(
        cells(labels, ["one"], sources, patients), (slice(0, 30), slice(30, 60)), strict=True
    ):
        assert cell.has(5) and not cell.has(31)
        assert cell.auc(logits) == pytest.approx(roc_auc_score(labels[part, 0], logits[part, 0]))
        found = cell.interval(logits, replicates=200)
        assert found.low < found.value < found.high and found.low > 0.4
    repeated = np.r_[np.arange(60), np.repeat(0, 50)]  # fifty more images like the first, of the same patient
    (again, _) = cells(
        labels[repeated], ["one"], [sources[i] for i in repeated], [patients[i] for i in repeated]
    )
    (once, _) = cells(labels, ["one"], sources, patients)
    assert again.auc(logits[repeated]) == pytest.approx(once.auc(logits))


def test_too_little_is_refused():
    network = Classifier("resnet10t", ["one"], 32)
    alike = images([[POSITIVE]] * 20)
    both = images([[POSITIVE], [NEGATIVE]] * 10)
    with pytest.raises(UsageError, match="no source has 2 validation patients with and 2 without"):
        DiagnosisTask(network, both, alike, SETTINGS)
    with pytest.raises(UsageError, match="6 training images with a known finding, fewer than a batch"):
        DiagnosisTask(network, images([[POSITIVE], [NEGATIVE]] * 3 + [[MISSING]] * 9), both, SETTINGS)
    task = DiagnosisTask(network, both, both, SETTINGS, digest="one")
    with pytest.raises(UsageError, match="other images than these"):
        task.load_state({"data": "other"})
