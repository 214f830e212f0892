"""Writing a data set as bytes in every transfer syntax and every form of file."""

from __future__ import annotations

import copy
from io import BytesIO
from pathlib import Path

import numpy as np
from pydicom import dcmwrite
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID

SYNTAXES: dict[str, str] = {
    "implicit": "1.2.840.10008.1.2",
    "explicit": "1.2.840.10008.1.2.1",
    "big_endian": "1.2.840.10008.1.2.2",
    "deflated": "1.2.840.10008.1.2.1.99",
    "rle": "1.2.840.10008.1.2.5",
    "jpeg": "1.2.840.10008.1.2.4.50",
    "jpeg_lossless": "1.2.840.10008.1.2.4.70",
    "jpeg_ls": "1.2.840.10008.1.2.4.80",
    "jpeg_2000": "1.2.840.10008.1.2.4.90",
}
_ENCAPSULATED = frozenset(SYNTAXES) - {"implicit", "explicit", "big_endian", "deflated"}


def compressible(dataset: Dataset) -> bool:
    """Return whether an encapsulated syntax can be used: the object has pixel data."""
    return "PixelData" in dataset


def to_bytes(
    dataset: Dataset,
    syntax: str = "explicit",
    *,
    preamble: bytes | None = b"\0" * 128,
    meta: bool = True,
    fragments: int = 2,
) -> bytes:
    """Write the data set; it is not changed.

    Args:
        dataset: With file meta, in Explicit VR Little Endian, native pixels.
        syntax: A key of `SYNTAXES`. `rle` is real; the JPEG family holds made-up code streams.
        preamble: 128 bytes; None leaves out preamble and `DICM`: the file begins with group 0002.
        meta: False leaves out preamble, `DICM` and the file meta, so that the file begins with group 0008.
        fragments: Into how many fragments each made-up code stream is cut.
    """
    copied = copy.deepcopy(dataset)
    copied.file_meta.TransferSyntaxUID = UID(SYNTAXES[syntax])
    if syntax in _ENCAPSULATED:
        if not compressible(copied):
            raise ValueError(f"{syntax} needs pixel data")
        if syntax == "rle":
            copied.file_meta.TransferSyntaxUID = UID(SYNTAXES["explicit"])
            copied.compress(UID(SYNTAXES["rle"]), generate_instance_uid=False)
        else:
            encapsulate_fake(copied, fragments)
    if syntax == "big_endian":
        _swap_words(copied)
    copied.preamble = preamble or b"\0" * 128
    buffer = BytesIO()
    dcmwrite(buffer, copied, enforce_file_format=True)
    data = buffer.getvalue()
    if not meta:
        return data[144 + int.from_bytes(data[140:144], "little") :]
    return data if preamble is not None else data[132:]


def write(
    dataset: Dataset, path: Path, syntax: str = "explicit", *, preamble: bytes | None = b"\0" * 128
) -> Path:
    """Write the data set to the path, making its folders; return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(to_bytes(dataset, syntax, preamble=preamble))
    return path


def encapsulate_fake(dataset: Dataset, fragments: int = 2) -> None:
    """Replace the pixel data by one made-up JPEG code stream a frame, each in fragments, in place."""
    frames = int(dataset.get("NumberOfFrames", 1))
    random = np.random.default_rng(frames)
    streams = []
    for _ in range(frames):
        body = random.integers(0, 0xD0, 120, dtype=np.uint8).tobytes()
        streams.append(b"\xff\xd8\xff\xe0" + body + b"\xff\xd9")
    dataset.PixelData = encapsulate(streams, fragments_per_frame=fragments)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True


def _swap_words(dataset: Dataset) -> None:
    """Turn 16-bit OW values into big endian, as pydicom writes them as they are."""
    for element in dataset.iterall():
        if element.VR == "OW" and isinstance(element.value, bytes):
            element.value = np.frombuffer(element.value, "<u2").byteswap().tobytes()
