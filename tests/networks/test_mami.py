"""MaMI in small: any shape, gradients, fast path, starts."""

import json

import pytest
import torch

from deid.core.errors import UsageError
from deid.networks.mami import MaMI, dead_low_rank

TINY = {
    "size": 32,
    "patch": 8,
    "width": 64,
    "depth": 2,
    "heads": 2,
    "gates": 4,
    "rank": 4,
    "adapter": 16,
    "dimension": 24,
}
PAIRS = [f"transformer.resblocks.{block}.{target}" for block in (0, 1) for target in ("q", "k", "v", "c_fc")]


def tiny(seed=0, **changes):
    torch.manual_seed(seed)
    return MaMI(**{**TINY, **changes})


def ends(network):
    """The tensors that low-rank pairs are made of."""
    return [w for name, w in network.named_parameters() if name.endswith("_static") or ".l31." in name]


def randomise(network):
    """Weights with nothing special about them, not even zeros."""
    with torch.no_grad():
        for weight in network.parameters():
            weight.normal_(std=0.2)
    return network


@pytest.fixture
def images():
    return torch.rand(3, 1, 40, 52, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize(
    "shape",
    [
        {},
        {"rank": -1},
        {"stem": "convolution"},
        {"size": 42, "patch": 14, "stem": "convolution"},
        {"size": 42, "patch": 14, "width": 96, "heads": 3, "gates": 8, "rank": 2, "dimension": 7},
        {"size": 27, "patch": 9, "depth": 1},
    ],
)
def test_any_shape_gives_embedding_map_and_token(shape):
    network = tiny(**shape).eval()
    config = network.config
    sequence = torch.randn(2, 3, 5, config.size, config.size)
    embedding, patch_map = network(sequence)
    assert embedding.shape == (2, config.dimension)
    assert patch_map.shape == (2, config.width, config.grid, config.grid)
    assert network.modality_token(sequence).shape == (2, config.width)
    assert network.embed(torch.rand(2, 1, 50, 61)).shape == (2, config.dimension)
    again = MaMI(**json.loads(json.dumps(network.arguments())))
    again.load_state_dict(network.state_dict())
    assert torch.equal(again.eval()(sequence)[0], embedding)


def test_the_small_network_is_the_published_code_with_other_numbers():
    network = MaMI.small(rank=8)
    assert (network.config.size, network.config.width, network.config.rank) == (112, 192, 8)
    assert sum(w.numel() for w in network.parameters()) < 12e6
    assert network.embed(torch.rand(1, 1, 112, 112)).shape == (1, 192)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"patch": 5}, "multiple of its patch"),
        ({"heads": 3}, "multiple of its heads"),
        ({"gates": 5}, "multiple of its gates"),
        ({"rank": 3}, "rank that divides 8"),
        ({"rank": 0}, "rank must be a whole number"),
        ({"depth": -1}, "depth must be a whole number"),
        ({"width": 64.0}, "width must be a whole number"),
        ({"stem": "conv"}, "'patch' or 'convolution'"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(wrong, message):
    with pytest.raises(UsageError, match=message):
        tiny(**wrong)


def test_an_input_of_another_size_is_refused_and_says_which_one_is_taken():
    with pytest.raises(ValueError, match=r"\[image, 3, frame, 32, 32\]"):
        tiny()(torch.zeros(1, 3, 32, 32))


def test_frames_see_their_neighbours_and_images_see_nobody():
    network = randomise(tiny()).eval()
    sequences = torch.randn(2, 3, 4, 32, 32)
    embedding, patch_map = network(sequences)
    alone, alone_map = network(sequences[1:])
    assert torch.allclose(embedding[1:], alone, rtol=1e-4, atol=1e-5)
    assert torch.allclose(patch_map[1:], alone_map, rtol=1e-4, atol=1e-5)
    shuffled, _ = network(sequences[:, :, [2, 0, 3, 1]])
    assert not torch.allclose(embedding, shuffled, rtol=1e-2)


def test_the_shifted_sums_are_the_convolution_of_the_adapter():
    adapter = randomise(tiny()).transformer.resblocks[0].adapter_pre_attn
    for frames in (1, 2, 5):
        narrow = torch.randn(2, frames, 6, 16)
        convolved = adapter.conv(narrow.permute(0, 3, 1, 2).unsqueeze(-1)).squeeze(-1).permute(0, 2, 3, 1)
        assert torch.allclose(adapter._over_frames(narrow), convolved, atol=1e-5)


def test_embeddings_are_differentiable_with_respect_to_the_images(images):
    network = randomise(tiny()).eval()
    images.requires_grad_()
    network.embed(images)[0].square().sum().backward()
    assert images.grad[0].abs().min() > 0
    assert not images.grad[1:].any()


@pytest.mark.parametrize("stem", ["patch", "convolution"])
def test_every_weight_learns_within_two_steps(images, stem):
    network = tiny(stem=stem).train()
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    sequences = torch.cat([network.prepare(images), network.prepare(images.flip(3))], 2)
    target = torch.randn(3, TINY["dimension"])
    for _ in range(3):
        optimizer.zero_grad()
        (network(sequences)[0] - target).square().mean().backward()
        reached = {name for name, weight in network.named_parameters() if weight.grad.any()}
        optimizer.step()
    assert reached == dict(network.named_parameters()).keys()


def test_low_rank_pairs_start_alive_and_add_nothing(images):
    network = tiny().train()
    assert dead_low_rank(network.state_dict()) == []
    with torch.no_grad():
        before = network.embed(images)
        for weight in ends(network):
            weight.zero_()
        assert torch.equal(network.embed(images), before)
    assert dead_low_rank(network.state_dict()) == PAIRS


def test_a_dead_pair_gets_no_gradient_and_one_living_side_revives_it(images):
    network = tiny()
    for weight in ends(network):
        torch.nn.init.zeros_(weight)
    network.train().embed(images).sum().backward()
    assert not any(weight.grad.any() for weight in ends(network))
    block = network.transformer.resblocks[1]
    torch.nn.init.normal_(block.lora_mlp_v_b.l31.bias)
    assert dead_low_rank(network.state_dict()) == [pair for pair in PAIRS if pair != PAIRS[6]]
    network.embed(images).sum().backward()
    assert block.linear_a_v_static.grad.any()


def test_without_low_rank_nothing_is_dead():
    assert dead_low_rank(tiny(rank=-1).state_dict()) == []


def test_the_fast_path_is_taken_only_while_all_low_rank_weights_are_zero(images):
    network = randomise(tiny())
    for weight in ends(network):
        torch.nn.init.zeros_(weight)
    block = network.transformer.resblocks[0]
    context = torch.randn(3, 64)
    assert set(block.train().factors(context)) == {"q", "k", "v", "c_fc"}
    slow = network.train().embed(images)
    fast = network.eval().embed(images)
    assert block.factors(context) == {}
    assert torch.allclose(fast, slow, rtol=1e-5, atol=1e-6)
    torch.nn.init.normal_(block.lora_mlp_q_a.l31.bias)
    assert set(block.factors(context)) == {"q", "k", "v", "c_fc"}
    torch.nn.init.normal_(block.linear_b_q_static)
    assert not torch.allclose(network.embed(images), fast, rtol=1e-3)


@pytest.mark.parametrize("options", [{"foreach": False}, {"foreach": True}, {"fused": True}])
def test_the_fast_path_ends_when_an_optimizer_wakes_the_weights(options):
    block = tiny().eval().transformer.resblocks[0]
    weights = ends(block)
    for weight in weights:
        torch.nn.init.zeros_(weight)
    assert block.factors(torch.randn(1, 64)) == {}
    for weight in weights:
        weight.grad = torch.ones_like(weight)
    torch.optim.AdamW(weights, 0.1, **options).step()
    assert block.factors(torch.randn(1, 64)) != {}


def test_the_fast_path_ends_when_weights_are_loaded():
    network, live = tiny().eval(), randomise(tiny())
    for weight in ends(network):
        torch.nn.init.zeros_(weight)
    sequence = torch.randn(1, 3, 1, 32, 32)
    network(sequence)
    network.load_state_dict(live.state_dict())
    assert torch.equal(network(sequence)[0], live.eval()(sequence)[0])
    with torch.inference_mode():
        made_inside = tiny().eval()
        made_inside.load_state_dict(live.state_dict())
        assert torch.equal(made_inside(sequence)[0], network(sequence)[0])


def test_one_seed_gives_one_network():
    first, second, other = tiny(3), tiny(3), tiny(4)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not torch.equal(first.conv1.weight, other.conv1.weight)


def test_fresh_embeddings_are_finite_and_tell_images_apart(images):
    embedding = MaMI.small().eval().embed(images)
    assert embedding.isfinite().all()
    assert 0.01 < embedding.std() < 100
    similarity = torch.nn.functional.cosine_similarity(embedding[0], embedding[1], dim=0)
    assert similarity < 1 - 1e-6


def test_the_answer_is_the_same_without_gradients(images):
    network = randomise(tiny()).eval()
    embedding = network.embed(images)
    for mode in (torch.no_grad(), torch.inference_mode()):
        with mode:
            assert torch.allclose(network.embed(images), embedding, rtol=1e-5, atol=1e-5)


def test_half_precision_by_autocast_stays_near(images):
    network = randomise(tiny()).eval()
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        half = network.embed(images)
    assert torch.nn.functional.cosine_similarity(half.float(), network.embed(images)).min() > 0.99
