"""The dictionary attack on unkeyed hashes: who knows the source values can hash them too.

Many tools replace UIDs and ids by plain digests, as does ``pydicom.uid.generate_uid(entropy_srcs=...)``.
"""

from __future__ import annotations

import base64
import hashlib
import math
import re
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import product

_ALGORITHMS = ("md5", "sha1", "sha224", "sha256", "sha512")
_SEPARATORS = ("", "_", "-", "|", "^", " ", "/", ".")
_LEAST = 12
"""Characters that a replacement must share with a digest: 48 bits in hex, 39 in decimal."""
_CONFIDENCE = 0.95
_BETWEEN = re.compile(r"[^0-9A-Za-z]+")
"""Between the components of a UID, and a digest and what a tool writes before it (``ANON-``)."""
_MAY_BE_DIGEST = re.compile(r"[0-9A-Za-z+/_=-]+")


def hash_dictionary(
    sources: Iterable[str], joined: Iterable[tuple[str, str]], outputs: Iterable[str]
) -> dict[str, float]:
    """Try to explain the UIDs and ids of a release as digests of source values.

    Args:
        sources: UIDs and ids of the originals.
        joined: Pairs of a patient's id and another value that a tool may have joined before hashing.
        outputs: UIDs and ids of the release.

    Returns:
        ``tried``: outputs that may be digests; ``recovered``: those that are; ``upper``: of the share that
        others like them may be, the upper bound at 95 % (rule of three where none was recovered).
    """
    tried = _Outputs(outputs)
    for text in sources:
        tried.compare(text)
        if text != text.lower():
            tried.compare(text.lower())
    for (left, right), separator in product(joined, _SEPARATORS):
        tried.compare(left + separator + right)
    recovered = len(tried.recovered)
    return {"tried": tried.count, "recovered": recovered, "upper": upper_bound(recovered, tried.count)}


def upper_bound(hits: int, trials: int) -> float:
    """Upper end of the 95 % interval of a share: rule of three for no hit, else Wilson's score."""
    if trials == 0:
        return 1.0
    if hits == 0:
        return min(1.0, -math.log(1 - _CONFIDENCE) / trials)
    z, share = 1.96, hits / trials
    centre = share + z * z / (2 * trials)
    spread = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    return min(1.0, (centre + spread) / (1 + z * z / trials))


class _Outputs:
    """What may be digests, by their first characters."""

    def __init__(self, outputs: Iterable[str]) -> None:
        self._by_start: dict[str, set[str]] = defaultdict(set)
        self.recovered: set[str] = set()
        self._digests: set[str] = set()
        for output in set(outputs):
            for token in _tokens(output):
                self._by_start[token[:_LEAST]].add(token + "\0" + output)
                if not _is_word(token):
                    self._digests.add(output)

    @property
    def count(self) -> int:
        """Those that may be digests: a description in words is none."""
        return len(self._digests | self.recovered)

    def compare(self, source: str) -> None:
        for written in _written(source):
            for entry in self._by_start.get(written[:_LEAST], ()):
                token, _, output = entry.partition("\0")
                if written.startswith(token) or token.startswith(written):
                    self.recovered.add(output)


def _tokens(output: str) -> Iterator[str]:
    """The parts of an output that may be a digest, maybe cut off."""
    whole = output.strip()
    for part in {whole, *_BETWEEN.split(whole)}:
        if len(part) < _LEAST or not _MAY_BE_DIGEST.fullmatch(part):
            continue
        yield part
        if part != part.lower():
            yield part.lower()
        if "-" in part:
            yield part.lower().replace("-", "")


def _is_word(token: str) -> bool:
    """Letters alone, as words are written: a digest as long nearly always has a digit or mixed case."""
    return token.isalpha() and (token.islower() or token.isupper() or token.istitle())


def _written(source: str) -> Iterator[str]:
    """The digests of a value, as text."""
    data = source.encode("utf-8", "surrogatepass")
    for name in _ALGORITHMS:
        digest = hashlib.new(name, data, usedforsecurity=False).digest()
        yield digest.hex()
        yield base64.b64encode(digest).decode("ascii")
        yield base64.urlsafe_b64encode(digest).decode("ascii")
        yield base64.b32encode(digest).decode("ascii").lower()
        for part in {digest, digest[:16], digest[-16:], digest[:8]}:
            yield str(int.from_bytes(part))
            yield str(int.from_bytes(part, "little"))
    for namespace in (uuid.NAMESPACE_OID, uuid.NAMESPACE_DNS, uuid.NAMESPACE_URL):
        for made in (uuid.uuid3(namespace, source), uuid.uuid5(namespace, source)):
            yield made.hex
            yield str(made.int)
