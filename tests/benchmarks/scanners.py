"""CT, MR and CR images with headers as large as real scanners write, for timing."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pydicom.datadict import private_dictionary_VR
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

_COMMON: dict[str, object] = {
    "SpecificCharacterSet": "ISO_IR 100", "InstanceCreationDate": "20200115",
    "InstanceCreationTime": "101722.123000",
    "StudyDate": "20200115", "SeriesDate": "20200115", "AcquisitionDate": "20200115",
    "ContentDate": "20200115",
    "AcquisitionDateTime": "20200115101711.500000", "StudyTime": "101500.25", "SeriesTime": "101602.718000",
    "AcquisitionTime": "101711.500000", "ContentTime": "101711.750000", "AccessionNumber": "A20200115042",
    "InstitutionName": "Winterhaven General Hospital",
    "InstitutionAddress": "12 Larkspur Lane, Winterhaven, 44120",
    "ReferringPhysicianName": "Quackenbush^Rosalind^^Dr.", "StationName": "CTAWP73187",
    "Manufacturer": "Acme",
    "StudyDescription": "Thorax^Routine (Adult)", "SeriesDescription": "Thorax 1.0 B70f", "Modality": "CT",
    "InstitutionalDepartmentName": "Radiology", "PhysiciansOfRecord": "Underhill^Ambrose",
    "PerformingPhysicianName": "Tsoukalas^Demetrios", "OperatorsName": "Lindqvist^Dagmar",
    "NameOfPhysiciansReadingStudy": "Novotny^Ludmila",
    "AdmittingDiagnosesDescription": "cough, r/o pneumonia",
    "ManufacturerModelName": "Scanner 64", "PatientName": "Abernathy^Thaddeus^J", "PatientID": "MRN-00918273",
    "IssuerOfPatientID": "WGH", "PatientBirthDate": "19571104", "PatientSex": "M",
    "OtherPatientIDs": "5550123",
    "PatientAge": "062Y", "PatientSize": "1.78", "PatientWeight": "81.4",
    "PatientAddress": "7 Foxglove Court",
    "PatientTelephoneNumbers": "216-555-0137", "EthnicGroup": "", "Occupation": "teacher",
    "PregnancyStatus": 4,
    "AdditionalPatientHistory": "smoker, 30 pack years", "PatientComments": "bed side",
    "BodyPartExamined": "CHEST",
    "PatientPosition": "HFS", "SoftwareVersions": "syngo 2012B", "ProtocolName": "ThoraxRoutine",
    "DeviceSerialNumber": "73187", "DateOfLastCalibration": "20200115", "TimeOfLastCalibration": "063211.000",
    "StudyID": "1", "SeriesNumber": 4, "AcquisitionNumber": 3, "ImageComments": "",
    "PatientIdentityRemoved": "NO",
    "PositionReferenceIndicator": "", "BurnedInAnnotation": "NO", "LossyImageCompression": "00",
    "RequestingPhysician": "Rutherford^Philippa", "RequestedProcedureDescription": "CT Thorax",
    "PerformedProcedureStepStartDate": "20200115", "PerformedProcedureStepStartTime": "101500.25",
    "PerformedProcedureStepID": "PPS42", "PerformedProcedureStepDescription": "Thorax",
    "PatientOrientation": ["L", "P"],
    "RequestedProcedureID": "RP42", "RequestingService": "PULM", "CurrentPatientLocation": "W4",
    "AdmissionID": "AD99",
    "PatientState": "stable", "MedicalAlerts": "none", "Allergies": "penicillin", "ConfidentialityCode": "",
    "ScheduledProcedureStepID": "SPS42", "CommentsOnThePerformedProcedureStep": "",
    "StudyStatusID": "COMPLETED",
    "PatientReligiousPreference": "", "MilitaryRank": "", "SpecialNeeds": "", "VisitComments": "",
    "StudyPriorityID": "LOW",
    "ReasonForStudy": "cough", "RequestedContrastAgent": "",
    "PlacerOrderNumberImagingServiceRequest": "PON77",
    "FillerOrderNumberImagingServiceRequest": "FON78", "SamplesPerPixel": 1,
    "PhotometricInterpretation": "MONOCHROME2",
    "BitsAllocated": 16, "BitsStored": 12, "HighBit": 11, "PixelRepresentation": 0,
    "WindowCenter": ["40", "-600"],
    "WindowWidth": ["400", "1200"], "WindowCenterWidthExplanation": ["MEDIASTINUM", "LUNG"],
    "RescaleType": "HU",
    "RescaleIntercept": "-1024", "RescaleSlope": "1", "SmallestImagePixelValue": 0,
    "LargestImagePixelValue": 4095,
}  # fmt: skip
_PLANE: dict[str, object] = {
    "SliceThickness": "1", "PixelSpacing": ["0.703125", "0.703125"],
    "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
    "SpacingBetweenSlices": "1", "TableHeight": "151.5",
}  # fmt: skip
_CT: dict[str, object] = {
    **_PLANE, "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL", "CT_SOM5 SPI"], "KVP": "120",
    "DataCollectionDiameter": "500",
    "ReconstructionDiameter": "360", "DistanceSourceToDetector": "1040", "DistanceSourceToPatient": "570",
    "GantryDetectorTilt": "0", "RotationDirection": "CW", "ExposureTime": 500, "XRayTubeCurrent": 331,
    "Exposure": 165,
    "FilterType": "WEDGE_2", "GeneratorPower": 40, "FocalSpots": "1.2", "ConvolutionKernel": "B70f",
    "SpiralPitchFactor": 1.0,
    "SingleCollimationWidth": 0.6, "TotalCollimationWidth": 38.4, "TableSpeed": 46.0,
    "TableFeedPerRotation": 23.0,
    "CTDIvol": 11.2, "ScanOptions": "SPIRAL", "ExposureModulationType": "XYZ_EC", "EstimatedDoseSaving": 21.0,
    "DataCollectionCenterPatient": [0.0, -151.5, -300.0],
    "ReconstructionTargetCenterPatient": [0.0, -151.5, -300.0],
}  # fmt: skip
_MR: dict[str, object] = {
    **_PLANE, "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND", "NORM"], "ScanningSequence": "GR",
    "SequenceVariant": "SP",
    "ScanOptions": "IR", "MRAcquisitionType": "3D", "SequenceName": "*tfl3d1_16ns", "AngioFlag": "N",
    "RepetitionTime": "2300", "EchoTime": "2.98", "InversionTime": "900", "NumberOfAverages": "1",
    "ImagingFrequency": "123.249", "ImagedNucleus": "1H", "EchoNumbers": "1", "MagneticFieldStrength": "3",
    "NumberOfPhaseEncodingSteps": "239", "EchoTrainLength": "1", "PercentSampling": "100",
    "PixelBandwidth": "240",
    "PercentPhaseFieldOfView": "93.75", "TransmitCoilName": "Body", "AcquisitionMatrix": [0, 256, 240, 0],
    "InPlanePhaseEncodingDirection": "ROW", "FlipAngle": "9", "VariableFlipAngleFlag": "N", "SAR": "0.058",
    "dBdt": "0",
}  # fmt: skip
_CR: dict[str, object] = {
    "ImageType": ["DERIVED", "PRIMARY", "POST_PROCESSED"], "ViewPosition": "PA", "KVP": "125",
    "PlateType": "code 55",
    "CassetteID": "C0042", "PlateID": "P0077", "ImagerPixelSpacing": ["0.14", "0.14"], "Sensitivity": "400",
    "AcquisitionDeviceProcessingDescription": "CHEST PA", "AcquisitionDeviceProcessingCode": "10",
    "Exposure": 2,
    "FilterType": "NONE", "DistanceSourceToDetector": "1800", "Laterality": "U", "Grid": "IN",
}  # fmt: skip
# creator, group, number of elements
_PRIVATE = {
    "CT": (
        ("SIEMENS CT VA0 COAD", 0x0019, 22),
        ("SIEMENS MED", 0x0021, 6),
        ("SIEMENS CSA HEADER", 0x0029, 6),
    ),
    "MR": (
        ("SIEMENS MR HEADER", 0x0019, 18),
        ("SIEMENS MR HEADER", 0x0051, 14),
        ("SIEMENS CSA HEADER", 0x0029, 8),
    ),
    "CR": (("AGFA", 0x0019, 12), ("AGFA_ADC_Compact", 0x0019, 6)),
}
_CLASSES = {
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "CR": "1.2.840.10008.5.1.4.1.1.1",
}


_VALUES: dict[str, object] = {
    "LO": "a value", "SH": "value", "CS": "VALUE", "ST": "a text", "LT": "a text", "UT": "a text", "PN": "",
    "DS": "1.25", "IS": "42", "FD": 1.5, "FL": 1.5, "US": 1, "SS": 1, "UL": 1, "SL": 1, "UI": "1.2.3",
    "AT": 0x00080018,
    "DA": "20200115", "TM": "101500", "DT": "20200115101500", "AS": "062Y", "SQ": [],
}  # fmt: skip


def _private_vr(tag: BaseTag, creator: str) -> str:
    """The VR that pydicom's dictionary gives: files in implicit VR are read by it."""
    try:
        return private_dictionary_VR(tag, creator)
    except KeyError:
        return ("LO", "DS", "IS", "OB")[tag % 4]


def _reference(sop_class: str, instance: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = UID(sop_class), UID(instance)
    return item


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SCT", meaning
    return item


def template(modality: str, rows: int, columns: int) -> FileDataset:
    """Return the header that all images of a series share."""
    meta = FileMetaDataset()
    # MR in implicit VR, as many archives hand it out
    meta.TransferSyntaxUID = ImplicitVRLittleEndian if modality == "MR" else ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = UID(_CLASSES[modality])
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    own = {"CT": _CT, "MR": _MR, "CR": _CR}[modality]
    for keyword, value in {**_COMMON, **own, "Modality": modality, "Rows": rows, "Columns": columns}.items():
        setattr(dataset, keyword, value)
    dataset.SOPClassUID = meta.MediaStorageSOPClassUID
    request = Dataset()
    request.RequestedProcedureID, request.ScheduledProcedureStepID = "RP42", "SPS42"
    request.ScheduledProcedureStepDescription = "CT Thorax"
    request.ScheduledProtocolCodeSequence = Sequence([_code("169069000", "CT of chest")])
    dataset.RequestAttributesSequence = Sequence([request])
    dataset.ProcedureCodeSequence = Sequence([_code("169069000", "CT of chest")])
    dataset.ReferencedStudySequence = Sequence([_reference("1.2.840.10008.3.1.2.3.1", "1.2.3.4.5.6")])
    images = [_reference(_CLASSES[modality], f"1.3.12.2.1107.5.1.4.{number}") for number in (1, 2, 3)]
    dataset.ReferencedImageSequence = Sequence(images)
    for creator, group, count in _PRIVATE[modality]:
        block = dataset.private_block(group, creator, create=True)
        for element in range(8, count + 8):
            vr = _private_vr(block.get_tag(element), creator)
            block.add_new(element, vr, _VALUES.get(vr, b"\1" * 24))
        if creator == "SIEMENS CSA HEADER":  # the protocol as one long blob
            block.add_new(0x20, "OB", bytes(range(256)) * 40)
    return dataset


def elements(dataset: Dataset) -> int:
    """Return how many elements the header has, those in sequences counted."""
    return sum(1 for _ in dataset.iterall())


def images(modality: str, count: int, rows: int, columns: int, patient: int) -> Iterator[FileDataset]:
    """Yield the images of one series of a patient; pixels are one random plane, rolled."""
    dataset = template(modality, rows, columns)
    dataset.PatientID, dataset.PatientName = f"MRN-{patient:08d}", f"Abernathy{patient}^Thaddeus"
    root = f"1.3.12.2.1107.5.1.4.73187.{patient}.{len(_PRIVATE[modality])}.{rows}"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = UID(root), UID(root + ".4")
    dataset.FrameOfReferenceUID = UID(root + ".5")
    plane = np.random.default_rng(patient).integers(0, 4096, rows * columns, dtype=np.uint16)
    for number in range(1, count + 1):
        image = copy.copy(dataset)
        image.file_meta = copy.deepcopy(dataset.file_meta)
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = UID(f"{root}.4.{number}")
        image.InstanceNumber = number
        if modality != "CR":
            image.ImagePositionPatient, image.SliceLocation = (
                ["-180", "-331.5", f"{-300 - number}"],
                f"{-300 - number}",
            )
        image.PixelData = np.roll(plane, number).astype("<u2").tobytes()
        image["PixelData"].VR = "OW"
        yield image


def write_set(folder: Path, modality: str, patients: int, count: int, rows: int, columns: int) -> FileDataset:
    """Write `patients` series of `count` images; return the last image."""
    image = FileDataset("", {})
    for patient in range(1, patients + 1):
        target = folder / f"{modality}{patient}"
        target.mkdir(parents=True, exist_ok=True)
        for number, image in enumerate(images(modality, count, rows, columns, patient)):
            image.save_as(target / f"IM{number:05d}.dcm", enforce_file_format=True)
    return image
