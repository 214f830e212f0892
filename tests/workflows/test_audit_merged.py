"""Audits of shards: each of its own patients, and joined into the audit of the whole release."""

import json

import pydicom
import pytest
from workflows.command import Tool

from deid.training.phantoms import make_cohort, write_dicom

PATIENTS = 7


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    write_dicom(make_cohort(PATIENTS, 2, 1, "chest", 32), folder / "in")
    (folder / "in" / "manifest.csv").unlink()
    tool = Tool(folder)
    tool.source = folder / "in"
    tool.reports = [audited_shard(tool, folder / f"report{number}", number) for number in (1, 2)]
    return tool


def audited_shard(tool, report, number):
    """Scrub a shard and audit what it wrote, where the output holds that of other shards too."""
    options = ("--identity", "off", "--shard", f"{number}/2", "--audit", report)
    tool.run(*tool.arguments(tool.source, *options), status=0)
    return report / "audit.json"


def test_scrub_audits_its_own_shard_only(project):
    releases = [json.loads(path.read_text())["release"] for path in project.reports]
    assert sum(each["patients"] for each in releases) == PATIENTS
    assert all(each["patients"] for each in releases)
    assert [each["part"]["number"] for each in releases] == [1, 2]
    assert releases[0]["part"]["split"] == releases[1]["part"]["split"]


def test_merged_counts_are_those_of_the_whole_release(project, tmp_path):
    project.run("audit", "--state", project.state, "--attack", "header", "--report", tmp_path / "w", status=0)
    whole = json.loads((tmp_path / "w" / "audit.json").read_text())
    common = ("--merge", "--report", tmp_path / "merged", "--json", "--require", "header.certain==0")
    common += ("--sr", tmp_path / "merged.dcm")
    done = project.run("audit", *project.reports, *common, status=0)
    merged = json.loads(done.stdout)
    assert merged == json.loads((tmp_path / "merged" / "audit.json").read_text())
    for key in ("patients", "patients_with_several_studies", "images", "pairs", "modalities"):
        assert merged["release"][key] == whole["release"][key]
    for key in ("certain", "possible", "files", "by_form", "by_place"):
        assert merged["header"][key] == whole["header"][key]
    assert merged["header"]["shift"]["patients"] == whole["header"]["shift"]["patients"]
    assert pydicom.dcmread(tmp_path / "merged.dcm").Modality == "SR"
    assert "Merged from 2 of 2 shards" in (tmp_path / "merged" / "audit.html").read_text()


def test_a_gate_that_fails_ends_with_its_status(project, tmp_path):
    done = project.run(
        "audit",
        "--merge",
        *project.reports,
        "--report",
        tmp_path / "m",
        "--require",
        "header.files<1",
        status=5,
    )
    assert b"gate failed: header.files<1.0" in done.stderr


def test_half_a_release_passes_no_gate(project, tmp_path):
    (tmp_path / "third").mkdir()
    half = json.loads(project.reports[0].read_text())
    half["release"]["part"] |= {"of": 3}
    other = json.loads(project.reports[1].read_text())
    other["release"]["part"] |= {"of": 3}
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    for path, result in zip(paths, (half, other), strict=True):
        path.write_text(json.dumps(result))
    done = project.run(
        "audit", "--merge", *paths, "--report", tmp_path / "m", "--require", "header.certain==0", status=5
    )
    assert b"not assessed in every shard" in done.stderr


@pytest.mark.parametrize(
    ("chosen", "message"),
    [((), "needs the audit.json"), ((0, 0), "same shard"), ((0, "in"), "cannot be read")],
)
def test_what_cannot_be_merged_is_refused(project, tmp_path, chosen, message):
    paths = [project.source if number == "in" else project.reports[number] for number in chosen]
    done = project.run("audit", "--merge", *paths, "--report", tmp_path / "m", status=2)
    assert message in done.stderr.decode()
    assert not (tmp_path / "m").exists()


def test_one_audit_stays_as_it_is(project, tmp_path):
    project.run("audit", "--state", project.state, "--attack", "header", "--report", tmp_path / "w", status=0)
    whole = tmp_path / "w" / "audit.json"
    project.run("audit", "--merge", whole, "--report", tmp_path / "m", status=0)
    assert (tmp_path / "m" / "audit.json").read_text() == whole.read_text()


def test_one_shard_of_two_is_no_whole_audit(project, tmp_path):
    project.run("audit", "--merge", project.reports[0], "--report", tmp_path / "m", status=0)
    merged, shard = (json.loads(path.read_text()) for path in (tmp_path / "m/audit.json", project.reports[0]))
    assert shard["header"]["verdict"] == "no link found"
    assert merged["header"]["verdict"] == "not assessed"


def test_a_shard_needs_the_project(project, tmp_path):
    done = project.run("audit", project.out, "--shard", "1/2", "--report", tmp_path / "r", status=2)
    assert b"--shard needs the project" in done.stderr
