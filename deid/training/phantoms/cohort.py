"""Cohorts of phantom patients: images in memory, and all that is known of how they came about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from deid.core.errors import UsageError
from deid.training.phantoms import chest, head
from deid.training.phantoms.people import Person, Visit
from deid.training.phantoms.shapes import Floats, generator

Kind = Literal["chest", "head"]

MODALITIES: dict[str, tuple[str, ...]] = {"chest": ("CR", "DX"), "head": ("MR", "CT")}
"""What each kind can be taken with."""
_DEFAULT = {"chest": ("CR", "DX"), "head": ("MR",)}
_IDENTITY, _DISEASE, _ACQUISITION, _PERSON, _VISIT = range(5)


@dataclass(frozen=True)
class Study:
    """One image or volume and its factors.

    Attributes:
        patient: Number of the patient, from 0.
        study: Number of the patient's study, from 0.
        identity: The same in all studies of a patient.
        disease: Drawn anew for each study, so that it tells nothing of the patient.
        acquisition: Likewise.
        person: Made-up names and numbers of the patient.
        visit: Made-up names and numbers of the study.
    """

    patient: int
    study: int
    identity: chest.Identity | head.Identity
    disease: chest.Disease | head.Disease
    acquisition: chest.Acquisition | head.Acquisition
    person: Person
    visit: Visit

    @property
    def identifiers(self) -> tuple[str, ...]:
        """Every planted word or number that must not survive in what is shared; dates are not among them."""
        return self.person.identifiers + self.visit.identifiers


@dataclass(frozen=True, eq=False)
class Cohort:
    """Images of phantom patients.

    Attributes:
        kind: ``chest`` or ``head``.
        seed: They came from.
        images: float32 in 0..1, `[image, row, column]` (chest) or `[image, slice, row, column]` (head).
        studies: Of each image; those of one patient follow each other.
    """

    kind: Kind
    seed: int
    images: Floats
    studies: tuple[Study, ...]

    def __len__(self) -> int:
        return len(self.studies)

    @property
    def patients(self) -> tuple[int, ...]:
        """Number of the patient of each image."""
        return tuple(study.patient for study in self.studies)

    @property
    def findings(self) -> tuple[tuple[str, ...], ...]:
        """Findings of each image; none in the healthy."""
        return tuple(study.disease.findings for study in self.studies)


def make_cohort(
    patients: int,
    studies: int,
    seed: int,
    kind: Kind = "chest",
    size: int = 112,
    modalities: tuple[str, ...] | None = None,
) -> Cohort:
    """Draw patients and render each of their studies.

    The same arguments give the same images; more patients or studies leave those before as they are.

    Args:
        patients: How many.
        studies: Of each patient.
        seed: 0 or more.
        kind: ``chest`` for radiographs, ``head`` for volumes.
        size: Side of the images, in pixels; of a volume in all three directions.
        modalities: What studies are taken with, drawn for each; all of the kind's for a chest, MR for a head
            if None. See :data:`MODALITIES`.

    Raises:
        UsageError: An argument is out of its range.
    """
    _check(patients, studies, seed, kind, size, modalities)
    taken = modalities or _DEFAULT[kind]
    drawn = tuple(_draw(seed, kind, taken, p, s) for p in range(patients) for s in range(studies))
    images = np.empty((len(drawn), *[size] * (2 if kind == "chest" else 3)), np.float32)
    for image, study in zip(images, drawn, strict=True):
        image[:] = render(study, size)
    return Cohort(kind, seed, images, drawn)


def render(study: Study, size: int) -> Floats:
    """The image of a study at any size."""
    match study.identity, study.disease, study.acquisition:
        case chest.Identity() as identity, chest.Disease() as disease, chest.Acquisition() as acquisition:
            return chest.render(identity, disease, acquisition, size)
        case head.Identity() as volume, head.Disease() as lesions, head.Acquisition() as scan:
            return head.render(volume, lesions, scan, size)
    raise AssertionError("factors of one kind")


def _draw(seed: int, kind: Kind, modalities: tuple[str, ...], patient: int, study: int) -> Study:
    base = (seed, get_args(Kind).index(kind), patient)
    part = chest if kind == "chest" else head
    return Study(
        patient,
        study,
        part.Identity.draw(generator(*base, _IDENTITY)),
        part.Disease.draw(generator(*base, _DISEASE, study)),
        part.Acquisition.draw(generator(*base, _ACQUISITION, study), modalities),
        Person.draw(generator(*base, _PERSON), patient),
        Visit.draw(generator(*base, _VISIT, study), study),
    )


def _check(
    patients: int, studies: int, seed: int, kind: str, size: int, modalities: tuple[str, ...] | None
) -> None:
    if kind not in MODALITIES:
        raise UsageError(f"the kind of phantom must be one of: {', '.join(MODALITIES)}.")
    if patients < 1 or studies < 1 or seed < 0:
        raise UsageError("phantoms need at least 1 patient with 1 study, and a seed of 0 or more.")
    if not 16 <= size <= 1024:
        raise UsageError(f"a phantom's side is {size}; give 16 to 1024 pixels.")
    unknown = set(modalities or ()) - set(MODALITIES[kind])
    if unknown or modalities == ():
        raise UsageError(f"modalities of a {kind} phantom must be of: {', '.join(MODALITIES[kind])}.")
