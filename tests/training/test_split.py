"""Patients go to one side each, and near-duplicates together."""

import io

import numpy as np
import pytest
from PIL import Image as Picture

from deid.core.errors import UsageError
from deid.training.split import _ranks, joined_patients, near_duplicates, part_of, split_patients


def test_the_part_of_a_patient_is_fixed_for_good():
    found = [part_of(f"P{number}") for number in range(6)]
    assert found == [
        "train",
        "test",
        "train",
        "train",
        "test",
        "train",
    ]
    counts = dict.fromkeys(("train", "validation", "test"), 0)
    for number in range(20_000):
        counts[part_of(f"patient {number}")] += 1
    assert abs(counts["train"] - 14_000) < 300 and abs(counts["validation"] - 2_000) < 200


def test_no_patient_is_on_two_sides_and_every_image_on_one():
    patients = [f"P{number % 300}" for number in range(2000)]
    split = split_patients(patients)
    sides = [{patients[i] for i in part} for part in (split.train, split.validation, split.test)]
    assert not sides[0] & sides[1] and not sides[0] & sides[2] and not sides[1] & sides[2]
    assert sorted(np.concatenate([split.train, split.validation, split.test])) == list(range(2000))


def test_duplicates_carry_all_their_patients_to_one_side():
    patients = [f"P{number}" for number in range(200)]
    chain = [(number, number + 1) for number in range(0, 60, 2)] + [(1, 2), (3, 4)]
    split = split_patients(patients, chain)
    side = {int(i): name for name in ("train", "validation", "test") for i in getattr(split, name)}
    assert all(side[one] == side[other] for one, other in chain)
    head = joined_patients(patients, chain)
    assert head["P5"] == "P0" and head["P199"] == "P199"
    assert split_patients(patients, chain[::-1]).test.tolist() == split.test.tolist()


def test_fractions_must_be_shares():
    with pytest.raises(UsageError, match="add up to 1"):
        split_patients(["P"], fractions=(0.7, 0.7, 0.1))
    assert len(split_patients(["P", "Q"], fractions=(0, 0, 1)).test) == 2


def smooth(random):
    coarse = random.integers(0, 255, (7, 7)).astype(np.uint8)
    return np.asarray(Picture.fromarray(coarse).resize((112, 112), Picture.Resampling.BICUBIC))


def test_copies_are_found_and_other_pictures_are_not():
    random = np.random.default_rng(0)
    images = [smooth(random) for _ in range(300)]
    buffer = io.BytesIO()
    Picture.fromarray(images[3]).save(buffer, "JPEG", quality=60)
    images.append(np.asarray(Picture.open(buffer)))
    images.append(((images[7] / 255) ** 1.5 * 255).astype(np.uint8))
    coarse = Picture.fromarray(images[11]).resize((64, 64)).resize((112, 112))
    images.append(np.asarray(coarse))
    images += [np.zeros((112, 112), np.uint8), np.zeros((112, 112), np.uint8)]
    assert near_duplicates(np.stack(images)) == [(3, 300), (7, 301), (11, 302)]
    assert near_duplicates(np.zeros((0, 32, 32), np.uint8)) == []


def test_a_black_background_makes_no_two_images_alike():
    """As of skull-stripped heads: the same outline, other contents, zeros around."""
    random = np.random.default_rng(1)
    down, across = np.mgrid[:112, :112] / 112 - 0.5
    inside = down**2 + across**2 < 0.09
    images = [np.where(inside, 60 + smooth(random) // 2, 0).astype(np.uint8) for _ in range(60)]
    copy = np.where(inside, np.clip(images[5] * 0.9 + 3, 0, 255), 0).astype(np.uint8)
    assert near_duplicates(np.stack([*images, copy])) == [(5, 60)]


def test_equal_values_share_the_mean_of_their_ranks():
    found = _ranks(np.array([7, 0, 0, 3, 0], np.float32))
    assert found.tolist() == [2, -1, -1, 1, -1]
    assert _ranks(np.zeros(4, np.float32)).tolist() == [0, 0, 0, 0]
