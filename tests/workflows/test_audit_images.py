"""The pictures of an audit: both sides alike, volumes as slices, labels by file."""

from dataclasses import replace

import numpy as np
import pytest
from builders.anonymizers import save_attacker, save_models

from deid.audit.release import Instance, Release, equal_name_pairs, read_release
from deid.core.errors import UsageError
from deid.core.model_card import read_record
from deid.training.phantoms import make_cohort, write_dicom
from deid.workflows.audit.images import UNEQUAL, chosen_items, load_pictures
from deid.workflows.audit.labels import AMBIGUOUS, UNKNOWN
from deid.workflows.audit.networks import DEFAULT_SIZE, load_networks


def release_of(tmp_path, kind="chest", patients=3, size=32):
    write_dicom(make_cohort(patients, 2, 1, kind, size), tmp_path / "in")
    (tmp_path / "in" / "manifest.csv").unlink()
    return read_release(equal_name_pairs(tmp_path / "in", tmp_path / "in"))


def load(release, tmp_path, **options):
    given = {"size": 48, "most": 100, "seed": 0, "labels": None, "folder": tmp_path} | options
    return load_pictures(release, **given)


def test_both_sides_go_the_same_way(tmp_path):
    images = load(release_of(tmp_path), tmp_path).images
    assert images.scrubbed.shape == (6, 48, 48)
    assert images.scrubbed.dtype == np.float32
    assert np.array_equal(images.originals, images.scrubbed)
    assert 0 <= images.scrubbed.min() < 0.1 < 0.9 < images.scrubbed.max() <= 1
    assert images.patients == ("P1", "P1", "P2", "P2", "P3", "P3")
    assert len(set(images.studies)) == 6


def test_a_series_is_one_volume_of_some_slices(tmp_path):
    release = release_of(tmp_path, "head", patients=1, size=24)
    assert len(release.instances) == 2 * 24
    assert len(chosen_items(release, 100, 0)) == 2
    images = load(release, tmp_path).images
    assert len(images) == 2 * 8  # the default rule
    assert images.sources[0].startswith("MR")


def test_a_side_that_cannot_be_read_is_counted(tmp_path):
    release = release_of(tmp_path)
    first = release.instances[0]
    bad = tmp_path / "bad.dcm"
    bad.write_bytes(first.original.read_bytes()[:400])
    changed = Instance(first.original, bad, "bad.dcm", first.patient, first.study, modality=first.modality)
    pictures = load(Release((changed, *release.instances[1:])), tmp_path)
    assert sum(pictures.left_out.values()) == 1
    assert len(pictures.images) == 5


def test_sides_with_other_slices_are_left_out(tmp_path):
    """One side is a single slice, the other a volume of which the rule takes slices further on."""
    release = release_of(tmp_path, "head", patients=1, size=24)
    paths = [each.original for each in release.instances if each.series == "S1"]
    one = [Instance(path, paths[0], f"{n}", "P1", "T1", "S1", "MR") for n, path in enumerate(paths)]
    pictures = load(Release(tuple(one)), tmp_path)
    assert pictures.images is None
    assert sum(pictures.left_out.values()) == 1
    assert all(reason == UNEQUAL or "volume" in reason for reason in pictures.left_out)


def test_patients_with_several_studies_come_first(tmp_path):
    instances = [
        Instance(None, tmp_path, f"{patient}{study}", f"P{patient}", f"T{patient}{study}", modality="DX")
        for patient in range(10)
        for study in range(2 if patient >= 7 else 1)
    ]
    release = Release(tuple(instances), paired=False)
    taken = chosen_items(release, 6, seed=1)
    assert {item.first.patient for item in taken} == {"P7", "P8", "P9"}
    assert taken == chosen_items(release, 6, seed=1)
    assert len(chosen_items(release, 100, 1)) == len(instances)


def test_children_are_compared_with_children(tmp_path):
    """By patient: one who grew up, or whose age one header does not say, is still compared with himself."""
    release = release_of(tmp_path, patients=5)
    ages = {"P1": (4.0, 6.0), "P2": (17.5, 18.5), "P3": (44.0, None), "P4": (None, None), "P5": (18.0, 18.0)}
    left = {patient: list(given) for patient, given in ages.items()}
    release = replace(
        release,
        instances=tuple(replace(each, view="PA", age=left[each.patient].pop()) for each in release.instances),
    )
    images = load(release, tmp_path).images
    groups = dict(zip(images.patients, images.sources, strict=True))
    assert groups == {
        "P1": "DX PA child",
        "P2": "DX PA child",
        "P3": "DX PA adult",
        "P4": "DX PA any",
        "P5": "DX PA adult",
    }
    assert len(set(zip(images.patients, images.sources, strict=True))) == 5


def test_labels_belong_to_files(tmp_path):
    release = release_of(tmp_path)
    names = [instance.name for instance in release.instances]
    table = tmp_path / "labels.csv"
    table.write_text(f"path,labels\n{names[0]},Edema;Mass\n{names[1]},\n")
    images = load(release, tmp_path, labels=table).images
    assert images.findings == ("Edema", "Mass")
    assert images.labels[:3].tolist() == [[1, 1], [0, 0], [-1, -1]]


def renamed(release):
    """As a scrubber does it: released names that say nothing of the originals'."""
    return replace(
        release,
        instances=tuple(
            replace(each, source=each.name, name=f"released/{number}.dcm")
            for number, each in enumerate(release.instances)
        ),
    )


@pytest.mark.parametrize("by", ["released", "source", "absolute", "beside", "uid"])
def test_labels_may_name_originals(tmp_path, by):
    release = renamed(release_of(tmp_path))
    first, second = release.instances[:2]
    named = {
        "released": lambda each: each.name,
        "source": lambda each: each.source,
        "absolute": lambda each: each.original,
        "beside": lambda each: each.original.relative_to(tmp_path),
        "uid": lambda each: each.uid,
    }[by]
    column = "uid" if by == "uid" else "path"
    table = tmp_path / "labels.csv"
    table.write_text(f"{column},labels\n{named(first)},Edema;Mass\n{named(second)},\n")
    pictures = load(release, tmp_path, labels=table)
    assert pictures.images.labels[:3].tolist() == [[1, 1], [0, 0], [-1, -1]]
    assert pictures.left_out == {}


def test_labels_that_are_not_clear_are_counted_and_not_used(tmp_path):
    release = renamed(release_of(tmp_path))
    one, other, third, fourth = release.instances[:4]
    # The original of the third image lies where another image was released.
    release = replace(
        release,
        instances=(one, other, replace(third, source=fourth.name), *release.instances[3:]),
    )
    table = tmp_path / "labels.csv"
    rows = [
        (one.name, "Edema"),
        (one.source, "Edema"),  # the same once more
        (other.name, "Mass"),
        (other.source, ""),  # and something else
        (fourth.name, "Mass"),
        ("elsewhere.dcm", "Mass"),
        ("", "Mass"),
    ]
    table.write_text("path,labels\n" + "".join(f"{path},{labels}\n" for path, labels in rows))
    pictures = load(release, tmp_path, labels=table)
    assert pictures.images.findings == ("Edema",)
    assert pictures.images.labels[:, 0].tolist() == [1, -1, -1, -1, -1, -1]
    assert pictures.left_out == {AMBIGUOUS: 3, UNKNOWN: 2}


def test_any_file_of_a_volume_names_it(tmp_path):
    release = release_of(tmp_path, "head", patients=1, size=24)
    chosen = [each for each in release.instances if each.series == "S2"]
    table = tmp_path / "labels.csv"
    table.write_text(f"path,labels\n{chosen[5].name},Bleeding\n{chosen[9].name},Bleeding\n")
    images = load(release, tmp_path, labels=table).images
    assert sorted(set(images.labels[:, 0].tolist())) == [-1, 1]


@pytest.mark.parametrize("text", ["", "path\na\n", "a,b\n1,2\n"])
def test_labels_that_cannot_be_used_are_refused(tmp_path, text):
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(UsageError, match="--labels"):
        load(release_of(tmp_path), tmp_path, labels=tmp_path / "labels.csv")


def test_large_arrays_lie_in_the_private_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("deid.workflows.audit.images._IN_MEMORY", 0)
    release = release_of(tmp_path)
    images = load(release, tmp_path).images
    assert isinstance(images.scrubbed, np.memmap)
    assert np.array_equal(images.originals, images.scrubbed)


def test_a_release_without_models_has_pictures_of_the_default_size(monkeypatch, tmp_path):
    monkeypatch.setenv("MAMI_DEID_MODELS", str(tmp_path))
    found = load_networks({"XX"}, None, "", "", "cpu")
    assert (found.frozen, found.shipped, found.classifier, found.anonymizer) == ({}, {}, None, None)
    assert found.size == DEFAULT_SIZE


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return save_models(tmp_path_factory.mktemp("models"))


def test_models_are_taken_by_kind(models, monkeypatch):
    monkeypatch.setenv("MAMI_DEID_MODELS", str(models))
    found = load_networks({"CR", "DX"}, None, "scrubber", "", "cpu")
    assert {"critic", "fresh"} <= found.frozen.keys()
    assert found.shipped == {}
    assert found.anonymizer is not None
    assert found.classifier is not None
    assert {"scrubber", "critic", "fresh"} <= found.digests.keys()
    assert load_networks({"CR", "DX"}, None, "another", "", "cpu").anonymizer is None
    weights = read_record(models / "scrubber").weights
    assert load_networks({"CR", "DX"}, None, "another", weights.sha256, "cpu").anonymizer is not None


def test_an_attacker_of_another_anonymizer_is_not_adapted_to_the_release(tmp_path, monkeypatch):
    folder = save_models(tmp_path)
    save_attacker(folder, "hunter", "scrubber")
    monkeypatch.setenv("MAMI_DEID_MODELS", str(folder))
    known, unknown = (load_networks({"DX"}, None, name, "", "cpu") for name in ("scrubber", ""))
    assert known.shipped.keys() == {"hunter"} and "hunter" not in known.frozen
    assert unknown.shipped == {} and "hunter" in unknown.frozen


def test_what_is_no_anonymizer_is_refused(models, monkeypatch):
    monkeypatch.setenv("MAMI_DEID_MODELS", str(models))
    assert load_networks({"DX"}, "scrubber", "", "", "cpu").anonymizer is not None
    with pytest.raises(UsageError, match="--model takes an anonymizer"):
        load_networks({"DX"}, "critic", "", "", "cpu")
