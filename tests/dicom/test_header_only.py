"""Files whose pixels are not read: the same header, index and output as of the whole file."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from dicom_files import PSEUDONYMS, ct, element, file_of, release
from pydicom.datadict import get_entry

from deid.core.errors import Held
from deid.core.identifiers import Identifier, Kind, KnownIdentifiers
from deid.core.staging import FileRange, Staging
from deid.dicom.claims import claims_of, expectation_of
from deid.dicom.dictionary import attributes, entry_of
from deid.dicom.elements import Element
from deid.dicom.index import index_file, index_part10
from deid.dicom.part10 import NotDicom, Part10, open_part10, parse_part10
from deid.dicom.recipe import parse_recipe
from deid.dicom.release import PatientRelease
from deid.dicom.values import Patient
from deid.dicom.verify import is_compared

LARGE = bytes(range(256)) * 1024
FILES = sorted((Path(pydicom.__file__).parent / "data" / "test_files").rglob("*.dcm"))


def large(*elements: bytes) -> bytes:
    return file_of(ct(), element(0x7FE00010, "OW", LARGE), *elements)


def copied(source: Path, out: Path) -> bytes:
    """What is released of a file whose pixels are copied from file to file."""
    profile = parse_recipe("preset: research").profile()
    record = index_file(source)
    identity = record.patient or ""
    known = KnownIdentifiers(Identifier(Kind(kind), value) for kind, value in record.known(profile.options))
    patient = Patient(identity, PSEUDONYMS.patient(identity), PSEUDONYMS.shift(identity), known)
    one = PatientRelease(profile, patient, PSEUDONYMS, expectation_of(profile, profile.keep_times))
    claims = claims_of(profile, record.sop_class, record.modality, released_unseen=False)
    with open_part10(source, header=True) as opened, Staging(out) as staging:
        prepared = one.prepare(opened, record, claims)
        assert prepared.tail is not None
        head, (start, length) = prepared.to_bytes(), prepared.tail
        one.verify(opened, head, len(head) + length)
        with pytest.raises(Held, match="pixel data differs"):
            one.verify(opened, head, len(head) + length + 2)
        staging.write("x", [head, FileRange(opened.fileno(), start, length)])
        staging.commit()
    return (out / "x").read_bytes()


def test_copied_pixels_give_the_same_file(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.write_bytes(large())
    with open_part10(source, header=True) as opened:
        assert opened.is_header and len(opened.body) < opened.size == len(large())
    assert copied(source, tmp_path / "out") == release(large())
    assert index_file(source) == index_part10(parse_part10(large()))


@pytest.mark.parametrize(
    "data",
    [
        large(element(0xFFFCFFFC, "OB", bytes(300))),
        large(element(0x00091001, "OB", bytes(100_000))),
        large()[:-2],
        large() + bytes(4),
    ],
    ids=["padding", "large header", "truncated", "rest"],
)
def test_whatever_is_odd_is_read_as_a_whole(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "in").write_bytes(data)
    try:
        whole = parse_part10(data)
    except Held as held:
        with pytest.raises(Held, match=held.reason):
            open_part10(tmp_path / "in", header=True)
        return
    with open_part10(tmp_path / "in", header=True) as opened:
        assert not opened.is_header and opened.elements == whole.elements


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_elements_that_are_not_wanted_are_stepped_over(path: Path) -> None:
    try:
        whole = parse_part10(path.read_bytes())
        found = parse_part10(path.read_bytes(), wanted=is_compared)
        opened = open_part10(path, header=True)
    except (Held, NotDicom):
        return
    with opened:
        assert opened.elements == whole.elements
    assert _compared(whole) == _compared(found)
    assert len(found.elements) <= len(whole.elements)


def _compared(source: Part10) -> list[object]:
    def kept(elements: list[Element]) -> list[object]:
        return [
            (e[:6], None if e.items is None else [kept(item) for item in e.items])
            for e in elements
            if e.items is not None or is_compared(e.tag, e.vr)
        ]

    return kept(source.elements)


def test_the_dictionary_is_that_of_pydicom() -> None:
    planes = [group << 16 | number for group in range(0x5000, 0x6100) for number in (0x10, 0x3000)]
    for tag in [*attributes(), *planes, 0x00091001, 0x00203110, 0x00280440]:
        try:
            expected = tuple(get_entry(tag))
        except KeyError:
            assert entry_of(tag) is None
        else:
            assert entry_of(tag) == expected
