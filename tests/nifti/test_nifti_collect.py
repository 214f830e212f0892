"""What the index pass learns of a patient from NIfTI headers, sidecars and tables."""

import json
from pathlib import Path

import numpy as np
from nifti_builders import extension, nifti1, write

from deid.core.identifiers import Identifier, Kind
from deid.core.pseudonyms import Pseudonyms
from deid.nifti.kinds import FileKind
from deid.nifti.scrub import collect_by_person, collect_identifiers


def test_header_and_its_json_extension(tmp_path: Path) -> None:
    block = extension(0, b'{"global": {"const": {"PatientID": "4711-0815"}}}')
    source = write(tmp_path / "a.nii", nifti1(np.zeros((2, 2, 2), np.uint8), extensions=block))
    found = collect_identifiers(source, "sub-ERIKA7/ses-20200101/anat/a.nii", FileKind.VOLUME)
    assert set(found) == {
        Identifier(Kind.PATIENT_NAME, "Mustermann^Erika"),
        Identifier(Kind.ID, "4711-0815"),
        Identifier(Kind.ID, "ERIKA7"),
        Identifier(Kind.DATE, "20200101"),
    }


def test_sidecar_of_any_depth(tmp_path: Path) -> None:
    document = {
        "PatientName": "A^B",
        "x": [{"StationName": "MR7", "InstitutionName": ""}],
        "AccessionNumber": 99,
    }
    source = write(tmp_path / "sub-01_T1w.json", json.dumps(document))
    found = collect_identifiers(source, "sub-01/anat/sub-01_T1w.json", FileKind.SIDECAR)
    assert set(found) == {
        Identifier(Kind.PATIENT_NAME, "A^B"), Identifier(Kind.PLACE, "MR7"), Identifier(Kind.ID, "99"),
    }  # fmt: skip


def test_participants_are_told_apart(tmp_path: Path, pseudonyms: Pseudonyms) -> None:
    source = write(
        tmp_path / "participants.tsv",
        "participant_id\tname\tdob\tage\nsub-01\tErika Mustermann\t1947-03-11\t70\nsub-02\tn/a\tn/a\t3\n",
    )
    found = collect_by_person(source, "participants.tsv", pseudonyms, {"02": "PAT2"})
    assert found["bids::01"] == sorted(
        [Identifier(Kind.PATIENT_NAME, "Erika Mustermann"), Identifier(Kind.DATE, "1947-03-11")]
    )
    assert found["PAT2"] == []
