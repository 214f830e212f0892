"""The header attack: who holds the originals looks for what they say in everything that was released.

It reads the files anew and trusts nothing that the scrubber noted. Identifiers are the values of the
originals' elements whose action is not K; they are searched in every byte that is no pixel data and in file
names, in several forms. Beside that: a dictionary attack on unkeyed hashes, recovery of date shifts, and how
many patients look alike by what was kept.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deid.audit.annex import Annex
from deid.audit.bids_content import (
    EXTENSION,
    bids_values,
    is_beside,
    is_bids,
    path_words,
    read_bids,
    values_of_persons,
)
from deid.audit.digests import hash_dictionary, upper_bound
from deid.audit.identifiers import SharedValues, Sort, SourceValue, source_values
from deid.audit.leaves import Content, Leaf, Segment, read_content
from deid.audit.patterns import dates_in_name, suspicious
from deid.audit.release import Instance, Release
from deid.audit.shifts import Marks, Shifts, date_marks
from deid.audit.spelled import Form, Forms
from deid.audit.strays import NO_ORIGINAL
from deid.audit.table_attributes import is_of_persons, table_attributes
from deid.audit.uniqueness import Uniqueness
from deid.core.errors import Held, Skipped
from deid.dicom.profile import Profile
from deid.dicom.values import BINARY_SIZES, is_well_known
from deid.nifti.bids import subject_label

PLACES = ("standard text", "private", "uid", "file name", "pixel group")
"""Where hits are counted; the keys of ``header.by_place``."""
_PIXEL_GROUPS = frozenset({0x0028, 0x5400, 0x7FE0})
_CODES = frozenset({"LO", "SH", "PN", "UI"})
_NUMBERS = frozenset({"DS", "IS", "OB", "OW", "OF", "OD", "OL", "OV"}) | BINARY_SIZES.keys()
_LONGEST_ID = 128
_IDENTITY_REMOVED = 0x00120062
_UNREADABLE = "unreadable file"
_MOST_OF_ONE, _MOST_OF_ALL = 64 << 20, 4 << 20
"""Bytes of an unreadable output that are searched for the values of its patient, or of all patients."""
_TIME_STAMPS = (8, 12, 14, 17)
"""Digits of a date, and of one with a time to the minute, second or millisecond."""

_Progress = Callable[[int], object]


def header(
    release: Release, profile: Profile, progress: _Progress | None = None, annex: Annex | None = None
) -> dict[str, Any]:
    """Attack the headers of a release.

    Args:
        release: What is audited; of a release alone only what looks like identity, and uniqueness.
        profile: What the release was made by; says which elements are kept.
        progress: Called with 1 after each file that was read, originals and outputs.
        annex: Receives each hit, and patients who look like few others.

    Returns:
        The ``header`` section of ``audit.json``.
    """
    told = progress if progress is not None else _silent
    sources = _Sources()
    files = (*release.instances, *release.texts)
    if release.paired:
        for instance in files:
            sources.read(instance, profile)
            told(1)
    people = {subject_label(each.name): each.patient for each in release.instances}
    attack = _Attack(sources, annex if annex is not None else Annex(), people, release.whole, release.paired)
    for patient, instances in _by_patient(files):
        forms = Forms(sources.telling(patient) if patient else sources.all_telling())
        for instance in instances:
            attack.file(instance, forms)
            told(1)
    attack.uniqueness.note(attack.annex)
    return attack.result(release)


def not_assessed(reason: str) -> dict[str, Any]:
    """A section for an attack that was not run."""
    return {"status": "not assessed", "reason": reason, "verdict": "not assessed", "words": "not assessed"}


def _silent(count: int) -> None:
    """Nobody wants to hear of progress."""


def _by_patient(instances: Iterable[Instance]) -> Iterator[tuple[str, list[Instance]]]:
    found: dict[str, list[Instance]] = defaultdict(list)
    for instance in instances:
        found[instance.patient].append(instance)
    yield from found.items()


class _Sources:
    """What the originals say."""

    def __init__(self) -> None:
        self.values: dict[str, set[SourceValue]] = defaultdict(set)
        self.marks: dict[str, Marks] = {}
        self.joined: set[tuple[str, str]] = set()
        self._by_label: dict[str, set[SourceValue]] = defaultdict(set)
        self._labels: dict[str, set[str]] = defaultdict(set)
        self._kept: set[str] = set()
        self._shared: SharedValues | None = None

    def read(self, instance: Instance, profile: Profile) -> None:
        if instance.patient:
            self.values[instance.patient] |= path_words(instance.source)
        if is_bids(instance.scrubbed):
            self._read_bids(instance)
            return
        content = _content(instance.original)
        if content is None:
            return
        values, kept = source_values(content, profile)
        self.values[instance.patient] |= values
        self._kept |= kept
        self.marks[instance.name] = date_marks(content)
        number = content.text(0x00100020)
        names = (content.text(tag) for tag in (0x0020000D, 0x00080050, 0x00080020, 0x00100010, 0x00100030))
        self.joined |= {(number, name) for name in names if number and name}

    def _read_bids(self, instance: Instance) -> None:
        """A NIfTI file, a sidecar, or a table, which may be of several persons."""
        if instance.original is None:
            return
        label = subject_label(instance.source)
        if label is not None and instance.patient:
            self._labels[label].add(instance.patient)
        try:
            found = bids_values(instance.original, instance.source)
            persons = values_of_persons(instance.original, instance.source)
        except (Held, OSError):
            return
        if instance.patient:
            self.values[instance.patient] |= found
        for person, values in persons.items():
            self._by_label[person] |= values

    def all_telling(self) -> list[SourceValue]:
        """The identifiers of all patients, for tables that are of all."""
        return list({value: None for patient in list(self.values) for value in self.telling(patient)})

    def telling(self, patient: str) -> list[SourceValue]:
        """The identifiers of a patient that tell him from others."""
        if self._shared is None:
            for label, values in self._by_label.items():
                for known in self._labels[label]:
                    self.values[known] |= values
            self._shared = SharedValues.of(self.values.values(), self._kept)
        return [value for value in self.values[patient] if self._shared.tells(value)]

    def ids(self) -> set[str]:
        """UIDs, ids and names of all patients."""
        sorts = (Sort.UID, Sort.CODE, Sort.NAME)
        return {each.value for values in self.values.values() for each in values if each.sort in sorts}


@dataclass
class _Attack:
    """Goes through the outputs and counts."""

    sources: _Sources
    annex: Annex
    people: Mapping[str | None, str] = field(default_factory=dict)
    whole: bool = True
    paired: bool = True
    ref: str = ""
    certain: int = 0
    possible: int = 0
    files: int = 0
    unread: int = 0
    searched: set[tuple[str, SourceValue]] = field(default_factory=set)
    searched_for_all: set[tuple[str, SourceValue]] = field(default_factory=set)
    by_form: Counter[str] = field(default_factory=Counter)
    by_place: Counter[str] = field(default_factory=Counter)
    ids: set[str] = field(default_factory=set)
    shifts: Shifts = field(default_factory=Shifts)
    uniqueness: Uniqueness = field(default_factory=Uniqueness)

    def file(self, instance: Instance, forms: Forms) -> None:
        """Attack one output."""
        content = _released(instance)
        if content is None:
            self.unread += 1
            return
        self.files += 1
        (self.searched if instance.patient else self.searched_for_all).update(
            (instance.patient, value) for value in forms.values
        )
        self.ref = instance.ref
        self._add_attributes(instance, content)
        self.ids |= set(_ids(content, instance.name))
        if instance.original is None:
            self._look_alone(instance, content)
        if not self.paired:
            return
        self.shifts.add(instance.patient, self.sources.marks.get(instance.name, {}), date_marks(content))
        for hit in forms.find(instance.name.encode("utf-8", "surrogateescape")):
            self._count(hit.form, "file name", hit.value.certain)
        for segment in content.segments:
            for hit in forms.find(segment.data):
                leaf = content.leaf_at(segment.start + hit.start) if segment.start >= 0 else None
                sure = self._is_sure(hit.value, leaf, forms, instance, segment.part)
                if sure is not None:
                    place = "private" if segment.part == EXTENSION else _place(leaf)
                    self._count(hit.form, place, sure, segment.part or _element(leaf))
        for _ in _dates_in_uids(content, forms):
            self._count(Form.AS_IT_IS, "uid", False)

    def _add_attributes(self, instance: Instance, content: Content) -> None:
        """What was kept of the patient; of a table, of each person in it."""
        if content.leaves and instance.patient:
            self.uniqueness.add(instance.patient, content, instance.ref)
        elif is_of_persons(instance.name):
            for label, name, value in table_attributes(instance.scrubbed, instance.name):
                patient = self.people.get(label, f"row {label}" if self.whole else "")
                if patient:
                    self.uniqueness.add_values(patient, ((name, value),))
        elif instance.patient and not is_beside(instance.scrubbed):
            self.uniqueness.add_values(instance.patient, (), instance.ref)

    def _is_sure(
        self, value: SourceValue, leaf: Leaf | None, forms: Forms, instance: Instance, part: str
    ) -> bool | None:
        """Whether a hit is certain; None where it says nothing."""
        if value.sort is Sort.DATE and part:
            return _stood_in(value, forms, instance)
        if value.sort is Sort.DATE:
            sure = leaf is None or _stood_there(value, leaf, forms, instance)
            if sure:
                self.shifts.give_away(instance.patient)
            return sure
        if leaf is not None and leaf.vr in _NUMBERS and not value.certain:
            return None  # a few letters or digits are found in any long enough binary value
        return value.certain and (leaf is None or leaf.vr not in ("DS", "IS"))

    def _look_alone(self, instance: Instance, content: Content) -> None:
        """Without the originals: what looks like identity."""
        for leaf in (*content.leaves, *_text_leaves(content)):
            for _ in suspicious(leaf):
                self._count(Form.AS_IT_IS, _place(leaf), False, _element(leaf))
        for _ in range(dates_in_name(instance.name)):
            self._count(Form.DATE, "file name", False)
        if content.leaves and content.text(_IDENTITY_REMOVED) != "YES":
            self._count(Form.AS_IT_IS, "standard text", False, "no claim that identity was removed")

    def _count(self, form: Form, place: str, certain: bool, element: str = "") -> None:
        self.certain += certain
        self.possible += not certain
        self.by_form[form] += 1
        self.by_place[place] += 1
        self.annex.note_header(self.ref, element, place, form, certain=certain)

    def result(self, release: Release) -> dict[str, Any]:
        """The section."""
        digests = shift = None
        if release.paired:
            sources = self.sources.ids()
            digests = hash_dictionary(sources, self.sources.joined, self.ids - sources)
            shift = self.shifts.result()
        known = {value for _, value in self.searched}
        # In files that are of nobody, the values of all are searched for: that makes them no more values.
        values = len(self.searched) + sum(value not in known for _, value in self.searched_for_all)
        reached = self.certain or (digests and digests["recovered"]) or (shift and shift["recovered"])
        found: dict[str, Any] = {
            "status": "assessed",
            "reason": "; ".join(self._reservations(release)),
            "certain": self.certain,
            "possible": self.possible,
            "values": values,
            "files": self.files,
            "by_form": {str(form): self.by_form[form] for form in Form},
            "by_place": {place: self.by_place[place] for place in PLACES},
            "uniqueness": self.uniqueness.result(),
        }
        not_run = {"status": "not assessed", "reason": "needs the originals"}
        found["hash_dictionary"] = digests if digests is not None else not_run
        found["shift"] = shift if shift is not None else dict(not_run)
        complete = release.paired and not self.unread
        return found | _verdict(bool(reached), complete, values)

    def _reservations(self, release: Release) -> Iterator[str]:
        """What was not done."""
        if not release.paired:
            yield "without the originals: patterns and uniqueness only"
        elif strays := release.left_out.get(NO_ORIGINAL):
            yield f"files of which no original is known, searched for what all patients' say: {strays}"
        if self.unread:
            yield f"released files that could not be searched: {self.unread}"


def _verdict(reached: bool, complete: bool, values: int) -> dict[str, str]:
    if reached:
        return {"verdict": "linkable", "words": "linkable"}
    if not complete or not values:
        return {"verdict": "not assessed", "words": "not assessed"}
    words = f"no link found by these attackers at N = {values}, upper bound {upper_bound(0, values):.2g}"
    return {"verdict": "no link found", "words": words}


def _content(path: Path | None) -> Content | None:
    if path is None:
        return None
    try:
        return read_bids(path) if is_bids(path) else read_content(path)
    except (Held, Skipped, OSError):
        return None


def _released(instance: Instance) -> Content | None:
    """An output; of one that cannot be understood its bytes. None where there are too many, or none."""
    content = _content(instance.scrubbed)
    if content is not None:
        return content
    most = _MOST_OF_ONE if instance.patient else _MOST_OF_ALL
    try:
        with instance.scrubbed.open("rb") as stream:
            data = stream.read(most + 1)
    except OSError:
        return None
    return Content((), (Segment(-1, data, _UNREADABLE),), "", "") if len(data) <= most else None


def _text_leaves(content: Content) -> Iterator[Leaf]:
    """Bytes of a NIfTI or BIDS file as texts, for patterns."""
    for segment in content.segments:
        if segment.part:
            text = segment.data.decode("utf-8", "replace")
            yield Leaf((), (), 0, "LT", "", 0, len(segment.data), text)


def _stood_in(value: SourceValue, forms: Forms, instance: Instance) -> bool:
    """Whether a date of an output stands in its own original; else it may have been moved there by chance."""
    original = _content(instance.original)
    segments = original.segments if original is not None else ()
    return any(hit.value == value for segment in segments for hit in forms.find(segment.data))


def _place(leaf: Leaf | None) -> str:
    if leaf is None:
        return "standard text"
    group = leaf.tag >> 16
    if any(tag >> 16 & 1 for tag in (leaf.tag, *leaf.parents)):
        return "private"
    if leaf.vr == "UI":
        return "uid"
    return "pixel group" if group in _PIXEL_GROUPS or group & 0xFF00 == 0x6000 else "standard text"


def _element(leaf: Leaf | None) -> str:
    """Where a value lies, by tags and no value: ``(0040,0275) > (0032,1060)``."""
    if leaf is None:
        return "file meta information or padding"
    return " > ".join(f"({tag >> 16:04x},{tag & 0xFFFF:04x})" for tag in (*leaf.parents, leaf.tag))


def _stood_there(value: SourceValue, leaf: Leaf, forms: Forms, instance: Instance) -> bool:
    """Whether a date is the original's at the same place, or stands where the original had nothing.

    Else a date that moved may have come to be one of the patient's others by chance.
    """
    original = _content(instance.original)
    if original is None:
        return False
    before = next((each.text for each in original.leaves if each.path == leaf.path), "")
    if not before:
        return True
    return any(hit.value == value for hit in forms.find(before.encode("utf-8", "surrogatepass")))


def _dates_in_uids(content: Content, forms: Forms) -> Iterator[SourceValue]:
    """Dates of the patient that are a component of a UID, alone or with a time, as many systems make them."""
    dates = [value for value in forms.values if value.sort is Sort.DATE]
    for leaf in content.leaves if dates else ():
        if leaf.vr == "UI" and not is_well_known(leaf.text):
            parts = [part for part in leaf.text.split(".") if len(part) in _TIME_STAMPS]
            yield from (value for value in dates if any(part.startswith(value.value) for part in parts))


def _ids(content: Content, name: str) -> Iterator[str]:
    """What may be a replaced UID or id in one output."""
    for leaf in content.leaves:
        if leaf.vr in _CODES and 0 < len(leaf.text) <= _LONGEST_ID:
            values = leaf.text.split("\\")
            yield from (v.strip() for v in values if v and not (leaf.vr == "UI" and is_well_known(v)))
    yield from (part.rsplit(".dcm", 1)[0] for part in name.split("/"))
