"""Identity cues in the pixels: which images are changed, how, and what is said of it."""

import copy
import json
import shutil
import sqlite3
import sys

import numpy as np
import pydicom
import pytest
from builders.anonymizers import save_models
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)
from workflows.command import Tool

from deid.core.errors import Held
from deid.core.staging import Staging
from deid.dicom.pixels import read_image
from deid.training.phantoms import make_cohort, write_dicom
from deid.workflows.scrub.identity_setup import identity_setup
from deid.workflows.scrub.options import Encapsulated, Identity, OnRisk, ScrubOptions

UNTOUCHED = "the network left every pixel as it is"
UNFAMILIAR = "the image does not look like those that the model was trained on"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return save_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def chests(tmp_path_factory):
    """Four patients with two chest radiographs each, none of them held for burned-in text."""
    folder = tmp_path_factory.mktemp("chests") / "in"
    write_dicom(make_cohort(4, 2, 11, "chest", 64), folder)
    (folder / "manifest.csv").unlink()
    return folder


@pytest.fixture
def tool(tmp_path, models):
    made = Tool(tmp_path)
    made.environment |= {"MAMI_DEID_MODELS": str(models)}
    return made


@pytest.fixture
def direct(tool, models, monkeypatch):
    """The workflow in this process, with the small model."""
    monkeypatch.setenv("MAMI_DEID_MODELS", str(models))
    options = {"model": "scrubber", "held_limit": None}
    return lambda source, **more: tool.direct(source, **(options | more))


def only(tool, *options):
    """Options that name the small model, so that models of the checkout play no part."""
    return ("--model", "scrubber", *options)


def outputs(folder):
    return sorted(path for path in folder.rglob("*.dcm"))


def pixels(path):
    return read_image(path).array


def by_size(folder):
    """Pixels of all files, in an order that does not depend on names."""
    return sorted((pixels(path) for path in folder.rglob("*.dcm")), key=lambda array: array.tobytes())


def details(tool):
    (journal,) = tool.state.glob("journal-*.sqlite")
    with sqlite3.connect(journal) as connection:
        rows = connection.execute("SELECT details FROM units WHERE status='released'").fetchall()
    return [json.loads(row[0]) for row in rows]


def test_a_covered_image_is_changed_and_says_so(tool, chests):
    summary = tool.scrub(chests, *only(tool))
    assert summary["identity_removed"] == {"scrubber, strength 1": 8}
    assert summary["identity_not_removed"] == {}
    before, after = by_size(chests), by_size(tool.out)
    assert len(after) == 8
    for path in outputs(tool.out):
        dataset = pydicom.dcmread(path)
        assert dataset.ImageType[0] == "DERIVED"
        assert (
            "scrubber" in dataset.DerivationDescription
            and "not for diagnosis" in dataset.DerivationDescription
        )
        assert dataset.pixel_array.shape == (64, 64)
        assert dataset.PatientIdentityRemoved == "YES"
        assert "strength" not in str(dataset).lower()
    known = {array.tobytes() for array in before}
    assert not any(array.tobytes() in known for array in after)


def test_the_journal_has_the_proof_and_the_file_has_not(tool, chests):
    tool.scrub(chests, *only(tool))
    for found in details(tool):
        proof = found["identity"]
        assert proof["model"] == "scrubber" and proof["strength"] == 1
        assert set(proof["critics"]) >= {"critic", "fresh"}
        assert all(-1 <= cosine <= 1 for cosine in proof["critics"].values())
        assert set(proof["findings"]) >= {"Effusion", "Mass"}
        assert proof["psnr"] < 60 and proof["ssim"] < 1
    done = tool.run("review", "--out", tool.out, "--state", tool.state, status=0)
    assert b"review.html" in done.stdout + done.stderr
    page = (tool.state / "review.html").read_text()
    assert page.count("data:image/png") >= 8 or page.count("iVBOR") >= 8


def test_what_is_not_changed_any_more_leaves_the_review(tool, chests):
    tool.scrub(chests, *only(tool, "--no-proof"))
    assert len(list((tool.state / "review").rglob("entry.json"))) == 8
    tool.scrub(chests, *only(tool, "--identity", "off", "--replace"))
    assert not list((tool.state / "review").rglob("entry.json"))


def test_what_was_not_written_after_all_is_not_in_the_review(tool, chests, direct, monkeypatch):
    def full(self):
        raise Held("cannot be written: no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Staging, "commit", full)
        summary = direct(chests, proof=False)
    assert summary.released == 0 and not list(tool.state.rglob("entry.json"))


def test_pictures_of_an_earlier_release_do_not_stay(tool, chests, direct):
    direct(chests, proof=False)
    assert len(list(tool.state.rglob("entry.json"))) == 8
    direct(chests, proof=False, strength=0.33, review=0.0, replace=True)
    assert not list(tool.state.rglob("entry.json"))


def test_what_is_held_later_for_its_risk_leaves_the_review(tool, chests, tmp_path, direct):
    source = changed(chests, tmp_path / "one", BurnedInAnnotation="YES")
    direct(source, proof=False, on_risk=OnRisk.RELEASE)
    assert len(list(tool.state.rglob("entry.json"))) == 1
    direct(source, proof=False, replace=True)
    assert not outputs(tool.out) and not list(tool.state.rglob("entry.json"))


def test_without_proof_and_review_nothing_is_kept(tool, chests):
    tool.scrub(chests, *only(tool, "--no-proof", "--review", "0"))
    assert all(found["identity"]["critics"] == {} for found in details(tool))
    assert not (tool.state / "review").exists()


def test_at_strength_0_pixels_stay_bit_for_bit_and_nothing_says_otherwise(tool, chests):
    summary = tool.scrub(chests, *only(tool, "--strength", "0"))
    assert [a.tobytes() for a in by_size(chests)] == [a.tobytes() for a in by_size(tool.out)]
    assert (summary["identity_removed"], summary["identity_not_removed"]) == ({}, {UNTOUCHED: 8})
    for path in outputs(tool.out):
        dataset = pydicom.dcmread(path)
        assert dataset.ImageType[0] == "ORIGINAL" and "DerivationDescription" not in dataset
        assert "ID_CUES_REMOVED" not in str(dataset)
    assert not list(tool.state.rglob("entry.json"))


def test_pixels_that_stay_are_held_where_a_change_is_required(tool, chests, direct):
    summary = direct(chests, identity=Identity.REQUIRE, strength=0.0)
    assert dict(summary.held) == {f"identity: {UNTOUCHED}": 8} and not outputs(tool.out)


@pytest.mark.parametrize(
    "values",
    [
        {"NumberOfFrames": "0"},
        {"EncapsulatedDocument": b"%PDF", "MIMETypeOfEncapsulatedDocument": "application/pdf"},
    ],
)
def test_no_header_talks_pixels_away(tool, chests, tmp_path, direct, values):
    source = changed(chests, tmp_path / "one", **values)
    summary = direct(source, identity=Identity.REQUIRE, encapsulated=Encapsulated.KEEP)
    assert dict(summary.changed) == {"scrubber, strength 1": 1}
    (before,), (after,) = by_size(source), by_size(tool.out)
    assert not np.array_equal(before, after)


SYNTAXES = (
    *(ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian),
    *(RLELossless, JPEG2000Lossless, JPEGLSLossless),
)


@pytest.mark.parametrize("strength", ["0", "1"])
def test_the_transfer_syntax_stays(tool, chests, tmp_path, strength):
    """Also at strength 0, where the file goes through as it is; the writer has tests of its own."""
    source = tmp_path / "one"
    source.mkdir()
    original = pydicom.dcmread(next(chests.rglob("*.dcm")))
    for number, syntax in enumerate(SYNTAXES):
        dataset = recoded(original, syntax)
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
        dataset.InstanceNumber = number
        pydicom.dcmwrite(source / f"{number}.dcm", dataset, enforce_file_format=True)
    summary = tool.scrub(source, *only(tool, "--strength", strength))
    assert summary["released"] == len(SYNTAXES)
    assert summary["identity_removed"] == ({"scrubber, strength 1": len(SYNTAXES)} if strength == "1" else {})
    for path in outputs(tool.out):
        written = pydicom.dcmread(path)
        assert written.file_meta.TransferSyntaxUID == SYNTAXES[written.InstanceNumber]
        assert np.array_equal(written.pixel_array, original.pixel_array) == (strength == "0")


def recoded(original, syntax):
    dataset = Dataset(copy.deepcopy(original))
    dataset.file_meta = copy.deepcopy(original.file_meta)
    if syntax.is_compressed and syntax.is_encapsulated:
        dataset.compress(syntax, original.pixel_array, generate_instance_uid=False)
        return dataset
    if not syntax.is_little_endian:
        dataset.PixelData = original.pixel_array.astype(">u2").tobytes()
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


def test_the_same_bytes_whatever_the_jobs(tool, chests, tmp_path, key):
    for name, jobs in (("one", 1), ("two", 2)):
        tool.scrub(
            chests, *only(tool, "--key-file", key, "--jobs", jobs), out=tmp_path / name,
            state=tmp_path / f"{name}-state",
        )  # fmt: skip
    one, two = (
        {str(p.relative_to(tmp_path / name)): p.read_bytes() for p in outputs(tmp_path / name)}
        for name in ("one", "two")
    )
    assert one == two and len(one) == 8


def test_another_key_gives_other_pixels(tool, chests, tmp_path):
    for name in ("one", "two"):
        tool.scrub(chests, *only(tool), out=tmp_path / name, state=tmp_path / f"{name}-state")
    one, two = ({a.tobytes() for a in by_size(tmp_path / name)} for name in ("one", "two"))
    assert not one & two


def test_another_strength_is_another_release(tool, chests):
    tool.scrub(chests, *only(tool))
    tool.scrub(chests, *only(tool, "--strength", "light"), status=2)
    summary = tool.scrub(chests, *only(tool, "--strength", "light", "--replace"))
    assert summary["identity_removed"] == {"scrubber, strength 0.33": 8}
    again = tool.scrub(chests, *only(tool, "--strength", "light"))
    assert again["unchanged"] == 8 and again["identity_removed"] == {"scrubber, strength 0.33": 8}


def changed(chests, folder, **values):
    """One radiograph with other header values."""
    folder.mkdir()
    dataset = pydicom.dcmread(next(chests.rglob("*.dcm")))
    for name, value in values.items():
        setattr(dataset, name, value)
    dataset.save_as(folder / "image.dcm", enforce_file_format=True)
    return folder


OTHERS = {
    "no model for this modality": {"Modality": "MG"},
    "no model for this view": {"ViewPosition": "LL"},
    "no model for this body part": {"BodyPartExamined": "KNEE"},
    "image for processing, not for presentation": {"PresentationIntentType": "FOR PROCESSING"},
    UNFAMILIAR: {},
}


def test_what_no_model_covers_keeps_its_pixels(tool, chests, tmp_path):
    source = tmp_path / "others"
    source.mkdir()
    for number, values in enumerate(OTHERS.values()):
        dataset = pydicom.dcmread(next(chests.rglob("*.dcm")))
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
        for name, value in values.items():
            setattr(dataset, name, value)
        if not values:
            dataset.PixelData = np.rot90(dataset.pixel_array).tobytes()
        dataset.save_as(source / f"{number}.dcm", enforce_file_format=True)
    summary = tool.scrub(source, *only(tool))
    assert summary["identity_not_removed"] == dict.fromkeys(sorted(OTHERS), 1)
    assert summary["identity_removed"] == {} and summary["released"] == len(OTHERS)
    assert all(reason in summary["levels"]["identity in the image"] for reason in OTHERS)
    assert [a.tobytes() for a in by_size(source)] == [a.tobytes() for a in by_size(tool.out)]
    held = tool.scrub(source, *only(tool, "--identity", "require", "--replace"), status=3)
    assert held["held_by_reason"] == {f"identity: {reason}": 1 for reason in OTHERS}


def test_a_recipe_that_retains_uids_changes_no_pixels(tool, chests, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("options: [retain-uids]\n")
    done = tool.scrub(chests, *only(tool, "--recipe", recipe))
    assert done["identity_not_removed"] == {"the recipe retains UIDs, which a changed image may not keep": 8}


def test_off_leaves_pixels_and_loads_no_network(tool, chests):
    summary = tool.scrub(chests, *only(tool, "--identity", "off"))
    assert summary["identity_removed"] == summary["identity_not_removed"] == {}
    assert "off" in summary["levels"]["identity in the image"]
    assert [a.tobytes() for a in by_size(chests)] == [a.tobytes() for a in by_size(tool.out)]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--identity", "maybe"), "auto, require, off"),
        (("--strength", "1.5"), "from 0 to 1"),
        (("--strength", "very"), "light, medium, strong"),
        (("--model", "critic"), "takes an anonymizer"),
        (("--model", "nobody"), "there is no model nobody"),
        (("--model", "/nowhere/scrubber"), "no model.json can be read in that folder"),
        (("--model", "a" * 300), "name is not valid"),
        (("--device", "tpu"), "auto, cpu, cuda, mps"),
        pytest.param(
            ("--device", "mps"),
            "there is no such device here",
            marks=pytest.mark.skipif(sys.platform == "darwin", reason="has such a device"),
        ),
    ],
)
def test_options_that_cannot_be(tool, chests, options, words):
    done = tool.run("scrub", chests, tool.out, "--state", tool.state, *options, status=2)
    assert words in done.stderr.decode().replace("\n", " ")
    assert not tool.out.exists()


@pytest.mark.parametrize("name", ["scrubber", "critic"])
def test_damaged_weights_stop_the_run(tool, chests, models, tmp_path, monkeypatch, name):
    damaged = copied(models, tmp_path, monkeypatch)
    weights = damaged / name / "weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert f"the weights of the model {name} are damaged" in tool.refused(chests, model="scrubber")


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [("critic", "{", "junk {"), ("scrubber", '"ct_width": 2000.0', '"ct_width": -5')],
)
def test_a_record_that_cannot_be_used_is_named(tool, chests, models, tmp_path, monkeypatch, name, old, new):
    manifest = copied(models, tmp_path, monkeypatch) / name / "model.json"
    text = manifest.read_text()
    assert old in text
    manifest.write_text(text.replace(old, new, 1))
    assert f"the model {name} cannot be used" in tool.refused(chests, model="scrubber")


def test_a_network_that_does_not_load_holds_what_it_would_change(tool, chests, models, tmp_path, monkeypatch):
    manifest = copied(models, tmp_path, monkeypatch) / "scrubber" / "model.json"
    manifest.write_text(manifest.read_text().replace("tu-regnetx_002", "nonsense"))
    summary = tool.direct(chests, model="scrubber")
    assert dict(summary.held) == {"identity: a model cannot be loaded; import it again": 8}


def test_a_model_that_covers_other_images_makes_another_release(tool, chests, models, tmp_path, monkeypatch):
    manifest = copied(models, tmp_path, monkeypatch) / "scrubber" / "model.json"
    before = identity_setup(ScrubOptions(chests, tool.out, model="scrubber"), retains_uids=False)
    manifest.write_text(manifest.read_text().replace('"high_percentile": 99.5', '"high_percentile": 98.0'))
    after = identity_setup(ScrubOptions(chests, tool.out, model="scrubber"), retains_uids=False)
    assert before.digest != after.digest


def copied(models, tmp_path, monkeypatch):
    folder = tmp_path / "copied"
    shutil.copytree(models, folder)
    monkeypatch.setenv("MAMI_DEID_MODELS", str(folder))
    return folder
