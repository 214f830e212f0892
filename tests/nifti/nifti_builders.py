"""Builders of NIfTI files with planted identifiers, and a cleaner that knows them."""

import gzip
import re
import struct
from pathlib import Path

import numpy as np

CANARIES = ("Mustermann", "Erika", "4711-0815", "19470311", "Charite")


class PlantedCleaner:
    """Stands in for KnownIdentifiers: removes the planted strings and ISO dates."""

    _pattern = re.compile("|".join(map(re.escape, CANARIES)) + r"|\d{4}-\d\d-\d\d", re.IGNORECASE)

    def clean(self, text: str, marker: str = "") -> str:
        return self._pattern.sub(marker, text)


def assert_no_canary(data: bytes) -> None:
    for canary in CANARIES:
        assert canary.lower().encode() not in data.lower(), canary


def nifti1(
    data: np.ndarray, order: str = "<", magic: bytes = b"n+1\0", extensions: bytes = b"", tail: bytes = b""
) -> bytes:
    """A NIfTI-1 from struct, canaries in every text field."""
    raw = bytearray(348)
    code = {"int16": (4, 16), "float32": (16, 32), "uint8": (2, 8)}[data.dtype.name]
    struct.pack_into(order + "i10s18sihcB", raw, 0, 348, b"Mustermann", b"Mustermann^Erika", 7, 3, b"E", 0)
    dims = [data.ndim, *data.shape] + [0x4D75] * (7 - data.ndim)
    struct.pack_into(order + "8h", raw, 40, *dims)
    struct.pack_into(order + "3hh", raw, 68, 0, *code, 0)
    struct.pack_into(order + "8f", raw, 76, -1, 2.0, 2.5, 3.0, 1.5, 1e20, 0, 1)
    struct.pack_into(order + "3f", raw, 108, 352 + len(extensions) if magic == b"n+1\0" else 0, 0.5, 10.25)
    raw[140:148] = b"Charite\0"
    raw[148:228] = b"Erika Mustermann 4711-0815".ljust(80, b"\0")
    raw[228:252] = b"Charite 19470311".ljust(24, b"\0")
    struct.pack_into(order + "2h", raw, 252, 1, 2)
    struct.pack_into(order + "18f", raw, 256, *(0.1 * i for i in range(18)))
    raw[328:344] = b"Mustermann".ljust(16, b"\0")
    raw[344:348] = magic
    if magic == b"ni1\0":
        return bytes(raw) + (b"\1\0\0\0" + extensions if extensions else bytes(4))
    flag = b"\1\0\0\0" if extensions else bytes(4)
    return bytes(raw) + flag + extensions + data.astype(data.dtype.newbyteorder(order)).tobytes("F") + tail


def extension(code: int, content: bytes, order: str = "<") -> bytes:
    size = (8 + len(content) + 15) // 16 * 16
    return struct.pack(order + "ii", size, code) + content.ljust(size - 8, b"\0")


def gzip_named(data: bytes, name: str = "Mustermann_Erika.nii") -> bytes:
    """A gzip member that carries a file name and a time."""
    body = gzip.compress(data, mtime=1_600_000_000)
    return body[:3] + b"\x08" + body[4:10] + name.encode() + b"\0" + body[10:]


def write(path: Path, content: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path
