"""Whatever one file, one disk or one process does: a reason, nothing half-written, and the run goes on."""

import os
import signal
import subprocess
import sys

import pytest
from builders import KINDS, Person, build, nifti_bytes, series, surviving, to_bytes, tree, write
from workflows.command import wait_until

from deid.core.errors import Held
from deid.core.staging import Staging
from deid.workflows.scrub import planning, writing
from deid.workflows.scrub.options import OnRisk

SECRET = "Xqsecretvalue"


@pytest.fixture
def source(tmp_path):
    (tmp_path / "in").mkdir()
    for number in range(1, 4):
        path = tmp_path / "in" / f"good{number}"
        path.write_bytes(to_bytes(build("cr", number=number, patient=f"ID-100{number}").dataset))
    return tmp_path / "in"


def damaged():
    """Files that lie or end too early, by what is wrong with them."""
    whole = to_bytes(build("ct", number=7, patient=SECRET).dataset)
    at = whole.index(b"\x10\x00\x10\x00PN")  # Patient's Name
    pixels = whole.index(b"\xe0\x7f\x10\x00OW")
    long = (0xFFFFFFFE).to_bytes(4, "little")
    deflated = to_bytes(build("ct", patient=SECRET).dataset, "deflated")
    encapsulated = to_bytes(build("ct", patient=SECRET).dataset, "jpeg")
    return {
        "cut in the header": whole[: at + 20],
        "cut in a length": whole[: at + 7],
        "cut in the meta": whole[:150],
        "cut in the pixels": whole[: pixels + 100],
        "length past the end": whole[: at + 6] + b"\xfe\xff" + whole[at + 8 :],
        "4 GB element": whole[: pixels + 8] + long + whole[pixels + 12 :],
        "garbage after the mark": b"\0" * 128 + b"DICM" + bytes(range(256)) * 4,
        "nothing after the mark": b"\0" * 128 + b"DICM",
        "cut deflated": deflated[:-50],
        "damaged deflated": deflated[:400] + b"\xff" * 40 + deflated[440:],
        "cut encapsulated": encapsulated[:-30],
        "no instance": to_bytes_without(build("ct", patient=SECRET).dataset, "SOPInstanceUID"),
        "odd undefined length": whole[:pixels] + b"\x09\x00\x10\x00UN\0\0\xff\xff\xff\xff" + b"ab" * 9,
    }


def to_bytes_without(dataset, name):
    data = to_bytes(dataset)
    tag = dataset[name].tag
    head = tag.group.to_bytes(2, "little") + tag.element.to_bytes(2, "little")
    at = data.rindex(head + b"UI")
    length = int.from_bytes(data[at + 6 : at + 8], "little")
    meta = data.index(b"\x02\x00\x03\x00UI")
    size = int.from_bytes(data[meta + 6 : meta + 8], "little")
    data = data[:at] + data[at + 8 + length :]
    return data[: meta + 8] + b" " * size + data[meta + 8 + size :]


@pytest.mark.parametrize("case", sorted(damaged()))
def test_damaged_files_are_held_with_a_reason_that_tells_no_value(tool, source, case):
    (source / SECRET).write_bytes(damaged()[case])
    summary = tool.direct(source, on_risk=OnRisk.RELEASE)
    assert summary.released == 3 and sum(summary.held.values()) == 1, (summary.held, summary.skipped)
    (reason,) = summary.held
    assert reason.split(":")[0] in ("unreadable", "structure") and SECRET not in reason
    assert len(tool.outputs()) == 3 and not tool.hidden()
    assert not any(SECRET.encode() in data for data in tool.tree().values())


def test_every_prefix_of_a_file_is_handled(tool, tmp_path):
    whole = to_bytes(build("sr", patient=SECRET).dataset)
    (tmp_path / "in").mkdir()
    for end in range(0, len(whole), 97):
        (tmp_path / "in" / f"{end}").write_bytes(whole[:end])
    summary = tool.direct(tmp_path / "in")
    assert not [reason for reason in summary.held if reason.startswith("internal")]
    assert surviving(b"".join(tool.tree().values()), [SECRET]) == []


def test_flipped_bytes_never_stop_a_run(tool, tmp_path):
    import random

    chance = random.Random(4)
    (tmp_path / "in").mkdir()
    for number in range(60):
        data = bytearray(to_bytes(build(chance.choice([k for k in KINDS if k != "wsi"])).dataset))
        for _ in range(8):
            data[chance.randrange(132, min(len(data), 3000))] = chance.randrange(256)
        (tmp_path / "in" / str(number)).write_bytes(data)
    summary = tool.direct(tmp_path / "in", on_risk=OnRisk.RELEASE)
    assert not [reason for reason in summary.held if reason.startswith("internal")], summary.held
    assert summary.released == len(tool.outputs())


def test_zero_bytes_and_tiny_files_are_none_of_ours(tool, source):
    for size in (0, 1, 4, 131, 132):
        (source / f"size{size}").write_bytes(b"\0" * size)
    summary = tool.direct(source)
    assert summary.released == 3 and dict(summary.skipped) == {"not DICOM, NIfTI or BIDS": 5}


def between_index_and_write(monkeypatch, change):
    """Do something to the input after the index pass has read it."""
    batches = planning.Planner.batches

    def changed(self):
        change()
        return batches(self)

    monkeypatch.setattr(planning.Planner, "batches", changed)


def pipe_in_place(path):
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (os.unlink, "unreadable: no such file or directory"),
        (lambda path: path.write_bytes(path.read_bytes() + b"x" * 8), "unreadable: changed during the run"),
        (pipe_in_place, "unreadable: changed during the run"),
    ],
)
def test_an_input_that_changes_under_the_run_is_held(tool, source, monkeypatch, change, reason):
    with monkeypatch.context() as patch:
        between_index_and_write(patch, lambda: change(source / "good2"))
        summary = tool.direct(source)
    assert (summary.released, dict(summary.held)) == (2, {reason: 1})


def test_an_input_that_grew_a_new_name_is_read_again_by_the_next_run(tool, source, monkeypatch):
    dataset = build("cr", number=2, patient="ID-1002").dataset
    dataset.StudyDescription = "Chest Quermmel"
    dataset.PerformingPhysicianName = "Quermmel^Jo"
    with monkeypatch.context() as patch:
        between_index_and_write(patch, lambda: (source / "good2").write_bytes(to_bytes(dataset)))
        tool.direct(source)
    assert tool.direct(source).released == 1
    assert not any(b"Quermmel" in data for data in tool.tree().values())


def test_a_full_disk_holds_what_did_not_fit(tool, source, monkeypatch):
    original = Staging.write

    def full(self, relative, chunks):
        if self.writes == 1:
            raise Held("cannot be written: no space left on device")
        self.writes += 1
        return original(self, relative, chunks)

    with monkeypatch.context() as patch:
        patch.setattr(Staging, "writes", 0, raising=False)
        patch.setattr(Staging, "write", full)
        summary = tool.direct(source)
    assert (summary.released, dict(summary.held)) == (1, {"cannot be written: no space left on device": 2})
    assert len(tool.outputs()) == 1 and not tool.hidden()
    assert tool.direct(source).released == 2


def test_a_disk_that_is_full_at_the_end_of_a_batch_holds_the_batch(tool, source, monkeypatch):
    def full(self):
        raise Held("cannot be written: no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Staging, "commit", full)
        summary = tool.direct(source)
    assert (summary.released, summary.weaker, sum(summary.held.values())) == (0, 0, 3)
    assert not tool.outputs() and not tool.hidden()
    assert tool.direct(source).released == 3


def test_a_really_full_disk(tool, source, tmp_path):
    """A file size limit makes the kernel refuse to write, as a full disk does."""
    big = build("cr", number=9, patient="BIG-12").dataset
    big.Rows = big.Columns = 1024
    big.PixelData = bytes(1024 * 1024 * 2)
    write(big, source / "big")
    code = (
        "import resource, signal, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20));"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "sys.argv[0] = 'mami-deid'; from deid.cli.app import main; main()"
    )
    command = [sys.executable, "-c", code, *map(str, tool.arguments(source))]
    done = subprocess.run(command, capture_output=True, env=tool.environment)
    assert done.returncode == 1 and b"file too large" in done.stderr, done.stderr
    assert len(tool.outputs()) == 3 and not tool.hidden()


def test_an_unforeseen_error_in_a_unit_holds_it_and_tells_no_value(tool, source, monkeypatch):
    def fail(*_):
        raise ValueError(f"could not read {SECRET}")

    monkeypatch.setattr(writing.PatientRelease, "prepare", fail)
    summary = tool.direct(source)
    (reason,) = summary.held
    assert reason.startswith("internal: ValueError at writing.py:") and SECRET not in reason


def test_an_unforeseen_error_while_reading_a_header_holds_the_file(tool, source, monkeypatch):
    from deid.workflows.scrub import formats

    def fail(*_):
        raise RecursionError(SECRET)

    monkeypatch.setattr(formats, "index_file", fail)
    assert [r.split(" at ")[0] for r in tool.direct(source).held] == ["internal: RecursionError"]


def test_an_error_outside_of_units_tells_type_and_line_only(tool, source):
    code = (
        "import sys; from deid.workflows.scrub import planning;"
        f"planning.risks = lambda entries: {{}}[{SECRET!r}];"
        "from deid.cli.app import main; main()"
    )
    command = [sys.executable, "-c", code, *map(str, tool.arguments(source))]
    done = subprocess.run(command, capture_output=True, env=tool.environment)
    assert done.returncode == 70 and done.stdout == b""
    assert b"internal error: KeyError at planning.py:" in done.stderr
    assert SECRET.encode() not in done.stderr and str(source).encode() not in done.stderr
    assert not tool.hidden()


def test_a_process_that_dies_costs_its_file_alone(tool, tmp_path):
    """One file kills whatever process writes it; all others are released by new ones."""
    source = tmp_path / "in"
    tree(source, (Person("Li^Na", "12"), Person("Kowalska^Ewa", "0099887")), studies=1, slices=3)
    write(build("cr", number=5, patient="12").dataset, source / "12" / "killer")
    (tmp_path / "sitecustomize.py").write_text(
        "import os\n"
        "import deid.workflows.scrub.writing as w\n"
        "from multiprocessing import parent_process\n"
        "original = w.open_part10\n"
        "def open_part10(path, **options):\n"
        "    if path.name == 'killer' and parent_process() is not None: os.kill(os.getpid(), 9)\n"
        "    return original(path, **options)\n"
        "w.open_part10 = open_part10\n"
    )
    path = os.pathsep.join([str(tmp_path), os.getcwd()])
    summary = tool.scrub(source, "--jobs", 2, status=1, environment={"PYTHONPATH": path})
    assert list(summary["held_by_reason"].values()) == [1]
    assert "the process died" in next(iter(summary["held_by_reason"]))
    assert (
        summary["released"] == len(tool.outputs()) == len([p for p in source.rglob("*") if p.is_file()]) - 1
    )
    assert not tool.hidden()


def test_a_killed_worker_costs_nothing(tool, tmp_path):
    source = tmp_path / "in"
    people = [Person(f"Family{n}^Given{n}", f"ID{n:06d}") for n in range(16)]
    tree(source, tuple(people), studies=1, slices=5)
    run = tool.start(source, "--jobs", 2, "--json")
    wait_until(lambda: tool.hidden() or run.poll() is not None)
    workers = [int(p.name.split("-")[4]) for p in tool.hidden()]
    os.kill(workers[0], signal.SIGKILL)
    output, errors = run.communicate()
    assert run.returncode == 0, (errors, output)
    assert len(tool.outputs()) == len([p for p in source.rglob("*") if p.is_file()]) and not tool.hidden()


def test_damaged_nifti_and_sidecars_are_held(tool, tmp_path):
    folder = tmp_path / "in" / "sub-01" / "func"
    folder.mkdir(parents=True)
    whole = nifti_bytes(shape=(4, 4, 3, 2))
    (folder / "sub-01_task-rest_bold.nii.gz").write_bytes(whole[:-40])
    (folder / "sub-01_task-rest_bold.json").write_text('{"RepetitionTime": 2, "x": ')
    (folder / "sub-01_task-go_bold.nii.gz").write_bytes(whole)
    (tmp_path / "in" / "participants.tsv").write_bytes(b"participant_id\tname\nsub-01\t\xff\xfe\n")
    summary = tool.direct(tmp_path / "in")
    assert summary.released >= 1 and sum(summary.held.values()) >= 2
    assert not [reason for reason in summary.held if reason.startswith("internal")], summary.held


@pytest.mark.slow
def test_a_huge_file_needs_little_memory(tool, tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    dataset = series(Person("Li^Na", "PAT-12"), 1, 1, slices=1)[0]
    dataset.NumberOfFrames = 4800
    dataset.Rows = dataset.Columns = 256
    dataset.PixelData = b"\0\0"
    data = to_bytes(dataset)
    at = data.index(b"\xe0\x7f\x10\x00OW") + 8
    size = 4800 * 256 * 256 * 2
    with (source / "big").open("wb") as stream:
        stream.write(data[:at] + size.to_bytes(4, "little"))
        block = os.urandom(1 << 20)
        for start in range(0, size, 1 << 20):
            stream.write(block[: min(1 << 20, size - start)])
    code = (
        "import resource, subprocess, sys;"
        "status = subprocess.call(sys.argv[1:]);"
        "print(status, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    command = [sys.executable, "-c", code, sys.executable, "-m", "deid", *map(str, tool.arguments(source))]
    done = subprocess.run(command, capture_output=True, env=tool.environment)
    status, kilobytes = map(int, done.stdout.split())
    assert status == 0, done.stderr
    assert kilobytes < 300 * 1024
    (output,) = tool.outputs()
    with (source / "big").open("rb") as before, output.open("rb") as after:
        before.seek(at + 4)
        after.seek(-size, os.SEEK_END)
        while piece := before.read(1 << 20):
            assert piece == after.read(1 << 20)
    (source / "big").unlink()
    output.unlink()
