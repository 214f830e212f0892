"""Finished images on disk, so that a second training starts at once. They are patients' data and private."""

from __future__ import annotations

import hashlib
import os
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deid.core.errors import UsageError
from deid.core.files import strerror

_VERSION = "1"
_BLOCK = 1 << 20


class ImageCache:
    """One NPZ file a sample, named by a digest of the files' content and of how images are made.

    Args:
        folder: Made if missing, for its owner only.
        options: How images are made, as text.

    Raises:
        UsageError: The folder cannot be made.
    """

    def __init__(self, folder: Path, options: str) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise UsageError(
                f"--cache: the cache folder cannot be made: {strerror(error)}; give another one."
            ) from None
        self._folder = folder
        self._options = options

    def key(self, paths: Sequence[Path], modality: str) -> str:
        """Digest of the content of some files, and of all that decides what is made of them.

        Raises:
            OSError: One cannot be read.
        """
        whole = hashlib.sha256("\0".join((_VERSION, self._options, modality)).encode())
        for path in paths:
            with path.open("rb") as stream:
                content = hashlib.sha256()
                while block := stream.read(_BLOCK):
                    content.update(block)
            whole.update(content.digest())
        return whole.hexdigest()

    def get(self, key: str) -> dict[str, NDArray[Any]] | None:
        """What was put under a key; None if nothing whole is there."""
        try:
            with np.load(self._folder / f"{key}.npz", allow_pickle=False) as arrays:
                return {name: arrays[name] for name in ("images", "frames", "side")}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None

    def put(self, key: str, **arrays: Any) -> None:
        """Keep arrays under a key; other processes see all of them or none.

        Raises:
            UsageError: The folder cannot be written.
        """
        try:
            self._write(f"{key}.npz", arrays)
        except OSError as error:  # no fault of the image, which would be left out
            raise UsageError(
                f"--cache: the folder cannot be written: {strerror(error)}. Free space, give another folder, "
                "or leave --cache out."
            ) from None

    def _write(self, name: str, arrays: dict[str, Any]) -> None:
        handle, part = tempfile.mkstemp(dir=self._folder, suffix=".part")  # made with mode 0600
        try:
            with os.fdopen(handle, "wb") as stream:
                np.savez(stream, **arrays)
            Path(part).replace(self._folder / name)
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise
