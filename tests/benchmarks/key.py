"""The answer key: what must be true of each output, in the words of the MIDI-B challenge."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path


class Action(StrEnum):
    """The measures of MIDI-B (Medical Image De-Identification Benchmark, 2024)."""

    TAG_RETAINED = "tag_retained"
    TEXT_NOTNULL = "text_notnull"
    TEXT_RETAINED = "text_retained"
    TEXT_REMOVED = "text_removed"
    DATE_SHIFTED = "date_shifted"
    UID_CHANGED = "uid_changed"
    UID_CONSISTENT = "uid_consistent"
    PATID_CONSISTENT = "patid_consistent"
    PIXELS_RETAINED = "pixels_retained"
    PIXELS_HIDDEN = "pixels_hidden"


@dataclass(frozen=True)
class Check:
    """One required action.

    Attributes:
        action: What is measured.
        path: The attribute: tags as 8 hex digits from the top level down, every item of a sequence counting;
            a private element as `gggg|CREATOR|ee`. Empty for the pixels.
        text: The string to keep or to remove; for a date the source value, `DA`, `DA TM` joined by a space or
            `DT`; for a UID the source value.
        time_path: For a date the attribute that holds its time; empty where it stands alone.
        box: For hidden pixels the region `[row, column, rows, columns]`.
    """

    action: Action
    path: tuple[str, ...] = ()
    text: str = ""
    time_path: tuple[str, ...] = ()
    box: tuple[int, ...] = ()


@dataclass
class Planted:
    """One input file.

    Attributes:
        path: Relative to the input folder, with slashes.
        origin: What it was made of, for finding it again.
        marker: Value of Instance Number and Acquisition Number: unique in the tree, so that an output is
            found.
        patient: Index of the patient.
        sop_instance: SOP Instance UID.
        pixels: SHA-256 of the value of Pixel Data; empty where there is none.
        strings: What must not stand in any byte of the output.
    """

    path: str
    origin: str
    marker: int
    patient: int
    sop_instance: str
    pixels: str = ""
    strings: list[str] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)

    def require(
        self,
        action: Action,
        path: tuple[str, ...] | str = (),
        text: str = "",
        time_path: tuple[str, ...] = (),
        box: tuple[int, ...] = (),
    ) -> None:
        """Add a required action."""
        self.checks.append(Check(action, (path,) if isinstance(path, str) else path, text, time_path, box))


@dataclass
class AnswerKey:
    """All planted files, with the seed that gave them."""

    seed: int
    patients: int
    files: list[Planted] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps(asdict(self), ensure_ascii=False), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> AnswerKey:
        """Read what `write` wrote."""
        raw = json.loads(path.read_text(encoding="utf-8"))
        files = []
        for entry in raw["files"]:
            checks = [
                Check(
                    Action(check["action"]),
                    tuple(check["path"]),
                    check["text"],
                    tuple(check["time_path"]),
                    tuple(check["box"]),
                )
                for check in entry.pop("checks")
            ]
            files.append(Planted(**entry, checks=checks))
        return cls(raw["seed"], raw["patients"], files)
