"""The walk: same elements as pydicom on real files, and never anything but a named reason on damaged ones."""

import struct
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deid.core.errors import Held
from deid.dicom.elements import (
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    MAX_DEPTH,
    StructureError,
    walk,
    walk_items,
)
from deid.dicom.part10 import NotDicom, open_part10

WHEEL = Path(pydicom.__file__).parent / "data" / "test_files"
FILES = sorted(WHEEL.rglob("*.dcm"))


def tags(elements):
    """Tags and value lengths of a walked data set, nested."""
    return [(e.tag, None if e.items is None else [tags(i) for i in e.items]) for e in elements]


def pydicom_tags(dataset):
    found = []
    for element in dataset:
        items = [pydicom_tags(i) for i in element.value] if element.VR == "SQ" else None
        found.append((int(element.tag), items))
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_walk_sees_what_pydicom_sees(path):
    try:
        source = open_part10(path)
    except (Held, NotDicom):
        return
    try:
        expected = pydicom_tags(pydicom.dcmread(path, force=True))
    except Exception:  # noqa: BLE001 - whatever another reader makes of a bad file
        pytest.skip("pydicom does not read all of it")
    with source:
        walked = [t for t in tags(source.elements) if t[0] & 0xFFFF]
        # an UN value that pydicom infers to be a sequence stays a value here until somebody asks
        flat = {tag for tag, _ in walked}
        assert flat == {tag for tag, _ in expected if tag & 0xFFFF}
        nested = {tag: items for tag, items in walked if items is not None}
        assert all(items == nested[tag] for tag, items in expected if tag in nested)


def element(tag, vr, value):
    if vr in (b"OB", b"SQ", b"UN"):
        return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr, 0, len(value)) + value
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value


def item(content):
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(content)) + content


def nested(depth):
    content = element(0x00080100, b"SH", b"CODE")
    for _ in range(depth):
        content = element(0x00081140, b"SQ", item(content))
    return content


def test_nesting_up_to_the_limit_is_walked_and_beyond_it_held():
    data = nested(MAX_DEPTH)
    assert walk(data, 0, len(data), EXPLICIT_LITTLE)[0].items
    data = nested(MAX_DEPTH + 1)
    with pytest.raises(Held, match="nesting deeper"):
        walk(data, 0, len(data), EXPLICIT_LITTLE)


def test_a_broken_sequence_of_stated_length_is_stepped_over():
    data = element(0x00081140, b"SQ", b"\x01" * 40) + element(0x00100020, b"LO", b"ID")
    sequence, identity = walk(data, 0, len(data), EXPLICIT_LITTLE)
    assert sequence.items is None
    assert data[identity.start : identity.end] == b"ID"


def test_a_lying_length_is_a_named_reason():
    data = element(0x00100020, b"LO", b"ID")[:-1]
    with pytest.raises(StructureError, match="unreadable"):
        walk(data, 0, len(data), EXPLICIT_LITTLE)


def test_a_four_gigabyte_length_is_a_named_reason():
    data = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFE) + b"\0" * 16
    with pytest.raises(StructureError, match="lying length"):
        walk(data, 0, len(data), EXPLICIT_LITTLE)


def test_items_of_an_unknown_value():
    inner = struct.pack("<HHI", 0x0010, 0x0010, 4) + b"DOE "
    ((name,),) = walk_items(item(inner), 0, len(item(inner)))
    assert name.vr == "PN" and item(inner)[name.start : name.end] == b"DOE "
    with pytest.raises(Held):
        walk_items(b"no sequence at all", 0, 18)


@given(st.binary(max_size=400))
@settings(max_examples=300)
def test_any_bytes_are_walked_or_refused(data):
    for encoding in (EXPLICIT_LITTLE, IMPLICIT_LITTLE):
        try:
            elements = walk(data, 0, len(data), encoding)
        except Held:
            continue
        assert all(0 <= e.at < e.start <= e.end <= e.stop <= len(data) for e in elements)


@given(st.data())
@settings(max_examples=150)
def test_a_damaged_real_file_is_walked_or_refused(data):
    path = data.draw(st.sampled_from([f for f in FILES if f.stat().st_size < 20_000]))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    from deid.dicom.part10 import parse_part10

    try:
        with parse_part10(bytes(content)) as source:
            assert all(e.stop <= len(source.body) for e in source.elements)
    except (Held, NotDicom):
        pass
