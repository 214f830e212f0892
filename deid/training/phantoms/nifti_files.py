"""Phantom heads as a BIDS data set, with identities in every place that a converter may leave them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np

from deid.core.errors import UsageError
from deid.training.phantoms.cohort import Cohort, Study
from deid.training.phantoms.head import CT_RANGE, FIELD_OF_VIEW
from deid.training.phantoms.manifest import new_folder, write_manifest
from deid.training.phantoms.shapes import Floats

_MR_TOP = 4095


def write_nifti(cohort: Cohort, folder: Path) -> tuple[Path, ...]:
    """Write head phantoms as NIfTI with sidecars in the layout of BIDS, and ``manifest.csv``.

    Names, ids and dates stand in sidecars, tables, file names and the volumes' headers.

    Returns:
        The volumes, in the cohort's order.

    Raises:
        UsageError: The cohort is of chests, or the folder holds something already.
    """
    if cohort.kind != "head":
        raise UsageError("radiographs have no place in NIfTI; write them as DICOM or PNG, or make heads.")
    new_folder(folder)
    description = {"Name": "Phantom heads", "BIDSVersion": "1.9.0", "DatasetType": "raw"}
    _write_json(folder / "dataset_description.json", description)
    paths = tuple(
        _write_study(image, study, folder) for image, study in zip(cohort.images, cohort.studies, strict=True)
    )
    people = {study.person.id: study.person for study in cohort.studies}
    rows = [f"sub-{person.id}\t{person.sex}\t{person.family}" for person in people.values()]
    (folder / "participants.tsv").write_text("\n".join(["participant_id\tsex\tname", *rows]) + "\n")
    write_manifest(cohort, folder, paths)
    return paths


def _write_study(image: Floats, study: Study, root: Path) -> Path:
    person, visit = study.person, study.visit
    mr = study.acquisition.modality == "MR"
    stem = f"sub-{person.id}_ses-{visit.date}_{study.acquisition.view if mr else 'ct'}"
    folder = root / f"sub-{person.id}" / f"ses-{visit.date}" / ("anat" if mr else "ct")
    folder.mkdir(parents=True)
    _write_json(folder / f"{stem}.json", _sidecar(study))
    path = folder / f"{stem}.nii.gz"
    path.write_bytes(gzip.compress(nifti_bytes(image, study), compresslevel=4, mtime=0))
    return path


def nifti_bytes(image: Floats, study: Study) -> bytes:
    """A NIfTI-1 file of a volume `[slice, row, column]`, int16, CT in HU, the name in its header."""
    import nibabel as nib

    spacing = FIELD_OF_VIEW / len(image)
    corner = (len(image) - 1) / 2 * spacing
    # Columns run to the left and rows to the back; NIfTI's axes to the right and the front.
    affine = np.array(
        [[-spacing, 0, 0, corner], [0, -spacing, 0, corner], [0, 0, spacing, -corner], [0, 0, 0, 1]]
    )
    low, high = CT_RANGE if study.acquisition.modality == "CT" else (0, _MR_TOP)
    values = np.rint(low + (high - low) * image).astype(np.int16).transpose(2, 1, 0)
    volume = nib.Nifti1Image(values, affine)  # type: ignore[no-untyped-call]
    volume.header.set_xyzt_units("mm")  # type: ignore[no-untyped-call]
    volume.header["descrip"] = f"{study.person.family} {study.person.given} {study.person.id}".encode()
    data: bytes = volume.to_bytes()
    return data


def _sidecar(study: Study) -> dict[str, str | float]:
    person, visit = study.person, study.visit
    date = f"{visit.date[:4]}-{visit.date[4:6]}-{visit.date[6:]}"
    time = f"{visit.time[:2]}:{visit.time[2:4]}:{visit.time[4:]}"
    return {
        "Modality": study.acquisition.modality,
        "Manufacturer": "Phantom",
        "StationName": study.acquisition.site.station,
        "InstitutionName": visit.institution,
        "DeviceSerialNumber": visit.serial,
        "PatientName": person.name,
        "PatientID": person.id,
        "PatientBirthDate": f"{person.birth[:4]}-{person.birth[4:6]}-{person.birth[6:]}",
        "PatientSex": person.sex,
        "AccessionNumber": visit.accession,
        "ReferringPhysicianName": visit.referring,
        "PerformingPhysicianName": visit.performing,
        "OperatorsName": visit.operator,
        "PatientAddress": person.address,
        "PatientTelephoneNumbers": person.phone,
        "AcquisitionDateTime": f"{date}T{time}",
        "SeriesDescription": f"head of {person.family}",
    }


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
