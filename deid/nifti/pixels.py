"""NIfTI volumes as images: slices as frames, looked at as a radiologist does."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deid.core.errors import Held
from deid.core.image import Image, Rescale

MAX_BYTES = 4 << 30
"""Bytes of voxels that are read."""

NO_GREY = "pixels: complex numbers or colour in a NIfTI file"

_FAILURES = (ValueError, TypeError, AttributeError, OverflowError, EOFError, OSError, zlib.error)
_WIDE = 1.5
_DIRECTIONS = {"S": "SPL", "P": "PIL", "L": "LIP"}
"""Where frames, rows and columns rise to: axial, coronal, sagittal."""
_SAME_AXIS = {"S": "SI", "I": "SI", "P": "PA", "L": "LR"}


@dataclass(frozen=True)
class Layout:
    """How voxels of the file became frames, so that frames can become voxels again.

    Attributes:
        axes: Axis of the file that became frames, rows, columns.
        flipped: Whether each of them runs the other way.
    """

    axes: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]

    def to_frames(self, voxels: NDArray[Any]) -> NDArray[Any]:
        """`[frame, row, column]` of voxels as the file has them."""
        return np.flip(voxels.transpose(self.axes), self._turned())

    def to_voxels(self, frames: NDArray[Any]) -> NDArray[Any]:
        """Voxels as the file has them, of `[frame, row, column]`."""
        return np.flip(frames, self._turned()).transpose(np.argsort(self.axes))

    def _turned(self) -> tuple[int, ...]:
        return tuple(axis for axis in range(3) if self.flipped[axis])


def read_image(path: Path, modality: str = "") -> Image:
    """Read a volume, the first of a series in time; see :func:`read_volume`."""
    return read_volume(path, modality)[0]


def read_volume(path: Path, modality: str = "") -> tuple[Image, Layout]:
    """Read a volume as stored values.

    Frames are axial planes, from feet to head, rows towards the back, columns towards the patient's left;
    where one axis of the file is spaced 1.5 times as wide as the others or more, the frames are its planes
    (coronal from front to back, sagittal from right to left, rows towards the feet).

    Args:
        path: A ``.nii`` or ``.nii.gz`` file, or either file of a pair.
        modality: What it shows; ``CT`` has Hounsfield units.

    Raises:
        Held: It cannot be read, has complex numbers, colour or fewer than 2 axes, or is too large.
    """
    voxels, to_ras, rescale = _read(path)
    layout = _layout(to_ras, voxels.shape)
    to_voxel = np.zeros((4, 4))
    to_voxel[3, 3] = 1
    for axis, (source, turned) in enumerate(zip(layout.axes, layout.flipped, strict=True)):
        to_voxel[source, axis] = -1 if turned else 1
        to_voxel[source, 3] = voxels.shape[source] - 1 if turned else 0
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ to_ras @ to_voxel
    between, rows, columns = (float(length) for length in np.linalg.norm(affine[:3, :3], axis=0))
    image = Image(
        layout.to_frames(voxels)[..., None],
        modality=modality,
        bits_stored=voxels.dtype.itemsize * 8,
        signed=voxels.dtype.kind != "u",
        rescale=(rescale,),
        units="HU" if modality == "CT" else "",
        spacing=(between, rows, columns),
        affine=affine,
    )
    return image, layout


def _read(path: Path) -> tuple[NDArray[Any], NDArray[np.float64], Rescale]:
    """Stored voxels `[i, j, k]`, the affine to mm in RAS, and the scaling."""
    import nibabel as nib
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    try:
        volume: Any = nib.load(path)
        dtype, shape = volume.get_data_dtype(), volume.shape
        if dtype.kind not in "iuf" or dtype.itemsize > 8:
            raise Held(NO_GREY)
        if len(shape) < 2 or not 0 < math.prod(shape) * dtype.itemsize <= MAX_BYTES:
            raise Held("pixels: volume empty or over the limit")
        voxels = np.asarray(volume.dataobj.get_unscaled())
        rescale = Rescale(float(volume.dataobj.slope), float(volume.dataobj.inter))
        to_ras = np.asarray(volume.affine, np.float64)
    except FileNotFoundError:
        raise
    except (*_FAILURES, ImageFileError, HeaderDataError):
        raise Held("unreadable: NIfTI volume") from None
    if not np.isfinite(to_ras).all() or np.linalg.matrix_rank(to_ras[:3, :3]) < 3:
        raise Held("unreadable: NIfTI orientation")
    voxels = voxels.reshape(shape[0], shape[1], math.prod(shape[2:3]), -1)[..., 0]
    if len(shape) > 3:
        voxels = voxels.copy()  # so that the other volumes can go
    return voxels.astype(voxels.dtype.newbyteorder("="), copy=False), to_ras, rescale


def _layout(to_ras: NDArray[np.float64], shape: tuple[int, ...]) -> Layout:
    from nibabel.orientations import aff2axcodes

    codes: tuple[str, ...] = aff2axcodes(to_ras)  # type: ignore[no-untyped-call]
    spacing = np.linalg.norm(to_ras[:3, :3], axis=0)
    widest = int(spacing.argmax())
    planes = "S"
    if shape[2] > 1 and spacing[widest] >= _WIDE * np.delete(spacing, widest).max():
        planes = next(name for name in _DIRECTIONS if codes[widest] in _SAME_AXIS[name])
    wanted = _DIRECTIONS[planes]
    axes = [next(axis for axis in range(3) if codes[axis] in _SAME_AXIS[name]) for name in wanted]
    turned = [codes[axis] != name for axis, name in zip(axes, wanted, strict=True)]
    return Layout((axes[0], axes[1], axes[2]), (turned[0], turned[1], turned[2]))
