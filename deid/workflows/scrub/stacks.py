"""Which slices of a patient are judged as one, by the index: the plan's part of one verdict a series."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from deid.dicom.index import DicomRecord
from deid.workflows.scrub.units import Entry

MOST_PLACES = 64
"""Places of a series that are looked at; of a longer one so many that are evenly spaced."""
_SAME_PLACE = 0.01
"""Positions differ, in mm, as in :mod:`deid.dicom.volume`."""

Read = tuple[Path, int, int]
"""A file with the size (bytes) and time (nanoseconds) that the index pass found."""


@dataclass(frozen=True)
class Stack:
    """Slices of one series, a file each, that get one verdict and one range of intensities.

    Attributes:
        token: Keyed digest of the files that decide; whatever is made of the slices depends on them.
        modality: Modality, one of those that an anonymizer of the run takes.
        look: The files whose look decides, in order of place. Of several files at one place (echoes, phases,
            diffusion directions) it is the one with the lowest Instance Number.
        also: Those with the highest at the same places; the range of intensities is that of both.
    """

    token: bytes
    modality: str
    look: tuple[Read, ...]
    also: tuple[Read, ...] = ()


def stacks(entries: Iterable[Entry], modalities: Collection[str]) -> dict[bytes, Stack]:
    """The stack of every slice of a patient, by ref.

    Which files decide depends on all slices of the series that the index knows, in whatever folders they
    lie, and not on what is left to do: a run that goes on judges as the one that was stopped.

    Args:
        entries: All inputs of the patient.
        modalities: Those that an anonymizer takes; slices of others have no stack.
    """
    groups: dict[tuple[str, str], list[tuple[Entry, DicomRecord]]] = {}
    for entry in entries:
        record = entry.record
        if not isinstance(record, DicomRecord) or record.modality.upper() not in modalities:
            continue
        if record.stack and record.series:
            groups.setdefault((record.series, record.stack), []).append((entry, record))
    found: dict[bytes, Stack] = {}
    for slices in groups.values():
        made = _stack(slices)
        found |= {entry.row.ref: made for entry, _ in slices}
    return found


def _stack(slices: list[tuple[Entry, DicomRecord]]) -> Stack:
    places = _places(slices)
    if len(places) > MOST_PLACES:
        places = [places[(2 * n + 1) * len(places) // (2 * MOST_PLACES)] for n in range(MOST_PLACES)]
    look, also = [at[0] for at in places], [at[-1] for at in places if len(at) > 1]
    rows = [(e.row.ref, e.row.size, e.row.mtime_ns, e.row.ctime_ns) for e in (*look, *also)]
    token = hashlib.sha256(repr((len(look), rows)).encode()).digest()
    return Stack(token, slices[0][1].modality.upper(), _reads(look), _reads(also))


def _places(slices: list[tuple[Entry, DicomRecord]]) -> list[list[Entry]]:
    """The slices by place, those of one place by number; by number alone where a place is not known.

    The paths come last, so that it does not matter where the files of a series lie.
    """
    if any(record.place is None for _, record in slices):
        numbered = sorted(slices, key=lambda s: (s[1].number, s[1].instance, s[0].relative))
        return [[entry] for entry, _ in numbered]
    ordered = sorted(slices, key=lambda s: (s[1].place or 0.0, s[1].number, s[1].instance, s[0].relative))
    starts: list[float] = []
    for _, record in ordered:
        place = record.place or 0.0
        starts.append(starts[-1] if starts and place - starts[-1] <= _SAME_PLACE else place)
    found = []
    for _, at in groupby(zip(starts, ordered, strict=True), key=lambda pair: pair[0]):
        here = sorted((s for _, s in at), key=lambda s: (s[1].number, s[1].instance, s[0].relative))
        found.append([entry for entry, _ in here])
    return found


def _reads(entries: list[Entry]) -> tuple[Read, ...]:
    return tuple((entry.path, entry.row.size, entry.row.mtime_ns) for entry in entries)
