"""Embedding arrays of images."""

import numpy as np
import pytest
import torch

from deid.reid.embedding import embed_images


class Means(torch.nn.Module):
    """Mean and maximum of an image; remembers how many images it saw at once."""

    def __init__(self):
        super().__init__()
        self.dropout = torch.nn.Dropout(0.9)
        self.seen = []

    def embed(self, images):
        assert images.dtype == torch.float32 and images.shape[1] == 1
        self.seen.append(len(images))
        return self.dropout(torch.stack([images.mean((1, 2, 3)), images.amax((1, 2, 3))], 1))


def test_bytes_and_floats_embed_alike_in_bounded_batches():
    images = np.random.default_rng(0).integers(0, 256, (7, 4, 5), dtype=np.uint8)
    network = Means().train()
    raw = embed_images(network, images, batch=3, normalise=False)
    assert network.seen == [3, 3, 1] and network.training
    assert raw.dtype == np.float32 and raw.shape == (7, 2)
    np.testing.assert_allclose(raw[:, 0], images.mean((1, 2)) / 255, rtol=1e-5)
    scaled = embed_images(network, images.astype(np.float32) / 255, batch=7, normalise=False)
    np.testing.assert_allclose(raw, scaled, rtol=1e-5)
    unit = embed_images(network, images)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, rtol=1e-5)


def test_a_memory_map_stays_untouched(tmp_path):
    path = tmp_path / "images.npy"
    np.save(path, np.full((2, 3, 3), 255, np.uint8))
    assert embed_images(Means(), np.load(path, mmap_mode="r"), normalise=False)[0, 1] == 1


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="image, row, column"):
        embed_images(Means(), np.zeros((3, 3), np.uint8))
    with pytest.raises(ValueError, match="at least one"):
        embed_images(Means(), np.zeros((0, 3, 3), np.uint8))
