"""Which slices are taken, and how."""

import json
import tracemalloc

import numpy as np
import pytest

from deid.core.errors import UsageError
from deid.core.image import Image
from deid.pixels.network_range import to_network
from deid.pixels.slices import SliceRule, choose_slices, network_slices


def test_the_middle_of_what_is_not_empty_is_cut_into_equal_lengths():
    occupancy = np.zeros(100)
    occupancy[20:70] = 0.5
    occupancy[70:75] = 0.04  # under a tenth of the fullest
    choice = choose_slices(occupancy, SliceRule(count=4, middle=0.8))
    assert choice.frames == (30, 40, 50, 60) and choice.of == 100
    assert choose_slices(occupancy, SliceRule(count=1)).frames == (45,)


def test_a_short_volume_gives_each_slice_once_and_no_count_gives_all():
    full = np.ones(3)
    assert choose_slices(full, SliceRule(count=8, middle=1.0)).frames == (0, 1, 2)
    assert choose_slices(np.array([0, 0, 1.0]), SliceRule(count=None)).frames == (0, 1, 2)
    assert choose_slices(np.zeros(1), SliceRule()).frames == (0,)
    assert choose_slices(np.zeros(5), SliceRule(count=2, middle=1.0)).frames == (1, 3)


def test_parts_give_what_the_whole_gives():
    random = np.random.default_rng(0)
    array = random.integers(0, 900, (40, 12, 10, 1)).astype(np.uint16)
    array[:10] = 0
    whole = Image(array, modality="MR", bits_stored=12)
    asked = []

    def parts():
        asked.append(1)
        return (whole.part(start, start + 7) for start in range(0, 40, 7))

    slices, choice, found = network_slices(parts, SliceRule(count=5))
    unit, expected = to_network(whole)
    assert found == expected and min(choice.frames) >= 10 and len(choice.frames) == 5
    np.testing.assert_array_equal(np.concatenate(list(slices)), unit[list(choice.frames)])
    assert len(asked) == 3


def test_a_thousand_slices_never_stand_in_memory_together():
    def parts():
        for number in range(125):
            yield Image(np.full((8, 128, 128, 1), number + 1, np.uint16), bits_stored=12, modality="MR")

    tracemalloc.start()
    slices, choice, _ = network_slices(parts, SliceRule(count=10, middle=1.0))
    taken = sum(len(units) for units in slices)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert choice.of == 1000 and taken == 10
    assert peak < 12 << 20  # the whole is 32 MB as stored, 64 MB as the networks see it


def test_the_rule_goes_through_json_and_refuses_nonsense():
    rule = SliceRule(count=3)
    assert SliceRule.from_json(json.loads(json.dumps(rule.to_json()))) == rule
    choice = choose_slices(np.ones(9), rule)
    assert json.loads(json.dumps(choice.to_json())) == {
        "rule": {"count": 3, "middle": 0.8},
        "frames": list(choice.frames),
        "of": 9,
    }
    for fields in (
        {"count": 3},
        {"count": "3", "middle": 1},
        {"count": True, "middle": 1},
        {"count": 0, "middle": 1},
    ):
        with pytest.raises(UsageError, match="slice rule"):
            SliceRule.from_json(fields)
