"""A task that learns within a second: tell bright images from dark ones, with dropout and momentum."""

import numpy as np
import torch
from torch import nn

from deid.training.loop import LoopOptions, fit
from deid.training.options import read_options


class Toy:
    """A small convolutional network on noise with a class-dependent brightness."""

    steps_per_epoch = 4
    score = "accuracy"

    def __init__(self, contrast=0.5):
        torch.manual_seed(0)
        self.network = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.2), nn.LazyLinear(1)
        )
        self.network(torch.zeros(2, 1, 8, 8))
        self.contrast = contrast
        self.turns = 0
        self.seen = []

    def modules(self):
        return {"network": self.network}

    def frozen(self):
        return {}

    def optimizers(self):
        return {"network": torch.optim.AdamW(self.network.parameters(), lr=0.02)}

    def draw(self, generator, count=16):
        truth = torch.randint(2, (count,), generator=generator).float()
        noise = torch.rand(count, 1, 8, 8, generator=generator)
        return {"images": noise + self.contrast * truth[:, None, None, None], "truth": truth}

    def batch(self, step, generator):
        return self.draw(generator)

    def step(self, batch, run):
        with run.autocast():
            logits = self.network(batch["images"])[:, 0]
            loss = nn.functional.binary_cross_entropy_with_logits(logits, batch["truth"])
        run.backward(loss)
        run.update("network")
        self.turns += 1
        self.seen.append(run.step)
        return {"loss": loss}

    def validate(self, run):
        assert not self.network.training and not torch.is_grad_enabled()
        batch = self.draw(run.generator, 64)
        right = (self.network(batch["images"])[:, 0] > 0).float() == batch["truth"]
        return {"accuracy": float(right.float().mean())}

    def sheet(self, run):
        return np.zeros((4, 4), np.uint8)

    def state(self):
        return {"turns": self.turns, "queue": torch.arange(self.turns)}

    def load_state(self, state):
        self.turns = state["turns"]
        assert len(state["queue"]) == self.turns


def options(**given):
    return read_options(LoopOptions, None, {"device": "cpu", "epochs": 2, "save_every": 1000} | given)


def train(folder, task=None, **given):
    """The task after its training, and the report."""
    task = task or Toy()
    return task, fit(task, options(**given), folder)
