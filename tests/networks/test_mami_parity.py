"""The published MaMI, number by number: names, shapes, and what it answers to made weights and images."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from builders.mami import expected_shapes, given, parity, published_network

from deid.networks.mami import MaMI, MaMIConfig

REFERENCE = Path(__file__).resolve().parents[3] / "shared/reference/mami_parity.json"
FLOAT32 = [
    (16, "loud", "sequence", 0),
    (16, "loud", "pattern", 1),
    (16, "flat", "image", 0),
    (-1, "loud", "pattern", 1),
]
FLOAT64 = [
    (16, "loud", "pattern", 1),
    (16, "flat", "sequence", 0),
    (-1, "loud", "pattern", 1),
    (-1, "flat", "image", 0),
]


def case_of(rank, recipe, name):
    return next(c for c in parity()["cases"] if (c["rank"], c["recipe"], c["input"]) == (rank, recipe, name))


def assert_near(measured, listed, allowed):
    # Listed values have ten significant digits, whose rounding is not the network's error.
    listed = np.asarray(listed)
    excess = np.abs(measured.double().numpy() - listed) - 1e-9 * np.abs(listed)
    assert excess.max() <= allowed, f"{excess.max() / allowed:.2f} times the tolerance"


def check(network, rank, recipe, name, image):
    """One image of a case; images of a batch do not see each other, so the others may be left out."""
    case = case_of(rank, recipe, name)
    images = given(name)
    assert float(images.double().sum()) == pytest.approx(case["input_sum"], abs=1e-6)
    dtype = network.class_embedding.dtype
    factors = parity()["tolerance"]["float32_factor" if dtype == torch.float32 else "float64_factor"]
    allowed = {key: factors[key] * case["scale"][key] for key in factors}
    alone = images[image : image + 1].to(dtype)
    with torch.inference_mode():
        view = network.view(alone)
    assert_near(view.embedding[0, ::8], case["embedding"][image], allowed["embedding"])
    assert_near(view.token[0, ::16], case["token"][image], allowed["modality_token"])
    one_map = view.patch_map[0].flatten()
    inside = [(p - image * len(one_map), v) for p, v in zip(case["map_places"], case["map"], strict=True)]
    inside = [(place, value) for place, value in inside if 0 <= place < len(one_map)]
    assert len(inside) > 15
    places, values = zip(*inside, strict=True)
    assert_near(one_map[list(places)], values, allowed["x_local"])
    return view


@pytest.mark.parametrize("rank", [16, -1])
def test_names_and_shapes_are_those_that_inference_reads(rank):
    with torch.device("meta"):
        network = MaMI.published(rank)
    assert network.config == MaMIConfig(rank=rank)
    assert {key: list(t.shape) for key, t in network.state_dict().items()} == expected_shapes(rank)
    assert all(t.dtype == torch.float32 for t in network.state_dict().values())


@pytest.mark.parametrize(("rank", "recipe", "name", "image"), FLOAT32)
def test_answers_in_float32(rank, recipe, name, image):
    check(published_network(rank, recipe), rank, recipe, name, image)


@pytest.mark.shared
@pytest.mark.skipif(not REFERENCE.is_file(), reason="long; runs where the reference is beside the checkout")
@pytest.mark.parametrize(("rank", "recipe", "name", "image"), FLOAT64)
def test_answers_in_float64(rank, recipe, name, image):
    check(copy.deepcopy(published_network(rank, recipe)).double(), rank, recipe, name, image)
