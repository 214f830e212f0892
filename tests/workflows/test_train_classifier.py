"""``train-classifier`` as a user calls it, from a manifest and from a tree to a model folder."""

import csv
import json
import signal
import subprocess
import sys
from collections import Counter

import nibabel
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner
from workflows.command import wait_until

from deid.core.errors import UsageError
from deid.core.model_card import Slices, read_record
from deid.networks.folder import load_network
from deid.training.checkpoint import read_checkpoint
from deid.training.options import read_options
from deid.training.split import part_of
from deid.workflows.train_classifier import ClassifierOptions, train_classifier

COLUMNS = ("path", "patient_id", "source", "modality", "view", "labels", "licence")
SMALL = {"size": 32, "backbone": "lcnet_035", "batch": 8, "least": 2, "epochs": 1, "device": "cpu"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A manifest of 120 patients; a bright square is the finding."""
    folder = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    rows = []
    for number, ill in enumerate(drawn_patients("PAT-{}")):
        pixels = random.normal(90, 20, (32, 32))
        pixels[6:14, 6:14] += 90 * ill
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(folder / f"{number}.png")
        labels = "Effusion" if ill else "No Finding"
        rows.append((f"{number}.png", f"PAT-{number}", "phantoms", "DX", "PA", labels, "CC0-1.0"))
    return write_manifest(folder / "manifest.csv", rows)


def drawn_patients(name):
    """Whether each of 120 patients is ill: every other one of each part."""
    seen = Counter()
    for number in range(120):
        part = part_of(name.format(number))
        seen[part] += 1
        yield seen[part] % 2


def write_manifest(path, rows):
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([COLUMNS, *rows])
    return path


def changed(data, path, change):
    """A manifest beside the images with some rows changed."""
    with data.open() as stream:
        rows = [change(number, dict(row)) for number, row in enumerate(csv.DictReader(stream))]
    return write_manifest(data.parent / path, [[row[name] for name in COLUMNS] for row in rows])


def options(**given):
    return read_options(ClassifierOptions, None, SMALL | given)


def test_a_model_with_measured_figures_in_its_card(data, tmp_path):
    trained = train_classifier(data, tmp_path / "run", options(epochs=2, half=True))
    network, record = load_network(trained.model)
    assert network.findings == record.findings == ("Effusion",)
    (figure,) = record.metrics
    assert (figure.source, figure.split, figure.name) == ("phantoms", "test", "ROC AUC, Effusion")
    assert figure.low <= figure.value <= figure.high and figure.patients == figure.images
    roles = {part.role.value: part for part in record.training}
    assert sum(part.patients for part in roles.values()) == 120
    assert roles["training"].licence == "CC0-1.0"
    assert record.input.modalities == ("DX",) and record.input.views == ("PA",)
    assert record.input.slices is None
    card = (trained.model / "card.md").read_text()
    assert f"| ROC AUC, Effusion | {figure.value:.4g} |" in card and "## Limits" in card
    assert "train-classifier DATA --out RUN --epochs 2" in card and "--backbone lcnet_035" in card
    assert "PAT-" not in card and str(data.parent) not in card + (trained.model / "model.json").read_text()


def test_the_same_command_again_gives_the_same_model(data, tmp_path):
    first = train_classifier(data, tmp_path / "run", options())
    weights = (first.model / "weights.safetensors").read_bytes()
    again = train_classifier(data, tmp_path / "run", options())
    assert (again.model / "weights.safetensors").read_bytes() == weights
    assert again.metrics == first.metrics


def test_an_alternative_of_several_labels_is_a_finding(data, tmp_path):
    given = options(findings="Fluid=Effusion|Edema")
    assert given.findings == {"Fluid": ("Effusion", "Edema")}
    said = []
    record = read_record(train_classifier(data, tmp_path / "run", given, said.append).model)
    assert said[0] == "no image has the label Edema: it is passed over."
    assert record.findings == ("Fluid",) and "--findings 'Fluid=Effusion|Edema'" in record.commands[0]
    assert options(findings=["A", "B"]).findings == {"A": ("A",), "B": ("B",)}
    assert options(findings={"A": ["B;C"], "D": "E"}).findings == {"A": ("B;C",), "D": ("E",)}


def test_a_bids_tree_with_labels(data, tmp_path):
    random = np.random.default_rng(1)
    lines = ["patient_id,labels"]
    for number, ill in enumerate(drawn_patients("{:03}")):
        folder = tmp_path / "tree" / f"sub-{number:03}" / "anat"
        folder.mkdir(parents=True)
        volume = random.normal(90, 20, (20, 20, 3)).astype(np.float32)
        volume[4:10, 4:10] += 90 * ill
        nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), folder / f"sub-{number:03}_T1w.nii.gz")
        lines.append(f"{number:03},{'Lesion' if ill else 'Normal'}")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    given = options(labels=tmp_path / "labels.csv")
    trained = train_classifier(tmp_path / "tree", tmp_path / "run", given)
    record = read_record(trained.model)
    assert record.findings == ("Lesion",) and record.input.modalities == ("MR",)
    assert "--labels LABELS" in record.commands[0]
    assert record.input.slices == Slices(8, 0.8)
    assert "8 slices of the middle 80 %" in (trained.model / "card.md").read_text()


def refused(data, out, **given):
    with pytest.raises(UsageError) as caught:
        train_classifier(data, out, options(**given))
    assert "PAT-" not in str(caught.value)
    return str(caught.value)


def test_data_that_cannot_teach_are_refused(data, tmp_path):
    one_class = changed(data, "one.csv", lambda _, row: row | {"labels": "Effusion"})
    assert "there is nothing to learn" in refused(one_class, tmp_path / "run")
    nothing = changed(data, "nothing.csv", lambda _, row: row | {"labels": ""})
    assert "there is nothing to learn" in refused(nothing, tmp_path / "run")
    one_patient = changed(data, "patient.csv", lambda _, row: row | {"patient_id": "PAT-1"})
    assert "no patient is left for" in refused(one_patient, tmp_path / "run")
    gone = changed(data, "gone.csv", lambda n, row: row | {"path": f"gone-{n}.png"})
    assert "no image could be read" in refused(gone, tmp_path / "run")
    assert "leave nothing of the data" in refused(data, tmp_path / "run", sources="elsewhere")
    assert "no finding can be measured" in refused(data, tmp_path / "run", findings="Effusion", least=50)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": "my model"}, "must be the name of a folder"),
        ({"name": "../x"}, "must be the name of a folder"),
        ({"name": "x" * 95}, "at most 90"),
        ({"name": "checkpoints"}, "must not be that of a file or folder of the run"),
        ({"name": "Attackers"}, "must not be that of a file or folder of the run"),
        ({"body_parts": "a name^"}, "must be a DICOM code"),
        ({"licence": "CC0\nand more"}, "a text of one line"),
        ({"licence": ""}, "a text of one line"),
    ],
)
def test_what_no_record_can_hold_is_refused_at_once(given, message):
    with pytest.raises(UsageError, match=message):
        options(**given)
    assert options(body_parts="chest").body_parts == ("CHEST",)


def test_texts_of_the_data_that_no_record_can_hold_are_refused_before_the_training(data, tmp_path):
    source = changed(data, "source.csv", lambda _, row: row | {"source": "a\x07b"})
    assert "record could not hold" in refused(source, tmp_path / "run")
    licence = changed(data, "licence.csv", lambda _, row: row | {"licence": "x" * 2001})
    assert "record could not hold" in refused(licence, tmp_path / "run")
    long = changed(
        data, "long.csv", lambda _, row: row | {"labels": row["labels"].replace("Effusion", "E" * 201)}
    )
    assert "record could not hold" in refused(long, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_finding_may_be_two_words_with_a_slash(data, tmp_path):
    name = "Nodule/Mass: x"
    slash = changed(
        data, "slash.csv", lambda _, row: row | {"labels": row["labels"].replace("Effusion", name)}
    )
    trained = train_classifier(slash, tmp_path / "run", options())
    network, record = load_network(trained.model)
    assert network.findings == record.findings == (name,)


def test_a_label_that_the_data_do_not_have_is_refused(data, tmp_path):
    said = refused(data, tmp_path / "run", findings="Efusion,Effusion=Effusion|Edema;Mass")
    assert "no image has the label Edema, Efusion, Mass" in said and "the data have Effusion" in said
    assert not (tmp_path / "run").exists()


def test_a_few_unreadable_files_are_counted_and_left_out(data, tmp_path):
    (data.parent / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(30))
    some = changed(data, "some.csv", lambda n, row: row | ({"path": "broken.png"} if n == 7 else {}))
    said = []
    trained = train_classifier(some, tmp_path / "run", options(), said.append)
    assert "119 read, 1 left out" in said[0] and "1 left out" in (trained.model / "card.md").read_text()


def test_a_run_by_command_with_yaml_and_flags(data, tmp_path):
    from deid.cli.app import app

    config = tmp_path / "run.yaml"
    config.write_text("\n".join(f"{name}: {value}" for name, value in SMALL.items()))
    place = ["train-classifier", str(data), "--out", str(tmp_path / "run"), "--config", str(config), "--json"]
    done = CliRunner().invoke(app, [*place, "--no-augment", "--seed", "3"])
    assert done.exit_code == 0, done.output
    printed = json.loads(done.stdout)
    assert printed["metrics"][0]["name"] == "ROC AUC, Effusion" and printed["report"]["reason"] == "epochs"
    kept = json.loads((tmp_path / "run" / "options.json").read_text())
    assert (kept["augment"], kept["seed"], kept["batch"]) == (False, 3, 8)


def test_without_data_it_says_what_it_needs():
    from deid.cli.app import app

    done = CliRunner().invoke(app, ["train-classifier"])
    assert isinstance(done.exception, UsageError) and "path,patient_id,source" in str(done.exception)


def test_a_terminated_command_goes_on(data, tmp_path):
    run, given = tmp_path / "run", {"epochs": 400, "save_every": 2}
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in (SMALL | given).items()]
    command = [sys.executable, "-m", "deid", "train-classifier", data, "--out", run, *flags]
    started = subprocess.Popen(command, stderr=subprocess.PIPE)
    wait_until(lambda: (run / "checkpoints" / "last.safetensors").exists() or started.poll(), 60)
    started.send_signal(signal.SIGTERM)
    heard = started.communicate(timeout=60)[1]
    assert started.returncode == 143
    assert b"its state is saved" in heard and b"run the same command again to go on" in heard
    steps = read_checkpoint(run / "checkpoints" / "last.safetensors")["loop"]["step"]
    trained = train_classifier(data, run, options(minutes=0.0001, **given))
    assert trained.report.steps == steps > 0 and trained.report.reason == "minutes"
