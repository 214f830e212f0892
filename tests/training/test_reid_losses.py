"""Losses of recognition and the medical priors: exact numbers at their best and worst."""

import math

import pytest
import torch
from torch.nn import functional

from deid.training.medical_prior import KeyStructures, MedicalPrior, residual_alignment
from deid.training.reid_losses import (
    IdentityHead,
    batch_hard_triplet,
    pairwise_distances,
    supervised_contrast,
    verification_loss,
)

AXES = torch.eye(4)
TWICE = torch.tensor([0, 0, 1, 1])
ONE_GROUP = torch.ones(1, 4, dtype=bool)


def softplus(value):
    return math.log1p(math.exp(value))


def test_triplet_at_its_best_and_worst():
    best = torch.stack([AXES[0], AXES[0], -AXES[0], -AXES[0]])
    assert batch_hard_triplet(best, TWICE, scale=1) == pytest.approx(softplus(-2))
    assert batch_hard_triplet(best, TWICE, scale=10) == pytest.approx(softplus(-20), abs=1e-6)
    worst = torch.stack([AXES[0], -AXES[0], AXES[0], -AXES[0]])  # each patient twice, as unlike as can be
    assert batch_hard_triplet(worst, TWICE, scale=1) == pytest.approx(softplus(2))
    same = torch.ones(4, 3)
    assert batch_hard_triplet(same, TWICE) == pytest.approx(math.log(2), abs=1e-5)


def test_triplet_takes_the_hardest_of_each():
    at = torch.tensor([[0.0], [1.0], [3.0], [5.0], [9.0]])
    value = batch_hard_triplet(at, torch.tensor([0, 0, 0, 1, 1]), distance="euclidean", scale=1)
    # farthest genuine minus nearest impostor: 3-5, 2-4, 3-2, 4-2, 4-6
    expected = sum(map(softplus, [-2, -2, 1, 2, -2])) / 5
    assert value == pytest.approx(expected, abs=1e-5)


def test_triplet_compares_within_groups_only():
    at = torch.tensor([[0.0], [1.0], [0.5], [0.6], [4.0], [4.0]])
    identities, groups = torch.tensor([0, 0, 1, 1, 2, 2]), torch.tensor([0, 0, 1, 1, 0, 0])
    value = batch_hard_triplet(at, identities, groups, "euclidean", 1)
    expected = (
        softplus(1 - 4) + softplus(1 - 3) + softplus(0 - 3) * 2
    ) / 4  # the second patient has no rival
    assert value == pytest.approx(expected, abs=1e-5)


def test_a_batch_without_rivals_or_partners_costs_nothing_but_keeps_gradients():
    embeddings = torch.randn(3, 4, requires_grad=True)
    for loss in (
        batch_hard_triplet(embeddings, torch.tensor([0, 0, 0])),
        batch_hard_triplet(embeddings, torch.tensor([0, 1, 2])),
        supervised_contrast(embeddings, torch.tensor([0, 1, 2])),
        IdentityHead(4, ONE_GROUP).loss(embeddings, torch.full((3,), -1), torch.zeros(3, dtype=int)),
    ):
        assert loss == 0
        loss.backward()
    assert torch.isfinite(embeddings.grad).all()


def test_equal_embeddings_have_finite_gradients():
    embeddings = torch.ones(4, 3, requires_grad=True)
    for distance in ("cosine", "euclidean"):
        batch_hard_triplet(embeddings, TWICE, distance=distance).backward()
        assert torch.isfinite(embeddings.grad).all()
    torch.testing.assert_close(
        pairwise_distances(AXES[:3] * 2, "euclidean"),
        torch.cdist(AXES[:3] * 2, AXES[:3] * 2),
        atol=1e-5,
        rtol=0,
    )


def test_contrast_exact_numbers():
    pairs = torch.stack([AXES[0], AXES[0], AXES[1], AXES[1]])
    # one partner at cosine 1, two impostors at 0
    expected = math.log(1 + 2 * math.exp(-10))
    assert supervised_contrast(pairs, TWICE, temperature=0.1) == pytest.approx(expected, abs=1e-6)
    same = torch.ones(4, 3)
    assert supervised_contrast(same, TWICE) == pytest.approx(math.log(3))
    # the wrong way round: partner at -1, impostors at 1 and -1
    wrong = torch.stack([AXES[0], -AXES[0], AXES[0], -AXES[0]])
    expected = 20 + math.log(1 + 2 * math.exp(-20))
    assert supervised_contrast(wrong, TWICE) == pytest.approx(expected, rel=1e-5)
    # impostors of another group do not count
    assert supervised_contrast(wrong, TWICE, groups=TWICE) == pytest.approx(0, abs=1e-6)


def head(members, scale=16.0):
    """A head that looks along the axes; in eval mode its normalisation changes nothing."""
    made = IdentityHead(4, members, scale).eval()
    with torch.no_grad():
        made.directions.copy_(AXES)
    return made


def test_identity_head_at_its_best_and_worst():
    made, group = head(ONE_GROUP, 10), torch.zeros(4, dtype=int)
    best = made.loss(AXES, torch.arange(4), group).item()
    assert best == pytest.approx(math.log(1 + 3 * math.exp(-10)), abs=1e-5)
    worst = made.loss(AXES, torch.tensor([1, 2, 3, 0]), group).item()
    assert worst == pytest.approx(10 + math.log(1 + 3 * math.exp(-10)), abs=1e-4)
    logs = functional.log_softmax(torch.tensor([10.0, 0, 0, 0]), 0)
    smooth = made.loss(AXES[:1], torch.tensor([0]), group[:1], smoothing=0.3).item()
    assert smooth == pytest.approx(-(0.7 * logs[0] + 0.3 * logs.mean()).item(), abs=1e-4)


def test_identities_compete_within_a_group_only():
    members = torch.tensor([[True, True, False, False], [False, True, True, True]])
    made = head(members, 10)
    one_rival = made.loss(AXES[1:2], torch.tensor([1]), torch.tensor([0])).item()
    two_rivals = made.loss(AXES[1:2], torch.tensor([1]), torch.tensor([1])).item()
    assert one_rival == pytest.approx(math.log(1 + math.exp(-10)), abs=1e-5)
    assert two_rivals == pytest.approx(math.log(1 + 2 * math.exp(-10)), abs=1e-5)


def test_images_without_identity_are_left_out():
    made, group = head(ONE_GROUP), torch.zeros(4, dtype=int)
    both = made.loss(AXES, torch.tensor([0, 2, -1, -1]), group).item()
    assert both == pytest.approx(made.loss(AXES[:2], torch.tensor([0, 2]), group[:2]).item())


def test_verification_weighs_both_kinds_alike():
    logits = torch.tensor([0.0, 0.0, 0.0, 3.0])
    genuine = torch.tensor([False, False, False, True])
    assert verification_loss(logits, genuine) == pytest.approx((math.log(2) + softplus(-3)) / 2)
    assert verification_loss(logits[:3], genuine[:3]) == pytest.approx(math.log(2))
    assert verification_loss(torch.tensor([-50.0, 50.0]), torch.tensor([False, True])) == pytest.approx(0)


def test_residual_alignment_at_its_best_and_worst():
    # corners of a simplex: their cyclic differences are told apart
    teacher = torch.eye(8)
    aligned = residual_alignment(3 * teacher + 5, teacher, temperature=0.01)
    assert aligned == pytest.approx(0, abs=1e-6)
    assert residual_alignment(torch.ones(8, 8), teacher) == pytest.approx(math.log(8), abs=1e-5)
    assert residual_alignment(-teacher, teacher) > residual_alignment(teacher, teacher) + 10


def test_residual_alignment_sees_differences_only():
    torch.manual_seed(0)
    student, teacher = torch.randn(6, 5), torch.randn(6, 5)
    shifted = residual_alignment(student + torch.randn(5), teacher + torch.randn(5))
    assert shifted == pytest.approx(residual_alignment(student, teacher).item(), abs=1e-5)


def test_key_structures_pool_where_their_tokens_look():
    torch.manual_seed(0)
    structures = KeyStructures(3, queries=2)
    flat = torch.randn(5, 3, 1, 1).expand(5, 3, 4, 4)
    pooled = structures(torch.randn(5, 3), flat)
    expected = structures.value(flat[:, :, 0, 0])  # all patches alike: attention cannot matter
    torch.testing.assert_close(pooled, torch.cat([expected, expected], 1))
    uneven = torch.randn(5, 3, 4, 4)
    context = torch.randn(5, 3)
    mixed = structures(context, uneven.flip(2))
    torch.testing.assert_close(mixed, structures(context, uneven))  # a set of patches
    assert not torch.allclose(mixed, structures(context + 3, uneven))


def test_the_prior_learns_what_the_teacher_sees():
    torch.manual_seed(0)
    images = torch.randn(16, 6, 3, 3)
    context, teacher = images.mean((2, 3)), images.mean((2, 3)) @ torch.randn(6, 4)
    prior = MedicalPrior(6, 4, queries=2)
    optimizer = torch.optim.Adam(prior.parameters(), 1e-2)
    first = prior(context, images, teacher).item()
    for _ in range(60):
        optimizer.zero_grad()
        loss = prior(context, images, teacher)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.5 * first
    assert all(parameter.grad is not None for parameter in prior.parameters())
