"""The look at a series of single-file slices: one verdict for all of them, the same in every process.

It is made of the files that the plan has chosen (:mod:`deid.workflows.scrub.stacks`), by every process that
meets the series, so that no process waits for another and a run that goes on decides as before.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deid.core.coverage import ImageFacts, uncovered
from deid.core.errors import Held, Skipped
from deid.core.model_card import ModelRecord
from deid.workflows.scrub.stacks import Stack

if TYPE_CHECKING:
    from deid.core.image import Image
    from deid.networks.scrubber import Scrubber
    from deid.workflows.scrub.frames import Series

CHANGED = "identity: a file of the series changed during the run"
UNSEEN = "identity: none of the slices that decide for their series can be read"
_KEPT = 128 << 20
_REMEMBERED = 4096
"""Decoded bytes that are held at once; verdicts, which are small."""


@dataclass(frozen=True)
class Chosen:
    """A model for an image, and the facts that it was chosen by."""

    folder: Path
    record: ModelRecord
    facts: ImageFacts

    @property
    def digest(self) -> str:
        """SHA-256 of the model's weights."""
        assert self.record.weights is not None
        return self.record.weights.sha256


def covering(records: Sequence[tuple[Path, ModelRecord]], facts: Sequence[ImageFacts]) -> Chosen | str:
    """The first model that was made for all of some images, or why the first was not.

    Args:
        records: Folders and records of the models.
        facts: Of each image, one or more.
    """
    reasons = []
    for folder, record in records:
        reason = next(filter(None, (uncovered(each, record.input) for each in facts)), "")
        if not reason:
            return Chosen(folder, record, facts[0])
        reasons.append(reason)
    return reasons[0]


@dataclass(frozen=True)
class Verdict:
    """What was decided of a series.

    Attributes:
        chosen: The model that changes its slices.
        series: What it found of the series.
    """

    chosen: Chosen
    series: Series


class Verdicts:
    """The verdicts of one process.

    Args:
        records: Folders and records of the anonymizers, in the order in which they are asked.
        scrubber: Gives the anonymizer of a folder.
    """

    def __init__(
        self, records: Sequence[tuple[Path, ModelRecord]], scrubber: Callable[[Path], Scrubber]
    ) -> None:
        self._records, self._scrubber = records, scrubber
        self._found: OrderedDict[bytes, Verdict | str | Held] = OrderedDict()

    def of(self, stack: Stack) -> Verdict | str:
        """The verdict of a stack, or why its slices stay as they are.

        Raises:
            Held: It cannot be told.
        """
        if stack.token not in self._found:
            try:
                self._found[stack.token] = self._judge(stack)
            except Held as held:
                self._found[stack.token] = held
            if len(self._found) > _REMEMBERED:
                self._found.popitem(last=False)
        found = self._found[stack.token]
        if isinstance(found, Held):
            raise Held(found.reason)
        return found

    def _judge(self, stack: Stack) -> Verdict | str:
        _check_unchanged(stack)
        slices = _Slices(stack)
        if not slices.facts:
            raise Held(UNSEEN)
        chosen = covering(self._records, list(slices.facts.values()))
        if isinstance(chosen, str):
            return chosen
        slices.decode()
        if slices.unsupported:
            return slices.unsupported
        from deid.workflows.scrub.frames import look_at_series  # it loads torch, which no header needs

        series = look_at_series(
            self._scrubber(chosen.folder), chosen.record.input, slices.look, slices.everything
        )
        _check_unchanged(stack)
        return series if isinstance(series, str) else Verdict(chosen, series)


class _Slices:
    """The files that decide for a stack; those that cannot be read are held by themselves, and left out.

    Attributes:
        facts: What the headers say of those that have a readable one.
        unsupported: Why none of them is an image that can be changed, if that is so.
    """

    def __init__(self, stack: Stack) -> None:
        self._look = {path for path, _, _ in stack.look}
        self.facts: dict[Path, ImageFacts] = {}
        self.unsupported = ""
        self._kept: dict[Path, Image] = {}
        for path, _, _ in (*stack.look, *stack.also):
            self._read_header(path)

    def _read_header(self, path: Path) -> None:
        from deid.dicom.image_facts import facts_of
        from deid.dicom.pixels import read_header

        with suppress(Held, Skipped, OSError):
            self.facts[path] = facts_of(read_header(path))

    def decode(self) -> None:
        """Decode each once, to see which can be, and keep what is small.

        Raises:
            Held: None can be, or none of those whose look decides.
        """
        from deid.dicom.image_header import BITMAP, FLOATING, PALETTE

        size, why = 0, set()
        for path in list(self.facts):
            try:
                image = self._decoded(path)
            except (Held, Skipped, OSError) as error:
                why.add(error.reason if isinstance(error, Held) else "")
                del self.facts[path]
                continue
            size += image.array.nbytes
            if size <= _KEPT:
                self._kept[path] = image
        if not self._look.isdisjoint(self.facts):
            return
        if why and why <= {BITMAP, FLOATING, PALETTE}:
            self.unsupported = min(why).removeprefix("pixels: ")
        else:
            raise Held(UNSEEN)

    def look(self) -> Iterator[Image]:
        """The images whose look decides, in order of place."""
        return (self._image(path) for path in self.facts if path in self._look)

    def everything(self) -> Iterator[Image]:
        """All images."""
        return map(self._image, self.facts)

    def _image(self, path: Path) -> Image:
        kept = self._kept.get(path)
        return self._decoded(path) if kept is None else kept

    def _decoded(self, path: Path) -> Image:
        from deid.dicom.pixels import read_image

        return read_image(path)


def _check_unchanged(stack: Stack) -> None:
    """Hold the slices of a series whose verdict would be that of other files than the index pass read."""
    for path, size, mtime_ns in (*stack.look, *stack.also):
        if _stat(path) != (size, mtime_ns):
            raise Held(CHANGED)


def _stat(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
