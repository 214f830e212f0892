"""A NIfTI volume in parts of some frames each, in memory of a part however long the volume is."""

from __future__ import annotations

import io
import math
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from deid.core.errors import Held, UsageError
from deid.core.files import strerror
from deid.core.image import Image
from deid.nifti.pixels import StoredVolume, open_volume
from deid.nifti.stream import SourceStream, open_source

_PART = 1 << 22
"""Pixels of a part: what is computed from it takes several times as much memory as a stored volume."""
_BLOCK = 8 << 20
"""Bytes that are unpacked at once, or one plane of the file."""
_IN_MEMORY = 32 << 20
"""Unpacked bytes that need no temporary file."""


def open_parts(path: Path, modality: str = "") -> Callable[[], Iterable[Image]]:
    """Open a volume, the first of a series in time, for reading in parts; see :func:`read_volume`.

    An uncompressed file is mapped into memory. A compressed one is read to its end once and, if it is large,
    unpacked into a temporary file without a name, which is gone when the parts are no longer used.

    Args:
        path: A ``.nii`` or ``.nii.gz`` file, or either file of a pair.
        modality: What it shows; ``CT`` has Hounsfield units.

    Returns:
        Gives the parts from the start at every call.

    Raises:
        FileNotFoundError: There is no such file.
        Held: It cannot be read, is damaged or truncated, or is no grey volume.
        UsageError: The temporary folder cannot be written.
    """
    stored = open_volume(path)
    if stored.file.name.lower().endswith(".gz"):
        return _Unpacked(stored, modality)
    image = stored.image(stored.layout.to_frames(stored.voxels()), modality)
    return lambda: (image.part(*span) for span in _spans(image))


def _spans(image: Image) -> Iterator[tuple[int, int]]:
    frames, rows, columns = image.array.shape[:3]
    step = max(1, _PART // (rows * columns))
    return ((start, min(start + step, frames)) for start in range(0, frames, step))


class _Unpacked:
    """A compressed volume, unpacked and put in the order of its frames.

    A frame may lie scattered over the whole file (sagittal ones of most files do). Here each is one piece,
    with the two other axes in the order of the file, so that a part is one read.
    """

    def __init__(self, stored: StoredVolume, modality: str) -> None:
        self._stored = stored
        self._axis = stored.layout.axes[0]
        rows_columns = tuple(stored.shape[axis] for axis in stored.layout.axes)
        native = stored.dtype.newbyteorder("=")
        nothing = np.broadcast_to(np.zeros((), native), rows_columns)  # the shape, without the memory
        self._outline = stored.image(nothing, modality)
        frames = stored.shape[self._axis]
        self._frame_bytes = math.prod(stored.shape) // frames * stored.dtype.itemsize
        self._file = _temporary_file(frames * self._frame_bytes)
        weakref.finalize(self, _close, self._file)
        self._unpack()

    def __call__(self) -> Iterator[Image]:
        for start, stop in _spans(self._outline):
            yield self._outline.part(start, stop).with_array(self._frames(start, stop)[..., None])

    def _frames(self, start: int, stop: int) -> NDArray[Any]:
        stored = self._stored
        first = stored.shape[self._axis] - stop if stored.layout.flipped[0] else start
        self._file.seek(first * self._frame_bytes)
        data = self._file.read((stop - start) * self._frame_bytes)
        others = [size for axis, size in enumerate(stored.shape) if axis != self._axis]
        pieces = np.frombuffer(data, stored.dtype).reshape(*others, stop - start, order="F")
        frames = stored.layout.to_frames(np.moveaxis(pieces, 2, self._axis))
        return frames.astype(stored.dtype.newbyteorder("="), copy=False)

    def _unpack(self) -> None:
        stored = self._stored
        with open_source(stored.file) as stream:
            _skip(stream, stored.offset)
            i, j, planes = stored.shape
            plane = i * j * stored.dtype.itemsize
            step = max(1, _BLOCK // plane)
            for start in range(0, planes, step):
                count = min(step, planes - start)
                data = b"".join(stream.pieces(count * plane))
                block = np.frombuffer(data, stored.dtype).reshape(i, j, count, order="F")
                self._put(start, np.moveaxis(block, self._axis, 2))
            _skip(stream, (stored.volumes - 1) * planes * plane)
            stream.drain()  # checks the CRC

    def _put(self, start: int, block: NDArray[Any]) -> None:
        """Write planes of the file from ``start``: `[axis, other axis, frame]`, in the order of the file."""
        first, within = (start, 0) if self._axis == 2 else (0, start * block[:, 0, 0].nbytes)
        try:
            for number in range(block.shape[2]):
                self._file.seek((first + number) * self._frame_bytes + within)
                self._file.write(block[:, :, number].tobytes("F"))
            self._file.flush()
        except OSError as error:  # no fault of the volume, which would be left out
            raise _unwritable(error) from None


def _temporary_file(size: int) -> BinaryIO:
    if size <= _IN_MEMORY:
        return io.BytesIO()
    try:
        return cast(BinaryIO, tempfile.TemporaryFile())  # for its owner only, and without a name
    except OSError as error:
        raise _unwritable(error) from None


def _unwritable(error: OSError) -> UsageError:
    return UsageError(
        "a large gzipped NIfTI volume is unpacked into a temporary file, which cannot be written: "
        f"{strerror(error)}. Free space in the temporary folder, or name another one in the variable TMPDIR."
    )


def _close(file: BinaryIO) -> None:
    with suppress(OSError):  # what could not be written is of no use any more
        file.close()


def _skip(stream: SourceStream, count: int) -> None:
    if count < 0 or stream.skip(count) < count:
        raise Held("unreadable: NIfTI data truncated")
