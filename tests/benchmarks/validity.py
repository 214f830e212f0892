"""Errors that `dciodvfy` (Debian: dicom3tools) finds in an output and did not find in its input."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from key import AnswerKey
from outputs import Output


def errors(path: Path) -> set[str]:
    """Return the kinds of error in a file: the lines without values, indexes and offsets."""
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, timeout=60, check=False)
    kinds = set()
    for line in (done.stderr + b"\n" + done.stdout).decode("latin-1").splitlines():
        if line.startswith("Error"):
            line = re.sub(r"= <[^>]*>|<[^>]*> (?=is not)|'[^']*'|\"[^\"]*\"", "=", line)
            line = re.sub(r"\b\d+(\.\d+){2,}\b", "UID", line)
            kinds.add(re.sub(r"\[\d+\]|0x[0-9a-f]{5,}|\b\d+\b", "#", line).strip())
    return kinds


def new_errors(key: AnswerKey, folder: Path, found: dict[int, Output]) -> tuple[int, Counter[str]] | None:
    """Return how many outputs have an error that their input has not, and those errors; None without
    dciodvfy."""
    if not shutil.which("dciodvfy"):
        return None

    def compare(pair: tuple[Path, Path]) -> set[str]:
        before, after = pair
        return errors(after) - errors(before)

    pairs = [(folder / "in" / p.path, found[p.marker].path) for p in key.files if p.marker in found]
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(compare, pairs))
    return sum(bool(kinds) for kinds in results), Counter(kind for kinds in results for kind in kinds)
