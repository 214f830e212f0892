"""Cosines of unrelated patients: measured between patients only, bounded, private, gone with the pictures."""

import stat

import numpy as np
import pytest
from builders.reviews import review_entry, review_pictures, review_ref, review_templates

from deid.core import review_store
from deid.core.review_store import ReviewStore
from deid.core.unrelated import LEAST_PATIENTS, MOST_PATIENTS, Template, Templates, unrelated_cosines


@pytest.fixture
def store(tmp_path):
    return ReviewStore(tmp_path / "review")


def of_angle(patient, before, after=None, weights="w"):
    """Templates on a circle; degrees."""
    sides = (np.radians(before), np.radians(before if after is None else after))
    return Templates(
        patient, {"critic": Template(weights, *(np.array([np.cos(a), np.sin(a)], "f4") for a in sides))}
    )


def kept(store):
    return sorted(path.parent.name for path in store.folder.rglob("templates.json"))


def test_only_originals_and_scrubbed_images_of_others_are_compared():
    sample = [of_angle(f"P{number}", 0, 60) for number in range(6)]
    found = unrelated_cosines(sample)["critic"]
    assert (found.median, found.low, found.high, found.own) == (0.5, 0.5, 0.5, 0.5) and found.patients == 6
    spread = unrelated_cosines([of_angle(f"P{number}", 30 * number) for number in range(6)])["critic"]
    assert spread.own == 1 and spread.high < 0.9 and spread.low < spread.median < spread.high


def test_more_images_of_a_patient_make_no_stranger():
    same = [of_angle("P0", 0) for _ in range(20)]
    strangers = [of_angle(f"P{number}", 90) for number in range(1, LEAST_PATIENTS - 1)]
    assert unrelated_cosines(same + strangers) == {}
    found = unrelated_cosines([*same, *strangers, of_angle("P9", 90)])["critic"]
    assert found.patients == LEAST_PATIENTS
    assert unrelated_cosines(of_angle("", number) for number in range(20)) == {}, "nobody knows who they are"


def test_what_does_not_compare_is_not_known():
    sample = [of_angle(f"P{number}", number) for number in range(6)]
    assert unrelated_cosines(sample)
    assert not unrelated_cosines([*sample, of_angle("P7", 3, weights="others")])
    zero = Templates("P7", {"critic": Template("w", np.zeros(2, "f4"), np.zeros(2, "f4"))})
    assert not unrelated_cosines([*sample, zero])
    longer = Templates("P7", {"critic": Template("w", np.ones(3, "f4"), np.ones(3, "f4"))})
    assert not unrelated_cosines([*sample, longer])
    many = unrelated_cosines(of_angle(f"P{number}", number) for number in range(MOST_PATIENTS + 10))
    assert many["critic"].patients == MOST_PATIENTS


def test_the_store_measures_by_model_and_strength_whatever_the_order(store, tmp_path):
    numbers = range(12)
    for number in numbers:
        entry = review_entry(number, strength=0.5 if number % 2 else 1.0)
        store.write(entry, review_pictures(), review_templates(number))
    other = ReviewStore(tmp_path / "other")
    for number in reversed(numbers):
        entry = review_entry(number, strength=0.5 if number % 2 else 1.0)
        other.write(entry, review_pictures(), review_templates(number))
    found = store.unrelated()
    assert set(found) == {("chest-anonymizer", 1.0), ("chest-anonymizer", 0.5)}
    assert found == other.unrelated()
    assert all(
        by["fresh"].patients == 6 and by["fresh"].median > 0.9 > by["frozen"].high for by in found.values()
    )


def test_damaged_templates_count_for_nothing(store):
    for number in range(6):
        store.write(review_entry(number), review_pictures(), review_templates(number))
    for number, text in enumerate(["{", "[]", '{"patient": "P", "critics": {"fresh": {"before": "?"}}}']):
        ref = review_ref(number)
        (store.folder / ref[:1].hex() / ref[1:].hex() / "templates.json").write_text(text)
    assert store.unrelated() == {("chest-anonymizer", 1.0): {}}


def test_templates_are_private_and_go_with_their_pictures(store):
    store.write(review_entry(), review_pictures(), review_templates(0))
    (path,) = store.folder.rglob("templates.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    store.write(review_entry(), review_pictures())
    assert not kept(store), "an earlier image's do not stay"
    store.write(review_entry(), review_pictures(), review_templates(0, patient=""))
    assert not kept(store), "whose they are is not known"
    store.write(review_entry(), review_pictures(), review_templates(0))
    store.remove([review_ref(0)])
    assert not kept(store)


def test_no_more_templates_are_kept_than_are_looked_at(store, monkeypatch):
    monkeypatch.setattr(review_store, "SAMPLED", 7)
    for number in range(20):
        store.write(review_entry(number), review_pictures(), review_templates(number))
    before = store.unrelated()
    store.trim_templates()
    assert kept(store) == sorted(ref[1:].hex() for ref in sorted(map(review_ref, range(20)))[:7])
    assert store.unrelated() == before and len(list(store.entries())) == 20
    store.trim_templates()
    assert len(kept(store)) == 7
