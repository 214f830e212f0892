"""The value that stands for pixel data that was encoded anew."""

from __future__ import annotations

from dataclasses import dataclass

from deid.core.staging import FileRange


@dataclass(frozen=True)
class NewPixels:
    """Encoded pixel data that takes the place of an object's own.

    Attributes:
        syntax: Transfer Syntax UID that it is encoded in.
        vr: ``OB`` or ``OW`` of (7FE0,0010).
        encapsulated: Whether ``value`` is a sequence of fragments (PS3.5 A.4), from the item of the Basic
            Offset Table to the Sequence Delimitation Item, both included; else plain samples, padded to an
            even length.
        value: Where its bytes lie; the file stays open until the output is written.
        sha256: Digest of these bytes (hex).
        photometric: Photometric Interpretation of what is encoded.
        planar: Planar Configuration, or None for one sample per pixel.
        smallest: Smallest stored value of all frames (of grey images; None for colour).
        largest: Largest one.
    """

    syntax: str
    vr: str
    encapsulated: bool
    value: FileRange
    sha256: str
    photometric: str
    planar: int | None
    smallest: int | None
    largest: int | None
