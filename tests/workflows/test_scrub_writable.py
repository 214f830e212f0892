"""What cannot be written is said before anything is read, and nothing is changed."""

import errno
import os
import resource
import tempfile

import pytest
from builders import build, write

from deid.workflows.scrub import inputs


@pytest.fixture
def source(tmp_path, monkeypatch):
    """One file, which may not be looked at."""
    write(build("cr", patient="MRN-1").dataset, tmp_path / "in" / "x.dcm")

    def find(self):
        raise AssertionError("the input was read")

    monkeypatch.setattr(inputs.Inputs, "find", find)
    return tmp_path / "in"


@pytest.mark.parametrize("what", ["output", "state"])
def test_a_full_disk_is_seen_before_the_index_pass(tool, source, tmp_path, monkeypatch, what):
    place = tmp_path / "small"
    place.mkdir()

    def full(dir):
        if os.path.samefile(dir, place):
            raise OSError(errno.ENOSPC, "CANARY")
        return open(os.devnull, "wb")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    given = {"out": place / "a" / "b"} if what == "output" else {"state": place / "s"}
    message = tool.refused(source, **given)
    assert f"the {what} folder cannot be written: no space left on device" in message
    assert not list(place.iterdir()) and not tool.state.exists()


def test_a_limit_of_the_kernel_is_seen(tool, source):
    """A file size limit makes the kernel refuse to write, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 12, hard))
    try:
        message = tool.refused(source)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "the output folder cannot be written: file too large" in message
    assert not tool.out.exists() and not tool.state.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_rights_is_seen(tool, source, tmp_path):
    (tmp_path / "closed").mkdir(0o500)
    assert "the output folder cannot be written: permission denied" in tool.refused(
        source, out=tmp_path / "closed" / "out"
    )


def test_a_file_where_a_folder_should_be_is_seen(tool, source, tmp_path):
    (tmp_path / "file").write_text("mine")
    message = tool.refused(source, out=tmp_path / "file" / "out")
    assert "the output folder cannot be written: not a directory" in message
    message = tool.refused(source, state=tmp_path / "file" / "state")
    assert "the state folder cannot be written: not a directory" in message


def test_a_dry_run_needs_no_output_that_can_be_written(tool, tmp_path):
    write(build("cr", patient="MRN-1").dataset, tmp_path / "in" / "x.dcm")
    (tmp_path / "file").write_text("mine")
    assert tool.direct(tmp_path / "in", out=tmp_path / "file" / "out", dry_run=True).released == 1
