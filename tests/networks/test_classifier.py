"""The classifier: any backbone, any image size, nothing downloaded."""

import pytest
import torch

from deid.core.errors import UsageError
from deid.networks.architectures import build
from deid.networks.classifier import Classifier


@pytest.mark.parametrize("backbone", ["resnet10t", "mobilenetv3_small_050", "vit_tiny_patch16_224"])
def test_features_and_logits(backbone):
    network = Classifier(backbone, ["Effusion", "Edema", "Mass"], 32, drop_rate=0.5).eval()
    images = torch.rand(2, 1, 40, 50, requires_grad=True)
    diagnosis = network(images)
    assert diagnosis.features.shape == (2, network.dimension) and diagnosis.logits.shape == (2, 3)
    assert torch.equal(network.embed(images), diagnosis.features)
    assert torch.allclose(network.head(diagnosis.features), diagnosis.logits)
    diagnosis.logits.sum().backward()
    assert images.grad.abs().sum() > 0


def test_it_is_built_again_from_the_arguments_of_a_record():
    arguments = {"backbone": "resnet10t", "findings": ["Effusion"], "size": 32, "drop_rate": 0.1}
    network, again = Classifier(**arguments), build("classifier", arguments)
    again.load_state_dict(network.state_dict())
    images = torch.rand(1, 1, 32, 32)
    assert torch.equal(network.eval()(images).logits, again.eval()(images).logits)


@pytest.mark.parametrize(
    ("backbone", "message"),
    [
        ("resnet81", "did you mean .*resnet18"),
        ("hf-hub:timm/resnet18", "not one of timm"),
        ("", "not one"),
    ],
)
def test_other_backbones_are_refused(backbone, message):
    with pytest.raises(UsageError, match=message):
        Classifier(backbone, ["Effusion"], 32)


@pytest.mark.parametrize("findings", [[], ["Mass", "Mass"]])
def test_findings_are_named_once(findings):
    with pytest.raises(UsageError, match="each once"):
        Classifier("resnet10t", findings, 32)
