"""What an audit gave, and how it ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deid.core.errors import ExitStatus
from deid.workflows.audit.folder import PAGE, RESULT

THREATS = ("reid", "linkage", "inversion", "header")
NOT_ASSESSED = "not assessed"


@dataclass(frozen=True)
class Audit:
    """What an audit gave.

    Attributes:
        folder: Where the report lies.
        result: What ``audit.json`` holds.
        left_out: Files and images that were not audited, by reason.
        annex: The private annex, in the state folder; None where the project is not known.
        document: The DICOM SR, where one was asked for.
    """

    folder: Path
    result: dict[str, Any]
    left_out: Mapping[str, int]
    annex: Path | None = None
    document: Path | None = None

    @property
    def exit_status(self) -> ExitStatus:
        """Whether every gate was passed."""
        passed = all(gate["passed"] for gate in self.result["gates"])
        return ExitStatus.RELEASED if passed else ExitStatus.AUDIT_GATE

    @property
    def files(self) -> tuple[Path, ...]:
        """The result, its page and the document."""
        files = self.folder / RESULT, self.folder / PAGE
        return files if self.document is None else (*files, self.document)

    def rows(self) -> list[tuple[str, str, str]]:
        """Threat, verdict and words, for a short table."""
        sections = ((name, self.result[name]) for name in THREATS)
        return [
            (name, section.get("verdict", NOT_ASSESSED), section.get("reason") or section.get("words", ""))
            for name, section in sections
        ]
