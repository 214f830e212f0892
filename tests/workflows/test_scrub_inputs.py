"""What may be given as input, and what is found in it."""

import os
import shutil
import stat

import pytest
from builders import KINDS, SYNTAXES, bids_tree, build, compressible, dicomdir, nifti_bytes, to_bytes, write

from deid.core.errors import UsageError
from deid.workflows.scrub.options import OnRisk

RELEASE = {"on_risk": OnRisk.RELEASE}
ODD_NAMES = [
    b"new\nline",
    b"undecodable\xff\xfe",
    "ünïcødé 名".encode(),
    b"-leading-dash",
    b"long" + b"g" * 240,
    b"tab\tand 'quotes\"",
    b" spaces ",
    b"..dots..",
    b"patient.txt",
]


def cr(number=1, patient="12"):
    return to_bytes(build("cr", number=number, patient=patient).dataset)


@pytest.fixture
def source(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def odd_files(root):
    for number, name in enumerate(ODD_NAMES):
        path = root / os.fsdecode(name)
        path.write_bytes(cr(number))
        yield path


def test_missing_input(tool, tmp_path):
    assert "does not exist" in tool.refused(tmp_path / "nowhere")
    assert "no input" in tool.refused(None, listed=())
    assert not tool.state.exists()


def test_empty_input_releases_nothing_and_makes_no_output(tool, source):
    summary = tool.direct(source)
    assert summary.exit_status(None) == 3 and not tool.out.exists()


def test_a_single_file(tool, source):
    (source / "x").write_bytes(cr())
    (source / "y").write_bytes(cr(2))
    assert tool.direct(source / "x").released == 1
    assert tool.direct(source / "y").released == 1
    assert len(tool.outputs()) == 2


def test_a_link_given_as_input_is_followed(tool, source, tmp_path):
    (source / "x").write_bytes(cr())
    (tmp_path / "folder").symlink_to(source)
    (tmp_path / "file").symlink_to(source / "x")
    assert tool.direct(tmp_path / "folder").released == 1
    assert tool.direct(tmp_path / "file").unchanged == 1
    assert tool.direct(source).unchanged == 1


@pytest.mark.parametrize("nul", [False, True])
def test_a_list_on_standard_input_or_in_a_file(tool, source, tmp_path, nul):
    paths = [os.fsencode(path) for path in odd_files(source)]
    if not nul:
        paths = [path for path in paths if b"\n" not in path]
    end = b"\0" if nul else b"\n"
    data = end.join([*paths, paths[0]]) + (b"" if nul else b"\r\n")
    options = ["-0"] if nul else []
    first = tool.scrub(None, "--files-from", "-", *options, stdin=data)
    assert first["released"] == len(paths)
    (tmp_path / "list").write_bytes(data)
    second = tool.scrub(None, "--files-from", tmp_path / "list", *options)
    assert (second["released"], second["unchanged"]) == (0, len(paths))


def test_files_from_takes_one_path_and_a_list_that_exists(tool, source, tmp_path):
    assert b"one path" in tool.run("scrub", source, tool.out, "--files-from", "-", status=2).stderr
    assert b"cannot be read" in tool.run("scrub", tool.out, "--files-from", "nolist", status=2).stderr
    assert b"two paths" in tool.run("scrub", source, status=2).stderr


def test_a_listed_file_that_is_missing_is_held_and_stops_nothing(tool, source):
    (source / "x").write_bytes(cr())
    summary = tool.direct(None, listed=(source / "gone", source / "x", source / "no" / "folder"))
    assert summary.released == 1 and dict(summary.held) == {"not found": 2}


def test_odd_names_are_read_and_told_to_nobody(tool, source):
    count = len(list(odd_files(source)))
    (source / os.fsdecode(b"bad\xff\n")).write_bytes(b"\0" * 128 + b"DICM garbage")
    done = tool.run(*tool.arguments(source), status=1)
    assert len(tool.outputs()) == count
    assert b"\xff" not in done.stderr and b"undecodable" not in done.stderr
    held = tool.run("show", "--held", "--state", tool.state, status=0).stdout.decode()
    reference, reason, path = held.rstrip("\n").split("\t")
    assert reason.startswith("unreadable") and path == "bad\\udcff\\n"
    assert tool.run("show", reference, "--state", tool.state, status=0).stdout == b"bad\xff\n\n"


def test_links_fifos_and_foreign_files_are_skipped_and_never_copied(tool, source, tmp_path):
    (source / "x.dcm").write_bytes(cr())
    (tmp_path / "outside.dcm").write_bytes(cr(2))
    (source / "outward.dcm").symlink_to(tmp_path / "outside.dcm")
    (source / "inward.dcm").symlink_to(source / "x.dcm")
    (source / "broken.dcm").symlink_to("nowhere")
    (source / "loop").symlink_to("loop")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "y.dcm").write_bytes(cr(3))
    (source / "folder").symlink_to(tmp_path / "folder")
    os.mkfifo(source / "pipe")
    (source / "notes.txt").write_text("Testperson Anna")
    (source / "empty").touch()
    (source / ".git").mkdir()
    (source / ".git" / "object").write_bytes(cr(4))
    write(dicomdir([("A\\B", build("ct").dataset)]), source / "DICOMDIR")
    summary = tool.direct(source)
    assert summary.released == len(tool.outputs()) == 1 and not summary.held
    assert dict(summary.skipped) == {
        "symbolic link out of the tree": 2,
        "symbolic link": 1,
        "broken symbolic link": 2,
        "not a regular file": 1,
        "version control folder": 1,
        "not DICOM, NIfTI or BIDS": 2,
        "DICOMDIR: it would not match the output": 1,
    }
    assert summary.exit_status(None) == 0


def test_unreadable_files_and_folders_are_held(tool, source, monkeypatch):
    (source / "x.dcm").write_bytes(cr())
    (source / "y.dcm").write_bytes(cr(2))
    (source / "folder").mkdir()
    (source / "folder" / "z.dcm").write_bytes(cr(3))
    tool.direct(source)
    # root may read everything, so what an unprivileged user would meet is simulated
    scandir = os.scandir

    def closed(path="."):
        if os.fspath(path).endswith("folder"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    original = os.stat

    def no_entry(path, *args, **kwargs):
        if isinstance(path, os.PathLike | str) and os.fspath(path).endswith("folder/z.dcm"):
            raise PermissionError(13, "Permission denied")
        return original(path, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", closed)
        patch.setattr(os, "stat", no_entry)
        summary = tool.direct(source, prune=True)
    assert dict(summary.held) == {"unreadable folder": 1}
    assert summary.gone == summary.deleted == 0, "what cannot be read is not gone"
    assert len(tool.outputs()) == 3
    assert tool.direct(source).unchanged == 3


def test_a_file_without_rights_is_held(tool, source):
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    (source / "x.dcm").write_bytes(cr())
    (source / "x.dcm").chmod(0)
    assert dict(tool.direct(source).held) == {"unreadable: permission denied": 1}


def test_deep_folders(tool, source):
    folder = source
    for _ in range(120):
        folder = folder / "deeper"
    folder.mkdir(parents=True)
    (folder / "x").write_bytes(cr())
    assert tool.direct(source).released == 1


def test_read_only_input_and_its_times_are_left_alone(tool, source):
    path = source / "x.dcm"
    path.write_bytes(cr())
    path.chmod(0o444)
    source.chmod(0o555)
    before = path.stat()
    tool.direct(source)
    after = path.stat()
    source.chmod(0o755)
    assert (before.st_mtime_ns, stat.S_IMODE(after.st_mode)) == (after.st_mtime_ns, 0o444)


def test_every_kind_in_every_form(tool, source):
    count = 0
    for kind in KINDS:
        dataset = build(kind, patient="ID-77-7").dataset
        for syntax in (
            SYNTAXES if compressible(dataset) else ("implicit", "explicit", "big_endian", "deflated")
        ):
            (source / f"{kind}-{syntax}").write_bytes(to_bytes(dataset, syntax))
            count += 1
    bare = build("cr", number=9).dataset
    (source / "no-preamble").write_bytes(to_bytes(bare, preamble=None))
    (source / "no-meta").write_bytes(to_bytes(build("cr", number=10).dataset, "implicit", meta=False))
    from deid.workflows.scrub.options import Encapsulated, Identity

    # compressed frames are made up here: an image whose pixels are to be changed would be held for them
    options = RELEASE | {"encapsulated": Encapsulated.KEEP, "identity": Identity.OFF}
    summary = tool.direct(source, **options)
    assert not summary.held and not summary.skipped
    assert summary.released == len(tool.outputs()) == count + 2


def test_a_radiograph_to_be_changed_that_cannot_be_decoded_is_held(tool, source):
    """The other side of the test above: what a model covers is not let through because its pixels are odd."""
    dataset = build("cr", patient="ID-77-7").dataset
    (source / "made-up").write_bytes(to_bytes(dataset, "jpeg"))
    summary = tool.direct(source, **RELEASE)
    assert dict(summary.held) == {"pixels: cannot be decoded": 1} and not summary.released


def test_bids_and_pairs(tool, source):
    bids_tree(source / "bids")
    shutil.copytree(source / "bids", source / "again")
    (source / "volume.nii").write_bytes(nifti_bytes(compress=False))
    summary = tool.direct(source, **RELEASE)
    assert not summary.held and summary.released == len(tool.outputs())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("a,b,c\n", "two values"),
        ("a,\n", "two values"),
        ("a,P1\na,P2\n", "second patient"),
    ],
)
def test_patient_maps_that_cannot_be_used(tool, source, tmp_path, text, message):
    table = tmp_path / "map.csv"
    table.write_text(text)
    assert message in tool.refused(source, patient_map=table)


def test_options_that_cannot_be_read():
    from deid.core.shards import Shard
    from deid.workflows.scrub.options import HeldLimit, OnRisk, one_of

    for text in ("", "0/2", "3/2", "1/0", "a/b", "1", "-1/2", "1/2/3"):
        with pytest.raises(UsageError):
            Shard.parse(text)
    for text in ("", "x", "-1", "5%%", "1.5"):
        with pytest.raises(UsageError):
            HeldLimit.parse(text)
    with pytest.raises(UsageError, match="hold, release"):
        one_of(OnRisk, "--on-risk", "maybe")
    assert HeldLimit.parse("2").allows(2, 100) and not HeldLimit.parse("2").allows(3, 100)
    assert HeldLimit.parse("1.5%").allows(3, 200) and not HeldLimit.parse("1.5%").allows(4, 200)
