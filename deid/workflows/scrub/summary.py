"""What a run reports: counts, reasons and references; no value of the source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from deid.core.errors import ExitStatus
from deid.core.outcomes import Outcome, Status
from deid.core.unrelated import Unrelated
from deid.workflows.scrub.identity import APPLIED, NOT_APPLIED, SERIES, how
from deid.workflows.scrub.options import HeldLimit, Identity
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
        changed: Images whose pixels were changed, by model and strength; unchanged units included.
        not_changed: Images whose pixels were left as they are, by reason; likewise.
        series: Tokens of series whose slices, a file each, were judged as one, by modality and verdict;
            likewise.
        slices: Their slices, by the same.
        unrelated: Cosines of unrelated patients by critic, by model and strength as in ``changed``; a critic
            for which they are not known is left out.
        profile: Name of the profile by which headers were de-identified.
        identity: Mode of the identity step.
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
    changed: Counter[str] = field(default_factory=Counter)
    not_changed: Counter[str] = field(default_factory=Counter)
    series: dict[tuple[str, str], set[bytes]] = field(default_factory=dict)
    slices: Counter[tuple[str, str]] = field(default_factory=Counter)
    unrelated: dict[str, Mapping[str, Unrelated]] = field(default_factory=dict)
    profile: str = ""
    identity: Identity = Identity.OFF
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
            self._add_series(outcome.details.get(SERIES))
            if APPLIED in outcome.details:
                made = outcome.details[APPLIED]
                self.changed[how(made["model"], made["strength"])] += 1
            elif NOT_APPLIED in outcome.details:
                self.not_changed[outcome.details[NOT_APPLIED]] += 1
        elif outcome.status is Status.HELD:
            self.held[outcome.reason] += 1
            shown = self.examples.setdefault(outcome.reason, [])
            if len(shown) < _SHOWN:
                shown.append("#" + outcome.ref[:5].hex())
        elif outcome.status is Status.DROPPED:
            self.dropped[outcome.reason] += 1
        elif outcome.status is Status.SKIPPED:
            self.skipped[outcome.reason] += 1

    def _add_series(self, judged: Mapping[str, str] | None) -> None:
        if judged:
            kind = judged["modality"], judged["verdict"]
            self.series.setdefault(kind, set()).add(bytes.fromhex(judged["id"]))
            self.slices[kind] += 1

    @property
    def units(self) -> int:
        """Number of units that were to be released."""
        return self.released + self.unchanged + self.held.total() + self.dropped.total()

    def levels(self) -> dict[str, str]:
        """What was done on each of the four levels, and why not more, in a line each."""
        return {
            "headers": f"de-identified by PS3.15, profile {self.profile}",
            "text in the pixels": self._unseen("burned-in text"),
            "faces": self._unseen("face"),
            "identity in the image": self._identity_line(),
        }

    def _unseen(self, topic: str) -> str:
        held = sum(count for reason, count in self.held.items() if reason.startswith(f"{topic}:"))
        return f"no step looks at them yet; {held} held back for it"

    def _identity_line(self) -> str:
        if self.identity is Identity.OFF:
            return "off (--identity off): pixels are not changed"
        done = [f"{count} by {made}" for made, count in sorted(self.changed.items())]
        left = [f"{count} not: {why}" for why, count in sorted(self.not_changed.items())]
        return "; ".join(["removed from " + (", ".join(done) or "no image"), *left])

    def series_lines(self) -> Iterator[str]:
        """What was decided of series whose slices are a file each, in a line for each kind and verdict."""
        for (modality, verdict), tokens in sorted(self.series.items()):
            slices = self.slices[modality, verdict]
            yield f"{modality} series judged as one: {len(tokens)} ({slices} slices): {verdict}"

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
            "levels": self.levels(),
            "identity_removed": dict(sorted(self.changed.items())),
            "identity_not_removed": dict(sorted(self.not_changed.items())),
            "identity_series": [
                {"modality": kind[0], "verdict": kind[1], "series": len(tokens), "slices": self.slices[kind]}
                for kind, tokens in sorted(self.series.items())
            ],
            "unrelated_patients": {
                made: {name: cosines.to_json() for name, cosines in by_critic.items()}
                for made, by_critic in sorted(self.unrelated.items())
            },
            "library_messages": dict(sorted(self.noise.items())),
            "seconds": {phase: round(seconds, 3) for phase, seconds in self.seconds.items()},
            "bytes_written": self.bytes,
        }
