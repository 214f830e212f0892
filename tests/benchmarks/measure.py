"""Measure de-identifiers on a planted tree (plant.py) in the way the MIDI-B challenge measures them.

Either runs tools over PLANTED/in and scores each (--tools), or scores an output folder that exists (--out).
Percentages count every required action; those of a lost file count as not performed.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from key import Action, AnswerKey
from rivals import Tool, default_venvs, mami_deid, tools
from scoring import Score, score
from validity import new_errors

Report = dict[str, Any]
_APART = Action.PIXELS_HIDDEN


def measure(name: str, key: AnswerKey, planted: Path, out: Path) -> Report:
    """Score one output folder; return the report as plain values."""
    result, found = score(key, planted, out)
    invalid = new_errors(key, planted, found)
    required = sum(count for action, count in result.required.items() if action is not _APART)
    done = sum(count for action, count in result.done.items() if action is not _APART)
    return {
        "tool": name,
        "measures": {a.value: [result.done[a], result.required[a]] for a in Action},
        "total": [done, required],
        "total_of_written": [done, result.written_required],
        "files": [len(found), len(key.files)],
        "strings": [len(result.strings), result.planted_strings],
        "uids_split": result.uids_split,
        "uids_joined": result.uids_joined,
        "dates_off": result.dates_off,
        "patients": [result.patients_distinct, len({p.patient for p in key.files})],
        "invalid_files": None if invalid is None else invalid[0],
        "invalid_kinds": None if invalid is None else dict(invalid[1].most_common(20)),
        "failures": _failures(result),
        "surviving": sorted(result.strings)[:100],
        "lost": result.lost[:100],
    }


def _failures(result: Score) -> dict[str, list[list[object]]]:
    return {
        action.value: [
            [place, count, result.examples.get(f"{action} {place}", "")]
            for place, count in counts.most_common(15)
        ]
        for action, counts in result.failures.items()
    }


def table(reports: list[Report]) -> str:
    """Return the reports side by side."""
    rows: list[list[str]] = [["", *(str(report["tool"]) for report in reports)]]
    for action in Action:
        if action is not _APART:
            rows.append([action.value, *(_ratio(report["measures"][action.value]) for report in reports)])
    rows += [
        ["all actions", *(_ratio(report["total"]) for report in reports)],
        ["  of written files", *(_ratio(report["total_of_written"]) for report in reports)],
        [f"{_APART.value} (apart)", *(_ratio(report["measures"][_APART.value]) for report in reports)],
        ["planted strings left", *("{} of {}".format(*report["strings"]) for report in reports)],
        ["files written", *("{} of {}".format(*report["files"]) for report in reports)],
        ["patients distinct", *("{} of {}".format(*report["patients"]) for report in reports)],
        ["UIDs that became several", *(str(report["uids_split"]) for report in reports)],
        ["UIDs that became one", *(str(report["uids_joined"]) for report in reports)],
        ["dates off their shift", *(str(report["dates_off"]) for report in reports)],
        ["files newly invalid", *(str(report["invalid_files"]) for report in reports)],
        ["exit status", *(str(report.get("exit", "")) for report in reports)],
        ["seconds", *(str(report.get("seconds", "")) for report in reports)],
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
    return "\n".join(lines)


def _ratio(pair: list[int]) -> str:
    done, required = pair
    return f"{100 * done / required:.2f} %" if required else "-"


def _explain(report: Report) -> str:
    lines = [f"\n{report['tool']}: what failed most"]
    for action, places in report["failures"].items():
        lines += [f"  {action:16} {count:5d}  {place}\n{'':25}{example}" for place, count, example in places]
    lines += [f"  dciodvfy {count:5d}  {kind}" for kind, count in (report["invalid_kinds"] or {}).items()]
    lines += [f"  surviving: {', '.join(report['surviving'][:20])}"] if report["surviving"] else []
    lines += [f"  lost: {path}" for path in report["lost"][:10]]
    return "\n".join(lines)


def _chosen(names: list[str], venvs: Path, extra: list[str]) -> list[Tool]:
    every = {"mami-deid": mami_deid(sys.executable, *extra), **tools(venvs)}
    if names == ["all"]:
        names = [name for name in every if name not in ("copy", "pydicom")]
    missing = [name for name in names if name not in every]
    if missing:
        sys.exit(f"not installed: {', '.join(missing)}; run rivals.py, or choose from {', '.join(every)}")
    return [every[name] for name in names]


def main() -> None:
    """Run and score, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("planted", type=Path, metavar="PLANTED", help="what plant.py wrote")
    parser.add_argument("--out", type=Path, help="score this folder instead of running tools")
    parser.add_argument(
        "--tools", nargs="+", default=["all"], metavar="TOOL", help="default: all that are installed"
    )
    parser.add_argument("--work", type=Path, help="folder for the outputs (default: PLANTED/out)")
    parser.add_argument(
        "--venvs", type=Path, default=default_venvs(), help="of rivals.py (default: %(default)s)"
    )
    parser.add_argument("--explain", action="store_true", help="also print what failed, with examples")
    parser.add_argument("--json", type=Path, help="also write the reports to this file")
    parser.add_argument("--mami-option", action="append", default=[], help="passed on to mami-deid scrub")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    key = AnswerKey.read(args.planted / "key.json")
    reports = []
    if args.out:
        reports.append(measure(args.out.name, key, args.planted, args.out))
    for tool in [] if args.out else _chosen(args.tools, args.venvs, args.mami_option):
        out = (args.work or args.planted / "out") / tool.name
        for old in (out, out.with_name(out.name + ".state")):
            shutil.rmtree(old, ignore_errors=True)
        start = time.perf_counter()
        done = tool.run(args.planted / "in", out)
        seconds = round(time.perf_counter() - start, 1)
        report = measure(tool.name, key, args.planted, out)
        report.update(seconds=seconds, exit=done.returncode, messages=done.stderr[-500:])
        reports.append(report)
    print(table(reports))
    if args.explain:
        print("\n".join(map(_explain, reports)))
    if args.json:
        args.json.write_text(json.dumps(reports, indent=1, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main()
