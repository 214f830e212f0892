"""Recovering how far dates and times were moved: from one patient for all, or from what stayed."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping

from deid.audit.leaves import Content
from deid.core.matching import parse_date

_FEW, _LEAST_OF_FEW, _LEAST, _SHARE = 5, 2, 3, 0.05
"""A shift that so many patients have is no chance: two of up to five, else three and 5 % at least."""
_DAY = 86400
Marks = Mapping[tuple[int, ...], str]


def date_marks(content: Content) -> dict[tuple[int, ...], str]:
    """Dates and times of a file by their place."""
    return {leaf.path: leaf.text for leaf in content.leaves if leaf.vr in ("DA", "TM", "DT") and leaf.text}


class Shifts:
    """Collects by how much dates and times of patients moved."""

    def __init__(self) -> None:
        self._days: dict[str, Counter[int]] = defaultdict(Counter)
        self._seconds: dict[str, Counter[int]] = defaultdict(Counter)
        self._given_away: set[str] = set()

    def add(self, patient: str, before: Marks, after: Marks) -> None:
        """Compare a file with its original at the same places."""
        for path in before.keys() & after.keys():
            old, new = _day(before[path]), _day(after[path])
            if old is not None and new is not None:
                self._days[patient][new - old] += 1
            first, last = _clock(before[path]), _clock(after[path])
            if first is not None and last is not None:
                self._seconds[patient][(last - first) % _DAY] += 1

    def give_away(self, patient: str) -> None:
        """Note that a date of the originals stands in an output of this patient."""
        self._given_away.add(patient)

    def result(self) -> dict[str, int]:
        """Patients whose dates can be compared, and those whose dates or times can be moved back.

        Times that did not move at all stayed on purpose; they do not count.
        """
        days = {patient: counts.most_common(1)[0][0] for patient, counts in self._days.items()}
        seconds = {patient: counts.most_common(1)[0][0] for patient, counts in self._seconds.items()}
        recovered = _constant(days) | (self._given_away & days.keys())
        recovered |= {patient for patient, counts in self._days.items() if counts[0]}
        recovered |= {patient for patient in _constant(seconds) & days.keys() if seconds[patient]}
        return {"patients": len(days), "recovered": len(recovered)}


def _constant(shifts: Mapping[str, Hashable]) -> set[str]:
    """Patients whose shift is that of many others."""
    least = _LEAST_OF_FEW if len(shifts) <= _FEW else max(_LEAST, math.ceil(_SHARE * len(shifts)))
    common = {shift for shift, count in Counter(shifts.values()).items() if count >= least}
    return {patient for patient, shift in shifts.items() if shift in common}


def _day(text: str) -> int | None:
    from datetime import date

    found = parse_date(text)
    try:
        return date(*found).toordinal() if found is not None else None
    except ValueError:
        return None


def _clock(text: str) -> int | None:
    """Seconds since midnight of a TM or DT value."""
    digits = text.strip().split(".")[0].split("+")[0].replace(":", "")
    digits = digits[8:] if len(digits) in (12, 14) else digits
    if len(digits) not in (4, 6) or not digits.isdecimal():
        return None
    return int(digits[:2]) * 3600 + int(digits[2:4]) * 60 + int(digits[4:] or 0)
