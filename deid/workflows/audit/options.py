"""What an audit depends on, as given on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, TypeVar

from deid.audit.gates import Gate
from deid.core.errors import UsageError
from deid.core.project import ProjectOptions
from deid.core.shards import WHOLE, Shard

Choice = TypeVar("Choice", bound=StrEnum)
Device = Literal["auto", "cpu", "cuda", "mps"]
_DEVICES: tuple[Device, ...] = ("auto", "cpu", "cuda", "mps")


class Attack(StrEnum):
    """The attacks, in the order in which they run."""

    HEADER = "header"
    REID = "reid"
    LINKAGE = "linkage"
    INVERSION = "inversion"
    UTILITY = "utility"
    PLANE = "plane"


class Effort(StrEnum):
    """How thoroughly to attack."""

    QUICK = "quick"
    FULL = "full"


def one_of(choices: type[Choice], option: str, given: str) -> Choice:
    """Read the value of an option that takes one of a few words.

    Raises:
        UsageError: It is none of them.
    """
    try:
        return choices(given)
    except ValueError:
        raise UsageError(f"{option} takes one of: {', '.join(choices)}.") from None


def device_named(given: str) -> Device:
    """Read the value of ``--device``.

    Raises:
        UsageError: There is no such kind of device.
    """
    for device in _DEVICES:
        if device == given:
            return device
    raise UsageError(f"--device takes one of: {', '.join(_DEVICES)}.")


@dataclass(frozen=True)
class AuditOptions:
    """Everything an audit depends on.

    Attributes:
        report: A new or empty folder for the report.
        originals: Folder of the originals; None where the project knows it, or for a release alone.
        scrubbed: Folder of the release; None for that of the project's last run.
        out: Output folder whose project is meant, where no folders are given.
        project: Name of a shared project.
        state: State folder of the project.
        key_file: Where the key lies, if not in the state folder.
        pairs: CSV original,scrubbed.
        patients: CSV path,patient, which goes before all headers.
        labels: CSV path,labels or uid,labels, of released files or originals: what the images show.
        recipe: Recipe that the release was made by; None for the preset.
        preset: The preset; None for what the project says, else research.
        attacks: Which; empty for all that apply.
        effort: How thoroughly.
        gates: Conditions on the result.
        allow_not_assessed: What was not assessed passes a gate.
        model: Anonymizer, by name or folder, that made the release; None for the one that the journal names.
        seed: Of everything that is drawn.
        device: Where networks run.
        shard: The part of the project's patients that is audited.
        sr: A new file for the result as a DICOM SR; None for none.
    """

    report: Path
    originals: Path | None = None
    scrubbed: Path | None = None
    out: Path | None = None
    project: str | None = None
    state: Path | None = None
    key_file: Path | None = None
    pairs: Path | None = None
    patients: Path | None = None
    labels: Path | None = None
    recipe: Path | None = None
    preset: str | None = None
    attacks: tuple[Attack, ...] = ()
    effort: Effort = Effort.QUICK
    gates: tuple[Gate, ...] = ()
    allow_not_assessed: bool = False
    model: str | None = None
    seed: int = 0
    device: Device = "auto"
    shard: Shard = WHOLE
    sr: Path | None = None

    def check(self) -> None:
        """Refuse what does not go together.

        Raises:
            UsageError: As above.
        """
        if self.pairs is not None and self.originals is None:
            raise UsageError("--pairs needs the two folders ORIGINALS and SCRUBBED.")
        if self.scrubbed is not None and self.out is not None:
            raise UsageError("give folders or --out, not both.")

    @classmethod
    def after_scrub(
        cls,
        report: Path,
        inputs: Sequence[Path],
        where: ProjectOptions,
        *,
        recipe: Path | None,
        preset: str,
        device: str,
        shard: Shard = WHOLE,
    ) -> AuditOptions:
        """The header and linkage checks of what ``scrub`` wrote, checked before it begins.

        Args:
            report: Folder of the report.
            inputs: What is scrubbed.
            where: The project and its output.
            recipe: The recipe; None for the preset.
            preset: The preset.
            device: Where networks run.
            shard: The part of the patients that is scrubbed.

        Raises:
            UsageError: The folder lies in the inputs, the output or the state folder, or holds something.
        """
        from deid.workflows.audit.folder import ReportFolder

        assert where.out is not None
        folders = [path for path in inputs if path.is_dir()]
        ReportFolder.new(report, (*folders, where.out, where.folder()), "--audit")
        return cls(
            report,
            out=where.out,
            project=where.name,
            state=where.state,
            key_file=where.key_file,
            recipe=recipe,
            preset=preset,
            attacks=(Attack.HEADER, Attack.LINKAGE),
            device=device_named(device),
            shard=shard,
        )

    def shown(self) -> dict[str, Any]:
        """What the manifest says of them: no path."""
        return {
            "attacks": [str(attack) for attack in self.attacks] or "all",
            "effort": str(self.effort),
            "preset": self.preset if self.recipe is None else None,
            "seed": self.seed,
            "device": self.device,
            "allow_not_assessed": self.allow_not_assessed,
        }

    def wants(self, attack: Attack) -> bool:
        """Whether an attack shall run."""
        return not self.attacks or attack in self.attacks
