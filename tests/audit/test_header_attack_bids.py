"""The header attack on NIfTI and BIDS: copies, clean releases, and leaks outside the voxels."""

import gzip
import json

import pytest
from builders import bids_tree
from workflows.command import Tool

from deid.audit.annex import Annex
from deid.audit.bids_content import path_words, read_bids
from deid.audit.header import header
from deid.audit.release import equal_name_pairs, read_release
from deid.dicom.profile import preset_profile
from deid.workflows.audit import AuditOptions
from deid.workflows.audit.sources import find_pairs

PROFILE = preset_profile()
SUBJECTS = ("quixwald", "oberndaly")


@pytest.fixture(scope="module")
def scrubbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bids")
    bids_tree(folder / "in", SUBJECTS)
    tool = Tool(folder)
    tool.direct(folder / "in", on_risk="release")
    tool.pairs = find_pairs(AuditOptions(folder / "report", state=tool.state)).pairs
    return tool


def attacked(pairs, annex=None):
    return header(read_release(pairs), PROFILE, annex=annex)


def test_a_copy_gives_everything_away(tmp_path):
    bids_tree(tmp_path / "in", SUBJECTS)
    annex = Annex()
    release = read_release(equal_name_pairs(tmp_path / "in", tmp_path / "in"))
    found = header(release, PROFILE, annex=annex)
    assert found["verdict"] == "linkable"
    assert found["certain"] > 20 and found["by_place"]["file name"] > 0
    assert found["by_place"]["private"] > 0
    assert found["files"] == len(release.instances) + len(release.texts)
    assert found["uniqueness"]["quasi_identifiers"] == []


def test_sidecars_and_tables_are_no_images(scrubbed):
    release = read_release(scrubbed.pairs)
    assert len(release.patients) == len(SUBJECTS)
    assert {each.name.rsplit(".", 1)[-1] for each in release.texts} >= {"json", "tsv", "bval"}
    assert all(each.name.endswith(".nii.gz") for each in release.instances)
    assert any(not each.patient for each in release.texts) or all(each.patient for each in release.texts)


def test_a_clean_release_gives_nothing_away(scrubbed):
    found = attacked(scrubbed.pairs)
    assert found["certain"] == 0, found
    assert found["values"] > 0
    assert found["verdict"] == "no link found"


def leaked(scrubbed, ending, change):
    """The result where one output was changed."""
    pair = next(pair for pair in scrubbed.pairs if pair.name.endswith(ending))
    kept = pair.scrubbed.read_bytes()
    subject = next(subject for subject in SUBJECTS if subject in pair.source)
    pair.scrubbed.write_bytes(change(kept, subject))
    annex = Annex()
    try:
        return attacked(scrubbed.pairs, annex), annex, pair
    finally:
        pair.scrubbed.write_bytes(kept)


def in_description(data, subject):
    raw = bytearray(gzip.decompress(data))
    raw[148 : 148 + len(subject)] = subject.upper().encode()
    return gzip.compress(bytes(raw))


def behind_the_voxels(data, subject):
    return gzip.compress(gzip.decompress(data) + subject.encode())


def in_gzip_name(data, subject):
    plain = gzip.compress(gzip.decompress(data), mtime=0)
    return plain[:3] + b"\x08" + plain[4:10] + f"{subject}.nii\0".encode() + plain[10:]


def in_sidecar(data, subject):
    return json.dumps(json.loads(data) | {"ProtocolName": f"head of {subject}"}).encode()


LEAKS = {
    "NIfTI header": ("T1w.nii.gz", in_description),
    "behind the voxels": ("bold.nii.gz", behind_the_voxels),
    "gzip header": ("T1w.nii.gz", in_gzip_name),
    "sidecar or table": ("T1w.json", in_sidecar),
}


@pytest.mark.parametrize("part", LEAKS)
def test_a_planted_leak_is_found_where_it_lies(scrubbed, part):
    found, annex, pair = leaked(scrubbed, *LEAKS[part])
    assert found["certain"] == 1, found
    assert found["verdict"] == "linkable"
    hit = annex.to_json()["header"][0]
    assert (hit["ref"], hit["element"], hit["certain"]) == (pair.ref, part, True)


def test_voxels_are_not_searched(tmp_path):
    bids_tree(tmp_path, SUBJECTS)
    path = next(tmp_path.rglob("*T1w.nii.gz"))
    whole = gzip.decompress(path.read_bytes())
    assert not any(whole[-40:] in segment.data for segment in read_bids(path).segments)
    assert any(whole[:348] == segment.data for segment in read_bids(path).segments)


def test_words_of_a_path_may_name_somebody():
    found = path_words("Quixwald_Oberndaly/12345678/scan7/image_001.dcm")
    assert {value.value for value in found} >= {"Quixwald", "Oberndaly", "12345678"}
    assert not any(value.certain for value in found)
    assert "image" not in {value.value for value in found}
