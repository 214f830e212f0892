"""What is to be written: units, their output names, and the risks that keep them back."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deid.core.identifiers import Identifier
from deid.core.journal import InputRow
from deid.core.pseudonyms import Pseudonyms
from deid.dicom.index import DicomRecord
from deid.dicom.risk import VOLUME_SLICES, Risk
from deid.nifti.bids import PathMapper
from deid.nifti.index import NiftiRecord
from deid.nifti.kinds import FileKind, find_image
from deid.nifti.scrub import release_path
from deid.workflows.scrub.formats import Record, sibling

if TYPE_CHECKING:
    from deid.workflows.scrub.stacks import Stack

WEAKER = "identity_removed_no"
"""Key of an outcome's details: it was released with Patient Identity Removed NO; the value names the risk."""


@dataclass(frozen=True)
class Entry:
    """One indexed input of a patient.

    Attributes:
        row: Its row of the index.
        record: What the index pass learnt of it.
        relative: Its relative path, which names and patients are made from.
        path: Where it is read.
    """

    row: InputRow
    record: Record
    relative: str
    path: Path


@dataclass(frozen=True)
class Unit:
    """One input that is to be written.

    Attributes:
        ref: Keyed digest of its relative path.
        path: Where it is read.
        relative: Its relative path, which names and patients are made from.
        record: What the index pass learnt of it, without its identifiers.
        outputs: Relative pseudonymous names of its files.
        reads: The files that it is made from, with size (bytes) and time (nanoseconds) of the index pass.
        done_key: Digest of everything that the output depends on.
        risk: The risk that is released unseen, because the user asked for it; empty if there is none.
        patient: Pseudonym of the patient; empty where no id tells him from others.
        stack: The slices that it is judged with, where it is one of a series.
    """

    ref: bytes
    path: Path
    relative: str
    record: Record
    outputs: tuple[str, ...]
    reads: tuple[tuple[Path, int, int], ...]
    done_key: bytes
    risk: str = ""
    patient: str = ""
    stack: Stack | None = None

    @property
    def size(self) -> int:
        """Bytes of the input."""
        return sum(size for _, size, _ in self.reads)


@dataclass(frozen=True)
class PatientUnits:
    """Units of one patient, with what must not survive in them."""

    identity: str
    identifiers: tuple[Identifier, ...]
    units: tuple[Unit, ...]


Batch = tuple[PatientUnits, ...]
"""What one process writes together: many units of one patient, or the few units of many patients."""


def risks(entries: list[Entry]) -> dict[bytes, str]:
    """The risk of every input of a patient, by ref; inputs without risk are left out.

    A volume of unknown region is of risk from :data:`deid.dicom.risk.VOLUME_SLICES` slices on, which only
    the whole series can tell.
    """
    dicom = [(entry.row.ref, entry.record) for entry in entries if isinstance(entry.record, DicomRecord)]
    slices = Counter(record.series for _, record in dicom if record.region == "unknown")
    found: dict[bytes, str] = {}
    for ref, record in dicom:
        if record.risk is not None:
            found[ref] = str(record.risk)
        elif record.region == "unknown" and max(record.frames, slices[record.series]) >= VOLUME_SLICES:
            found[ref] = str(Risk.FACE_UNKNOWN)
    for entry in entries:
        if isinstance(entry.record, NiftiRecord) and entry.record.risk:
            found[entry.row.ref] = entry.record.risk
    return found


Files = dict[bytes, tuple[tuple[str, ...], tuple[Entry, ...]]]
"""By ref of an input: names of its outputs, and the inputs that it is made from."""


def dicom_outputs(entries: list[Entry], label: str, pseudonyms: Pseudonyms) -> tuple[Files, int]:
    """Output names ``<patient>/<study>/<series>/<instance>.dcm`` of pseudonyms, by ref.

    Files that share their UIDs (copies, other transfer syntaxes) get a digest of their path as a suffix, so
    that none is lost and no name depends on the order.

    Returns:
        The names, and the number of files that share theirs.
    """
    uid = pseudonyms.uid
    names: dict[bytes, str] = {}
    for entry in entries:
        record = entry.record
        if isinstance(record, DicomRecord):
            study = uid(record.study) if record.study else "no-study"
            series = uid(record.series) if record.series else "no-series"
            names[entry.row.ref] = f"{label}/{study}/{series}/{uid(record.instance)}"
    count = Counter(names.values())
    shared = sum(number for number in count.values() if number > 1)
    files: Files = {}
    for entry in entries:
        name = names.get(entry.row.ref)
        if name is not None:
            suffix = f"-{pseudonyms.path_digest(entry.relative)[:4].hex()}" if count[name] > 1 else ""
            files[entry.row.ref] = ((f"{name}{suffix}.dcm",), (entry,))
    return files, shared


def nifti_files(entries: list[Entry], paths: PathMapper) -> Files:
    """Output names of NIfTI and BIDS files by ref: two for a pair, none for the image of a pair."""
    by_name = {entry.relative: entry for entry in entries}
    files: Files = {}
    for entry in entries:
        if not isinstance(entry.record, NiftiRecord):
            continue
        kind = entry.record.kind
        names = [] if kind is FileKind.PAIR_DATA else [release_path(paths, entry.relative, kind)]
        read = [entry]
        image = find_image(entry.path) if kind is FileKind.PAIR else None
        if image is not None:
            beside = sibling(entry.path, entry.relative, image)
            names.append(paths.map_path(beside))
            read += [by_name[beside]] if beside in by_name else []
        files[entry.row.ref] = tuple(names), tuple(read)
    return files
