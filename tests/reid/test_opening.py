"""NIfTI volumes come in parts: the same images, in memory that does not grow with the volume."""

import tracemalloc

import nibabel
import numpy as np
import pytest

from deid.nifti.pixels import read_image
from deid.pixels.slices import SliceRule, network_slices
from deid.reid.opening import open_image


def saved(folder, slices, name="volume.nii"):
    random = np.random.default_rng(0)
    voxels = np.tile(random.integers(0, 3000, (256, 256, 10)).astype(np.int16), (1, 1, slices // 10))
    voxels[..., : slices // 5] = 0
    affine = np.diag([0.9, -0.9, 2.0, 1.0])
    path = folder / name
    nibabel.save(nibabel.Nifti1Image(voxels, affine), path)
    return path


def chosen(parts):
    slices, choice, found = network_slices(parts, SliceRule())
    return np.concatenate(list(slices)), choice, found


@pytest.mark.parametrize("name", ["volume.nii", "volume.nii.gz"])
def test_parts_give_what_the_whole_gives(tmp_path, name):
    path = saved(tmp_path, 200, name)
    parts, whole = open_image([path], "MR"), read_image(path, "MR")
    pieces = list(parts())
    assert len(pieces) == 4
    assert np.array_equal(np.concatenate([piece.array for piece in pieces]), whole.array)
    assert np.array_equal(pieces[1].affine[:, 3], whole.affine @ [64, 0, 0, 1])
    images, choice, found = chosen(parts)
    wanted, of_whole, range_of_whole = chosen(lambda: [whole])
    assert np.array_equal(images, wanted) and (choice, found) == (of_whole, range_of_whole)


def test_memory_does_not_grow_with_the_volume(tmp_path):
    peaks = []
    for slices in (100, 400):
        path = saved(tmp_path, slices)
        tracemalloc.start()  # numpy tells it what it takes; the mapped file is none of it
        chosen(open_image([path], "MR"))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert max(peaks) < 45 << 20 and peaks[1] < 1.1 * peaks[0]
