"""Options of ``scrub``: one frozen value, the same names on the command line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from deid.core.errors import UsageError
from deid.core.shards import WHOLE, Shard

_DEVICES = ("auto", "cpu", "cuda", "mps")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
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


class Identity(StrEnum):
    """Whether identity cues are removed from pixels, and what happens where no model covers an image."""

    AUTO = "auto"
    REQUIRE = "require"
    OFF = "off"


STRENGTHS: Mapping[str, float] = MappingProxyType({"light": 0.33, "medium": 0.66, "strong": 1.0})
"""Named strengths of the identity step: those that the released model was measured at."""


def parse_strength(text: str) -> float:
    """Read a named strength, or a number from 0 to 1.

    Raises:
        UsageError: It is neither.
    """
    if text in STRENGTHS:
        return STRENGTHS[text]
    if not _NUMBER.fullmatch(text) or not 0 <= float(text) <= 1:
        raise UsageError(f"--strength takes one of {', '.join(STRENGTHS)}, or a number from 0 to 1.")
    return float(text)


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
        identity: Whether identity cues are removed from pixels.
        strength: How strongly, 0..1.
        model: Name or folder of the anonymizer; None for those that are installed.
        device: Where networks run: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        proof: Critics and classifier look at every changed image; their figures go into the journal.
        review: Share of the changed images whose pictures are kept for ``review``, 0..1.
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
    shard: Shard = WHOLE
    dry_run: bool = False
    diff: Path | None = None
    replace: bool = False
    prune: bool = False
    held_limit: HeldLimit | None = HeldLimit()
    keep_times: bool = False
    identity: Identity = Identity.AUTO
    strength: float = 1.0
    model: str | None = None
    device: str = "auto"
    proof: bool = True
    review: float = 1.0

    def check(self) -> None:
        """Refuse what does not go together.

        Raises:
            UsageError: ``--replace`` with a shard, which would delete what other shards have not made anew; a
                device that does not exist.
        """
        if self.device not in _DEVICES:
            raise UsageError(f"--device takes one of: {', '.join(_DEVICES)}.")
        if self.replace and self.shard.of > 1:
            raise UsageError("--replace makes the whole output anew; use it without --shard.")
