"""Measuring a recogniser on held-out patients."""

import numpy as np
import pytest
import torch
from training.recognition_sets import blobs, sample, store_of

from deid.core.errors import UsageError
from deid.networks.siamese import SiameseResNet
from deid.training.verification import difference, fair_pairs, figures, pair_scores, search_figures


def grey(*values):
    """Flat images of such values, 16 x 16."""
    return np.array(values, np.uint8)[:, None, None] * np.ones((1, 16, 16), np.uint8)


class Mean(torch.nn.Module):
    """Embeds an image by the angle that its mean stands for."""

    def embed(self, images):
        angle = images.mean((1, 2, 3)) * 3
        return 5 * torch.stack([angle.cos(), angle.sin()], 1)


def pairs_of(samples, **given):
    store = store_of(grey(*range(len(samples))), samples)
    return fair_pairs(store, **given)


def listed(pairs):
    return {(int(a), int(b)) for a, b in zip(pairs.first, pairs.second, strict=True)}


def test_pairs_stay_within_one_source_and_finding_group():
    samples = [
        sample("0", "A", "1"),
        sample("1", "A", "2"),
        sample("2", "B", "1"),
        sample("3", "C", "1", findings=("Edema",)),
        sample("4", "D", "1", source="clinic"),
        sample("5", "D", "2", source="clinic"),
        sample("6", "E", "1", source="clinic"),
    ]
    clinic, hospital = pairs_of(samples)
    assert (clinic.source, hospital.source) == ("clinic", "hospital")
    assert listed(hospital) == {(0, 1), (0, 2), (1, 2)}
    assert listed(clinic) == {(4, 5), (4, 6), (5, 6)}
    assert hospital.genuine.tolist() == [True, False, False] and hospital.patients == 1


def test_one_study_and_near_duplicates_make_no_genuine_pair():
    samples = [sample("0", "A", "1"), sample("1", "A", "1"), sample("2", "A", "2"), sample("3", "B", "1")]
    (pairs,) = pairs_of(samples)
    assert (0, 1) not in listed(pairs) and {(0, 2), (1, 2)} <= listed(pairs)
    (without,) = pairs_of(samples, duplicates=[(2, 1)])
    assert (1, 2) not in listed(without) and (0, 2) in listed(without)
    unnamed = [sample("0", "A"), sample("1", "A"), sample("2", "B")]
    assert (0, 1) in listed(pairs_of(unnamed)[0])


def test_one_person_under_two_names_is_no_impostor():
    samples = [sample("0", "A", "1"), sample("1", "A", "2"), sample("2", "B", "1"), sample("3", "C", "1")]
    (pairs,) = pairs_of(samples, duplicates=[(0, 2)])
    assert {(0, 2), (1, 2)}.isdisjoint(listed(pairs)) and {(0, 3), (1, 3), (2, 3)} <= listed(pairs)


def test_weights_are_fair_to_patients_and_to_both_kinds_in_each_group():
    samples = [sample(f"a{i}", "A", f"{i}") for i in range(12)]
    samples += [sample(f"{name}{i}", name, f"{i}") for name in "BCDEFGHIJK" for i in range(2)]
    (pairs,) = pairs_of(samples)
    genuine = pairs.genuine
    assert pairs.weights[genuine].sum() == pytest.approx(11)
    assert pairs.weights[~genuine].sum() == pytest.approx(11)
    assert pairs.weights[genuine & (pairs.first < 12)].sum() == pytest.approx(1)


def test_nothing_to_measure_is_said():
    with pytest.raises(UsageError, match="no source has one with two images of different studies"):
        pairs_of([sample("0", "A", "1"), sample("1", "B", "1")])
    with pytest.raises(UsageError, match="another patient beside it"):
        pairs_of([sample("0", "A", "1"), sample("1", "A", "2")])


def test_scores_are_cosines_or_the_verifiers_word():
    samples = [sample("0", "A", "1"), sample("1", "A", "2"), sample("2", "B", "1")]
    store = store_of(grey(0, 85, 255), samples)
    (pairs,) = fair_pairs(store)
    scores = dict(zip(sorted(listed(pairs)), pair_scores(Mean(), store, pairs, batch=2), strict=True))
    assert scores[0, 1] == pytest.approx(np.cos(1), abs=1e-5)
    assert scores[0, 2] == pytest.approx(np.cos(3), abs=1e-5)
    torch.manual_seed(0)
    siamese = SiameseResNet("resnet10t", 32, 8).eval()
    images = store.tensor([0, 1, 2])
    with torch.no_grad():
        logits = siamese(images[pairs.first], images[pairs.second])
        embeddings = torch.nn.functional.normalize(siamese.embed(images))
    np.testing.assert_allclose(pair_scores(siamese, store, pairs), logits.numpy(), atol=1e-5)
    cosines = (embeddings[pairs.first] * embeddings[pairs.second]).sum(1)
    np.testing.assert_allclose(pair_scores(siamese, store, pairs, by_cosine=True), cosines.numpy(), atol=1e-5)


def test_figures_of_a_recogniser_that_knows_all_and_one_that_knows_nothing():
    store = blobs(30, 3, seed=0, size=16)
    (pairs,) = fair_pairs(store)
    perfect = pairs.genuine + np.random.default_rng(0).uniform(0, 0.5, len(pairs.first))
    found = figures(pairs, perfect, 50) | search_figures(store, pairs, perfect)
    assert found["ROC AUC"].value == found["TPR at FPR 0.01"].value == 1 and found["EER"].value == 0
    assert "TPR at FPR 0.001" in found  # 3,915 impostors
    assert found["rank-1 of 30 patients (chance 0.0333)"].value == 1
    blind = figures(pairs, np.zeros(len(pairs.first)), 50)
    blind |= search_figures(store, pairs, np.zeros(len(pairs.first)))
    assert blind["ROC AUC"].value == blind["EER"].value == 0.5
    assert blind["rank-5 of 30 patients (chance 0.167)"].value == pytest.approx(5 / 30)


def test_too_few_impostors_give_no_small_rates():
    store = blobs(4, 2, seed=0, size=16)
    (pairs,) = fair_pairs(store)
    assert "TPR at FPR 0.01" not in figures(pairs, np.zeros(len(pairs.first)), 10)


def test_the_difference_of_two_systems_is_paired():
    store = blobs(25, 2, seed=0, size=16)
    (pairs,) = fair_pairs(store)
    random = np.random.default_rng(0)
    scores = pairs.genuine + random.normal(size=len(pairs.first))
    worse = scores - 0.4 * pairs.genuine
    found = difference(pairs, scores, worse, 100)
    assert 0 < found.low < found.value < found.high
    assert found.value == pytest.approx(pairs.auc(scores) - pairs.auc(worse))
    back = difference(pairs, worse, scores, 100)
    assert back.value == pytest.approx(-found.value)
