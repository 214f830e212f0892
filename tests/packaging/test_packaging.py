"""The package as it is installed: what reaches it, and that it works from another folder.

Nothing is downloaded. Every layout gets a virtual environment of its own that borrows the libraries of the
environment that runs the tests, so that the package itself can only come from the layout under test.
"""

import os
import subprocess
import sys
import sysconfig
import tarfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
DATA = (
    "deid/py.typed",
    "deid/dicom/data/iod_types.json",
    "deid/dicom/data/ps315_e1_1.csv",
    "deid/dicom/data/ps315_e3_10_1.csv",
    "deid/dicom/data/ps315_e3_4_1.csv",
    "deid/dicom/data/tcia_private.csv",
    "deid/audit/report.css",
    "deid/audit/report.html.jinja",
    "deid/audit/report.yaml",
    "deid/core/data/family.txt",
    "deid/core/data/given.txt",
    "deid/core/data/kept.txt",
    "deid/core/data/words.txt",
)
LAYOUTS = ("wheel", "sdist", "editable")


@dataclass(frozen=True)
class Installed:
    """The package in an environment of its own.

    Attributes:
        layout: How it got there.
        scripts: The folder of ``python`` and ``mami-deid``.
        elsewhere: An empty folder to run in.
        checkout: The copy of the checkout that it was made from.
    """

    layout: str
    scripts: Path
    elsewhere: Path
    checkout: Path

    def run(self, *command: str | Path, **environment: str | Path) -> str:
        """The standard output of a command, run in a folder that holds nothing."""
        return run(self.scripts / command[0], *command[1:], cwd=self.elsewhere, **environment)

    def python(self, code: str, **environment: str | Path) -> str:
        return self.run("python", "-c", code, **environment).strip()


def run(*command: str | Path, cwd: Path, **environment: str | Path) -> str:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MAMI_DEID", "PYTHON", "XDG_"))}
    # Our own find-links or index must not matter: nothing may be looked up.
    clean |= {"HOME": str(cwd), "PIP_NO_INDEX": "1"} | {k: str(v) for k, v in environment.items()}
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=clean, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def add_model(place: Path, name: str) -> Path:
    (place / name).mkdir(parents=True)
    (place / name / "model.json").write_text("{}")
    return place / name


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what git would carry, with one model."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in (
        "deid",
        "models",
        "examples",
        "tests",
        ".ci",
        "pyproject.toml",
        "README.md",
        "CHANGELOG.md",
        "LICENSE",
    ):
        source = ROOT / name
        for file in [source] if source.is_file() else sorted(source.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                target = copy / file.relative_to(ROOT)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(file.read_bytes())
    add_model(copy / "models", "tiny")
    return copy


def build(kind: str, source: Path, target: Path) -> Path:
    run(sys.executable, "-m", "build", "--no-isolation", f"--{kind}", "--outdir", target, source, cwd=target)
    (built,) = (path for path in target.iterdir() if path.suffix in (".whl", ".gz"))
    return built


@pytest.fixture(scope="module")
def sdist(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("sdist", checkout, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", checkout, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def wheel_of_sdist(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    unpacked = tmp_path_factory.mktemp("unpacked")
    # Not by tarfile: Python before 3.11.4 has no filter, and later ones warn without it.
    run("tar", "-xzf", sdist, cwd=unpacked)
    (source,) = unpacked.iterdir()
    return build("wheel", source, tmp_path_factory.mktemp("rebuilt"))


@pytest.fixture(scope="module")
def installed(
    checkout: Path, wheel: Path, wheel_of_sdist: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Installed]:
    """Makes a layout, or gives it again."""
    made: dict[str, Installed] = {}
    sources = {
        "wheel": [wheel],
        "sdist": [wheel_of_sdist],
        "editable": ["--no-build-isolation", "-e", checkout],
    }

    def layout(name: str) -> Installed:
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", cwd=folder)
            (packages,) = (folder / "venv/lib").glob("python*/site-packages")
            # Its own package comes before the borrowed libraries: they may hold an installed mami-deid.
            lines = [str(checkout)] if name == "editable" else []
            (packages / "zz_borrowed.pth").write_text(
                "\n".join([*lines, sysconfig.get_path("purelib")]) + "\n"
            )
            # A borrowed mami-deid must neither count as installed already nor be taken away.
            install = ("--python", folder / "venv/bin/python", "install", "--no-deps", "--ignore-installed")
            run(sys.executable, "-m", "pip", *install, *sources[name], cwd=folder)
            (folder / "elsewhere").mkdir()
            made[name] = Installed(name, folder / "venv/bin", folder / "elsewhere", checkout)
        return made[name]

    return layout


def test_the_wheel_holds_data_models_and_the_mark_of_types(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert names.issuperset((*DATA, "deid/_models/README.md", "deid/_models/tiny/model.json"))
    assert {name.split("/")[0] for name in names} == {
        "deid",
        next(n for n in names if "dist-info" in n).split("/")[0],
    }
    assert not [name for name in names if name.endswith(".pyc")]
    here = {
        str(p.relative_to(ROOT)) for p in (ROOT / "deid").rglob("*") if p.is_file() and p.suffix != ".pyc"
    }
    assert here <= names


def test_the_sdist_holds_what_its_tests_need_and_gives_the_same_wheel(
    sdist: Path, wheel: Path, wheel_of_sdist: Path
) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    here = Path(__file__).relative_to(ROOT)
    assert names >= {"pyproject.toml", "LICENSE", "README.md", ".ci/run", "models/tiny/model.json", str(here)}
    first, second = (zipfile.ZipFile(path) for path in (wheel, wheel_of_sdist))
    assert {i.filename: i.CRC for i in first.infolist()} == {i.filename: i.CRC for i in second.infolist()}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_command_works_from_another_folder(layout: str, installed: Callable[[str], Installed]) -> None:
    made = installed(layout)
    origin = Path(made.python("import deid; print(deid.__file__)"))
    assert origin.is_relative_to(made.checkout if layout == "editable" else made.scripts.parent)
    assert "scrub" in made.run("mami-deid", "--help") and "IN" in made.run("mami-deid", "scrub", "--help")
    version = made.run("mami-deid", "--version").split()[-1]
    assert version == made.python("import importlib.metadata as m; print(m.version('mami-deid'))")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_data_tables_load(layout: str, installed: Callable[[str], Installed]) -> None:
    made = installed(layout)
    assert made.run("mami-deid", "profile", "show").count("\n") > 657
    assert "2026d" in made.run("mami-deid", "profile", "statement")
    cleaned = made.python(
        "from deid.core.identifiers import Identifier, Kind, KnownIdentifiers as K;"
        "print(K([Identifier(Kind.PATIENT_NAME, 'Parkinson^Ann')]).clean('Ann Parkinson, chest CT'))"
    )
    assert "chest" in cleaned and "Ann" not in cleaned


@pytest.mark.parametrize("layout", LAYOUTS)
def test_models_are_found_in_order(
    layout: str, installed: Callable[[str], Installed], tmp_path: Path
) -> None:
    made = installed(layout)
    ask = "from pathlib import Path; from deid.core.models import find_model as f; print(f('tiny', {}))"
    (own,) = made.python(ask.format("")).splitlines()
    place = "models" if layout == "editable" else "_models"
    assert Path(own).parts[-2:] == (place, "tiny") and (Path(own) / "model.json").is_file()
    data = add_model(tmp_path / "data/mami-deid/models", "tiny")
    if sys.platform == "linux":
        assert made.python(ask.format(""), XDG_DATA_HOME=tmp_path / "data") == str(data)
    variable = add_model(tmp_path / "variable", "tiny")
    found = {"XDG_DATA_HOME": tmp_path / "data", "MAMI_DEID_MODELS": tmp_path / "variable"}
    assert made.python(ask.format(""), **found) == str(variable)
    explicit = add_model(tmp_path / "explicit", "tiny")
    assert made.python(ask.format(f"Path({str(tmp_path / 'explicit')!r})"), **found) == str(explicit)


def test_help_is_quick_and_imports_nothing_heavy(installed: Callable[[str], Installed]) -> None:
    made = installed("wheel")
    assert best_of(5, lambda: made.run("mami-deid", "--help")) < 0.3
    loaded = made.python(
        "import sys; sys.argv = ['mami-deid', '--help']\n"
        "from deid.cli.app import main\n"
        "try:\n    main()\n"
        "except SystemExit:\n    print('loaded', *{name.partition('.')[0] for name in sys.modules})"
    )
    names = set(loaded.rpartition("loaded")[2].split())
    assert "typer" in names
    assert names.isdisjoint(
        {"torch", "pydicom", "numpy", "nibabel", "cryptography", "pydantic", "highdicom", "yaml"}
    )


def best_of(times: int, action: Callable[[], object]) -> float:
    """The shortest wall time of several runs, in seconds: other work only makes them longer."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        action()
        taken.append(time.perf_counter() - started)
    return min(taken)
