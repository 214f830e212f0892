import gzip
from io import BytesIO
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from builders import (
    KINDS,
    SYNTAXES,
    Canaries,
    bids_tree,
    build,
    compressible,
    dicomdir,
    every_attribute,
    nifti_bytes,
    surviving,
    to_bytes,
    tree,
)  # fmt: skip

ENCAPSULATED = ("rle", "jpeg", "jpeg_lossless", "jpeg_ls", "jpeg_2000")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("syntax", ["implicit", "explicit", "big_endian", "deflated"])
def test_every_kind_is_read_back_in_every_native_syntax(kind: str, syntax: str) -> None:
    built = build(kind, canaries=True)
    data = to_bytes(built.dataset, syntax, preamble=built.preamble)
    back = pydicom.dcmread(BytesIO(data))
    assert back.file_meta.TransferSyntaxUID == SYNTAXES[syntax]
    assert back.SOPClassUID == built.dataset.SOPClassUID
    assert back.keys() == built.dataset.keys()
    assert back.preamble == built.preamble


@pytest.mark.parametrize("kind", KINDS)
def test_every_canary_stands_in_the_file(kind: str) -> None:
    built = build(kind, canaries=True)
    assert len(built.canaries) > 200
    for syntax in ("explicit", "deflated"):
        data = to_bytes(built.dataset, syntax, preamble=built.preamble)
        missing = built.canaries - set(surviving(data, built.canaries))
        assert missing == set(), [built.where[word] for word in missing]


def test_no_canary_is_part_of_another_or_stands_in_a_clean_file() -> None:
    built, plain = build("sr", canaries=True), build("sr")
    assert not plain.canaries
    assert surviving(to_bytes(plain.dataset), built.canaries) == []
    words = sorted(built.canaries)
    assert len({word.lower() for word in words}) == len(words)
    assert {len(word) for word in words} == {10}
    assert not built.canaries & build("sr", canaries=True, seed=1).canaries


@pytest.mark.parametrize("kind", ["ct", "nm", "us", "mr_enhanced"])
@pytest.mark.parametrize("syntax", ENCAPSULATED)
def test_encapsulated_pixels(kind: str, syntax: str) -> None:
    built = build(kind)
    assert compressible(built.dataset)
    back = pydicom.dcmread(BytesIO(to_bytes(built.dataset, syntax, fragments=3)))
    assert back["PixelData"].is_undefined_length
    frames = list(
        pydicom.encaps.generate_frames(back.PixelData, number_of_frames=int(back.get("NumberOfFrames", 1)))
    )
    assert len(frames) == int(back.get("NumberOfFrames", 1))
    if syntax == "rle":
        assert np.array_equal(back.pixel_array, built.dataset.pixel_array)
    else:
        fragments = list(pydicom.encaps.generate_fragments(back.PixelData))
        assert len(fragments) == 1 + 3 * len(frames) or len(fragments) == 3 * len(frames)


def test_pixels_are_equal_in_big_endian() -> None:
    built = build("ct")
    back = pydicom.dcmread(BytesIO(to_bytes(built.dataset, "big_endian")))
    assert np.array_equal(back.pixel_array, built.dataset.pixel_array)


@pytest.mark.parametrize("kind", ["ct", "sr", "ecg"])
def test_files_without_preamble_and_without_meta(kind: str) -> None:
    built = build(kind)
    no_preamble = to_bytes(built.dataset, preamble=None)
    assert no_preamble[:4] == b"\x02\x00\x00\x00"
    assert pydicom.dcmread(BytesIO(no_preamble), force=True).SOPInstanceUID == built.dataset.SOPInstanceUID
    for syntax in ("implicit", "explicit"):
        bare = to_bytes(built.dataset, syntax, meta=False)
        assert bare[:2] == b"\x08\x00"
        assert pydicom.dcmread(BytesIO(bare), force=True).SOPInstanceUID == built.dataset.SOPInstanceUID


def test_every_attribute_of_the_dictionary() -> None:
    dataset = every_attribute()
    assert len(dataset) > 2000
    assert len(pydicom.dcmread(BytesIO(to_bytes(dataset)))) == len(dataset)


def test_tree_references_resolve(tmp_path: Path) -> None:
    written = tree(tmp_path)
    assert sorted(written.files) == ["0099887", "12", "MRN-1234567"]
    instances = {pydicom.dcmread(path).SOPInstanceUID for path in written.datasets}
    assert len(instances) == len(written.datasets) == 3 * 2 * 7
    for path in written.datasets:
        for element in pydicom.dcmread(path).iterall():
            if element.keyword == "ReferencedSOPInstanceUID":
                assert element.value in instances


def test_dicomdir(tmp_path: Path) -> None:
    written = tree(tmp_path)
    members = [(f"A\\IM{index}", dataset) for index, dataset in enumerate(written.datasets.values())]
    back = pydicom.dcmread(BytesIO(to_bytes(dicomdir(members))))
    assert len(back.DirectoryRecordSequence) == len(members)


@pytest.mark.parametrize("version", [1, 2])
def test_nifti_holds_its_canaries(version: int, tmp_path: Path) -> None:
    canaries = Canaries()
    data = nifti_bytes(canaries, version=version, gzip_name="name.nii")
    path = tmp_path / "image.nii.gz"
    path.write_bytes(data)
    assert nib.load(path).shape == (5, 6, 7)
    assert surviving(gzip.decompress(data), canaries.where) == list(canaries.where)
    assert b"name.nii\0" in data


def test_bids_tree(tmp_path: Path) -> None:
    written = bids_tree(tmp_path)
    assert len(written.images) == 2 * 2 * 3
    data = b"".join(
        gzip.decompress(path.read_bytes()) + path.read_bytes() if path.suffix == ".gz" else path.read_bytes()
        for path in tmp_path.rglob("*")
        if path.is_file()
    )
    assert set(surviving(data, written.canaries)) == written.canaries
