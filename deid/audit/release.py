"""What is audited: which file of a release comes from which original, and whom it shows."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from deid.audit.bids_content import is_beside, is_bids, is_text
from deid.core.coverage import ImageFacts
from deid.core.errors import Held, Skipped, UsageError
from deid.core.files import InputFile, discover
from deid.core.journal import Journal
from deid.core.outcomes import Status
from deid.core.pseudonyms import Pseudonyms
from deid.dicom.defined_terms import MODALITIES, defined
from deid.dicom.index import DicomRecord, index_file

NO_PATIENT = "no header and no table says whose it is"
NO_PAIR = "no counterpart on the other side"
NOT_AN_IMAGE_FILE = "not a DICOM or NIfTI file"
"""Of such a file nothing but its bytes is audited, for identifiers."""
MISSING = "file not found"
PAIRS_HELP = (
    "name the project that made the release (--out, --project or --state; with --key-file where the state is "
    "gone), or give --pairs FILE: a CSV with the header original,scrubbed and paths relative to the folders."
)

_Progress = Callable[[int], object]


@dataclass(frozen=True)
class Instance:
    """One file of a release.

    Attributes:
        original: Where it comes from; None for a release alone.
        scrubbed: The file.
        name: Its path in the release, which a recipient sees.
        patient: Opaque label, such as ``P1``: the same text is the same person.
        study: Opaque label of the study.
        series: Opaque label of the series.
        modality: Modality (0008,0060).
        view: Projection or orientation, where the header says it.
        age: Of the patient in years; None where the header does not say it.
        ref: Keyed reference of the input, which only the project resolves; empty where none is known.
        source: Path of the original below its folder; empty where there is none.
        uid: SOP Instance UID (0008,0018) of the original, or of the file where none is known.
    """

    original: Path | None
    scrubbed: Path
    name: str
    patient: str
    study: str
    series: str = ""
    modality: str = ""
    view: str = ""
    age: float | None = None
    ref: str = ""
    source: str = ""
    uid: str = ""


_Read = tuple[str, str, str, Instance]
"""Patient, study and series as found, and the file without them."""


@dataclass(frozen=True)
class Release:
    """What is audited.

    Attributes:
        instances: In the order of their names.
        left_out: Files that are not audited, by reason.
        paired: The originals are known.
        texts: Sidecars, tables, the voxels of pairs, what is no image file and what no original is known of,
            for the header attack only; without patient where they are of several, or of nobody knows whom.
        whole: All patients of the release are meant, so that tables may speak of others, without files.
    """

    instances: tuple[Instance, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)
    paired: bool = True
    texts: tuple[Instance, ...] = ()
    whole: bool = True

    @property
    def patients(self) -> tuple[str, ...]:
        """Every patient once, sorted."""
        return tuple(sorted({instance.patient for instance in self.instances}))

    def several_studies(self) -> int:
        """Patients with more than one study."""
        studies = {(instance.patient, instance.study) for instance in self.instances}
        return sum(count > 1 for count in Counter(patient for patient, _ in studies).values())

    def modalities(self) -> dict[str, int]:
        """Files of each modality."""
        return dict(sorted(Counter(each.modality or "unknown" for each in self.instances).items()))


@dataclass(frozen=True)
class Pair:
    """An output and its original, before anybody looked into them."""

    original: Path | None
    scrubbed: Path
    name: str
    patient: str = ""
    ref: str = ""
    source: str = ""


def journal_pairs(journal: Journal, out: Path, originals: Path | None = None) -> list[Pair]:
    """The pairs of a project: every released file and its input.

    Args:
        journal: Of the output.
        out: The output folder.
        originals: Where the inputs lie now; None for where they lay in the last run.

    Raises:
        UsageError: The journal has no run or nothing was released.
    """
    runs = journal.runs(1)
    if not runs:
        raise UsageError("the project has no run yet; scrub first, or give the two folders.")
    home = originals if originals is not None else Path(str(runs[0].roots.get("home", "")))
    released = [outcome for outcome in journal.outcomes.all(Status.RELEASED) if outcome.outputs]
    if not released:
        raise UsageError("the project has released nothing, so there is nothing to audit.")
    paths = journal.paths([outcome.ref for outcome in released])
    owners = {row.ref: row.patient.hex() for row in journal.inputs.records()}
    found = [
        Pair(
            home / paths[outcome.ref],
            out / name,
            name,
            owners.get(outcome.ref, ""),
            "#" + outcome.ref[:5].hex(),
            paths[outcome.ref],
        )
        for outcome in released
        if outcome.ref in paths
        for name in outcome.outputs
    ]
    return sorted(found, key=lambda pair: pair.name)


def last_output(journals: Sequence[Journal]) -> tuple[Journal, Path]:
    """The output of the newest run of a project, and its journal.

    Raises:
        UsageError: No journal has a run.
    """
    newest = [(run.started, place) for place, journal in enumerate(journals) for run in journal.runs(1)]
    if not newest:
        raise UsageError("the project has no run yet; scrub first, or give the two folders.")
    journal = journals[max(newest)[1]]
    return journal, Path(str(journal.runs(1)[0].roots.get("out", "")))


def table_pairs(table: Path, originals: Path, scrubbed: Path) -> list[Pair]:
    """The pairs of a CSV with the columns ``original`` and ``scrubbed``.

    Raises:
        UsageError: The table cannot be read, or a path leaves its folder.
    """
    rows = _rows(table, ("original", "scrubbed"), "--pairs")
    pairs = [
        Pair(originals / row["original"], scrubbed / row["scrubbed"], row["scrubbed"], source=row["original"])
        for row in rows
        if _stays_inside(row["original"]) and _stays_inside(row["scrubbed"])
    ]
    if len(pairs) < len(rows):
        raise UsageError("a path of --pairs leaves its folder; give paths relative to the two folders.")
    return pairs


def keyed_pairs(pseudonyms: Pseudonyms, originals: Path, scrubbed: Path) -> list[Pair]:
    """The pairs by SOP Instance UIDs and the pseudonyms that a key makes of them."""
    by_uid: dict[str, InputFile] = {}
    for file in _files(originals):
        record = _index(file.path)
        if record is not None:
            by_uid[pseudonyms.uid(record.instance)] = file
    found = []
    for file in _files(scrubbed):
        record = _index(file.path)
        if record is not None and record.instance in by_uid:
            original = by_uid[record.instance]
            found.append(Pair(original.path, file.path, file.relative, source=original.relative))
    if not found:
        raise UsageError(
            "with the key that was given no file of the release is the output of an original; check the key "
            "and the folders, or give --pairs."
        )
    return found


def equal_name_pairs(originals: Path, scrubbed: Path) -> list[Pair]:
    """The pairs of files with the same relative path.

    Raises:
        UsageError: Not every file of the release has a namesake.
    """
    names = {file.relative: file.path for file in _files(originals)}
    found = [
        Pair(names.get(file.relative), file.path, file.relative, source=file.relative)
        for file in _files(scrubbed)
    ]
    if not found:
        raise UsageError("the release holds no file; check the folder.")
    if any(pair.original is None for pair in found):
        raise UsageError(f"the files of the two folders do not have the same names; {PAIRS_HELP}")
    return found


def released_files(scrubbed: Path) -> list[Pair]:
    """The files of a release of which no original is known.

    Raises:
        UsageError: There is none.
    """
    found = [Pair(None, file.path, file.relative) for file in _files(scrubbed)]
    if not found:
        raise UsageError("the release holds no file; check the folder.")
    return found


def read_release(
    pairs: Iterable[Pair], patients: Mapping[str, str] | None = None, progress: _Progress | None = None
) -> Release:
    """Look into the files: whom they show, by the originals where these are known.

    Args:
        pairs: The files.
        patients: Patient by relative path in the release, which goes before all headers.
        progress: Called with 1 after each file.

    Raises:
        UsageError: No file can be audited.
    """
    left_out: Counter[str] = Counter()
    found: list[_Read] = []
    others: list[_Read] = []
    paired = False
    for pair in pairs:
        paired = paired or pair.original is not None
        read = _read(pair, patients or {})
        if isinstance(read, str):
            left_out[read] += 1
            if read == NOT_AN_IMAGE_FILE:
                others.append(_other(pair, patients or {}))
        else:
            found.append((*read[:3], replace(read[3], ref=pair.ref, source=pair.source)))
        if progress is not None:
            progress(1)
    if all(is_beside(instance.scrubbed) for *_, instance in found):
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(left_out.items())) or "no file"
        raise UsageError(f"no file can be audited ({reasons}); give --patients FILE: a CSV path,patient.")
    beside = {read[3].name for read in others}
    beside |= {read[3].name for read in found if is_beside(read[3].scrubbed)}
    labelled = list(_labelled(found + others))
    return Release(
        tuple(each for each in labelled if each.name not in beside),
        dict(sorted(left_out.items())),
        paired,
        tuple(each for each in labelled if each.name in beside),
    )


def read_patients(table: Path) -> dict[str, str]:
    """The patient of each file of the release, from a CSV with the columns ``path`` and ``patient``.

    Raises:
        UsageError: The table cannot be read, or says two things of one path.
    """
    found: dict[str, str] = {}
    for row in _rows(table, ("path", "patient"), "--patients"):
        if found.setdefault(row["path"], row["patient"]) != row["patient"]:
            raise UsageError("--patients names two patients for one path; give one line a path.")
    return found


def _other(pair: Pair, patients: Mapping[str, str]) -> _Read:
    """A file that is no image file; whoever looks for a patient's values in it needs no more."""
    made = Instance(pair.original, pair.scrubbed, pair.name, "", "", ref=pair.ref, source=pair.source)
    return patients.get(pair.name, pair.patient), "", "", made


def _read(pair: Pair, patients: Mapping[str, str]) -> _Read | str:
    """Patient, study, series and the instance without them; or why it is not audited."""
    if not pair.scrubbed.is_file() or (pair.original is not None and not pair.original.is_file()):
        return MISSING
    given = patients.get(pair.name, pair.patient)
    if is_bids(pair.scrubbed):
        return _read_nifti(pair, given)
    record = _index(pair.original or pair.scrubbed)
    if record is None:
        return NOT_AN_IMAGE_FILE
    patient = given or (record.patient and "header " + record.patient)
    if not patient:
        return NO_PATIENT
    facts = _facts(pair)
    instance = Instance(
        pair.original,
        pair.scrubbed,
        pair.name,
        "",
        "",
        modality=defined(record.modality.upper(), MODALITIES, "OT"),
        view=facts.view if facts is not None else "",
        age=facts.age if facts is not None else None,
        uid=record.instance,
    )
    return patient, record.study, record.series, instance


def _read_nifti(pair: Pair, given: str) -> _Read | str:
    """A NIfTI file, whose path says in BIDS of whom it is (``sub-``) and when (``ses-``)."""
    parts = PurePosixPath(pair.name).parts
    subject = next((part for part in parts if part.startswith("sub-")), "")
    # A subject without sessions has one; of what is not in BIDS nothing says which files are of one visit.
    session = next((part for part in parts if part.startswith("ses-")), "" if subject else pair.name)
    patient = given or subject
    if not patient and not is_text(pair.name):
        return NO_PATIENT
    kind = parts[-1].split(".")[0].rsplit("_", 1)[-1]
    instance = Instance(pair.original, pair.scrubbed, pair.name, "", "", modality="MR", view=kind)
    return patient, f"{patient}/{session}", pair.name, instance


def _facts(pair: Pair) -> ImageFacts | None:
    """What the header says of the image; None where a value cannot be read."""
    from deid.dicom.image_facts import facts_of
    from deid.dicom.pixels import read_header

    try:
        return facts_of(read_header(pair.original or pair.scrubbed))
    except (Held, Skipped, OSError):
        return None


def _labelled(found: list[_Read]) -> Iterator[Instance]:
    """The same with opaque labels: numbers in the order of the outputs' names."""
    labels: tuple[dict[str, str], ...] = ({}, {}, {})
    for patient, study, series, instance in sorted(found, key=lambda each: each[3].name):
        if not patient:  # a table of all patients, or what may be of any
            yield instance
            continue
        keys = (patient, f"{patient}\x1f{study}", f"{patient}\x1f{study}\x1f{series}")
        named = [
            known.setdefault(key, f"{letter}{len(known) + 1}")
            for known, key, letter in zip(labels, keys, "PTS", strict=True)
        ]
        yield replace(instance, patient=named[0], study=named[1], series=named[2])


def _index(path: Path) -> DicomRecord | None:
    try:
        return index_file(path)
    except (Held, Skipped, OSError):
        return None


def _files(root: Path) -> Iterator[InputFile]:
    if not root.is_dir():
        raise UsageError("ORIGINALS and SCRUBBED are folders; one that was given is none.")
    yield from sorted(
        (file for file in discover(root) if isinstance(file, InputFile)), key=lambda file: file.relative
    )


def _rows(table: Path, columns: tuple[str, ...], option: str) -> list[dict[str, str]]:
    """The rows of a table that the user wrote."""
    wanted = f"{option} takes a CSV file in UTF-8 with the header {','.join(columns)}"
    try:
        with table.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            if not set(columns) <= set(reader.fieldnames or ()):
                raise UsageError(f"{wanted}; the one given has other columns.")
            rows = [{name: (row[name] or "").strip() for name in columns} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error):
        raise UsageError(f"{wanted}; the one given cannot be read.") from None
    if not rows or not all(all(row.values()) for row in rows):
        raise UsageError(f"{wanted}; the one given has an empty line, or none.")
    return rows


def _stays_inside(relative: str) -> bool:
    path = PurePosixPath(relative.replace(os.sep, "/"))
    return not path.is_absolute() and ".." not in path.parts
