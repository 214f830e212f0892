"""``show``: from keyed references back to the paths of the source, for the local operator."""

from __future__ import annotations

from collections.abc import Iterator

from deid.core.errors import UsageError
from deid.core.outcomes import Status
from deid.core.project import Project


def resolve(project: Project, reference: str) -> list[str]:
    """Relative input paths behind a reference.

    Raises:
        UsageError: It is no reference, or the project has no such unit.
    """
    paths = project.resolve(reference)
    if not paths:
        raise UsageError("no input of this project has that reference; check the project (--out, --state).")
    return paths


def held_inputs(project: Project) -> Iterator[tuple[str, str, str]]:
    """Reference, reason and relative path of every unit that is held back."""
    for journal in project.journals():
        with journal:
            for outcome in journal.outcomes.all(Status.HELD):
                yield "#" + outcome.ref[:5].hex(), outcome.reason, journal.path(outcome.ref) or ""
