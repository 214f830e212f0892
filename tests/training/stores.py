"""Small stores of made-up images, in which the person, the source and the finding are known."""

import numpy as np

from deid.training.images import ImageStore
from deid.training.samples import Sample


def store_of(*samples, size=32, seed=0):
    """A store of noise images, one a sample; fields of a sample by name, patient first."""
    random = np.random.default_rng(seed)
    made = [Sample(path=f"{number}.png", **fields) for number, fields in enumerate(samples)]
    images = random.integers(0, 256, (len(made), size, size), dtype=np.uint8)
    return ImageStore.of(images, made)


def patients(count, images, source="a", findings=(), start=0):
    """Fields of some patients with some images each, every image a study of its own."""
    return [
        {"patient": f"p{start + number}", "study": f"s{study}", "source": source, "findings": findings}
        for number in range(count)
        for study in range(images)
    ]
