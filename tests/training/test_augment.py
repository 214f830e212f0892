"""Augmentation changes exposure, place and marks, and nothing else."""

import time

import pytest
import torch
from torch import nn

from deid.training.augment import Augmentation, augment

NOTHING = dict.fromkeys(
    ("gamma", "contrast", "brightness", "scale", "shift", "rotation", "markers", "noise", "erasing", "flip"),
    0.0,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def images():
    rows, columns = torch.meshgrid(torch.linspace(0, 1, 48), torch.linspace(0, 1, 40), indexing="ij")
    return torch.stack([(rows * a + columns * b) / 2 for a, b in ((1, 1), (0.5, 1), (1, 0.2))])[:, None]


def test_the_same_draw_gives_the_same_images_and_the_input_stays(images):
    before = images.clone()
    one, again, other = (augment(images, generator(seed)) for seed in (5, 5, 6))
    assert torch.equal(one, again) and not torch.equal(one, other)
    assert torch.equal(images, before)
    assert one.shape == images.shape and one.dtype == torch.float32
    assert one.min() >= 0 and one.max() <= 1


def test_amounts_of_zero_change_nothing(images):
    torch.testing.assert_close(augment(images, generator(), Augmentation(**NOTHING)), images)


def test_flips_are_off_by_default_and_on_when_asked(images):
    flipped = augment(images, generator(), Augmentation(**{**NOTHING, "flip": 1.0}))
    torch.testing.assert_close(flipped, images.flip(3), atol=1e-5, rtol=0)
    mirrored = images.flip(3)
    kept = augment(images, generator(), Augmentation(markers=0, erasing=0, noise=0))
    assert all(
        (k - i).abs().mean() < (k - m).abs().mean() for k, i, m in zip(kept, images, mirrored, strict=True)
    )


def test_a_rotation_keeps_circles_round_on_images_that_are_not_square():
    rows, columns = torch.meshgrid(torch.arange(60) - 29.5, torch.arange(90) - 44.5, indexing="ij")
    disc = ((rows**2 + columns**2) < 20**2).float()[None, None].repeat(8, 1, 1, 1)
    turned = augment(disc, generator(), Augmentation(**{**NOTHING, "rotation": 45.0}))
    assert (turned - disc).abs().mean() < 0.01


def test_shift_and_scale_stay_within_their_bounds():
    point = torch.zeros(64, 1, 101, 101)
    point[:, :, 50, 50] = 1
    moved = augment(point, generator(), Augmentation(**{**NOTHING, "shift": 0.1}))
    places = moved.flatten(1).argmax(1)
    assert ((places // 101 - 50).abs() <= 11).all() and ((places % 101 - 50).abs() <= 11).all()
    assert len(set(places.tolist())) > 30


def test_exposure_keeps_the_order_of_grey_values(images):
    how = Augmentation(**{**NOTHING, "gamma": 0.4, "contrast": 0.2, "brightness": 0.1})
    changed = augment(images, generator(), how)
    for before, after in zip(images.flatten(1), changed.flatten(1), strict=True):
        assert (after[before.argsort()].diff() >= -1e-6).all()
    assert not torch.allclose(changed, images)


def test_markers_are_bright_and_near_corners():
    black = torch.zeros(200, 1, 80, 80)
    marked = augment(black, generator(), Augmentation(**{**NOTHING, "markers": 1.0}))
    assert ((marked == 0) | (marked >= 0.75)).all()
    assert (marked.flatten(1).amax(1) > 0).float().mean() > 0.95
    assert marked[:, :, 25:55, 25:55].max() == 0
    half = augment(black, generator(), Augmentation(**{**NOTHING, "markers": 0.5}))
    assert 0.35 < (half.flatten(1).amax(1) > 0).float().mean() < 0.65


def test_erasing_takes_a_rectangle_of_the_stated_area():
    noise = torch.rand(100, 1, 64, 64, generator=generator())
    erased = augment(noise, generator(), Augmentation(**{**NOTHING, "erasing": 1.0}))
    share = (erased != noise).float().mean((1, 2, 3))
    assert share.min() > 0.01 and share.max() < 0.18


def test_augmentation_costs_a_small_share_of_a_training_step():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        network = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(64, 128, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        )  # fmt: skip
        batch = torch.rand(16, 1, 112, 112)
        augment(batch, generator())
        drawn, step = [], []
        for _ in range(3):
            start = time.process_time()
            changed = augment(batch, generator())
            middle = time.process_time()
            network(changed).sum().backward()
            drawn.append(middle - start)
            step.append(time.process_time() - middle)
        assert min(drawn) < 0.1 * min(step)
    finally:
        torch.set_num_threads(threads)
