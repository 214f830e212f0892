"""``review`` as a user calls it."""

import os

import pytest
from builders.reviews import review_entry, review_pictures

from deid.core.project import Project, ProjectOptions
from deid.core.review_store import ReviewStore


@pytest.fixture
def reviewed(tool):
    """The tool with a project that has two images to show."""
    tool.out.mkdir()
    Project.open(ProjectOptions(tool.out, state=tool.state), environment={}).close()
    store = ReviewStore(tool.state / "review")
    for number in range(2):
        store.write(review_entry(number), review_pictures())
    return tool


def test_review_writes_the_page_and_prints_its_path(reviewed, tmp_path):
    place = ("--out", reviewed.out, "--state", reviewed.state)
    done = reviewed.run("review", *place, status=0)
    assert done.stdout == os.fsencode(reviewed.state / "review.html") + b"\n"
    assert b"2 images" in done.stderr and b"keep it private" in done.stderr
    done = reviewed.run("review", *place, "--report", tmp_path / "s.html", "--limit", 1, status=0)
    assert done.stdout == os.fsencode(tmp_path / "s.html") + b"\n" and b"1 more images" in done.stderr


def test_review_ends_with_2_where_it_cannot_be_done(reviewed, tmp_path):
    place = ("--out", reviewed.out, "--state", reviewed.state)
    inside = reviewed.run("review", *place, "--report", reviewed.out / "review.html", status=2)
    assert b"inside the output" in inside.stderr and not list(reviewed.out.iterdir())
    assert b"no such project" in reviewed.run("review", "--state", tmp_path / "no", status=2).stderr
    assert b"--project or --state" in reviewed.run("review", status=2).stderr
    assert reviewed.run("review", *place, "--limit", 0, status=2).stdout == b""


def test_nothing_to_show_ends_with_2(tool):
    tool.out.mkdir()
    Project.open(ProjectOptions(tool.out, state=tool.state), environment={}).close()
    done = tool.run("review", "--state", tool.state, status=2)
    assert b"no image of this project" in done.stderr and done.stdout == b""
