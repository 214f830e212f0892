"""Model folders are written all or none, whenever the writer is killed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deid.core import model_files
from deid.core.errors import UsageError
from deid.core.model_files import LARGEST, new_folder, remove_folder

# Writes a model and ends itself, as a kill would, at the call of a function of a class or module.
KILLED = """
import os, shutil, sys
from pathlib import Path
from deid.core.model_files import LARGEST, new_folder
owner, name, count = {"Path": Path, "shutil": shutil, "os": os}[sys.argv[2]], sys.argv[3], int(sys.argv[4])
called, real = [], getattr(owner, name)
def fatal(*arguments, **given):
    called.append(name)
    if len(called) == count:
        os._exit(9)
    return real(*arguments, **given)
setattr(owner, name, fatal)
with new_folder(Path(sys.argv[1]), replace=True) as new:
    for file in LARGEST:
        (new / file).write_text("new")
"""


def write(folder: Path, text: str, **given: bool) -> None:
    with new_folder(folder, **given) as new:
        for name in LARGEST:
            (new / name).write_text(text)


def contents(folder: Path) -> set[str]:
    assert sorted(file.name for file in folder.iterdir()) == sorted(LARGEST)
    return {file.read_text() for file in folder.iterdir()}


def killed(folder: Path, owner: str, name: str, count: int) -> None:
    words = [sys.executable, "-c", KILLED, str(folder), owner, name, str(count)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run(words, env=environment, check=False).returncode == 9


@pytest.mark.parametrize(
    ("owner", "name", "count", "left"),
    [
        ("os", "fsync", 1, {"tiny"}),  # while the new model is written
        ("Path", "rename", 1, {"tiny"}),  # before the old one steps aside
        ("Path", "rename", 2, {".tiny.old"}),  # between the two renames
        ("shutil", "rmtree", 1, {"tiny", ".tiny.old"}),  # before the old one is removed
    ],
)
def test_a_killed_replacement_loses_no_model(tmp_path, owner, name, count, left):
    folder = tmp_path / "tiny"
    write(folder, "old")
    killed(folder, owner, name, count)
    assert left == {e.name for e in tmp_path.iterdir() if e.name in ("tiny", ".tiny.old")}
    with pytest.raises(UsageError, match="exists"):  # the next call puts things right, even if it is refused
        write(folder, "newer")
    assert contents(folder) == {"new" if left > {"tiny"} else "old"}
    assert not (tmp_path / ".tiny.old").exists()
    write(folder, "newer", replace=True)
    assert contents(folder) == {"newer"}


def test_a_replacement_that_fails_puts_the_old_model_back(tmp_path, monkeypatch):
    folder = tmp_path / "tiny"
    write(folder, "old")
    real, moved = Path.rename, []

    def rename(self, target):
        moved.append(target.name)
        if moved == [".tiny.old", "tiny"]:
            raise PermissionError(13, "Permission denied")
        return real(self, target)

    monkeypatch.setattr(model_files.Path, "rename", rename)
    with pytest.raises(UsageError, match="cannot be written: permission denied"):
        write(folder, "new", replace=True)
    assert contents(folder) == {"old"} and [e.name for e in tmp_path.iterdir()] == ["tiny"]


def test_a_strangers_folder_in_the_way_is_kept(tmp_path):
    folder, strange = tmp_path / "tiny", tmp_path / ".tiny.old"
    write(folder, "old")
    strange.mkdir()
    (strange / "thesis.docx").write_text("")
    with pytest.raises(UsageError, match="holds 1 entries that no model has"):
        write(folder, "new", replace=True)
    assert contents(folder) == {"old"} and (strange / "thesis.docx").exists()


def test_a_removed_model_leaves_nothing_not_even_what_it_had_replaced(tmp_path):
    folder = tmp_path / "tiny"
    write(folder, "old")
    killed(folder, "shutil", "rmtree", 1)
    remove_folder(folder)
    assert list(tmp_path.iterdir()) == []
