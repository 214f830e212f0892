"""Small trees of patients, studies and series whose files refer to each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset

from builders import images, objects
from builders.common import base, reference, references
from builders.files import write

_CT = "1.2.840.10008.5.1.4.1.1.2"


@dataclass(frozen=True)
class Person:
    """A made-up patient.

    Attributes:
        name: Patient's Name in PN form.
        id: Patient ID.
        birth: YYYYMMDD.
    """

    name: str
    id: str
    birth: str = "19570203"


@dataclass(frozen=True)
class Tree:
    """What `tree` wrote: the files by patient id, and the data sets as written."""

    root: Path
    files: dict[str, list[Path]] = field(default_factory=dict)
    datasets: dict[Path, FileDataset] = field(default_factory=dict)


PEOPLE = (
    Person("O'Brien-Müller^Maeve", "MRN-1234567"),
    Person("Li^Na", "12"),
    Person("Head^John^Q", "0099887", "19310505"),
)


def series(person: Person, study: int, number: int, slices: int = 3, size: int = 16) -> list[FileDataset]:
    """Build a CT series of `slices` instances, in order of position."""
    datasets = []
    for index in range(1, slices + 1):
        dataset = base(_CT, "CT", index, person.id, study, number)
        images.ct(dataset)
        dataset.PatientName, dataset.PatientBirthDate = person.name, person.birth
        dataset.Rows = dataset.Columns = size
        values = np.random.default_rng(index).integers(0, 4096, (size, size), dtype=np.uint16)
        dataset.PixelData = values.astype("<u2").tobytes()
        dataset.StudyDescription = f"CT CHEST {person.name.replace('^', ' ')}"
        datasets.append(dataset)
    return datasets


def enhanced_stack(person: Person) -> FileDataset:
    """Build one Enhanced MR instance of the person."""
    dataset = base("1.2.840.10008.5.1.4.1.1.4.1", "MR", 1, person.id, 3, 1)
    images.mr_enhanced(dataset)
    dataset.PatientName = person.name
    return dataset


def tree(
    root: Path,
    people: tuple[Person, ...] = PEOPLE,
    studies: int = 2,
    slices: int = 3,
    syntax: str = "explicit",
) -> Tree:
    """Write a tree: for each person `studies` studies, each with two CT series and a key object selection.

    Every second image refers to the first of its series (Source Image Sequence); the selection refers to
    the first image. File and folder names hold the patient's id, as in the field.
    """
    written = Tree(root)
    for person in people:
        paths = written.files.setdefault(person.id, [])
        for study in range(1, studies + 1):
            members = [part for number in (1, 2) for part in series(person, study, number, slices)]
            first = members[0]
            for dataset in members[1::2]:
                dataset.SourceImageSequence = references(reference(_CT, first.SOPInstanceUID))
            members.append(_selection(person, study, first))
            for index, dataset in enumerate(members):
                path = root / f"{person.id}" / f"study{study}" / f"IM{index:04d}"
                paths.append(write(dataset, path, syntax))
                written.datasets[path] = dataset
    return written


def _selection(person: Person, study: int, first: FileDataset) -> FileDataset:
    dataset = base("1.2.840.10008.5.1.4.1.1.88.59", "KO", 1, person.id, study, 9)
    objects.ko(dataset)
    dataset.PatientName, dataset.PatientBirthDate = person.name, person.birth
    for item in dataset.ContentSequence:
        if "ReferencedSOPSequence" in item:
            item.ReferencedSOPSequence = references(reference(_CT, first.SOPInstanceUID))
    evidence = dataset.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    evidence.SeriesInstanceUID = first.SeriesInstanceUID
    evidence.ReferencedSOPSequence = references(reference(_CT, first.SOPInstanceUID))
    return dataset
