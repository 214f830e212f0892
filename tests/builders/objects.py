"""What each kind of object without an image adds to the common modules; each fills the data set in place."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from builders.canary import Canaries
from builders.common import code, reference, references, uid

_CT = "1.2.840.10008.5.1.4.1.1.2"


def _content(
    value_type: str, concept: Dataset | None, relationship: str = "CONTAINS", **values: object
) -> Dataset:
    """Return a content item: value type, concept name and the attributes that hold its value."""
    item = Dataset()
    item.RelationshipType, item.ValueType = relationship, value_type
    if concept is not None:
        item.ConceptNameCodeSequence = references(concept)
    for name, value in values.items():
        setattr(item, name, value)
    return item


def _evidence(dataset: Dataset) -> Sequence:
    study, series = Dataset(), Dataset()
    study.StudyInstanceUID, series.SeriesInstanceUID = (
        dataset.StudyInstanceUID,
        uid(dataset.PatientID, 1, 1, "CT"),
    )
    series.ReferencedSOPSequence = references(reference(_CT, uid(dataset.PatientID, 1, 1, "CT", 1)))
    study.ReferencedSeriesSequence = references(series)
    return references(study)


def sr(dataset: Dataset) -> None:
    """Comprehensive SR with items of every value type."""
    dataset.CompletionFlag, dataset.VerificationFlag = "COMPLETE", "VERIFIED"
    observer = Dataset()
    observer.VerifyingObserverName, observer.VerifyingOrganization = "Testleser^Eva", "Testklinik"
    observer.VerificationDateTime = "20200116080000"
    observer.VerifyingObserverIdentificationCodeSequence = references(code("123", "Eva Testleser", "99LOCAL"))
    dataset.VerifyingObserverSequence = references(observer)
    dataset.CurrentRequestedProcedureEvidenceSequence = _evidence(dataset)
    dataset.ValueType, dataset.ContinuityOfContent = "CONTAINER", "SEPARATE"
    dataset.ConceptNameCodeSequence = references(code("18748-4", "Diagnostic Imaging Report", "LN"))
    measured = Dataset()
    measured.NumericValue, measured.MeasurementUnitsCodeSequence = 12, references(code("mm", "mm", "UCUM"))
    section = _content("CONTAINER", code("121070", "Findings"), ContinuityOfContent="SEPARATE")
    section.ContentSequence = references(
        _content("TEXT", code("121071", "Finding"), TextValue="Normal size of the heart."),
        _content("NUM", code("410668003", "Length", "SCT"), MeasuredValueSequence=references(measured)),
    )
    dataset.ContentSequence = references(
        _content(
            "PNAME", code("121008", "Person Observer Name"), "HAS OBS CONTEXT", PersonName="Testleser^Eva"
        ),
        _content("PNAME", code("121029", "Subject Name"), "HAS OBS CONTEXT", PersonName="Testperson^Anna"),
        _content("TEXT", code("121030", "Subject ID"), "HAS OBS CONTEXT", TextValue=str(dataset.PatientID)),
        _content("DATE", code("121031", "Subject Birth Date"), "HAS OBS CONTEXT", Date="19700203"),
        _content("UIDREF", code("121012", "Device Observer UID"), "HAS OBS CONTEXT", UID=uid("device")),
        _content("DATETIME", code("111060", "Study DateTime"), "HAS OBS CONTEXT", DateTime="20200115101500"),
        _content("TIME", code("111061", "Study Time"), "HAS OBS CONTEXT", Time="101500"),
        _content(
            "CODE",
            code("121049", "Language"),
            ConceptCodeSequence=references(code("eng", "English", "RFC5646")),
        ),
        _content(
            "IMAGE",
            None,
            ReferencedSOPSequence=references(reference(_CT, uid(dataset.PatientID, 1, 1, "CT", 1))),
        ),
        section,
    )


def ko(dataset: Dataset) -> None:
    """Key Object Selection Document."""
    dataset.CurrentRequestedProcedureEvidenceSequence = _evidence(dataset)
    dataset.ValueType, dataset.ContinuityOfContent = "CONTAINER", "SEPARATE"
    dataset.ConceptNameCodeSequence = references(code("113000", "Of Interest"))
    image = references(reference(_CT, uid(dataset.PatientID, 1, 1, "CT", 1)))
    dataset.ContentSequence = references(
        _content("TEXT", code("113012", "Key Object Description"), TextValue="See the nodule."),
        _content("IMAGE", None, ReferencedSOPSequence=image),
    )


def pr(dataset: Dataset) -> None:
    """Grayscale Softcopy Presentation State with a text object."""
    dataset.ContentLabel, dataset.ContentDescription, dataset.ContentCreatorName = (
        "MARKS",
        "arrows",
        "Testleser^Eva",
    )
    dataset.PresentationCreationDate, dataset.PresentationCreationTime = "20200116", "080000"
    series = Dataset()
    series.SeriesInstanceUID = uid(dataset.PatientID, 1, 1, "CT")
    series.ReferencedImageSequence = references(reference(_CT, uid(dataset.PatientID, 1, 1, "CT", 1)))
    dataset.ReferencedSeriesSequence = references(series)
    layer, annotation, text = Dataset(), Dataset(), Dataset()
    layer.GraphicLayer, layer.GraphicLayerOrder, layer.GraphicLayerDescription = "NOTES", 1, "notes"
    text.UnformattedTextValue, text.AnchorPointAnnotationUnits = "nodule 5 mm", "PIXEL"
    text.AnchorPoint, text.AnchorPointVisibility = [3, 4], "Y"
    annotation.GraphicLayer, annotation.TextObjectSequence = "NOTES", references(text)
    dataset.GraphicLayerSequence, dataset.GraphicAnnotationSequence = (
        references(layer),
        references(annotation),
    )
    dataset.PresentationLUTShape = "IDENTITY"


def ecg(dataset: Dataset) -> None:
    """12-lead ECG Waveform Storage, two channels, with an annotation."""
    dataset.AcquisitionDateTime = "20200115101700"
    group = Dataset()
    group.WaveformOriginality, group.NumberOfWaveformChannels, group.NumberOfWaveformSamples = (
        "ORIGINAL",
        2,
        50,
    )
    group.SamplingFrequency, group.WaveformBitsAllocated, group.WaveformSampleInterpretation = 500, 16, "SS"
    channels = []
    for label in ("I", "II"):
        channel = Dataset()
        channel.ChannelLabel, channel.ChannelSampleSkew, channel.WaveformBitsStored = label, 0, 16
        channel.ChannelSourceSequence = references(code("5.6.3-9-1", f"Lead {label}", "SCPECG"))
        channels.append(channel)
    group.ChannelDefinitionSequence = Sequence(channels)
    group.WaveformData = np.arange(100, dtype="<i2").tobytes()
    group["WaveformData"].VR = "OW"
    dataset.WaveformSequence = references(group)
    note = Dataset()
    note.UnformattedTextValue, note.ReferencedWaveformChannels = "Sinus rhythm", [1, 0]
    dataset.WaveformAnnotationSequence = references(note)


def pdf(dataset: Dataset) -> None:
    """Encapsulated PDF."""
    dataset.ConversionType, dataset.BurnedInAnnotation, dataset.DocumentTitle = "WSD", "YES", "Report"
    dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
    text = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\n%Testperson Anna\ntrailer<</Root 1 0 R>>\n%%EOF\n"
    dataset.EncapsulatedDocument = text + b"\0" * (len(text) % 2)
    dataset.EncapsulatedDocumentLength = len(text)


def raw(dataset: Dataset) -> None:
    """Raw Data: private bytes."""
    dataset.AcquisitionNumber = 1
    dataset.private_block(0x7FE1, "ACME RAW", create=True).add_new(0x10, "OB", bytes(range(256)))


def rtstruct(dataset: Dataset) -> None:
    """RT Structure Set of one contour."""
    dataset.StructureSetLabel, dataset.StructureSetDate, dataset.StructureSetTime = (
        "RTSTR",
        "20200116",
        "080000",
    )
    roi, contours, contour, observation = Dataset(), Dataset(), Dataset(), Dataset()
    roi.ROINumber, roi.ROIName, roi.ROIGenerationAlgorithm = 1, "Liver", "MANUAL"
    roi.ReferencedFrameOfReferenceUID = uid("frame", dataset.StudyInstanceUID)
    contour.ContourGeometricType, contour.NumberOfContourPoints = "CLOSED_PLANAR", 3
    contour.ContourData = [0, 0, 0, 1, 0, 0, 0, 1, 0]
    contour.ContourImageSequence = references(reference(_CT, uid(dataset.PatientID, 1, 1, "CT", 1)))
    contours.ReferencedROINumber, contours.ContourSequence = 1, references(contour)
    observation.ObservationNumber, observation.ReferencedROINumber, observation.RTROIInterpretedType = (
        1,
        1,
        "ORGAN",
    )
    observation.ROIInterpreter = "Testleser^Eva"
    dataset.StructureSetROISequence = references(roi)
    dataset.ROIContourSequence = references(contours)
    dataset.RTROIObservationsSequence = references(observation)


def rtplan(dataset: Dataset) -> None:
    """RT Plan of one beam."""
    dataset.RTPlanLabel, dataset.RTPlanDate, dataset.RTPlanTime = "PLAN1", "20200116", "080000"
    dataset.RTPlanGeometry = "PATIENT"
    beam = Dataset()
    beam.BeamNumber, beam.BeamName, beam.BeamType, beam.RadiationType = 1, "AP", "STATIC", "PHOTON"
    beam.TreatmentMachineName, beam.SourceAxisDistance = "LINAC1", 1000
    dataset.BeamSequence = references(beam)
    structures = reference("1.2.840.10008.5.1.4.1.1.481.3", uid(dataset.PatientID, 1, 1, "RTSTRUCT", 1))
    dataset.ReferencedStructureSetSequence = references(structures)


def plant_content(dataset: Dataset, canaries: Canaries) -> None:
    """Plant canaries in what only structured documents, presentation states and waveforms have."""
    known = []

    def name(place: str) -> str:
        word = canaries.word(place)
        known.append(f"{word}^Test")
        return word

    for item in _walk(dataset.get("ContentSequence", [])):
        if item.ValueType == "TEXT":
            item.TextValue = f"{item.TextValue} {name('content TEXT')}"
        elif item.ValueType == "PNAME":
            item.PersonName = f"{canaries.word('content PNAME')}^Test"
    for annotation in dataset.get("GraphicAnnotationSequence", []):
        annotation.TextObjectSequence[0].UnformattedTextValue += f" {name('presentation text')}"
    for note in dataset.get("WaveformAnnotationSequence", []):
        note.UnformattedTextValue += f" {name('waveform annotation')}"
    if "EncapsulatedDocument" in dataset:
        word = canaries.word("encapsulated document").encode()
        dataset.EncapsulatedDocument = dataset.EncapsulatedDocument.replace(b"Testperson", word)
    if known:
        dataset.OtherPatientNames = [*dataset.OtherPatientNames, *known]


def _walk(items: Sequence) -> list[Dataset]:
    found: list[Dataset] = []
    for item in items:
        found += [item, *_walk(item.get("ContentSequence", []))]
    return found
