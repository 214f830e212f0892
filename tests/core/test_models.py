import os
from pathlib import Path

import pytest

from deid.core import models
from deid.core.errors import UsageError
from deid.core.models import find_model, find_models


def model(place: Path, name: str) -> Path:
    (place / name).mkdir(parents=True)
    (place / name / "model.json").write_text("{}")
    return place / name


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    package = tmp_path / "checkout/deid"
    (package / "core").mkdir(parents=True)
    monkeypatch.setattr(models, "__file__", str(package / "core/models.py"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MAMI_DEID_MODELS", f"{tmp_path / 'env1'}{os.pathsep}{tmp_path / 'env2'}")
    (tmp_path / "checkout/pyproject.toml").write_text("")
    return {
        "explicit": tmp_path / "explicit",
        "env1": tmp_path / "env1",
        "env2": tmp_path / "env2",
        "data": tmp_path / "data/mami-deid/models",
        "wheel": package / "_models",
        "checkout": tmp_path / "checkout/models",
    }


def test_the_first_place_wins(places: dict[str, Path]) -> None:
    for place in reversed(places.values()):
        made = model(place, "unet")
        assert find_model("unet", places["explicit"] if place == places["explicit"] else None) == made
    assert find_models() == [places["env1"] / "unet"]


def test_all_places_are_listed_together(places: dict[str, Path]) -> None:
    made = [model(place, f"m{i}") for i, place in enumerate(places.values())]
    (places["data"] / "not a model").mkdir()
    assert find_models(places["explicit"]) == made


def test_a_model_itself_can_be_given(places: dict[str, Path]) -> None:
    made = model(places["explicit"], "mine")
    assert find_model("mine", made) == made and find_models(made) == [made]


def test_models_beside_an_installed_package_are_a_strangers(places: dict[str, Path]) -> None:
    model(places["checkout"], "unet")
    assert find_models() != []
    (places["checkout"].parent / "pyproject.toml").unlink()
    assert find_models() == []


def test_what_is_missing_says_where_it_looked(places: dict[str, Path]) -> None:
    with pytest.raises(UsageError) as caught:
        find_model("unet")
    for name in ("env1", "env2", "data", "wheel", "checkout"):
        assert str(places[name]) in str(caught.value)
    with pytest.raises(UsageError, match=r"model\.json"):
        find_models(places["explicit"])
    for name in ("../x", "", "a/b", ".x"):
        with pytest.raises(UsageError, match="name"):
            find_model(name)
