import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deid.core import staging
from deid.core.errors import Held, UsageError
from deid.core.outputs import PARTIAL_PREFIX, list_outputs, remove_outputs
from deid.core.staging import FileRange, Staging


def everything(root: Path) -> list[str]:
    return sorted(os.path.relpath(path, root) for path in root.rglob("*"))


def test_files_appear_at_the_commit_and_nothing_else_stays(tmp_path: Path) -> None:
    out = tmp_path / "new/out"
    with Staging(out) as batch:
        assert batch.write("p/s/1.dcm", [b"ab", memoryview(b"cd")]) == 4
        assert batch.write("2.dcm", [b""]) == 0
        assert not (out / "p").exists()
        written = batch.commit()
        assert [(w.relative, w.size) for w in written] == [("p/s/1.dcm", 4), ("2.dcm", 0)]
        assert written[0].mtime_ns == (out / "p/s/1.dcm").stat().st_mtime_ns
        batch.write("p/s/1.dcm", [b"new"])
        batch.commit()
        batch.write("never", [b"x"])
        batch.write("taken back", [b"x"])
        batch.withdraw("taken back")
        assert sorted(list_outputs(out)) == ["2.dcm", "p/s/1.dcm"]
    assert everything(out) == ["2.dcm", "p", "p/s", "p/s/1.dcm"]
    assert (out / "p/s/1.dcm").read_bytes() == b"new"
    umask = os.umask(0)
    os.umask(umask)
    assert (out / "2.dcm").stat().st_mode & 0o777 == 0o666 & ~umask


def test_ranges_are_copied(tmp_path: Path) -> None:
    data = os.urandom(3_000_001)
    (tmp_path / "in").write_bytes(data)
    with (tmp_path / "in").open("rb") as source, Staging(tmp_path / "out") as batch:
        part = FileRange(source.fileno(), 7, 2_500_000)
        batch.write("a", [b"head", part, b"middle", FileRange(source.fileno(), 0, 0), part, b"tail"])
        with pytest.raises(Held, match="truncated"):
            batch.write("b", [FileRange(source.fileno(), 3_000_000, 2)])
        batch.commit()
    piece = data[7:2_500_007]
    assert (tmp_path / "out/a").read_bytes() == b"head" + piece + b"middle" + piece + b"tail"
    assert everything(tmp_path / "out") == ["a"]


def test_a_copy_that_reads_back_differently_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").write_bytes(bytes(200_000))
    read = os.pread
    with (tmp_path / "in").open("rb") as source, Staging(tmp_path / "out") as batch:

        def flipped(descriptor: int, length: int, offset: int) -> bytes:
            data = read(descriptor, length, offset)
            return data if descriptor == source.fileno() or offset < 100_000 else b"\1" + data[1:]

        monkeypatch.setattr(os, "pread", flipped)
        with pytest.raises(Held, match="verification: "):
            batch.write("a", [b"head", FileRange(source.fileno(), 0, 200_000)])
        assert batch.commit() == []
    assert everything(tmp_path / "out") == []


@pytest.mark.parametrize(
    "name", ["", "/etc/x", "../x", "a/../../x", "a//b", "./a", "a/", "a\0b", PARTIAL_PREFIX + "1/x"]
)
def test_names_that_leave_the_output_are_refused(tmp_path: Path, name: str) -> None:
    with Staging(tmp_path / "out") as batch, pytest.raises(Held, match="leaves"):
        batch.write(name, [b"x"])
    with pytest.raises(Held, match="leaves"):
        remove_outputs(tmp_path / "out", [name])


def test_links_in_the_output_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"mine")
    out = tmp_path / "out"
    out.mkdir()
    (out / "folder").symlink_to(outside)
    (out / "name").symlink_to(outside / "file")
    with Staging(out) as batch:
        batch.write("good", [b"x"])
        batch.write("folder/file", [b"evil"])
        with pytest.raises(Held, match="in the way"):
            batch.commit()
        batch.write("name", [b"new"])
        batch.commit()
    assert (outside / "file").read_bytes() == b"mine"
    assert (out / "name").read_bytes() == b"new" and not (out / "name").is_symlink()
    assert remove_outputs(out, ["folder/file", "name"]) == ["name"]
    assert (outside / "file").exists() and not (out / "good").exists()


def test_one_name_twice_in_a_batch_is_refused(tmp_path: Path) -> None:
    with Staging(tmp_path) as batch:
        batch.write("a", [b"1"])
        with pytest.raises(Held, match="two inputs"):
            batch.write("a", [b"2"])
        batch.commit()
    assert (tmp_path / "a").read_bytes() == b"1"


def test_a_source_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def chunks(error: BaseException) -> Iterator[bytes]:
        yield b"x" * 1_000_000
        raise error

    with Staging(tmp_path) as batch:
        for error in (Held("unreadable: truncated"), KeyboardInterrupt(), ValueError()):
            with pytest.raises(type(error)):
                batch.write("a", chunks(error))
        assert batch.commit() == []
    assert everything(tmp_path) == []


@pytest.mark.parametrize("call", ["write", "fsync", "mkdir", "rename"])
def test_a_full_disk_holds_the_batch_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "CANARY")

    with Staging(tmp_path) as batch:
        batch.write("kept", [b"k"])
        batch.commit()
        if call == "write":
            with open("/dev/full", "rb") as source, pytest.raises(Held, match="no space left"):
                monkeypatch.setattr(staging, "_copy_range", full)
                batch.write("p/a", [FileRange(source.fileno(), 0, 5)])
        else:
            batch.write("p/a", [b"x"])
            batch.write("b", [b"x"])
            monkeypatch.setattr(os, call, full)
            with pytest.raises(Held, match="no space left") as caught:
                batch.commit()
            assert "CANARY" not in str(caught.value)
        monkeypatch.undo()
        batch.write("later", [b"y"])
        batch.commit()
    assert sorted(list_outputs(tmp_path)) == ["kept", "later"]


def test_a_second_rename_that_fails_takes_the_first_back(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    with Staging(tmp_path) as batch:
        batch.write("a", [b"x"])
        batch.write("b", [b"x"])
        with pytest.raises(Held, match="in the way"):
            batch.commit()
    assert everything(tmp_path) == ["b"]


def test_a_real_full_file_system_is_a_clear_reason(tmp_path: Path) -> None:
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from deid.core.staging import *; from deid.core.errors import Held\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "with Staging(Path(sys.argv[1])) as batch:\n"
        "    batch.write('small', [b'x' * 90_000])\n"
        "    try: batch.write('big', [b'x' * 200_000])\n"
        "    except Held as held: print(held.reason)\n"
        "    batch.commit()\n"
    )
    out = tmp_path / "out"
    done = subprocess.run([sys.executable, "-c", code, out], capture_output=True, text=True, check=True)
    assert done.stdout == "cannot be written: file too large\n" and everything(out) == ["small"]


def test_what_a_killed_run_left_is_removed_and_a_living_one_is_spared(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from deid.core.staging import Staging\n"
        "batch = Staging(Path(sys.argv[1])); batch.write('p/x', [b'half'])\n"
        "print('ready', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        with Staging(tmp_path) as batch:
            batch.write("y", [b"y"])
            batch.commit()
        assert len(os.listdir(tmp_path)) == 2, "the hidden folder of the living run must stay"
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert list(list_outputs(tmp_path)) == ["y"]
    Staging(tmp_path).close()
    assert everything(tmp_path) == ["y"]


def test_folders_of_other_machines_are_removed_only_when_old(tmp_path: Path) -> None:
    other = tmp_path / f"{PARTIAL_PREFIX}00000000-1-aaaaaaaa"
    other.mkdir()
    (other / "00000001").write_bytes(b"x")
    (tmp_path / f"{PARTIAL_PREFIX}link").symlink_to(tmp_path.parent)
    assert staging.remove_leftovers(tmp_path) == 0 and other.exists()
    old = time.time() - 7200
    os.utime(other, (old, old))
    assert staging.remove_leftovers(tmp_path) == 1 and not other.exists()
    assert tmp_path.parent.exists()


def test_outputs_are_removed_with_their_empty_folders(tmp_path: Path) -> None:
    with Staging(tmp_path) as batch:
        for name in ("p/s/1", "p/s/2", "q/s/3"):
            batch.write(name, [b"x"])
        batch.commit()
    assert remove_outputs(tmp_path, ["p/s/1", "q/s/3", "gone/x"]) == ["p/s/1", "q/s/3", "gone/x"]
    assert everything(tmp_path) == ["p", "p/s", "p/s/2"]


def test_an_output_that_cannot_be_made_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "CANARY").write_bytes(b"")
    with pytest.raises(UsageError) as caught:
        Staging(tmp_path / "CANARY/out")
    assert "CANARY" not in str(caught.value)
