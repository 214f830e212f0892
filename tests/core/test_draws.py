"""Random numbers under a key: normal, reproducible, unrelated from name to name."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from deid.core.draws import normal_values


@given(st.binary(min_size=32, max_size=32), st.text(), st.integers(0, 50))
def test_the_same_key_and_name_give_the_same_values(subkey, name, count):
    values = normal_values(subkey, name, count)
    assert values == normal_values(subkey, name, count)
    assert len(values) == count and all(map(math.isfinite, values))
    assert normal_values(subkey, name, count + 3)[:count] == values


def test_values_are_standard_normal():
    values = np.array(normal_values(bytes(32), "image", 20_000))
    assert abs(values.mean()) < 0.03 and abs(values.std() - 1) < 0.03
    assert abs((np.abs(values) < 1).mean() - 0.6827) < 0.015
    assert abs(np.corrcoef(values[:-1], values[1:])[0, 1]) < 0.03


def test_another_key_or_name_gives_unrelated_values():
    one = np.array(normal_values(bytes(32), "image", 5000))
    for key, name in ((b"1" * 32, "image"), (bytes(32), "imagf")):
        other = np.array(normal_values(key, name, 5000))
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.06


def test_values_never_change_from_release_to_release():
    assert [round(value, 6) for value in normal_values(bytes(range(32)), "instance\x1f1.2.3", 3)] == FIRST


FIRST = [-0.564892, 0.78971, -0.477045]
