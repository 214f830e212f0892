"""``train-unet`` as a user calls it: from a manifest to an anonymizer and its attacker, measured."""

import csv
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from training.recognition_sets import blobs
from typer.testing import CliRunner
from workflows.train_sets import COLUMNS, SMALL_UNET, reader, spots

from deid.core.errors import UsageError
from deid.core.model_card import ModelKind, read_record
from deid.networks.folder import load_network
from deid.reid.metrics import Interval
from deid.reid.pairs import FairPairs
from deid.training.options import read_options
from deid.training.scrub_figures import _excess
from deid.workflows.train_unet import UnetOptions, train_unet


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A manifest of two sources: each patient has three soft spots of their own, every second a square."""
    return spots(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """A model folder with a classifier that has learned nothing."""
    return reader(tmp_path_factory.mktemp("models") / "reader")


@pytest.fixture(scope="module")
def trained(data, classifier, tmp_path_factory):
    return train_unet(data, tmp_path_factory.mktemp("run"), options(classifier))


def options(classifier, **given):
    return read_options(UnetOptions, None, SMALL_UNET | {"classifier": str(classifier)} | given)


def test_both_models_load_and_say_what_they_are(trained):
    network, record = load_network(trained.model)
    assert (record.name, record.kind, record.architecture) == ("unet", ModelKind.ANONYMIZER, "anonymizer")
    attacker, of_attacker = load_network(trained.attacker)
    assert of_attacker.kind is ModelKind.ATTACKER and of_attacker.architecture == "compact-resnet"
    assert attacker.embed(torch.zeros(2, 1, 32, 32)).shape == (2, 128)
    images, noise = torch.rand(2, 1, 32, 32), torch.zeros(2, network.noise)
    with torch.no_grad():
        assert (network(images, torch.zeros(2), noise) - images).abs().max() < 1e-4
        assert (network(images, torch.ones(2), noise) - images).abs().mean() > 1e-3


def test_training_goes_on_from_a_model(trained, data, classifier, tmp_path):
    shape = dict.fromkeys(("depth", "templates", "k"))
    given = options(classifier, start=str(trained.model), rate=1e-9, name="tuned", **shape)
    tuned = train_unet(data, tmp_path / "run", given)
    before, after = (load_network(folder)[0].state_dict() for folder in (trained.model, tuned.model))
    weights = [name for name in before if name.startswith("unet.") and name.endswith("weight")]
    assert len(weights) > 20 and all(torch.allclose(before[n], after[n], atol=1e-5) for n in weights)
    assert torch.equal(before["operators.ksame.templates"], after["operators.ksame.templates"])
    earlier, record = read_record(trained.model), read_record(tuned.model)
    assert record.commands[:-1] == earlier.commands and "--start unet" in record.commands[-1]
    assert record.training == earlier.training, "the same data are listed once"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"start": "classifier"}, "no anonymizer"),
        ({"start": "model", "depth": 3}, "leave out --depth"),
        ({"start": "model", "size": 64}, "give --size 32"),
    ],
)
def test_a_start_that_does_not_fit_is_refused(trained, data, classifier, tmp_path, given, message):
    start = {"start": str(classifier if given["start"] == "classifier" else trained.model)}
    shape = dict.fromkeys(("depth", "templates", "k"))
    with pytest.raises(UsageError, match=message):
        train_unet(data, tmp_path / "run", options(classifier, **shape | given | start))


def test_templates_are_saved_with_the_weights(trained):
    network, _ = load_network(trained.model)
    templates = network.operators["ksame"].templates
    assert templates.shape[0] == 4 and templates.std(0).mean() > 0.01


def test_every_figure_is_measured_at_every_strength(trained):
    measured = [metric for metric in read_record(trained.model).metrics if metric.source != "others"]
    metrics = {metric.name: metric for metric in measured}
    ceiling = metrics.pop("re-trained attacker, original to original, ROC AUC (ceiling)")
    assert 0 <= ceiling.low <= ceiling.value <= ceiling.high <= 1 and ceiling.split == "test"
    assert "classifier, Effusion, ROC AUC, original" in metrics
    for strength in ("0.5", "1"):
        for name in (
            f"re-trained attacker, original to scrubbed, ROC AUC, strength {strength}",
            f"inversion by fixed point, strength {strength}, then recognition, ROC AUC",
            f"inversion by gradient descent, strength {strength}, mean absolute error, 0..1",
            f"classifier, Effusion, ROC AUC, strength {strength}",
            f"SSIM, original to scrubbed, strength {strength}",
            f"PSNR, dB, original to scrubbed, strength {strength}",
        ):
            assert metrics[name].images > 0
    similar = [metrics[f"SSIM, original to scrubbed, strength {s}"].value for s in ("0.5", "1")]
    assert 1 > similar[0] > similar[1]


def test_inversion_is_measured_in_every_source_beside_no_inversion(trained):
    metrics = {(metric.name, metric.source): metric for metric in read_record(trained.model).metrics}
    for source in ("phantoms", "others"):
        for figure in ("mean absolute error, 0..1", "then recognition, ROC AUC"):
            found = [
                metrics[f"{how}, strength 1, {figure}", source]
                for how in ("no inversion", "inversion by fixed point", "inversion by gradient descent")
            ]
            patients = {"phantoms": 4, "others": 2}[source]  # only two of the others have pairs
            assert [(each.images, each.patients) for each in found] == [(4, patients)] * 3
            assert len({each.value for each in found}) > 1


def test_measured_again_the_figures_are_the_same(data, classifier, trained, tmp_path):
    shutil.copytree(trained.model.parent, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "attackers")
    torch.rand(7)
    again = train_unet(data, tmp_path / "run", options(classifier))
    assert again.metrics == trained.metrics


@pytest.mark.parametrize(
    "changed",
    [
        {"attack_epochs": 2, "strengths": (1.0,), "resume": "force"},
        {"attacker": "siamese", "strengths": (1.0,), "inverted": 0, "resume": "force"},
        {"seed": 1, "strengths": (1.0,), "inverted": 1, "resume": "never"},
    ],
)
def test_a_finished_run_is_measured_with_other_settings(data, classifier, trained, tmp_path, changed):
    shutil.copytree(trained.model.parent, tmp_path / "run")
    again = train_unet(data, tmp_path / "run", options(classifier, **changed))
    metrics = {metric.name for metric in again.metrics}
    how = " (by cosine)" if "attacker" in changed else ""  # of two ways to compare it is said which
    other = " (by verification)" if "attacker" in changed else ""
    figure = "re-trained attacker{}, original to scrubbed, ROC AUC, strength 1"
    assert metrics & {figure.format(how), figure.format(other)}
    assert ("no inversion, strength 1, then recognition, ROC AUC" in metrics) == (
        changed.get("inverted") != 0
    )
    runs = len(list((tmp_path / "run" / "attackers").iterdir()))
    assert runs == (2 if changed["resume"] == "never" else 5)  # never: the old ones are gone


@pytest.mark.parametrize("attacker", ["compakt", "compact-s"])
def test_an_attacker_that_is_not_built_in_is_refused_before_the_training(
    data, classifier, tmp_path, attacker
):
    with pytest.raises(UsageError, match=f"{attacker} is no recogniser that is built in"):
        train_unet(data, tmp_path / "run", options(classifier, attacker=attacker))
    assert not (tmp_path / "run").exists()


def test_a_share_of_the_ceiling_needs_a_ceiling_above_chance():
    store, pairs = blobs(2, 2, seed=0), FairPairs("", *(np.zeros(1, int) for _ in range(4)), np.ones(1))

    def shown(*ceiling):
        return list(_excess(Interval(0.6, 0.55, 0.65), Interval(*ceiling), store, pairs, "strength 1"))

    assert not shown(0.49, 0.4, 0.6) and not shown(0.6, 0.5, 0.7) and not shown(0.6, np.nan, np.nan)
    assert shown(0.7, 0.6, 0.8)[0].value == pytest.approx(0.5)


def test_the_card_names_command_data_and_limits(trained):
    card = (trained.model / "card.md").read_text()
    assert "mami-deid train-unet DATA --out RUN" in card and "CC0-1.0" in card
    assert "a stronger one reaches more" in card
    assert "--classifier reader" in card
    assert "adaptive" not in card


def test_findings_that_cannot_be_measured_are_not_said_to_be(data, classifier, tmp_path):
    with (data / "manifest.csv").open() as stream:
        rows = [row | {"labels": ""} for row in csv.DictReader(stream)]
    with (data / "unlabelled.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([COLUMNS, *(list(row.values()) for row in rows)])
    said = []
    given = options(classifier, steps_per_epoch=1, attack_steps=1, inverted=0, strengths=(1.0,))
    model = train_unet(data / "unlabelled.csv", tmp_path / "run", given, said.append).model
    assert sum("what is lost of findings is not measured" in line for line in said) == 2
    card = (model / "card.md").read_text()
    assert "how much was not measured" in card and "measured above" not in card


def test_the_run_folder_shows_before_after_and_difference(trained):
    (sheet,) = (trained.model.parent / "sheets").glob("*.png")
    pixels = np.asarray(Image.open(sheet))
    assert pixels.shape[0] > 6 * 32 and pixels.std() > 5


def test_a_run_does_not_go_on_with_other_images(data, classifier, trained, tmp_path):
    with (data / "manifest.csv").open() as stream:
        header, *rows = csv.reader(stream)
    with (data / "fewer.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([header, *rows[:-2]])
    with pytest.raises(UsageError, match="other images than these"):
        train_unet(data / "fewer.csv", trained.model.parent, options(classifier))


def test_lists_come_from_flags_and_yaml(tmp_path):
    config = tmp_path / "run.yaml"
    config.write_text("strengths: [0.2, 1]\ncritics: [compact]\n")
    assert read_options(UnetOptions, config, {"critics": "compact, mami"}).critics == ("compact", "mami")
    assert read_options(UnetOptions, config, {}).strengths == (0.2, 1.0)
    assert read_options(UnetOptions, None, {"strengths": "0.5,1"}).strengths == (0.5, 1.0)
    for name, given in (("strengths", "strong"), ("strengths", ""), ("critics", ""), ("operators", "")):
        with pytest.raises(UsageError, match=name):
            read_options(UnetOptions, None, {name: given})


def test_a_run_folder_with_other_things_is_refused_before_images_are_read(data, classifier, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    said = []
    with pytest.raises(UsageError, match="holds other files and no run"):
        train_unet(data, tmp_path, options(classifier), said.append)
    assert not said


def test_without_data_it_says_what_it_needs():
    from deid.cli.app import app

    with pytest.raises(UsageError, match="train-unet needs images of patients with several studies"):
        CliRunner().invoke(app, ["train-unet"], catch_exceptions=False, standalone_mode=False)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"operators": ("swirl",)}, "no operator is called swirl"),
        ({"critics": ("nobody",)}, "there is no model nobody"),
        ({"size": 40}, "must be a multiple of 16"),
        ({"encoder": "tu-nonsense"}, "cannot be built from --size, --encoder"),
        ({"k": 2000}, "templates are means over 2000 patients"),
    ],
)
def test_options_that_cannot_be_used(data, classifier, tmp_path, given, message):
    with pytest.raises(UsageError, match=message):
        train_unet(data, tmp_path / "run", options(classifier, **given))


def test_a_critic_must_recognise_patients(data, classifier, tmp_path):
    with pytest.raises(
        UsageError, match="a critic must recognise patients; reader is of the kind classifier"
    ):
        train_unet(data, tmp_path / "run", options(classifier, critics=(str(classifier),)))
