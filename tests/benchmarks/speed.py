"""Time mami-deid and the other de-identifiers on the same files, in one run.

Builds a CT/MR set (512 x 512 and 256 x 256, 16 bit, headers as scanners write them) and a set of big CR
images, reads all of it once so that every tool finds it in memory, then runs each tool in one process pinned
to one core. `pydicom` is the floor of reading and saving with that library; `copy` that of the disk. Ratios
are to the fastest Python rival of the same set. Peak memory is that of the largest process. Needs GNU time
(/usr/bin/time).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from rivals import PYTHON_TOOLS, Tool, default_venvs, mami_deid, tools
from scanners import elements, write_set


@dataclass(frozen=True)
class Timing:
    """One run: wall and processor seconds, peak memory in MB, and what the tool printed."""

    name: str
    files: int
    written: int
    seconds: float
    processor: float
    peak: float
    printed: str

    @property
    def rate(self) -> float:
        """Files written per second of wall time."""
        return self.written / self.seconds


def run(name: str, tool: Tool, source: Path, work: Path, core: str) -> Timing:
    """Run the tool on the cores (taskset list) and measure it; its output is deleted."""
    out = work / "out" / name.replace(" ", "_")
    out.mkdir(parents=True)
    pinned = ["taskset", "-c", core] if shutil.which("taskset") else []
    with tempfile.NamedTemporaryFile("r") as usage, tempfile.TemporaryFile("w+") as printed:
        # GNU time: a child of ours would be charged with our memory, which it has until it executes the tool
        command = ["/usr/bin/time", "-o", usage.name, "-f", "%U %S %M", *pinned, *tool.command(source, out)]
        start = time.perf_counter()
        subprocess.run(command, stdout=printed, stderr=subprocess.DEVNULL, cwd=tool.folder, check=False)
        seconds = time.perf_counter() - start
        user, system, kilobytes = map(float, usage.read().splitlines()[-1].split())
        printed.seek(0)
        text = printed.read()
    written = sum(path.is_file() for path in out.rglob("*"))
    shutil.rmtree(work / "out")
    files = sum(path.is_file() for path in source.rglob("*"))
    return Timing(name, files, written, seconds, user + system, kilobytes / 1024, text)


def phases(printed: str) -> dict[str, float]:
    """Return the seconds that the JSON summary of mami-deid names, by key."""
    try:
        summary = json.loads(printed)
    except ValueError:
        return {}
    found: dict[str, float] = {}

    def visit(value: object, name: str) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                visit(inner, f"{name}.{key}" if name else key)
        elif isinstance(value, int | float) and "second" in name:
            found[name] = float(value)

    visit(summary, "")
    return found


def build(work: Path, files: int, radiographs: int) -> dict[str, Path]:
    """Write the sets; print what is in them."""
    sets = {"CT/MR": work / "in" / "ctmr", "CR": work / "in" / "cr"}
    patients = max(1, files // 150)
    for name, modality, people, count, rows, columns in (
        ("CT/MR", "CT", patients, files * 2 // 3 // patients, 512, 512),
        ("CT/MR", "MR", patients, files - files * 2 // 3, 256, 256),
        ("CR", "CR", 1, radiographs, 3000, 2500),
    ):
        count = count if modality != "MR" else -(-count // people)
        image = write_set(sets[name], modality, people, count, rows, columns)
        size = os.path.getsize(next(sets[name].glob(f"{modality}*/*"))) / 1e6
        print(f"{people * count:5d} {modality} {rows} x {columns}, {elements(image)} elements, {size:.2f} MB")
    for folder in sets.values():
        for path in folder.rglob("*.dcm"):
            path.read_bytes()
    return sets


def report(timings: list[Timing]) -> str:
    """Return the runs as a table, best rate of each tool."""
    best: dict[str, Timing] = {}
    for timing in timings:
        if timing.name not in best or timing.rate > best[timing.name].rate:
            best[timing.name] = timing
    fastest = max((best[name].rate for name in PYTHON_TOOLS if name in best), default=0.0)
    least = min(
        (best[name].processor / best[name].files for name in PYTHON_TOOLS if name in best), default=0.0
    )
    heads = ("files/s", "ratio", "CPU ratio", "wall s", "CPU s", "peak MB", "written")
    lines = ["{:20} {:>8} {:>6} {:>9} {:>7} {:>7} {:>8}  {}".format("", *heads)]
    for name, t in best.items():
        ratio = f"{t.rate / fastest:.2f}" if fastest else "-"
        of_processor = f"{least / (t.processor / t.files):.2f}" if least and t.processor else "-"
        line = f"{name:20} {t.rate:8.1f} {ratio:>6} {of_processor:>9} {t.seconds:7.2f} {t.processor:7.2f}"
        lines.append(f"{line} {t.peak:8.0f}  {t.written} of {t.files}")
        for key, seconds in phases(t.printed).items():
            speed = (
                f"{t.files / seconds:8.1f} {t.files / seconds / fastest if fastest else 0:6.2f}"
                if seconds
                else ""
            )
            lines.append(f"  {key:18} {speed:15} {'':9} {seconds:7.2f}")
    return "\n".join(lines)


def main() -> None:
    """Build, run, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=600, help="CT and MR files (default: %(default)s)")
    parser.add_argument("--radiographs", type=int, default=20, help="CR files (default: %(default)s)")
    parser.add_argument("--repeat", type=int, default=1, help="runs of each tool, the best counts")
    parser.add_argument("--tools", nargs="+", metavar="TOOL", help="only these (default: all)")
    parser.add_argument(
        "--venvs", type=Path, default=default_venvs(), help="of rivals.py (default: %(default)s)"
    )
    parser.add_argument(
        "--work", type=Path, help="folder for the files, deleted after (default: a temporary one)"
    )
    args = parser.parse_args()
    jobs_1, jobs_2 = (mami_deid(sys.executable, "--json", "--jobs", jobs) for jobs in ("1", "2"))
    chosen: dict[str, tuple[Tool, str]] = {"mami-deid jobs 1": (jobs_1, "0")}
    if (os.cpu_count() or 1) > 1:
        chosen["mami-deid jobs 2"] = (jobs_2, "0,1")
    chosen |= {name: (tool, "0") for name, tool in tools(args.venvs).items()}
    if args.tools:
        chosen = {
            name: pair for name, pair in chosen.items() if any(name.startswith(tool) for tool in args.tools)
        }
    with tempfile.TemporaryDirectory(dir=args.work) as folder:
        work = Path(folder)
        for name, source in build(work, args.files, args.radiographs).items():
            timings = []
            for _ in range(args.repeat):
                timings += [run(tool, pair[0], source, work, pair[1]) for tool, pair in chosen.items()]
            print(f"\n{name}\n{report(timings)}", flush=True)


if __name__ == "__main__":
    main()
