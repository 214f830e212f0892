"""Where released models are found: folders that hold a ``model.json``."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deid.core.errors import UsageError

MODELS_VARIABLE = "MAMI_DEID_MODELS"
MANIFEST = "model.json"

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
"""The pattern of a model's name."""


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A model folder, and the words for the place where it was found."""

    folder: Path
    place: str


def find_models(explicit: Path | None = None) -> list[Path]:
    """All model folders, sorted by name; of two with one name the first place wins.

    Places in order: ``explicit``, ``$MAMI_DEID_MODELS`` (several, separated as in ``PATH``), the user's data
    folder, the wheel (``deid/_models``), the checkout (``models/`` beside ``deid/``). A place is a folder of
    models or one model.

    Raises:
        UsageError: ``explicit`` holds no model.
    """
    return [found.folder for found in locate_models(explicit)]


def locate_models(explicit: Path | None = None) -> list[FoundModel]:
    """What :func:`find_models` finds, with the places.

    Raises:
        UsageError: ``explicit`` holds no model.
    """
    found: dict[str, FoundModel] = {}
    for title, place in _places(explicit):
        for folder in _models_in(place):
            found.setdefault(folder.name, FoundModel(folder, title))
    if explicit is not None and not _models_in(explicit):
        raise UsageError(f"no model was found in {explicit}; a model is a folder with a {MANIFEST}.")
    return [found[name] for name in sorted(found)]


def find_model(name: str, explicit: Path | None = None) -> Path:
    """The folder of one model.

    Args:
        name: The name of its folder.
        explicit: A place to look first.

    Raises:
        UsageError: There is none; the message lists the places.
    """
    check_name(name)
    for folder in find_models(explicit):
        if folder.name == name:
            return folder
    looked = "; ".join(f"{title}: {place}" for title, place in _places(explicit))
    raise UsageError(
        f"there is no model {name}. Looked in {looked}. Give --models FOLDER, or set {MODELS_VARIABLE}."
    )


def check_name(name: str) -> None:
    """Refuses what cannot be the name of a model.

    Raises:
        UsageError: As above.
    """
    if not re.fullmatch(NAME, name):
        raise UsageError(
            "the model's name is not valid; it is the name of a folder, without '/': "
            "letters, digits, '.', '_' and '-', the first a letter or a digit."
        )


def user_folder() -> Path:
    """The user's own folder of models; it need not exist."""
    import platformdirs

    return Path(platformdirs.user_data_path("mami-deid", appauthor=False)) / "models"


def _places(explicit: Path | None) -> Iterator[tuple[str, Path]]:
    if explicit is not None:
        yield "the given folder", explicit
    for given in filter(None, os.environ.get(MODELS_VARIABLE, "").split(os.pathsep)):
        yield f"${MODELS_VARIABLE}", Path(given)
    yield "user data", user_folder()
    package = Path(__file__).resolve().parents[1]
    yield "installed package", package / "_models"
    # Beside an installed package lies site-packages, where a folder of this name would be a stranger's.
    if (package.parent / "pyproject.toml").is_file():
        yield "checkout", package.parent / "models"


def _models_in(place: Path) -> list[Path]:
    try:
        if (place / MANIFEST).is_file():
            return [place.resolve()]
        # Names with a leading dot are of models that are being written.
        return sorted(f for f in place.iterdir() if f.name[0] != "." and (f / MANIFEST).is_file())
    except OSError:
        return []
