"""The modules that every composite object has: patient, study, series, equipment, SOP common."""

from __future__ import annotations

import hashlib

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian


def uid(*parts: object) -> UID:
    """Return the same UID for the same parts."""
    digest = hashlib.sha256("|".join(map(str, parts)).encode()).digest()
    return UID(f"1.2.826.0.1.3680043.8.498.{int.from_bytes(digest[:12], 'big')}")


def code(value: str, meaning: str, scheme: str = "DCM") -> Dataset:
    """Return the item of a code sequence."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def reference(sop_class: str, instance: str) -> Dataset:
    """Return the item of a sequence that refers to an instance."""
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = UID(sop_class), UID(instance)
    return item


def references(*items: Dataset) -> Sequence:
    """Return a sequence of the items."""
    return Sequence(list(items))


def base(
    sop_class: str, modality: str, number: int, patient: str, study: int = 1, series: int = 1
) -> FileDataset:
    """Return a data set with the modules common to all composite objects, and its file meta."""
    meta = FileMetaDataset()
    instance = uid(patient, study, series, modality, number)
    meta.MediaStorageSOPClassUID = UID(sop_class)
    meta.MediaStorageSOPInstanceUID = instance
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID("1.2.826.0.1.3680043.8.498.1")
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID, dataset.SOPInstanceUID = UID(sop_class), instance
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = (
        uid(patient, study),
        uid(patient, study, series, modality),
    )
    dataset.PatientName, dataset.PatientID = "Testperson^Anna", patient
    dataset.PatientBirthDate, dataset.PatientSex, dataset.PatientAge = "19700203", "F", "050Y"
    dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = dataset.AcquisitionDate = (
        f"2020{study:02d}15"
    )
    dataset.StudyTime, dataset.SeriesTime, dataset.ContentTime, dataset.AcquisitionTime = (
        "101500", "101600", f"1017{number % 60:02d}", "101700.5",
    )  # fmt: skip
    dataset.AccessionNumber, dataset.StudyID = f"ACC{study:05d}", str(study)
    dataset.ReferringPhysicianName = "Zuweiser^Karl"
    dataset.Modality, dataset.SeriesNumber, dataset.InstanceNumber = modality, series, number
    dataset.Manufacturer, dataset.ManufacturerModelName = "Acme", "Scanner 3000"
    dataset.DeviceSerialNumber, dataset.SoftwareVersions = "SN98765", "1.0"
    dataset.StudyDescription, dataset.SeriesDescription = "Chest", "Axial"
    return dataset
