"""The files of a DICOM series as one volume, in order of position."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from deid.core.errors import Held
from deid.core.image import Image
from deid.dicom.image_header import frame_bytes, frame_count, orientation_of, positions_of, text, whole
from deid.dicom.pixels import MAX_BYTES, TOO_LARGE, read_frames, read_header, read_image

_KEPT = 128 << 20
_PARALLEL = 0.01
_SAME_PLACE = 0.01
"""Directions differ, in the sine of the angle; positions differ, in mm."""


@dataclass(frozen=True)
class Stack:
    """Single-frame files that make one volume.

    Attributes:
        paths: In rising order along the normal of the planes (row direction x column direction), so from feet
            to head for axial planes; in order of Instance Number where nothing says the position.
        spacing: Between neighbours in mm, the median; 0 where nothing says it.
    """

    paths: tuple[Path, ...]
    spacing: float


def order_stack(headers: Iterable[tuple[Path, Dataset]]) -> Stack:
    """Put the files of one series in order.

    Of several files at one position (echoes, phases, diffusion directions) the one with the lowest Instance
    Number is taken: the first volume.

    Raises:
        Held: They have different sizes, kinds or orientations, or one has several frames.
    """
    found = sorted(headers, key=lambda pair: (whole(pair[1], "InstanceNumber"), pair[0]))
    if any(frame_count(header) > 1 for _, header in found):
        raise Held("volume: several files with several frames")
    if len({_kind(header) for _, header in found}) > 1:
        raise Held("volume: slices of different size or kind")
    places = _places([header for _, header in found])
    if places is None:
        return Stack(tuple(path for path, _ in found), 0.0)
    kept: list[int] = []
    for index in np.argsort(places, kind="stable"):
        if not kept or places[index] - places[kept[-1]] > _SAME_PLACE:
            kept.append(int(index))
    steps = np.diff([places[index] for index in kept])
    return Stack(tuple(found[index][0] for index in kept), float(np.median(steps)) if len(steps) else 0.0)


def open_parts(paths: Sequence[Path]) -> Callable[[], Iterable[Image]]:
    """Open one object, a file or the files of one series, for reading in parts.

    Returns:
        Gives the parts, some frames each, from the start at every call. What takes more than 128 MiB is read
        anew at each call, which may raise then.

    Raises:
        Held: It cannot be read, or the files are no volume.
        Skipped: A file is no DICOM file.
    """
    if len(paths) > 1:
        headers = [(path, read_header(path)) for path in paths]
        files, size = order_stack(headers).paths, sum(frame_bytes(header) for _, header in headers)
    else:
        header = read_header(paths[0])
        files, size = tuple(paths), frame_bytes(header) * frame_count(header)
    if size > _KEPT:
        return lambda: (part for path in files for part in read_frames(path))
    kept = [part for path in files for part in read_frames(path)]
    return lambda: kept


def read_volume(paths: Sequence[Path]) -> Image:
    """Read the files of one series as one image, a slice a frame, in the order of :func:`order_stack`.

    Raises:
        Held: As in :func:`open_parts`, or the volume is larger than one image may be.
        Skipped: A file is no DICOM file.
    """
    if len(paths) == 1:
        return read_image(paths[0])
    stack = order_stack((path, read_header(path)) for path in paths)
    slices: list[Image] = []
    for path in stack.paths:
        slices.append(read_image(path))
        if slices[0].array.nbytes * len(stack.paths) > MAX_BYTES:
            raise Held(TOO_LARGE)
    first, last = slices[0], slices[-1]
    affine = first.affine
    if affine is not None and last.affine is not None and len(slices) > 1:
        affine = affine.copy()
        affine[:3, 0] = (last.affine[:3, 3] - affine[:3, 3]) / (len(slices) - 1)
    return replace(
        Image.joined(slices),
        bits_stored=max(part.bits_stored for part in slices),
        spacing=(stack.spacing or first.spacing[0], *first.spacing[1:]),
        affine=affine,
    )


def _kind(header: Dataset) -> tuple[object, ...]:
    names = ("PhotometricInterpretation", "Modality")
    sizes = ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "PixelRepresentation")
    return (*(text(header, name) for name in names), *(whole(header, name) for name in sizes))


def _places(headers: Sequence[Dataset]) -> list[float] | None:
    """Position of each plane along the normal in mm; None where one has none."""
    orientation = orientation_of(headers[0])
    if orientation is None:
        return None
    normal = np.cross(*orientation)
    places = []
    for header in headers:
        own, position = orientation_of(header), positions_of(header)
        if own is None or position is None:
            return None
        if np.linalg.norm(np.cross(normal, np.cross(*own))) > _PARALLEL:
            raise Held("volume: planes that are not parallel")
        places.append(float(position[0] @ normal))
    return places
