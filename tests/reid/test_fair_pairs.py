"""Pairs of some images only, and which images these are."""

import numpy as np
import pytest

from deid.reid.pairs import FairPairs, both_ways, candidates, evenly_chosen, probing


def every_pair(patients, first_image=0, source="hospital", weights=None):
    """All pairs of images, given the patient of each."""
    one, other = np.triu_indices(len(patients), 1)
    numbers = np.array(patients)
    weights = np.ones(len(one)) if weights is None else weights
    return both_ways(
        FairPairs(source, one + first_image, other + first_image, numbers[one], numbers[other], weights)
    )


def test_a_probe_is_compared_with_all_and_its_impostors_weigh_as_its_genuine_pairs():
    random = np.random.default_rng(0)
    pairs = every_pair([0, 0, 1, 1, 1, 2], weights=random.uniform(0.5, 2, 15))
    few = probing(pairs, np.array([1, 4]))
    assert set(few.second) == {1, 4} and len(few.second) == 10
    for probe in (1, 4):
        own = few.second == probe
        assert few.weights[own & few.genuine].sum() == pytest.approx(few.weights[own & ~few.genuine].sum())
    before = pairs.weights[pairs.genuine & np.isin(pairs.second, [1, 4])]
    assert few.weights[few.genuine] == pytest.approx(before)


def test_a_probe_without_a_genuine_pair_is_left_out():
    pairs = every_pair([0, 0, 1])
    assert len(probing(pairs, np.array([2])).second) == 0
    assert len(probing(pairs, np.array([], int)).second) == 0


def test_sources_and_patients_take_turns():
    big = every_pair(np.repeat(np.arange(20), 4), source="big")
    small = every_pair([100, 100, 101, 101], first_image=80, source="small")
    chosen = evenly_chosen([big, small], 6, seed=3)
    assert len(chosen) == 6 and (chosen >= 80).sum() == 3
    of_small = {100 + (image - 80) // 2 for image in chosen if image >= 80}
    assert of_small == {100, 101}
    assert len({image // 4 for image in chosen if image < 80}) == 3
    more = evenly_chosen([big, small], 30, seed=3)
    assert (more >= 80).sum() == 4 and (more < 80).sum() == 26  # what one source lacks the other gives
    assert len({image // 4 for image in more if image < 80}) == 20


def test_the_choice_depends_on_the_seed_only():
    pairs = [every_pair(np.repeat(np.arange(20), 2))]
    assert evenly_chosen(pairs, 8, seed=1).tolist() == evenly_chosen(pairs, 8, seed=1).tolist()
    assert evenly_chosen(pairs, 8, seed=1).tolist() != evenly_chosen(pairs, 8, seed=2).tolist()
    assert len(evenly_chosen(pairs, 0, seed=1)) == 0 and len(evenly_chosen([], 5, seed=1)) == 0


def test_all_pairs_are_candidates_up_to_the_limit():
    patients = np.array([0, 0, 1, 2, 2])
    for one, other in zip(candidates(patients, limit=10), np.triu_indices(5, 1), strict=True):
        np.testing.assert_array_equal(one, other)


def test_beyond_the_limit_genuine_pairs_stay_and_patients_draw_impostors_alike():
    random = np.random.default_rng(0)
    patients = random.permutation(np.repeat(np.arange(50), random.integers(1, 9, 50)))
    first, second = candidates(patients, limit=1000, seed=1)
    assert (first < second).all() and len(np.unique(first * len(patients) + second)) == len(first)
    genuine = patients[first] == patients[second]
    sizes = np.bincount(patients)
    assert genuine.sum() == (sizes * (sizes - 1) // 2).sum()
    assert 900 < (~genuine).sum() <= 1000
    taking_part = np.bincount(patients[first[~genuine]], minlength=50)
    taking_part += np.bincount(patients[second[~genuine]], minlength=50)
    assert taking_part.min() >= 15  # 20 drawn by each, fewer where a pair was drawn twice
    again = candidates(patients, limit=1000, seed=1)
    assert (first == again[0]).all() and (second == again[1]).all()
    other, _ = candidates(patients, limit=1000, seed=2)
    assert len(other) != len(first) or (other != first).any()


def test_one_patient_alone_has_genuine_pairs_only():
    first, second = candidates(np.zeros(6, int), limit=10)
    assert len(first) == 15 and (first < second).all()
