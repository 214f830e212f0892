"""Scoring the outputs of one tool against the answer key."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil, floor
from pathlib import Path

import numpy as np
from key import Action, AnswerKey, Check, Planted
from outputs import Output, haystack, items, match, pixel_digest, read, texts
from pydicom.dataset import Dataset

_DAY = 86_400


@dataclass
class Score:
    """What a tool reached.

    Attributes:
        required: Actions of the key, by measure.
        done: Actions performed.
        lost: Inputs without an output.
        written_required: Actions of the key for the files that were written.
        strings: Planted strings found in a byte of the file they were planted in.
        planted_strings: All planted strings.
        uids_split: Source UIDs that became several.
        uids_joined: New UIDs that stand for several.
        dates_off: Shifted dates that do not follow their patient's shift.
        patients_distinct: Different new patient ids (the most frequent one of each patient).
        failures: For each measure the most frequent places that failed.
    """

    required: Counter[Action] = field(default_factory=Counter)
    done: Counter[Action] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    written_required: int = 0
    strings: set[str] = field(default_factory=set)
    planted_strings: int = 0
    uids_split: int = 0
    uids_joined: int = 0
    dates_off: int = 0
    patients_distinct: int = 0
    failures: dict[Action, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    examples: dict[str, str] = field(default_factory=dict)


class _Tree:
    """The matched files and what is only known of all of them together: UIDs, patient ids, shifts."""

    def __init__(self, key: AnswerKey, folder: Path, found: dict[int, Output]) -> None:
        self.found = found
        self.sources: dict[int, Dataset] = {}
        self.forward: dict[str, set[str]] = defaultdict(set)
        self.backward: dict[str, set[str]] = defaultdict(set)
        ids: dict[int, Counter[str]] = defaultdict(Counter)
        shifts: dict[int, Counter[float]] = defaultdict(Counter)
        for planted in key.files:
            output = found.get(planted.marker)
            source = read(folder / "in" / planted.path)
            if output is None or source is None:
                continue
            self.sources[planted.marker] = source
            ids[planted.patient][str(output.dataset.get("PatientID", ""))] += 1
            for check in planted.checks:
                if check.action in (Action.UID_CHANGED, Action.UID_CONSISTENT):
                    self._pair(texts(source, check.path), texts(output.dataset, check.path))
                elif check.action is Action.DATE_SHIFTED and (" " in check.text or len(check.text) > 8):
                    shifts[planted.patient].update(set(differences(output.dataset, check)))
        self.ids = {patient: counts.most_common(1)[0][0] for patient, counts in ids.items()}
        self.shifts = {patient: counts.most_common(1)[0][0] for patient, counts in shifts.items() if counts}

    def _pair(self, old: list[str], new: list[str]) -> None:
        if len(old) == len(new):
            for before, after in zip(old, new, strict=True):
                self.forward[before].add(after)
                self.backward[after].add(before)


def moment(value: str, time: str = "") -> datetime | None:
    """Return the instant of a DT, a DA or a DA with its TM; None where it is none."""
    digits = re.fullmatch(r"(\d{8})(\d{0,6})(\.\d{1,6})?([+-]\d{4})?", (value + time).strip())
    if not digits:
        return None
    try:
        base = datetime.strptime(digits[1] + digits[2].ljust(6, "0"), "%Y%m%d%H%M%S")
    except ValueError:
        return None
    return base + timedelta(seconds=float(digits[3] or 0))


def differences(dataset: Dataset, check: Check) -> list[float]:
    """Return in seconds how far each date at the check's path lies from the source date."""
    before = moment(*check.text.split(" "))
    found = []
    for item, tag in items(dataset, check.path):
        value, time = str(item[tag].value or ""), ""
        if check.time_path:
            time = str(item.get(int(check.time_path[-1], 16)).value or "") if _has(item, check) else ""
            if not time:  # the time was emptied: only whole days can be compared
                before = moment(check.text.split(" ")[0])
        after = moment(value, time)
        if after is not None and before is not None:
            found.append(round((after - before).total_seconds(), 3))
    return found


def _has(item: Dataset, check: Check) -> bool:
    return int(check.time_path[-1], 16) in item


def _removed(text: str, values: list[str]) -> bool:
    if len(text) < 5 and text.isascii():  # `Li` may stand in `Slice`, `12` in a number
        pattern = re.compile(rf"(?<![^\W_]){re.escape(text)}(?![^\W_])", re.IGNORECASE)
        return not any(pattern.search(value) for value in values)
    return not any(text.casefold() in value.casefold() for value in values)


def _retained(text: str, values: list[str]) -> bool:
    if any(text.casefold() in value.casefold() for value in values):
        return True
    try:
        wanted = [float(part) for part in text.split("\\")]
        return any([float(part) for part in value.split("\\")] == wanted for value in values)
    except ValueError:
        return False


def _shifted(check: Check, planted: Planted, output: Dataset, tree: _Tree) -> bool:
    shift = tree.shifts.get(planted.patient, 0)
    allowed = {float(shift), float(floor(shift / _DAY) * _DAY), float(ceil(shift / _DAY) * _DAY)}
    alone = " " not in check.text and len(check.text) == 8
    if not alone and not _time_gone(check, output):
        allowed = {float(shift)}
    return shift != 0 and any(seconds in allowed for seconds in differences(output, check))


def _time_gone(check: Check, output: Dataset) -> bool:
    if not check.time_path:
        return False
    return all(
        not _has(item, check) or not item[int(check.time_path[-1], 16)].value
        for item, _ in items(output, check.path)
    )


def _uid(check: Check, values: list[str], tree: _Tree) -> bool:
    if check.action is Action.UID_CHANGED:
        return check.text not in values and (len(check.path) > 1 or any(values))
    new = tree.forward.get(check.text, set())
    return len(new) == 1 and new <= set(values) and tree.backward[next(iter(new))] == {check.text}


def _patient(check: Check, planted: Planted, values: list[str], tree: _Tree) -> bool:
    new = tree.ids[planted.patient]
    alone = sum(other == new for other in tree.ids.values()) == 1
    return values == [new] and alone and new not in ("", check.text)


def _pixels_kept(planted: Planted, output: Dataset, source: Dataset) -> bool:
    if pixel_digest(output) == planted.pixels:
        return True
    try:
        return bool(np.array_equal(output.pixel_array, source.pixel_array))
    except (ValueError, RuntimeError, AttributeError, NotImplementedError, KeyError):
        return False


def _hidden(check: Check, output: Dataset, source: Dataset) -> bool:
    """Return whether nine tenths of the ink of the burned-in text have another value now."""
    row, column, rows, columns = check.box
    try:
        before, after = (d.pixel_array[row : row + rows, column : column + columns] for d in (source, output))
    except (ValueError, RuntimeError, AttributeError, NotImplementedError, KeyError):
        return False
    ink = before == 255
    return bool(before.shape == after.shape and (after[ink] != 255).mean() > 0.9)


def performed(check: Check, planted: Planted, output: Dataset, tree: _Tree) -> bool:
    """Return whether the output shows the required action."""
    values = texts(output, check.path) if check.path else []
    match check.action:
        case Action.TEXT_REMOVED:
            return _removed(check.text, values)
        case Action.TEXT_RETAINED:
            return _retained(check.text, values)
        case Action.TEXT_NOTNULL:
            return any(values)
        case Action.TAG_RETAINED:
            return next(items(output, check.path), None) is not None
        case Action.DATE_SHIFTED:
            return _shifted(check, planted, output, tree)
        case Action.UID_CHANGED | Action.UID_CONSISTENT:
            return _uid(check, values, tree)
        case Action.PATID_CONSISTENT:
            return _patient(check, planted, values, tree)
        case Action.PIXELS_RETAINED:
            return _pixels_kept(planted, output, tree.sources[planted.marker])
        case Action.PIXELS_HIDDEN:
            return _hidden(check, output, tree.sources[planted.marker])


def surviving(planted: Planted, data: bytes) -> set[str]:
    """Return the planted strings that stand in the bytes (lower case) in any case and usual encoding."""
    found = set()
    for text in planted.strings:
        if len(text) < 8 and text.isdecimal():  # five digits stand in some UID or decimal by chance
            if re.search(rb"(?<![0-9.])" + text.encode() + rb"(?![0-9.])", data):
                found.add(text)
        elif any(needle in data for needle in _needles(text)):
            found.add(text)
    return found


def _needles(text: str) -> set[bytes]:
    encodings = ["utf-8", "utf-16-le"]
    if not text.isascii():
        encodings += ["latin-1", "gb18030", "euc_kr", "shift_jis", "iso2022_jp"]
    needles = set()
    for form in (text, text.lower(), text.upper()):
        for encoding in encodings:
            try:
                raw = form.encode(encoding)
            except UnicodeEncodeError:
                continue
            needles.add(re.sub(rb"\x1b[$(]{1,2}[A-Z]", b"", raw).lower())
    return {needle for needle in needles if len(needle) >= 4}


def score(key: AnswerKey, folder: Path, out: Path) -> tuple[Score, dict[int, Output]]:
    """Score the output folder of one tool; also return the matched outputs."""
    found, strange = match(key, out)
    tree, result = _Tree(key, folder, found), Score()
    for planted in key.files:
        output = found.get(planted.marker)
        result.required.update(check.action for check in planted.checks)
        if output is None:
            result.lost.append(planted.path)
            continue
        result.written_required += sum(check.action is not Action.PIXELS_HIDDEN for check in planted.checks)
        result.strings |= surviving(planted, haystack(output.path))
        for check in planted.checks:
            if performed(check, planted, output.dataset, tree):
                result.done[check.action] += 1
            else:
                _note(result, check, planted, output.dataset)
    every = {text for planted in key.files for text in planted.strings}
    for path in strange[:50]:
        data = haystack(path)
        result.strings |= {text for text in every if text.lower().encode() in data}
    result.planted_strings = len(every)
    result.uids_split = sum(len(new) > 1 for new in tree.forward.values())
    result.uids_joined = sum(len(old) > 1 for old in tree.backward.values())
    result.patients_distinct = len(set(tree.ids.values()) - {""})
    return result, found


def _note(result: Score, check: Check, planted: Planted, output: Dataset) -> None:
    place = " > ".join(check.path)
    result.failures[check.action][place] += 1
    if check.action is Action.DATE_SHIFTED and differences(output, check):
        result.dates_off += 1
    now = " | ".join(texts(output, check.path))[:200] if check.path else ""
    result.examples.setdefault(f"{check.action} {place}", f"{planted.path}: {check.text!r} -> {now!r}")
