"""Images of all samples in memory, at the size of the networks.

Every image goes the one way: decoded, brought to 0..1 by :mod:`deid.pixels.network_range`, each axis resized
to the size with antialiasing, rounded to 8 or 16 bits. A volume gives several: the slices of a rule.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Picture
from torch import Tensor

from deid.core.errors import Held, Skipped, UsageError
from deid.core.noise import NoiseCounter
from deid.pixels.network_range import IntensityRule
from deid.pixels.padding import without_false_padding
from deid.pixels.slices import SliceRule, network_slices
from deid.reid.opening import open_image
from deid.training.cache import ImageCache
from deid.training.samples import Sample, label_matrix

TOO_SMALL = "smaller than the least side that was asked for"
NO_FILE = "file not found"


@dataclass(frozen=True)
class LoadOptions:
    """How images are made; part of every cache key.

    Attributes:
        size: Side of the square images, in pixels. The aspect is given up: a network sees one square.
        bits: 8, or 16 where a fixed window is wide against the contrast of interest (CT of the brain).
        low_pass: First reduce every image to this side, so that images of a coarse source do not betray it by
            their blur; None leaves them sharp.
        slices: Which slices of a volume.
        intensity: How values become 0..1.
    """

    size: int
    bits: int = 8
    low_pass: int | None = None
    slices: SliceRule = field(default_factory=SliceRule)
    intensity: IntensityRule = field(default_factory=IntensityRule)

    def __post_init__(self) -> None:
        if self.size < 16 or self.bits not in (8, 16) or (self.low_pass is not None and self.low_pass < 8):
            raise UsageError(
                "images need a size of at least 16, 8 or 16 bits, and a low-pass side of at least 8."
            )


@dataclass(frozen=True)
class LoadReport:
    """What became of the samples, without any name.

    Attributes:
        read: Samples that gave images.
        left_out: Samples that did not, by reason.
        enlarged: Samples of which the smaller side was under the size.
    """

    read: int
    left_out: Mapping[str, int]
    enlarged: int

    def __str__(self) -> str:
        """One line for the user."""
        parts = [f"{self.read} read"]
        parts += [f"{count} left out ({reason})" for reason, count in self.left_out.items()]
        if self.enlarged:
            parts.append(f"{self.enlarged} smaller than the size: their blur betrays their source")
        return ", ".join(parts)


@dataclass(frozen=True, eq=False)
class ImageStore:
    """Images and the samples that they show.

    Attributes:
        images: uint8 or uint16 `[image, row, column]`, full range = 0..1.
        samples: Of each image; slices of one volume share it and follow each other.
        frames: `[image]`, number of the slice in its volume, 0 for planar images.
        sides: `[image]`, smaller side of the image as it was stored, in pixels.
        report: What became of the samples.
    """

    images: NDArray[Any]
    samples: tuple[Sample, ...]
    frames: NDArray[np.int64]
    sides: NDArray[np.int64]
    report: LoadReport

    @classmethod
    def load(
        cls,
        samples: Sequence[Sample],
        size: int,
        jobs: int = 1,
        *,
        options: LoadOptions | None = None,
        minimum_side: int = 0,
        cache: Path | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> ImageStore:
        """Decode, map to 0..1 and resize every sample; what cannot be read is counted and left out.

        Args:
            samples: In the order of the images.
            size: Side of the images, in pixels.
            jobs: Threads; the result does not depend on it.
            options: All but the size; the defaults if None.
            minimum_side: Leave out what is smaller than this on one side, in pixels.
            cache: A private folder for the finished images, which are patients' data.
            progress: Called with 1 after each sample.

        Raises:
            UsageError: No sample gives an image.
        """
        NoiseCounter.installed()  # what the libraries say holds values of the files
        chosen = replace(options, size=size) if options is not None else LoadOptions(size)
        keep = ImageCache(cache, repr(chosen)) if cache is not None else None
        filed = _Filed(chosen, minimum_side)
        for sample, loaded in zip(samples, _loaded(samples, chosen, keep, jobs), strict=True):
            filed.add(sample, loaded)
            if progress is not None:
                progress(1)
        return filed.store()

    @classmethod
    def of(cls, images: NDArray[Any], samples: Sequence[Sample]) -> ImageStore:
        """A store of finished planar images, such as phantoms.

        Args:
            images: uint8 or uint16 `[image, row, column]`.
            samples: One an image.
        """
        sides = np.full(len(images), min(images.shape[1:]), np.int64)
        report = LoadReport(len(images), {}, 0)
        return cls(images, tuple(samples), np.zeros(len(images), np.int64), sides, report)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def patients(self) -> tuple[str, ...]:
        """Patient of each image."""
        return tuple(sample.patient for sample in self.samples)

    def tensor(self, indices: Sequence[int] | NDArray[np.int64] | Tensor) -> Tensor:
        """Some images as float32 `[image, 1, row, column]` in 0..1."""
        taken = self.images[np.asarray(indices)]
        return torch.from_numpy(taken.astype(np.float32) / np.iinfo(taken.dtype).max)[:, None]

    def labels(self, findings: Mapping[str, Sequence[str]] | Sequence[str]) -> NDArray[np.int8]:
        """`[image, finding]`, see :func:`deid.training.samples.label_matrix`."""
        return label_matrix(self.samples, findings)

    def subset(self, indices: Sequence[int] | NDArray[np.int64]) -> ImageStore:
        """A store of some of the images, in this order."""
        index = np.asarray(indices, np.int64)
        taken = tuple(self.samples[i] for i in index)
        return ImageStore(self.images[index], taken, self.frames[index], self.sides[index], self.report)


@dataclass(frozen=True, eq=False)
class Loaded:
    """Images of one sample.

    Attributes:
        images: `[image, row, column]`.
        frames: `[image]`, number of the slice.
        side: Smaller side as stored, in pixels.
    """

    images: NDArray[Any]
    frames: NDArray[np.int64]
    side: int


def load_sample(sample: Sample, options: LoadOptions) -> Loaded:
    """The images of one sample.

    Raises:
        Held: It cannot be read.
        Skipped: It is no image.
    """
    parts = open_image(sample.parts or (sample.path,), sample.modality)
    slices, choice, _ = network_slices(without_false_padding(parts), options.slices, options.intensity)
    images, side = [], 0
    for units in slices:
        side = min(units.shape[1:])
        images += [_stretched(unit, options) for unit in units]
    return Loaded(np.stack(images), np.array(choice.frames, np.int64), side)


def _loaded(
    samples: Sequence[Sample], options: LoadOptions, cache: ImageCache | None, jobs: int
) -> Iterator[Loaded | str]:
    """Images of each sample in order, or the reason why there are none."""

    def load(sample: Sample) -> Loaded | str:
        try:
            return load_sample(sample, options) if cache is None else _cached(sample, options, cache)
        except (Held, Skipped) as verdict:
            return verdict.reason
        except FileNotFoundError:
            return NO_FILE
        except OSError:
            return "unreadable file"

    if jobs == 1:
        yield from map(load, samples)
        return
    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(load, samples)


def _cached(sample: Sample, options: LoadOptions, cache: ImageCache) -> Loaded:
    key = cache.key(sample.parts or (sample.path,), sample.modality)
    arrays = cache.get(key)
    if arrays is not None:
        return Loaded(arrays["images"], arrays["frames"], int(arrays["side"]))
    loaded = load_sample(sample, options)
    cache.put(key, images=loaded.images, frames=loaded.frames, side=np.int64(loaded.side))
    return loaded


def _stretched(unit: NDArray[np.float32], options: LoadOptions) -> NDArray[Any]:
    """One frame at the size of the networks, in whole numbers."""
    picture = Picture.fromarray(unit)
    for side in filter(None, (options.low_pass, options.size)):
        picture = picture.resize((side, side), Picture.Resampling.BILINEAR)
    top = (1 << options.bits) - 1
    whole: NDArray[Any] = np.rint(np.clip(np.asarray(picture), 0, 1) * top)
    return whole.astype(f"u{options.bits // 8}")


class _Filed:
    """Collects what was loaded; memory stays at about one copy."""

    def __init__(self, options: LoadOptions, minimum_side: int) -> None:
        self._options, self._minimum = options, minimum_side
        self._blocks: list[Loaded] = []
        self._samples: list[Sample] = []
        self._left_out: Counter[str] = Counter()
        self._read = self._enlarged = 0

    def add(self, sample: Sample, loaded: Loaded | str) -> None:
        if isinstance(loaded, Loaded) and loaded.side < self._minimum:
            loaded = TOO_SMALL
        if isinstance(loaded, str):
            self._left_out[loaded] += 1
            return
        self._read += 1
        self._enlarged += loaded.side < self._options.size
        self._blocks.append(loaded)
        self._samples += [sample] * len(loaded.images)

    def store(self) -> ImageStore:
        report = LoadReport(self._read, dict(sorted(self._left_out.items())), self._enlarged)
        if not self._read:
            raise UsageError(f"no image could be read: {report}. Check the paths of the manifest.")
        size = self._options.size
        images = np.empty((len(self._samples), size, size), f"u{self._options.bits // 8}")
        frames = np.concatenate([block.frames for block in self._blocks])
        sides = np.concatenate([np.full(len(block.images), block.side) for block in self._blocks])
        end = len(images)
        while self._blocks:
            block = self._blocks.pop().images  # freed as it is copied
            images[end - len(block) : end] = block
            end -= len(block)
        return ImageStore(images, tuple(self._samples), frames, sides.astype(np.int64), report)
