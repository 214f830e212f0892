"""The anonymizer and its operators: identity at strength 0, any size, noise that matters, gradients."""

import pytest
import torch

from deid.networks.anonymizer import Anonymizer
from deid.networks.operators import OPERATORS, KSame, Residual, Warp, blurred, make_operator

SMALL = {"size": 32, "encoder": "tu-regnetx_002", "depth": 3, "decoder": (16, 8, 8)}


def drawn(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def pictures(count=3, side=32):
    rows = torch.linspace(0, 1, side)
    waves = [0.5 + 0.3 * torch.sin(6 * (k + 1) * rows[:, None] + 4 * rows[None]) for k in range(count)]
    return torch.stack(waves)[:, None]


@pytest.mark.parametrize("name", sorted(OPERATORS))
@pytest.mark.parametrize("shape", [(32, 32), (50, 40)])
def test_strength_zero_changes_nothing(name, shape):
    operator = make_operator(name, {})
    images = torch.nn.functional.interpolate(pictures(), shape, mode="bilinear")
    maps, noise = drawn(1, 3, operator.maps, 32, 32), drawn(2, 3, operator.noise)
    unchanged = operator(images, maps, torch.zeros(3, 1, 1, 1), noise)
    assert (unchanged - images).abs().max() < 2e-5


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_output_stays_in_range_and_shape(name):
    operator = make_operator(name, {})
    images = torch.cat([pictures(), torch.zeros(1, 1, 32, 32), torch.ones(1, 1, 32, 32)])
    changed = operator(
        images, 5 * drawn(1, 5, operator.maps, 32, 32), torch.ones(5, 1, 1, 1), drawn(2, 5, operator.noise)
    )
    assert changed.shape == images.shape
    assert changed.min() >= 0 and changed.max() <= 1


def test_residual_is_bounded():
    operator = Residual(bound=0.1)
    images = torch.full((1, 1, 8, 8), 0.5)
    changed = operator(
        images, torch.full((1, 1, 8, 8), 50.0), torch.full((1, 1, 1, 1), 0.5), torch.zeros(1, 0)
    )
    assert torch.allclose(changed, torch.full_like(images, 0.55))


def test_warp_cannot_be_switched_off_by_the_network():
    operator = Warp(floor=0.5)
    never = torch.full((3, 3, 32, 32), -50.0)
    never[:, 1:] = 0
    moved = operator(pictures(), never, torch.ones(3, 1, 1, 1), drawn(1, 3, operator.noise))
    assert (moved - pictures()).abs().mean() > 0.02


def test_ksame_at_full_share_keeps_nothing_of_the_image():
    operator = KSame(templates=4, size=16)
    operator.set_templates(pictures(4, 32))
    all_gone = torch.full((2, 2, 32, 32), 50.0)
    noise = torch.zeros(2, 1)
    one, other = operator(pictures(2), all_gone, torch.ones(2, 1, 1, 1), noise)
    assert torch.allclose(one, other, atol=1e-6)


def test_ksame_draws_every_template_by_noise_alone():
    operator = KSame(templates=8, size=8)
    operator.set_templates(torch.linspace(0, 1, 8).view(8, 1, 1, 1).expand(8, 1, 8, 8))
    values = operator.choose(drawn(0, 400, 1)).mean((1, 2, 3))
    counts = torch.unique(values, return_counts=True)[1]
    assert len(counts) == 8 and counts.min() > 25


def test_ksame_refuses_another_number_of_templates():
    with pytest.raises(ValueError, match="4 templates are needed, 3 were given"):
        KSame(templates=4).set_templates(pictures(3))


def test_unknown_operator_is_named():
    with pytest.raises(ValueError, match="no operator is called swirl; there are: ksame, residual, warp"):
        make_operator("swirl", {})


def test_blur_keeps_the_mean_of_a_constant_and_smooths():
    assert torch.allclose(blurred(torch.full((1, 1, 20, 30), 0.3), 0.1), torch.full((1, 1, 20, 30), 0.3))
    speckle = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    assert blurred(speckle, 0.05).std() < 0.5 * speckle.std()


def test_anonymizer_is_the_identity_at_zero_and_not_at_one():
    network = Anonymizer(**SMALL).eval()
    noise = network.draw_noise(3, torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert (network(pictures(), torch.zeros(3), noise) - pictures()).abs().max() < 2e-5
        assert (network(pictures(), torch.ones(3), noise) - pictures()).abs().mean() > 0.02


def test_anonymizer_takes_any_size_and_other_noise_gives_another_image():
    network = Anonymizer(**SMALL).eval()
    images = pictures(2, 75)
    one, other = (network.draw_noise(2, torch.Generator().manual_seed(s)) for s in (0, 1))
    with torch.no_grad():
        scrubbed = network(images, torch.ones(2), one)
        assert scrubbed.shape == images.shape
        assert torch.equal(scrubbed, network(images, torch.ones(2), one))
        assert (scrubbed - network(images, torch.ones(2), other)).abs().mean() > 0.01


def test_gradients_reach_every_weight():
    network = Anonymizer(**SMALL)
    images = pictures().requires_grad_()
    noise = network.draw_noise(3, torch.Generator().manual_seed(0))
    network(images, torch.ones(3), noise).square().sum().backward()
    assert images.grad is not None and images.grad.abs().sum() > 0
    silent = [name for name, weight in network.named_parameters() if weight.grad is None]
    assert silent == []


def test_size_must_suit_the_depth():
    with pytest.raises(ValueError, match="the size, 30, must be a multiple of 8"):
        Anonymizer(**SMALL | {"size": 30})


def test_operators_can_be_left_out():
    network = Anonymizer(**SMALL, operators={"residual": {"bound": 0.05}})
    assert network.noise == 0
    with torch.no_grad():
        changed = network.eval()(pictures(), torch.ones(3), torch.zeros(3, 0))
    assert (changed - pictures()).abs().max() <= 0.05 + 1e-6


def test_the_order_in_which_operators_are_given_does_not_matter():
    """A record's JSON is sorted, so a loaded network must be the one that was trained."""
    given = {"warp": {}, "ksame": {"templates": 4}}
    one, other = (
        Anonymizer(**SMALL, operators=given),
        Anonymizer(**SMALL, operators=dict(sorted(given.items()))),
    )
    other.load_state_dict(one.state_dict())
    noise = one.draw_noise(3, torch.Generator().manual_seed(0))
    with torch.no_grad():
        scrubbed = [net.eval()(pictures(), torch.ones(3), noise) for net in (one, other)]
    assert torch.equal(*scrubbed)
