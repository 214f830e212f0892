"""What the list of differences says of headers, sidecars and tables."""

import json
from collections.abc import Sequence
from pathlib import Path

import nibabel
import numpy as np
import pytest
from nifti_builders import PlantedCleaner

from deid.core.pseudonyms import Pseudonyms
from deid.nifti.context import Context
from deid.nifti.differences import Difference, differences
from deid.nifti.scrub import HEAD_BYTES, classify, scrub_file


@pytest.fixture
def changed(tmp_path: Path, pseudonyms: Pseudonyms):
    """Cleans the file of a path and says what changed."""

    def run(relative: str) -> dict[str, tuple[str, str | None, str | None]]:
        source = tmp_path / relative
        kind = classify(source, relative, source.read_bytes()[:HEAD_BYTES])
        assert kind is not None
        context = Context(pseudonyms, PlantedCleaner(), "bids::01")
        outputs = scrub_file(kind, source, relative, context)
        written: list[Path] = []
        for number, output in enumerate(outputs):
            written.append(tmp_path / f"out{number}{''.join(Path(output.relative).suffixes)}")
            written[-1].write_bytes(b"".join(output.chunks))
        found = list(differences(kind, source, relative, written, context))
        assert len({one.where for one in found}) == len(found) and not _equal(found)
        return {one.where: (one.form, one.before, one.after) for one in found}

    return run


def _equal(found: Sequence[Difference]) -> list[Difference]:
    return [one for one in found if one.before == one.after]


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_fields_and_extensions_of_a_header(tmp_path: Path, changed) -> None:
    image = nibabel.Nifti1Image(np.zeros((2, 3, 4), np.int16), np.eye(4))
    image.header["descrip"], image.header["db_name"] = b"Quermmel", b"4711"
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"secret"))
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"more"))
    nibabel.save(image, tmp_path / "x.nii")
    found = changed("x.nii")
    assert found["descrip"] == ("NIfTI", "Quermmel", None)
    assert found["db_name"] == ("NIfTI", "4711", None)
    assert found["extensions"] == ("NIfTI", "2", None)
    assert "dim" not in " ".join(found) and "aux_file" not in found


def test_the_name_in_gzip_and_nothing_where_nothing_changed(tmp_path: Path, changed) -> None:
    import gzip

    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 3, 4), np.int16), np.eye(4)), tmp_path / "plain.nii")
    clean = changed("plain.nii")
    assert "descrip" not in clean and "extensions" not in clean
    with (
        (tmp_path / "x.nii.gz").open("wb") as stream,
        gzip.GzipFile("Quermmel.nii", "wb", 6, stream, 99) as out,
    ):
        out.write((tmp_path / "out0.nii").read_bytes())
    assert changed("x.nii.gz") == {"name and time in gzip": ("NIfTI", "Quermmel.nii 99", None)}


def test_keys_of_a_sidecar(tmp_path: Path, changed) -> None:
    document = {
        "RepetitionTime": 2,
        "PatientName": "Quermmel",
        "AcquisitionDateTime": "2020-01-15T10:00:00",
        "Unknown": {"deep": [1, {"x": "y"}]},
    }
    _write(tmp_path / "sub-01/anat/sub-01_T1w.json", json.dumps(document))
    found = changed("sub-01/anat/sub-01_T1w.json")
    assert found["PatientName"] == ("JSON", "Quermmel", None)
    form, before, after = found["AcquisitionDateTime"]
    assert (form, before) == ("JSON", "2020-01-15T10:00:00") and after not in (before, None)
    assert found["Unknown.deep[0]"] == ("JSON", "1", None) and found["Unknown.deep[1].x"] == (
        "JSON",
        "y",
        None,
    )
    assert "RepetitionTime" not in found


def test_columns_cells_and_rows_of_a_table(tmp_path: Path, changed) -> None:
    table = "participant_id\tage\tname\nsub-02\t34\tQuermmel\nsub-01\t95\t\nn/a\t5\tNobody\nsub-03\t40\tx\n"
    _write(tmp_path / "participants.tsv", table)
    found = changed("participants.tsv")
    assert found["name"] == ("TSV", "Quermmel |  | Nobody | x", None)
    assert found["age[2]"] == ("TSV", "95", "90") and "age[1]" not in found
    assert found["row 3"] == ("TSV", "n/a | 5 | Nobody", None)
    labels = {found[f"participant_id[{row}]"][2] for row in (1, 2, 4)}
    assert len(labels) == 3 and all(label and label.startswith("sub-") for label in labels)
    released = (tmp_path / "out0.tsv").read_text().splitlines()[1:]
    assert {line.split("\t")[0] for line in released} == labels


def test_cells_of_a_table_without_header(tmp_path: Path, changed) -> None:
    _write(tmp_path / "sub-01/func/sub-01_task-rest_physio.tsv", "1\tQuermmel\n\n2\t3\n")
    found = changed("sub-01/func/sub-01_task-rest_physio.tsv")
    assert found == {"column 2[1]": ("TSV", "Quermmel", "n/a")}


def test_gradients_have_no_differences(tmp_path: Path, changed) -> None:
    _write(tmp_path / "sub-01/dwi/sub-01_dwi.bval", "0  1000\n")
    assert changed("sub-01/dwi/sub-01_dwi.bval") == {}
