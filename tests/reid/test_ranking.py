"""Rank-k, CMC at a stated gallery size, mean average precision."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from deid.reid.ranking import (
    cmc,
    found_within,
    mean_average_precision,
    patient_mean,
    patient_share,
    rank_k,
    search,
)


def test_a_perfect_and_a_worst_gallery():
    same = np.eye(4)
    perfect = search(same, list("abcd"), list("abcd"))
    assert rank_k(perfect, 1, 4) == 1
    worst = search(-same, list("abcd"), list("abcd"))
    assert [rank_k(worst, k, 4) for k in (1, 2, 3, 4)] == [0, 0, 0, 1]


def test_scores_that_know_nothing_reach_chance_exactly():
    ranks = search(np.zeros((5, 5)), list("abcde"), list("abcde"))
    for rank in (1, 2, 4):
        assert rank_k(ranks, rank, 5) == pytest.approx(rank / 5)
        assert rank_k(ranks, rank, 4) == pytest.approx(rank / 4)


def test_smaller_galleries_are_the_mean_over_all_of_them():
    # 6 others, 2 above the own patient: of the 15 galleries with 2 others, C(4,2) = 6 hold none of the 2,
    # and all but 1 hold at most one of them
    scores = np.array([[0.5, 0.9, 0.8, 0.1, 0.2, 0.3, 0.4]])
    ranks = search(scores, ["a"], list("abcdefg"))
    assert found_within(ranks, 1, 3)[0] == pytest.approx(6 / 15)
    assert found_within(ranks, 2, 3)[0] == pytest.approx(14 / 15)
    assert found_within(ranks, 3, 3)[0] == pytest.approx(1)
    assert found_within(ranks, 2, 7)[0] == 0
    assert found_within(ranks, 3, 7)[0] == 1


def test_a_gallery_counts_patients_not_images():
    scores = np.array([[0.5, 0.9, 0.9, 0.9, 0.1, 0.7]])
    ranks = search(scores, ["a"], ["a", "b", "b", "b", "c", "a"])
    assert (ranks.higher[0], ranks.tied[0], ranks.others[0]) == (1, 0, 2)


def test_forbidden_answers_and_unknown_patients_are_left_out():
    scores = np.array([[1.0, 0.5, 0.2], [0.1, 0.2, 0.3], [0.3, 0.2, 0.1]])
    patients = ["a", "a", "b"]
    ranks = search(scores, patients, patients, allowed=~np.eye(3, dtype=bool))
    assert len(ranks.higher) == 2  # b has no second image
    assert ranks.higher.tolist() == [0, 1]
    assert len(search(scores, ["x", "y", "z"], patients).higher) == 0


def test_a_larger_gallery_than_patients_is_refused():
    ranks = search(np.eye(3), list("abc"), list("abc"))
    with pytest.raises(ValueError, match="no larger"):
        found_within(ranks, 1, 4)


def test_cmc_states_gallery_and_chance_and_rises():
    random = np.random.default_rng(0)
    scores = random.normal(size=(30, 30)) + 1.5 * np.eye(30)
    points = cmc(search(scores, range(30), range(30)), 20, up_to=5)
    assert [point.rank for point in points] == [1, 2, 3, 4, 5]
    assert all(point.gallery_size == 20 and point.chance == point.rank / 20 for point in points)
    values = [point.found.value for point in points]
    assert values == sorted(values) and values[0] > 2 * points[0].chance
    assert all(point.found.low <= point.found.value <= point.found.high for point in points)


def test_average_precision_is_scikit_learns():
    random = np.random.default_rng(1)
    gallery = random.integers(4, size=40)
    for row in random.integers(0, 6, size=(20, 40)).astype(float):  # many ties
        value = mean_average_precision(row[None], [2], gallery)
        assert value == pytest.approx(average_precision_score(gallery == 2, row))


def test_patients_count_alike_in_the_mean():
    assert patient_mean([1, 1, 1, 0], list("aaab"), replicates=50).value == 0.5
    scores = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    assert mean_average_precision(scores, list("aaab"), list("ab")) == pytest.approx((1 + 0.5) / 2)


@pytest.mark.parametrize(("patients", "missed"), [(1, 0.95), (12, 0.2209), (300, 0.0099)])
def test_what_was_never_seen_has_the_bound_of_so_many_patients(patients, missed):
    labels = np.repeat(np.arange(patients), 2)
    never, always = (patient_share(np.full(len(labels), float(share)), labels) for share in (0, 1))
    assert (never.value, never.low, always.value, always.high) == (0, 0, 1, 1)
    assert never.high == pytest.approx(missed, abs=1e-4) and always.low == pytest.approx(1 - missed, abs=1e-4)
    assert patient_mean(np.zeros(len(labels)), labels).high == 0
    some = np.arange(len(labels)) % 2 * 1.0
    assert patient_share(some, labels) == patient_mean(some, labels)
