"""What the README says is so: options, statuses, tables, recipe and commands."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from builders import Person, tree

from deid.cli.app import app
from deid.core.errors import ExitStatus
from deid.dicom.profile import preset_profile, profile_rows
from deid.dicom.recipe import parse_recipe
from deid.dicom.risk import VOLUME_SLICES, Risk, assess

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
STORAGE = "1.2.840.10008.5.1.4.1.1."


def section(title):
    return re.split(r"^#+ ", README, flags=re.MULTILINE)[titles().index(title) + 1]


def titles():
    return re.findall(r"^#+ (.+)$", README, flags=re.MULTILINE)


def blocks(language, text=README):
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def rows(text):
    """The cells of a table, without its two head lines."""
    lines = [line.strip().strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line] for line in lines[2:]]


def commands(group=None, path=()):
    """Every command with the names of its options."""
    group = group or typer.main.get_command(app)
    for name, command in group.commands.items():
        here = (*path, name)
        if hasattr(command, "commands"):
            yield from commands(command, here)
        else:
            parameters = command.get_params(typer.Context(command))
            yield here, {o for p in parameters for o in (*p.opts, *p.secondary_opts)}


def test_the_profile_table_is_the_generated_one():
    spec = importlib.util.spec_from_file_location("readme_table", ROOT / "tests/tools/readme_table.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    written = re.search(r"<!-- profile table -->\n(.*)<!-- end of profile table -->", README, re.DOTALL)
    assert written[1] == module.table(), "run: python tests/tools/readme_table.py --write"


def test_the_numbers_of_the_tables_are_true():
    listed = [row for row in profile_rows(preset_profile("research")) if row.listed]
    assert f"All {len(listed)} rows of DICOM PS3.15" in README
    table = section("What is removed and kept").partition("<!-- profile table -->")[2]
    assert sum(int(row[3]) for row in rows(table) if row[0] == "Table E.1-1") == len(listed)


def test_every_option_in_the_readme_exists():
    known = set().union(*(options for _, options in commands())) | {"--help", "--version"}
    # What stands after pip, pytest, find or an example is theirs.
    theirs = ("pip install", "examples/make_phantoms.py")
    ours = "\n".join(line for line in README.splitlines() if not any(name in line for name in theirs))
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", ours))
    assert len(named) > 15 and named <= known


def test_every_option_of_scrub_has_a_word_of_help():
    help_text = subprocess.run(
        [sys.executable, "-m", "deid", "scrub", "--help"], capture_output=True, text=True, cwd=ROOT
    ).stdout
    options = dict(commands())[("scrub",)]
    assert all(option in help_text for option in options if option.startswith("--"))


def test_every_command_in_the_readme_exists():
    known = {" ".join(path) for path, _ in commands()}
    groups = {path[0] for path, _ in commands() if len(path) > 1}
    words = r"mami-deid ([a-z-]+)(?: ([a-z]+))?"
    for first, second in re.findall(words, "\n".join([*blocks("sh"), *re.findall(r"`([^`\n]+)`", README)])):
        assert (f"{first} {second}" if first in groups else first) in known


def test_the_exit_statuses_are_all_of_them():
    named = {int(number) for row in rows(section("Exit status")) for number in row[0].split(",")}
    assert named == {int(status) for status in ExitStatus}


def test_the_recipe_is_valid():
    (text,) = blocks("yaml")
    assert parse_recipe(text).profile().claims().codes
    # Every action is named beside it.
    schema_actions = {"keep", "keep-verbatim", "clean", "remove", "empty", "dummy", "uid", "replace"}
    assert schema_actions <= set(re.findall(r"[a-z-]+", text))


def test_every_file_that_is_linked_or_named_exists():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target
    for name in re.findall(r"\b(?:examples|tests)/[\w./-]+", README):
        assert (ROOT / name.rstrip(".")).exists(), name


@pytest.fixture
def workplace(tmp_path):
    """A folder with `in/`, `pacs/`, `recipe.yaml`, and `mami-deid` on the path."""
    person = Person("Quux^Zed", "ID-7711")
    for name in ("in", "pacs"):
        tree(tmp_path / name, people=(person,), studies=1, slices=1)
        (tmp_path / name / "broken").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 64)
    (tmp_path / "last").touch()
    os.utime(tmp_path / "last", (0, 0))
    (tmp_path / "recipe.yaml").write_text(blocks("yaml")[0])
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/mami-deid").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m deid "$@"\n')
    (tmp_path / "bin/mami-deid").chmod(0o755)
    return tmp_path


def shell(command, workplace):
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MAMI_DEID")}
    own = {"PATH": f"{workplace / 'bin'}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    kept |= own | {"HOME": str(workplace), "XDG_STATE_HOME": str(workplace / "states")}
    return subprocess.run(command, shell=True, cwd=workplace, env=kept, capture_output=True, text=True)


def test_the_commands_of_the_section_on_use_run(workplace):
    lines = [line.partition("  #")[0].strip() for line in blocks("sh", section("Use"))[0].splitlines()]
    reference = ""
    for line in filter(None, lines):
        done = shell(re.sub(r"#[0-9a-f]{10}", reference, line), workplace)
        expected = ExitStatus.HELD if "mami-deid scrub" in line else ExitStatus.RELEASED
        assert done.returncode == expected, (line, done.stderr)
        if not reference:
            reference = re.search(r"#[0-9a-f]{10}", done.stderr)[0]
        elif "show '#" in line or "--held" in line:
            assert "broken" in done.stdout
    checked = shell(
        "mami-deid scrub in with --recipe recipe.yaml; mami-deid profile check recipe.yaml", workplace
    )
    assert checked.returncode == 0, checked.stderr


SLICE = {0x00180015: "CHEST"}
KINDS = {
    # line of the README's table -> (header, has pixels, has a document) of instances that it speaks of
    "CT, MR, PT of the trunk or limbs": [
        ({0x00080060: modality, **SLICE}, True, False) for modality in ("CT", "MR", "PT")
    ]
    + [
        ({0x00080060: modality}, True, False)
        for modality in ("CR", "DX", "MG", "XA", "RF", "PX", "IO", "NM", "RTDOSE", "SEG")
    ]
    + [({0x00080060: modality}, False, False) for modality in ("SR", "KO", "PR", "ECG", "RTPLAN")],
    "head, neck or whole-body": [
        ({0x00080060: "CT", 0x00180015: "HEAD"}, True, False),
        ({0x00080060: "MR", 0x0008103E: "t1 neck"}, True, False),
        ({0x00080060: "PT", 0x00081030: "Whole body"}, True, False),
    ],
    "US, ES, XC": [({0x00080060: name}, True, False) for name in ("US", "ES", "XC", "GM", "OP")]
    + [
        ({0x00080060: "OT", 0x00080016: STORAGE + "77.1.4.1"}, True, False),
        ({0x00080060: "CT", 0x00080016: STORAGE + "7"}, True, False),
        ({0x00080060: "CT", 0x00080008: "DERIVED\\SECONDARY\\SCREEN SAVE"}, True, False),
        ({0x00080060: "DX", 0x00280301: "YES"}, True, False),
        ({0x00080060: "DX", 0x00280301: "UNKNOWN"}, True, False),
        ({0x00080060: "SM", 0x00080008: "ORIGINAL\\PRIMARY\\LABEL"}, True, False),
        ({0x00080060: "SM", 0x00080008: "ORIGINAL\\PRIMARY\\OVERVIEW"}, True, False),
    ],
    "encapsulated PDF": [
        ({0x00080060: "DOC", 0x00080016: STORAGE + f"104.{number}"}, False, True) for number in (1, 2, 3)
    ],
}
COLUMN = {Risk.FACE: 3, Risk.FACE_UNKNOWN: 3}


@pytest.mark.parametrize("start", KINDS)
def test_the_kinds_that_are_held_are_as_the_table_says(start):
    (row,) = [
        row for row in rows(section("Which image gets which protection today")) if row[0].startswith(start)
    ]
    said = [number for number, cell in enumerate(row) if "held back" in cell]
    for header, pixels, document in KINDS[start]:
        risk, _, _ = assess(lambda tag, header=header: header.get(tag, ""), pixels, document)
        held = [] if risk is None else [COLUMN.get(risk, 2)]
        assert held == said, (header, risk)


def test_the_number_of_slices_that_may_show_a_face_is_as_the_table_says():
    assert f"volumes of {VOLUME_SLICES} slices or more" in README
    risk, region, _ = assess(lambda tag: "CT" if tag == 0x00080060 else "", True, False)
    assert (risk, region) == (None, "unknown")
