"""One pseudonym for one thing, in every file and reference of a project, and another in the next project."""

import datetime
import json

import pydicom
import pytest
from builders import Person, build, nifti_bytes, series, tree, write
from pydicom.uid import UID_dictionary

from deid.workflows.scrub.options import OnRisk

ANNA, EWA = Person("Testperson^Anna", "MRN-1234567"), Person("Kowalska^Ewa", "0099887")


def by_source(tool, source, out=None):
    """Pairs of source and released data set; files are told apart by their pixel bytes."""
    before = {d.PixelData: d for d in map(pydicom.dcmread, source.rglob("*.dcm"))}
    after = [pydicom.dcmread(path) for path in tool.outputs(out)]
    return [(before[d.PixelData], d) for d in after]


def uids(dataset):
    return [str(e.value) for e in dataset.iterall() if e.VR == "UI" and not isinstance(e.value, list)]


def moment(dataset):
    return datetime.datetime.strptime(dataset.StudyDate + dataset.StudyTime[:6], "%Y%m%d%H%M%S")


def chest(root, *datasets):
    for number, dataset in enumerate(datasets):
        dataset.PixelData = number.to_bytes(2, "little") * (len(dataset.PixelData) // 2)
        write(dataset, root / f"{number}.dcm")
    return root


def test_references_resolve_and_well_known_uids_stay(tool, tmp_path):
    written = tree(tmp_path / "in", (ANNA, EWA), studies=2, slices=3)
    tool.direct(tmp_path / "in")
    after = [pydicom.dcmread(path) for path in tool.outputs()]
    instances = {d.SOPInstanceUID for d in after}
    assert len(instances) == len(after) == len(written.datasets)
    references = 0
    for dataset in after:
        assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
        for element in dataset.iterall():
            if element.keyword == "ReferencedSOPInstanceUID":
                references += 1
                assert element.value in instances
    assert references > 10
    source = {u for d in written.datasets.values() for u in uids(d) if u not in UID_dictionary}
    released = {u for d in after for u in uids(d)}
    assert not source & released
    assert all(u in UID_dictionary or u.startswith("2.25.") for u in released)
    assert {d.SOPClassUID for d in after} == {d.SOPClassUID for d in written.datasets.values()}


def test_patients_are_distinct_and_one_in_all_their_files(tool, tmp_path):
    tree(tmp_path / "in", (ANNA, EWA), studies=2, slices=1)
    summary = tool.direct(tmp_path / "in")
    assert (summary.patients, summary.without_id) == (2, 0)
    after = [pydicom.dcmread(path) for path in tool.outputs()]
    assert len({d.PatientID for d in after}) == 2 == len(list(tool.out.iterdir()))
    for path in tool.outputs():
        dataset = pydicom.dcmread(path)
        study, series_uid, name = path.parts[-3:]
        assert dataset.PatientID == str(dataset.PatientName) == path.relative_to(tool.out).parts[0]
        assert (dataset.StudyInstanceUID, dataset.SeriesInstanceUID) == (study, series_uid)
        assert name == f"{dataset.SOPInstanceUID}.dcm"
        assert not dataset.PatientBirthDate


def test_accession_and_study_ids_keep_their_equality_and_fit_their_vr(tool, tmp_path):
    tree(tmp_path / "in", (ANNA,), studies=2, slices=2)
    tool.direct(tmp_path / "in")
    seen = {}
    for dataset in map(pydicom.dcmread, tool.outputs()):
        for name in ("AccessionNumber", "StudyID"):
            value = dataset[name].value
            assert 1 <= len(value) <= 16 and value.isalnum()
            seen.setdefault((name, dataset.StudyInstanceUID), set()).add(value)
    assert len(seen) == 4 and all(len(values) == 1 for values in seen.values())
    assert len(set.union(*seen.values())) == 4


def test_intervals_stay_exact_inside_a_patient_and_shifts_differ_between_patients(tool, tmp_path):
    parts = series(ANNA, 1, 1, slices=1) + series(ANNA, 2, 1, slices=1) + series(EWA, 1, 1, slices=1)
    source = chest(tmp_path / "in", *parts)
    tool.direct(source)
    shifts = {}
    for before, after in by_source(tool, source):
        shifts.setdefault(before.PatientID, set()).add(moment(after) - moment(before))
    assert all(len(found) == 1 for found in shifts.values())
    assert len(set.union(*shifts.values())) == 2
    for (shift,) in shifts.values():
        assert datetime.timedelta(-3653) <= shift <= datetime.timedelta(-30)


def test_a_patient_id_is_stripped_and_its_issuer_counts(tool, tmp_path):
    one, two, three = (series(Person("Li^Na", "MRN-1"), n, 1, slices=1)[0] for n in (1, 2, 3))
    two.PatientID = "MRN-1 "
    three.IssuerOfPatientID = "Other hospital"
    source = chest(tmp_path / "in", one, two, three)
    assert tool.direct(source).patients == 2
    label = {b.StudyInstanceUID: a.PatientID for b, a in by_source(tool, source)}
    assert label[one.StudyInstanceUID] == label[two.StudyInstanceUID] != label[three.StudyInstanceUID]


@pytest.mark.parametrize("placeholder", ["", "0", "000000", "UNKNOWN", "anon", "N/A", None])
def test_without_an_id_each_study_is_a_patient(tool, tmp_path, placeholder):
    parts = []
    for study in (1, 1, 2):
        (dataset,) = series(Person("Li^Na", "MRN-1"), study, len(parts) + 1, slices=1)
        if placeholder is None:
            del dataset.PatientID
        else:
            dataset.PatientID = placeholder
        parts.append(dataset)
    summary = tool.direct(chest(tmp_path / "in", *parts))
    assert (summary.released, summary.patients, summary.without_id) == (3, 2, 2)


def test_the_patient_map_joins_dicom_and_nifti(tool, tmp_path):
    source = tmp_path / "in"
    chest(source / "dicom" / "ewa", series(EWA, 1, 1, slices=1)[0])
    chest(source / "dicom" / "other", series(Person("X^Y", "ZZZ-9"), 1, 1, slices=1)[0])
    chest(source / "scan", series(Person("N^N", "QQQ-8"), 1, 1, slices=1)[0])
    anat = source / "bids" / "sub-01" / "func"
    anat.mkdir(parents=True)
    (anat / "sub-01_task-rest_bold.nii.gz").write_bytes(nifti_bytes(shape=(4, 4, 3, 2)))
    (anat / "sub-01_task-rest_bold.json").write_text('{"AcquisitionDateTime": "2020-01-15T10:15:00"}')
    table = tmp_path / "map.csv"
    table.write_text("path,patient\nsub-01,STUDY-1\nZZZ-9,STUDY-1\ndicom/ewa,STUDY-1\nscan/0.dcm,STUDY-1\n")
    summary = tool.direct(source, patient_map=table, on_risk=OnRisk.RELEASE)
    assert summary.patients == 1 and summary.released == 5, summary.held
    dicom = [pydicom.dcmread(path) for path in tool.outputs() if path.suffix == ".dcm"]
    (label,) = {dataset.PatientID for dataset in dicom}
    names = [path.relative_to(tool.out).parts for path in tool.outputs()]
    assert {parts[1] for parts in names if parts[-1].startswith("sub-")} == {f"sub-{label}"}
    (sidecar,) = [path for path in tool.outputs() if path.suffix == ".json"]
    shown = datetime.datetime.fromisoformat(json.loads(sidecar.read_text())["AcquisitionDateTime"])
    assert {moment(dataset) for dataset in dicom} == {shown}
    without = tool.direct(source, out=tmp_path / "b", on_risk=OnRisk.RELEASE)
    assert without.patients == 4


def test_a_changed_patient_map_moves_the_outputs(tool, tmp_path):
    source = chest(tmp_path / "in", series(ANNA, 1, 1, slices=1)[0], series(EWA, 1, 1, slices=1)[0])
    tool.direct(source)
    table = tmp_path / "map.csv"
    table.write_text("MRN-1234567,One\n0099887,One\n")
    joined = tool.direct(source, patient_map=table)
    assert (joined.patients, joined.released, joined.deleted) == (1, 2, 2)
    assert len(tool.outputs()) == 2 and len(list(tool.out.iterdir())) == 1


def test_another_output_is_another_key_and_a_project_joins_them(tool, tmp_path, monkeypatch):
    write(build("cr", patient="MRN-1").dataset, tmp_path / "in" / "x.dcm")
    for name in ("XDG_STATE_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    names = {}
    for number, project in enumerate([None, None, "p", "p"]):
        out = tmp_path / f"o{number}"
        tool.direct(tmp_path / "in", out=out, state=None, project=project)
        names[number] = tool.outputs(out)[0].relative_to(out)
    assert names[0] != names[1] and names[2] == names[3] and names[0] != names[2]
    keys = list((tmp_path / "home").rglob("key"))
    assert len(keys) == 3 and all(path.stat().st_mode & 0o777 == 0o600 for path in keys)


def test_keys_from_a_file_the_environment_and_under_a_passphrase(tool, tmp_path, key, monkeypatch):
    write(build("cr", patient="MRN-1").dataset, tmp_path / "in" / "x.dcm")
    tool.direct(tmp_path / "in", key_file=key)
    monkeypatch.setenv("MAMI_DEID_KEY", key.read_text())
    tool.direct(tmp_path / "in", out=tmp_path / "b", state=tmp_path / "sb")
    assert tool.tree() == tool.tree(tmp_path / "b")
    assert tool.direct(tmp_path / "in").unchanged == 1

    monkeypatch.setenv("MAMI_DEID_KEY", "ff" * 32)
    assert "not the one this project was made with" in tool.refused(tmp_path / "in")
    monkeypatch.delenv("MAMI_DEID_KEY")
    assert "key of this project is missing" in tool.refused(tmp_path / "in")

    monkeypatch.setenv("MAMI_DEID_PASSPHRASE", "correct horse")
    places = {"out": tmp_path / "c", "state": tmp_path / "sc"}
    tool.direct(tmp_path / "in", **places)
    assert b"locked" in (tmp_path / "sc" / "key").read_bytes()
    assert tool.direct(tmp_path / "in", **places).unchanged == 1
    monkeypatch.setenv("MAMI_DEID_PASSPHRASE", "wrong")
    assert "passphrase" in tool.refused(tmp_path / "in", **places)
    monkeypatch.delenv("MAMI_DEID_PASSPHRASE")
    assert "encrypted" in tool.refused(tmp_path / "in", **places)


def test_a_lost_key_is_not_replaced_in_silence(tool, tmp_path):
    write(build("cr", patient="MRN-1").dataset, tmp_path / "in" / "x.dcm")
    tool.direct(tmp_path / "in")
    (tool.state / "key").unlink()
    assert "restore it from a copy" in tool.refused(tmp_path / "in")
