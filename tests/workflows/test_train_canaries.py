"""What a DICOM header holds reaches nothing that a training writes or says."""

import numpy as np
import pytest
from builders import build, write
from typer.testing import CliRunner

from deid.core.coverage import ImageFacts, uncovered

PLANTED = {
    "Manufacturer": "Praxis Dr. Xuberq",
    "ManufacturerModelName": "Modell Vanzorq",
    "SeriesDescription": "QUELLERX T1 AX",
    "StudyDescription": "QUASTUDX",
    "ProtocolName": "QUAPROTX",
    "StationName": "XSTATQ",
    "InstitutionName": "Klinik Xinstq",
    "PatientName": "Xnamq^Quorx",
}
CANARIES = (
    *("XUBERQ", "VANZORQ", "QUELLERX", "QUASTUDX", "QUAPROTX", "XSTATQ", "XINSTQ", "XNAMQ", "QUORX"),
    *("XPARTQ", "XVIEWQ", "XMODQ", "MRNQX"),
)
TRAININGS = {
    "train-reid": "--network compact --size 32 --patients 6 --images 2 --self-supervised 0 --dimension 16",
    "train-classifier": "--backbone lcnet_035 --size 32 --batch 8 --least 2",
}


@pytest.fixture(scope="module", params=["cr", "ct"])
def planted_tree(request, tmp_path_factory):
    """80 patients with two studies each; names stand where a device or a person can type them in."""
    root, random = tmp_path_factory.mktemp("tree"), np.random.default_rng(0)
    folder = root / "data"
    lines = ["patient_id,labels"]
    for patient in range(80):
        coarse = random.integers(0, 3000, (1, 4, 4))
        for study in range(2):
            dataset = build(request.param, patient=f"MRNQX-{patient}").dataset
            for name, value in PLANTED.items():
                setattr(dataset, name, value)
            dataset.StudyInstanceUID += f".{study}"
            dataset.SeriesInstanceUID += f".{study}"
            dataset.SOPInstanceUID += f".{patient}.{study}"
            dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
            dataset.BodyPartExamined = "XPARTQ" if request.param == "cr" else ""
            dataset.ViewPosition = "XVIEWQ"
            if request.param == "cr" and patient % 2:
                dataset.Modality = "XMODQ"
            pixels = np.kron(coarse, np.ones((1, dataset.Rows // 4, dataset.Columns // 4)))
            noisy = pixels + random.integers(0, 900, pixels.shape)
            dataset.PixelData = noisy.astype(np.uint16).tobytes()
            write(dataset, folder / f"{patient}-{study}.dcm")
        lines.append(f"MRNQX-{patient},{'Mass' if patient % 2 else 'Normal'}")
    (root / "labels.csv").write_text("\n".join(lines))
    return folder


@pytest.mark.parametrize("job", TRAININGS)
def test_no_value_of_a_header_is_written_or_said(planted_tree, tmp_path, capfd, job):
    from deid.cli.app import app

    run = tmp_path / "run"
    words = [job, str(planted_tree), "--out", str(run), "--epochs", "1", "--steps", "2", "--device", "cpu"]
    words += ["--labels", str(planted_tree.parent / "labels.csv"), *TRAININGS[job].split()]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    told = capfd.readouterr()
    places = {"terminal": (done.output + done.stderr + told.out + told.err).encode()}
    places |= {str(file.relative_to(run)): file.read_bytes() for file in run.rglob("*") if file.is_file()}
    assert {"log.csv", "log.jsonl", "options.json"} < set(places)
    assert any(name.endswith("card.md") for name in places)
    found = [
        (name, word) for name, data in places.items() for word in CANARIES if word.encode() in data.upper()
    ]
    assert found == []
    assert b"device 1" in places["log.jsonl"]


def test_a_model_of_a_tree_of_radiographs_covers_such_radiographs(tmp_path):
    from deid.core.model_card import AgeGroup
    from deid.training.card import input_range
    from deid.training.tree import read_tree

    for number, (part, view) in enumerate((("CHEST", "PA"), ("CHEST", "AP"), ("THORAX", "PA"))):
        dataset = build("cr", number=number, patient=f"MRN-{number}").dataset
        dataset.BodyPartExamined, dataset.ViewPosition = part, view
        write(dataset, tmp_path / f"{number}.dcm")
    made_for = input_range(read_tree(tmp_path).samples, 32, AgeGroup.ANY)
    assert made_for.views == ("AP", "PA") and made_for.body_parts == ("CHEST", "THORAX")
    for view in ("PA", "AP", ""):
        for part in ("CHEST", "THORAX", "LUNG"):
            assert uncovered(ImageFacts("CR", "MONOCHROME2", view, part), made_for) == ""
    assert uncovered(ImageFacts("CR", "MONOCHROME2", "LL", "CHEST"), made_for) == "no model for this view"
    assert uncovered(ImageFacts("CR", "MONOCHROME2", "PA", "HAND"), made_for) == "no model for this body part"
