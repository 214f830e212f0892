"""Random numbers under the project's key: nobody without it can compute what an image was changed by."""

from __future__ import annotations

import hmac
from statistics import NormalDist

_WIDTH = 8
_PER_BLOCK = 32 // _WIDTH


def normal_values(subkey: bytes, name: str, count: int) -> list[float]:
    """Standard normal values from HMAC-SHA-256 in counter mode, the same on every machine.

    The whole key counts: no generator with a small seed, which could be tried out, stands between.

    Args:
        subkey: Of the purpose (:meth:`deid.core.keys.ProjectKey.subkey`).
        name: What is to be changed; another name gives unrelated values.
        count: How many.
    """
    blocks = (
        hmac.digest(subkey, number.to_bytes(4) + name.encode("utf-8", "surrogatepass"), "sha256")
        for number in range(-(-count // _PER_BLOCK))
    )
    stream = b"".join(blocks)[: count * _WIDTH]
    whole = (int.from_bytes(stream[start : start + _WIDTH]) for start in range(0, len(stream), _WIDTH))
    # The upper 52 bits and a half: never 0 or 1, where the quantile is infinite, and exact in a float.
    return [NormalDist().inv_cdf(((number >> 12) + 0.5) / (1 << 52)) for number in whole]
