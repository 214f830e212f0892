"""What a run says: exit status, summary, differences, progress; and what it does not."""

import json
import re
import stat

import pytest
from builders import Person, bids_tree, build, surviving, tree, write

from deid.core.outcomes import Outcome, Status
from deid.core.shards import Shard
from deid.workflows.scrub.options import HeldLimit, OnRisk
from deid.workflows.scrub.summary import Summary

SCHEMA = {
    "released": int,
    "unchanged": int,
    "held": int,
    "held_by_reason": dict,
    "held_examples": dict,
    "dropped": dict,
    "skipped": dict,
    "identity_removed_no": int,
    "identity_removed_no_because": list,
    "patients": int,
    "patients_without_id": int,
    "shared_instance_uids": int,
    "outputs_deleted": int,
    "outputs_without_input": int,
    "levels": dict,
    "identity_removed": dict,
    "identity_not_removed": dict,
    "identity_series": list,
    "library_messages": dict,
    "seconds": dict,
    "bytes_written": int,
    "unrelated_patients": dict,
}


@pytest.fixture
def source(tmp_path):
    """Four images that are released, one that is held, one file that is skipped."""
    tree(tmp_path / "in", (Person("Quermmel^Na", "PAT-4711"),), studies=1, slices=1)
    write(build("us", patient="PAT-4711").dataset, tmp_path / "in" / "Xqpath" / "us")
    (tmp_path / "in" / "notes.txt").write_text("Xqnotes")
    return tmp_path / "in"


def test_exit_status_of_every_ending(tool, source, tmp_path):
    (tmp_path / "empty").mkdir()
    elsewhere = {"out": tmp_path / "e", "state": tmp_path / "es"}
    runs = [
        tool.arguments(source),
        tool.arguments(source, "--held-ok"),
        tool.arguments(tmp_path / "empty", **elsewhere),
        tool.arguments(source, "--on-risk", "perhaps"),
        tool.arguments(source, "--no-such-option"),
    ]
    assert [tool.run(*arguments).returncode for arguments in runs] == [1, 0, 3, 2, 2]
    # 0 by a clean tree, 70, 130 and 143 have tests of their own


@pytest.mark.parametrize(
    ("limit", "status"),
    [("0", 1), ("1", 0), ("20%", 1), ("25%", 0), ("24.9%", 1), ("100%", 0)],
)
def test_limits_of_held_units(limit, status):
    summary = Summary(released=3)
    summary.held["x"] = 1
    assert summary.exit_status(HeldLimit.parse(limit)) == status
    assert summary.exit_status(None) == 0


def test_nothing_released_is_a_failure_whatever_the_limit():
    summary = Summary()
    assert summary.exit_status(None) == 3
    summary.held["x"] = 1
    assert summary.exit_status(None) == summary.exit_status(HeldLimit.parse("100%")) == 3


def test_a_shard_without_patients_is_no_failure(tool, source):
    statuses = {tool.direct(source, shard=Shard(n, 50)).exit_status(None) for n in range(1, 51)}
    assert statuses == {0}
    assert len(tool.outputs()) == tool.direct(source).unchanged


def test_json_has_a_stable_schema_and_holds_no_value(tool, source):
    done = tool.run(*tool.arguments(source, "--json"), status=1)
    summary = json.loads(done.stdout)
    assert {name: type(value) for name, value in summary.items()} == SCHEMA
    assert (summary["released"], summary["held"], summary["patients"]) == (3, 1, 1)
    assert summary["skipped"] == {"not DICOM, NIfTI or BIDS": 1}
    assert all(re.fullmatch(r"#[0-9a-f]{10}", r) for refs in summary["held_examples"].values() for r in refs)
    assert set(summary["seconds"]) == {"index", "write"}
    assert summary["bytes_written"] == sum(len(data) for data in tool.tree().values())
    assert surviving(done.stdout + done.stderr, ["Quermmel", "4711", "Xqpath", "Xqnotes", str(source)]) == []
    assert done.stderr == b""


def test_standard_output_holds_data_only(tool, source):
    done = tool.run(*tool.arguments(source), status=1)
    assert done.stdout == b""
    assert b"3 released" in done.stderr and b"1 held back" in done.stderr
    assert surviving(done.stderr, ["Quermmel", "4711", "Xqpath", "Xqnotes", str(source)]) == []


def test_the_summary_of_a_second_run_says_unchanged(tool, source):
    tool.direct(source)
    assert b"3 unchanged" in tool.run(*tool.arguments(source), status=1).stderr


def test_a_dry_run_writes_nothing_and_counts_the_same(tool, source, tmp_path):
    bids_tree(tmp_path / "in" / "bids")
    options = {"on_risk": OnRisk.RELEASE}
    dry = tool.direct(source, dry_run=True, **options)
    assert not tool.out.exists()
    real = tool.direct(source, **options)
    keys = ("released", "unchanged", "weaker", "weaker_because", "patients", "without_id", "shared_uids")
    assert {key: getattr(dry, key) for key in keys} == {key: getattr(real, key) for key in keys}
    assert (dry.held, dry.skipped, dry.dropped) == (real.held, real.skipped, real.dropped)
    before = {path: path.stat().st_mtime_ns for path in tool.outputs()}
    (source / "notes.txt").unlink()
    next(source.rglob("IM0000")).unlink()
    again = tool.direct(source, dry_run=True, prune=True, **options)
    assert (again.unchanged, again.deleted) == (real.released - 1, 0)
    assert {path: path.stat().st_mtime_ns for path in tool.outputs()} == before
    assert not tool.hidden()


def test_a_dry_run_verifies_as_the_real_run_does(tool, source, tmp_path, monkeypatch):
    from deid.core.errors import Held
    from deid.workflows.scrub import writing

    bids_tree(tmp_path / "in" / "bids")

    def fail(*_):
        raise Held("verification: a test")

    monkeypatch.setattr(writing, "check_text", fail)
    monkeypatch.setattr(writing.PatientRelease, "verify", fail)
    dry = tool.direct(source, dry_run=True)
    real = tool.direct(source)
    assert dry.held == real.held and dry.held["verification: a test"] > 3


def test_the_diff_is_private_and_names_every_changed_value(tool, source, tmp_path):
    report = tmp_path / "diff.jsonl"
    bids_tree(source / "bids")
    tool.direct(source, diff=report, on_risk=OnRisk.RELEASE)
    assert stat.S_IMODE(report.stat().st_mode) == 0o600
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    assert all(set(line) == {"ref", "where", "vr", "before", "after"} for line in lines)
    names = {line["before"]: line["after"] for line in lines if line["where"] == "(0010,0010)"}
    labels = {path.relative_to(tool.out).parts[0] for path in tool.outputs() if path.suffix == ".dcm"}
    assert set(names) == {"Quermmel^Na", "Testperson^Anna"} and set(names.values()) == labels
    assert {line["ref"] for line in lines} >= {"#" + o.ref[:5].hex() for o in _released(tool)}
    assert not any(line["before"] == line["after"] for line in lines)
    forms = {
        line["vr"]: line for line in lines if line["where"] in ("descrip", "AcquisitionTime", "acq_time[1]")
    }
    assert set(forms) == {"NIfTI", "JSON", "TSV"} and all(line["before"] for line in forms.values())


def _released(tool):
    from deid.core.project import Project, ProjectOptions

    with Project.open(ProjectOptions(tool.out, None, tool.state)) as project, project.journal() as journal:
        return [
            outcome
            for outcome in journal.outcomes.all(Status.RELEASED)
            if outcome.outputs[0].endswith(".dcm")
        ]


def test_the_diff_shows_accented_names_as_they_are(tool, tmp_path):
    dataset = build("cr").dataset
    dataset.PatientName = "Müller^Zoë"
    write(dataset, tmp_path / "in" / "x")
    tool.direct(tmp_path / "in", diff=tmp_path / "diff")
    lines = map(json.loads, (tmp_path / "diff").read_text().splitlines())
    assert "Müller^Zoë" in {line["before"] for line in lines}


def test_progress_with_counts_and_rate_on_a_terminal_only(tool, source, tmp_path):
    shown, status = tool.on_terminal(*tool.arguments(source))
    assert status == 1
    assert re.search(r"index: 5 files \[.*files/s\]", shown) and re.search(
        r"write: 3 files \[.*files/s\]", shown
    )
    quiet = tool.run(*tool.arguments(source, out=tmp_path / "b", state=tmp_path / "sb"), status=1).stderr
    assert b"files [" not in quiet and b"\r" not in quiet


def test_library_messages_are_counted_by_kind(tool, source, monkeypatch):
    import logging
    import warnings

    from deid.workflows.scrub import formats

    original = formats.index_file

    def noisy(path):
        warnings.warn("Xqwarned", UserWarning, stacklevel=1)
        logging.getLogger("pydicom.x").error("Xqlogged %s", path)
        return original(path)

    monkeypatch.setattr(formats, "index_file", noisy)
    from deid.core.noise import NoiseCounter

    NoiseCounter.installed.cache_clear()  # pytest has put its own hooks in place since
    assert dict(tool.direct(source).noise) == {"UserWarning": 5, "pydicom error": 5}


def test_outcomes_are_counted_once():
    summary = Summary()
    for status in (Status.RELEASED, Status.HELD, Status.DROPPED, Status.SKIPPED):
        summary.add(Outcome(b"x" * 16, b"", b"", status, "why"))
    assert summary.units == 3 and summary.examples == {"why": ["#" + "78" * 5]}
