"""Which files of a series decide for it."""

from itertools import pairwise
from pathlib import Path

from deid.core.journal import InputRow
from deid.dicom.index import DicomRecord
from deid.workflows.scrub.stacks import MOST_PLACES, stacks
from deid.workflows.scrub.units import Entry


def entry(number, place=None, path="", series="1.2", stack="s", modality="MR", size=10):
    record = DicomRecord(
        *("p", "1.1", series, f"1.2.{number}", "1.3", modality, "", None, "head", 1, stack, place, number)
    )
    name = path or f"{number:05}.dcm"
    row = InputRow(name.encode(), size, 1, 1, "dicom", b"p", b"")
    return Entry(row, record, name, Path(name))


def only(entries):
    found = stacks(entries, {"MR"})
    assert len(found) == len(entries)
    (stack,) = set(found.values())
    return stack


def names(reads):
    return [int(path.stem) for path, _, _ in reads]


def test_the_order_is_that_of_places_whatever_the_input():
    entries = [entry(number, place=-number * 2.5) for number in range(5)]
    stack = only(entries)
    assert names(stack.look) == [4, 3, 2, 1, 0] and stack.also == ()
    assert only(entries[::-1]) == stack


def test_without_places_it_is_that_of_numbers():
    entries = [entry(2, 1.0), entry(3), entry(1, 5.0)]
    assert names(only(entries).look) == [1, 2, 3]


def test_of_several_at_one_place_first_and_last_are_taken():
    entries = [
        entry(10 * place + number, place + number / 1000) for place in range(3) for number in (5, 4, 6)
    ]
    stack = only(entries)
    assert names(stack.look) == [4, 14, 24] and names(stack.also) == [6, 16, 26]


def test_a_long_series_is_looked_at_evenly_and_not_as_a_whole():
    entries = [entry(number, float(number)) for number in range(1000)]
    look = names(only(entries).look)
    assert len(look) == MOST_PLACES
    steps = {b - a for a, b in pairwise(look)}
    assert steps == {15, 16} and abs(look[0] - (999 - look[-1])) <= 1


def test_series_kinds_and_modalities_are_apart():
    entries = [
        entry(1),
        entry(2, series="1.9"),
        entry(3, stack="t"),
        entry(4, modality="CT"),
        entry(5, series=""),
    ]
    entries += [entry(6, stack="")]
    found = stacks(entries, {"MR"})
    assert [sorted(names(found[each.row.ref].look)) for each in entries[:3]] == [[1], [2], [3]]
    assert set(found) == {each.row.ref for each in entries[:3]}
    assert stacks(entries, ()) == {}


def test_the_token_tells_of_every_file_that_decides():
    def token(*entries):
        return only(list(entries)).token

    two = entry(1, 1.0), entry(2, 2.0)
    assert token(*two) == token(*two[::-1])
    assert (
        len({token(*two), token(two[0]), token(two[0], entry(2, 2.0, size=11)), token(*two, entry(3, 3.0))})
        == 4
    )
    assert len({token(*two), token(entry(1, 1.0), entry(2, 1.0))}) == 2
