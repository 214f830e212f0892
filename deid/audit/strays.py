"""Files in a release of which no original is known: what somebody has put there beside the outputs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from deid.audit.release import Instance, Pair, Release
from deid.core.outputs import PARTIAL_PREFIX

NO_ORIGINAL = "in the release, but no original of it is known"
"""Of such a file the bytes are searched for the identifiers of all patients, and nothing else is audited."""


def stray_files(pairs: Iterable[Pair], scrubbed: Path) -> tuple[Instance, ...]:
    """Every file of a release that is of no pair; nobody knows whom it shows.

    A hospital's own file that was copied into the folder is one, and so is an output whose original is gone.

    Args:
        pairs: All outputs that are known, of every shard.
        scrubbed: The folder of the release. What a run has not finished in it is none of it.

    Returns:
        In the order of their paths, without originals and patients.
    """
    known = {pair.name for pair in pairs}
    found = sorted(path for path in scrubbed.rglob("*") if path.is_file())
    named = ((path, path.relative_to(scrubbed).as_posix()) for path in found)
    return tuple(
        Instance(None, path, name, "", "")
        for path, name in named
        if name not in known and not name.startswith(PARTIAL_PREFIX)
    )


def with_strays(release: Release, strays: tuple[Instance, ...]) -> Release:
    """The release with such files, which only the header attack looks into, and their count."""
    if not strays:
        return release
    left_out = {**release.left_out, NO_ORIGINAL: len(strays)}
    return replace(release, texts=(*release.texts, *strays), left_out=dict(sorted(left_out.items())))
