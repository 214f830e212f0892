"""``models``: what lies in the models folders, whether it is sound, and what comes and goes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from deid.core.errors import UsageError
from deid.core.model_archive import unpack
from deid.core.model_card import NETWORK_RANGE, Intensity, ModelRecord, read_record, record_text
from deid.core.model_files import CARD, LARGEST, WEIGHTS, copy_file, new_folder, open_file, remove_folder
from deid.core.models import MANIFEST, check_name, find_model, find_models, locate_models, user_folder

PUBLISHED_NAME = "mami-published"


@dataclass(frozen=True)
class Listed:
    """One line of the list; ``problem`` says why there is no record."""

    name: str
    folder: Path
    place: str
    size: int
    record: ModelRecord | None
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        """The line with text and numbers only; what needs the record is null where there is none."""
        return {
            "name": self.name,
            "kind": self.record and self.record.kind,
            "modalities": self.record and self.record.input.modalities,
            "bytes": self.size,
            "place": self.place,
            "folder": str(self.folder),
            "licence": self.record and self.record.licence,
            "problem": self.problem,
        }


@dataclass(frozen=True)
class Imported:
    """A model that was imported; ``report`` says what was found in a checkpoint, and is empty otherwise."""

    folder: Path
    record: ModelRecord
    report: tuple[str, ...] = ()


def list_models(explicit: Path | None = None) -> Iterator[Listed]:
    """All models that can be found, sorted by name, from their records only.

    Raises:
        UsageError: ``explicit`` holds no model.
    """
    for found in locate_models(explicit):
        size = _size(found.folder)
        try:
            yield Listed(found.folder.name, found.folder, found.place, size, read_record(found.folder))
        except UsageError as error:
            yield Listed(found.folder.name, found.folder, found.place, size, None, str(error))


def show_model(name: str, explicit: Path | None = None) -> tuple[ModelRecord, str]:
    """The record of a model and the text of its card.

    Raises:
        UsageError: There is no such model, or it cannot be read.
    """
    folder = find_model(name, explicit)
    with open_file(folder, CARD) as stream:
        card = stream.read(LARGEST[CARD]).decode("utf-8", "replace")
    return read_record(folder), card


def verify_models(names: list[str], explicit: Path | None = None) -> Iterator[tuple[str, str]]:
    """Name and problem of each model, of all where none is named; the problem of a sound model is empty.

    A model is sound where its record is valid, its card can be read, the hash of its weights is the record's,
    and the weights fit its architecture and are finite.

    Raises:
        UsageError: There is no such model.
    """
    folders = [find_model(name, explicit) for name in names] if names else find_models(explicit)
    for folder in folders:
        yield folder.name, _problem(folder)


def import_model(source: Path, to: Path | None = None) -> Imported:
    """Makes a model folder of a published MaMI checkpoint, a model folder, or a zip archive of one.

    Args:
        source: The checkpoint, folder or archive.
        to: The folder to make, whose name becomes the model's; in the user's folder of models if None.

    Raises:
        UsageError: The source is none of these, is damaged or hostile, or there is such a model already.
    """
    if source.is_dir():
        return _import_folder(source, to)
    if not source.is_file():
        raise UsageError(f"there is nothing to import at {source}; give a checkpoint, model folder or .zip.")
    if source.suffix.lower() == ".zip":
        with unpack(source) as folder:
            return _import_folder(folder, to)
    return _import_checkpoint(source, to)


def removable(name: str) -> Path:
    """The folder that :func:`remove_model` removes.

    Raises:
        UsageError: There is no such model in the user's folder of models.
    """
    check_name(name)
    folder = user_folder() / name
    if (folder / MANIFEST).is_file():
        return folder
    elsewhere = find_model(name)  # complains where there is none at all
    raise UsageError(
        f"{name} lies in {elsewhere.parent}; only models in your own folder, {user_folder()}, are removed."
    )


def remove_model(name: str) -> Path:
    """Removes a model from the user's folder of models and returns where it was.

    Raises:
        UsageError: It is not there, or cannot be removed.
    """
    folder = removable(name)
    remove_folder(folder)
    return folder


def _problem(folder: Path) -> str:
    from deid.networks.folder import load_network

    try:
        _, record = load_network(folder)
        open_file(folder, CARD).close()
    except UsageError as error:
        return str(error)
    if record.name != folder.name:
        return f"model.json names the model {record.name}, and its folder {folder.name}; rename the folder."
    return ""


def _import_folder(source: Path, to: Path | None) -> Imported:
    from deid.networks.folder import load_network

    _, record = load_network(source)
    target = to or user_folder() / record.name
    record = replace(record, name=target.name)
    with new_folder(target) as new:
        for name in (WEIGHTS, CARD):
            with open_file(source, name) as stream:
                copy_file(stream, new, name)
        (new / MANIFEST).write_text(record_text(record), encoding="utf-8")
    return Imported(target, record)


def _import_checkpoint(source: Path, to: Path | None) -> Imported:
    from deid.networks.published import import_published
    from deid.pixels.network_range import IntensityRule

    target = to or user_folder() / PUBLISHED_NAME
    rule = Intensity(NETWORK_RANGE, IntensityRule().to_json())
    record, report = import_published(source, target, rule)
    return Imported(target, record, report.lines())


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for name in LARGEST if (file := folder / name).is_file())
