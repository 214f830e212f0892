"""Files of a series as one volume."""

import numpy as np
import pytest
from builders import Person, build, series, write

from deid.core.errors import Held
from deid.dicom.volume import open_parts, read_volume

ANNA = Person("Testperson^Anna", "MRN-1")


def written(tmp_path, datasets):
    return [write(dataset, tmp_path / f"{number}.dcm") for number, dataset in enumerate(datasets)]


def test_slices_are_in_order_of_position_whatever_their_names_and_numbers(tmp_path):
    datasets = series(ANNA, 1, 1, slices=5)
    for number, dataset in enumerate(datasets):
        dataset.ImagePositionPatient = [0, 0, (3, 1, 4, 0, 2)[number] * 2.5]
        dataset.RescaleIntercept = -1000 - number
    volume = read_volume(written(tmp_path, datasets))
    order = [3, 1, 4, 0, 2]
    expected = [np.frombuffer(datasets[i].PixelData, "<u2").reshape(16, 16) for i in order]
    np.testing.assert_array_equal(volume.array[..., 0], expected)
    assert [rescale.intercept for rescale in volume.rescale] == [-1000 - i for i in order]
    assert volume.spacing == (2.5, 0.5, 0.5)
    np.testing.assert_allclose(volume.affine @ [4, 0, 0, 1], [0, 0, 10, 1])


def test_parts_are_the_slices_of_the_volume(tmp_path):
    paths = written(tmp_path, series(ANNA, 1, 1, slices=4)[::-1])
    parts = open_parts(paths)
    whole = read_volume(paths).array
    for _ in range(2):
        np.testing.assert_array_equal(np.concatenate([part.array for part in parts()]), whole)


def test_a_single_file_is_its_own_volume(tmp_path):
    (path,) = written(tmp_path, [build("mr_enhanced").dataset])
    assert read_volume([path]).frames == 3
    assert sum(part.frames for part in open_parts([path])()) == 3


def test_of_several_echoes_at_one_place_the_first_is_taken(tmp_path):
    first, second = series(ANNA, 1, 1, slices=3), series(ANNA, 1, 2, slices=3)
    for number, dataset in enumerate(second):
        dataset.InstanceNumber = 10 + number
    volume = read_volume(written(tmp_path, [*second, *first]))
    assert volume.frames == 3
    np.testing.assert_array_equal(volume.array[0, :, :, 0].ravel(), np.frombuffer(first[0].PixelData, "<u2"))


def test_what_makes_no_volume_is_held(tmp_path):
    turned = series(ANNA, 1, 1, slices=3)
    turned[1].ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    with pytest.raises(Held, match="not parallel"):
        read_volume(written(tmp_path, turned))
    other = [*series(ANNA, 1, 1, slices=2), *series(ANNA, 1, 2, slices=1, size=8)]
    with pytest.raises(Held, match="different size"):
        read_volume(written(tmp_path, other))
    with pytest.raises(Held, match="several frames"):
        read_volume(written(tmp_path, [build("mr_enhanced").dataset, build("mr").dataset]))


def test_without_positions_the_instance_number_decides(tmp_path):
    datasets = series(ANNA, 1, 1, slices=3)[::-1]
    for dataset in datasets:
        del dataset.ImagePositionPatient
    volume = read_volume(written(tmp_path, datasets))
    np.testing.assert_array_equal(volume.array[0].ravel(), np.frombuffer(datasets[2].PixelData, "<u2"))
    assert volume.affine is None
