import io
import os
import socket
from pathlib import Path

import pytest

from deid.core import files
from deid.core.errors import UsageError
from deid.core.files import InputFile, SkippedInput, check_roots, discover, discover_listed


def tree(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return root


def names(root: Path) -> list[str]:
    return [item.relative for item in discover(root) if isinstance(item, InputFile)]


def skipped(root: Path) -> dict[str, str]:
    return {item.relative: item.reason for item in discover(root) if isinstance(item, SkippedInput)}


def test_the_tree_is_walked_in_a_fixed_order_at_any_depth(tmp_path: Path) -> None:
    deep = "/".join(["d"] * 200) + "/z"
    tree(tmp_path, "b", "a/2", "a/1", "c.dcm", ".hidden/x", deep)
    assert names(tmp_path) == [".hidden/x", "a/1", "a/2", "b", "c.dcm", deep]
    first = next(iter(discover(tmp_path)))
    assert isinstance(first, InputFile)
    status = (tmp_path / ".hidden/x").stat()
    assert (first.size, first.mtime_ns, first.ctime_ns) == (9, status.st_mtime_ns, status.st_ctime_ns)
    assert first.path.read_bytes() == b".hidden/x"


def test_one_file_is_an_input(tmp_path: Path) -> None:
    tree(tmp_path, "a/x.dcm")
    assert names(tmp_path / "a/x.dcm") == ["x.dcm"]


def test_names_that_are_not_text_survive(tmp_path: Path) -> None:
    raw = os.path.join(os.fsencode(tmp_path), b"caf\xe9\n\x01")
    Path(os.fsdecode(raw)).write_bytes(b"x")
    (found,) = discover(tmp_path)
    assert os.fsencode(found.relative) == b"caf\xe9\n\x01" and os.fsencode(found.path) == raw


def test_links_and_special_files_are_skipped_with_a_reason(tmp_path: Path) -> None:
    root = tree(tmp_path / "in", "real/a")
    tree(tmp_path / "other", "secret")
    (root / "file").symlink_to(root / "real/a")
    (root / "folder").symlink_to(root / "real")
    (root / "loop").symlink_to(root)
    (root / "self").symlink_to(root / "self")
    (root / "out").symlink_to(tmp_path / "other/secret")
    (root / "outfolder").symlink_to(tmp_path / "other")
    (root / "broken").symlink_to(root / "missing")
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.fspath(root / "socket"))
        assert skipped(root) == {
            "file": files.SYMBOLIC_LINK,
            "folder": files.SYMBOLIC_LINK,
            "loop": files.SYMBOLIC_LINK,
            "self": files.BROKEN_LINK,
            "out": files.LINK_OUT_OF_TREE,
            "outfolder": files.LINK_OUT_OF_TREE,
            "broken": files.BROKEN_LINK,
            "pipe": files.SPECIAL_FILE,
            "socket": files.SPECIAL_FILE,
        }
    assert names(root) == ["real/a"]


def test_git_annex_content_is_read_under_the_name_of_its_link(tmp_path: Path) -> None:
    tree(tmp_path, ".git/annex/objects/K1/K1", ".git/config", "sub-1/other")
    (tmp_path / "sub-1/x.nii").symlink_to("../.git/annex/objects/K1/K1")
    (tmp_path / "sub-1/config").symlink_to("../.git/config")
    assert names(tmp_path) == ["sub-1/other", "sub-1/x.nii"]
    assert skipped(tmp_path) == {".git": files.VERSION_CONTROL, "sub-1/config": files.SYMBOLIC_LINK}
    annexed = [item for item in discover(tmp_path) if item.relative == "sub-1/x.nii"]
    assert isinstance(annexed[0], InputFile)
    assert annexed[0].path == tmp_path / ".git/annex/objects/K1/K1"


def test_an_unreadable_folder_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, "a/x", "b/y")
    real = os.scandir

    def scandir(folder: str) -> object:
        if folder.endswith("/a"):
            raise PermissionError(13, "no", folder)
        return real(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    assert skipped(tmp_path) == {"a": files.UNREADABLE_FOLDER} and names(tmp_path) == ["b/y"]


@pytest.mark.parametrize(
    ("source", "out"),
    [
        ("in", "in"),
        ("in", "in/out"),
        ("in/a", "in"),
        ("in", "in/a/b/c"),
        ("link", "in/out"),
        ("in/a/x", "in"),
    ],
)
def test_overlapping_roots_are_refused(tmp_path: Path, source: str, out: str) -> None:
    tree(tmp_path / "in", "a/x")
    (tmp_path / "link").symlink_to(tmp_path / "in")
    with pytest.raises(UsageError):
        check_roots([tmp_path / source], tmp_path / out)


def test_a_link_as_output_does_not_hide_the_overlap(tmp_path: Path) -> None:
    tree(tmp_path / "in", "a/x")
    (tmp_path / "out").symlink_to(tmp_path / "in/a")
    with pytest.raises(UsageError):
        check_roots([tmp_path / "in"], tmp_path / "out")
    with pytest.raises(UsageError):
        check_roots([tmp_path / "in"], tmp_path / "out" / "new")


def test_one_folder_under_two_names_is_found_by_identity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path / "in", "x")
    tree(tmp_path / "IN", "y")
    real = files._identity
    same = {(tmp_path / "IN").resolve(): (tmp_path / "in").resolve()}
    monkeypatch.setattr(files, "_identity", lambda path: real(same.get(path, path)))
    with pytest.raises(UsageError):
        check_roots([tmp_path / "in"], tmp_path / "IN" / "out")


def test_good_roots_pass_and_bad_ones_say_what_to_do(tmp_path: Path) -> None:
    tree(tmp_path / "in", "x")
    tree(tmp_path, "file")
    check_roots([tmp_path / "in"], tmp_path / "in2")
    check_roots([tmp_path / "in", tmp_path / "file"], tmp_path / "new/out")
    for inputs, out in (([], "out"), (["missing"], "out"), (["in"], "file")):
        with pytest.raises(UsageError):
            check_roots([tmp_path / name for name in inputs], tmp_path / out)


@pytest.mark.parametrize(
    ("data", "nul", "expected"),
    [
        (b"a\nb c\r\n\n\nd", False, [b"a", b"b c", b"d"]),
        (b"a\0b\nc\0\0d\xe9", True, [b"a", b"b\nc", b"d\xe9"]),
        (b"", False, []),
        (b"x" * 100_000 + b"\ny\n", False, [b"x" * 100_000, b"y"]),
    ],
)
def test_file_lists(data: bytes, nul: bool, expected: list[bytes]) -> None:
    assert [os.fsencode(path) for path in files.read_file_list(io.BytesIO(data), nul)] == expected


def test_listed_files_come_once_with_names_that_do_not_depend_on_the_list(tmp_path: Path) -> None:
    tree(tmp_path, "a/x", "a/y", "b")
    (tmp_path / "link").symlink_to(tmp_path / "b")
    root = os.fspath(tmp_path).lstrip("/")
    found = list(discover_listed(tmp_path / name for name in ("b", "a", "a/x", "gone", "link", "a/../b")))
    assert [item.relative for item in found] == [f"{root}/{n}" for n in ("b", "a/x", "a/y", "gone", "link")]
    reasons = [item.reason for item in found if isinstance(item, SkippedInput)]
    assert reasons == [files.NOT_FOUND, files.SYMBOLIC_LINK]


def test_a_loop_of_links_as_output_is_a_usage_error(tmp_path: Path) -> None:
    tree(tmp_path / "in", "x")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for source, out in (("in", "loop"), ("loop", "out")):
        with pytest.raises(UsageError):
            check_roots([tmp_path / source], tmp_path / out)
