"""Opens what a sample or a unit consists of, whatever its format, as parts of some frames each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from deid.pixels.raster import RASTER_EXTENSIONS, read_raster
from deid.pixels.slices import Parts

NIFTI_EXTENSIONS = (".nii", ".nii.gz", ".hdr", ".hdr.gz", ".img", ".img.gz")


def open_image(paths: Sequence[Path], modality: str = "") -> Parts:
    """Open one object: a picture, a NIfTI volume, a DICOM file, or the DICOM files of one volume.

    Args:
        paths: Its file, or all files of a DICOM volume in any order.
        modality: What it shows, for formats that do not say it.

    Raises:
        Held: It cannot be read.
        Skipped: It is none of these.
        UsageError: A large compressed volume cannot be unpacked into the temporary folder.
    """
    name = paths[0].name.lower()
    if paths[0].suffix.lower() in RASTER_EXTENSIONS:
        picture = read_raster(paths[0], modality)
        return lambda: [picture]
    if name.endswith(NIFTI_EXTENSIONS):
        from deid.nifti.parts import open_parts as open_nifti

        return open_nifti(paths[0], modality)
    from deid.dicom.volume import open_parts

    return open_parts(paths)
