"""The output belongs to one project and one way of making it; private things never lie in it."""

import pytest
from builders import Person, tree

from deid.core.shards import Shard
from deid.workflows.scrub.options import Encapsulated, OnRisk

PEOPLE = (Person("Li^Na", "12"),)
OTHER_WAYS = {
    "preset": {"preset": "basic"},
    "risk": {"on_risk": OnRisk.RELEASE},
    "encapsulated": {"encapsulated": Encapsulated.DROP},
    "times": {"keep_times": True},
}


@pytest.fixture
def source(tmp_path):
    tree(tmp_path / "in", PEOPLE, studies=1, slices=1)
    return tmp_path / "in"


def test_a_foreign_file_stops_the_run(tool, source):
    tool.direct(source)
    (tool.out / "notes.txt").write_text("mine")
    assert "did not write" in tool.refused(source)
    (tool.out / "notes.txt").unlink()
    assert tool.direct(source).unchanged


def test_files_of_another_key_stop_the_run(tool, source, tmp_path):
    tool.direct(source)
    assert "did not write" in tool.refused(source, state=tmp_path / "other")


@pytest.mark.parametrize("way", sorted(OTHER_WAYS))
def test_files_made_in_another_way_stop_the_run(tool, source, way):
    tool.direct(source)
    assert "another recipe" in tool.refused(source, **OTHER_WAYS[way])
    replaced = tool.direct(source, replace=True, **OTHER_WAYS[way])
    assert replaced.released == len(tool.outputs())
    assert "another recipe" in tool.refused(source)


def test_another_recipe_stops_the_run_and_the_same_one_does_not(tool, source, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("preset: research\noverrides:\n  - {attribute: StudyDescription, action: remove}\n")
    tool.direct(source, recipe=recipe)
    assert tool.direct(source, recipe=recipe).released == 0
    recipe.write_text("preset: research\noverrides:\n  - {attribute: StudyDescription, action: empty}\n")
    assert "another recipe" in tool.refused(source, recipe=recipe)


def test_replace_deletes_the_old_only_after_the_new_is_in_place(tool, source, tmp_path, monkeypatch):
    tool.direct(source)
    old = set(tool.tree())
    odd = tool.out / "sub" / b"fo\xffreign \n.txt".decode("utf-8", "surrogateescape")
    odd.parent.mkdir()
    odd.write_text("mine")
    from deid.workflows import scrub

    seen = []
    remove = scrub.remove_outputs
    monkeypatch.setattr(scrub, "remove_outputs", lambda *a: seen.append(set(tool.tree())) or remove(*a))
    summary = tool.direct(source, state=tmp_path / "other", replace=True)
    new = set(tool.tree())
    assert old <= seen[0] and new <= seen[0]
    assert not old & new and len(new) == summary.released
    assert not odd.exists() and not odd.parent.exists()
    assert summary.deleted == len(old) + 1
    assert tool.direct(source, state=tmp_path / "other").unchanged == len(new)


def test_replace_leaves_nothing_of_inputs_that_are_gone(tool, source):
    tool.direct(source)
    next(source.rglob("IM0001")).unlink()
    tool.direct(source, replace=True)
    assert len(tool.outputs()) == len([p for p in source.rglob("*") if p.is_file()])


def test_replace_needs_the_whole_tree(tool, source):
    assert "without --shard" in tool.refused(source, replace=True, shard=Shard(1, 2))


@pytest.mark.parametrize("relation", ["same", "out in in", "in in out", "link", "list", "file"])
def test_input_and_output_stay_apart(tool, source, tmp_path, relation):
    link = tmp_path / "link"
    link.symlink_to(source)
    tool_out = {
        "same": source,
        "out in in": source / "deep" / "out",
        "in in out": tmp_path,
        "link": link / "out",
        "list": source,
        "file": tmp_path,
    }[relation]
    one = next(source.rglob("IM0001"))
    options = {"listed": (one,)} if relation == "list" else {}
    given = None if relation == "list" else one if relation == "file" else source
    assert "lies inside" in tool.refused(given, out=tool_out, state=tmp_path / "s", **options)
    assert not (tmp_path / "s").exists() and not (source / "deep").exists()


def test_nothing_private_lies_in_the_output(tool, source, key):
    tool.direct(source)
    inside = tool.out / "x"
    assert "state folder" in tool.refused(source, state=inside)
    assert "--diff" in tool.refused(source, diff=inside)
    moved = tool.out / "key"
    moved.write_bytes(key.read_bytes())
    assert "key file" in tool.refused(source, key_file=moved)
    assert not inside.exists()


def test_a_diff_that_exists_is_refused_before_anything_is_read(tool, source, tmp_path):
    (tmp_path / "diff").write_text("old")
    assert "exists already" in tool.refused(source, diff=tmp_path / "diff")
    assert not tool.out.exists() and (tmp_path / "diff").read_text() == "old"


def test_output_that_is_a_file_is_refused(tool, source):
    tool.out.write_text("mine")
    assert "not a folder" in tool.refused(source)


def test_prune_and_replace_wait_for_other_runs(tool, source):
    import fcntl

    tool.direct(source)
    with (tool.state / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        assert "another run" in tool.refused(source, prune=True)
        assert tool.direct(source).unchanged
