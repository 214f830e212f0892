"""Opens what a sample or a unit consists of, whatever its format, as parts of some frames each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from deid.core.image import Image
from deid.pixels.raster import RASTER_EXTENSIONS, read_raster
from deid.pixels.slices import Parts

_PART = 1 << 22
"""Pixels of a part: what is computed from it takes several times as much memory as a stored volume."""

NIFTI_EXTENSIONS = (".nii", ".nii.gz", ".hdr", ".hdr.gz", ".img", ".img.gz")


def open_image(paths: Sequence[Path], modality: str = "") -> Parts:
    """Open one object: a picture, a NIfTI volume, a DICOM file, or the DICOM files of one volume.

    A NIfTI file is mapped into memory, and a compressed one is unpacked as a whole; what is computed from
    either takes memory for some frames only.

    Args:
        paths: Its file, or all files of a DICOM volume in any order.
        modality: What it shows, for formats that do not say it.

    Raises:
        Held: It cannot be read.
        Skipped: It is none of these.
    """
    name = paths[0].name.lower()
    if paths[0].suffix.lower() in RASTER_EXTENSIONS:
        picture = read_raster(paths[0], modality)
        return lambda: [picture]
    if name.endswith(NIFTI_EXTENSIONS):
        from deid.nifti.pixels import read_image

        return _in_parts(read_image(paths[0], modality))
    from deid.dicom.volume import open_parts

    return open_parts(paths)


def _in_parts(volume: Image) -> Parts:
    """A volume that is at hand, or in a file that is mapped into memory, as parts of some frames each."""
    frames, rows, columns = volume.array.shape[:3]
    step = max(1, _PART // (rows * columns))
    return lambda: (volume.part(start, start + step) for start in range(0, frames, step))
