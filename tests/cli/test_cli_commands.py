"""``show``, ``crosswalk`` and ``profile`` as a user calls them."""

import csv
import io
import json
import os
import subprocess
import sys

import pydicom
import pytest
from builders import Person, build, tree, write
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

PASSPHRASE = {"MAMI_DEID_CROSSWALK_PASSPHRASE": "correct horse battery"}


@pytest.fixture
def scrubbed(tool, tmp_path):
    tree(tmp_path / "in", (Person("Quermmel^Na", "PAT-4711"),), studies=1, slices=1)
    write(build("us", patient="PAT-4711").dataset, tmp_path / "in" / "folder" / "us.dcm")
    tool.summary = tool.direct(tmp_path / "in")
    return tool


def test_show_resolves_references_and_lists_what_is_held(scrubbed):
    (references,) = scrubbed.summary.examples.values()
    place = ("--out", scrubbed.out, "--state", scrubbed.state)
    assert scrubbed.run("show", references[0], *place, status=0).stdout == b"folder/us.dcm\n"
    assert scrubbed.run("show", references[0].strip("#"), *place, status=0).stdout == b"folder/us.dcm\n"
    (row,) = scrubbed.run("show", "--held", *place, status=0).stdout.decode().splitlines()
    reference, reason, path = row.split("\t")
    assert (reference, path) == (references[0], "folder/us.dcm") and reason in scrubbed.summary.held


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["#0000000000"], b"no input of this project has that reference"),
        (["folder/us.dcm"], b"a reference is"),
        ([], b"give references"),
    ],
)
def test_show_refuses_what_is_no_reference(scrubbed, arguments, message):
    done = scrubbed.run("show", *arguments, "--state", scrubbed.state, status=2)
    assert message in done.stderr and done.stdout == b""


def test_show_needs_a_project_that_exists(tool, tmp_path):
    assert b"no such project" in tool.run("show", "--held", "--state", tmp_path / "no", status=2).stderr
    assert not (tmp_path / "no").exists()


def test_a_reader_that_goes_away_is_no_error(scrubbed):
    command = [sys.executable, "-m", "deid", "profile", "show"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b"" and process.wait() == 0


def rows_of(stdout):
    return list(csv.DictReader(io.StringIO(stdout.decode())))


def check_rows(tool, rows):
    assert len(rows) == len(tool.outputs())
    for row in rows:
        dataset = pydicom.dcmread(tool.out / row["output"])
        assert row["patient_pseudonym"] == dataset.PatientID and row["patient_id"] == "PAT-4711"
        assert row["study_pseudonym"] == dataset.StudyInstanceUID
        assert row["series_pseudonym"] == dataset.SeriesInstanceUID
        assert row["instance_pseudonym"] == dataset.SOPInstanceUID
        assert row["accession_pseudonym"] == dataset.AccessionNumber and row["accession_number"] == "ACC00001"
        assert row["instance_uid"] != row["instance_pseudonym"] and row["source"]


def test_a_crosswalk_goes_out_and_comes_back_under_a_passphrase(scrubbed, tmp_path):
    place = ("--out", scrubbed.out, "--state", scrubbed.state)
    target = tmp_path / "crosswalk"
    done = scrubbed.run("crosswalk", "export", target, *place, environment=PASSPHRASE, status=0)
    assert done.stdout == b"" and b"rows written" in done.stderr
    data = target.read_bytes()
    assert target.stat().st_mode & 0o777 == 0o600 and b"4711" not in data and b"IM0" not in data
    opened = scrubbed.run("crosswalk", "open", target, environment=PASSPHRASE, status=0)
    check_rows(scrubbed, rows_of(opened.stdout))
    wrong = {"MAMI_DEID_CROSSWALK_PASSPHRASE": "wrong"}
    assert scrubbed.run("crosswalk", "open", target, environment=wrong, status=2).stdout == b""
    assert b"MAMI_DEID_CROSSWALK_PASSPHRASE" in scrubbed.run("crosswalk", "open", target, status=2).stderr


def test_a_crosswalk_goes_out_to_a_public_key_and_is_journalled(scrubbed, tmp_path):
    private = X25519PrivateKey.generate()
    pem = serialization.Encoding.PEM
    (tmp_path / "private").write_bytes(
        private.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (tmp_path / "public").write_bytes(
        private.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    target = tmp_path / "crosswalk"
    place = ("--out", scrubbed.out, "--state", scrubbed.state)
    scrubbed.run("crosswalk", "export", target, *place, "--public-key", tmp_path / "public", status=0)
    opened = scrubbed.run("crosswalk", "open", target, "--private-key", tmp_path / "private", status=0)
    check_rows(scrubbed, rows_of(opened.stdout))
    from deid.core.project import Project, ProjectOptions

    with (
        Project.open(ProjectOptions(scrubbed.out, None, scrubbed.state)) as project,
        project.journal() as journal,
    ):
        ((_, recipient, rows),) = journal.exports()
    assert recipient == "X25519 key" and rows == len(scrubbed.outputs())


def test_a_crosswalk_is_refused_inside_the_output_and_without_a_journal(scrubbed, tmp_path):
    place = ("--out", scrubbed.out, "--state", scrubbed.state)
    inside = scrubbed.run("crosswalk", "export", scrubbed.out / "x", *place, environment=PASSPHRASE, status=2)
    assert b"inside the output" in inside.stderr and not (scrubbed.out / "x").exists()
    elsewhere = ("--out", tmp_path / "other", "--state", scrubbed.state)
    other = scrubbed.run("crosswalk", "export", tmp_path / "x", *elsewhere, environment=PASSPHRASE, status=2)
    assert b"no journal" in other.stderr
    assert b"--out is needed" in scrubbed.run("crosswalk", "export", tmp_path / "x", status=2).stderr


def test_odd_names_and_nifti_stand_in_the_crosswalk(tool, tmp_path):
    name = os.fsdecode(b"odd\xff\nname")
    write(build("cr", patient="PAT-1").dataset, tmp_path / "in" / name)
    (tmp_path / "in" / "sub-01").mkdir()
    (tmp_path / "in" / "sub-01" / "sub-01_task-rest_bold.json").write_text('{"RepetitionTime": 2}')
    tool.direct(tmp_path / "in")
    place = ("--out", tool.out, "--state", tool.state)
    tool.run("crosswalk", "export", tmp_path / "c", *place, environment=PASSPHRASE, status=0)
    opened = tool.run("crosswalk", "open", tmp_path / "c", environment=PASSPHRASE, status=0).stdout
    rows = list(csv.DictReader(io.StringIO(opened.decode("utf-8", "surrogateescape"), newline="")))
    assert len(rows) == 2
    assert {os.fsencode(row["source"])[:3] for row in rows} == {b"odd", b"sub"}


def test_profile_show_has_a_line_for_every_tag(tool):
    text = tool.run("profile", "show", status=0).stdout.decode().splitlines()
    rows = json.loads(tool.run("profile", "show", "--json", status=0).stdout)
    assert text[0].split() == ["tag", "VR", "action", "decided", "by", "attribute"]
    assert len(text) == len(rows) + 1 > 4000
    assert all(set(row) == {"tag", "vr", "action", "source", "name"} for row in rows)
    named = {row["name"]: row for row in rows}
    assert named["Patient's Birth Date"]["action"] == "Z/D"
    assert named["Retrieve AE Title"]["source"] == "Table E.1-1"
    assert named["Rows"]["source"] == "rule by VR" and named["Rows"]["action"] == "K"
    line = next(line for line in text if line.startswith("(0010,0010)"))
    assert line.split(None, 3)[1] == "PN" and line.endswith("Patient's Name")


def test_profile_statement_schema_and_check(tool, tmp_path):
    assert tool.run("profile", "statement", status=0).stdout.startswith(b"# De-identification conformance")
    assert json.loads(tool.run("profile", "schema", status=0).stdout)["type"] == "object"
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("preset: basic\noverrides:\n  - {attribute: InstitutionName, action: keep-verbatim}\n")
    checked = tool.run("profile", "check", recipe, status=0).stdout
    assert b"weaker than the standard: InstitutionName" in checked
    recipe.write_text("preset: basic\n")
    assert b"113100" in tool.run("profile", "check", recipe, status=0).stdout
    recipe.write_text("preset: basic\nunknown: 1\n")
    assert tool.run("profile", "check", recipe, status=2).stdout == b""
    assert tool.run("profile", "show", "--preset", "nosuch", status=2).stdout == b""


def test_help_of_every_command(tool):
    for command in ([], ["scrub"], ["crosswalk", "export"]):
        done = tool.run(*command, "--help", status=0)
        assert b"Usage:" in done.stdout and done.stderr == b""
    assert tool.run("--version", status=0).stdout.startswith(b"mami-deid ")
