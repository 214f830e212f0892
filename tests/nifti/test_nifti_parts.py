"""NIfTI volumes in parts: the same values as read whole, in memory of a part."""

import errno
import gc
import gzip
import itertools
import subprocess
import sys
import tempfile
from pathlib import Path

import memory
import nibabel as nib
import numpy as np
import pytest

from deid.core.errors import Held, UsageError
from deid.core.image import Image
from deid.nifti import parts as nifti_parts
from deid.nifti.parts import open_parts
from deid.nifti.pixels import read_image

ORDERS = [(order, signs) for order in itertools.permutations(range(3)) for signs in ((1, 1, 1), (-1, 1, -1))]


@pytest.fixture
def small_steps(monkeypatch):
    """Several blocks, several parts, and a temporary file, of a volume of some hundred voxels."""
    monkeypatch.setattr(nifti_parts, "_BLOCK", 200)
    monkeypatch.setattr(nifti_parts, "_PART", 60)
    monkeypatch.setattr(nifti_parts, "_IN_MEMORY", 0)


def saved(path, values, affine=None, kind=nib.Nifti1Image):
    image = kind(values, np.eye(4) if affine is None else affine)
    image.header.set_slope_inter(0.5, 3)
    nib.save(image, path)
    return path


def affine_of(order, signs, spacing=(2.0, 2.1, 2.2)):
    affine = np.zeros((4, 4))
    affine[3] = [0, 0, 0, 1]
    for axis, world in enumerate(order):
        affine[world, axis] = spacing[axis] * signs[axis]
    affine[:3, 3] = [5, -7, 11]
    return affine


def equal_to_whole(path, modality="MR"):
    parts = open_parts(path, modality)
    for _ in range(2):  # from the start at every call
        got = list(parts())
        whole = read_image(path, modality)
        joined = Image.joined(got)
        np.testing.assert_array_equal(joined.array, whole.array)
        assert joined.array.dtype == whole.array.dtype and joined.array.dtype.isnative
        for part, start in zip(got, np.cumsum([0, *(part.frames for part in got)]), strict=False):
            expected = whole.part(int(start), int(start) + part.frames)
            np.testing.assert_allclose(part.affine, expected.affine)
            assert (part.rescale, part.spacing, part.units) == (
                whole.rescale,
                whole.spacing,
                whole.units,
            )
            assert (part.bits_stored, part.signed) == (whole.bits_stored, whole.signed)
    return got


@pytest.mark.parametrize(("order", "signs"), ORDERS)
@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii"])
def test_parts_are_the_volume_whatever_axis_the_slices_lie_along(tmp_path, small_steps, order, signs, name):
    values = np.random.default_rng(0).integers(-900, 900, (5, 6, 7)).astype(np.int16)
    assert len(equal_to_whole(saved(tmp_path / name, values, affine_of(order, signs)))) > 1


@pytest.mark.parametrize("coarse", [0, 1, 2])
def test_parts_of_planes_that_were_scanned(tmp_path, small_steps, coarse):
    spacing = [1.0, 1.0, 1.0]
    spacing[coarse] = 3.0
    values = np.random.default_rng(1).integers(0, 255, (6, 7, 8)).astype(np.uint8)
    path = saved(tmp_path / "a.nii.gz", values, affine_of((0, 1, 2), (1, -1, 1), spacing))
    assert sum(part.frames for part in equal_to_whole(path, "CT")) == values.shape[coarse]


def test_parts_of_every_kind_of_file(tmp_path, small_steps):
    values = np.random.default_rng(2).random((5, 6, 7, 3))
    for number, (array, kind, name) in enumerate(
        (
            (values.astype(">f4"), nib.Nifti1Image, "series.nii.gz"),
            (values.astype(">f8")[..., 0], nib.Nifti2Image, "two.nii.gz"),
            (values.astype("<u2")[:, :, 0, 0], nib.Nifti1Image, "flat.nii.gz"),
            ((values[..., 0] * 99).astype(">i2"), nib.Nifti1Pair, "pair.img.gz"),
        )
    ):
        path = saved(tmp_path / f"{number}{name}", array, kind=kind)
        equal_to_whole(path)
    equal_to_whole(tmp_path / "3pair.hdr.gz")
    extended = nib.Nifti1Image(values[..., 0], np.eye(4))
    extended.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"x" * 999))
    nib.save(extended, tmp_path / "extended.nii.gz")
    equal_to_whole(tmp_path / "extended.nii.gz")


def test_a_volume_that_fits_needs_no_file(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.nii.gz", np.arange(60, dtype=np.int16).reshape(3, 4, 5))
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda: pytest.fail("a file was made"))
    equal_to_whole(path)


@pytest.mark.filterwarnings("error")
def test_the_temporary_file_has_no_name_and_goes_with_the_parts(tmp_path, small_steps, monkeypatch):
    folder, made = tmp_path / "temporary", []
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    make = tempfile.TemporaryFile
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda: made.append(make()) or made[-1])
    path = saved(tmp_path / "a.nii.gz", np.zeros((5, 6, 7), np.int16))
    parts = open_parts(path)
    later = iter(parts())
    next(later)
    assert list(folder.iterdir()) == [] and not made[0].closed
    del parts
    assert next(later).frames and not made[0].closed
    del later
    gc.collect()
    assert made[0].closed


def test_damaged_and_truncated_files_are_held_by_name(tmp_path, small_steps):
    values = np.random.default_rng(3).integers(0, 255, (16, 16, 16, 2)).astype(np.uint8)
    path = saved(tmp_path / "a.nii.gz", values)
    whole = path.read_bytes()
    plain = gzip.decompress(whole)

    def reason(content):
        path.write_bytes(content)
        with pytest.raises(Held) as held:
            open_parts(path)
        gc.collect()
        return held.value.reason

    assert reason(whole[: len(whole) // 4]) == "unreadable: gzip truncated"
    assert reason(whole[:-3]) == "unreadable: gzip truncated"
    broken = bytearray(whole)
    broken[len(whole) // 2 : len(whole) // 2 + 40] = bytes(40)
    assert reason(bytes(broken)) == "unreadable: gzip damaged"
    assert reason(whole[:-8] + bytes(4) + whole[-4:]) == "unreadable: gzip damaged"  # the CRC
    # cut in the first volume, and in the second, which nobody sees
    assert reason(gzip.compress(plain[:2000])) == "unreadable: NIfTI data truncated"
    assert reason(gzip.compress(plain[:-9])) == "unreadable: NIfTI data truncated"
    assert reason(b"no gzip") == "unreadable: NIfTI volume"
    path.write_bytes(whole)
    equal_to_whole(path)


def test_a_pair_without_its_image(tmp_path):
    saved(tmp_path / "p.img.gz", np.zeros((4, 4, 4), np.int16), kind=nib.Nifti1Pair)
    (tmp_path / "p.img.gz").unlink()
    with pytest.raises((Held, FileNotFoundError)):
        open_parts(tmp_path / "p.hdr.gz")
    with pytest.raises(FileNotFoundError):
        open_parts(tmp_path / "none.nii.gz")


class FullDisk:
    """A file that takes nothing."""

    closed = False

    def seek(self, at):
        pass

    def write(self, data):
        raise OSError(errno.ENOSPC, "name of a file")

    def close(self):
        self.closed = True
        raise OSError(errno.ENOSPC, "name of a file")


def test_a_full_temporary_folder_is_no_fault_of_the_volume(tmp_path, small_steps, monkeypatch, capsys):
    path = saved(tmp_path / "a.nii.gz", np.zeros((5, 6, 7), np.int16))
    full = FullDisk()
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda: full)
    with pytest.raises(UsageError, match=r"no space left on device\. Free space .* TMPDIR"):
        open_parts(path)
    gc.collect()
    assert full.closed and capsys.readouterr().err == ""
    monkeypatch.setattr(tempfile, "TemporaryFile", tempfile.mkdtemp)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(UsageError, match=r"no such file or directory\. Free space"):
        open_parts(path)


MEASURED = """
import sys
from pathlib import Path
import memory
from deid.pixels.slices import SliceRule, network_slices
from deid.reid.opening import open_image
for name in sys.argv[1:]:
    slices, choice, _ = network_slices(open_image((Path(name),), "MR"), SliceRule())
    print(sum(part.shape[0] for part in slices), choice.of, memory.peak())
"""


def long_volume(path, axis):
    """A gzipped volume of 125 MiB with 1,000 slices along an axis of the file."""
    spacing, shape = [1.0] * 3, [256] * 3
    spacing[axis], shape[axis] = 3.0, 1000
    header = nib.Nifti1Header()
    header.set_data_dtype(np.int16)
    header.set_data_shape(shape)
    header.set_sform(np.diag([*spacing, 1]))
    planes = np.random.default_rng(axis).integers(0, 99, (shape[0], shape[1], 8), np.int16)
    header["vox_offset"], header["magic"] = 352, b"n+1"
    packed = gzip.compress(planes.tobytes("F"), 1)
    path.write_bytes(gzip.compress(header.binaryblock + bytes(4)) + packed * (shape[2] // 8))
    return path


def test_slices_of_a_long_gzipped_volume_take_the_memory_of_some_frames(tmp_path):
    memory.peak()  # skips where it cannot be known
    first = saved(tmp_path / "first.nii.gz", np.arange(8000, dtype=np.int16).reshape(20, 20, 20))
    paths = [long_volume(tmp_path / f"{axis}.nii.gz", axis) for axis in range(3)]
    here = Path(__file__).resolve().parents[1]
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, first, *paths],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": f"{here.parent}:{here}", "PATH": "", "OMP_NUM_THREADS": "1"},
    )
    (_, _, before), *others = (map(int, line.split()) for line in done.stdout.splitlines())
    for taken, of, peak in others:
        assert (taken, of) == (8, 1000)
        assert peak - before < 90 << 20, (peak - before) >> 20  # of 250 MiB as a whole
