"""What a run reports: counts, reasons and references; no value of the source."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from deid.core.errors import ExitStatus
from deid.core.outcomes import Outcome, Status
from deid.workflows.scrub.options import HeldLimit
from deid.workflows.scrub.units import WEAKER

_SHOWN = 5


@dataclass
class Summary:
    """Counts of one run, filled as it goes.

    Attributes:
        released: Units written in this run.
        unchanged: Units that were done already.
        held: Number of held units by reason.
        dropped: Number of units left out on request, by reason.
        skipped: Number of inputs that are none of this tool's, by reason.
        examples: Keyed references of a few held units by reason; ``mami-deid show`` resolves them.
        weaker: Units in the output with Patient Identity Removed NO, unchanged ones included.
        weaker_because: Exceptions of the recipe that made the claim weaker, and risks released unseen.
        patients: Patients of this shard.
        elsewhere: Patients of other shards.
        without_id: Of these, studies or files whose id names nobody.
        shared_uids: Instances that share a SOP Instance UID.
        deleted: Outputs deleted (replaced, pruned or renamed).
        gone: Outputs whose input is gone and that were left.
        noise: Library warnings by kind.
        seconds: Wall time by phase: ``index``, ``write``.
        bytes: Size of the units written, in bytes.
    """

    released: int = 0
    unchanged: int = 0
    held: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    weaker: int = 0
    weaker_because: set[str] = field(default_factory=set)
    patients: int = 0
    elsewhere: int = 0
    without_id: int = 0
    shared_uids: int = 0
    deleted: int = 0
    gone: int = 0
    noise: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)
    bytes: int = 0

    def add(self, outcome: Outcome, unchanged: bool = False) -> None:
        """Count one outcome; ``unchanged``: the unit was released by an earlier run."""
        if outcome.status is Status.RELEASED:
            self.unchanged += unchanged
            self.released += not unchanged
            self.bytes += 0 if unchanged else outcome.size
            if WEAKER in outcome.details:
                self.weaker += 1
                self.weaker_because |= {outcome.details[WEAKER]} - {""}
        elif outcome.status is Status.HELD:
            self.held[outcome.reason] += 1
            shown = self.examples.setdefault(outcome.reason, [])
            if len(shown) < _SHOWN:
                shown.append("#" + outcome.ref[:5].hex())
        elif outcome.status is Status.DROPPED:
            self.dropped[outcome.reason] += 1
        elif outcome.status is Status.SKIPPED:
            self.skipped[outcome.reason] += 1

    @property
    def units(self) -> int:
        """Number of units that were to be released."""
        return self.released + self.unchanged + self.held.total() + self.dropped.total()

    def exit_status(self, limit: HeldLimit | None) -> ExitStatus:
        """The exit status that this run ends with.

        Args:
            limit: How many held units still count as success; None for any number.
        """
        held = self.held.total()
        if self.units == 0 and self.elsewhere:
            return ExitStatus.RELEASED  # a shard without patients has done its work
        if self.released + self.unchanged == 0:
            return ExitStatus.NOTHING_WRITTEN
        if limit is not None and not limit.allows(held, self.units):
            return ExitStatus.HELD
        return ExitStatus.RELEASED

    def to_json(self) -> dict[str, object]:
        """The summary as JSON types, the interface of ``--json``."""
        return {
            "released": self.released,
            "unchanged": self.unchanged,
            "held": self.held.total(),
            "held_by_reason": dict(sorted(self.held.items())),
            "held_examples": dict(sorted(self.examples.items())),
            "dropped": dict(sorted(self.dropped.items())),
            "skipped": dict(sorted(self.skipped.items())),
            "identity_removed_no": self.weaker,
            "identity_removed_no_because": sorted(self.weaker_because),
            "patients": self.patients,
            "patients_without_id": self.without_id,
            "shared_instance_uids": self.shared_uids,
            "outputs_deleted": self.deleted,
            "outputs_without_input": self.gone,
            "library_messages": dict(sorted(self.noise.items())),
            "seconds": {phase: round(seconds, 3) for phase, seconds in self.seconds.items()},
            "bytes_written": self.bytes,
        }
