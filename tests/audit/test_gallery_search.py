"""Blocked search: equal to what the full matrix gives."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from deid.audit import search as module
from deid.audit.search import OwnImages, pair_scores, search, shares_below


def vectors(count, seed, dimension=16):
    made = np.random.default_rng(seed).normal(size=(count, dimension))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(module, "_ROWS", 7)
    monkeypatch.setattr(module, "_COLUMNS", 11)


@pytest.fixture
def case(small_blocks):
    """Queries and a gallery of two views; patients with none to many images of their own; two studies."""
    random = np.random.default_rng(1)
    queries, gallery = vectors(60, 2), np.stack([vectors(83, 3), vectors(83, 4)])
    labels = random.integers(40, size=60), random.integers(30, size=83)
    studies = random.integers(3, size=60), random.integers(3, size=83)
    return queries, gallery, OwnImages.of(*labels, *studies), labels, studies


def full(case):
    """Scores, which images are wanted and which are barred, each `[query, image]`."""
    queries, gallery, _, labels, studies = case
    scores = np.max(np.einsum("qd,vgd->vqg", queries, gallery), axis=0)
    same = labels[0][:, None] == labels[1]
    other = studies[0][:, None] != studies[1]
    return scores, same & other, same & ~other


def test_ranks_and_precision_are_those_of_the_full_matrix(case):
    found = search(*case[:3])
    scores, wanted, barred = full(case)
    assert found.queries.tolist() == np.flatnonzero(wanted.any(axis=1)).tolist()
    for at, query in enumerate(found.queries):
        strangers = ~wanted[query] & ~barred[query]
        best = scores[query, wanted[query]].max()
        assert found.higher[at] == (scores[query, strangers] > best).sum()
        assert found.others[at] == strangers.sum()
        usable = ~barred[query]
        expected = average_precision_score(wanted[query, usable], scores[query, usable])
        assert found.average_precision[at] == pytest.approx(expected, abs=1e-6)


def test_the_area_is_scikit_learns(case):
    shares = shares_below(*case[:3])
    scores, wanted, barred = full(case)
    assert len(shares) == wanted.sum()
    # Only strangers compete: an image of the query's own patient in the same study is barred.
    expected = roc_auc_score(wanted[~barred], scores[~barred])
    assert shares.mean() == pytest.approx(expected, abs=1e-6)


def test_equal_scores_are_ties():
    queries = np.tile(vectors(1, 0), (9, 1))
    own = OwnImages.of(np.arange(9), np.arange(9))
    found = search(queries, queries[None], own)
    assert not found.higher.any() and (found.tied == 8).all()
    assert shares_below(queries, queries[None], own) == pytest.approx(0.5)
    assert found.average_precision == pytest.approx(1 / 9)


def test_pairs_score_as_their_best_view(case):
    scores, wanted, _ = full(case)
    first, second = np.nonzero(wanted)
    np.testing.assert_allclose(pair_scores(*case[:2], first, second), scores[wanted], atol=1e-6)


def test_a_query_without_an_image_of_its_own_is_not_found():
    own = OwnImages.of(np.array([5, 1]), np.array([1, 2, 3]))
    found = search(vectors(2, 0), vectors(3, 1)[None], own)
    assert found.queries.tolist() == [1] and found.others.tolist() == [2]
