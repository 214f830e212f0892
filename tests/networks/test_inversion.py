"""White-box inversion: it undoes what is only displaced, and fails where content was replaced under a key."""

import pytest
import torch

from deid.networks.anonymizer import Anonymizer
from deid.networks.inversion import fixed_point, gradient_descent
from deid.training.phantoms import make_cohort

SIZE = 32


@pytest.fixture(scope="module")
def images():
    return torch.from_numpy(make_cohort(6, 1, 5, "chest", SIZE).images)[:, None]


def anonymizer(**operators):
    """A network with random weights whose maps are far from constant."""
    torch.manual_seed(0)
    network = Anonymizer(SIZE, "tu-regnetx_002", 3, (16, 8, 8), operators).eval()
    with torch.no_grad():
        network.unet.segmentation_head[0].weight *= 20
    if "ksame" in operators:
        others = torch.from_numpy(make_cohort(8, 1, 9, "chest", SIZE).images)[:, None]
        network.operators["ksame"].set_templates(others)
    return network


def scrubbed(network, images, strength, seed=1):
    noise = network.draw_noise(len(images), torch.Generator().manual_seed(seed))
    strengths = torch.full((len(images),), strength)
    with torch.no_grad():
        return network(images, strengths, noise), strengths, noise


def error(guess, images):
    return float((guess - images).abs().mean())


@pytest.mark.parametrize("strength", [0.1, 0.3])
def test_a_bounded_residual_is_undone_below_the_step_of_eight_bits(images, strength):
    network = anonymizer(residual={"bound": 0.1})
    given, strengths, noise = scrubbed(network, images, strength)
    assert error(given, images) > 2e-3
    assert error(fixed_point(network, given, strengths, noise), images) < 1 / 255


@pytest.mark.parametrize(
    "operators", [{"ksame": {"templates": 8}}, {"warp": {}}, {"ksame": {"templates": 8}, "warp": {}}]
)
@pytest.mark.parametrize("invert", [fixed_point, gradient_descent])
def test_what_was_replaced_under_a_key_stays_away_from_who_does_not_have_it(images, operators, invert):
    network = anonymizer(**operators)
    given, strengths, _ = scrubbed(network, images, 1.0)
    guess = network.draw_noise(len(images), torch.Generator().manual_seed(2))
    back = invert(network, given, strengths, guess)
    assert back.shape == images.shape and back.min() >= 0 and back.max() <= 1
    assert error(given, images) > 10 / 255
    assert error(back, images) > 0.5 * error(given, images)


def test_descent_explains_the_scrubbed_image_without_changing_the_network(images):
    network = anonymizer(ksame={"templates": 8}, warp={})
    given, strengths, _ = scrubbed(network, images, 1.0)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    guess = network.draw_noise(len(images), torch.Generator().manual_seed(2))
    back = gradient_descent(network, given, strengths, guess, fit_noise=False)
    with torch.no_grad():
        missed = error(network(back, strengths, guess), given)
        assert missed < 0.7 * error(network(given, strengths, guess), given)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(weight.requires_grad for weight in network.parameters())
