"""A tiny network and its model folder."""

import pytest
import torch
from torch import nn

from builders.models import record
from deid.core.card_text import card_text
from deid.networks import architectures
from deid.networks.folder import save_model


class Tiny(nn.Module):
    """A matrix, a vector and a counter."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.matrix = nn.Linear(width, width)
        self.norm = nn.BatchNorm1d(width)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.norm(self.matrix(images))


def register_tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes "tiny" an architecture for the length of a test."""
    monkeypatch.setattr(architectures, "ARCHITECTURES", {**architectures.ARCHITECTURES, "tiny": Tiny})


def save_tiny(place, name: str = "tiny", **options):
    """A model folder below ``place`` and the network in it."""
    torch.manual_seed(1)
    network, made = Tiny(), record(name)
    save_model(place / name, network, made, card_text(made, "A network for tests."), **options)
    return place / name, network
