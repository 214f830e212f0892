"""The one value that joins the rooms: pixels as stored, with what is needed to understand them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

COLOUR = frozenset({"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"})
"""Photometric interpretations with three channels that an :class:`Image` may have."""


class Rescale(NamedTuple):
    """Stored value x slope + intercept = modality value (PS3.3 C.11.1)."""

    slope: float = 1.0
    intercept: float = 0.0


@dataclass(frozen=True, eq=False)
class ModalityLut:
    """A table from stored to modality values (PS3.3 C.11.1.1).

    Attributes:
        first: The stored value that the first entry stands for; lower ones take the first entry, those beyond
            the table its last.
        values: `[entry]`.
    """

    first: int
    values: NDArray[np.int64]

    def apply(self, stored: NDArray[Any]) -> NDArray[np.float64]:
        """Modality values of stored values, of the same shape."""
        index = np.clip(stored.astype(np.int64) - self.first, 0, len(self.values) - 1)
        return self.values[index].astype(np.float64)


@dataclass(frozen=True, eq=False)
class Image:
    """Pixels of one object or of a part of it.

    Attributes:
        array: Stored values `[frame, row, column, channel]`, channel 1 or 3.
        modality: Modality (0008,0060), such as ``CT``; empty where nothing says it.
        photometric: ``MONOCHROME1``, ``MONOCHROME2`` or one of :data:`COLOUR`.
        bits_stored: Of a sample.
        signed: Whether samples are in two's complement.
        rescale: One for all frames, or one a frame; not used where there is a ``lut``.
        lut: Modality LUT.
        units: Of the modality values: ``HU``, or empty where nothing says it.
        padding: Lowest and highest stored value that mean "no pixel here", or None.
        spacing: Between frames, rows and columns in mm; a part that is not known is 0.
        affine: `[4, 4]`, from index (frame, row, column, 1) to mm in the patient's left, posterior and
            superior direction; None where nothing says it.
    """

    array: NDArray[Any]
    modality: str = ""
    photometric: str = "MONOCHROME2"
    bits_stored: int = 8
    signed: bool = False
    rescale: tuple[Rescale, ...] = (Rescale(),)
    lut: ModalityLut | None = None
    units: str = ""
    padding: tuple[int, int] | None = None
    spacing: tuple[float, float, float] = (0.0, 0.0, 0.0)
    affine: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        assert self.array.ndim == 4, "[frame, row, column, channel]"
        assert self.array.shape[3] == (3 if self.photometric in COLOUR else 1)
        assert len(self.rescale) in (1, len(self.array)), "one rescale for all frames, or one a frame"

    @property
    def frames(self) -> int:
        """Number of frames."""
        return len(self.array)

    @property
    def stored_range(self) -> tuple[int, int]:
        """Lowest and highest value that a sample can hold."""
        if self.signed:
            return -(1 << (self.bits_stored - 1)), (1 << (self.bits_stored - 1)) - 1
        return 0, (1 << self.bits_stored) - 1

    def with_array(self, array: NDArray[Any]) -> Image:
        """The same image with other stored values of the same shape."""
        assert array.shape == self.array.shape
        return replace(self, array=array)

    @classmethod
    def joined(cls, parts: Sequence[Image]) -> Image:
        """Parts of one object, in order, as one image; all but the stored values is the first one's."""
        first = parts[0]
        rescale = [each for part in parts for each in part.rescale * (part.frames // len(part.rescale))]
        return replace(
            first,
            array=np.concatenate([part.array for part in parts]),
            rescale=first.rescale[:1] if len(set(rescale)) == 1 else tuple(rescale),
        )

    def part(self, start: int, stop: int) -> Image:
        """Frames from ``start`` up to ``stop``; the affine then starts at the first of them."""
        affine = self.affine
        if affine is not None:
            affine = affine.copy()
            affine[:3, 3] += start * affine[:3, 0]
        rescale = self.rescale if len(self.rescale) == 1 else self.rescale[start:stop]
        return replace(self, array=self.array[start:stop], rescale=rescale, affine=affine)
