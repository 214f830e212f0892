"""The temporal adapter: how patches of neighbouring frames see each other."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class TemporalAdapter(nn.Module):
    """Narrows the channels, convolves each over three frames, widens again; linear (after arXiv 2206.13559).

    Args:
        width: Channels of a token.
        narrow: Channels between.
    """

    def __init__(self, width: int, narrow: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, narrow)
        self.conv = nn.Conv3d(narrow, narrow, (3, 1, 1), padding=(1, 0, 0), groups=narrow)
        self.fc2 = nn.Linear(narrow, width)

    def forward(self, patches: Tensor, frames: int) -> Tensor:
        """What to add to patches `[image x frame, patch, channel]`."""
        narrow = torch.unflatten(self.fc1(patches), 0, (-1, frames))
        change: Tensor = self.fc2(self._over_frames(narrow).flatten(0, 1))
        return change

    def _over_frames(self, narrow: Tensor) -> Tensor:
        """`self.conv` on `[image, frame, patch, channel]`, as shifted sums, which need no other layout."""
        before, here, after = self.conv.weight.flatten(1).unbind(1)
        assert self.conv.bias is not None
        mixed = torch.addcmul(self.conv.bias, narrow, here)
        mixed[:, 1:] += narrow[:, :-1] * before
        mixed[:, :-1] += narrow[:, 1:] * after
        return mixed
