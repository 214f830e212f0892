"""Make the README's table of what is removed and kept from the profile.

``python tests/tools/readme_table.py`` prints it; ``--write`` puts it between its marks in the README. A test
compares the two.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from pathlib import Path

from deid.dicom.profile import preset_profile, profile_rows
from deid.dicom.profile.statement import ACTION_NAMES

README = Path(__file__).resolve().parents[2] / "README.md"
MARKS = re.compile(r"(<!-- profile table -->\n).*(<!-- end of profile table -->)", re.DOTALL)
SHOWN = 9


def described(row) -> str:
    """The actions of a row in words."""
    return ", ".join(dict.fromkeys(ACTION_NAMES[a] for a in (row.optional, row.present, row.valued)))


def table() -> str:
    """The table: one line per pair of actions, with the number of attributes and the first of them."""
    basic = {row.label: described(row) for row in profile_rows(preset_profile("basic"))}
    groups = defaultdict(list)
    for row in profile_rows(preset_profile("research")):
        groups[row.listed, described(row), basic[row.label]].append(row)
    lines = ["| attributes | `research` | `basic` | number | for example |", "|---|---|---|---|---|"]
    for (listed, research, strict), rows in sorted(groups.items(), key=lambda g: (not g[0][0], -len(g[1]))):
        names = "; ".join(row.name for row in sorted(rows, key=importance)[:SHOWN])
        where = "Table E.1-1" if listed else "not listed"
        lines.append(f"| {where} | {research} | {strict} | {len(rows)} | {names} |")
    return "\n".join(lines) + "\n"


def importance(row) -> tuple[bool, str]:
    """Patient and study attributes first: they are what a reader looks for."""
    return not row.label.startswith(("(0008", "(0010")), row.label


def main() -> None:
    """Print or write the table."""
    if "--write" in sys.argv:
        README.write_text(MARKS.sub(lambda m: m[1] + table() + m[2], README.read_text()))
    else:
        print(table())


if __name__ == "__main__":
    main()
