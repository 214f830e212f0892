"""Finding the output of each input whatever its new name, and the values at a path of the answer key."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
from key import AnswerKey, Planted
from planting import shown
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

_DEFLATED = "1.2.840.10008.1.2.1.99"
_ODD = (pydicom.errors.InvalidDicomError, ValueError, TypeError, KeyError, OSError, EOFError, AttributeError)


@dataclass(frozen=True)
class Output:
    """An output file that pydicom reads."""

    path: Path
    dataset: Dataset


def read(path: Path) -> Dataset | None:
    """Return the data set, decoded, or None where pydicom cannot read it."""
    try:
        dataset = pydicom.dcmread(path, force=True)
        len(list(dataset))
        dataset.decode()
    except _ODD:
        return None
    return dataset if "SOPClassUID" in dataset or len(dataset) > 3 else None


def match(key: AnswerKey, out: Path) -> tuple[dict[int, Output], list[Path]]:
    """Return the output of each marker, and the files that belong to none.

    A tool may rename, move and renumber: an output is found by its Instance Number, by its Acquisition
    Number, then by the digest of its pixels if no other input shares them.
    """
    by_marker = {planted.marker: planted for planted in key.files}
    digests: dict[str, list[Planted]] = {}
    for planted in key.files:
        digests.setdefault(planted.pixels, []).append(planted)
    found: dict[int, Output] = {}
    strange = []
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        dataset = read(path)
        marker = None if dataset is None else _marker(dataset, by_marker, digests)
        if dataset is None or marker is None or marker in found:
            strange.append(path)
        else:
            found[marker] = Output(path, dataset)
    return found, strange


def _marker(dataset: Dataset, by_marker: dict[int, Planted], digests: dict[str, list[Planted]]) -> int | None:
    for keyword in ("InstanceNumber", "AcquisitionNumber"):
        text = str(dataset.get(keyword, "")).strip()
        if text.isdecimal() and int(text) in by_marker:
            return int(text)
    same = digests.get(pixel_digest(dataset), []) if "PixelData" in dataset else []
    return same[0].marker if len(same) == 1 else None


def pixel_digest(dataset: Dataset) -> str:
    """Return the SHA-256 of the value of Pixel Data without its padding; empty where there is none."""
    value = dataset.get("PixelData")
    return hashlib.sha256(value.rstrip(b"\0")).hexdigest() if value else ""


def items(dataset: Dataset, path: tuple[str, ...]) -> Iterator[tuple[Dataset, Any]]:
    """Yield (item, tag) of every element at the path, all items of each sequence counting.

    An element on the way that is no sequence (a sequence kept as UN bytes) is yielded itself.
    """
    tag = _tag(dataset, path[0])
    if tag is None or tag not in dataset:
        return
    element = dataset[tag]
    if len(path) == 1 or element.VR != "SQ":
        yield dataset, tag
        return
    for item in element.value or []:
        yield from items(item, path[1:])


def _tag(dataset: Dataset, step: str) -> int | None:
    if "|" not in step:
        return int(step, 16)
    group, creator, element = step.split("|")
    try:
        return int(dataset.private_block(int(group, 16), creator).get_tag(int(element, 16)))
    except KeyError:
        return None


def texts(dataset: Dataset, path: tuple[str, ...]) -> list[str]:
    """Return every value at the path as text; a sequence counts with all that is in it."""
    found = []
    for item, tag in items(dataset, path):
        element = item[tag]
        if element.VR == "SQ":
            found.append(
                " ".join(_text(inner.value) for part in element.value or [] for inner in part.iterall())
            )
        else:
            found.append(_text(element.value))
    return found


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace") + "\n" + value.decode("latin-1")
    return shown(list(value)) if isinstance(value, MultiValue) else str(value)


def haystack(path: Path) -> bytes:
    """Return the bytes of a file, what is deflated in it inflated too, in lower case."""
    data = path.read_bytes()
    if data[128:132] == b"DICM" and _DEFLATED.encode() in data[:1024]:
        start = 144 + int.from_bytes(data[140:144], "little")
        with suppress(zlib.error):
            data += zlib.decompressobj(-zlib.MAX_WBITS).decompress(data[start:])
    return data.lower()
