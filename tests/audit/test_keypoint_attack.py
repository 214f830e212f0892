"""Keypoint matching: what was moved, cropped and brightened is found again, noise is not."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from audit_sets import QUICK, copy, noise, release
from training.recognition_sets import phantoms

from deid.audit.attackers import TRAINING_FREE, keypoints
from deid.audit.correspondence import agreement
from deid.audit.keypoints import KEYPOINTS, SIDE, find_keypoints
from deid.audit.linkage import linkage, match
from deid.audit.pictures import AuditImages
from deid.audit.reid import reid
from deid.workflows.audit.timing import keypoint_costs

PATIENTS = 24


def moved(originals):
    """A crop of a tenth from above and the left, enlarged, flatter, brighter and with a gamma."""
    side = originals.shape[1]
    part = torch.from_numpy(originals[:, side // 10 :, side // 12 :].copy())[:, None]
    part = torch.nn.functional.interpolate(part, (side, side), mode="bilinear")[:, 0].numpy()
    return np.clip(0.8 * part + 0.15, 0, 1) ** 0.8


def chests(scrub):
    store = phantoms(PATIENTS, 2, 0, size=96)
    originals = store.images.astype(np.float32) / 255
    patients = tuple(sample.patient for sample in store.samples)
    studies = tuple(f"{sample.patient} {sample.study}" for sample in store.samples)
    return AuditImages(originals, scrub(originals), patients, studies, ("DX",) * len(store))


@pytest.fixture(scope="module")
def displaced():
    return chests(moved)


def test_a_moved_picture_is_linked_where_the_hash_fails(displaced):
    methods = linkage(displaced, {})["methods"]
    assert methods["keypoints"]["auc"]["value"] > 0.97 and methods["keypoints"]["rank_1"]["value"] > 0.7
    assert methods["perceptual_hash"]["auc"]["value"] < 0.9
    assert methods["perceptual_hash"]["rank_1"]["value"] < 0.4


def test_the_patient_of_a_moved_picture_is_found_in_another_study(displaced):
    section = reid(displaced, {}, None, replace(QUICK, compared=100))
    found = section["attackers"]
    assert found["keypoints"]["original_original"]["auc"]["value"] > 0.95
    crossed = found["keypoints"]["original_scrubbed"]
    assert crossed["auc"]["lower"] > 0.8
    assert crossed["auc"]["value"] > found["perceptual_hash"]["original_scrubbed"]["auc"]["value"] + 0.1
    assert crossed["rank_1"]["lower"] > crossed["chance_rank_1"] == pytest.approx(1 / PATIENTS, abs=1e-6)
    assert section["training_free"]["attacker"] == "keypoints" and section["verdict"] == "linkable"


def test_noise_is_at_chance():
    images = chests(noise)
    found = reid(images, {}, None, QUICK)["attackers"]["keypoints"]["original_scrubbed"]
    assert found["auc"]["lower"] < 0.5 < found["auc"]["upper"] and found["auc"]["value"] < 0.65
    linked = linkage(images, {})["methods"]["keypoints"]
    assert linked["auc"]["value"] < 0.6 and linked["rank_1"]["value"] < 0.1


def test_an_even_picture_has_no_keypoints_and_agrees_with_nothing():
    pictures = np.stack([np.full((64, 64), 0.5, np.float32), chests(copy).originals[0, :64, :64]])
    found = find_keypoints(pictures)
    assert found.places.shape == (2, KEYPOINTS) and np.isnan(found.places[0]).all()
    assert not found.descriptions[0].any() and not np.isnan(found.places[1]).all()
    known = found.places[1][~np.isnan(found.places[1])]
    assert (known.real < SIDE).all() and (known.imag < SIDE).all()
    scores = agreement(found, found, np.array([0, 0, 1]), np.array([0, 1, 1]))
    assert scores[:2].tolist() == [0, 0] and 0 < scores[2] <= 1


def test_a_turned_picture_agrees_and_a_shuffled_one_does_not():
    picture = chests(copy).originals[:1]
    angle = 0.15
    turn = torch.tensor([[np.cos(angle), -np.sin(angle), 0.05], [np.sin(angle), np.cos(angle), 0]])
    grid = torch.nn.functional.affine_grid(turn[None].float(), [1, 1, 96, 96], align_corners=False)
    turned = torch.nn.functional.grid_sample(
        torch.from_numpy(picture)[:, None], grid, padding_mode="border", align_corners=False
    )[:, 0].numpy()
    quarters = picture.reshape(1, 2, 48, 2, 48)[:, ::-1, :, ::-1].reshape(1, 96, 96)
    found = find_keypoints(np.concatenate([picture, turned, quarters, noise(picture)]))
    same, rotated, torn, nothing = agreement(found, found, np.zeros(4, int), np.arange(4))
    assert same > rotated > 2 * torn and rotated > 3 * nothing


def test_scores_do_not_depend_on_what_else_is_compared(displaced):
    pictures = displaced.scrubbed[:5]
    whole, alone = keypoints(pictures), keypoints(pictures[3:4])
    assert (whole.points.descriptions[3] == alone.points.descriptions[0]).all()
    first, second = np.array([0, 3, 4]), np.array([1, 3, 2])
    scores = whole.scores(whole, first, second)
    assert scores[1] == alone.scores(alone, np.array([0]), np.array([0]))[0]
    queries, gallery = whole.searchable(whole, np.array([0, 3]), np.array([1, 3]))
    assert (queries @ gallery[0].T)[0, 0] == scores[0] and (queries @ gallery[0].T)[1, 1] == scores[1]


def test_large_releases_are_searched_in_part():
    images = release(40, copy)
    options = replace(QUICK, compared=30, impostors=300)
    found = reid(images, {}, None, options)["attackers"]
    assert found["keypoints"]["original_scrubbed"]["gallery"] == 30
    assert found["perceptual_hash"]["original_scrubbed"]["gallery"] == 40
    methods = linkage(images, {}, compared=50)["methods"]
    assert methods["keypoints"]["gallery"] == 50 and methods["pixels"]["gallery"] == 80


def test_the_figures_repeat(displaced):
    some = displaced.at_most(16)
    once, again = (match(some, TRAINING_FREE["keypoints"]) for _ in range(2))
    assert once == again and once["gallery"] == 16


def test_keypoints_are_timed_for_the_estimate():
    finding, matching = keypoint_costs(32)
    assert 0 < finding < 60 and 0 < matching < 60
