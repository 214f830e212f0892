"""Trainings in bfloat16 on a CPU: finite losses, and the same bits when a run was stopped between."""

import pytest
import torch
from workflows.train_sets import SMALL_UNET, reader, spots

from deid.training.checkpoint import read_checkpoint
from deid.training.log import read_log
from deid.training.loop import _Training
from deid.training.options import read_options
from deid.workflows.train_classifier import ClassifierOptions, train_classifier
from deid.workflows.train_reid import ReidOptions, train_reid
from deid.workflows.train_unet import UnetOptions, train_unet

_CRITIC = {"size": 32, "patients": 8, "images": 2, "epochs": 1, "steps": 4, "teacher": "none"}
_MAMI = {"patch": 8, "width": 64, "depth": 1, "heads": 2, "gates": 4, "rank": 2, "dimension": 16}
TRAININGS = {
    "classifier": (
        train_classifier,
        ClassifierOptions,
        {"size": 32, "backbone": "lcnet_035", "batch": 8, "least": 2, "epochs": 1, "steps": 4},
    ),
    "mami": (train_reid, ReidOptions, _CRITIC | _MAMI | {"network": "mami"}),
    "siamese": (train_reid, ReidOptions, _CRITIC | {"network": "siamese", "backbone": "resnet10t"}),
    "compact": (train_reid, ReidOptions, _CRITIC | {"network": "compact"}),
    "unet": (train_unet, UnetOptions, SMALL_UNET),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A manifest for all of them."""
    return spots(tmp_path_factory.mktemp("data"), 120)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """A model folder with a classifier that has learned nothing."""
    return reader(tmp_path_factory.mktemp("models") / "reader")


class Stopped(Exception):
    """What ends a run in these tests."""


def stop_at(step):
    """A step of the loop that ends the run once so many are done."""
    take = _Training._one_step

    def one_step(self, *given):
        if self.state.step == step:
            raise Stopped
        take(self, *given)

    return one_step


def stop(self, reason):
    """Ends the run once it is trained, before it is measured."""
    raise Stopped


@pytest.mark.parametrize("name", TRAININGS)
def test_bfloat16_on_a_cpu_goes_on_to_the_same_bits(data, classifier, tmp_path, name, monkeypatch):
    train, kind, small = TRAININGS[name]
    given = small | {"device": "cpu", "save_every": 1, "log_every": 1}
    if name == "unet":
        given |= {"classifier": str(classifier)}

    def run(folder, precision, steps=None):
        """The last checkpoint, and the losses of each step."""
        with monkeypatch.context() as patched, pytest.raises(Stopped):
            patched.setattr(_Training, "report", stop)
            if steps:
                patched.setattr(_Training, "_one_step", stop_at(steps))
            train(data, tmp_path / folder, read_options(kind, None, given | {"precision": precision}))
        log = read_log(tmp_path / folder / "log.jsonl")
        losses = [
            {key: value for key, value in record.items() if key not in ("steps_per_second", "rate")}
            for record in log
            if record["kind"] == "steps"
        ]
        return read_checkpoint(tmp_path / folder / "checkpoints/last.safetensors"), losses

    whole, losses = run("whole", "bfloat16")
    assert len(losses) == 4 and None not in [value for record in losses for value in record.values()]
    run("stopped", "bfloat16", steps=2)
    resumed, again = run("stopped", "bfloat16")
    assert losses == again
    for module, weights in whole["modules"].items():
        for key, tensor in weights.items():
            assert tensor.dtype != torch.bfloat16 and torch.equal(tensor, resumed["modules"][module][key])
    _, full = run("full", "float32", steps=1)
    assert full[0].keys() == losses[0].keys() and full[0] != losses[0], "bfloat16 was used"
