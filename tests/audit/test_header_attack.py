"""The header attack on trees of which everything is known: clean, copied, with leaks planted on purpose."""

import base64
import hashlib
import uuid
from datetime import date, timedelta

import pytest
from builders import KINDS, build, to_bytes
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import generate_uid

from deid.audit.digests import hash_dictionary, upper_bound
from deid.audit.header import header
from deid.audit.identifiers import Sort, SourceValue
from deid.audit.release import NOT_AN_IMAGE_FILE, equal_name_pairs, read_release, released_files
from deid.audit.spelled import Form, Forms
from deid.core.keys import ProjectKey
from deid.core.pseudonyms import Pseudonyms
from deid.dicom.profile import preset_profile

PROFILE = preset_profile()
NAME, NUMBER, DAY = "Quixwald^Thessaly", "ZK4471982", "20190314"
PATIENTS = 4


def original(patient, number=0):
    """A CT slice of a patient of whom every identifier is known; dates and ids differ between patients."""
    dataset = build("ct", number=number + 1, patient=f"{NUMBER}{patient}", seed=patient).dataset
    dataset.PatientName = NAME if patient == 0 else f"Oberndal{'abcdefgh'[patient]}y^Person"
    dataset.PatientBirthDate = f"19{50 + patient}0{1 + patient}17"
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = DAY
    dataset.StudyInstanceUID = generate_uid(entropy_srcs=[f"study {patient}"])
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=[f"image {patient} {number}"])
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.AccessionNumber = f"ACCN{patient}83625"
    dataset.InstitutionName = "Merriwick"
    return dataset


def clean(patient, shift=None, uid=None):
    """What a good tool makes of it."""
    before = original(patient)
    after = original(patient)
    days = 100 + 37 * patient if shift is None else shift
    kept = ("SOPClassUID", "Modality", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit")
    kept += ("PixelRepresentation", "SamplesPerPixel", "PhotometricInterpretation", "PixelData")
    for element in list(after):
        if element.keyword not in kept:
            del after[element.tag]
    after.PatientID, after.PatientName = f"PSEUDONYM{patient}", f"PSEUDONYM{patient}"
    for name in ("StudyDate", "ContentDate"):
        moved = date.fromisoformat(before[name].value) + timedelta(days)
        setattr(after, name, moved.strftime("%Y%m%d"))
    make = uid or (lambda value: generate_uid(entropy_srcs=["a secret", value]))
    for name in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        setattr(after, name, make(before[name].value))
    after.file_meta.MediaStorageSOPInstanceUID = after.SOPInstanceUID
    return after


def attacked(tmp_path, change=lambda dataset: None, **how):
    """The result where the output of the first patient has been changed."""
    for patient in range(PATIENTS):
        for folder in ("before", "after"):
            (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / "before" / f"{patient}.dcm").write_bytes(to_bytes(original(patient)))
        output = clean(patient, **how)
        if patient == 0:
            change(output)
        (tmp_path / "after" / f"{patient}.dcm").write_bytes(to_bytes(output))
    release = read_release(equal_name_pairs(tmp_path / "before", tmp_path / "after"))
    return header(release, PROFILE)


def test_a_clean_release_gives_nothing_away(tmp_path):
    found = attacked(tmp_path)
    assert (found["certain"], found["possible"], found["files"]) == (0, 0, PATIENTS)
    assert found["hash_dictionary"]["recovered"] == found["shift"]["recovered"] == 0
    assert found["hash_dictionary"]["tried"] > 0
    assert found["shift"]["patients"] == PATIENTS
    assert found["verdict"] == "no link found"
    assert found["words"].startswith("no link found by these attackers at N = ")


def test_a_copy_is_linkable(tmp_path):
    for kind in sorted(KINDS):
        (tmp_path / f"{kind}.dcm").write_bytes(to_bytes(build(kind, canaries=True).dataset))
    found = header(read_release(equal_name_pairs(tmp_path, tmp_path)), PROFILE)
    assert found["certain"] > 1000
    assert found["verdict"] == found["words"] == "linkable"
    assert all(found["by_place"][place] for place in ("standard text", "private", "uid", "pixel group"))


def text(value):
    return lambda dataset: setattr(dataset, "ImageComments", value)


LEAKS = {
    "name": (text(f"seen {NAME} again"), Form.AS_IT_IS),
    "number": (text(f"no {NUMBER}0."), Form.AS_IT_IS),
    "accession": (text("ACCN083625"), Form.AS_IT_IS),
    "case": (text("QUIXWALD, thessaly"), Form.CASE),
    "order": (text("thessaly quixwald"), Form.CASE),
    "family name": (text("dear quixwald"), Form.CASE),
    "spacing": (text("zk 4471982-0"), Form.CASE),
    "base64": (text(base64.b64encode(NAME.encode()).decode()), Form.BASE64),
    "base64 in more": (text(base64.b64encode(b"ab" + NAME.encode() + b"z").decode()), Form.BASE64),
    "UTF-16": (lambda ds: ds.add_new(0x00091001, "OB", NAME.encode("utf-16-le") + b"\0\0"), Form.UTF16),
    "UTF-16 big": (lambda ds: ds.add_new(0x00091001, "OB", NAME.encode("utf-16-be")), Form.UTF16),
    "hex": (text(NAME.encode().hex().upper()), Form.HEX),
    "ISO date": (text("on 2019-03-14"), Form.DATE),
    "German date": (text("am 14.03.2019"), Form.DATE),
    "American date": (text("03/14/2019"), Form.DATE),
    "worded date": (text("Mar 14 2019"), Form.DATE),
    "worded date, day first": (text("14-MAR-2019"), Form.DATE),
    "birth date": (text("born 19500117"), Form.AS_IT_IS),
}


@pytest.mark.parametrize("leak", LEAKS)
def test_a_planted_leak_is_found_in_its_form(tmp_path, leak):
    change, form = LEAKS[leak]
    found = attacked(tmp_path, change)
    assert found["certain"] == found["by_form"][form] == 1, found
    assert found["verdict"] == "linkable"


def in_sequence(dataset):
    item, inner = Dataset(), Dataset()
    inner.TextValue = NAME
    item.ContentSequence = Sequence([inner])
    dataset.ContentSequence = Sequence([item])


def in_unknown(dataset):
    """An implicit sequence as an unknown value in a private element."""
    inner = b"\x10\x00\x10\x00" + len(NAME + " ").to_bytes(4, "little") + f"{NAME} ".encode()
    dataset.add_new(0x00291010, "UN", b"\xfe\xff\x00\xe0" + len(inner).to_bytes(4, "little") + inner)


PLACES = {
    "standard text": in_sequence,
    "private": in_unknown,
    "uid": lambda ds: setattr(ds, "FrameOfReferenceUID", str(original(0).StudyInstanceUID)),
    "pixel group": lambda ds: ds.add_new(0x00284010, "LT", NAME),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_planted_leak_is_counted_at_its_place(tmp_path, place):
    found = attacked(tmp_path, PLACES[place])
    assert found["certain"] == found["by_place"][place] == 1, found


def test_an_id_that_is_a_component_of_a_uid_is_found(tmp_path):
    before = original(0)
    before.PatientID = "83719405"
    after = clean(0)
    after.FrameOfReferenceUID = "1.2.3.83719405.7"
    for folder, dataset in (("before", before), ("after", after)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "0.dcm").write_bytes(to_bytes(dataset))
    found = header(read_release(equal_name_pairs(tmp_path / "before", tmp_path / "after")), PROFILE)
    assert found["certain"] == found["by_place"]["uid"] == 1


def test_names_in_file_names_are_found(tmp_path):
    for folder, dataset in (("before", original(0)), ("after", clean(0))):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "quixwald_thessaly.dcm").write_bytes(to_bytes(dataset))
    found = header(read_release(equal_name_pairs(tmp_path / "before", tmp_path / "after")), PROFILE)
    assert found["certain"] == found["by_place"]["file name"] == 1


def test_a_date_that_a_shift_made_equal_by_chance_is_only_possible(tmp_path):
    """The study date becomes the birth date of the same patient, on purpose."""
    gap = (date(1950, 1, 17) - date.fromisoformat(DAY)).days
    for folder, dataset in (("before", original(0)), ("after", clean(0, shift=gap))):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "0.dcm").write_bytes(to_bytes(dataset))
    found = header(read_release(equal_name_pairs(tmp_path / "before", tmp_path / "after")), PROFILE)
    assert (found["certain"], found["possible"]) == (0, 2)
    assert found["shift"]["recovered"] == 0


def test_short_and_common_words_are_only_possible():
    doe, head = SourceValue(Sort.NAME, "Doe", False), SourceValue(Sort.CODE, "HEAD", False)
    hits = Forms([doe, head]).find(b"John Doe has a head; does DOEFF matter")
    assert [hit.value for hit in hits] == [doe, head]
    assert not any(hit.value.certain for hit in hits)


def test_values_of_many_patients_are_not_identifiers(tmp_path):
    def change(dataset):
        dataset.ImageComments = str(original(0).InstitutionName)

    found = attacked(tmp_path, change)
    assert found["certain"] == found["possible"] == 0


def hashed(name, form):
    def make(value):
        digest = hashlib.new(name, value.encode()).digest()
        return form(digest)

    return make


@pytest.mark.parametrize("name", ["md5", "sha1", "sha224", "sha256", "sha512"])
@pytest.mark.parametrize(
    "form",
    [
        lambda digest: f"2.25.{int.from_bytes(digest[:16])}",
        lambda digest: f"1.2.826.0.1.3680043.10.{int.from_bytes(digest)}"[:64],
        lambda digest: f"1.2.3.{int.from_bytes(digest[:8])}",
    ],
)
def test_unkeyed_uids_are_recovered(tmp_path, name, form):
    found = attacked(tmp_path, uid=hashed(name, form))
    assert found["certain"] == 0
    assert found["hash_dictionary"]["recovered"] >= 2 * PATIENTS
    assert found["verdict"] == "linkable"


def test_uids_of_pydicom_without_a_secret_are_recovered(tmp_path):
    found = attacked(tmp_path, uid=lambda value: generate_uid(entropy_srcs=[value]))
    assert found["hash_dictionary"]["recovered"] >= 2 * PATIENTS


@pytest.mark.parametrize(
    "made",
    [
        hashlib.sha256(b"ID7").hexdigest(),
        hashlib.sha256(b"ID7").hexdigest()[:16].upper(),
        base64.b64encode(hashlib.md5(b"ID7").digest()).decode(),
        hashlib.sha1(b"ID7_1.2.3").hexdigest(),
        "ANON-" + hashlib.sha256(b"ID7").hexdigest()[:20],
        "sub_" + hashlib.md5(b"ID7").hexdigest() + "_1",
        str(uuid.uuid5(uuid.NAMESPACE_OID, "ID7")),
    ],
)
def test_unkeyed_ids_are_recovered(made):
    found = hash_dictionary(["ID7"], [("ID7", "1.2.3")], [made, "0123456789abcdef"])
    assert found["recovered"] == 1
    assert found["tried"] == 2


def test_descriptions_are_no_digests():
    """They would make the bound look better than what was tried."""
    texts = [
        "Thorax anteroposterior",
        "ANTEROPOSTERIOR",
        "something else",
        "Chest, PA and lateral",
        "1.2.840.10008",
    ]
    assert hash_dictionary(["ID7"], [], texts) == {"tried": 0, "recovered": 0, "upper": 1.0}
    found = hash_dictionary(["ID7"], [], [*texts, "MAGNETOMvida3T", "1.2.3.123456789012"])
    assert found["tried"] == 2


def test_keyed_uids_are_not_recovered(tmp_path):
    found = attacked(tmp_path, uid=Pseudonyms(ProjectKey(bytes(range(32)))).uid)
    tried = found["hash_dictionary"]
    assert tried["recovered"] == 0
    assert tried["upper"] == pytest.approx(3 / tried["tried"], rel=0.01)  # rule of three


def test_the_bound_of_a_share_shrinks_with_the_trials():
    assert upper_bound(0, 0) == 1
    assert upper_bound(0, 300) == pytest.approx(0.01, rel=0.01)
    assert 0.5 < upper_bound(5, 10) < 1


def test_one_shift_for_all_is_recovered(tmp_path):
    found = attacked(tmp_path, shift=500)
    assert found["shift"] == {"patients": PATIENTS, "recovered": PATIENTS}
    assert found["verdict"] == "linkable"


def test_a_date_that_stayed_gives_the_shift_of_its_patient_away(tmp_path):
    found = attacked(tmp_path, lambda ds: setattr(ds, "InstanceCreationDate", DAY))
    assert found["shift"]["recovered"] == 1


def test_patients_are_counted_by_how_many_look_alike(tmp_path):
    found = attacked(tmp_path, lambda ds: setattr(ds, "PatientSex", "F"))
    assert found["uniqueness"]["k"]["1"] >= 1
    assert sum(found["uniqueness"]["k"].values()) == PATIENTS
    assert found["uniqueness"]["quasi_identifiers"] == ["PatientSex", "Modality", "StudyWeekday"]


def test_a_release_alone_shows_what_looks_like_identity(tmp_path):
    dataset = clean(0)
    dataset.ImageComments = "SSN 123-45-6789, call 212 555 0147 or mail a.b@example.org"
    dataset.PatientIdentityRemoved = "YES"
    (tmp_path / "scan_2019-03-14.dcm").write_bytes(to_bytes(dataset))
    found = header(read_release(released_files(tmp_path)), PROFILE)
    assert (found["certain"], found["possible"]) == (0, 4), found
    assert found["by_place"]["file name"] == 1
    assert found["verdict"] == "not assessed"
    assert found["hash_dictionary"]["status"] == found["shift"]["status"] == "not assessed"


@pytest.mark.parametrize(("claim", "possible"), [("YES", 0), ("NO", 1), (None, 1)])
def test_a_release_alone_shows_what_does_not_claim_to_be_deidentified(tmp_path, claim, possible):
    dataset = clean(0)
    if claim is not None:
        dataset.PatientIdentityRemoved = claim
    (tmp_path / "scan.dcm").write_bytes(to_bytes(dataset))
    assert header(read_release(released_files(tmp_path)), PROFILE)["possible"] == possible


def test_an_output_that_is_no_dicom_is_searched_as_bytes(tmp_path):
    """What cannot be parsed may still be read by whoever opens it."""
    attacked(tmp_path)
    (tmp_path / "after" / "0.dcm").write_text(f"damaged: {NAME}, {NUMBER}0")
    found = header(read_release(equal_name_pairs(tmp_path / "before", tmp_path / "after")), PROFILE)
    assert found["files"] == PATIENTS
    assert found["certain"] >= 2 and found["verdict"] == "linkable"


def test_a_file_beside_the_images_is_searched_for_all_patients(tmp_path):
    attacked(tmp_path)
    for folder in ("before", "after"):
        (tmp_path / folder / "list.csv").write_text("number,what\n1,nothing\n")
    (tmp_path / "after" / "list.csv").write_text(f"1,{NUMBER}1\n2,{NAME}\n")
    release = read_release(equal_name_pairs(tmp_path / "before", tmp_path / "after"))
    found = header(release, PROFILE)
    assert found["certain"] == 2 and found["verdict"] == "linkable"
    assert sum(found["uniqueness"]["k"].values()) == PATIENTS == len(release.patients)
    assert release.left_out == {NOT_AN_IMAGE_FILE: 1}


def test_an_output_too_large_to_be_searched_leaves_no_verdict(tmp_path, monkeypatch):
    attacked(tmp_path)
    (tmp_path / "after" / "0.dcm").write_text("damaged" * 9)
    monkeypatch.setattr("deid.audit.header._MOST_OF_ONE", 50)
    found = header(read_release(equal_name_pairs(tmp_path / "before", tmp_path / "after")), PROFILE)
    assert (found["files"], found["certain"]) == (PATIENTS - 1, 0)
    assert found["verdict"] == found["words"] == "not assessed"
    assert found["reason"] == "released files that could not be searched: 1"


def test_values_are_counted_once_whatever_files_stand_beside(tmp_path):
    plain = attacked(tmp_path)["values"]
    for folder in ("before", "after"):
        (tmp_path / folder / "list.csv").write_text("nothing\n")
    found = header(read_release(equal_name_pairs(tmp_path / "before", tmp_path / "after")), PROFILE)
    assert found["values"] == plain


def test_a_modality_is_a_word_of_the_standard(tmp_path):
    """A device or a person can fill the element with anything, and the report shows it."""
    for folder in ("before", "after"):
        (tmp_path / folder).mkdir()
        dataset = original(0)
        dataset.Modality = "QUIXWALD"
        (tmp_path / folder / "0.dcm").write_bytes(to_bytes(dataset))
    release = read_release(equal_name_pairs(tmp_path / "before", tmp_path / "after"))
    assert release.modalities() == {"OT": 1}


def test_no_value_of_the_source_is_in_the_result(tmp_path):
    found = repr(attacked(tmp_path, text(f"{NAME} {NUMBER}0 {DAY}")))
    assert not any(value in found for value in (NAME, "Quixwald", NUMBER, DAY, str(tmp_path)))
