"""A zip archive of one model folder, unpacked with distrust."""

import re
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from deid.core.errors import UsageError
from deid.core.files import strerror
from deid.core.model_files import LARGEST, copy_file
from deid.core.models import NAME

_PLAIN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    IndexError,
    NotImplementedError,
    RuntimeError,
    EOFError,
    ValueError,
)
"""What :mod:`zipfile` may raise besides OSError on an archive that is damaged, encrypted or made to harm."""


@contextmanager
def unpack(archive: Path) -> Iterator[Path]:
    """The model folder that an archive holds, in a temporary place for as long as the block lasts.

    Raises:
        UsageError: It is no zip archive, is damaged, or holds anything but the files of one model folder.
    """
    with tempfile.TemporaryDirectory(prefix="mami-deid-") as temporary:
        try:
            folder = _unpack(archive, Path(temporary))
        except OSError as error:
            raise UsageError(f"the archive cannot be unpacked: {strerror(error)}.") from None
        except DAMAGED:
            raise UsageError("the archive is damaged, encrypted or no zip archive; pack it again.") from None
        yield folder


def _unpack(archive: Path, place: Path) -> Path:
    with zipfile.ZipFile(archive) as packed:
        entries = [entry for entry in packed.infolist() if not entry.is_dir()]
        paths = [PurePosixPath(entry.filename) for entry in entries]
        folders = {path.parent for path in paths}
        if sorted(path.name for path in paths) != sorted(LARGEST) or len(folders) != 1:
            files = ", ".join(sorted(LARGEST))
            raise UsageError(
                f"the archive is not of one model: allowed are {files}, in one folder or in none."
            )
        (inner,) = folders
        if (
            len(inner.parts) > 1
            or not re.fullmatch(NAME, inner.name or "model")
            or not all(map(_plain, entries))
        ):
            raise UsageError("the archive has links, or paths that lead elsewhere; it is not unpacked.")
        made = place / (inner.name or "model")
        made.mkdir()
        for entry, path in zip(entries, paths, strict=True):
            with packed.open(entry) as stream:
                copy_file(stream, made, path.name)
    return made


def _plain(entry: zipfile.ZipInfo) -> bool:
    """Whether an entry is a regular file (0 where the archive has no modes), packed in a usual way."""
    mode = entry.external_attr >> 16
    return stat.S_IFMT(mode) in (0, stat.S_IFREG) and entry.compress_type in _PLAIN
