"""Files of one patient put together byte by byte, and what is released of them."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable

import pydicom
from builders.common import base
from pydicom.dataset import Dataset

from deid.core.errors import Held
from deid.core.identifiers import Identifier, Kind, KnownIdentifiers
from deid.core.keys import ProjectKey
from deid.core.pseudonyms import Pseudonyms
from deid.dicom.claims import claims_of, expectation_of
from deid.dicom.index import DicomRecord, index_part10
from deid.dicom.part10 import parse_part10
from deid.dicom.profile import Profile
from deid.dicom.recipe import parse_recipe
from deid.dicom.release import PatientRelease
from deid.dicom.values import Patient

PSEUDONYMS = Pseudonyms(ProjectKey(b"k" * 32))
CT = "1.2.840.10008.5.1.4.1.1.2"
_LONG = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}


def ct(patient: str = "PAT-4711-77") -> Dataset:
    data_set = base(CT, "CT", 1, patient)
    data_set.Rows = data_set.Columns = 4
    data_set.BitsAllocated, data_set.BitsStored, data_set.HighBit = 16, 16, 15
    data_set.PixelRepresentation, data_set.SamplesPerPixel = 0, 1
    data_set.PhotometricInterpretation, data_set.ImageType = "MONOCHROME2", ["ORIGINAL", "PRIMARY", "AXIAL"]
    data_set.PixelData = bytes(32)
    data_set["PixelData"].VR = "OW"
    return data_set


def element(tag: int, vr: str, value: str | bytes) -> bytes:
    """One explicit little endian element, whatever its value."""
    raw = value.encode() if isinstance(value, str) else value
    raw += b"" if len(raw) % 2 == 0 else (b"\0" if vr in ("UI", "UN", "OB") else b" ")
    group, number = tag >> 16, tag & 0xFFFF
    if vr in _LONG:
        return struct.pack("<HH2sHI", group, number, vr.encode(), 0, len(raw)) + raw
    return struct.pack("<HH2sH", group, number, vr.encode(), len(raw)) + raw


def sequence(tag: int, *items: bytes) -> bytes:
    return element(
        tag, "SQ", b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item for item in items)
    )


def private(group: int, creator: str, low: int, vr: str, value: str | bytes) -> tuple[bytes, bytes]:
    return (
        element(group << 16 | 0x10, "LO", creator),
        element(group << 16 | 0x1000 | low, vr, value),
    )


def file_of(data_set: Dataset, *elements: bytes) -> bytes:
    """The file of a data set, with elements put in (or in place of) its own by hand."""
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, data_set, enforce_file_format=True)
    source = stream.getvalue()
    walked = parse_part10(source)
    parts = {e.tag: source[e.at : e.stop] for e in walked.elements}
    for raw in elements:
        group, number = struct.unpack_from("<HH", raw)
        parts[group << 16 | number] = raw
    return source[: walked.meta[-1].stop] + b"".join(parts[tag] for tag in sorted(parts))


def _identifiers(record: DicomRecord, profile: Profile) -> Iterable[Identifier]:
    return (Identifier(Kind(kind), value) for kind, value in record.known(profile.options))


def release(source_bytes: bytes, recipe: str = "preset: research") -> bytes:
    """What is released of a file; raises Held where verification finds something."""
    profile = parse_recipe(recipe).profile()
    source = parse_part10(source_bytes)
    record = index_part10(source)
    identity = record.patient or f"study\x1f{record.study}"
    patient = Patient(
        identity,
        PSEUDONYMS.patient(identity),
        PSEUDONYMS.shift(identity),
        KnownIdentifiers(_identifiers(record, profile)),
    )
    one = PatientRelease(profile, patient, PSEUDONYMS, expectation_of(profile, profile.keep_times))
    claims = claims_of(profile, record.sop_class, record.modality, released_unseen=False)
    written = one.prepare(source, record, claims).to_bytes()
    one.verify(source, written)
    return written


def read(written: bytes) -> Dataset:
    return pydicom.dcmread(io.BytesIO(written))


def survives(canary: str, source: bytes, recipe: str = "preset: research") -> bool:
    """Whether a canary gets out; a file that is held lets nothing out."""
    try:
        return canary.encode() in release(source, recipe)
    except Held:
        return False
