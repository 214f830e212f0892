"""``train-reid`` as a user calls it, from a manifest to a measured model folder."""

import csv
import json
import shlex

import numpy as np
import pytest
from PIL import Image
from training.recognition_sets import blobs
from typer.testing import CliRunner

from deid.core.errors import UsageError
from deid.core.model_card import ModelKind, read_record
from deid.networks.folder import load_network
from deid.training.dataset import load_dataset, read_samples
from deid.training.options import read_options
from deid.workflows.train_reid import ReidOptions, compare, train_reid

COLUMNS = ("path", "patient_id", "source", "modality", "study", "view", "labels", "licence")
SMALL = {
    "size": 32,
    "patch": 8,
    "width": 64,
    "depth": 1,
    "heads": 2,
    "gates": 4,
    "rank": 2,
    "dimension": 16,
    "patients": 8,
    "images": 2,
    "epochs": 1,
    "steps": 3,
    "self_supervised": 0,
    "teacher": "none",
    "device": "cpu",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A manifest of 80 patients with three studies each."""
    folder = tmp_path_factory.mktemp("data")
    store = blobs(80, 3, seed=3)
    rows = []
    for number, (image, shown) in enumerate(zip(store.images, store.samples, strict=True)):
        Image.fromarray(image).save(folder / f"{number}.png")
        row = (f"{number}.png", f"PAT-{shown.patient}", "phantoms", "DX", shown.study, "PA", "", "CC0-1.0")
        rows.append(row)
    return write_manifest(folder / "manifest.csv", rows)


def write_manifest(path, rows):
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([COLUMNS, *rows])
    return path


def options(**given):
    return read_options(ReidOptions, None, SMALL | given)


@pytest.fixture(scope="module")
def critic(data, tmp_path_factory):
    return train_reid(data, tmp_path_factory.mktemp("critic") / "run", options())


def test_a_model_with_measured_figures_in_its_card(critic, data):
    network, record = load_network(critic.model)
    assert (record.kind, record.architecture) == (ModelKind.REID, "mami")
    assert network.config.size == 32 and network.config.rank == 2
    figures = {figure.name: figure for figure in record.metrics}
    auc = figures["ROC AUC"]
    assert (auc.source, auc.split) == ("phantoms", "test") and auc.low <= auc.value <= auc.high
    assert "EER" in figures and any(name.startswith("rank-1 of ") for name in figures)
    assert auc.images == 3 * auc.patients
    roles = {part.role.value: part for part in record.training}
    assert sum(part.patients for part in roles.values()) == 80
    card = (critic.model / "card.md").read_text()
    assert f"| ROC AUC | {auc.value:.4g} |" in card and "a low score proves nothing" in card
    assert "train-reid DATA --out RUN" in card and "--depth 1" in card
    assert "PAT-" not in card and str(data.parent) not in card + (critic.model / "model.json").read_text()


@pytest.mark.parametrize(
    ("network", "architecture", "kind"),
    [
        ("compact", "compact-resnet", ModelKind.REID),
        ("siamese", "siamese-resnet", ModelKind.ATTACKER),
        ("resnet10t", "timm-encoder", ModelKind.REID),
    ],
)
def test_other_networks_and_the_paired_difference(critic, data, tmp_path, network, architecture, kind):
    told = {"name": "rival", "half": True, "age": "adult", "licence": "CC BY 4.0 / as the data"}
    given = options(network=network, backbone="resnet10t", against=critic.model, steps=2, **told)
    trained = train_reid(data, tmp_path / "run", given)
    record = read_record(trained.model)
    said = shlex.split(record.commands[0])
    for flag, value in (("--against", "critic"), *((f"--{k}", v) for k, v in told.items() if k != "half")):
        assert said[said.index(flag) + 1] == value
    assert "--half" in said and "AGAINST" not in said and not any("/tmp" in word for word in said)
    assert (record.architecture, record.kind) == (architecture, kind)
    figures = {figure.name: figure for figure in trained.metrics}
    found = figures["ROC AUC minus that of critic"]
    before = next(figure for figure in critic.metrics if figure.name == "ROC AUC")
    assert found.value == pytest.approx(figures["ROC AUC"].value - before.value)
    assert found.low <= found.value <= found.high
    assert ("ROC AUC by cosine" in figures) == (network == "siamese")
    card = (trained.model / "card.md").read_text()
    assert ("of its verification of two images" in card) == (network == "siamese")


def test_two_models_compared_on_the_same_pairs(critic, data):
    test = load_dataset(read_samples(data, options()), options()).test
    same = compare(critic.model, critic.model, test)["phantoms"]
    assert (same.value, same.low, same.high) == (0, 0, 0)


@pytest.fixture(scope="module")
def two_sources(data):
    """The same images, of every second patient from another hospital."""
    with data.open() as stream:
        _, *rows = csv.reader(stream)
    patients = sorted({row[1] for row in rows})
    other = set(patients[::2])
    named = [(*row[:2], "elsewhere" if row[1] in other else "here", *row[3:]) for row in rows]
    return write_manifest(data.parent / "two-sources.csv", named)


def test_it_learns_from_one_source_and_is_measured_on_another(two_sources):
    given = options(sources="here", test_sources="elsewhere")
    dataset = load_dataset(read_samples(two_sources, given), given)
    whole = load_dataset(read_samples(two_sources, options()), options())
    for part, source in (("train", "here"), ("validation", "here"), ("test", "elsewhere")):
        own = {sample.patient for sample in getattr(dataset, part).samples}
        expected = {s.patient for s in getattr(whole, part).samples if s.source == source}
        assert own == expected != set(), part


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"test_sources": "elsewhere"}, "say with --sources what to learn from"),
        ({"sources": "here", "test_sources": "nowhere"}, "no patient is left for test"),
    ],
)
def test_sources_to_measure_on_that_cannot_be(two_sources, given, message):
    with pytest.raises(UsageError, match=message):
        load_dataset(read_samples(two_sources, options(**given)), options(**given))


def test_the_same_command_again_gives_the_same_model(data, tmp_path):
    first = train_reid(data, tmp_path / "run", options())
    weights = (first.model / "weights.safetensors").read_bytes()
    again = train_reid(data, tmp_path / "run", options())
    assert (again.model / "weights.safetensors").read_bytes() == weights
    assert again.metrics == first.metrics


def test_a_teacher_gives_the_medical_prior(critic, data, tmp_path, monkeypatch):
    monkeypatch.setattr("deid.core.models.find_models", lambda explicit=None: [])
    said = []
    train_reid(data, tmp_path / "none", options(teacher=""), said.append)
    assert any("no medical prior" in line for line in said)
    train_reid(data, tmp_path / "run", options(teacher=str(critic.model)))
    assert '"prior"' in (tmp_path / "run" / "log.jsonl").read_text()
    with pytest.raises(UsageError, match="no model"):
        train_reid(data, tmp_path / "gone", options(teacher="gone"))


def refused(data, out, **given):
    with pytest.raises(UsageError) as caught:
        train_reid(data, out, options(**given))
    assert "PAT-" not in str(caught.value)
    return str(caught.value)


def test_data_and_options_that_cannot_teach_are_refused(data, tmp_path):
    with data.open() as stream:
        rows = list(csv.DictReader(stream))
    single = [dict(row, patient_id=f"PAT-{number}") for number, row in enumerate(rows)]
    path = write_manifest(data.parent / "single.csv", [list(row.values()) for row in single])
    assert "several images" in refused(path, tmp_path / "run")
    assert "must be a multiple of its heads" in refused(data, tmp_path / "run", heads=3)
    assert "not one of timm's" in refused(data, tmp_path / "run", network="resnet18x")
    assert "model.json" in refused(data, tmp_path / "run", against=tmp_path / "none")
    assert not (tmp_path / "run").exists()


def test_a_run_by_command_with_yaml_and_flags(data, tmp_path):
    from deid.cli.app import app

    config = tmp_path / "run.yaml"
    config.write_text("\n".join(f"{name}: {value}" for name, value in SMALL.items()))
    words = ["train-reid", str(data), "--out", str(tmp_path / "run"), "--config", str(config), "--json"]
    done = CliRunner().invoke(app, [*words, "--network", "compact", "--no-augment"])
    assert done.exit_code == 0, done.output
    printed = json.loads(done.stdout)
    assert printed["metrics"][0]["name"] == "ROC AUC" and printed["report"]["reason"] == "steps"
    kept = json.loads((tmp_path / "run" / "options.json").read_text())
    assert (kept["augment"], kept["network"], kept["patients"]) == (False, "compact", 8)


def test_without_data_it_says_what_it_needs():
    from deid.cli.app import app

    done = CliRunner().invoke(app, ["train-reid"])
    assert isinstance(done.exception, UsageError) and "path,patient_id,source" in str(done.exception)


def test_figures_need_test_patients_with_several_studies(data, tmp_path):
    """A model comes out all the same, and its card says what was not measured."""
    with data.open() as stream:
        rows = list(csv.DictReader(stream))
    from deid.training.split import part_of

    kept, seen = [], set()
    for row in rows:
        if part_of(row["patient_id"]) != "test" or row["patient_id"] not in seen:
            kept.append(list(row.values()))
        seen.add(row["patient_id"])
    path = write_manifest(data.parent / "thin.csv", kept)
    trained = train_reid(path, tmp_path / "run", options(network="compact"))
    assert trained.metrics == ()
    assert "Not measured" in (trained.model / "card.md").read_text()
    assert np.isfinite(trained.report.best["auc"])
