"""What an audit keeps in the state folder, and the checks that ``scrub --audit`` appends."""

import json
import shutil
import stat
import sys
from types import SimpleNamespace

import pytest
import typer
from workflows.command import Tool

from deid.cli import project as project_options
from deid.cli.scrub import command
from deid.core.keys import new_key, write_key_file
from deid.training.phantoms import make_cohort, write_dicom
from deid.workflows.audit import Attack, AuditOptions, audit
from deid.workflows.audit.sources import find_pairs


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    write_dicom(make_cohort(6, 2, 1, "chest", 32), folder / "in")
    (folder / "in" / "manifest.csv").unlink()
    tool = Tool(folder)
    done = tool.run(*tool.arguments(folder / "in"), "--identity", "off", "--audit", folder / "report")
    tool.source, tool.report, tool.done = folder / "in", folder / "report", done
    return tool


def test_scrub_audits_what_it_has_written(project):
    assert project.done.returncode == 0, project.done.stderr.decode()
    result = json.loads((project.report / "audit.json").read_text())
    assert result["header"]["status"] == result["linkage"]["status"] == "assessed"
    assert result["reid"]["reason"] == "not asked for"
    assert (project.report / "audit.html").is_file()
    assert b"linkage    linkable" in project.done.stderr


def test_the_passphrase_of_a_key_is_asked_for_once(tmp_path, monkeypatch, capsys):
    """The key is opened twice, by the scrub and by the audit after it."""
    write_dicom(make_cohort(2, 1, 1, "chest", 32), tmp_path / "in")
    (tmp_path / "in" / "manifest.csv").unlink()
    (tmp_path / "state").mkdir(mode=0o700)
    write_key_file(tmp_path / "state" / "key", new_key(), "correct horse battery")
    asked = []
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr(project_options, "ask_passphrase", lambda: asked.append(1) or "correct horse battery")
    with pytest.raises(typer.Exit) as ended:
        command(
            tmp_path / "in",
            tmp_path / "out",
            state=tmp_path / "state",
            identity="off",
            jobs=1,
            audit=tmp_path / "report",
        )
    assert ended.value.exit_code == 0
    assert (tmp_path / "report" / "audit.json").is_file(), capsys.readouterr().err
    assert len(asked) == 1


@pytest.mark.parametrize("place", ["in/report", "out/report", "state/report", "in"])
def test_scrub_refuses_a_report_where_it_does_not_belong_before_it_begins(project, place):
    before = project.tree()
    again = project.arguments(project.source, "--audit", project.source.parent / place)
    done = project.run(*again, status=2)
    assert b"--audit lies inside" in done.stderr
    assert project.tree() == before


def test_a_dry_run_has_nothing_to_audit(project, tmp_path):
    done = project.run(*project.arguments(project.source, "--dry-run", "--audit", tmp_path / "r"), status=2)
    assert b"--dry-run writes nothing" in done.stderr


def test_the_status_is_that_of_the_scrub(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "note.txt").write_text("no image")
    tool = Tool(tmp_path)
    done = tool.run(*tool.arguments(tmp_path / "in", "--audit", tmp_path / "report"), status=3)
    assert b"not audited: the project has released nothing" in done.stderr


def annexes(tool):
    return sorted((tool.state / "audit").iterdir())


def test_worst_cases_lie_in_the_state_folder_by_reference(project, tmp_path):
    known = annexes(project)
    wanted = (Attack.REID, Attack.LINKAGE, Attack.HEADER)
    done = audit(AuditOptions(tmp_path / "report", state=project.state, attacks=wanted), lambda *_: None)
    (annex,) = set(annexes(project)) - set(known)
    assert done.annex == annex
    assert stat.S_IMODE(annex.stat().st_mode) == 0o600
    assert stat.S_IMODE(annex.parent.stat().st_mode) == 0o700
    kept = json.loads(annex.read_text())
    assert kept["linkage"]["pixels"] and kept["uniqueness"]
    refs = {link["ref"] for link in kept["linkage"]["pixels"]}
    shown = project.run("show", sorted(refs)[0], "--state", project.state, status=0).stdout.decode()
    assert (project.source / shown.strip()).is_file()
    report = "".join(path.read_text() for path in done.files)
    assert not [ref for ref in refs if ref in report or ref[1:] in report]


def test_header_hits_are_named_by_element_and_hold_no_value(project, tmp_path):
    """An output of the project is replaced by its original: every identifier is found in it."""
    given = AuditOptions(tmp_path / "report", state=project.state, attacks=(Attack.HEADER,))
    pair = find_pairs(given).pairs[0]
    kept = pair.scrubbed.read_bytes()
    shutil.copyfile(pair.original, pair.scrubbed)
    try:
        done = audit(given, lambda *_: None)
    finally:
        pair.scrubbed.write_bytes(kept)
    found = json.loads(done.annex.read_text())["header"]
    assert {hit["ref"] for hit in found if hit["certain"]} == {pair.ref}
    assert any(hit["element"].startswith("(") for hit in found)
    assert all(set(hit) == {"ref", "element", "place", "form", "certain"} for hit in found)


def test_a_release_without_a_project_leaves_no_annex(project, tmp_path):
    done = audit(
        AuditOptions(tmp_path / "r", scrubbed=project.out, attacks=(Attack.HEADER,)), lambda *_: None
    )
    assert done.annex is None


def test_annexes_are_forgotten_on_demand(project):
    count = len(annexes(project))
    done = project.run("audit", "--forget", "--state", project.state, status=0)
    assert count and f"private annexes deleted: {count}".encode() in done.stderr
    assert annexes(project) == []
    refused = project.run("audit", "--forget", "--state", project.state.parent / "none", status=2)
    assert b"no such project" in refused.stderr
