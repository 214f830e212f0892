"""One result whatever the processes, shards, order and accidents; later runs do what is new and no more."""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys

import pytest
from builders import Person, bids_tree, build, series, to_bytes, tree, write
from workflows.command import kill_group, wait_until

from deid.core.errors import UsageError
from deid.core.shards import Shard
from deid.workflows.scrub import indexing, scrub
from deid.workflows.scrub.options import OnRisk, ScrubOptions

PEOPLE = (Person("Li^Na", "12"), Person("Kowalska^Ewa", "0099887", "19310505"))
HEAVY = (*PEOPLE, *(Person(f"Family{n}^Given{n}", f"ID{n:06d}") for n in range(8)))


@pytest.fixture
def source(tmp_path):
    tree(tmp_path / "in", PEOPLE, studies=1, slices=2)
    return tmp_path / "in"


def mixed(root):
    """DICOM with a copy that shares its UIDs, and BIDS."""
    tree(root / "dicom", PEOPLE, studies=1, slices=2)
    shutil.copy(root / "dicom" / "12" / "study1" / "IM0001", root / "dicom" / "copy.dcm")
    bids_tree(root / "bids")


def test_jobs_and_shards_and_order_of_the_input_do_not_change_a_byte(tool, tmp_path, key):
    source = tmp_path / "in"
    mixed(source)
    options = {"key_file": key, "on_risk": OnRisk.RELEASE}
    summary = tool.direct(source, **options)
    expected = tool.tree()
    assert summary.released > 20 and not summary.held and summary.shared_uids == 2

    tool.direct(source, out=tmp_path / "two", state=tmp_path / "s2", jobs=2, **options)
    assert tool.tree(tmp_path / "two") == expected

    for number in (2, 1):
        shard = Shard(number, 2)
        tool.direct(source, out=tmp_path / "one", state=tmp_path / "s3", shard=shard, **options)
        tool.direct(
            source, out=tmp_path / f"p{number}", state=tmp_path / f"p{number}s", shard=shard, **options
        )
    assert tool.tree(tmp_path / "one") == expected
    first, second = tool.tree(tmp_path / "p1"), tool.tree(tmp_path / "p2")
    assert first.keys().isdisjoint(second) and first | second == expected


def test_a_list_in_any_order_makes_what_the_folder_makes(tool, source, tmp_path, key):
    tool.direct(source, key_file=key)
    files = [path for path in source.rglob("*") if path.is_file()]
    random.Random(1).shuffle(files)
    tool.direct(None, listed=tuple(files), key_file=key, out=tmp_path / "b", state=tmp_path / "sb")
    assert tool.tree(tmp_path / "b") == tool.tree()


def test_renamed_and_regrouped_files_give_the_same_outputs(tool, source, tmp_path, key):
    tool.direct(source, key_file=key)
    other = tmp_path / "flat"
    other.mkdir()
    for number, path in enumerate(sorted(source.rglob("IM*"), reverse=True)):
        shutil.copy(path, other / f"{number:03d}.bin")
    tool.direct(other, key_file=key, out=tmp_path / "b", state=tmp_path / "sb")
    assert tool.tree(tmp_path / "b") == tool.tree()


def test_two_shards_at_the_same_time(tool, source, tmp_path, key):
    runs = [tool.start(source, "--key-file", key, "--shard", f"{n}/2") for n in (1, 2)]
    for run in runs:
        _, errors = run.communicate()
        assert run.returncode == 0, errors
    tool.direct(source, key_file=key, out=tmp_path / "b", state=tmp_path / "sb")
    assert tool.tree() == tool.tree(tmp_path / "b") and not tool.hidden()


def test_shards_at_the_same_time_share_the_default_state_and_its_new_key(tool, source, tmp_path):
    tool.environment |= {"XDG_STATE_HOME": str(tmp_path / "home"), "HOME": str(tmp_path / "home")}
    command = [sys.executable, "-m", "deid", "scrub", str(source), str(tool.out), "--jobs", "1", "--shard"]
    runs = [
        subprocess.Popen([*command, f"{n}/3"], env=tool.environment, stderr=subprocess.PIPE)
        for n in (1, 2, 3)
    ]
    for run in runs:
        _, errors = run.communicate()
        assert run.returncode == 0, errors
    assert len(list((tmp_path / "home").rglob("journal-*.sqlite"))) == 1
    assert len(tool.outputs()) == sum(path.is_file() for path in source.rglob("*")) and not tool.hidden()


def test_shards_with_different_states_are_told_so(tool, source, tmp_path):
    sizes = [tool.direct(source, shard=Shard(n, 2), dry_run=True).released for n in (1, 2)]
    first = sizes.index(max(sizes)) + 1
    tool.direct(source, shard=Shard(first, 2))
    message = tool.refused(source, shard=Shard(3 - first, 2), state=tmp_path / "other")
    assert "shards of one output need one state folder" in message


def test_a_shard_sees_that_another_project_wrote_meanwhile(tool, source):
    def other(phase, done, total):
        if phase == "index":
            tool.out.mkdir(exist_ok=True)
            (tool.out / "stranger.dcm").write_bytes(b"x")

    options = ScrubOptions(source=source, out=tool.out, state=tool.state, shard=Shard(1, 2))
    with pytest.raises(UsageError, match="another project wrote 1 file"):
        scrub(options, other)


def test_a_second_run_skips_everything(tool, source):
    first = tool.direct(source)
    times = {path: path.stat().st_mtime_ns for path in tool.outputs()}
    second = tool.direct(source)
    assert (second.released, second.unchanged) == (0, first.released)
    assert {path: path.stat().st_mtime_ns for path in tool.outputs()} == times


def test_a_changed_input_is_done_again_alone(tool, source):
    first = tool.direct(source)
    path = next(source.rglob("IM0001"))
    path.write_bytes(path.read_bytes().replace(b"Axial", b"Coron"))
    again = tool.direct(source)
    assert (again.released, again.unchanged) == (1, first.released - 1)
    assert any(b"Coron" in data for data in tool.tree().values())


def test_a_deleted_or_changed_output_is_made_again(tool, source):
    tool.direct(source)
    before = tool.tree()
    first, second = tool.outputs()[:2]
    first.unlink()
    second.write_bytes(b"damaged")
    assert tool.direct(source).released == 2
    assert tool.tree() == before


def test_a_new_identifier_redoes_the_other_files_of_the_patient(tool, tmp_path):
    person = Person("Testperson^Anna", "PAT-4711")
    datasets = series(person, 1, 1, slices=3)
    for dataset in datasets:
        dataset.StudyDescription = "Chest kontrast quermmel"
    source = tmp_path / "in"
    for number, dataset in enumerate(datasets[:2]):
        write(dataset, source / f"{number}.dcm")
    other = series(Person("Other^One", "X-99-1"), 1, 1, slices=1)
    write(other[0], source / "other.dcm")
    tool.direct(source)
    assert any(b"quermmel" in data for data in tool.tree().values())
    datasets[2].PerformingPhysicianName = "Quermmel^Jo"
    write(datasets[2], source / "2.dcm")
    again = tool.direct(source)
    assert (again.released, again.unchanged) == (3, 1)
    assert not any(b"quermmel" in data for data in tool.tree().values())


def test_a_removed_input_is_reported_and_pruned_on_request(tool, source):
    tool.direct(source)
    before = tool.tree()
    next(source.rglob("IM0001")).unlink()
    kept = tool.direct(source)
    assert (kept.gone, kept.deleted) == (1, 0) and tool.tree() == before
    pruned = tool.direct(source, prune=True)
    assert (pruned.gone, pruned.deleted) == (0, 1)
    assert len(tool.tree()) == len(before) - 1
    assert tool.direct(source).gone == 0


def test_prune_takes_no_unmounted_disk_for_withdrawn_consent(tool, source):
    tool.direct(source)
    shutil.rmtree(source)
    source.mkdir()
    assert "--prune deletes nothing" in tool.refused(source, prune=True)
    assert tool.outputs()


def test_a_part_of_the_input_is_not_the_end_of_the_rest(tool, source):
    first = tool.direct(source)
    part = next(path for path in source.iterdir() if path.is_dir())
    again = tool.direct(part, prune=True)
    assert again.released == again.deleted == again.gone == 0
    assert 0 < again.unchanged < first.released
    one = next(source.rglob("IM0001"))
    assert tool.direct(one, prune=True).unchanged == 1
    assert tool.direct(None, listed=(one,), prune=True).unchanged == 1
    assert len(tool.outputs()) == first.released


def test_a_second_folder_adds_to_an_output(tool, tmp_path):
    for site, person in (("a", PEOPLE[0]), ("b", PEOPLE[1])):
        tree(tmp_path / site, (person,), studies=1, slices=1)
        for path in (tmp_path / site / person.id).rglob("IM*"):
            path.rename(tmp_path / site / path.name)  # equal names in both folders
    first = tool.direct(tmp_path / "a")
    second = tool.direct(tmp_path / "b")
    assert (second.released, second.deleted, second.gone) == (first.released, 0, 0)
    assert len(tool.outputs()) == 2 * first.released
    assert tool.direct(tmp_path / "a").unchanged == first.released


def test_identifiers_of_another_folder_count_for_a_patient(tool, tmp_path):
    first, second = series(Person("Testperson^Anna", "PAT-4711"), 1, 1, slices=2)
    first.StudyDescription = "Chest kontrast quermmel"
    write(first, tmp_path / "a" / "0.dcm")
    second.PerformingPhysicianName = "Quermmel^Jo"
    write(second, tmp_path / "b" / "0.dcm")
    tool.direct(tmp_path / "a")
    assert tool.direct(tmp_path / "b").released == 2
    assert not any(b"quermmel" in data for data in tool.tree().values())


def test_a_tree_that_moved_keeps_its_names(tool, source, tmp_path):
    first = tool.direct(source)
    source.rename(tmp_path / "moved")
    again = tool.direct(tmp_path / "moved")
    assert again.gone == 0 and again.released + again.unchanged == first.released
    assert len(tool.outputs()) == first.released


def test_a_run_killed_while_it_wrote_is_finished_by_the_next(tool, tmp_path, key):
    source = tmp_path / "in"
    tree(source, HEAVY, studies=1, slices=6)
    tool.direct(source, key_file=key, out=tmp_path / "b", state=tmp_path / "sb")
    run = tool.start(source, "--key-file", key, "--jobs", 2)
    wait_until(lambda: tool.outputs() or run.poll() is not None)
    kill_group(run)
    run.communicate()
    assert run.returncode == -signal.SIGKILL
    done = tool.direct(source, key_file=key)
    assert done.released > 0
    assert tool.tree() == tool.tree(tmp_path / "b") and not tool.hidden()


def test_children_of_a_killed_run_end_with_it(tool, tmp_path, key):
    source = tmp_path / "in"
    tree(source, HEAVY, studies=1, slices=6)
    run = tool.start(source, "--key-file", key, "--jobs", 2)
    wait_until(lambda: tool.hidden())
    os.kill(run.pid, signal.SIGKILL)  # the command alone: its children are not told
    run.communicate()  # returns when the last child has closed the streams
    tool.direct(source, key_file=key)
    assert not tool.hidden()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_signal_ends_a_run_cleanly(tool, tmp_path, number, status, jobs):
    source = tmp_path / "in"
    tree(source, HEAVY, studies=1, slices=6)
    run = tool.start(source, "--jobs", jobs)
    wait_until(lambda: tool.hidden() or run.poll() is not None)
    kill_group(run, number)  # as a terminal or a batch system does: every process gets it
    output, errors = run.communicate()
    assert run.returncode == status, errors
    assert b"Traceback" not in errors and b"run the same command again" in errors and output == b""
    assert not tool.hidden()
    for path in tool.outputs():
        assert path.read_bytes()[128:132] == b"DICM"


def test_a_run_killed_while_it_read_with_another_patient_map_is_not_trusted(
    tool, source, tmp_path, monkeypatch
):
    tool.direct(source)
    table = tmp_path / "map.csv"
    table.write_text("12,Joined\n0099887,Joined\n")

    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(indexing, "_index_one", die)
        with pytest.raises(KeyboardInterrupt):
            tool.direct(source, patient_map=table)
    assert tool.direct(source, patient_map=table).patients == 1


def test_journal_survives_in_one_piece(tool, source):
    tool.direct(source)
    (journal,) = tool.state.glob("journal-*.sqlite")
    assert sqlite3.connect(journal).execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert journal.stat().st_mode & 0o077 == 0


def test_what_was_held_for_a_passing_reason_is_tried_again(tool, tmp_path, monkeypatch):
    source = tmp_path / "in"
    source.mkdir()
    (source / "a.dcm").write_bytes(to_bytes(build("cr").dataset))

    def fail(_):
        raise OSError(5, "x")

    with monkeypatch.context() as patch:
        patch.setattr(indexing, "index_input", fail)
        assert dict(tool.direct(source).held) == {"unreadable: input/output error": 1}
    assert tool.direct(source).released == 1
