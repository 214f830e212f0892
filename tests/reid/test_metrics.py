"""ROC AUC, EER, TPR at FPR and their patient-level intervals."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from deid.reid.metrics import (
    ScoredPairs,
    balanced_weights,
    eer_statistic,
    equal_error_rate,
    paired_difference,
    patient_bootstrap,
    roc_auc,
    tpr_at_fpr,
    tpr_statistic,
)

labelled = st.lists(st.tuples(st.integers(-5, 5), st.booleans()), min_size=2, max_size=40).filter(
    lambda rows: 0 < sum(genuine for _, genuine in rows) < len(rows)
)


def columns(rows):
    scores, genuine = zip(*rows, strict=True)
    return np.array(scores, float), np.array(genuine)


def test_auc_exact_numbers():
    assert roc_auc([1, 2, 3, 4], [0, 0, 1, 1]) == 1
    assert roc_auc([1, 2, 3, 4], [1, 1, 0, 0]) == 0
    assert roc_auc([1, 1, 1], [0, 1, 1]) == 0.5
    assert roc_auc([1, 2, 2, 3], [0, 0, 1, 1]) == (1 + 0.5 + 1 + 1) / 4
    assert math.isnan(roc_auc([1, 2], [1, 1]))


def test_weights_count_as_repetitions():
    scores, genuine, weights = [1, 2, 2, 3], [0, 0, 1, 1], [3, 1, 2, 0]
    repeated = np.repeat(np.arange(4), weights)
    again = roc_auc(np.take(scores, repeated), np.take(genuine, repeated))
    assert roc_auc(scores, genuine, weights) == pytest.approx(again)
    assert roc_auc(scores, genuine, weights) == (3 + 0.5) / 4


@settings(max_examples=100, deadline=None)
@given(labelled, st.integers(0, 2**32 - 1))
def test_auc_is_scikit_learns_and_knows_its_symmetries(rows, seed):
    scores, genuine = columns(rows)
    weights = np.random.default_rng(seed).uniform(0.1, 3, len(scores))
    value = roc_auc(scores, genuine, weights)
    assert value == pytest.approx(roc_auc_score(genuine, scores, sample_weight=weights))
    assert roc_auc(np.exp(scores) * 3 - 1, genuine, weights) == pytest.approx(value)  # monotone
    assert roc_auc(-scores, genuine, weights) == pytest.approx(1 - value)
    assert roc_auc(scores, ~genuine, weights) == pytest.approx(1 - value)
    assert roc_auc(scores, genuine, 7 * weights) == pytest.approx(value)
    mixed = np.random.default_rng(seed).permutation(len(scores))
    assert roc_auc(scores[mixed], genuine[mixed], weights[mixed]) == pytest.approx(value)


def test_eer_exact_numbers():
    assert equal_error_rate([1, 2, 3, 4], [0, 0, 1, 1]) == 0
    assert equal_error_rate([1, 2, 3, 4], [1, 1, 0, 0]) == 1
    assert equal_error_rate([5, 5, 5], [0, 1, 1]) == 0.5
    # one of three genuine pairs below one of three impostors: a threshold between them errs once on each side
    assert equal_error_rate([1, 2, 4, 3, 5, 6], [0, 0, 0, 1, 1, 1]) == pytest.approx(1 / 3)


@settings(max_examples=50, deadline=None)
@given(labelled)
def test_eer_is_symmetric(rows):
    scores, genuine = columns(rows)
    error = equal_error_rate(scores, genuine)
    assert 0 <= error <= 1
    assert equal_error_rate(-scores, ~genuine) == pytest.approx(error)
    assert equal_error_rate(scores, ~genuine) == pytest.approx(1 - error)


def test_tpr_at_fpr_counts_thresholds_that_exist():
    scores = [*range(100), 98.5, 97.5, 200]
    genuine = [False] * 100 + [True] * 3
    assert tpr_at_fpr(scores, genuine, 0.01) == pytest.approx(2 / 3)
    assert tpr_at_fpr(scores, genuine, 0.02) == 1
    assert tpr_at_fpr([1.0] * 100 + [1.0], [False] * 100 + [True], 0.01) == 0  # all tied: none stands out


def test_tpr_is_not_claimed_from_too_few_impostors():
    assert tpr_at_fpr([*range(99), 100], [False] * 99 + [True], 0.01) is None
    assert tpr_at_fpr([*range(100), 100], [False] * 100 + [True], 0.01) == 1
    assert tpr_at_fpr([1, 2], [0, 0], 0.5) is None
    heavy = [100.0] + [0.01] * 99 + [1.0]  # one impostor carries nearly all weight
    assert tpr_at_fpr([*range(100), 100], [False] * 100 + [True], 0.01, heavy) is None


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match="one length"):
        roc_auc([1, 2], [1])
    with pytest.raises(ValueError, match="not a number"):
        roc_auc([1, float("nan")], [1, 0])
    with pytest.raises(ValueError, match="below zero"):
        roc_auc([1, 2], [1, 0], [1, -1])
    with pytest.raises(ValueError, match="between 0 and 1"):
        tpr_at_fpr([1, 2], [1, 0], 0)


def all_pairs(counts, score):
    """Every pair of images of patients with so many images each."""
    patients = np.repeat(np.arange(len(counts)), counts)
    one, other = np.triu_indices(len(patients), 1)
    return ScoredPairs.of(score(one, other, patients), patients[one], patients[other])


def test_balanced_weights_give_each_patient_the_same_say():
    counts = [40, 2, 3, 1, *[2] * 40]
    pairs = all_pairs(counts, lambda one, other, patients: np.zeros(len(one)))
    weights = balanced_weights(pairs)
    impostor = ~pairs.genuine
    share = []
    for patient, count in enumerate(counts):
        own = pairs.genuine & (pairs.first == patient)
        assert weights[own].sum() == pytest.approx(1 if count > 1 else 0)
        share.append(weights[impostor & ((pairs.first == patient) | (pairs.second == patient))].sum())
    assert max(share) / min(share) < 1.5  # of equal weights: 17


def test_one_patient_with_many_images_does_not_dominate():
    # the patient with 30 images is always recognised, the twenty others never: the score is noise
    random = np.random.default_rng(1)

    def score(one, other, patients):
        easy = (patients[one] == 0) & (patients[other] == 0)
        return np.where(easy, 5.0, random.normal(size=len(one)))

    pairs = all_pairs([30] + [2] * 20, score)
    assert roc_auc(pairs.scores, pairs.genuine) > 0.95
    assert roc_auc(pairs.scores, pairs.genuine, balanced_weights(pairs)) < 0.7


def test_bootstrap_resamples_patients_with_multiplicities():
    random = np.random.default_rng(0)
    pairs = all_pairs([2, 3, 2, 4, 2], lambda one, other, patients: random.normal(size=len(one)))
    interval = patient_bootstrap(pairs, replicates=300, seed=5)
    # the same, patient by patient, with every drawn patient's images written out as new images
    draws = np.random.default_rng(5).integers(5, size=(300, 5))
    values = []
    for drawn in draws:
        times = np.bincount(drawn, minlength=5)
        rows = [
            i
            for i, (a, b) in enumerate(zip(pairs.first, pairs.second, strict=True))
            for _ in range(times[a] if a == b else times[a] * times[b])
        ]
        values.append(roc_auc(pairs.scores[rows], pairs.genuine[rows]) if rows else np.nan)
    low, high = np.nanquantile(values, [0.025, 0.975])
    assert (interval.low, interval.high) == (pytest.approx(low), pytest.approx(high))
    assert interval.value == roc_auc(pairs.scores, pairs.genuine)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    truth, covered = 0.7602, 0  # of two normals one standard deviation apart: Phi(1 / sqrt 2)
    for seed in range(60):
        random = np.random.default_rng(seed)

        def score(one, other, patients, random=random):
            return random.normal(size=len(one)) + (patients[one] == patients[other])

        interval = patient_bootstrap(all_pairs([2] * 40, score), replicates=200, seed=seed)
        covered += interval.low <= truth <= interval.high
    assert covered >= 51


def test_the_interval_of_a_clustered_sample_is_wider_than_one_over_pairs():
    random = np.random.default_rng(3)
    ease = random.normal(size=30)  # some patients are easy, and all their pairs are

    def score(one, other, patients):
        genuine = patients[one] == patients[other]
        return random.normal(size=len(one)) + genuine * (1 + 1.5 * ease[patients[one]])

    pairs = all_pairs([6] * 30, score)
    patients = patient_bootstrap(pairs, replicates=300)
    as_if_independent = ScoredPairs.of(
        pairs.scores, np.arange(len(pairs.scores)), np.arange(len(pairs.scores)) + ~pairs.genuine * 10**6
    )
    naive = patient_bootstrap(as_if_independent, replicates=100)
    assert patients.high - patients.low > 2 * (naive.high - naive.low)


def test_paired_difference_is_tighter_than_two_intervals():
    random = np.random.default_rng(2)

    def score(one, other, patients):
        return random.normal(size=len(one)) + 0.8 * (patients[one] == patients[other])

    pairs = all_pairs([3] * 40, score)
    better = pairs.scores + 0.35 * pairs.genuine
    difference = paired_difference(pairs, better, replicates=300)
    assert difference.value == pytest.approx(
        roc_auc(pairs.scores, pairs.genuine) - roc_auc(better, pairs.genuine)
    )
    assert difference.high < 0
    single = patient_bootstrap(pairs, replicates=300)
    assert difference.high - difference.low < (single.high - single.low) / 2
    same = paired_difference(pairs, pairs.scores, replicates=50)
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_other_statistics_have_intervals_too():
    random = np.random.default_rng(4)

    def score(one, other, patients):
        return random.normal(size=len(one)) + 2 * (patients[one] == patients[other])

    pairs = all_pairs([3] * 25, score)
    for statistic, value in [
        (eer_statistic, equal_error_rate(pairs.scores, pairs.genuine)),
        (tpr_statistic(0.01), tpr_at_fpr(pairs.scores, pairs.genuine, 0.01)),
    ]:
        interval = patient_bootstrap(pairs, statistic, replicates=200)
        assert interval.value == pytest.approx(value)
        assert interval.low < value < interval.high


def test_a_bootstrap_without_pairs_of_one_kind_has_no_bounds():
    interval = patient_bootstrap(ScoredPairs.of([1.0, 2.0], ["a", "b"], ["a", "b"]), replicates=20)
    assert math.isnan(interval.value) and math.isnan(interval.low)
