"""Plant made-up identities into real DICOM files, and write the answer key of what a de-identifier must do.

Reads the files inside the pydicom wheel and any folder given; writes OUT/in (the tree to de-identify) and
OUT/key.json. Another --seed gives other people, texts and private blocks, so that nothing can be fitted to
one set.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pydicom.data
from key import Action, AnswerKey, Planted
from people import Draw, Person
from planting import Planter, Study, hexadecimal
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID
from structures import content, graphics, nested, private

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from builders import build

_BUILT = (
    "pr",
    "ko",
    "sr",
    "seg",
    "ecg",
    "mr_enhanced",
    "rtstruct",
    "us",
    "sc",
    "pt",
    "cr",
    "raw",
    "nm",
    "rtplan",
)
_INSTANCE_UIDS = frozenset(
    {
        "ReferencedSOPInstanceUID", "FrameOfReferenceUID", "ReferencedFrameOfReferenceUID", "DeviceUID",
        "IrradiationEventUID", "DimensionOrganizationUID", "ConcatenationUID", "TrackingUID", "UID",
        "SynchronizationFrameOfReferenceUID", "StudyInstanceUID", "SeriesInstanceUID",
        "StorageMediaFileSetUID",
    }
)  # fmt: skip


def sources(folders: list[Path], max_files: int, max_bytes: int) -> Iterator[tuple[str, Dataset]]:
    """Yield (origin, data set) of the readable DICOM instances, the wheel's first; odd files are passed
    over."""
    paths = [Path(name) for name in sorted(pydicom.data.get_testdata_files())]
    for folder in folders:
        paths += sorted(path for path in folder.rglob("*") if path.is_file())
    count = 0
    for path in paths:
        if count >= max_files or not path.is_file() or path.stat().st_size > max_bytes:
            continue
        try:
            dataset = pydicom.dcmread(path, force=path.suffix == ".dcm")
            dataset.decode()
            usable = dataset.get("SOPClassUID") and "DirectoryRecordSequence" not in dataset
        except (
            pydicom.errors.InvalidDicomError,
            ValueError,
            TypeError,
            KeyError,
            OSError,
            EOFError,
            AttributeError,
        ):
            continue
        if usable:
            count += 1
            yield path.name, dataset
    for number in (1, 2, 3):
        for kind in _BUILT:
            yield f"built {kind}", build(kind, number=number, patient=f"b{number}").dataset


class Registry:
    """Patients, their studies, and the new UID of every old one."""

    def __init__(self, seed: int, patients: int) -> None:
        self.draw = Draw(seed)
        self.people: list[Person] = [self.draw.person(index) for index in range(patients)]
        self._studies: dict[tuple[int, int], Study] = {}
        self._groups: dict[str, int] = {}
        self._uids: dict[tuple[int, str], str] = {}
        self.instances: dict[tuple[int, str], str] = {}

    def study(self, dataset: Dataset) -> tuple[int, Study]:
        """Return the patient and study that the files of this original study go to."""
        # a study of many series is split so that every patient gets some
        group = f"{dataset.get('StudyInstanceUID')}|{dataset.get('SeriesInstanceUID')}"
        number = self._groups.setdefault(group, len(self._groups))
        patient, visit = number % len(self.people), number // len(self.people) % 3
        if (patient, visit) not in self._studies:
            self._studies[patient, visit] = self._new_study(patient, visit)
        return patient, self._studies[patient, visit]

    def _new_study(self, patient: int, visit: int) -> Study:
        draw, person = self.draw, self.people[patient]
        city, state, code = draw.place()
        roles = "ReferringPhysicianName PerformingPhysicianName OperatorsName NameOfPhysiciansReadingStudy"
        return Study(
            number=visit,
            uid=f"1.2.840.113619.2.{person.numbers['mrn']}.{person.visits[visit]:%Y%m%d}.{patient}{visit}",
            day=person.visits[visit],
            accession=draw.random.choice(["A", "ACC", ""]) + draw.digits(8),
            identifier="ST" + draw.digits(5),
            hospital=draw.hospital(),
            address=f"{draw.street()}, {city}, {state} {code}",
            department=draw.department(),
            station="STN" + draw.digits(4),
            serial=draw.serial(),
            staff={role: draw.staff() for role in (roles + " RequestingPhysician").split()},
        )

    def new_uid(self, patient: int, old: str) -> str:
        """Return the UID that stands for an old one of this patient: it holds his record number."""
        key = (patient, old)
        if key not in self._uids:
            record = self.people[patient].numbers["mrn"]
            self._uids[key] = f"1.3.12.2.1107.5.{record}.{patient}.{len(self._uids) + 1}"
        return self._uids[key]


def _identify(dataset: Dataset, planted: Planted, registry: Registry, study: Study, marker: int) -> None:
    """Give every instance UID of the data set its new value and require it to change, everywhere alike."""
    patient, old = planted.patient, str(dataset.get("SOPInstanceUID", marker))
    instance = registry.new_uid(patient, f"instance {marker}")
    registry.instances.setdefault((patient, old), instance)
    series = registry.new_uid(patient, f"series {study.number} {dataset.get('SeriesInstanceUID')}")

    def visit(place: Dataset, path: tuple[str, ...]) -> None:
        for element in list(place):
            where = (*path, f"{element.tag:08X}")
            if element.VR == "SQ" and not element.tag.is_private:
                for item in element.value:
                    visit(item, where)
            elif element.keyword in _INSTANCE_UIDS and isinstance(element.value, UID) and element.value:
                known = registry.instances.get((patient, str(element.value)))
                place[element.tag].value = UID(known or registry.new_uid(patient, str(element.value)))
                if path:
                    planted.require(Action.UID_CHANGED, where, str(place[element.tag].value))

    visit(dataset, ())
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study.uid, series
    dataset.SOPInstanceUID = planted.sop_instance = instance
    if "file_meta" in dataset.__dict__ and "MediaStorageSOPInstanceUID" in dataset.file_meta:
        dataset.file_meta.MediaStorageSOPInstanceUID = UID(instance)
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID"):
        if dataset.get(keyword):
            path = hexadecimal(keyword)
            for action in (Action.UID_CHANGED, Action.UID_CONSISTENT):
                planted.require(action, path, str(dataset[keyword].value))
            planted.require(Action.TEXT_NOTNULL, path)
    planted.strings.append(registry.people[patient].numbers["mrn"])


def _refer(dataset: Dataset, planted: Planted, first: Planted, sop_class: str) -> None:
    """Refer to the first instance of the same study; the reference must still resolve."""
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = UID(sop_class), UID(first.sop_instance)
    dataset.SourceImageSequence = Sequence([item])
    path = hexadecimal("SourceImageSequence", "ReferencedSOPInstanceUID")
    planted.require(Action.UID_CONSISTENT, path, first.sop_instance)


def _burn(dataset: Dataset, planted: Planted, text: str) -> bool:
    """Draw the text into native 8-bit pixels and require that it be hidden; return whether it could be."""
    syntax = dataset.file_meta.get("TransferSyntaxUID") if "file_meta" in dataset.__dict__ else None
    if syntax is None or syntax.is_compressed or syntax == "1.2.840.10008.1.2.2":
        return False
    if (
        dataset.get("BitsAllocated") != 8
        or dataset.get("Rows", 0) < 64
        or dataset.get("NumberOfFrames", 1) != 1
    ):
        return False
    if dataset.get("PlanarConfiguration", 0) or len(dataset.PixelData) % 2:
        return False
    from PIL import Image, ImageDraw

    samples, rows, columns = int(dataset.SamplesPerPixel), int(dataset.Rows), int(dataset.Columns)
    if len(dataset.PixelData) != rows * columns * samples:
        return False
    picture = Image.new("L", (columns, 16))
    ImageDraw.Draw(picture).text((2, 2), text, fill=255)
    ink = np.asarray(picture) > 127
    pixels = np.frombuffer(dataset.PixelData, np.uint8).reshape(rows, columns, samples).copy()
    pixels[:16] = np.where(ink[:, :, None], 255, 0)
    dataset.PixelData, dataset.BurnedInAnnotation = pixels.tobytes(), "YES"
    planted.require(Action.PIXELS_HIDDEN, box=(0, 0, 16, columns))
    return True


def plant(dataset: Dataset, origin: str, registry: Registry, marker: int) -> Planted:
    """Plant everything into one data set, in place."""
    patient, study = registry.study(dataset)
    person = registry.people[patient]
    name = person.shown.replace(" ", "_")
    path = f"{name}/{study.day:%Y%m%d}_{study.accession}/{dataset.get('Modality', 'OT')}{marker}.dcm"
    planted = Planted(path, origin, marker, patient, "")
    _identify(dataset, planted, registry, study, marker)
    dataset.InstanceNumber = dataset.AcquisitionNumber = marker
    planter = Planter(dataset, planted, person, study, registry.draw)
    planter.patient()
    planter.visit()
    planter.descriptions()
    nested(planter)
    private(planter)
    graphics(planter)
    content(planter)
    planter.technical()
    if "PixelData" in dataset and not _burn(dataset, planted, f"{person.shown} {person.id}"):
        planted.require(Action.PIXELS_RETAINED)
        planted.pixels = hashlib.sha256(dataset.PixelData.rstrip(b"\0")).hexdigest()
    planted.strings = sorted(set(planted.strings))
    return planted


def plant_tree(
    out: Path, folders: list[Path], seed: int, patients: int, max_files: int, max_bytes: int
) -> AnswerKey:
    """Write the planted tree and its key; a file that pydicom cannot write again is left out."""
    registry, key = Registry(seed, patients), AnswerKey(seed, patients)
    first: dict[str, tuple[Planted, str]] = {}
    refused: Counter[str] = Counter()
    for marker, (origin, dataset) in enumerate(sources(folders, max_files, max_bytes), start=20001):
        try:
            planted = plant(dataset, origin, registry, marker)
            study = str(dataset.StudyInstanceUID)
            if study in first and "SourceImageSequence" not in dataset:
                _refer(dataset, planted, *first[study])
            target = out / "in" / planted.path
            target.parent.mkdir(parents=True, exist_ok=True)
            dataset.save_as(target, enforce_file_format=False)
            pydicom.dcmread(target, force=True).decode()
        except (ValueError, TypeError, KeyError, OSError, AttributeError, NotImplementedError) as error:
            refused[type(error).__name__] += 1
            (out / "in" / planted.path).unlink(missing_ok=True)
            continue
        first.setdefault(study, (planted, str(dataset.SOPClassUID)))
        key.files.append(planted)
    key.write(out / "key.json")
    if refused:
        print(f"left out, as pydicom cannot write them: {dict(refused)}", file=sys.stderr)
    return key


def main() -> None:
    """Plant a tree and print what is in it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to write in/ and key.json to")
    parser.add_argument("folders", type=Path, nargs="*", metavar="FOLDER", help="more real files")
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--patients", type=int, default=14, help="default: %(default)s")
    parser.add_argument(
        "--max-files", type=int, default=400, help="real files at most (default: %(default)s)"
    )
    parser.add_argument(
        "--max-bytes", type=int, default=2_000_000, help="of a real file (default: %(default)s)"
    )
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    key = plant_tree(args.out, args.folders, args.seed, args.patients, args.max_files, args.max_bytes)
    counts = Counter(check.action for planted in key.files for check in planted.checks)
    strings = {text for planted in key.files for text in planted.strings}
    print(
        f"{len(key.files)} files, {args.patients} patients, seed {args.seed}, {len(strings)} strings planted"
    )
    for action in Action:
        print(f"{action:18} {counts[action]:7d}")


if __name__ == "__main__":
    main()
