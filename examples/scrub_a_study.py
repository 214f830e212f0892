"""Scrub real DICOM files that come with pydicom, and show what changed.

Run it after ``pip install .``::

    python examples/scrub_a_study.py [FOLDER]

The folder (default ``mami-deid-example``, which must not exist yet) gets ``in`` (copies of the sample files),
``out`` (the release), ``state`` (key and journal: private) and ``diff.jsonl`` (every changed value: private).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pydicom
from rich.console import Console
from rich.table import Table

SAMPLES = (
    "CT_small.dcm",
    "reportsi.dcm",
    "rtplan.dcm",
    "waveform_ecg.dcm",
    "SC_rgb_small_odd.dcm",
    "dicomdirtests",
)
SHOWN = {
    "(0008,0018)": "SOP Instance UID",
    "(0008,0020)": "Study Date",
    "(0008,0030)": "Study Time",
    "(0008,0050)": "Accession Number",
    "(0008,0080)": "Institution Name",
    "(0008,0090)": "Referring Physician's Name",
    "(0008,1010)": "Station Name",
    "(0008,1030)": "Study Description",
    "(0008,103E)": "Series Description",
    "(0010,0010)": "Patient's Name",
    "(0010,0020)": "Patient ID",
    "(0010,0030)": "Patient's Birth Date",
    "(0018,1000)": "Device Serial Number",
}
RELEASED, HELD = 0, 1


def main() -> int:
    """Copy, scrub, show."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "mami-deid-example").resolve()
    if folder.exists():
        print(f"{folder} exists already; delete it, or give another folder.", file=sys.stderr)
        return 2
    copy_samples(folder / "in")
    command = [sys.executable, "-m", "deid", "scrub", folder / "in", folder / "out"]
    private = ["--state", folder / "state", "--diff", folder / "diff.jsonl"]
    status = subprocess.run([str(part) for part in (*command, *private)], check=False).returncode
    if status not in (RELEASED, HELD):
        return status
    show_changes(folder / "diff.jsonl")
    show_tree(folder / "out")
    print(
        f"\nExit status {status}: {'some files are held back, see above' if status else 'all was released'}."
    )
    print(f"Which and why:  mami-deid show --held --out {folder / 'out'} --state {folder / 'state'}")
    return 0


def copy_samples(target: Path) -> None:
    """Copy the sample files, among them a folder of several studies."""
    samples = Path(pydicom.__file__).parent / "data" / "test_files"
    target.mkdir(parents=True)
    for name in SAMPLES:
        copy = shutil.copytree if (samples / name).is_dir() else shutil.copy
        copy(samples / name, target / name)


def show_changes(diff: Path) -> None:
    """Print before and after of a few attributes of three instances."""
    changes: dict[str, dict[str, tuple[str, str | None]]] = defaultdict(dict)
    for line in diff.read_text().splitlines():
        change = json.loads(line)
        if change["where"] in SHOWN and change["before"]:
            changes[change["ref"]][change["where"]] = (change["before"], change["after"])
    table = Table("unit", "attribute", "before", "after", title="What changed in three of the files")
    for ref in sorted(changes, key=lambda ref: (-len(changes[ref]), ref))[:3]:
        unit = ref
        for where, (before, after) in sorted(changes[ref].items()):
            table.add_row(unit, SHOWN[where], before, "(removed)" if after is None else after or "(empty)")
            unit = ""
        table.add_section()
    Console().print(table)


def show_tree(out: Path) -> None:
    """Print the first files of the release."""
    files = sorted(path.relative_to(out) for path in out.rglob("*.dcm"))
    print(f"\n{len(files)} files in {out.name}/, for example\n  " + "\n  ".join(map(str, files[:3])))


if __name__ == "__main__":
    sys.exit(main())
