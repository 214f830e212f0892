"""What is audited: pairs by journal, table, key and equal names; whom they show; and clear refusals."""

import shutil

import pydicom
import pytest
from workflows.command import Tool

from deid.audit.release import (
    MISSING,
    NO_PATIENT,
    NOT_AN_IMAGE_FILE,
    equal_name_pairs,
    journal_pairs,
    keyed_pairs,
    last_output,
    read_patients,
    read_release,
    released_files,
    table_pairs,
)
from deid.core.errors import UsageError
from deid.core.keys import ProjectKey
from deid.core.project import Project, ProjectOptions
from deid.core.pseudonyms import Pseudonyms
from deid.training.phantoms import make_cohort, write_dicom, write_nifti

PATIENTS, STUDIES = 3, 2


@pytest.fixture(scope="module")
def scrubbed(tmp_path_factory):
    """A tool that has scrubbed some phantom patients; the input lies in its folder ``in``."""
    folder = tmp_path_factory.mktemp("project")
    write_dicom(make_cohort(PATIENTS, STUDIES, 1, "chest", 24), folder / "in")
    tool = Tool(folder)
    tool.direct(folder / "in")
    tool.source = folder / "in"
    return tool


@pytest.fixture
def project(scrubbed):
    with Project.open(ProjectOptions(scrubbed.out, None, scrubbed.state), create=False) as opened:
        yield opened


def sets(pairs):
    return {(pair.original, pair.scrubbed) for pair in pairs}


def test_the_journal_knows_all_pairs(scrubbed, project):
    with project.journal() as journal:
        pairs = journal_pairs(journal, scrubbed.out)
        again = journal_pairs(journal, scrubbed.out, scrubbed.source)
    assert len(pairs) == PATIENTS * STUDIES
    assert pairs == again
    assert all(pair.original.is_file() and pair.scrubbed.is_file() for pair in pairs)
    release = read_release(pairs)
    assert release.paired
    assert release.patients == ("P1", "P2", "P3")
    assert release.several_studies() == PATIENTS
    assert sum(release.modalities().values()) == PATIENTS * STUDIES


def test_the_key_finds_the_same_pairs_as_the_journal(scrubbed, project):
    with project.journal() as journal:
        known = journal_pairs(journal, scrubbed.out)
    found = keyed_pairs(project.pseudonyms(), scrubbed.source, scrubbed.out)
    assert sets(found) == sets(known)


def test_a_wrong_key_finds_nothing(scrubbed):
    with pytest.raises(UsageError, match="check the key"):
        keyed_pairs(Pseudonyms(ProjectKey(bytes(32))), scrubbed.source, scrubbed.out)


def test_the_newest_run_of_a_project_says_where_its_output_lies(scrubbed, project):
    journals = project.journals()
    journal, out = last_output(journals)
    assert out == scrubbed.out
    assert len(journal_pairs(journal, out)) == PATIENTS * STUDIES
    for each in journals:
        each.close()


def test_a_table_pairs_files(tmp_path, scrubbed):
    before = sorted(scrubbed.source.rglob("*.dcm"))[:2]
    after = scrubbed.outputs()[:2]
    rows = [
        f"{one.relative_to(scrubbed.source)},{other.relative_to(scrubbed.out)}"
        for one, other in zip(before, after, strict=True)
    ]
    table = tmp_path / "pairs.csv"
    table.write_text("\n".join(["original,scrubbed", *rows]))
    assert sets(table_pairs(table, scrubbed.source, scrubbed.out)) == set(zip(before, after, strict=True))


@pytest.mark.parametrize(
    "text", ["", "a,b\n1,2", "original,scrubbed\n", "original,scrubbed\na,", "original,scrubbed\n../a,b"]
)
def test_a_table_that_cannot_be_used_is_refused(tmp_path, text):
    (tmp_path / "pairs.csv").write_text(text)
    with pytest.raises(UsageError, match="--pairs"):
        table_pairs(tmp_path / "pairs.csv", tmp_path, tmp_path)


def test_equal_names_pair_files(scrubbed, tmp_path):
    shutil.copytree(scrubbed.source, tmp_path / "copy")
    (tmp_path / "copy" / "manifest.csv").unlink()
    assert len(equal_name_pairs(scrubbed.source, tmp_path / "copy")) == PATIENTS * STUDIES


def test_files_that_cannot_be_paired_are_refused_with_advice(scrubbed, tmp_path):
    with pytest.raises(UsageError, match="--pairs FILE"):
        equal_name_pairs(scrubbed.source, scrubbed.out)
    with pytest.raises(UsageError, match="holds no file"):
        equal_name_pairs(scrubbed.source, tmp_path)
    with pytest.raises(UsageError, match="holds no file"):
        released_files(tmp_path)
    with pytest.raises(UsageError, match="folders"):
        released_files(tmp_path / "missing")


def test_the_original_says_how_old_the_patient_was(tmp_path):
    """A release may keep no age."""
    write_dicom(make_cohort(1, 3, 1, "chest", 24), tmp_path / "in")
    shutil.copytree(tmp_path / "in", tmp_path / "out")
    said = {"PatientAge": "017Y"}, {"PatientBirthDate": "20000101", "StudyDate": "20050101"}, {}
    for path, values in zip(sorted((tmp_path / "in").rglob("*.dcm")), said, strict=True):
        dataset = pydicom.dcmread(path)
        del dataset.PatientBirthDate
        for name, value in values.items():
            setattr(dataset, name, value)
        dataset.save_as(path)
    for folder in (tmp_path / "in", tmp_path / "out"):
        (folder / "manifest.csv").unlink()
    release = read_release(equal_name_pairs(tmp_path / "in", tmp_path / "out"))
    ages = [None if each.age is None else round(each.age, 1) for each in release.instances]
    assert ages == [17.0, 5.0, None]


def test_a_release_alone_has_the_patients_of_its_headers(scrubbed):
    release = read_release(released_files(scrubbed.out))
    assert not release.paired
    assert len(release.patients) == PATIENTS
    assert all(instance.original is None for instance in release.instances)


def test_labels_are_opaque(scrubbed):
    release = read_release(released_files(scrubbed.out))
    labels = {each.patient + each.study + each.series for each in release.instances}
    assert all(label.strip("PTS0123456789") == "" for label in labels)


def test_a_table_says_whose_files_they_are(scrubbed, tmp_path):
    names = [str(path.relative_to(scrubbed.out)) for path in scrubbed.outputs()]
    (tmp_path / "patients.csv").write_text("path,patient\n" + "\n".join(f"{name},one" for name in names))
    release = read_release(released_files(scrubbed.out), read_patients(tmp_path / "patients.csv"))
    assert release.patients == ("P1",)


def test_a_table_with_two_patients_for_a_path_is_refused(tmp_path):
    (tmp_path / "patients.csv").write_text("path,patient\na,1\na,2\n")
    with pytest.raises(UsageError, match="two patients"):
        read_patients(tmp_path / "patients.csv")


def test_what_cannot_be_audited_is_counted_by_reason(scrubbed, project, tmp_path):
    shutil.copytree(scrubbed.out, tmp_path / "out")
    one, other = sorted(path for path in (tmp_path / "out").rglob("*") if path.is_file())[:2]
    one.unlink()
    other.write_bytes(b"nothing of interest")
    with project.journal() as journal:
        release = read_release(journal_pairs(journal, tmp_path / "out"))
    assert release.left_out == {MISSING: 1}
    alone = read_release(released_files(tmp_path / "out"))
    assert alone.left_out == {NOT_AN_IMAGE_FILE: 1}


def test_nothing_to_audit_is_refused(tmp_path):
    (tmp_path / "a.nii").write_bytes(b"")
    with pytest.raises(UsageError, match=NO_PATIENT):
        read_release(released_files(tmp_path))


@pytest.mark.parametrize(("folder", "studies"), [("", 0), ("ses-{}", 1)])
def test_runs_of_a_bids_subject_without_sessions_are_of_one_study(tmp_path, folder, studies):
    """Two runs of one visit would pass for another study of the person, which is easy to find."""
    for number in (1, 2):
        path = tmp_path / "sub-one" / folder.format(number) / f"sub-one_run-{number}_T1w.nii"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    assert read_release(released_files(tmp_path)).several_studies() == studies


def test_bids_names_say_whose_volumes_they_are(tmp_path):
    write_nifti(make_cohort(2, 2, 1, "head", 20), tmp_path / "bids")
    release = read_release(
        pair for pair in released_files(tmp_path / "bids") if pair.name.endswith((".nii", ".nii.gz"))
    )
    assert release.patients == ("P1", "P2")
    assert release.several_studies() == 2
