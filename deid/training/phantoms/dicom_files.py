"""Phantoms as DICOM: CR and DX images of chests, MR and CT series of heads, identities in the headers."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deid.training.phantoms import chest
from deid.training.phantoms.cohort import Cohort, Study
from deid.training.phantoms.head import CT_RANGE, FIELD_OF_VIEW
from deid.training.phantoms.manifest import new_folder, write_manifest
from deid.training.phantoms.shapes import Floats

if TYPE_CHECKING:
    from pydicom.dataset import Dataset, FileDataset

SOP_CLASSES = {
    "CR": "1.2.840.10008.5.1.4.1.1.1",
    "DX": "1.2.840.10008.5.1.4.1.1.1.1",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "CT": "1.2.840.10008.5.1.4.1.1.2",
}
CHEST_SIDE = 400.0
"""Side of a radiograph on the detector, in mm."""
_VOLUME_BITS = 12
_CT_INTERCEPT = -1024


def write_dicom(cohort: Cohort, folder: Path) -> tuple[Path, ...]:
    """Write one CR or DX image, or one MR or CT series, a study, and ``manifest.csv``.

    The manifest names one file an image, so it names the slice at two thirds of the height of a series; for
    whole volumes give the tree itself to the commands.

    Returns:
        For each study the file that stands in the manifest.

    Raises:
        UsageError: The folder holds something already.
    """
    new_folder(folder)
    paths = tuple(
        _write_study(cohort, image, study, folder)
        for image, study in zip(cohort.images, cohort.studies, strict=True)
    )
    write_manifest(cohort, folder, paths)
    return paths


def _write_study(cohort: Cohort, image: Floats, study: Study, root: Path) -> Path:
    folder = root / study.person.id / f"study{study.study + 1}"
    folder.mkdir(parents=True)
    paths = []
    for number, dataset in enumerate(study_datasets(cohort, image, study), 1):
        path = folder / f"IM{number:04d}.dcm"
        stream = io.BytesIO()
        dataset.save_as(stream, enforce_file_format=True)
        path.write_bytes(stream.getvalue())
        paths.append(path)
    return paths[len(paths) * 2 // 3]


def study_datasets(cohort: Cohort, image: Floats, study: Study) -> Iterator[FileDataset]:
    """The data sets of a study: one radiograph, or the slices of a volume from the neck up."""
    if isinstance(study.acquisition, chest.Acquisition):
        yield _radiograph(cohort, image, study, study.acquisition)
        return
    for number, plane in enumerate(image, 1):
        yield _slice(cohort, plane, study, number, len(image))


def _uid(*parts: object) -> str:
    """The same UID for the same parts (PS3.5 B.2)."""
    digest = hashlib.sha256("|".join(map(str, parts)).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def _common(cohort: Cohort, study: Study, number: int) -> FileDataset:
    """Patient, study, series, equipment and SOP common modules (PS3.3 C.7.1 to C.7.5, C.12.1)."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import UID, ExplicitVRLittleEndian

    modality, key = study.acquisition.modality, (cohort.seed, cohort.kind, study.patient, study.study)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID, ds.SOPInstanceUID = UID(SOP_CLASSES[modality]), _uid(*key, number)
    ds.StudyInstanceUID, ds.SeriesInstanceUID = _uid(*key, "study"), _uid(*key, "series")
    ds.Modality, ds.SeriesNumber, ds.InstanceNumber = modality, 1, number
    _plant(ds, study)
    ds.Manufacturer, ds.ManufacturerModelName = "Phantom", f"{cohort.kind} {modality}"
    ds.SoftwareVersions, ds.StationName = "1", study.acquisition.site.station
    ds.BurnedInAnnotation = "NO"
    return ds


def _plant(ds: FileDataset, study: Study) -> None:
    """The made-up identities, as a hospital writes them."""
    person, visit = study.person, study.visit
    ds.PatientName, ds.PatientID = person.name, person.id
    ds.PatientBirthDate, ds.PatientSex = person.birth, person.sex
    ds.PatientAddress, ds.PatientTelephoneNumbers = person.address, person.phone
    ds.PatientComments = f"Seen with {person.given} {person.family}"
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = visit.date
    ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = visit.time
    ds.AccessionNumber, ds.StudyID = visit.accession, str(study.study + 1)
    ds.ReferringPhysicianName = f"{visit.referring}^"
    ds.PerformingPhysicianName, ds.OperatorsName = f"{visit.performing}^", f"{visit.operator}^"
    ds.InstitutionName, ds.DeviceSerialNumber = visit.institution, visit.serial
    ds.StudyDescription = f"{study.acquisition.modality} for {person.family}"


def _pixels(ds: FileDataset, stored: NDArray[np.uint16], bits: int, photometric: str) -> None:
    """Image Pixel module (PS3.3 C.7.6.3)."""
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, photometric
    ds.Rows, ds.Columns = stored.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, bits, bits - 1, 0
    ds.PixelData = stored.astype("<u2").tobytes()
    ds["PixelData"].VR = "OW"


def _code(value: str, meaning: str, scheme: str = "SCT") -> list[Dataset]:
    from pydicom.dataset import Dataset

    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return [item]


def _radiograph(cohort: Cohort, image: Floats, study: Study, taken: chest.Acquisition) -> FileDataset:
    """CR Image or Digital X-Ray Image For Presentation (PS3.3 A.2, A.26)."""
    ds = _common(cohort, study, 1)
    top = (1 << taken.site.bits) - 1
    inverted = taken.site.photometric == "MONOCHROME1"
    stored = np.rint((1 - image if inverted else image) * top).astype(np.uint16)
    _pixels(ds, stored, taken.site.bits, taken.site.photometric)
    ds.ImageType = ["ORIGINAL", "PRIMARY"]
    ds.BodyPartExamined, ds.ViewPosition = "CHEST", taken.view
    ds.PatientOrientation = ["L", "F"]
    ds.WindowCenter, ds.WindowWidth = (top + 1) // 2, top + 1
    ds.KVP = 120
    if taken.modality == "DX":
        _digital_x_ray(ds, CHEST_SIDE / len(image), inverted, taken.view)
    return ds


def _digital_x_ray(ds: FileDataset, spacing: float, inverted: bool, view: str) -> None:
    """DX Series, Anatomy Imaged, Image, Detector and Positioning modules (PS3.3 C.8.11)."""
    ds.PresentationIntentType, ds.ImageLaterality, ds.DetectorType = "FOR PRESENTATION", "U", "DIRECT"
    ds.AnatomicRegionSequence = _code("816094009", "Chest")
    names = {"PA": ("272479007", "postero-anterior"), "AP": ("399348003", "antero-posterior")}
    ds.ViewCodeSequence = _code(*names[view])
    ds.ViewCodeSequence[0].ViewModifierCodeSequence = []
    ds.PatientOrientationCodeSequence = _code("C86043", "erect", "NCIt")
    ds.ImagerPixelSpacing = [round(spacing, 6)] * 2
    ds.PixelIntensityRelationship, ds.PixelIntensityRelationshipSign = "LOG", 1 if inverted else -1
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = 0, 1, "US"
    ds.PresentationLUTShape = "INVERSE" if inverted else "IDENTITY"
    ds.LossyImageCompression, ds.AcquisitionDeviceProcessingDescription = "00", ""
    ds.PositionerType, ds.AcquisitionContextSequence = "NONE", []


def _slice(cohort: Cohort, plane: Floats, study: Study, number: int, count: int) -> FileDataset:
    """One MR or CT Image (PS3.3 A.4, A.3)."""
    ds = _common(cohort, study, number)
    spacing = FIELD_OF_VIEW / count
    corner = -(count - 1) / 2 * spacing
    ds.BodyPartExamined, ds.SeriesDescription = "HEAD", study.acquisition.view
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = _uid(ds.SeriesInstanceUID, "frame"), ""
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.ImagePositionPatient = [round(corner, 6), round(corner, 6), round(corner + (number - 1) * spacing, 6)]
    ds.PixelSpacing, ds.SliceThickness = [round(spacing, 6)] * 2, round(spacing, 6)
    ds.SpacingBetweenSlices = round(spacing, 6)
    ds.PatientPosition, ds.PatientOrientation, ds.AcquisitionNumber = "HFS", ["L", "P"], 1
    if study.acquisition.modality == "CT":
        low, high = CT_RANGE
        stored = np.rint(low + (high - low) * plane - _CT_INTERCEPT)
        ds.ImageType, ds.KVP = ["ORIGINAL", "PRIMARY", "AXIAL"], 120
        ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = _CT_INTERCEPT, 1, "HU"
    else:
        stored = np.rint(plane * ((1 << _VOLUME_BITS) - 1))
        ds.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
        ds.ScanningSequence, ds.SequenceVariant, ds.ScanOptions = "GR", "MP", ""
        ds.MRAcquisitionType, ds.EchoTime, ds.RepetitionTime = "3D", 3, 2000
        ds.EchoTrainLength, ds.MagneticFieldStrength = 1, 3
    _pixels(ds, stored.astype(np.uint16), _VOLUME_BITS, "MONOCHROME2")
    return ds
