"""Pictures of what a network does: rows of images side by side, as one grey picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

_GAP = 4
_BACKGROUND = 128


def picture_sheet(rows: Sequence[Sequence[NDArray[np.float32]]]) -> NDArray[np.uint8]:
    """Lay images out in rows.

    Args:
        rows: Images `[row, column]` in 0..1, of any sizes.

    Returns:
        The picture `[row, column]`, 0..255.
    """
    height = max(image.shape[0] for row in rows for image in row) + _GAP
    width = max(image.shape[1] for row in rows for image in row) + _GAP
    columns = max(len(row) for row in rows)
    sheet = np.full((len(rows) * height + _GAP, columns * width + _GAP), _BACKGROUND, np.uint8)
    for r, row in enumerate(rows):
        for c, image in enumerate(row):
            top, left = r * height + _GAP, c * width + _GAP
            part = sheet[top : top + image.shape[0], left : left + image.shape[1]]
            part[...] = np.rint(np.clip(image, 0, 1) * 255)
    return sheet


def before_after(before: Tensor, after: Tensor, gain: float = 2.0) -> NDArray[np.uint8]:
    """A row for each image: before, after, and their difference about middle grey.

    Args:
        before: Images `[image, 1, row, column]` in 0..1.
        after: The same images changed.
        gain: What differences are multiplied with, to be seen.
    """
    old = before.detach().float().cpu().numpy()[:, 0]
    new = after.detach().float().cpu().numpy()[:, 0]
    return picture_sheet([(b, a, 0.5 + gain * (a - b)) for b, a in zip(old, new, strict=True)])


def write_png(picture: NDArray[np.uint8], path: Path) -> None:
    """Write a picture `[row, column]`."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    Image.fromarray(picture).save(path)
