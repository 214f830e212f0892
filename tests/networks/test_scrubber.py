"""The anonymizer on native images: bounded memory, and nothing that is no number comes out."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from deid.core.errors import Held
from deid.networks.scrubber import NO_MEMORY, NO_NUMBER, Scrubber
from deid.workflows.scrub.proof import device_of

CPU = torch.device("cpu")


class Fake(nn.Module):
    """Halves every image; the device has no memory for more than some frames; its outputs are counted."""

    noise = 2

    def __init__(self, fits=1_000, factor=0.5):
        super().__init__()
        self.fits, self.factor, self.asked = fits, factor, []

    def familiarity(self, images):
        """What is bright at its first pixel is not familiar."""
        self._fit(images)
        return images[:, 0, 0, 0] < 1

    def _fit(self, images):
        self.asked.append(len(images))
        if len(images) > self.fits:
            raise torch.OutOfMemoryError("a text of the library")

    def forward(self, images, strength, noise):
        assert noise.shape == (len(images), self.noise) and (noise == noise[:1]).all()
        self._fit(images)
        return images * self.factor


def frames(count, side=8):
    return np.random.default_rng(1).random((count, side, side)).astype(np.float32)


def test_out_of_memory_halves_the_frames_at_once_and_remembers():
    network, unit = Fake(fits=3), frames(20)
    scrubber = Scrubber(network, CPU)
    assert np.array_equal(scrubber.scrub(unit, 1.0, [0.0, 1.0]), unit * np.float32(0.5))
    asked = network.asked
    failed = [count for count in asked if count > 3]
    assert failed == sorted(failed, reverse=True) and failed[0] == 20
    assert all(after <= before // 2 for before, after in pairwise(failed))
    network.asked = []
    scrubber.scrub(unit, 1.0, [0.0, 1.0])
    assert max(network.asked) <= 3, "the next object is not tried in too large parts again"


def test_the_look_at_the_images_fits_into_the_same_memory():
    scrubber, unit = Scrubber(Fake(fits=3), CPU), frames(20)
    assert scrubber.is_familiar(unit)
    unit[-1, 0, 0] = 1
    assert not scrubber.is_familiar(unit)
    with pytest.raises(Held, match=NO_MEMORY):
        Scrubber(Fake(fits=0), CPU).is_familiar(unit)


def test_no_device_computes_in_less_than_single_precision():
    """TensorFloat-32, torch's default on a GPU, would make other grey levels than a CPU."""
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic = True, False
    device_of("cpu")
    assert not torch.backends.cudnn.allow_tf32 and not torch.backends.cuda.matmul.allow_tf32
    assert torch.backends.cudnn.deterministic


def test_one_frame_that_does_not_fit_is_held():
    with pytest.raises(Held, match=NO_MEMORY):
        Scrubber(Fake(fits=0), CPU).scrub(frames(5), 1.0, [0.0, 1.0])


@pytest.mark.parametrize("factor", [float("nan"), float("inf")])
def test_what_is_no_number_is_held(factor):
    with pytest.raises(Held, match=NO_NUMBER):
        Scrubber(Fake(factor=factor), CPU).scrub(frames(2) + 0.1, 1.0, [0.0, 1.0])


def test_large_frames_are_taken_one_by_one():
    network = Fake()
    Scrubber(network, CPU).scrub(frames(3, 4000), 1.0, [0.0, 1.0])
    assert network.asked == [1, 1, 1]


def test_strength_0_gives_back_what_it_was_given():
    unit = frames(2)
    assert Scrubber(Fake(), CPU).scrub(unit, 0.0, [0.0, 1.0]) is unit
