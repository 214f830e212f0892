"""An anonymizer at work on images of native size, in bounded memory, with the same result every time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deid.core.errors import Held
from deid.networks.anonymizer import Anonymizer

NO_NUMBER = "identity: the network gave a value that is no number"
NO_MEMORY = "identity: not enough memory on the device"
_PIXELS_AT_ONCE = 1 << 24

Made = TypeVar("Made")


class Scrubber:
    """Applies an anonymizer to images as they are, frame by frame where they are large.

    Args:
        network: The anonymizer.
        device: Where it runs.
    """

    def __init__(self, network: Anonymizer, device: torch.device) -> None:
        self._network, self._device = network.to(device).eval(), device
        self._at_once = _PIXELS_AT_ONCE

    @property
    def noise(self) -> int:
        """Normal values that one image takes."""
        return self._network.noise

    def is_familiar(self, unit: NDArray[np.float32]) -> bool:
        """Whether all frames `[frame, row, column]` in 0..1 look like what the network was trained on.

        Raises:
            Held: The device's memory is too small for one frame.
        """
        known = self._network.familiarity
        return all(self._in_parts(unit, lambda part: bool(known(self._tensor(part)).all())))

    def scrub(self, unit: NDArray[np.float32], strength: float, noise: list[float]) -> NDArray[np.float32]:
        """Take the identity out of frames of one object.

        All frames are changed by the same noise, so that neighbouring slices stay neighbours.

        Args:
            unit: `[frame, row, column]` in 0..1.
            strength: 0..1; at 0 nothing changes, bit for bit, which interpolation at native size would not
                reach.
            noise: As many values as `noise` says.

        Returns:
            Like ``unit``.

        Raises:
            Held: The result is no number, or the device's memory is too small for one frame.
        """
        if not strength:
            return unit
        drawn = torch.tensor([noise], dtype=torch.float32, device=self._device)
        parts = self._in_parts(unit, lambda part: self._part(part, strength, drawn))
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _in_parts(self, unit: NDArray[np.float32], work: Callable[[NDArray[np.float32]], Made]) -> list[Made]:
        """Do the work on as many frames at once as the device's memory has shown to hold."""
        made: list[Made] = []
        start = 0
        while start < len(unit):
            count = min(len(unit) - start, max(1, self._at_once // unit[0].size))
            try:
                made.append(work(unit[start : start + count]))
            except torch.OutOfMemoryError:
                if count == 1:
                    raise Held(NO_MEMORY) from None
                self._at_once = count // 2 * unit[0].size
                continue
            start += count
        return made

    @torch.inference_mode()
    def _part(self, unit: NDArray[np.float32], strength: float, noise: Tensor) -> NDArray[np.float32]:
        images = self._tensor(unit)
        strengths = torch.full((len(images),), strength, device=self._device)
        scrubbed = self._network(images, strengths, noise.expand(len(images), -1))[:, 0].cpu().numpy()
        if not np.isfinite(scrubbed).all():
            raise Held(NO_NUMBER)
        found: NDArray[np.float32] = scrubbed
        return found

    def _tensor(self, unit: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(unit)[:, None].to(self._device)
