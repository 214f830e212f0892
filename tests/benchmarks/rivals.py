"""The tools that mami-deid is compared with, each as one command that reads a folder and writes a folder.

The Python tools get a virtual environment of their own each (`setup`), outside the checkout. They are driven
file by file in one process, through their documented function, with their default rules; a file that one of
them cannot handle is lost and the run goes on (their own command lines stop there). gdcmanon (Debian:
libgdcm-tools) runs its basic profile, encrypting the removed attributes to a throw-away certificate as it
demands.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import platformdirs

_LOOP = """
import sys, traceback, warnings, logging
from pathlib import Path
warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)
source, target = Path(sys.argv[1]), Path(sys.argv[2])
lost = {}
for path in sorted(source.rglob("*")):
    if path.is_file():
        out = target / path.relative_to(source)
        out.parent.mkdir(parents=True, exist_ok=True)
        try:
            one(path, out)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            lost[type(error).__name__] = lost.get(type(error).__name__, 0) + 1
            out.unlink(missing_ok=True)
print("lost", lost, file=sys.stderr)
"""

_DRIVERS: dict[str, tuple[str, str]] = {
    "dicom-anonymizer": (
        "dicom-anonymizer",
        """
from dicomanonymizer import anonymize_dicom_file
def one(path, out):
    anonymize_dicom_file(str(path), str(out))
""",
    ),
    "dicognito": (
        "dicognito",
        """
import pydicom
from dicognito.anonymizer import Anonymizer
anonymizer = Anonymizer()
def one(path, out):
    dataset = pydicom.dcmread(path, force=False)
    anonymizer.anonymize(dataset)
    dataset.save_as(out, enforce_file_format=False)
""",
    ),
    "deid": (
        "deid",
        """
from deid.dicom import get_identifiers, replace_identifiers
from deid.config import DeidRecipe
recipe = DeidRecipe()
def one(path, out):
    ids = get_identifiers([str(path)], disable_skip=True)
    for dataset in replace_identifiers([str(path)], deid=recipe, ids=ids, save=False):
        dataset.save_as(str(out), enforce_file_format=False)
""",
    ),
}
_PYDICOM = """
import pydicom
def one(path, out):
    pydicom.dcmread(path).save_as(out, enforce_file_format=False)
"""
# One process for the folder; where that stops at a file that gdcmanon cannot handle, one process a file.
_GDCMANON = r"""
gdcmanon -e -c "$0" -r --continue -i "$1" -o "$2" && exit
cd "$1" && find . -type f | while IFS= read -r file; do
    mkdir -p "$2/$(dirname "$file")"
    gdcmanon -e -c "$0" "$file" "$2/$file" || rm -f "$2/$file"
done
"""
PYTHON_TOOLS = tuple(_DRIVERS)


@dataclass(frozen=True)
class Tool:
    """A tool as a command.

    Attributes:
        name: As printed.
        command: Builds the argument list from the folders to read and to write.
        folder: Where it runs. Not the checkout for the rivals: our `deid` would hide pydicom's.
    """

    name: str
    command: Callable[[Path, Path], list[str]]
    folder: Path = Path(tempfile.gettempdir())

    def run(
        self, source: Path, target: Path, prefix: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run the tool over a folder; `prefix` goes before the command (taskset, time)."""
        target.mkdir(parents=True, exist_ok=True)
        return subprocess.run(
            [*prefix, *self.command(source.resolve(), target.resolve())],
            cwd=self.folder,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )


def default_venvs() -> Path:
    """Return the folder of the rivals' virtual environments."""
    return Path(platformdirs.user_cache_dir("mami-deid-benchmarks"))


def setup(venvs: Path) -> None:
    """Create the virtual environments that are missing, with the newest release of each tool."""
    for name, (package, _) in _DRIVERS.items():
        folder = venvs / name
        if (folder / "installed").exists():
            continue
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "-q", package], check=True)
        (folder / "installed").touch()


def version(venvs: Path, name: str) -> str:
    """Return the version of an installed Python tool."""
    code = f"from importlib.metadata import version; print(version({_DRIVERS[name][0]!r}))"
    done = subprocess.run([venvs / name / "bin" / "python", "-I", "-c", code], capture_output=True, text=True)
    return done.stdout.strip()


def _driver(python: Path | str, source: str) -> Callable[[Path, Path], list[str]]:
    return lambda start, end: [str(python), "-I", "-c", source + _LOOP, str(start), str(end)]


def _certificate(venvs: Path) -> Path:
    path = venvs / "gdcmanon.pem"
    if not path.exists():
        venvs.mkdir(parents=True, exist_ok=True)
        options = "req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=benchmark -keyout"
        subprocess.run(
            ["openssl", *options.split(), venvs / "gdcmanon.key", "-out", path],
            check=True,
            capture_output=True,
        )
    return path


def tools(venvs: Path) -> dict[str, Tool]:
    """Return the rivals that are installed, by name, and two baselines: `copy` and `pydicom` (read and
    save)."""
    found = {
        "copy": Tool("copy", lambda source, target: ["cp", "-r", f"{source}/.", str(target)]),
        "pydicom": Tool("pydicom", _driver(sys.executable, _PYDICOM)),
    }
    for name, (_, source) in _DRIVERS.items():
        if (venvs / name / "installed").exists():
            found[name] = Tool(name, _driver(venvs / name / "bin" / "python", source))
    if shutil.which("gdcmanon") and shutil.which("openssl"):
        certificate = str(_certificate(venvs))
        found["gdcmanon"] = Tool(
            "gdcmanon",
            lambda source, target: ["bash", "-c", _GDCMANON, certificate, str(source), str(target)],
        )
    return found


def mami_deid(python: str = sys.executable, *extra: str) -> Tool:
    """Return mami-deid as a tool; its state goes beside the output."""

    def command(source: Path, target: Path) -> list[str]:
        state = target.with_name(target.name + ".state")
        fixed = [python, "-m", "deid", "scrub", str(source), str(target), "--state", str(state)]
        # rivals change no pixels, and the measures ask for them as they were
        released = ["--on-risk", "release", "--encapsulated", "keep", "--identity", "off"]
        return [*fixed, *released, *extra]

    return Tool("mami-deid", command, Path(__file__).resolve().parents[2])


def main() -> None:
    """Set up the rivals, or run one of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--venvs", type=Path, default=default_venvs(), help="default: %(default)s")
    parser.add_argument(
        "--run", nargs=3, metavar=("TOOL", "IN", "OUT"), help="run one tool instead of setting up"
    )
    args = parser.parse_args()
    if args.run:
        name, source, target = args.run
        done = tools(args.venvs)[name].run(Path(source), Path(target))
        sys.stderr.write(done.stderr[-2000:])
        sys.exit(done.returncode)
    setup(args.venvs)
    for name in PYTHON_TOOLS:
        print(f"{name} {version(args.venvs, name)}")


if __name__ == "__main__":
    main()
