"""What the images show, from the table of ``--labels``, whose rows name released files or originals."""

from __future__ import annotations

import csv
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from deid.core.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deid.audit.release import Instance
    from deid.workflows.audit.images import Item

UNKNOWN = "rows of --labels that name no file of this audit"
AMBIGUOUS = "rows of --labels that name several images, or say two things of one"
_WANTED = (
    "--labels takes a CSV file in UTF-8 with the header path,labels or uid,labels (several labels separated "
    "by ';'): paths of released files or of originals, or SOP Instance UIDs of originals"
)


@dataclass(frozen=True)
class Labels:
    """Findings of images.

    Attributes:
        findings: By the first file of an image or volume; what no row names is not in it.
        unused: Rows that were not used, by reason.
    """

    findings: Mapping[str, frozenset[str]] = field(default_factory=dict)
    unused: Mapping[str, int] = field(default_factory=dict)

    def matrix(self, items: Sequence[Item]) -> tuple[NDArray[np.int8] | None, tuple[str, ...]]:
        """1 present, 0 absent, -1 where nobody looked, `[image, finding]`, and the findings."""
        known = [self.findings.get(_key(item)) for item in items]
        names = tuple(sorted({name for found in known for name in found or ()}))
        if not names:
            return None, ()
        rows = [[-1 if found is None else int(name in found) for name in names] for found in known]
        return np.array(rows, np.int8), names


def read_labels(table: Path | None, items: Iterable[Item]) -> Labels:
    """Find the image that each row means; what is not clear is counted and not used.

    Args:
        table: The CSV; None for no labels.
        items: All images and volumes of the release.

    Raises:
        UsageError: The table cannot be read.
    """
    if table is None:
        return Labels()
    names = _Names(items)
    said: defaultdict[str, list[frozenset[str]]] = defaultdict(list)
    unused: Counter[str] = Counter()
    for row in _rows(table):
        meant = names.meant(row.get("path") or "", row.get("uid") or "", table.parent)
        if len(meant) != 1:
            unused[AMBIGUOUS if meant else UNKNOWN] += 1
            continue
        parts = (label.strip() for label in (row["labels"] or "").split(";"))
        said[meant.pop()].append(frozenset(filter(None, parts)))
    unused[AMBIGUOUS] += sum(len(each) for each in said.values() if len(set(each)) > 1)
    findings = {item: each[0] for item, each in said.items() if len(set(each)) == 1}
    return Labels(findings, {reason: count for reason, count in sorted(unused.items()) if count})


class _Names:
    """All that a row may call an image or volume."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._paths: defaultdict[str, set[str]] = defaultdict(set)
        self._uids: defaultdict[str, set[str]] = defaultdict(set)
        for item in items:
            for instance in item.instances:
                for path in _paths(instance):
                    self._paths[path].add(_key(item))
                if instance.uid:
                    self._uids[instance.uid].add(_key(item))

    def meant(self, path: str, uid: str, beside: Path) -> set[str]:
        """The items that a row names; none, or more than one, where that is not clear.

        A path is that of a released file or of an original below its folder, or leads to an original, from
        the folder of the table or from the root.
        """
        found: set[str] = set()
        if path := path.strip():
            for name in (os.path.normpath(path), os.path.realpath(beside / path)):
                found |= self._paths.get(name, set())
        if uid := uid.strip():
            found |= self._uids.get(uid, set())
        return found


def _paths(instance: Instance) -> Iterator[str]:
    yield os.path.normpath(instance.name)
    if instance.source:
        yield os.path.normpath(instance.source)
    if instance.original is not None:
        yield os.path.realpath(instance.original)


def _key(item: Item) -> str:
    """An item by its first file in the release."""
    return item.first.name


def _rows(table: Path) -> list[dict[str, str | None]]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error):
        raise UsageError(f"{_WANTED}; the one given cannot be read.") from None
    columns = rows[0].keys() if rows else set()
    if "labels" not in columns or not {"path", "uid"} & columns:
        raise UsageError(f"{_WANTED}; the one given has other columns or no line.")
    return rows
