"""What each kind of image adds to the common modules. Every function fills the data set in place."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from builders.common import code, reference, references, uid

ROWS, COLUMNS = 16, 12


def _pixels(dataset: Dataset, bits: int = 16, frames: int = 1, samples: int = 1) -> None:
    """Add an image pixel module; the pixel values depend on the instance."""
    random = np.random.default_rng(int(str(dataset.SOPInstanceUID).rsplit(".", 1)[1]) % 2**32)
    dataset.Rows, dataset.Columns = ROWS, COLUMNS
    dataset.SamplesPerPixel = samples
    dataset.PhotometricInterpretation = "RGB" if samples == 3 else "MONOCHROME2"
    if samples == 3:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, min(bits, 12), min(bits, 12) - 1
    dataset.PixelRepresentation = 0
    values = random.integers(0, 1 << min(bits, 12), frames * ROWS * COLUMNS * samples)
    dataset.PixelData = values.astype("<u2" if bits == 16 else "u1").tobytes()
    dataset["PixelData"].VR = "OW" if bits == 16 else "OB"
    if frames > 1:
        dataset.NumberOfFrames = frames


def _plane(dataset: Dataset) -> None:
    dataset.FrameOfReferenceUID = uid("frame", dataset.StudyInstanceUID)
    dataset.PositionReferenceIndicator = ""
    dataset.ImagePositionPatient = [0, 0, 5 * int(dataset.InstanceNumber)]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing, dataset.SliceThickness = [0.5, 0.5], 5
    dataset.SliceLocation = 5 * int(dataset.InstanceNumber)
    dataset.BodyPartExamined, dataset.PatientPosition = "CHEST", "HFS"


def ct(dataset: Dataset) -> None:
    """CT Image."""
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    _plane(dataset)
    dataset.KVP, dataset.XRayTubeCurrent, dataset.ExposureTime = 120, 200, 500
    dataset.ConvolutionKernel, dataset.RescaleIntercept, dataset.RescaleSlope = "B30f", -1024, 1
    dataset.WindowCenter, dataset.WindowWidth = 40, 400
    _pixels(dataset)


def mr(dataset: Dataset) -> None:
    """MR Image."""
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND"]
    _plane(dataset)
    dataset.ScanningSequence, dataset.SequenceVariant, dataset.ScanOptions = "SE", "SK", ""
    dataset.MRAcquisitionType, dataset.SequenceName = "2D", "*se2d1"
    dataset.RepetitionTime, dataset.EchoTime, dataset.EchoTrainLength = 500, 15, 1
    dataset.MagneticFieldStrength, dataset.ProtocolName = 1.5, "t1_se_tra"
    _pixels(dataset)


def mr_enhanced(dataset: Dataset) -> None:
    """Enhanced MR Image of three frames with shared and per-frame functional groups."""
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "T1", "NONE"]
    dataset.FrameOfReferenceUID = uid("frame", dataset.StudyInstanceUID)
    dataset.AcquisitionDateTime = "20200115101700.123456"
    shared = Dataset()
    measures = Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.5, 0.5], 5
    shared.PixelMeasuresSequence = references(measures)
    dataset.SharedFunctionalGroupsSequence = references(shared)
    frames = []
    for index in range(3):
        content, position, frame = Dataset(), Dataset(), Dataset()
        content.FrameAcquisitionDateTime = f"2020011510170{index}.500000"
        content.FrameReferenceDateTime = f"2020011510170{index}.250000"
        content.DimensionIndexValues, content.FrameComments = index + 1, f"frame {index + 1}"
        position.ImagePositionPatient = [0, 0, 5 * index]
        frame.FrameContentSequence, frame.PlanePositionSequence = references(content), references(position)
        frames.append(frame)
    dataset.PerFrameFunctionalGroupsSequence = Sequence(frames)
    organization = Dataset()
    organization.DimensionOrganizationUID = uid("dimension", dataset.SOPInstanceUID)
    dataset.DimensionOrganizationSequence = references(organization)
    _pixels(dataset, frames=3)


def cr(dataset: Dataset) -> None:
    """Computed Radiography Image."""
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.BodyPartExamined, dataset.ViewPosition = "CHEST", "PA"
    dataset.KVP, dataset.PlateID, dataset.CassetteID = 90, "PL0123", "CS0456"
    dataset.ImagerPixelSpacing = [0.15, 0.15]
    _pixels(dataset)


def us(dataset: Dataset) -> None:
    """Ultrasound Image that says that text is burned in."""
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "", "0001"]
    dataset.BurnedInAnnotation = "YES"
    region = Dataset()
    region.RegionSpatialFormat, region.RegionDataType, region.RegionFlags = 1, 1, 0
    region.RegionLocationMinX0, region.RegionLocationMinY0 = 0, 4
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = 11, 15
    dataset.SequenceOfUltrasoundRegions = references(region)
    _pixels(dataset, bits=8, samples=3)


def sc(dataset: Dataset) -> None:
    """Secondary Capture Image."""
    dataset.ImageType = ["DERIVED", "SECONDARY", "SCREEN SAVE"]
    dataset.ConversionType, dataset.DateOfSecondaryCapture = "WSD", "20200115"
    _pixels(dataset, bits=8, samples=3)


def pt(dataset: Dataset) -> None:
    """Positron Emission Tomography Image."""
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    _plane(dataset)
    dose = Dataset()
    dose.RadiopharmaceuticalStartTime, dose.RadionuclideTotalDose = "091500", 350_000_000
    dose.RadiopharmaceuticalStartDateTime, dose.RadionuclideHalfLife = "20200115091500", 6586.2
    dose.RadionuclideCodeSequence = references(code("C-111A1", "^18^Fluorine", "SRT"))
    dataset.RadiopharmaceuticalInformationSequence = references(dose)
    dataset.Units, dataset.DecayCorrection, dataset.RescaleSlope, dataset.RescaleIntercept = (
        "BQML",
        "START",
        1.5,
        0,
    )
    dataset.SeriesType, dataset.ActualFrameDuration = ["STATIC", "IMAGE"], 1000
    _pixels(dataset)


def nm(dataset: Dataset) -> None:
    """Nuclear Medicine Image of two frames."""
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "STATIC", "EMISSION"]
    dataset.FrameIncrementPointer = 0x00540010
    dataset.EnergyWindowVector, dataset.NumberOfEnergyWindows = [1, 2], 2
    _pixels(dataset, frames=2)


def xc(dataset: Dataset) -> None:
    """VL Photographic Image."""
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.LossyImageCompression, dataset.AcquisitionDateTime = "00", "20200115101700"
    _pixels(dataset, bits=8, samples=3)


def wsi(dataset: Dataset) -> None:
    """VL Whole Slide Microscopy Image: a slide label of two tiles."""
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "LABEL", "NONE"]
    dataset.ContainerIdentifier, dataset.SpecimenLabelInImage, dataset.BurnedInAnnotation = (
        "S20-1234",
        "YES",
        "YES",
    )
    specimen = Dataset()
    specimen.SpecimenIdentifier, specimen.SpecimenUID = "S20-1234-A", uid("specimen", dataset.SOPInstanceUID)
    dataset.SpecimenDescriptionSequence = references(specimen)
    dataset.TotalPixelMatrixColumns, dataset.TotalPixelMatrixRows = 2 * COLUMNS, ROWS
    dataset.LabelText, dataset.BarcodeValue = "S20-1234 Testperson", "S201234"
    _pixels(dataset, bits=8, frames=2, samples=3)


def seg(dataset: Dataset) -> None:
    """Segmentation (fractional, so that pixels are bytes)."""
    dataset.ImageType = ["DERIVED", "PRIMARY"]
    dataset.SegmentationType, dataset.SegmentationFractionalType = "FRACTIONAL", "PROBABILITY"
    dataset.MaximumFractionalValue, dataset.ContentLabel, dataset.ContentDescription = 255, "SEG", "liver"
    dataset.ContentCreatorName = "Testleser^Eva"
    segment = Dataset()
    segment.SegmentNumber, segment.SegmentLabel, segment.SegmentAlgorithmType = 1, "Liver", "MANUAL"
    segment.SegmentedPropertyCategoryCodeSequence = references(code("T-D0050", "Tissue", "SRT"))
    segment.SegmentedPropertyTypeCodeSequence = references(code("T-62000", "Liver", "SRT"))
    segment.TrackingUID, segment.TrackingID = uid("tracking", dataset.SOPInstanceUID), "Lesion 1"
    dataset.SegmentSequence = references(segment)
    dataset.ReferencedSeriesSequence = references(_series_reference(dataset))
    _pixels(dataset, bits=8)


def _series_reference(dataset: Dataset) -> Dataset:
    item = Dataset()
    item.SeriesInstanceUID = uid(dataset.PatientID, 1, 1, "CT")
    item.ReferencedInstanceSequence = references(
        reference("1.2.840.10008.5.1.4.1.1.2", uid(dataset.PatientID, 1, 1, "CT", 1))
    )
    return item


def rtdose(dataset: Dataset) -> None:
    """RT Dose."""
    _plane(dataset)
    dataset.DoseUnits, dataset.DoseType, dataset.DoseSummationType = "GY", "PHYSICAL", "PLAN"
    dataset.DoseGridScaling, dataset.GridFrameOffsetVector = 0.001, [0, 5]
    dataset.FrameIncrementPointer = 0x3004000C
    plan = reference("1.2.840.10008.5.1.4.1.1.481.5", uid(dataset.PatientID, 1, 1, "RTPLAN", 1))
    dataset.ReferencedRTPlanSequence = references(plan)
    _pixels(dataset, frames=2)
