"""New pixel data for DICOM objects, released as the workflow does it."""

from __future__ import annotations

import copy
import hashlib
import io
import zlib
from pathlib import Path

import numpy as np
import pydicom
from builders.common import base, code, references
from builders.kinds import build
from dicom_files import PSEUDONYMS
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from deid import __version__
from deid.core.identifiers import Identifier, Kind, KnownIdentifiers
from deid.core.staging import FileRange, Staging
from deid.dicom.claims import claims_of, expectation_of
from deid.dicom.derived import Derivation, PixelChange
from deid.dicom.index import index_part10
from deid.dicom.new_pixels import NewPixels
from deid.dicom.part10 import open_part10, parse_part10
from deid.dicom.recipe import parse_recipe
from deid.dicom.release import PatientRelease, map_file
from deid.dicom.values import Patient

DERIVATION = Derivation("chest-anonymizer", "5e" * 32)
PATIENT = "PAT-4711-77"
DX = "1.2.840.10008.5.1.4.1.1.1.1"
SYNTAXES = {
    "implicit": ImplicitVRLittleEndian,
    "explicit": ExplicitVRLittleEndian,
    "big endian": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
}


class Bench:
    """Releases one file with new pixel data, as the workflow does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.opened: list[io.BufferedReader] = []
        self.count = 0

    def change(self, data_set: Dataset, array: NDArray[np.generic], syntax: str | None = None) -> PixelChange:
        """New pixel data for an object, encoded by pydicom and put somewhere into a file."""
        source = str(data_set.file_meta.TransferSyntaxUID)
        native = syntax is None or syntax in SYNTAXES.values()
        if native:
            order = ">" if source == ExplicitVRBigEndian else "<"
            value = array.astype(array.dtype.newbyteorder(order)).tobytes()
            value += b"\0" * (len(value) % 2)
        else:
            encoded = copy.deepcopy(data_set)
            encoded.compress(syntax, array, encoding_plugin="pylibjpeg", generate_instance_uid=False)
            value = encoded.PixelData + bytes.fromhex("fe ff dd e0 00 00 00 00")
        self.count += 1
        path = self.folder / f"pixels{self.count}"
        path.write_bytes(b"before" + value + b"behind")
        self.opened.append(path.open("rb"))
        colour = data_set.SamplesPerPixel == 3
        pixels = NewPixels(
            syntax=syntax or source,
            vr="OB" if not native or array.dtype.itemsize == 1 else "OW",
            encapsulated=not native,
            value=FileRange(self.opened[-1].fileno(), 6, len(value)),
            sha256=hashlib.sha256(value).hexdigest(),
            photometric=data_set.PhotometricInterpretation,
            planar=0 if colour else None,
            smallest=None if colour else int(array.min()),
            largest=None if colour else int(array.max()),
        )
        return PixelChange(pixels, DERIVATION)

    def release(
        self, data_set: Dataset, change: PixelChange, recipe: str = "preset: research", *, tamper: int = 0
    ) -> Dataset:
        """What is written, read by pydicom; ``tamper`` flips a bit of that byte of it before."""
        source = self.folder / "source.dcm"
        pydicom.dcmwrite(source, data_set, enforce_file_format=True)
        profile = parse_recipe(recipe).profile()
        with open_part10(source, header=True) as opened, Staging(self.folder / "out") as staging:
            record = index_part10(opened)
            known = KnownIdentifiers(
                Identifier(Kind(kind), value) for kind, value in record.known(profile.options)
            )
            identity = record.patient or ""
            patient = Patient(identity, PSEUDONYMS.patient(identity), PSEUDONYMS.shift(identity), known)
            one = PatientRelease(profile, patient, PSEUDONYMS, expectation_of(profile, profile.keep_times))
            claims = claims_of(profile, record.sop_class, record.modality, released_unseen=False)
            prepared = one.prepare(opened, record, claims, change)
            assert prepared.tail is None
            assert not prepared.in_memory
            staging.write("x", prepared.chunks())
            with map_file(staging.staged_path("x")) as written:
                whole = written[:]
                assert whole == prepared.to_bytes()
                if tamper:
                    one.verify(opened, _flipped(whole, tamper), change=change)
                one.verify(opened, written, change=change)
        return pydicom.dcmread(io.BytesIO(whole))


def _flipped(data: bytes, at: int) -> bytes:
    """The file with a flipped bit in a byte of its data set, counted from the end."""
    with parse_part10(data) as walked:
        start, deflated = walked.meta[-1].stop, walked.deflated
        changed = bytearray(walked.body[walked.start :])
    changed[at] ^= 1
    if not deflated:
        return data[:start] + changed
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return data[:start] + deflater.compress(changed) + deflater.flush()


def noise(data_set: Dataset, seed: int = 7) -> NDArray[np.uint16]:
    """New stored values `[row, column]`, with a leading `[frame]` where there are several, of 12 bits."""
    frames = int(data_set.get("NumberOfFrames", 1))
    shape = (data_set.Rows, data_set.Columns) if frames == 1 else (frames, data_set.Rows, data_set.Columns)
    return np.random.default_rng(seed).integers(5, 4000, shape).astype(np.uint16)


def cr() -> Dataset:
    return _enlarged(build("cr", patient=PATIENT).dataset)


def _enlarged(data_set: Dataset) -> Dataset:
    """The same object, large enough for every encoder."""
    data_set.Rows, data_set.Columns = 48, 64
    data_set.PixelData = bytes(2 * 48 * 64 * int(data_set.get("NumberOfFrames", 1)))
    return data_set


def dx() -> Dataset:
    data_set = base(DX, "DX", 1, PATIENT)
    data_set.Rows, data_set.Columns, data_set.SamplesPerPixel = 300, 200, 1
    data_set.BitsAllocated, data_set.BitsStored, data_set.HighBit = 16, 12, 11
    data_set.PixelRepresentation, data_set.PhotometricInterpretation = 0, "MONOCHROME2"
    data_set.ImageType, data_set.PixelPaddingValue = ["ORIGINAL", "PRIMARY", ""], 4095
    data_set["PixelPaddingValue"].VR = "US"
    data_set.PixelData = bytes(2 * 300 * 200)
    data_set["PixelData"].VR = "OW"
    return data_set


def enhanced() -> Dataset:
    """Enhanced MR of three frames; Frame Type stands in the shared and in the per-frame groups."""
    data_set = _enlarged(build("mr_enhanced", patient=PATIENT).dataset)
    groups = [*data_set.SharedFunctionalGroupsSequence, *data_set.PerFrameFunctionalGroupsSequence]
    for group in groups:
        kind = Dataset()
        kind.FrameType = ["ORIGINAL", "PRIMARY", "T1", "NONE"]
        group.MRImageFrameTypeSequence = references(kind)
    return data_set


def burdened(data_set: Dataset) -> Dataset:
    """Add what tells of the old pixels and of the patient."""
    icon = Dataset()
    icon.Rows = icon.Columns = 2
    icon.SmallestImagePixelValue, icon.PixelData = 0, bytes(4)
    icon["SmallestImagePixelValue"].VR, icon["PixelData"].VR = "US", "OB"
    data_set.IconImageSequence = references(icon)
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = DX, "1.2.3.4"
    reference.IconImageSequence = references(icon)
    data_set.SourceImageSequence = references(reference)
    for keyword in ("Image", "PixelValueInSeries", "ImagePixelValueInPlane"):
        name = keyword if keyword != "Image" else "ImagePixelValue"
        for end in ("Smallest", "Largest"):
            setattr(data_set, end + name, 17)
            data_set[end + name].VR = "US"
    histogram = Dataset()
    histogram.HistogramNumberOfBins, histogram.HistogramData = 1, 9
    data_set.HistogramSequence = references(histogram)
    mac = Dataset()
    mac.MACIDNumber, mac.MACAlgorithm = 1, "SHA256"
    data_set.MACParametersSequence = references(mac)
    data_set.DerivationDescription = "Averaged for Anna Testperson on request"
    data_set.DerivationCodeSequence = references(
        code("113085", "Spatial resampling"), code("X1", "for Testperson", "99LOCAL")
    )
    equipment = Dataset()
    equipment.Manufacturer, equipment.ContributionDescription = "Acme", "checked with Testperson"
    equipment.PurposeOfReferenceCodeSequence = references(code("109102", "Processing Equipment"))
    data_set.ContributingEquipmentSequence = references(equipment)
    data_set.DeidentificationMethod = "Earlier tool"
    return data_set


OURS = (
    f"Identity cues removed from the pixels by mami-deid {__version__}, model chest-anonymizer; "
    "not for diagnosis"
)
