"""``models`` as a user calls it."""

import io
import json
import subprocess
import sys
import zipfile

import pytest
from builders.networks import register_tiny, save_tiny

from deid.cli.app import app
from deid.core import models
from deid.core.errors import UsageError
from deid.core.models import user_folder


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """An empty place of shipped models, and an empty user's folder."""
    register_tiny(monkeypatch)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("MAMI_DEID_MODELS", raising=False)
    monkeypatch.setattr(models, "__file__", str(tmp_path / "site-packages/deid/core/models.py"))
    (tmp_path / "site-packages/deid/core").mkdir(parents=True)
    return tmp_path / "site-packages/deid/_models"


@pytest.fixture
def run(shipped, capsysbinary):
    """Runs the command in this process: exit status and standard output."""

    def run(*arguments):
        status = app(["models", *map(str, arguments)], standalone_mode=False) or 0
        return status, capsysbinary.readouterr().out.decode()

    return run


def test_list_has_a_line_for_every_model(run, shipped, tmp_path):
    assert run("list") == (0, "name\tkind\tmodality\tsize\tlicence\tplace\tfolder\n")
    save_tiny(shipped)
    save_tiny(user_folder(), "mine")
    (shipped / "broken").mkdir()
    (shipped / "broken/model.json").write_text("{}")
    status, shown = run("list")
    assert status == 0 and [line.split("\t") for line in shown.splitlines()[1:]] == [
        ["broken", "?", "?", "0.0 MB", "?", "installed package", str(shipped / "broken")],
        ["mine", "classifier", "CR DX", "0.0 MB", "Apache-2.0", "user data", str(user_folder() / "mine")],
        ["tiny", "classifier", "CR DX", "0.0 MB", "Apache-2.0", "installed package", str(shipped / "tiny")],
    ]
    broken, mine, tiny = json.loads(run("list", "--json")[1])
    assert "schema" in broken["problem"] and broken["kind"] is None
    assert (tiny["kind"], tiny["modalities"], tiny["problem"]) == ("classifier", ["CR", "DX"], "")
    assert mine["bytes"] == sum(file.stat().st_size for file in (user_folder() / "mine").iterdir())
    save_tiny(tmp_path / "given")
    assert [e["place"] for e in json.loads(run("list", "--models", tmp_path / "given", "--json")[1])] == [
        "installed package",
        "user data",
        "the given folder",
    ]


def test_show_prints_record_and_card(run, shipped):
    folder, _ = save_tiny(shipped)
    (folder / "card.md").write_text("# tiny\n\x1b[2Jred\n")
    status, shown = run("show", "tiny")
    assert status == 0 and shown.startswith("tiny: classifier, architecture tiny\n")
    assert '{"width": 4}' in shown and "28 parameters as float32" in shown
    assert shown.endswith("# tiny\n\\x1b[2Jred\n\n")
    shown = json.loads(run("show", "tiny", "--json")[1])
    card = shown.pop("card")
    assert shown == json.loads((folder / "model.json").read_text()) and card.startswith("# tiny")
    with pytest.raises(UsageError, match="no model nosuch"):
        run("show", "nosuch")


def test_verify_names_what_is_not_sound(run, shipped):
    save_tiny(shipped)
    save_tiny(shipped, "renamed")
    assert run("verify") == (0, "renamed\tsound\ntiny\tsound\n")
    (shipped / "renamed").rename(shipped / "other")
    with (shipped / "tiny/weights.safetensors").open("ab") as stream:
        stream.write(b"\0")
    status, shown = run("verify")
    other, tiny = shown.splitlines()
    assert status == 1 and "rename the folder" in other and "SHA-256" in tiny
    assert run("verify", "tiny")[0] == 1
    save_tiny(shipped, "bare")
    (shipped / "bare/card.md").unlink()
    status, shown = run("verify", "bare")
    assert status == 1 and "card.md" in shown
    with pytest.raises(UsageError, match="no model nosuch"):
        run("verify", "nosuch")


def test_import_and_remove_of_a_folder(run, shipped, tmp_path):
    save_tiny(tmp_path / "sent")
    assert run("import", tmp_path / "sent/tiny") == (0, f"tiny\t{user_folder() / 'tiny'}\n")
    assert run("import", tmp_path / "sent/tiny", "--to", tmp_path / "place/second")[0] == 0
    assert run("verify", "--models", tmp_path / "place") == (0, "second\tsound\ntiny\tsound\n")
    with pytest.raises(UsageError, match="exists"):
        run("import", tmp_path / "sent/tiny")
    with pytest.raises(UsageError, match="--yes"):
        run("remove", "tiny")
    assert run("remove", "tiny", "--yes")[0] == 0 and list(user_folder().iterdir()) == []
    with pytest.raises(UsageError, match="no model tiny"):
        run("remove", "tiny", "--yes")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_remove_asks_at_a_terminal(run, shipped, monkeypatch):
    folder, _ = save_tiny(user_folder())
    for answer, remains in (("n\n", True), ("y\n", False)):
        monkeypatch.setattr(sys, "stdin", Terminal(answer))
        assert run("remove", "tiny")[0] == 0 and folder.exists() is remains


def test_shipped_models_are_not_removed(run, shipped):
    folder, _ = save_tiny(shipped)
    with pytest.raises(UsageError, match="only models in your own folder"):
        run("remove", "tiny", "--yes")
    for name in ("../tiny", str(folder)):
        with pytest.raises(UsageError, match="name"):
            run("remove", name, "--yes")
    save_tiny(user_folder())
    (user_folder() / "tiny/notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="by hand"):
        run("remove", "tiny", "--yes")
    assert (folder / "model.json").exists() and (user_folder() / "tiny/notes.txt").exists()


def test_a_damaged_model_is_not_imported_but_can_be_removed(run, tmp_path):
    folder, _ = save_tiny(tmp_path / "sent")
    (folder / "model.json").write_text("{")
    with pytest.raises(UsageError, match="not JSON"):
        run("import", folder)
    assert not user_folder().exists()
    mine, _ = save_tiny(user_folder())
    (mine / "model.json").write_text("{")
    assert run("remove", "tiny", "--yes")[0] == 0 and not mine.exists()


def packed(path, folder, rename=lambda name: name, **options):
    with zipfile.ZipFile(path, "w", **options) as archive:
        for file in sorted(folder.iterdir()):
            archive.writestr(rename(file.name), file.read_bytes())
    return path


@pytest.mark.parametrize("prefix", ["", "tiny/"])
def test_import_of_an_archive(run, tmp_path, prefix):
    folder, _ = save_tiny(tmp_path / "sent")
    archive = packed(
        tmp_path / "tiny.zip", folder, lambda name: prefix + name, compression=zipfile.ZIP_DEFLATED
    )
    assert run("import", archive)[0] == 0
    assert run("verify", "tiny") == (0, "tiny\tsound\n")


@pytest.mark.parametrize(
    ("rename", "said"),
    [
        (lambda name: f"../{name}", "paths that lead elsewhere"),
        (lambda name: f"/tmp/{name}", "paths that lead elsewhere"),
        (lambda name: f"a/../../{name}", "paths that lead elsewhere"),
        (lambda name: f"a/b/{name}", "paths that lead elsewhere"),
        (lambda name: f"a\\..\\{name}", "not of one model"),
        (lambda name: name if name != "card.md" else "../card.md", "not of one model"),
        (lambda name: name if name != "card.md" else "model.py", "not of one model"),
        (lambda name: "card.md", "not of one model"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_archives_that_lead_elsewhere_are_refused(run, tmp_path, rename, said):
    folder, _ = save_tiny(tmp_path / "sent")
    before = sorted(tmp_path.rglob("*"))
    archive = packed(tmp_path / "tiny.zip", folder, rename)
    with pytest.raises(UsageError, match=said):
        run("import", archive)
    assert sorted(tmp_path.rglob("*")) == sorted([*before, archive])


def test_archives_with_links_or_bombs_are_refused(run, tmp_path):
    folder, _ = save_tiny(tmp_path / "sent")
    link = zipfile.ZipInfo("card.md")
    link.external_attr = 0o120777 << 16
    bomb = tmp_path / "bomb.zip"
    for name, extra in (("link.zip", (link, "/etc/passwd")), ("bomb.zip", ("card.md", b" " * (2 << 20)))):
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(folder / "model.json", "model.json")
            archive.write(folder / "weights.safetensors", "weights.safetensors")
            archive.writestr(*extra)
    with pytest.raises(UsageError, match="links"):
        run("import", tmp_path / "link.zip")
    with pytest.raises(UsageError, match=r"card\.md has more than"):
        run("import", bomb)
    data = bomb.read_bytes()
    for broken in (b"", b"text", data[:-30], data[:40] + b"\xff" * 40 + data[80:]):
        bomb.write_bytes(broken)
        with pytest.raises(UsageError, match="damaged"):
            run("import", bomb)
    assert not user_folder().exists()


def test_what_is_not_there_or_no_model_is_refused(run, tmp_path):
    with pytest.raises(UsageError, match="nothing to import"):
        run("import", tmp_path / "nosuch")
    with pytest.raises(UsageError, match=r"model\.json"):
        run("import", tmp_path)


def test_list_and_show_do_not_import_torch(shipped):
    save_tiny(shipped)
    for arguments in (["list"], ["list", "--json"], ["show", "tiny"]):
        code = (
            f"import sys; sys.argv = ['mami-deid', 'models', *{arguments}, '--models', {str(shipped)!r}]\n"
            "from deid.cli.app import main\n"
            "try: main()\nexcept SystemExit as ended: assert not ended.code\n"
            "assert not {'torch', 'numpy', 'safetensors'} & set(sys.modules)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 0 and "tiny" in done.stdout, done.stderr


def test_a_terminal_gets_a_table(run, shipped, monkeypatch):
    save_tiny(shipped)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    _, shown = run("list")
    assert "tiny" in shown and "\t" not in shown
