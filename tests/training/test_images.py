"""Images of all samples in memory."""

import errno
import stat
import sys
from pathlib import Path

import numpy as np
import pytest
from builders import build, nifti_bytes, write
from PIL import Image as Picture

from deid.core.errors import UsageError
from deid.pixels.network_range import to_network
from deid.pixels.raster import read_raster
from deid.pixels.slices import SliceRule
from deid.training.images import NO_FILE, TOO_SMALL, ImageStore, LoadOptions
from deid.training.samples import Sample


@pytest.fixture
def samples(tmp_path):
    """Two pictures of 64 and 40 pixels, a CR, a volume, a broken file, a missing one and an SR."""
    random = np.random.default_rng(0)
    ramp = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8) + random.integers(
        0, 60, (64, 64)
    ).astype(np.uint8)
    Picture.fromarray(ramp).save(tmp_path / "a.png")
    Picture.fromarray(ramp[:, :40]).save(tmp_path / "b.png")
    write(build("cr").dataset, tmp_path / "c.dcm")
    (tmp_path / "d.nii.gz").write_bytes(nifti_bytes(shape=(20, 21, 22)))
    (tmp_path / "e.png").write_bytes(b"broken")
    write(build("sr").dataset, tmp_path / "g.dcm")
    names = ("a.png", "b.png", "c.dcm", "d.nii.gz", "e.png", "f.png", "g.dcm")
    return [Sample(tmp_path / name, f"p{number}", modality="MR") for number, name in enumerate(names)]


def test_what_can_be_read_is_and_the_rest_is_counted_by_reason(samples):
    store = ImageStore.load(samples, 32, options=LoadOptions(99, slices=SliceRule(count=4)))
    assert store.images.shape == (7, 32, 32) and store.images.dtype == np.uint8
    assert store.patients == ("p0", "p1", "p2", *("p3",) * 4)
    assert store.frames.tolist()[:3] == [0, 0, 0] and np.diff(store.frames[3:]).min() > 0
    assert store.sides.tolist() == [64, 40, 12, *(20,) * 4]
    assert store.report.left_out == {
        NO_FILE: 1,
        "pixels: no image in this object": 1,
        "unreadable: no JPEG, PNG or TIFF picture": 1,
    }
    assert (store.report.read, store.report.enlarged) == (4, 2)
    assert "4 read" in str(store.report) and "2 smaller than the size" in str(store.report)


def test_images_are_what_the_networks_see(samples):
    store = ImageStore.load(samples[:1], 64)
    unit, _ = to_network(read_raster(samples[0].path, "MR"))
    np.testing.assert_array_equal(store.images[0], np.rint(unit[0] * 255))
    deep = ImageStore.load(samples[:1], 64, options=LoadOptions(64, bits=16))
    assert deep.images.dtype == np.uint16
    np.testing.assert_allclose(deep.tensor([0])[0, 0].numpy(), unit[0], atol=1 / 65535)
    assert store.tensor([0, 0]).shape == (2, 1, 64, 64)


def test_reducing_is_antialiased_and_the_low_pass_blurs(samples, tmp_path):
    board = np.indices((64, 64)).sum(0) % 2 * np.uint8(255)
    Picture.fromarray(board.astype(np.uint8)).save(tmp_path / "board.png")
    sample = [Sample(tmp_path / "board.png", "p")]
    half = ImageStore.load(sample, 16).images[0]
    assert half.std() < 8 and abs(half.mean() - 127.5) < 2
    sharp = ImageStore.load(samples[:1], 32).images[0].astype(int)
    blurred = ImageStore.load(samples[:1], 32, options=LoadOptions(32, low_pass=8)).images[0].astype(int)
    assert np.abs(np.diff(blurred, 2)).mean() < 0.3 * np.abs(np.diff(sharp, 2)).mean()


def test_threads_and_cache_change_nothing(samples, tmp_path):
    plain = ImageStore.load(samples, 32)
    folder = tmp_path / "cache"
    seen = []
    for jobs in (3, 1):
        store = ImageStore.load(samples, 32, jobs, cache=folder, progress=seen.append)
        np.testing.assert_array_equal(store.images, plain.images)
        assert store.samples == plain.samples and store.report == plain.report
    assert len(seen) == 2 * len(samples)
    kept = sorted(folder.iterdir())
    assert len(kept) == 4 and all(path.suffix == ".npz" for path in kept)
    if sys.platform != "win32":
        assert {stat.S_IMODE(path.stat().st_mode) for path in kept} == {0o600}


def test_the_cache_knows_content_and_options_and_a_broken_entry_is_made_anew(samples, tmp_path):
    folder = tmp_path / "cache"
    first = ImageStore.load(samples[:1], 32, cache=folder)
    (entry,) = folder.iterdir()
    whole = entry.read_bytes()
    entry.write_bytes(whole[:100])
    np.testing.assert_array_equal(ImageStore.load(samples[:1], 32, cache=folder).images, first.images)
    assert len(entry.read_bytes()) == len(whole)
    ImageStore.load(samples[:1], 32, cache=folder, options=LoadOptions(32, low_pass=8))
    assert len(list(folder.iterdir())) == 2
    Picture.fromarray(np.eye(64, dtype=np.uint8)).save(samples[0].path)
    changed = ImageStore.load(samples[:1], 32, cache=folder)
    assert not np.array_equal(changed.images, first.images)


def test_small_images_can_be_left_out(samples):
    store = ImageStore.load(samples[:3], 32, minimum_side=40)
    assert store.patients == ("p0", "p1") and store.report.left_out == {TOO_SMALL: 1}


def test_no_image_at_all_and_nonsense_are_refused(samples, tmp_path):
    with pytest.raises(UsageError, match="no image could be read: 0 read, 1 left out"):
        ImageStore.load(samples[4:5], 32)
    for options in ({"size": 8}, {"size": 32, "bits": 12}, {"size": 32, "low_pass": 2}):
        with pytest.raises(UsageError, match="size of at least 16"):
            LoadOptions(**options)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cache folder"):
        ImageStore.load(samples[:1], 32, cache=tmp_path / "file")


def test_a_cache_that_cannot_be_written_is_no_fault_of_the_images(samples, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="--cache: the folder cannot be written"):
        ImageStore.load(samples[:1], 32, cache=Path("/proc"))

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(np, "savez", full)
    for jobs in (1, 2):
        with pytest.raises(UsageError, match="no space left on device"):
            ImageStore.load(samples[:2], 32, jobs, cache=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_subset_is_a_store(samples):
    store = ImageStore.load(samples[:3], 32)
    part = store.subset([2, 0])
    assert part.patients == ("p2", "p0") and len(part) == 2
    np.testing.assert_array_equal(part.images[1], store.images[0])
    assert part.labels(["x"]).tolist() == [[-1], [-1]]
