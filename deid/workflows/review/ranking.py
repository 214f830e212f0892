"""Which images a reviewer should see first."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from deid.core.review_store import ReviewEntry


def likeness(entry: ReviewEntry) -> float:
    """The highest cosine to its own original, by held-out critics if there are any, else by all.

    Infinite where one was not measured (what nobody looked at comes first), minus infinite without a critic.
    """
    return _highest(entry.critics[name] for name in _judges(entry))


def above_unrelated(entry: ReviewEntry) -> float:
    """As :func:`likeness`, but how far the cosine lies above that of unrelated patients, if known."""
    return _highest(entry.critics[name] - _reference(entry, name) for name in _judges(entry))


def finding_change(entry: ReviewEntry) -> float:
    """The largest change of a finding, 0..1; minus infinite without findings."""
    return _highest(abs(after - before) for before, after in entry.findings.values())


MEASURES: tuple[Callable[[ReviewEntry], float], ...] = (likeness, above_unrelated, finding_change)


def in_order(entries: Sequence[ReviewEntry], measure: Callable[[ReviewEntry], float]) -> list[ReviewEntry]:
    """From the highest to the lowest; equal ones by ref."""
    return sorted(entries, key=lambda entry: (-measure(entry), entry.ref))


def worst_first(entries: Sequence[ReviewEntry]) -> list[ReviewEntry]:
    """First what is first by any measure, so that a cut leaves out the worst of none."""
    places: dict[bytes, int] = {}
    for measure in MEASURES:
        for place, entry in enumerate(in_order(entries, measure)):
            places[entry.ref] = min(place, places.get(entry.ref, place))
    return sorted(entries, key=lambda entry: (places[entry.ref], -likeness(entry), entry.ref))


def _reference(entry: ReviewEntry, critic: str) -> float:
    known = entry.references.get(critic)
    return known.median if known else 0.0


def _judges(entry: ReviewEntry) -> Sequence[str]:
    return [name for name in entry.held_out if name in entry.critics] or list(entry.critics)


def _highest(values: Iterable[float]) -> float:
    return max((math.inf if math.isnan(value) else value for value in values), default=-math.inf)
