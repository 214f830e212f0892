"""Stored values to 0..1 and back."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deid.core.errors import Held, UsageError
from deid.core.image import Image, ModalityLut, Rescale
from deid.pixels.network_range import (
    NOT_INVERTIBLE,
    IntensityRule,
    NetworkRange,
    apply_range,
    from_network,
    measure_range,
    to_network,
)


def image(values, **fields):
    array = np.asarray(values)
    while array.ndim < 3:
        array = array[None]
    return Image(array[..., None] if array.ndim == 3 else array, **fields)


@st.composite
def images(draw):
    bits = draw(st.integers(8, 16))
    signed = draw(st.booleans())
    dtype = ("i" if signed else "u") + ("1" if bits == 8 else "2")
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    few = draw(st.sampled_from([(low, high), (0, 1), (5, 5), (low, low + 20), (0, high // 3)]))
    seed = draw(st.integers(0, 2**32 - 1))
    frames = draw(st.integers(1, 3))
    random = np.random.default_rng(seed)
    array = random.integers(few[0], few[1] + 1, (frames, 9, 7, 1)).astype(dtype)
    each = st.builds(
        Rescale, st.sampled_from([1.0, 0.5, -2.0, 1.7e-4, 3000.0]), st.sampled_from([0.0, -1024, 0.3])
    )
    rescale = tuple(draw(st.lists(each, min_size=frames, max_size=frames)))
    lut = None
    if draw(st.booleans()) and draw(st.booleans()):
        lut = ModalityLut(int(few[0]), np.sort(random.integers(0, 4096, 300)))
    return Image(
        array,
        modality=draw(st.sampled_from(["CT", "MR", "DX"])),
        photometric=draw(st.sampled_from(["MONOCHROME1", "MONOCHROME2"])),
        bits_stored=bits,
        signed=signed,
        rescale=rescale if draw(st.booleans()) else rescale[:1],
        lut=lut,
        units=draw(st.sampled_from(["", "HU"])),
        padding=draw(st.sampled_from([None, (low, low), (few[0], few[0] + 3)])),
    )


@settings(max_examples=150, deadline=None)
@given(images())
def test_an_image_nobody_changed_comes_back_bit_for_bit(original):
    unit, found = to_network(original)
    assert unit.dtype == np.float32 and unit.shape == original.array.shape[:3]
    assert unit.min() >= 0 and unit.max() <= 1
    back = from_network(unit, found, original)
    np.testing.assert_array_equal(back.array, original.array)
    # the same through the table of stored values: one pixel is changed, all others must not move
    if found.low == found.high:
        return
    touched = unit.copy()
    touched[0, 0, 0] = 1 - round(float(touched[0, 0, 0]))
    back = from_network(touched, found, original)
    np.testing.assert_array_equal(back.array.reshape(-1)[1:], original.array.reshape(-1)[1:])


@settings(max_examples=100, deadline=None)
@given(images(), st.integers(0, 2**32 - 1))
def test_a_changed_image_is_read_as_what_the_network_made(original, seed):
    unit, found = to_network(original)
    made = np.random.default_rng(seed).random(unit.shape, np.float32)
    back = from_network(made, found, original)
    low, high = original.stored_range
    assert back.array.dtype == original.array.dtype
    assert low <= back.array.min() and back.array.max() <= high
    padding = original.padding or (1, 0)
    pads = (original.array >= padding[0]) & (original.array <= padding[1])
    np.testing.assert_array_equal(back.array[pads], original.array[pads])
    changed = back.array != original.array
    assert not ((back.array >= padding[0]) & (back.array <= padding[1]) & changed).any()


def test_a_change_survives_to_half_a_step():
    random = np.random.default_rng(0)
    original = image(random.integers(0, 4096, (2, 40, 40)).astype(np.uint16), bits_stored=12, modality="MR")
    unit, found = to_network(original)
    made = np.clip(unit * 0.5 + 0.2, 0, 1)
    again = apply_range(from_network(made, found, original), found)
    assert np.abs(again - made).max() <= 0.5 / (found.high - found.low) + 1e-6


def test_ct_has_a_fixed_window_whatever_else_is_in_the_picture():
    stored = np.array([[0, 24, 1024, 2024, 4000]], np.uint16)
    ct = image(stored, modality="CT", units="HU", bits_stored=12, rescale=(Rescale(1, -1024),))
    unit, found = to_network(ct)
    np.testing.assert_allclose(unit[0, 0], [0, 0, 0.5, 1, 1])
    assert found == NetworkRange("ct window", -1000.0, 1000.0, False)
    raw = image(stored, modality="CT", bits_stored=12)
    assert to_network(raw)[1].method == "percentiles"


def test_percentiles_are_those_of_the_pixels_that_are_no_padding():
    stored = np.arange(1000, dtype=np.uint16).reshape(20, 50)
    padded = np.concatenate([stored, np.full((200, 50), 4095, np.uint16)])
    _, plain = to_network(image(stored, bits_stored=12, modality="DX"))
    unit, found = to_network(image(padded, bits_stored=12, modality="DX", padding=(4095, 4095)))
    assert (found.low, found.high) == (plain.low, plain.high) == (4.0, 994.0)
    assert (unit[0, 20:] == 0).all()


def test_monochrome1_is_inverted_and_its_padding_stays_black():
    stored = np.array([[0, 50, 100, 255]], np.uint8)
    unit, found = to_network(image(stored, photometric="MONOCHROME1", padding=(255, 255)))
    np.testing.assert_allclose(unit[0, 0], [1, 0.5, 0, 0])
    assert found.inverted


@pytest.mark.parametrize("value", [0, 7, 255])
def test_a_constant_image_is_black_and_comes_back(value):
    original = image(np.full((4, 5), value, np.uint8))
    unit, found = to_network(original)
    assert not unit.any() and found.low == found.high == value
    assert from_network(np.ones_like(unit), found, original) is original


def test_a_binary_image_keeps_its_two_values():
    mask = np.zeros((100, 100), np.uint8)
    mask[3, 4] = 200  # far fewer pixels than half a percent
    unit, found = to_network(image(mask))
    assert (found.low, found.high) == (0, 200)
    assert unit[0, 3, 4] == 1 and unit.sum() == 1


def test_an_image_of_padding_alone_is_black():
    unit, found = to_network(image(np.full((3, 3), 9, np.uint8), padding=(9, 9)))
    assert not unit.any() and found.low == found.high == 0


def test_a_lut_that_is_not_monotonic_lets_nothing_be_changed():
    lut = ModalityLut(0, np.array([0, 10, 5, 20]))
    original = image(np.array([[0, 1, 2, 3]], np.uint8), lut=lut, bits_stored=2)
    unit, found = to_network(original)
    assert from_network(unit, found, original) is original
    with pytest.raises(Held, match=NOT_INVERTIBLE):
        from_network(1 - unit, found, original)


def test_what_lies_outside_the_range_is_kept_where_the_network_left_it_at_that_end():
    ct = image(
        np.array([[0, 1000, 3000, 3500]], np.uint16),
        **{"modality": "CT", "units": "HU", "bits_stored": 12, "rescale": (Rescale(1, -1024),)},
    )
    unit, found = to_network(ct)
    made = unit.copy()
    made[0, 0, 1], made[0, 0, 3] = 0.5, 0.25
    assert from_network(made, found, ct).array.ravel().tolist() == [0, 1024, 3000, 524]


def test_frames_of_one_object_share_one_range_and_parts_give_the_same():
    random = np.random.default_rng(1)
    rescale = tuple(Rescale(slope, 2.0) for slope in (1.0, 2.0, 1.0, 0.5))
    whole = image(
        random.integers(-500, 500, (4, 30, 20)).astype(np.int16),
        **{"bits_stored": 16, "signed": True, "rescale": rescale, "modality": "PT"},
    )
    unit, found = to_network(whole)
    parts = [whole.part(0, 1), whole.part(1, 4)]
    assert measure_range(parts) == found
    np.testing.assert_array_equal(np.concatenate([apply_range(part, found) for part in parts]), unit)
    values = np.sort(
        np.concatenate([f.ravel() * r.slope + 2.0 for f, r in zip(whole.array, rescale, strict=True)])
    )
    assert found.low == np.percentile(values, 0.5, method="inverted_cdf")
    assert found.high == np.percentile(values, 99.5, method="inverted_cdf")


def test_floating_point_volumes_ignore_what_is_no_number():
    values = np.linspace(-3, 7, 4000).reshape(1, 40, 100, 1)
    values[0, 0, :5] = np.nan
    values[0, 1, 0] = np.inf
    original = Image(values, bits_stored=64, signed=True)
    unit, found = to_network(original)
    assert np.isfinite(unit).all() and unit[0, 0, 0] == 0
    assert found.low == pytest.approx(-2.95, abs=0.02)
    np.testing.assert_array_equal(from_network(unit, found, original).array, values)
    made = from_network(np.clip(unit + 0.1, 0, 1), found, original)
    np.testing.assert_allclose(apply_range(made, found)[0, 5], np.clip(unit[0, 5] + 0.1, 0, 1), atol=1e-6)


def test_colour_is_its_luminance_and_keeps_its_hue():
    random = np.random.default_rng(2)
    rgb = Image(random.integers(30, 200, (1, 20, 20, 3)).astype(np.uint8), photometric="RGB", modality="US")
    unit, found = to_network(rgb)
    assert unit.shape == (1, 20, 20)
    np.testing.assert_array_equal(from_network(unit, found, rgb).array, rgb.array)
    made = from_network(np.clip(unit + 0.1, 0, 1), found, rgb).array.astype(int)
    assert (np.ptp(made - rgb.array, axis=-1) == 0).all() and made.mean() > rgb.array.mean()
    ybr = Image(rgb.array, photometric="YBR_FULL", modality="US")
    unit, found = to_network(ybr)
    changed = from_network(1 - unit, found, ybr).array
    np.testing.assert_array_equal(changed[..., 1:], ybr.array[..., 1:])


def test_rule_and_range_go_through_json():
    rule = IntensityRule(ct_width=1500)
    assert IntensityRule.from_json(json.loads(json.dumps(rule.to_json()))) == rule
    _, found = to_network(image(np.arange(9, dtype=np.uint8)))
    assert json.loads(json.dumps(found.to_json()))["method"] == "percentiles"
    for fields in ({}, {**rule.to_json(), "more": 1}, {**rule.to_json(), "ct_width": "x"}):
        with pytest.raises(UsageError, match="ct_width"):
            IntensityRule.from_json(fields)
    with pytest.raises(UsageError, match="percentiles must rise"):
        IntensityRule(low_percentile=50, high_percentile=50)
