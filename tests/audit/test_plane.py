"""The plane over strengths: a known blend gives a known order, and what cannot be measured says why."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from audit_sets import QUICK, Coarse, copy, release
from test_utility import Bright, labelled
from torch import nn

from deid.audit.gates import check_gates, parse_gate
from deid.audit.plane import PlaneOptions, plane, scrubbed_again, strength_name

HOW = PlaneOptions(QUICK, replicates=50)


class Blend(nn.Module):
    """Mixes noise of its own into each image: of full strength, nothing of the image is left."""

    def __init__(self):
        super().__init__()
        self.strengths = []

    def draw_noise(self, count, generator):
        return torch.rand(count, 32 * 32, generator=generator)

    def forward(self, images, strength, noise):
        self.strengths.append(float(strength[0]))
        wide = strength.view(-1, 1, 1, 1)
        return (1 - wide) * images + wide * noise.view_as(images)


def blended(strength):
    def scrub(originals):
        return scrubbed_again(Blend(), originals, strength, 1)

    return scrub


@pytest.fixture(scope="module")
def section():
    images = labelled(60, blended(0.5))
    return plane(images, Blend(), 0.5, {"coarse": Coarse(), "blind": Blind()}, Bright(), HOW)


class Blind(nn.Module):
    """An attacker who sees brightness only."""

    def embed(self, images):
        return torch.cat([images.mean((2, 3)), torch.ones(len(images), 1)], 1)


def test_more_strength_of_a_known_blend_is_less_of_both(section):
    points = section["strengths"]
    assert list(points) == ["0", "0.33", "0.5", "0.67", "1"]
    assert [each["strength"] for each in points.values()] == pytest.approx(
        [0, 1 / 3, 0.5, 2 / 3, 1], abs=1e-6
    )
    reached, retained, similar = (
        [each[key]["value"] for each in points.values()] for key in ("auc", "retained", "ssim")
    )
    assert reached == sorted(reached, reverse=True) and retained == sorted(retained, reverse=True)
    assert similar == sorted(similar, reverse=True)
    assert reached[0] > 0.9 and abs(reached[-1] - 0.5) < 0.12 and points["1"]["auc"]["lower"] < 0.5
    assert retained[0] == 1 and points["1"]["retained"]["upper"] < 0.95


def test_the_strongest_attacker_stands_for_a_point(section):
    for point in section["strengths"].values():
        values = {name: each["value"] for name, each in point["attackers"].items()}
        assert set(values) == {"coarse", "blind"}
        assert point["auc"]["value"] == max(values.values()) == values[point["attacker"]]


def test_the_findings_of_a_point_are_those_of_the_utility_attack(section):
    finding = section["strengths"]["1"]["findings"]["Left"]
    assert section["basis"] == "labels" and finding["images"] == 120 and finding["positives"] >= 30
    assert finding["after"]["upper"] < finding["before"]["lower"]


def test_the_release_stands_at_its_own_strength_and_can_be_a_gate(section):
    assert section["release"] == section["strengths"]["0.5"]
    gates = ("plane.release.auc>0.5", "plane.strengths.0.33.retained>0.5", "plane.strengths.1.auc<0.8")
    found = check_gates([parse_gate(gate) for gate in gates], {"plane": section})
    assert [each.passed for each in found] == [True, True, True]
    assert found[1].found == section["strengths"]["0.33"]["retained"]["lower"]


def test_a_release_of_unknown_strength_is_measured_without_a_mark():
    images = labelled(30, blended(0.5))
    section = plane(images, Blend(), None, {"coarse": Coarse()}, None, HOW)
    assert list(section["strengths"]) == ["0", "0.33", "0.67", "1"]
    assert "strength" in section["release"]["reason"]
    (gate,) = check_gates([parse_gate("plane.release.auc<0.9")], {"plane": section})
    assert not gate.passed and gate.reason == "not assessed"


def test_without_labels_or_classifier_something_else_stands_for_utility():
    images = release(30, blended(0.5))
    agreement = plane(images, Blend(), 1.0, {"coarse": Coarse()}, Bright(), HOW)
    assert agreement["basis"] == "agreement of the classifier with itself"
    assert agreement["strengths"]["0"]["retained"]["value"] == pytest.approx(1)
    alike = plane(images, Blend(), 1.0, {"coarse": Coarse()}, None, HOW)
    assert alike["basis"] == "structural similarity"
    assert all(each["retained"] == each["ssim"] for each in alike["strengths"].values())


def test_only_pictures_that_the_release_changed_are_scrubbed_again_and_no_more_than_asked():
    images = release(40, blended(0.5))
    scrubbed = images.scrubbed.copy()
    scrubbed[:40] = images.originals[:40]
    images = replace(images, scrubbed=scrubbed)
    assert plane(images, Blend(), 1.0, {"coarse": Coarse()}, None, HOW)["images"] == 40
    few = plane(images, Blend(), 1.0, {"coarse": Coarse()}, None, replace(HOW, images=20))
    assert few["images"] == 20 and few["patients"] == 10
    assert plane(release(20, copy), Blend(), 0.0, {"coarse": Coarse()}, None, HOW)["images"] == 40


def test_at_strength_zero_no_network_touches_a_picture():
    images, blend = release(10, copy), Blend()
    assert scrubbed_again(blend, images.originals, 0.0, 1) is images.originals
    made = scrubbed_again(blend, images.originals, 0.5, 1)
    assert blend.strengths == [0.5] and made.dtype == np.float32 and 0 <= made.min() <= made.max() <= 1
    assert np.array_equal(made, scrubbed_again(blend, images.originals, 0.5, 1))
    assert not np.array_equal(made, scrubbed_again(blend, images.originals, 0.5, 2))


@pytest.mark.parametrize(
    ("changes", "recognisers", "anonymizer", "reason"),
    [
        ({"originals": None}, {"coarse": Coarse()}, Blend(), "no originals to scrub again"),
        ({}, {"coarse": Coarse()}, None, "the model is not installed"),
        ({}, {}, Blend(), "no network that recognises patients"),
        ({"studies": ("one",) * 20}, {"coarse": Coarse()}, Blend(), "fewer than 5 patients"),
    ],
)
def test_what_cannot_be_measured_is_said(changes, recognisers, anonymizer, reason):
    images = replace(release(10, blended(0.5)), **changes)
    section = plane(images, anonymizer, 0.5, recognisers, None, HOW, "the model is not installed")
    assert section["status"] == "not assessed" and reason in section["reason"]


def test_the_section_holds_no_label_and_repeats(section):
    images = labelled(60, blended(0.5))
    again = plane(images, Blend(), 0.5, {"coarse": Coarse(), "blind": Blind()}, Bright(), HOW)
    text = json.dumps(section, allow_nan=False)
    assert text == json.dumps(again, allow_nan=False) and "secret" not in text


@pytest.mark.parametrize(("strength", "name"), [(0, "0"), (1 / 3, "0.33"), (0.5, "0.5"), (1.0, "1")])
def test_a_strength_is_named_by_two_digits_at_most(strength, name):
    assert strength_name(strength) == name
