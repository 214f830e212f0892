"""One small valid data set of each kind of DICOM object."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pydicom._dicom_dict import DicomDictionary
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian

from builders import images, objects
from builders.canary import Canaries, plant, trailing_padding
from builders.common import base

_BUILDERS: dict[str, tuple[str, str, Callable[[Dataset], None]]] = {
    "ct": ("1.2.840.10008.5.1.4.1.1.2", "CT", images.ct),
    "mr": ("1.2.840.10008.5.1.4.1.1.4", "MR", images.mr),
    "mr_enhanced": ("1.2.840.10008.5.1.4.1.1.4.1", "MR", images.mr_enhanced),
    "cr": ("1.2.840.10008.5.1.4.1.1.1", "CR", images.cr),
    "us": ("1.2.840.10008.5.1.4.1.1.6.1", "US", images.us),
    "sc": ("1.2.840.10008.5.1.4.1.1.7", "OT", images.sc),
    "pt": ("1.2.840.10008.5.1.4.1.1.128", "PT", images.pt),
    "nm": ("1.2.840.10008.5.1.4.1.1.20", "NM", images.nm),
    "xc": ("1.2.840.10008.5.1.4.1.1.77.1.4", "XC", images.xc),
    "wsi": ("1.2.840.10008.5.1.4.1.1.77.1.6", "SM", images.wsi),
    "seg": ("1.2.840.10008.5.1.4.1.1.66.4", "SEG", images.seg),
    "rtdose": ("1.2.840.10008.5.1.4.1.1.481.2", "RTDOSE", images.rtdose),
    "rtstruct": ("1.2.840.10008.5.1.4.1.1.481.3", "RTSTRUCT", objects.rtstruct),
    "rtplan": ("1.2.840.10008.5.1.4.1.1.481.5", "RTPLAN", objects.rtplan),
    "sr": ("1.2.840.10008.5.1.4.1.1.88.33", "SR", objects.sr),
    "ko": ("1.2.840.10008.5.1.4.1.1.88.59", "KO", objects.ko),
    "pr": ("1.2.840.10008.5.1.4.1.1.11.1", "PR", objects.pr),
    "ecg": ("1.2.840.10008.5.1.4.1.1.9.1.1", "ECG", objects.ecg),
    "pdf": ("1.2.840.10008.5.1.4.1.1.104.1", "DOC", objects.pdf),
    "raw": ("1.2.840.10008.5.1.4.1.1.66", "OT", objects.raw),
}
KINDS: tuple[str, ...] = tuple(_BUILDERS)


@dataclass(frozen=True)
class Built:
    """A data set and the words in it that must not survive.

    Attributes:
        dataset: With file meta; write it with `files.write` or `files.to_bytes`.
        where: For each canary, the place that holds it.
        preamble: 128 bytes for the file's preamble.
    """

    dataset: FileDataset
    where: dict[str, str] = field(default_factory=dict)
    preamble: bytes = b"\0" * 128

    @property
    def canaries(self) -> frozenset[str]:
        """The words that must not survive."""
        return frozenset(self.where)


def build(kind: str, canaries: bool = False, number: int = 1, patient: str = "12", seed: int = 0) -> Built:
    """Build one small data set.

    Args:
        kind: One of `KINDS`.
        canaries: Whether to plant canaries in every text-capable place, preamble and trailing padding too.
        number: Instance number; another number is another instance of the same series.
        patient: Patient ID, which also decides the study and series.
        seed: Another seed gives other canaries.

    Returns:
        The data set, in Explicit VR Little Endian, and its canaries.
    """
    sop_class, modality, fill = _BUILDERS[kind]
    dataset = base(sop_class, modality, number, patient)
    fill(dataset)
    if not canaries:
        return Built(dataset)
    planted = Canaries(seed=seed)
    plant(dataset, planted)
    objects.plant_content(dataset, planted)
    trailing_padding(dataset, planted)
    preamble = planted.word("preamble").encode().ljust(128, b"\0")
    return Built(dataset, planted.where, preamble)


def dicomdir(members: list[tuple[str, Dataset]]) -> FileDataset:
    """Build a DICOMDIR over (file id with backslashes, data set) members, one record a member.

    Offsets between the records are left 0: pydicom and dcmtk read it, but no viewer could follow it.
    """
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID("1.2.840.10008.1.3.10")
    meta.MediaStorageSOPInstanceUID = UID("1.2.826.0.1.3680043.8.498.9999")
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.FileSetID = "TEST"
    dataset.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity = 0
    dataset.OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity = 0
    dataset.FileSetConsistencyFlag = 0
    records = []
    for file_id, member in members:
        record = Dataset()
        record.OffsetOfTheNextDirectoryRecord = 0
        record.RecordInUseFlag = 0xFFFF
        record.OffsetOfReferencedLowerLevelDirectoryEntity = 0
        record.DirectoryRecordType = "IMAGE"
        record.ReferencedFileID = file_id.split("\\")
        record.ReferencedSOPClassUIDInFile = member.SOPClassUID
        record.ReferencedSOPInstanceUIDInFile = member.SOPInstanceUID
        record.ReferencedTransferSyntaxUIDInFile = ExplicitVRLittleEndian
        record.PatientName, record.PatientID = member.PatientName, member.PatientID
        records.append(record)
    dataset.DirectoryRecordSequence = Sequence(records)
    return dataset


_SAMPLE: dict[str, object] = {
    **{"AS": "045Y", "DA": "20200131", "DT": "20200131123000", "TM": "123000", "DS": "1.5", "IS": "7"},
    **{"UI": "1.2.3.4.5", "AT": 0x00100010, "US": 1, "SS": -1, "UL": 2, "SL": -2, "SV": -3, "UV": 3},
    **{"FL": 0.5, "FD": 0.25},
}


def every_attribute(canary: str = "Xqmaratuve") -> FileDataset:
    """Build a data set that holds every current attribute of the dictionary, each text value the canary.

    The canary is also the family name, so that every place can be cleaned of it. Group 0002, pixels,
    sequences and repeating groups are left out.
    """
    dataset = base("1.2.840.10008.5.1.4.1.1.2", "CT", 1, "12")
    images.ct(dataset)
    for tag, (vr, _, _, retired, keyword) in DicomDictionary.items():
        group = tag >> 16
        vr = vr.split()[0]  # "US or SS", "OB or OW": the first
        if retired or not keyword or group in (0, 2, 4, 0xFFFC, 0xFFFA, 0xFFFE, 0x7FE0) or tag in dataset:
            continue
        if vr in ("SQ", "NONE") or group == 0x0028:
            continue
        if vr in _SAMPLE:
            dataset.add_new(tag, vr, _SAMPLE[vr])
        elif vr in ("OB", "OW", "OF", "OD", "OL", "OV", "UN"):
            dataset.add_new(tag, vr, canary.encode().ljust(16, b"\0"))
        else:
            dataset.add_new(tag, vr, canary.upper() if vr == "CS" else canary)
    dataset.PatientName = f"{canary}^Test"
    return dataset
