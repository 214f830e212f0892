"""Imports go downward only; rooms of one floor do not know each other; start-up stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "deid"
FLOORS = {
    "core": 0,
    "dicom": 1,
    "nifti": 1,
    "pixels": 1,
    "networks": 1,
    "reid": 2,
    "audit": 3,
    "training": 3,
    "workflows": 4,
    "cli": 5,
}
TOP = {"__init__", "__main__"}  # the version and the entry point stand outside the floors
CORE_MAY_IMPORT = set(sys.stdlib_module_names) | {"numpy", "deid"}


def modules():
    return sorted(PACKAGE.rglob("*.py"))


def imports(path, *, top_level_only):
    """Absolute names of the modules that a file imports."""
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level_only else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms(path):
    parts = path.relative_to(PACKAGE).parts
    return parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_downward_only(path):
    room = rooms(path)
    if room in TOP:
        return
    for name in imports(path, top_level_only=False):
        parts = name.split(".")
        if parts[0] != "deid" or len(parts) < 2 or parts[1] == room or parts[1] not in FLOORS:
            continue
        assert FLOORS[parts[1]] < FLOORS[room], f"{room} imports {parts[1]}"


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_workflows_do_not_import_each_other(path):
    parts = path.relative_to(PACKAGE).parts
    if parts[0] != "workflows":
        return
    job = parts[1].removesuffix(".py")
    for name in imports(path, top_level_only=False):
        if name.startswith("deid.workflows."):
            assert name.split(".")[2] == job


@pytest.mark.parametrize("path", sorted((PACKAGE / "core").rglob("*.py")), ids=lambda p: p.name)
def test_core_needs_the_standard_library_and_numpy_only(path):
    for name in imports(path, top_level_only=True):
        assert name.split(".")[0] in CORE_MAY_IMPORT


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_file_is_one_topic(path):
    assert len(path.read_text().splitlines()) <= 400


def loaded_by(code):
    """Names of the modules that are loaded after running some code in a new interpreter."""
    code += "\nimport sys; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split("\n")[-2].split())


def test_help_imports_nothing_heavy():
    code = "import sys; sys.argv=['mami-deid','--help']\nfrom deid.cli.app import main\n"
    code += "try: main()\nexcept SystemExit: pass"
    heavy = {"torch", "pydicom", "numpy", "pydantic", "nibabel", "SimpleITK", "highdicom", "cryptography"}
    assert not heavy & loaded_by(code)


def test_header_work_does_not_import_torch():
    code = "import deid.workflows.scrub, deid.workflows.scrub.writing"
    assert not {"torch", "SimpleITK", "highdicom"} & loaded_by(code)
