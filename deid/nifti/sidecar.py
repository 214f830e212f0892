"""JSON of a BIDS tree: sidecars, data dictionaries and the data set description, each by an allow-list."""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final, TypeAlias

from deid.core.dates import shift_pair, shift_time
from deid.core.errors import Held
from deid.nifti import sidecar_keys as keys
from deid.nifti.ages import cap_age
from deid.nifti.columns import column_rule, decode_text
from deid.nifti.context import Context
from deid.nifti.labels import is_technical, token
from deid.nifti.stream import read_whole

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"

MAX_JSON = 64 << 20
_MAX_DEPTH = 32
_MAX_STRING = 1024
_TIME = re.compile(r"\d\d:?\d\d(?::?\d\d(?:\.\d+)?)?", re.ASCII)
_NOT_ALPHANUMERIC = re.compile(r"[^A-Za-z0-9]")


class _Mark(Enum):
    DROP = "the value is not kept"


_DROP: Final = _Mark.DROP
Kept: TypeAlias = "Json | _Mark"


@dataclass
class SidecarCleaner:
    """Walks one JSON document.

    Attributes:
        context: The file's context.
        relative: The file's source path, where its references start.
        removed: Keys and values that were dropped.
    """

    context: Context
    relative: str
    removed: int = 0

    def sidecar(self, document: Mapping[str, Json], depth: int = 0) -> dict[str, Json]:
        """A sidecar, or a container of the same keys inside one."""
        cleaned: dict[str, Json] = {}
        for key, value in document.items():
            kept = self._value(key, value, document, depth + 1)
            if kept is _DROP:
                self.removed += 1
            else:
                cleaned[key] = kept
        return cleaned

    def dictionary(self, document: Mapping[str, Json], table: str) -> dict[str, Json]:
        """A data dictionary: the descriptions of the columns that the table keeps, and sidecar keys."""
        cleaned = self.sidecar({key: value for key, value in document.items() if not isinstance(value, dict)})
        for name, value in document.items():
            if not isinstance(value, dict):
                continue
            rule = column_rule(table, name, value, self.context.clean_text)
            if name in keys.CONTAINERS:
                cleaned[name] = self.sidecar(value)
            elif rule is None:
                self.removed += 1
            else:
                cleaned[name] = self._column(value)
        return cleaned

    def description(self, document: Mapping[str, Json]) -> dict[str, Json]:
        """``dataset_description.json``: a new name, versions, software; authors and funding are removed."""
        cleaned = self.sidecar({k: v for k, v in document.items() if k not in {"Name", "License"}})
        for key in set(cleaned) - {"BIDSVersion", "HEDVersion", "DatasetType", "GeneratedBy"}:
            del cleaned[key]
            self.removed += 1
        name = document.get("Name")
        label = token(self.context.pseudonyms, "dataset", name if isinstance(name, str) else "")
        license_ = self._text(document.get("License", ""))
        software = document.get("GeneratedBy")
        if isinstance(software, list):
            cleaned["GeneratedBy"] = [self._software(entry) for entry in software if isinstance(entry, dict)]
        head: dict[str, Json] = {"Name": f"Dataset {label}"}
        return head | ({"License": license_} if isinstance(license_, str) and license_ else {}) | cleaned

    def _software(self, entry: Mapping[str, Json]) -> dict[str, Json]:
        kept = {key: self._text(entry[key]) for key in ("Name", "Version") if key in entry}
        return {key: value for key, value in kept.items() if isinstance(value, str)}

    def _column(self, entry: Mapping[str, Json]) -> dict[str, Json]:
        cleaned: dict[str, Json] = {}
        for key, value in entry.items():
            if key in {"LongName", "Description", "Units", "Delimiter", "Format"} and isinstance(value, str):
                text = self._text(value)
                if text is not _DROP:
                    cleaned[key] = text
            elif key in {"Minimum", "Maximum"} and isinstance(value, int | float):
                cleaned[key] = value
            elif key == "Levels" and isinstance(value, dict):
                cleaned[key] = {
                    level: self._level(meaning)
                    for level, meaning in value.items()
                    if self.context.clean_text(level) == level
                }
            else:
                self.removed += 1
        return cleaned

    def _level(self, meaning: Json) -> str:
        text = meaning.get("Description") if isinstance(meaning, dict) else meaning
        kept = self._text(text if isinstance(text, str) else "")
        return kept if isinstance(kept, str) else ""

    def _value(self, key: str, value: Json, siblings: Mapping[str, Json], depth: int) -> Kept:
        if key in keys.TEXT:
            return self._each(value, self._text, depth)
        if key in keys.TASK_NAME:
            return self._each(value, self._task, depth)
        if key in keys.AGE:
            return self._age(value)
        if key in keys.MOMENT:
            return self._each(value, lambda item: self._moment(item, key, siblings), depth)
        if key in keys.UIDS:
            return self._each(value, self._uid, depth)
        if key in keys.PATHS:
            return self._each(value, self._path, depth)
        if key in keys.CONTAINERS:
            return self._container(value, depth)
        if key in keys.TECHNICAL:
            return self._technical(value, depth)
        return _DROP

    def _container(self, value: Json, depth: int) -> Kept:
        _check_depth(depth)
        if isinstance(value, dict):
            return self.sidecar(value, depth)
        if isinstance(value, list):
            return [self.sidecar(item, depth + 1) for item in value if isinstance(item, dict)]
        return _DROP

    def _technical(self, value: Json, depth: int) -> Kept:
        """Numbers and truth values stay; strings are cleaned; objects are walked by the same allow-list."""
        _check_depth(depth)
        if value is None or isinstance(value, bool | int):
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else _DROP
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, dict):
            return self.sidecar(value, depth)
        items = [self._technical(item, depth + 1) for item in value]
        self.removed += sum(item is _DROP for item in items)
        # A dropped item leaves a gap, so that lists by slice or frame keep their length.
        return [None if item is _DROP else item for item in items]

    def _each(self, value: Json, one: Callable[[Json], Kept], depth: int) -> Kept:
        _check_depth(depth)
        if not isinstance(value, list):
            return one(value)
        kept = [self._each(item, one, depth + 1) for item in value]
        self.removed += sum(item is _DROP for item in kept)
        return [item for item in kept if item is not _DROP]

    def _text(self, value: Json) -> Kept:
        if not isinstance(value, str):
            return value if value is None or isinstance(value, bool) else _DROP
        if len(value) > _MAX_STRING:
            return _DROP
        return self.context.clean_text(value)

    def _task(self, value: Json) -> Kept:
        """The task name follows the ``task-`` label of the file names (BIDS: equal but for punctuation)."""
        if not isinstance(value, str):
            return _DROP
        label = _NOT_ALPHANUMERIC.sub("", value)
        return value if is_technical("task", label) else self.context.paths.map_label("task", label)

    def _age(self, value: Json) -> Kept:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return _DROP
        capped = cap_age(str(value))
        if capped is None:
            return _DROP
        return value if capped == str(value) else (capped if isinstance(value, str) else 90)

    def _moment(self, value: Json, key: str, siblings: Mapping[str, Json]) -> Kept:
        """A date or time, shifted; where its partner stands beside it the day is carried over midnight."""
        text = _moment_text(value)
        date, time = (
            siblings.get(keys.DATE_OF_TIME.get(key, "")),
            siblings.get(keys.TIME_OF_DATE.get(key, "")),
        )
        shift = self.context.shift
        moved: str | None = None
        if date is not None:
            pair = shift_pair(_moment_text(date).replace("-", ""), text, shift)
            moved = pair and pair[1]
        elif time is not None and "T" not in text:
            pair = shift_pair(text.replace("-", ""), _moment_text(time), shift)
            moved = pair and (f"{pair[0][:4]}-{pair[0][4:6]}-{pair[0][6:]}" if "-" in text else pair[0])
            self.context.written(moved)
        if moved is None:
            moved = self.context.shift_moment(text)
        if moved is None and _TIME.fullmatch(text):
            moved = shift_time(text, shift)
        return moved or _DROP

    def _uid(self, value: Json) -> Kept:
        return self.context.pseudonyms.uid(value) if isinstance(value, str) and value.strip() else _DROP

    def _path(self, value: Json) -> Kept:
        if isinstance(value, dict):
            return self.sidecar(value)
        if not isinstance(value, str):
            return _DROP
        if is_technical("space", value):
            return value
        mapped = self.context.paths.map_reference(value, self.relative)
        return _DROP if mapped is None else mapped


def read_json(data: bytes) -> Json:
    """Parses a document.

    Raises:
        Held: Not JSON, nested too deep, or over :data:`MAX_JSON`.
    """
    if len(data) > MAX_JSON:
        raise Held("file over the size limit")
    try:
        document: Json = json.loads(decode_text(data))
    except (ValueError, RecursionError):
        raise Held("unreadable: not JSON") from None
    return document


def write_json(document: Json) -> bytes:
    """Encodes a document: UTF-8, indented, keys in the order of the source."""
    return (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode("utf-8", "replace")


def scrub_json(data: bytes, relative: str, context: Context, table: str | None = None) -> tuple[bytes, int]:
    """Cleans a sidecar or, with ``table``, a data dictionary.

    Args:
        data: The file's bytes.
        relative: Its source path.
        context: Its context.
        table: Suffix of the table that the document describes (``events``), ``dataset_description``, or None.

    Returns:
        The cleaned bytes, and how many keys and values were dropped.

    Raises:
        Held: Not a JSON object, or over the limits.
    """
    document = read_json(data)
    if not isinstance(document, dict):
        raise Held("unreadable: JSON sidecar is not an object")
    cleaner = SidecarCleaner(context, relative)
    if table == "dataset_description":
        cleaned = cleaner.description(document)
    elif table is not None:
        cleaned = cleaner.dictionary(document, table)
    else:
        cleaned = cleaner.sidecar(document)
    return write_json(cleaned), cleaner.removed


def _moment_text(value: Json) -> str:
    if isinstance(value, float):  # dcmstack writes a TM as a number: 93015.25
        return f"{value:013.6f}"
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _check_depth(depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise Held("JSON nested over the limit")


def read_object(path: Path) -> Mapping[str, object]:
    """A JSON object, empty where there is none that can be read."""
    try:
        document = read_json(read_whole(path, MAX_JSON))
    except Held:
        return {}
    return document if isinstance(document, dict) else {}
