"""Shards: the patients of one project in parts, for several processes or machines."""

from __future__ import annotations

import re
from dataclasses import dataclass

from deid.core.errors import UsageError

_SHARD = re.compile(r"(\d+)/(\d+)")


@dataclass(frozen=True)
class Shard:
    """Part ``number`` (from 1) of ``of`` parts of the work, cut by patient."""

    number: int = 1
    of: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read ``i/n``.

        Raises:
            UsageError: It is not of that form, or i is not within 1..n.
        """
        match = _SHARD.fullmatch(text.strip())
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise UsageError("--shard takes i/n with 1 <= i <= n, for example 2/8.")
        return cls(int(match[1]), int(match[2]))

    def holds(self, patient: bytes) -> bool:
        """Whether a patient, by his keyed digest, belongs to this shard."""
        return int.from_bytes(patient[:8]) % self.of == self.number - 1


WHOLE = Shard()
"""All patients."""
