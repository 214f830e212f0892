"""An encoder of lossless JPEG (ITU-T T.81 annex H): every predictor, 2 to 16 bits, one component."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

_CODE_LENGTH = 5
_CATEGORIES = 17


def jpeg_lossless(values: NDArray[np.integer], bits: int, predictor: int) -> bytes:
    """A code stream of stored values `[row, column]`; negative ones are coded in two's complement."""
    samples = values.astype(np.int64) & ((1 << bits) - 1)
    differences = (samples - _predicted(samples, bits, predictor)) & 0xFFFF
    written: list[str] = []
    for difference in np.where(differences > 0x8000, differences - 0x10000, differences).ravel().tolist():
        size = abs(difference).bit_length()
        written.append(f"{size:0{_CODE_LENGTH}b}")
        if 0 < size < 16:
            written.append(f"{difference if difference > 0 else difference + (1 << size) - 1:0{size}b}")
    stream = "".join(written)
    stream += "1" * (-len(stream) % 8)
    scan = int(stream, 2).to_bytes(len(stream) // 8, "big").replace(b"\xff", b"\xff\0")
    rows, columns = samples.shape
    lengths = bytes(_CATEGORIES if length == _CODE_LENGTH else 0 for length in range(1, 17))
    return (
        b"\xff\xd8\xff\xc3"
        + struct.pack(">HBHHB3B", 11, bits, rows, columns, 1, 1, 0x11, 0)
        + struct.pack(">2sHB", b"\xff\xc4", 19 + _CATEGORIES, 0)
        + (lengths + bytes(range(_CATEGORIES)))
        + struct.pack(">2sHB5B", b"\xff\xda", 8, 1, 1, 0, predictor, 0, 0)
        + scan
        + b"\xff\xd9"
    )


def _predicted(samples: NDArray[np.int64], bits: int, predictor: int) -> NDArray[np.int64]:
    left, above, corner = samples[1:, :-1], samples[:-1, 1:], samples[:-1, :-1]
    inner = [
        left,
        above,
        corner,
        left + above - corner,
        left + ((above - corner) >> 1),
        above + ((left - corner) >> 1),
        (left + above) >> 1,
    ][predictor - 1]
    predicted = np.empty_like(samples)
    predicted[0, 0] = 1 << (bits - 1)
    predicted[0, 1:], predicted[1:, 0] = samples[0, :-1], samples[:-1, 0]
    predicted[1:, 1:] = inner
    return predicted
