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
_UNREADABLE = "unreadable: NIfTI volume"

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
    stored = open_volume(path)
    return stored.image(stored.layout.to_frames(stored.voxels()), modality), stored.layout


@dataclass(frozen=True, eq=False)
class StoredVolume:
    """A volume, the first of a series in time, of which no more than the header was read.

    Attributes:
        file: Where its voxels are.
        offset: Bytes before them, in the file as unpacked.
        shape: Voxels along the axes of the file.
        volumes: How many the file has, one after the other.
        dtype: Of stored values, in the byte order of the file.
        rescale: From stored values to those that are meant.
        to_ras: From voxel to mm to the patient's right, front and head: `[4, 4]`.
        layout: How voxels become frames.
    """

    file: Path
    offset: int
    shape: tuple[int, int, int]
    volumes: int
    dtype: np.dtype[Any]
    rescale: Rescale
    to_ras: NDArray[np.float64]
    layout: Layout
    _proxy: Any

    def voxels(self) -> NDArray[Any]:
        """Stored voxels `[i, j, k]`, mapped into memory where the file is not compressed.

        Raises:
            FileNotFoundError: The image of a pair is missing.
            Held: They cannot be read.
        """
        try:
            voxels = np.asarray(self._proxy.get_unscaled())
        except FileNotFoundError:
            raise
        except _FAILURES:
            raise Held(_UNREADABLE) from None
        voxels = voxels.reshape(*self.shape, -1)[..., 0]
        if self.volumes > 1:
            voxels = voxels.copy()  # so that the other volumes can go
        return voxels.astype(voxels.dtype.newbyteorder("="), copy=False)

    def image(self, frames: NDArray[Any], modality: str) -> Image:
        """The volume as an image.

        Args:
            frames: All its frames, `[frame, row, column]` by the layout.
            modality: What it shows; ``CT`` has Hounsfield units.
        """
        to_voxel = np.zeros((4, 4))
        to_voxel[3, 3] = 1
        for axis, (source, turned) in enumerate(zip(self.layout.axes, self.layout.flipped, strict=True)):
            to_voxel[source, axis] = -1 if turned else 1
            to_voxel[source, 3] = self.shape[source] - 1 if turned else 0
        affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ self.to_ras @ to_voxel
        between, rows, columns = (float(length) for length in np.linalg.norm(affine[:3, :3], axis=0))
        return Image(
            frames[..., None],
            modality=modality,
            bits_stored=self.dtype.itemsize * 8,
            signed=self.dtype.kind != "u",
            rescale=(self.rescale,),
            units="HU" if modality == "CT" else "",
            spacing=(between, rows, columns),
            affine=affine,
        )


def open_volume(path: Path) -> StoredVolume:
    """Read what stands before the voxels.

    Raises:
        FileNotFoundError: There is no such file.
        Held: As in :func:`read_volume`.
    """
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
        file, offset = Path(volume.file_map["image"].filename), int(volume.dataobj.offset)
        rescale = Rescale(float(volume.dataobj.slope), float(volume.dataobj.inter))
        to_ras = np.asarray(volume.affine, np.float64)
    except FileNotFoundError:
        raise
    except (*_FAILURES, ImageFileError, HeaderDataError):
        raise Held(_UNREADABLE) from None
    if not np.isfinite(to_ras).all() or np.linalg.matrix_rank(to_ras[:3, :3]) < 3:
        raise Held("unreadable: NIfTI orientation")
    sizes = (shape[0], shape[1], math.prod(shape[2:3]))
    layout = _layout(to_ras, sizes)
    return StoredVolume(
        file, offset, sizes, math.prod(shape[3:]), dtype, rescale, to_ras, layout, volume.dataobj
    )


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
