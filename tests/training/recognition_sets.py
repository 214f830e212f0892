"""Small image stores for the tests of recognition."""

from pathlib import Path

import numpy as np

from deid.training.images import ImageStore, LoadReport
from deid.training.phantoms.cohort import make_cohort
from deid.training.samples import Sample


def store_of(images, samples):
    """A store of uint8 images `[image, row, column]`."""
    count, side = len(images), images.shape[1]
    return ImageStore(
        images, tuple(samples), np.zeros(count, np.int64), np.full(count, side), LoadReport(count, {}, 0)
    )


def sample(name, patient, study="", source="hospital", findings=()):
    return Sample(Path(name), patient, source, "DX", study, "PA", findings)


def phantoms(patients, studies, seed, size=64):
    """Chest phantoms, all in one group."""
    cohort = make_cohort(patients, studies, seed, "chest", size)
    samples = [
        sample(f"{place}.png", f"P{seed}-{study.patient}", f"S{study.study}")
        for place, study in enumerate(cohort.studies)
    ]
    return store_of(np.rint(cohort.images * 255).astype(np.uint8), samples)


def blobs(patients, studies, seed, sources=("hospital",), size=32):
    """Images that a small network learns within seconds: each patient has four soft spots of their own.

    Each image as a whole is shifted and brighter or darker, so that pixels alone tell less.
    """
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size] / size
    images, samples = [], []
    for patient in range(patients):
        spots = random.uniform(0.15, 0.85, (4, 2))
        for study in range(studies):
            moved = spots + random.normal(0, 0.015, (4, 2)) + random.uniform(-0.06, 0.06, 2)
            picture = sum(np.exp(-((rows - r) ** 2 + (columns - c) ** 2) / 0.01) for r, c in moved)
            picture = random.uniform(0.6, 1) * picture + random.normal(0.2, 0.05, (size, size))
            images.append(np.clip(picture * 160, 0, 255).astype(np.uint8))
            source = sources[patient % len(sources)]
            samples.append(sample(f"{len(images)}.png", f"P{seed}-{patient}", f"S{study}", source))
    return store_of(np.stack(images), samples)


def two_modalities(patients, studies, seed, size=32):
    """Patients seen by one of two modalities, in which other things are theirs.

    Every image has bright and dark spots. In the first modality the bright ones are the patient's own and the
    dark ones chance, in the second the other way round; the upper left corner, white or black, says which it
    is. Who does not see the modality cannot know what to look at.
    """
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size] / size
    images, samples = [], []
    for patient in range(patients):
        own, modality = random.uniform(0.3, 0.9, (3, 2)), ("CR", "DX")[patient % 2]
        for study in range(studies):
            chance = random.uniform(0.3, 0.9, (3, 2))
            moved = own + random.normal(0, 0.01, (3, 2))
            bright, dark = (moved, chance) if modality == "CR" else (chance, moved)
            picture = random.normal(0, 0.03, (size, size))
            for spots, sign in ((bright, 0.4), (dark, -0.4)):
                picture += sign * sum(
                    np.exp(-((rows - r) ** 2 + (columns - c) ** 2) / 0.01) for r, c in spots
                )
            picture[: size // 4, : size // 4] = 0.45 if modality == "DX" else -0.45
            images.append(np.clip((picture + 0.5) * 255, 0, 255).astype(np.uint8))
            samples.append(sample(f"{len(images)}.png", f"P{seed}-{patient}", f"S{study}", modality))
    return store_of(np.stack(images), samples)
