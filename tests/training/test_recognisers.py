"""Recognisers that ``train-unet`` builds by name."""

import pytest
import torch

from deid.core.errors import UsageError
from deid.networks.architectures import build
from deid.training.recognisers import BUILT_IN, built_in


@pytest.mark.parametrize(("size", "side"), [(32, 32), (64, 48), (100, 48), (112, 48), (256, 128), (512, 256)])
def test_a_compact_attacker_of_large_images_sees_fine_cues(size, side):
    assert built_in("compact", size) == ("compact-resnet", {"size": side})


@pytest.mark.parametrize("name", BUILT_IN)
def test_each_is_built_and_takes_images_of_the_size(name):
    network = build(*built_in(name, 64)).eval()
    with torch.no_grad():
        embeddings = network.embed(torch.rand(2, 1, 64, 64))
    assert len(embeddings) == 2 and torch.isfinite(embeddings).all()


def test_another_name_is_refused():
    with pytest.raises(UsageError, match="there are compact, siamese, mami"):
        built_in("nobody", 64)
