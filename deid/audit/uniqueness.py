"""How many patients of a release look alike by what was kept of them (k-anonymity, Sweeney 2002)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import date
from typing import Any

from deid.audit.annex import Annex
from deid.audit.leaves import Content
from deid.audit.table_attributes import WEEKDAY
from deid.core.matching import parse_date

QUASI_IDENTIFIERS = {
    "PatientSex": 0x00100040,
    "PatientAge": 0x00101010,
    "PatientSize": 0x00101020,
    "PatientWeight": 0x00101030,
    "EthnicGroup": 0x00102160,
    "Modality": 0x00080060,
    "ManufacturerModelName": 0x00081090,
    WEEKDAY: 0x00080020,
}
_CLASSES = ("1", "2-4", "5+")
_MANY = 5


class Uniqueness:
    """Collects the kept quasi-identifiers of the patients."""

    def __init__(self) -> None:
        self._values: dict[str, set[tuple[str, str]]] = defaultdict(set)
        self._refs: dict[str, str] = {}

    def add(self, patient: str, content: Content, ref: str = "") -> None:
        """Take the values of one file of the release.

        Args:
            patient: Whose it is.
            content: The file.
            ref: Its keyed reference; one a patient is kept for the annex.
        """
        self.add_values(patient, ((name, content.text(tag)) for name, tag in QUASI_IDENTIFIERS.items()), ref)

    def add_values(self, patient: str, values: Iterable[tuple[str, str]], ref: str = "") -> None:
        """Take values that are known by name.

        Args:
            patient: Whose they are; counts as a patient even without any.
            values: Names and values; of a date its day of the week counts.
            ref: As above.
        """
        if ref or patient not in self._refs:
            self._refs[patient] = self._refs.get(patient) or ref
        known = self._values[patient]
        for name, text in values:
            value = _weekday(text) if name == WEEKDAY else text
            if value:
                known.add((name, value))

    def result(self) -> dict[str, Any]:
        """The attributes that any patient has, and patients by the number of those that look like them."""
        groups = Counter(frozenset(values) for values in self._values.values())
        sizes: Counter[str] = Counter()
        for count in groups.values():
            sizes[_CLASSES[0] if count == 1 else _CLASSES[1] if count < _MANY else _CLASSES[2]] += count
        names = {name for values in self._values.values() for name, _ in values}
        return {
            "quasi_identifiers": [name for name in QUASI_IDENTIFIERS if name in names]
            + sorted(names - QUASI_IDENTIFIERS.keys()),
            "k": {name: sizes[name] for name in _CLASSES},
        }

    def note(self, annex: Annex) -> None:
        """Name to the private annex the patients whose values fewer than five share; no value."""
        alike: dict[frozenset[tuple[str, str]], list[str]] = defaultdict(list)
        for patient, values in self._values.items():
            alike[frozenset(values)].append(self._refs[patient])
        for shared, refs in alike.items():
            if len(refs) < _MANY:
                annex.note_rare((name for name, _ in shared), len(refs), refs)


def _weekday(text: str) -> str:
    found = parse_date(text)
    try:
        return str(date(*found).weekday()) if found is not None else ""
    except ValueError:
        return ""
