"""NIfTI volumes as images."""

import gzip
import warnings

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deid.core.errors import Held
from deid.core.image import Rescale
from deid.nifti.pixels import Layout, read_image, read_volume


def saved(tmp_path, values, affine, name="a.nii.gz", kind=nib.Nifti1Image):
    nib.save(kind(values, affine), tmp_path / name)
    return tmp_path / name


@settings(max_examples=40, deadline=None)
@given(st.permutations([0, 1, 2]), st.tuples(*[st.sampled_from([-1, 1])] * 3))
def test_axial_planes_are_seen_alike_however_the_file_is_stored(tmp_path_factory, order, signs):
    seen = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)  # [frame, row, column]: to S, P, L
    affine = np.zeros((4, 4))
    affine[3, 3] = 1
    values = seen
    directions = {0: (2, 2.0), 1: (1, -2.1), 2: (0, -2.2)}  # frame, row, column: axis of RAS, step
    for axis, own in enumerate(order):
        world, step = directions[own]
        affine[world, axis] = step * signs[axis]
    values = seen.transpose(order)[tuple(slice(None, None, sign) for sign in signs)]
    path = saved(tmp_path_factory.mktemp("n"), np.ascontiguousarray(values), affine)
    image, layout = read_volume(path, "MR")
    np.testing.assert_array_equal(image.array[..., 0], seen)
    assert image.spacing == pytest.approx((2.0, 2.1, 2.2))
    assert (np.abs(image.affine[:3, :3]).argmax(0) == [2, 1, 0]).all()
    assert (image.affine[[2, 1, 0], [0, 1, 2]] > 0).all()
    np.testing.assert_array_equal(layout.to_voxels(image.array[..., 0]), values)


def test_planes_are_those_that_were_scanned_where_one_axis_is_coarse(tmp_path):
    values = np.zeros((4, 5, 6), np.uint8)
    coronal, layout = read_volume(saved(tmp_path, values, np.diag([1, 3, 1, 1])))
    assert layout == Layout((1, 2, 0), (True, True, True)) and coronal.array.shape == (5, 6, 4, 1)
    sagittal, layout = read_volume(saved(tmp_path, values, np.diag([3, 1, 1, 1])))
    assert layout.axes == (0, 2, 1) and sagittal.array.shape == (4, 6, 5, 1)


def test_scaling_and_units_are_kept_beside_the_stored_values(tmp_path):
    image = nib.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.eye(4))
    image.header.set_slope_inter(2.0, -5.0)
    nib.save(image, tmp_path / "a.nii")
    read = read_image(tmp_path / "a.nii", "CT")
    assert read.rescale == (Rescale(2.0, -5.0),) and read.units == "HU" and read.signed
    assert sorted(read.array.ravel()) == sorted(
        np.asarray(nib.load(tmp_path / "a.nii").dataobj.get_unscaled()).ravel()
    )


def test_the_first_volume_of_a_series_in_time_and_flat_files(tmp_path):
    values = np.random.default_rng(0).random((3, 4, 5, 6)).astype(">f4")
    assert read_image(saved(tmp_path, values, np.eye(4))).array.shape == (5, 4, 3, 1)
    assert read_image(saved(tmp_path, values[:, :, 0, 0], np.eye(4))).array.shape == (1, 4, 3, 1)
    pair = saved(tmp_path, values[..., 0], np.eye(4), "p.img", nib.Nifti1Pair)
    assert read_image(pair).frames == read_image(pair.with_suffix(".hdr")).frames == 5


def test_what_cannot_be_read_is_held(tmp_path):
    broken = tmp_path / "a.nii.gz"
    broken.write_bytes(gzip.compress(b"x" * 500))
    with pytest.raises(Held, match="unreadable"):
        read_image(broken)
    whole = saved(tmp_path, np.zeros((9, 9, 9)), np.eye(4), "b.nii")
    whole.write_bytes(whole.read_bytes()[:900])
    with pytest.raises(Held, match="unreadable"):
        read_image(whole)
    with pytest.raises(Held, match="complex"):
        read_image(saved(tmp_path, np.zeros((3, 3, 3), np.complex64), np.eye(4)))
    flat = nib.Nifti1Image(np.zeros((3, 3, 3), np.uint8), None)
    flat.header["sform_code"] = 1
    flat.header["srow_y"], flat.header["srow_z"] = [0, 1, 0, 0], [0, 0, 1, 0]
    (tmp_path / "c.nii").write_bytes(flat.to_bytes())
    with pytest.raises(Held, match="orientation"):
        read_image(tmp_path / "c.nii")
    with pytest.raises(FileNotFoundError):
        read_image(tmp_path / "none.nii")


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_damaged_files_are_held_and_nothing_else(tmp_path_factory, data):
    content = bytearray(nib.Nifti1Image(np.arange(60, dtype=np.int16).reshape(3, 4, 5), np.eye(4)).to_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, 347))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.nii.gz"
    path.write_bytes(gzip.compress(bytes(content)[: data.draw(st.integers(300, len(content)))]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image, layout = read_volume(path, "MR")
        except Held:
            return
    assert image.array.ndim == 4
    assert layout.to_voxels(image.array[..., 0]).size == image.array.size
