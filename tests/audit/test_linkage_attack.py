"""Linkage of scrubbed images to their own originals."""

import json
from dataclasses import replace

from audit_sets import Coarse, copy, mirrored, noise, release

from deid.audit.linkage import linkage


def test_a_copy_is_linked_by_every_method():
    section = linkage(release(20, copy), {"coarse": Coarse()})
    assert section["verdict"] == "linkable" and set(section["methods"]) == {
        "perceptual_hash", "pixels", "keypoints", "embedding coarse"
    }  # fmt: skip
    for method in section["methods"].values():
        assert method["auc"]["value"] > 0.999 and method["rank_1"]["value"] == 1
        assert method["gallery"] == 40 and method["chance_rank_1"] == 0.025


def test_noise_is_linked_to_nothing():
    section = linkage(release(60, noise), {"coarse": Coarse()})
    assert section["verdict"] == "no link found"
    assert section["words"].startswith("no link found by these attackers at N = 60 patients, upper bound")
    for method in section["methods"].values():
        assert method["auc"]["lower"] < 0.5 <= method["auc"]["value"] < 0.6
        assert method["rank_1"]["value"] < 0.05


def test_a_negative_is_linked_as_well_as_the_picture():
    section = linkage(release(40, lambda originals: 1 - originals), {})
    assert section["methods"]["pixels"]["auc"]["value"] > 0.99 and section["verdict"] == "linkable"


def test_a_negative_is_found_first():
    section = linkage(release(40, lambda originals: 1 - originals), {})
    assert section["methods"]["pixels"]["rank_1"]["value"] > 0.9


def some_copies(originals):
    """One image of every fourth patient is as it was."""
    scrubbed = noise(originals)
    scrubbed[::8] = originals[::8]
    return scrubbed


def test_a_few_copies_are_a_link_though_they_hardly_move_the_area():
    section = linkage(release(60, some_copies), {"coarse": Coarse()})
    pixels = section["methods"]["pixels"]
    assert pixels["auc"]["value"] < 0.6 and pixels["rank_1"]["lower"] > 5 * pixels["chance_rank_1"]
    assert section["verdict"] == section["words"] == "linkable"


def test_what_cannot_be_measured_is_said():
    assert linkage(release(4, copy), {})["reason"] == "fewer than 5 patients"
    alone = linkage(replace(release(10, copy), originals=None), {})
    assert alone["status"] == alone["verdict"] == "not assessed" and "methods" not in alone


def test_the_section_holds_no_label_and_repeats():
    images = release(20, mirrored)
    text = json.dumps(linkage(images, {}), allow_nan=False)
    assert text == json.dumps(linkage(images, {}), allow_nan=False)
    assert "secret" not in text
