"""Timm encoders and the siamese network as embedders."""

import pytest
import torch

from deid.core.errors import UsageError
from deid.networks.encoder import TimmEncoder
from deid.networks.mami import MaMI
from deid.networks.siamese import SiameseResNet

TINY_MAMI = {
    "size": 32,
    "patch": 16,
    "width": 32,
    "depth": 1,
    "heads": 2,
    "gates": 4,
    "rank": 2,
    "adapter": 8,
}


@pytest.mark.parametrize(
    ("make", "dimension"),
    [
        (lambda: TimmEncoder("resnet10t", size=48), 512),
        (lambda: TimmEncoder("resnet10t", size=48, dimension=20), 20),
        (lambda: TimmEncoder("test_vit", size=64), 64),
        (lambda: TimmEncoder("mobilenetv3_small_050", size=32), 1024),
        (lambda: SiameseResNet("resnet10t", size=48), 128),
        (lambda: MaMI(**TINY_MAMI, dimension=12), 12),
    ],
)
def test_every_embedder_takes_images_of_any_size_and_passes_gradients_on(make, dimension):
    torch.manual_seed(0)
    network = make().eval()
    images = torch.rand(2, 1, 70, 90, requires_grad=True)
    vectors = network.embed(images)
    assert vectors.shape == (2, dimension)
    vectors[0].square().sum().backward()
    assert images.grad[0].any() and not images.grad[1].any()


def test_a_backbone_that_timm_does_not_have_is_refused():
    with pytest.raises(UsageError, match="resnet18"):
        TimmEncoder("resnet_18")


def test_verification_is_symmetric_and_learns_from_the_difference():
    torch.manual_seed(0)
    network = SiameseResNet("resnet10t", size=32, dimension=16)
    first, second = torch.rand(2, 3, 1, 40, 40)
    with torch.no_grad():
        network.eval()
        assert torch.equal(network(first, second), network(second, first))
        same = network(first, first)
        assert torch.allclose(same, network.verify.bias.expand(3))
    logits = network.train()(first, second)
    assert logits.shape == (3,)
    torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.tensor([1.0, 0.0, 1.0])).backward()
    assert all(weight.grad is not None and weight.grad.any() for weight in network.trunk.project.parameters())


def test_the_default_is_a_resnet_of_128_dimensions():
    assert SiameseResNet().embed(torch.rand(2, 1, 30, 30)).shape == (2, 128)
