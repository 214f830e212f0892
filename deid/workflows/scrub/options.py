"""Options of ``scrub``: one frozen value, the same names on the command line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from deid.core.errors import UsageError

_SHARD = re.compile(r"(\d+)/(\d+)")
_MAX_HELD = re.compile(r"(\d+(?:\.\d+)?)%|(\d+)")


class OnRisk(StrEnum):
    """What happens to instances that may hold identity where no step has looked yet."""

    HOLD = "hold"
    RELEASE = "release"


class Encapsulated(StrEnum):
    """What happens to encapsulated documents, whose content is not cleaned."""

    HOLD = "hold"
    DROP = "drop"
    KEEP = "keep"


Choice = TypeVar("Choice", bound=StrEnum)


def one_of(choices: type[Choice], option: str, given: str) -> Choice:
    """Read the value of an option that takes one of a few words.

    Raises:
        UsageError: It is none of them.
    """
    try:
        return choices(given)
    except ValueError:
        raise UsageError(f"{option} takes one of: {', '.join(choices)}.") from None


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


@dataclass(frozen=True)
class HeldLimit:
    """How many held units a run may have and still count as a success."""

    units: int = 0
    percent: float = 0.0

    @classmethod
    def parse(cls, text: str) -> HeldLimit:
        """Read a number of units, or a percentage with ``%``.

        Raises:
            UsageError: It is neither.
        """
        match = _MAX_HELD.fullmatch(text.strip())
        if match is None:
            raise UsageError("--max-held takes a number of units or a percentage, for example 20 or 1.5%.")
        return cls(percent=float(match[1])) if match[1] else cls(units=int(match[2]))

    def allows(self, held: int, total: int) -> bool:
        """Whether ``held`` of ``total`` units are within the limit."""
        return held <= max(self.units, self.percent / 100 * total)


@dataclass(frozen=True)
class ScrubOptions:
    """Everything a scrub run depends on.

    Attributes:
        source: The input folder or file; None where ``listed`` is given.
        out: The output folder.
        listed: Paths read from a list.
        project: Name of a shared project.
        state: State folder of the project.
        key_file: Where the key lies, if not in the state folder.
        recipe: YAML recipe; None for the preset.
        preset: Profile where no recipe is given.
        patient_map: CSV that says which patient a path or an id belongs to.
        on_risk: What happens to instances of risk.
        encapsulated: What happens to encapsulated documents.
        jobs: Number of processes.
        shard: The part of the patients that this run writes.
        dry_run: Do everything but write.
        diff: Private file that receives every changed value.
        replace: Make anew what was made with another recipe or key, then delete whatever else is there.
        prune: Delete outputs whose input is gone.
        held_limit: How many held units still count as success; None for any number.
        keep_times: Leave times of day as they are.
    """

    source: Path | None
    out: Path
    listed: tuple[Path, ...] | None = None
    project: str | None = None
    state: Path | None = None
    key_file: Path | None = None
    recipe: Path | None = None
    preset: str = "research"
    patient_map: Path | None = None
    on_risk: OnRisk = OnRisk.HOLD
    encapsulated: Encapsulated = Encapsulated.HOLD
    jobs: int = 1
    shard: Shard = Shard()
    dry_run: bool = False
    diff: Path | None = None
    replace: bool = False
    prune: bool = False
    held_limit: HeldLimit | None = HeldLimit()
    keep_times: bool = False

    def check(self) -> None:
        """Refuse what does not go together.

        Raises:
            UsageError: ``--replace`` with a shard, which would delete what other shards have not made anew.
        """
        if self.replace and self.shard.of > 1:
            raise UsageError("--replace makes the whole output anew; use it without --shard.")
