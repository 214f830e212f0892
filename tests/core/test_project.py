import stat
import subprocess
import sys
from pathlib import Path

import pytest

from deid.core.errors import UsageError
from deid.core.keys import new_key, write_key_file
from deid.core.outcomes import Outcome, Status
from deid.core.project import Project, ProjectOptions


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home/state"))
    for name in ("MAMI_DEID_KEY", "MAMI_DEID_PASSPHRASE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


def key_of(options: ProjectOptions, **given: object) -> str:
    with Project.open(options, environment=given) as project:  # type: ignore[arg-type]
        return project.key.fingerprint


def test_another_output_is_another_key_and_the_same_output_the_same(tmp_path: Path) -> None:
    a, b = ProjectOptions(tmp_path / "a"), ProjectOptions(tmp_path / "b")
    assert key_of(a) == key_of(a) != key_of(b)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    (tmp_path / "a").mkdir()
    assert key_of(ProjectOptions(tmp_path / "link")) == key_of(a)
    assert not (tmp_path / "b").exists(), "opening a project makes nothing in the output"


def test_a_named_project_joins_outputs_with_a_journal_for_each(tmp_path: Path) -> None:
    a, b = (ProjectOptions(tmp_path / name, name="trial-1") for name in "ab")
    assert key_of(a) == key_of(b) != key_of(ProjectOptions(tmp_path / "a", name="trial-2"))
    ref = b""
    for options, path in ((a, "in/1"), (b, "in/2")):
        with Project.open(options) as project, project.journal() as journal:
            ref = project.pseudonyms().path_digest(path)
            journal.add_paths([(ref, path)])
            journal.outcomes.record([Outcome(ref, b"k", b"c", Status.RELEASED, outputs=(path,))])
            assert list(journal.outcomes.known_outputs()) == [path]
    with Project.open(ProjectOptions(None, name="trial-1"), create=False) as project:
        assert project.resolve(project.pseudonyms().reference("in/1")) == ["in/1"]
        with pytest.raises(UsageError, match="no output"):
            project.journal()


def test_the_state_folder_is_private(tmp_path: Path, home: Path) -> None:
    with Project.open(ProjectOptions(tmp_path / "out")) as project:
        assert project.state.parent == home / "state/mami-deid"
        assert stat.S_IMODE(project.state.stat().st_mode) == 0o700
        assert {stat.S_IMODE(p.stat().st_mode) for p in project.state.iterdir()} == {0o600}
    loose = tmp_path / "loose"
    loose.mkdir(mode=0o755)
    loose.chmod(0o755)
    with pytest.raises(UsageError, match="chmod 700"):
        Project.open(ProjectOptions(tmp_path / "out", state=loose))


@pytest.mark.parametrize("state", ["out", "out/state", "link/state"])
def test_a_state_folder_inside_the_output_is_refused(tmp_path: Path, state: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "out")
    with pytest.raises(UsageError, match="inside the output"):
        Project.open(ProjectOptions(tmp_path / "out", state=tmp_path / state))
    assert list((tmp_path / "out").iterdir()) == []


def test_an_output_inside_the_state_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="inside the state"):
        Project.open(ProjectOptions(tmp_path / "state/out", state=tmp_path / "state"))


def test_a_key_file_inside_the_output_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    write_key_file(tmp_path / "out/key", new_key())
    (tmp_path / "link").symlink_to(tmp_path / "out/key")
    for name in ("out/key", "link"):
        with pytest.raises(UsageError, match="key file lies inside"):
            Project.open(ProjectOptions(tmp_path / "out", key_file=tmp_path / name))


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", ".hidden", "a" * 65, "a b", "é"])
def test_names_that_are_not_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="name"):
        Project.open(ProjectOptions(tmp_path / "out", name=name))


def test_nothing_or_too_much_given(tmp_path: Path) -> None:
    for options in (ProjectOptions(None), ProjectOptions(None, name="a", state=tmp_path / "s")):
        with pytest.raises(UsageError, match="give one"):
            Project.open(options)
    with pytest.raises(UsageError, match="no such project"):
        Project.open(ProjectOptions(tmp_path / "never"), create=False)


def test_a_lost_key_is_not_replaced_by_a_new_one(tmp_path: Path) -> None:
    options = ProjectOptions(tmp_path / "out")
    with Project.open(options) as project:
        project.journal().close()
        secret = project.key
    (project.state / "key").unlink()
    with pytest.raises(UsageError, match="missing"):
        Project.open(options)
    write_key_file(tmp_path / "copy", secret)
    with Project.open(ProjectOptions(tmp_path / "out", key_file=tmp_path / "copy")) as project:
        project.journal().close()
    with pytest.raises(UsageError, match="not the one"):
        Project.open(options, environment={"MAMI_DEID_KEY": "ab" * 32})


def test_shards_share_a_project_and_replace_wants_it_alone(tmp_path: Path) -> None:
    options = ProjectOptions(tmp_path / "out")
    with Project.open(options):
        with Project.open(options):
            pass
        with pytest.raises(UsageError, match="another run"):
            Project.open(options, exclusive=True)
    with Project.open(options, exclusive=True), pytest.raises(UsageError, match="another run"):
        Project.open(options)
    Project.open(options, exclusive=True).close()


def test_two_first_runs_at_a_time_agree_on_the_key(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from deid.core.project import *\n"
        "with Project.open(ProjectOptions(Path(sys.argv[1]))) as p: p.journal().close(); print(p.key)\n"
    )
    runs = [
        subprocess.Popen([sys.executable, "-c", code, tmp_path / "out"], stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    assert len({run.communicate()[0] for run in runs}) == 1
    assert all(run.returncode == 0 for run in runs)
