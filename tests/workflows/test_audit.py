"""``audit`` from the folders to the report: what is written, what is refused, what is never written."""

import json
import shutil
import stat
import subprocess
import sys

import jsonschema
import pydicom
import pytest
from builders.anonymizers import save_models
from workflows.command import Tool

from deid.audit import schema
from deid.core.errors import UsageError
from deid.dicom.recipe import preset_recipe
from deid.training.audit_attacker import AuditTraining
from deid.training.phantoms import make_cohort, write_dicom
from deid.workflows.audit import Attack, AuditOptions, audit

PATIENTS, STUDIES = 6, 2


@pytest.fixture(scope="module")
def scrubbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    cohort = make_cohort(PATIENTS, STUDIES, 1, "chest", 32)
    write_dicom(cohort, folder / "in")
    tool = Tool(folder)
    tool.direct(folder / "in")
    tool.source, tool.cohort = folder / "in", cohort
    return tool


def audited(report, **options):
    told = []
    given = {"attacks": (Attack.HEADER,)} | options
    done = audit(AuditOptions(report, **given), lambda *step: told.append(step))
    assert told
    return done


def read(done):
    result = json.loads((done.folder / "audit.json").read_text())
    assert result == done.result
    jsonschema.validate(result, schema.schema())
    return result


def test_the_last_run_of_a_project_is_audited(tmp_path, scrubbed):
    done = audited(tmp_path / "report", state=scrubbed.state)
    result = read(done)
    assert result["release"] == {
        "mode": "pairs",
        "patients": PATIENTS,
        "patients_with_several_studies": PATIENTS,
        "images": PATIENTS * STUDIES,
        "pairs": PATIENTS * STUDIES,
        "modalities": result["release"]["modalities"],
        "left_out": {},
        "part": result["release"]["part"],
    }
    assert result["header"]["status"] == "assessed"
    assert result["header"]["certain"] == 0
    assert result["reid"]["status"] == result["utility"]["status"] == "not assessed"
    assert result["verdict"] == "no link found"
    assert done.exit_status == 0
    assert [row[0] for row in done.rows()] == ["reid", "linkage", "inversion", "header"]


def test_a_release_is_audited_by_the_recipe_that_made_it(tmp_path, scrubbed):
    """What another preset keeps would not be searched for."""
    tool = Tool(tmp_path)
    tool.scrub(scrubbed.source, "--preset", "basic", "--identity", "off")
    made = read(audited(tmp_path / "report", state=tool.state))["manifest"]["recipe"]
    assert made == preset_recipe("basic").digest() != preset_recipe("research").digest()
    same = audited(tmp_path / "same", state=tool.state, preset="basic")
    assert same.result["manifest"]["recipe"] == made
    with pytest.raises(UsageError, match="another recipe"):
        audited(tmp_path / "other", state=tool.state, preset="research")
    # A dry run makes nothing.
    tool.scrub(scrubbed.source, "--preset", "research", "--identity", "off", "--dry-run", status=None)
    assert read(audited(tmp_path / "again", state=tool.state))["manifest"]["recipe"] == made


def test_where_an_attack_that_was_asked_for_found_no_answer_the_whole_says_so(tmp_path):
    write_dicom(make_cohort(6, 1, 1, "chest", 32), tmp_path / "in")
    tool = Tool(tmp_path)
    tool.direct(tmp_path / "in", identity="off")
    result = read(audited(tmp_path / "report", state=tool.state, attacks=(Attack.HEADER, Attack.REID)))
    assert (result["header"]["verdict"], result["reid"]["verdict"]) == ("no link found", "not assessed")
    assert result["linkage"]["reason"] == "not asked for"
    assert result["verdict"] == "not assessed"


def test_an_audit_of_headers_says_nothing_of_networks(tmp_path, scrubbed):
    manifest = read(audited(tmp_path / "report", state=scrubbed.state))["manifest"]
    assert manifest["torch"] is None
    assert manifest["models"] == {}
    assert len(manifest["recipe"]) == 64


def test_all_attacks_run_on_a_copy_and_find_it_linkable(tmp_path, scrubbed):
    shutil.copytree(scrubbed.source, tmp_path / "copy", ignore=shutil.ignore_patterns("*.csv"))
    done = audited(tmp_path / "report", originals=scrubbed.source, scrubbed=tmp_path / "copy", attacks=())
    result = read(done)
    assert result["header"]["verdict"] == result["linkage"]["verdict"] == "linkable"
    assert result["verdict"] == "linkable"
    assert result["utility"]["pixels_unchanged"] == 1
    assert {"images", "header", "reid", "linkage", "utility"} <= result["manifest"]["seconds"].keys()
    page = (done.folder / "audit.html").read_text()
    assert "linkable" in page.lower()


def test_the_anonymizer_that_the_journal_names_is_undone(tmp_path, monkeypatch):
    """With its own weights, at the strength that was used; the restorer learns for a moment only."""
    monkeypatch.setenv("MAMI_DEID_MODELS", str(save_models(tmp_path / "models", views=())))
    monkeypatch.setattr(
        AuditTraining, "of", lambda effort, folder=None: AuditTraining(restorer_steps=2, folder=folder)
    )
    write_dicom(make_cohort(2 * PATIENTS, STUDIES, 1, "chest", 48, ("DX",)), tmp_path / "in")
    tool = Tool(tmp_path)
    assert tool.direct(tmp_path / "in", device="cpu").changed.total() > 0
    result = read(audited(tmp_path / "report", state=tool.state, attacks=(), device="cpu"))
    assert {"scrubber", "critic", "fresh"} <= result["manifest"]["models"].keys()
    assert result["inversion"]["status"] == "assessed", result["inversion"]["reason"]
    assert {"fixed_point", "gradient_descent", "trained_restorer"} <= result["inversion"]["methods"].keys()
    assert result["utility"]["pixels_unchanged"] < 1
    plane = result["plane"]
    assert plane["status"] == "assessed", plane["reason"]
    assert plane["release"]["strength"] == 1 and plane["release"] == plane["strengths"]["1"]
    assert plane["strengths"]["0"]["retained"]["value"] == pytest.approx(1)
    assert {"critic", "fresh"} <= plane["release"]["attackers"].keys()

    given = {"originals": tmp_path / "in", "scrubbed": tool.out, "key_file": tool.state / "key"}
    given |= {"attacks": (Attack.PLANE,), "device": "cpu"}
    unnamed = read(audited(tmp_path / "headers", **given))["plane"]
    assert unnamed["status"] == "assessed"  # the headers name the weights; nothing names the strength
    assert "strength" in unnamed["release"]["reason"]
    shutil.rmtree(tmp_path / "models" / "scrubber")
    gone = read(audited(tmp_path / "gone", **given))["plane"]
    reason = "the anonymizer that made the release is not installed"
    assert gone == {"status": "not assessed", "reason": reason}


def test_a_release_alone_is_audited_as_far_as_it_goes(tmp_path, scrubbed):
    result = read(audited(tmp_path / "report", scrubbed=scrubbed.out, attacks=()))
    assert result["release"]["mode"] == "release"
    assert result["release"]["pairs"] == 0
    assert result["header"]["uniqueness"]["k"]["5+"] <= PATIENTS
    assert result["linkage"]["status"] == result["inversion"]["status"] == "not assessed"


def test_files_are_readable_by_all_and_nothing_else_is_left(tmp_path, scrubbed):
    done = audited(tmp_path / "report", state=scrubbed.state)
    assert sorted(path.name for path in done.folder.iterdir()) == ["audit.html", "audit.json"]
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o644 for path in done.files)


def test_no_identifier_pseudonym_or_path_is_in_the_report(tmp_path, scrubbed):
    roots = {"originals": scrubbed.source, "scrubbed": scrubbed.source}
    done = audited(tmp_path / "report", **roots, sr=tmp_path / "audit.dcm")
    text = "".join(path.read_text("utf-8", "replace") for path in done.files)
    values = {
        value for study in scrubbed.cohort.studies for value in study.person.identifiers if len(value) > 4
    }
    pseudonyms = {path.name for path in scrubbed.out.iterdir()}
    assert values
    assert [value for value in values | pseudonyms | {str(tmp_path)} if value in text] == []


def test_gates_are_checked(tmp_path, scrubbed):
    from deid.audit.gates import parse_gate

    gates = tuple(map(parse_gate, ["header.certain==0", "header.files>100", "reid.adaptive.auc<0.6"]))
    done = audited(tmp_path / "one", state=scrubbed.state, gates=gates)
    assert [gate["passed"] for gate in read(done)["gates"]] == [True, False, False]
    assert done.exit_status == 5
    done = audited(tmp_path / "two", state=scrubbed.state, gates=gates[::2], allow_not_assessed=True)
    assert done.exit_status == 0


def test_labels_that_cannot_be_read_are_refused_before_the_work(tmp_path, scrubbed):
    (tmp_path / "labels.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UsageError, match="--labels takes"):
        audited(tmp_path / "report", state=scrubbed.state, labels=tmp_path / "labels.csv")
    assert not (tmp_path / "report").exists()


def test_an_attack_that_cannot_run_leaves_the_others(tmp_path, scrubbed, monkeypatch):
    def refuse(*arguments, **options):
        raise UsageError("this attack needs more images.")

    monkeypatch.setattr(
        "deid.workflows.audit.ATTACKS", {"header": refuse, "utility": refuse, "linkage": _empty}
    )
    wanted = (Attack.HEADER, Attack.LINKAGE, Attack.UTILITY)
    result = read(audited(tmp_path / "report", state=scrubbed.state, attacks=wanted))
    assert result["header"]["reason"] == result["utility"]["reason"] == "this attack needs more images."
    assert result["linkage"]["methods"] == {}


def _empty(*arguments, **options):
    return {"status": "assessed", "verdict": "not assessed", "words": "not assessed", "methods": {}}


def test_what_was_found_is_kept_if_the_audit_stops(tmp_path, scrubbed, monkeypatch):
    def stop(*arguments, **options):
        raise KeyboardInterrupt

    from deid.audit.header import header

    monkeypatch.setattr("deid.workflows.audit.ATTACKS", {"header": header, "linkage": stop})
    with pytest.raises(KeyboardInterrupt):
        audited(tmp_path / "report", state=scrubbed.state, attacks=(Attack.HEADER, Attack.LINKAGE))
    result = json.loads((tmp_path / "report" / "audit.json").read_text())
    jsonschema.validate(result, schema.schema())
    assert result["header"]["status"] == "assessed"
    assert result["linkage"]["reason"] == "the audit ended before"


def test_reports_inside_the_audited_folders_are_refused(tmp_path, scrubbed):
    for folder in (scrubbed.out, scrubbed.source):
        with pytest.raises(UsageError, match="--report lies inside"):
            audited(folder / "report", state=scrubbed.state)
        assert not (folder / "report").exists()
    with pytest.raises(UsageError, match="--report lies inside"):
        audited(scrubbed.out / "report", scrubbed=scrubbed.out)


def test_a_folder_with_something_in_it_is_refused(tmp_path, scrubbed):
    (tmp_path / "note").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        audited(tmp_path, state=scrubbed.state)
    assert (tmp_path / "note").read_text() == "mine"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "say what to audit"),
        ({"pairs": "x.csv", "scrubbed": "there"}, "--pairs needs"),
        ({"scrubbed": "there", "out": "out"}, "not both"),
        ({"scrubbed": "there"}, "folders"),
        ({"out": "out"}, "no such project"),
    ],
)
def test_options_that_say_too_little_or_too_much_are_refused(tmp_path, options, message):
    places = {name: tmp_path / value for name, value in options.items()}
    with pytest.raises(UsageError, match=message):
        audited(tmp_path / "report", **places)
    assert not (tmp_path / "report").exists()


def test_a_wrong_key_is_named(tmp_path, scrubbed):
    key = tmp_path / "key"
    key.write_text("ab" * 32)
    key.chmod(0o600)
    with pytest.raises(UsageError, match="key"):
        audited(tmp_path / "report", state=scrubbed.state, key_file=key)


def test_the_command_prints_a_table_and_json(tmp_path, scrubbed):
    report = tmp_path / "report"
    common = ("audit", "--state", scrubbed.state, "--attack", "header", "--report", report)
    done = scrubbed.run(*common, "--json", "--require", "header.certain==0", status=0)
    assert json.loads(done.stdout) == json.loads((report / "audit.json").read_text())
    assert b"header     no link found" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("--require", "header.certain>0"), 5, "gate failed: header.certain>0.0 (found 0)"),
        (("--require", "header.certain"), 2, "a gate is"),
        (("--require", "header.certain>0", "--render", "audit.json"), 2, "--require needs an audit"),
        (("--require", "header.certain>0", "--forget"), 2, "--require needs an audit"),
        (("--seed", str(2**70)), 2, "--seed"),
        (("--device", "gpu"), 2, "--device takes one of"),
        (("--attack", "magic"), 2, "--attack takes one of"),
        (("--effort", "none"), 2, "--effort takes one of"),
        (("one", "two", "three"), 2, "at most two folders"),
    ],
)
def test_the_command_ends_with_its_documented_status(tmp_path, scrubbed, arguments, status, message):
    attack = () if "--attack" in arguments else ("--attack", "header")
    common = ("--state", scrubbed.state, "--report", tmp_path / "report")
    done = scrubbed.run("audit", *arguments, *attack, *common, status=status)
    assert message in done.stderr.decode()


def test_the_command_prints_the_schema(scrubbed):
    assert json.loads(scrubbed.run("audit", "--schema", status=0).stdout) == schema.schema()


def test_the_page_is_drawn_again_from_the_result(tmp_path, scrubbed):
    done = audited(tmp_path / "report", state=scrubbed.state)
    page = (done.folder / "audit.html").read_bytes()
    (done.folder / "audit.html").write_text("old")
    scrubbed.run("audit", "--render", done.folder / "audit.json", "--report", tmp_path / "other", status=0)
    assert (tmp_path / "other" / "audit.html").read_bytes() == page
    assert (done.folder / "audit.html").read_text() == "old"
    scrubbed.run("audit", "--render", done.folder / "audit.json", status=0)
    assert (done.folder / "audit.html").read_bytes() == page


def test_a_page_does_not_replace_what_is_of_another_audit(tmp_path, scrubbed):
    done = audited(tmp_path / "report", state=scrubbed.state)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "audit.json").write_text("{}")
    result = done.folder / "audit.json"
    refused = scrubbed.run("audit", "--render", result, "--report", tmp_path / "other", status=2)
    assert b"--report is not empty" in refused.stderr
    refused = scrubbed.run("audit", "--render", tmp_path / "other" / "audit.json", status=2)
    assert b"not an audit.json" in refused.stderr


def test_drawing_a_page_again_needs_no_network(tmp_path, scrubbed):
    result = audited(tmp_path / "report", state=scrubbed.state).folder / "audit.json"
    code = f"import sys; sys.argv = ['mami-deid', 'audit', '--render', {str(result)!r}]\n"
    code += "from deid.cli.app import main\ntry: main()\nexcept SystemExit as end: assert not end.code\n"
    code += "print(sorted({'torch', 'pydicom', 'SimpleITK', 'sklearn'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_result_is_written_as_a_structured_report(tmp_path, scrubbed):
    done = audited(tmp_path / "report", state=scrubbed.state, sr=tmp_path / "new" / "audit.dcm")
    assert done.files[2] == tmp_path / "new" / "audit.dcm"
    first = done.files[2].read_bytes()
    document = pydicom.dcmread(done.files[2])
    assert document.Modality == "SR" and document.PatientID == document.PatientName == ""
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["audit.dcm"]
    result = done.folder / "audit.json"
    scrubbed.run("audit", "--render", result, "--sr", tmp_path / "again.dcm", status=0)
    assert (tmp_path / "again.dcm").read_bytes() == first
    assert stat.S_IMODE(done.files[2].stat().st_mode) == 0o644


@pytest.mark.parametrize("place", ["in", "out"])
def test_a_structured_report_among_the_audited_files_is_refused(tmp_path, scrubbed, place):
    file = getattr(scrubbed, "source" if place == "in" else "out") / "audit.dcm"
    with pytest.raises(UsageError, match="--sr lies inside"):
        audited(tmp_path / "report", state=scrubbed.state, sr=file)
    assert not file.exists() and not (tmp_path / "report").exists()


def test_a_structured_report_replaces_nothing(tmp_path, scrubbed):
    (tmp_path / "audit.dcm").write_text("mine")
    refused = scrubbed.run(
        "audit", "--state", scrubbed.state, "--report", tmp_path / "report", "--attack", "header",
        "--sr", tmp_path / "audit.dcm", status=2,
    )  # fmt: skip
    assert b"--sr names what is there already" in refused.stderr
    assert (tmp_path / "audit.dcm").read_text() == "mine" and not (tmp_path / "report").exists()
