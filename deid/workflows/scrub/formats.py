"""The formats that ``scrub`` understands: what a file is, and whose."""

from __future__ import annotations

from pathlib import Path

from deid.core.errors import Skipped
from deid.core.files import InputFile
from deid.core.patient_map import PatientMap
from deid.dicom.index import DicomRecord, index_file
from deid.dicom.part10 import NotDicom
from deid.nifti.index import NiftiRecord, index_nifti
from deid.nifti.scrub import HEAD_BYTES, classify, identity_of
from deid.workflows.scrub.inputs import relative_of

DICOM, NIFTI = "dicom", "nifti"
INDEX = "2"
"""Version of what the index keeps of an input; an index of another one is made anew."""
Record = DicomRecord | NiftiRecord


def index_input(file: InputFile) -> tuple[str, bytes]:
    """Read the header of an input.

    Returns:
        Format and serialised record of the file.

    Raises:
        Skipped: It is of no format that this tool knows.
        Held: It is, but cannot be understood.
        OSError: It cannot be read.
    """
    with file.path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    if head[128:132] != b"DICM":
        relative = relative_of(file.relative)
        kind = classify(file.path, relative, head)
        if kind is not None:
            return NIFTI, index_nifti(file.path, relative, kind).to_bytes()
    try:
        return DICOM, index_file(file.path).to_bytes()
    except NotDicom:
        raise Skipped("not DICOM, NIfTI or BIDS") from None


def read_record(kind: str, record: bytes) -> Record:
    """Read a record of the index."""
    return DicomRecord.from_bytes(record) if kind == DICOM else NiftiRecord.from_bytes(record)


def owner_of(record: Record, relative: str, patients: PatientMap) -> str:
    """Identity string of the patient that a file belongs to.

    DICOM: by the user's map, by Patient ID and issuer, or the study as a patient of its own. NIfTI: by the
    user's map, by the BIDS subject, or the file as a patient of its own.
    """
    if isinstance(record, NiftiRecord):
        return identity_of(relative, subject_map(patients))
    patient_id = (record.patient or "").split("\x1f")[0]
    mapped = patients.patient(relative, *([patient_id] if patient_id else []))
    if mapped is not None:
        return _identity(mapped)
    if record.patient is not None:
        return record.patient
    return f"study\x1f{record.study}" if record.study else f"file\x1f{relative}"


def subject_map(patients: PatientMap) -> dict[str, str]:
    """The user's map with identity strings of the form that DICOM files have, so that formats join."""
    return {key: _identity(patient) for key, patient in patients.entries.items()}


def _identity(patient: str) -> str:
    return f"{patient}\x1f"


def sibling(path: Path, relative: str, other: Path) -> str:
    """Relative name of a neighbour of a file."""
    return relative[: len(relative) - len(path.name)] + other.name
