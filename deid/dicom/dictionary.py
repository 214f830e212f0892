"""The data dictionary and the UIDs of PS3.6, from pydicom's tables.

Only the two files of tables are loaded: importing the package would load every decoder of pixel data that is
installed, which takes longer than de-identifying a hundred files.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import NamedTuple


class Entry(NamedTuple):
    """One attribute: VR (``US or SS`` where there are several), multiplicity, name, retired, keyword."""

    vr: str
    vm: str
    name: str
    retired: str
    keyword: str


@functools.cache
def attributes() -> Mapping[int, tuple[str, str, str, str, str]]:
    """The fields of :class:`Entry` of every standard attribute by tag, without the repeating groups."""
    found: Mapping[int, tuple[str, str, str, str, str]] = _tables("_dicom_dict").DicomDictionary
    return found


@functools.cache
def registered_uids() -> frozenset[str]:
    """Every UID that PS3.6 Annex A registers."""
    return frozenset(_tables("_uid_dict").UID_dictionary)


def entry_of(tag: int) -> Entry | None:
    """The entry of a standard attribute, also of a repeating group (``50xx``); None where there is none."""
    found = attributes().get(tag)
    if found is None and not tag & 0x00010000:  # odd groups are private
        found = next((fields for value, mask, fields in _repeating() if tag & mask == value), None)
    return Entry(*found) if found is not None else None


@functools.cache
def _repeating() -> list[tuple[int, int, tuple[str, str, str, str, str]]]:
    """Value and mask of the tags of every repeating group, with its fields."""
    rows = _tables("_dicom_dict").RepeatersDictionary.items()
    return [
        (int(tag.replace("x", "0"), 16), int("".join("0" if c == "x" else "F" for c in tag), 16), fields)
        for tag, fields in rows
    ]


@functools.cache
def _tables(name: str) -> ModuleType:
    package = importlib.util.find_spec("pydicom")
    assert package is not None
    assert package.origin is not None
    path = Path(package.origin).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"deid.dicom.dictionary{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
