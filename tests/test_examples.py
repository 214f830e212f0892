"""The examples run as they are, on small trees."""

import hashlib
import json
import os
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from builders import Person, tree

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
PEOPLE = tuple(Person(f"Quux{letter}^Zed", f"ID-77{number}1") for number, letter in enumerate("ABCDEF"))


@pytest.fixture
def environment(tmp_path):
    """Has `mami-deid` and `python3` on the path, and a state folder and a home of its own."""
    commands = tmp_path / "bin"
    commands.mkdir()
    for name, module in (("mami-deid", "-m deid"), ("python3", "")):
        (commands / name).write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {module} "$@"\n')
        (commands / name).chmod(0o755)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MAMI_DEID", "SLURM"))}
    return kept | {
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "HOME": str(tmp_path),
        "XDG_STATE_HOME": str(tmp_path / "states"),
        "TMPDIR": str(tmp_path),
    }


@pytest.fixture
def source(tmp_path):
    """Images and a key object selection of six patients."""
    return tree(tmp_path / "in", people=PEOPLE, studies=1, slices=1).root


def run(*command, environment, status=0, cwd=None, **variables):
    changed = environment | {name: str(value) for name, value in variables.items()}
    done = subprocess.run([*map(str, command)], env=changed, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    return done


def contents(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_recipe_is_valid_and_says_what_it_weakens(environment):
    done = run("mami-deid", "profile", "check", EXAMPLES / "recipe.yaml", environment=environment)
    assert "113100" in done.stdout or "Basic" in done.stdout
    schema = json.loads(run("mami-deid", "profile", "schema", environment=environment).stdout)
    import jsonschema

    jsonschema.validate(yaml.safe_load((EXAMPLES / "recipe.yaml").read_text()), schema)


def test_scrub_a_study(environment, tmp_path):
    target = tmp_path / "example"
    command = (sys.executable, EXAMPLES / "scrub_a_study.py", target)
    shown = run(*command, environment=environment).stdout
    assert "What changed" in shown and "Patient ID" in shown and "Exit status 1" in shown
    released = list((target / "out").rglob("*.dcm"))
    assert len(released) > 20 and f"{len(released)} files in out/" in shown
    hint = shown.rpartition("Which and why:")[2].split()
    assert "face" in run(*hint, environment=environment).stdout
    assert "another folder" in run(*command, environment=environment, status=2).stderr


@pytest.mark.parametrize(
    ("kind", "form", "ending"), [("chest", "dicom", ".dcm"), ("head", "nifti", ".nii.gz")]
)
def test_make_phantoms(environment, tmp_path, kind, form, ending):
    command = (sys.executable, EXAMPLES / "make_phantoms.py", tmp_path / "made", "--kind", kind)
    few = ("--patients", 2, "--studies", 2, "--size", 24, "--format", form)
    assert "4 studies of 2 patients" in run(*command, *few, environment=environment).stdout
    assert sum(name.endswith(ending) for name in contents(tmp_path / "made")) == 4
    lines = (tmp_path / "made/manifest.csv").read_text().splitlines()
    assert len(lines) == 5 and all((tmp_path / "made" / line.split(",")[0]).exists() for line in lines[1:])
    assert "not empty" in run(*command, *few, environment=environment, status=2).stderr


def test_share_packs_what_was_released(environment, source, tmp_path):
    folder = tmp_path / "shared"
    done = run(EXAMPLES / "share.sh", source, folder, "--jobs", "1", environment=environment)
    archive = zipfile.ZipFile(folder / "release.zip")
    names = set(archive.namelist())
    assert names - {"conformance.md"} == {f"release/{name}" for name in contents(folder / "release")}
    assert len(names) == 19 and "18 files packed" in done.stdout
    for name in names:
        assert b"Quux" not in archive.read(name) and b"ID-77" not in archive.read(name)
    digest = hashlib.sha256((folder / "release.zip").read_bytes()).hexdigest()
    assert (folder / "release.zip.sha256").read_text() == f"{digest}  release.zip\n"
    assert json.loads((folder / "summary.json").read_text())["released"] == 18


def test_share_states_the_recipe_it_used(environment, source, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("preset: basic\n")
    share = (EXAMPLES / "share.sh", "in", "shared")
    run(*share, "--recipe", "recipe.yaml", environment=environment, status=2, cwd=tmp_path)
    run(*share, "--jobs=1", environment=environment, cwd=tmp_path, RECIPE="recipe.yaml")
    stated = run("mami-deid", "profile", "statement", "--preset", "basic", environment=environment).stdout
    assert zipfile.ZipFile(tmp_path / "shared/release.zip").read("conformance.md").decode() == stated


def test_share_packs_nothing_when_too_much_is_held(environment, source, tmp_path):
    (source / "broken").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 64)
    folder = tmp_path / "shared"
    share = (EXAMPLES / "share.sh", source, folder, "--jobs", "1")
    run(*share, environment=environment, MAX_HELD="10%")
    assert (folder / "release.zip").exists()
    refused = run(*share, environment=environment, status=1, MAX_HELD="0")
    assert "nothing was packed" in refused.stderr
    assert json.loads((folder / "summary.json").read_text())["held"] == 1
    assert not (folder / "release.zip").exists()
    hint = next(line for line in refused.stderr.splitlines() if line.startswith("Files: "))
    shown = run(*shlex.split(hint.removeprefix("Files: ").partition(" (")[0]), environment=environment)
    assert shown.stdout.endswith("broken\n")


def test_share_passes_every_failure_on(environment, tmp_path):
    share, empty = EXAMPLES / "share.sh", tmp_path / "empty"
    empty.mkdir()
    run(share, environment=environment, status=2)
    run(share, tmp_path / "missing", tmp_path / "a", environment=environment, status=2)
    run(share, empty, tmp_path / "b", "--jobs", "1", environment=environment, status=3)
    assert not list(tmp_path.glob("?/release.zip"))


@pytest.fixture
def cluster(environment, tmp_path):
    """Variables of a Slurm array of three tasks, with its key."""
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    (private / "key").write_text("5e" * 32)
    (private / "key").chmod(0o600)
    places = {"IN": tmp_path / "in", "OUT": tmp_path / "out", "PRIVATE": private, "PARTS": "3"}
    return environment | {name: str(value) for name, value in places.items()} | {"SLURM_CPUS_PER_TASK": "1"}


def test_a_slurm_array_gives_what_one_run_gives(cluster, source, tmp_path):
    task = EXAMPLES / "slurm_array.sh"
    for number in (2, 3, 1):
        run(task, environment=cluster, SLURM_ARRAY_TASK_ID=number)
    joined, alone = tmp_path / "out/all", tmp_path / "alone"
    joined.mkdir()
    run("bash", "-c", f"cp -rl {tmp_path}/out/part-*-of-3/. {joined}", environment=cluster)
    key, state = tmp_path / "private/key", tmp_path / "state"
    one = ("mami-deid", "scrub", source, alone, "--key-file", key, "--state", state, "--jobs", "1")
    run(*one, environment=cluster)
    assert contents(joined) == contents(alone) and len(contents(alone)) == 18
    assert not list(tmp_path.glob("mami-deid-*"))

    for number in (1, 2, 3):  # the saved journals know what is done
        run(task, environment=cluster, SLURM_ARRAY_TASK_ID=number)
    counts = [json.loads(path.read_text()) for path in sorted((tmp_path / "private").glob("part-*.json"))]
    assert [count["released"] for count in counts] == [0, 0, 0]
    assert sum(count["unchanged"] for count in counts) == 18


def test_a_slurm_task_needs_its_variables_and_its_key(cluster, source, tmp_path):
    task = EXAMPLES / "slurm_array.sh"
    assert "array" in run(task, environment=cluster, status=1).stderr
    (tmp_path / "private/key").unlink()
    assert "no key" in run(task, environment=cluster, status=2, SLURM_ARRAY_TASK_ID=1).stderr


def test_a_slurm_task_saves_its_journal_when_its_time_is_up(cluster, source, tmp_path):
    slow = """#!/bin/bash
    while [ $# -gt 0 ]; do [ "$1" = --state ] && state=$2; shift; done
    trap 'touch "$state/saved"; exit 143' TERM
    touch "$TMPDIR/started"
    while :; do sleep 0.02; done
    """
    (tmp_path / "bin/mami-deid").write_text(slow.replace("\n    ", "\n"))
    variables = cluster | {"SLURM_ARRAY_TASK_ID": "1"}
    task = subprocess.Popen([EXAMPLES / "slurm_array.sh"], env=variables, stderr=subprocess.PIPE)
    while not (tmp_path / "started").exists():
        assert task.poll() is None
    task.terminate()
    assert task.wait(timeout=20) == 143
    listed = run("tar", "-tf", tmp_path / "private/part-1-of-3.tar", environment=cluster).stdout
    assert "state/saved" in listed.splitlines()
