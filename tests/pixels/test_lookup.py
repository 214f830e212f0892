"""Tables find what a search finds."""

import numpy as np
import pytest

from deid.pixels.lookup import LONGEST_LINE, Line, Nearest, looked_up, pieces

RNG = np.random.default_rng(3)
TARGETS = {
    "one": np.array([0.4]),
    "8 bits": np.linspace(0, 1, 256),
    "16 bits": np.linspace(0, 1, 65536),
    "uneven": np.unique(RNG.random(4000) ** 8),
    "too dense for the table": np.linspace(0.5, 0.5 + 1e-6, 100),
}


@pytest.mark.parametrize("name", TARGETS)
def test_the_nearest_is_that_of_a_search(name):
    targets = TARGETS[name]
    middles = (targets[1:] + targets[:-1]) / 2
    ends = np.array([0, 1, np.nextafter(np.float32(1), np.float32(0)), 2**-18, 0.5])
    near = np.nextafter(middles.astype(np.float32), np.float32(2))
    unit = np.concatenate([ends, RNG.random(10_000), middles, near]).astype(np.float32).clip(0, 1)
    assert np.array_equal(Nearest(targets)(unit), np.searchsorted(middles, unit))


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16])
def test_entries_of_a_table(dtype):
    info = np.iinfo(dtype)
    table = np.arange(info.min, int(info.max) + 1) * 3
    stored = RNG.integers(info.min, int(info.max) + 1, (2, 30, 40)).astype(dtype)[:, ::-1]
    assert np.array_equal(looked_up(table, stored), stored.astype(int) * 3)


def test_pieces_are_the_whole_array():
    array = np.arange(3 * 1000 * 700).reshape(3, 1000, 700)
    found = list(pieces(array))
    assert len(found) > 3 and np.array_equal(np.concatenate(found), array.reshape(-1, 700))
    for piece in pieces(array):
        piece[:] = 0
    assert not array.any(), "pieces are views"


@pytest.mark.parametrize(
    "line",
    [Line(0, 65535, 0, 65535), Line(311.0, 64007.0, 311, 64007), Line(1023.25, -1024.5, -1024, 1023)],
    ids=["all", "within", "falling"],
)
def test_a_line_gives_its_numbers_back_and_finds_the_nearest(line):
    numbers = np.arange(line.first, line.last + 1)
    unit = ((numbers - line.start) / (line.stop - line.start)).clip(0, 1)
    assert np.array_equal(line(unit.astype(np.float32)), numbers)
    random = RNG.random(10_000).astype(np.float32)
    exact = line.start + random.astype(float) * (line.stop - line.start)
    assert np.abs(line(random) - exact.clip(line.first, line.last)).max() < 0.52


def test_the_longest_line_keeps_its_numbers_apart():
    line = Line(0, LONGEST_LINE, 0, LONGEST_LINE)
    numbers = np.arange(LONGEST_LINE + 1)
    assert np.array_equal(line((numbers / LONGEST_LINE).astype(np.float32)), numbers)
