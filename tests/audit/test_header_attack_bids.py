"""The header attack on NIfTI and BIDS: copies, clean releases, and leaks outside the voxels."""

import gzip
import json
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from builders import bids_tree
from workflows.command import Tool

from deid.audit.annex import Annex
from deid.audit.bids_content import path_words, read_bids
from deid.audit.header import header
from deid.audit.release import equal_name_pairs, read_release
from deid.core.errors import UsageError
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
    kinds = found["uniqueness"]["quasi_identifiers"]
    assert kinds == ["StudyWeekday", "age", "other columns of participants.tsv", "sex"]
    assert found["uniqueness"]["k"] == {"1": 2, "2-4": 0, "5+": 0}


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


def pair_tree(folder, subject="quixwald"):
    """A tree with one image of two files, named in its header and in an extension."""
    values = np.arange(210, dtype=np.int16).reshape(5, 6, 7)
    image = nib.Nifti1Pair(values, np.eye(4))
    image.header["descrip"] = b"Oberndaly head"
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"Ottensooser, Friedhild"))
    anat = folder / f"sub-{subject}" / "anat"
    anat.mkdir(parents=True)
    nib.save(image, anat / f"sub-{subject}_T1w.hdr")
    return anat / f"sub-{subject}_T1w.hdr"


@pytest.fixture
def pair(tmp_path):
    """The released header and image of a pair, and the project's pairs of files."""
    pair_tree(tmp_path / "in")
    tool = Tool(tmp_path)
    tool.direct(tmp_path / "in", on_risk="release")
    pairs = find_pairs(AuditOptions(tmp_path / "report", state=tool.state)).pairs
    files = {each.name.rsplit(".", 1)[-1]: each.scrubbed for each in pairs}
    return files["hdr"], files["img"], pairs


def test_a_pair_is_one_image_of_two_files(pair):
    release = read_release(pair[2])
    assert [each.name[-4:] for each in release.instances] == [".hdr"]
    assert [each.name[-4:] for each in release.texts] == [".img"]
    assert release.left_out == {}


def test_a_clean_pair_gives_nothing_away(pair):
    found = attacked(pair[2])
    assert (found["certain"], found["files"]) == (0, 2)
    assert found["values"] > 0


def add(path, data):
    path.write_bytes(path.read_bytes() + data)


@pytest.mark.parametrize(
    ("file", "data", "count"),
    [(0, b"quixwald", "certain"), (1, b"quixwald", "certain"), (0, b"Ottensooser, Friedhild", "possible")],
)
def test_a_leak_in_either_file_of_a_pair_is_found(pair, file, data, count):
    before = attacked(pair[2])
    add(pair[file], data)
    found = attacked(pair[2])
    assert found[count] == before[count] + 1
    assert found["by_place"]["private"] == (file == 0)


def test_a_copied_pair_gives_everything_away(tmp_path):
    path = pair_tree(tmp_path / "in")
    found = attacked(equal_name_pairs(tmp_path / "in", tmp_path / "in"))
    assert found["verdict"] == "linkable"
    assert found["by_place"]["private"] > 0
    parts = {segment.part for segment in read_bids(path).segments}
    assert {"NIfTI header", "NIfTI extension"} <= parts


def test_voxels_of_a_pair_are_not_searched(tmp_path):
    image = pair_tree(tmp_path).with_suffix(".img")
    add(image, b"behind")
    assert b"".join(segment.data for segment in read_bids(image).segments) == b"behind"


def test_another_format_with_such_names_is_no_pair(tmp_path):
    for name in ("scene.hdr", "scene.img"):
        (tmp_path / name).write_bytes(b"ENVI\nsamples = 4\n" * 40)
    with pytest.raises(UsageError, match="not a DICOM or NIfTI file"):
        read_release(equal_name_pairs(tmp_path, tmp_path))


def people(folder, rows, header="participant_id\tage\tsex\tfavourite colour"):
    bids_tree(folder, tuple(row.split("\t")[0].removeprefix("sub-") for row in rows[:2]))
    for table in folder.rglob("*_s*s.tsv"):  # without the days of the acquisitions
        table.unlink()
    (folder / "participants.tsv").write_text("\n".join([header, *rows]) + "\n")
    return equal_name_pairs(folder, folder)


ROWS = ["sub-one\t30\tF\tred", "sub-two\t30\tF\tred", "sub-six\t30\tM\tn/a", "sub-ten\t30\tF\tblue"]


def test_rows_of_participants_are_counted_by_what_they_share(tmp_path):
    found = attacked(people(tmp_path, ROWS))["uniqueness"]
    assert found["k"] == {"1": 2, "2-4": 2, "5+": 0}
    assert found["quasi_identifiers"] == ["age", "other columns of participants.tsv", "sex"]
    assert "colour" not in json.dumps(found)


def test_one_shard_counts_its_own_patients(tmp_path):
    release = replace(read_release(people(tmp_path, ROWS)), whole=False)
    assert header(release, PROFILE)["uniqueness"]["k"] == {"1": 0, "2-4": 2, "5+": 0}


def test_of_phenotype_tables_demographic_columns_count(tmp_path):
    pairs = people(tmp_path, ["sub-one", "sub-two"], "participant_id")
    (tmp_path / "phenotype").mkdir()
    (tmp_path / "phenotype" / "q.tsv").write_text(
        "participant_id\thandedness\tscore\none\tleft\t7\nsub-two\tleft\t8\n"
    )
    found = attacked(equal_name_pairs(tmp_path, tmp_path))["uniqueness"]
    assert (found["quasi_identifiers"], found["k"]["2-4"]) == (["handedness"], 2)
    assert len(pairs) > 2
