"""What an image must look like to be taken for one of those that a network was trained on."""

import numpy as np
import pytest
import torch

from deid.networks.familiarity import Familiarity, altered
from deid.training.phantoms import make_cohort


def phantoms(kind, seed, patients):
    """`[image, 1, row, column]`; of volumes the middle slice."""
    images = np.asarray(make_cohort(patients, 1, seed, kind, 48, ("DX",) if kind == "chest" else None).images)
    if images.ndim == 4:
        images = images[:, 24]
    return torch.from_numpy(images.astype(np.float32))[:, None]


@pytest.fixture(scope="module")
def fitted():
    check = Familiarity()
    check.fit(phantoms("chest", 1, 300), phantoms("chest", 2, 60))
    return check


def share(check, images):
    return check(images).float().mean().item()


def test_images_of_other_patients_are_familiar(fitted):
    assert share(fitted, phantoms("chest", 3, 80)) >= 0.9


def test_other_parts_and_altered_images_are_not(fitted):
    assert share(fitted, phantoms("head", 3, 20)) == 0
    assert share(fitted, 1 - phantoms("chest", 3, 80)) == 0
    assert share(fitted, phantoms("chest", 3, 80).rot90(1, (2, 3))) <= 0.05
    assert share(fitted, altered(phantoms("chest", 3, 80))) <= 0.2


@pytest.mark.parametrize("image", [torch.zeros(1, 1, 48, 48), torch.rand(1, 1, 48, 48)])
def test_nothing_and_noise_are_not(fitted, image):
    assert not fitted(image).any()


def test_exposure_and_size_do_not_matter(fitted):
    images = phantoms("chest", 3, 80)
    large = torch.nn.functional.interpolate(images, (150, 150), mode="bilinear")
    assert torch.equal(fitted(images), fitted(0.2 + 0.5 * images))
    assert (fitted(images) == fitted(large)).float().mean() >= 0.95


def test_nothing_is_familiar_before_a_fit():
    assert not Familiarity()(phantoms("chest", 3, 5)).any()


def test_few_images_are_enough_to_fit():
    check = Familiarity()
    check.fit(phantoms("chest", 1, 20), phantoms("chest", 2, 10))
    assert torch.isfinite(check.limits).all()


def test_altered_keeps_the_number_of_images():
    images = phantoms("chest", 3, 23)
    assert altered(images).shape == images.shape
