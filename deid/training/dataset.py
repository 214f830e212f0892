"""From what a user names to images in memory, split by patient; the same for every training."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deid.core.errors import UsageError
from deid.training.card import check_record
from deid.training.images import ImageStore, LoadOptions
from deid.training.manifest import read_manifest
from deid.training.options import ModelOptions
from deid.training.progress import LoadProgress
from deid.training.samples import SampleTable
from deid.training.split import Split, near_duplicates, split_patients
from deid.training.tree import read_tree


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and their parts; no patient is in two of them.

    Attributes:
        store: All images.
        split: Indices of the parts.
        joined: Pairs of images that are nearly the same, which lie in one part.
    """

    store: ImageStore
    split: Split
    joined: int

    @cached_property
    def train(self) -> ImageStore:
        """Images to learn from."""
        return self.store.subset(self.split.train)

    @cached_property
    def validation(self) -> ImageStore:
        """Images for every choice."""
        return self.store.subset(self.split.validation)

    @cached_property
    def test(self) -> ImageStore:
        """Images for one look at the end."""
        return self.store.subset(self.split.test)

    def digest(self) -> str:
        """SHA-256, in hex, of pixels, patients and labels: a resumed run must have the same."""
        digest = hashlib.sha256(np.ascontiguousarray(self.store.images).data)
        for sample in self.store.samples:
            digest.update(repr((sample.patient, sample.source, sample.findings)).encode())
        return digest.hexdigest()


def read_samples(data: Path, options: ModelOptions) -> SampleTable:
    """The samples of a manifest, or of a tree of DICOM or BIDS files, that the options ask for.

    Args:
        data: The manifest, a folder with a ``manifest.csv``, or the tree.
        options: Of the training.

    Raises:
        UsageError: The data cannot be used, or nothing is left of them.
    """
    manifest = data / "manifest.csv" if data.is_dir() else data
    if data.is_dir() and not manifest.is_file():
        table = read_tree(data, options.labels)
    elif options.labels is not None:
        raise UsageError("--labels goes with a folder of images; a manifest has its own column labels.")
    else:
        table = read_manifest(manifest)
    if options.test_sources and not options.sources:
        raise UsageError(
            "--test-sources says what to measure on; say with --sources what to learn from, too."
        )
    sources = (*options.sources, *options.test_sources)
    chosen = table.only(sources=sources or None, modalities=options.modalities or None)
    if not len(chosen):
        have = ", ".join(sorted({sample.source for sample in table} | {sample.modality for sample in table}))
        raise UsageError(f"--sources and --modalities leave nothing of the data, which have: {have}.")
    check_record(chosen.samples, options)
    return replace(chosen, left_out=table.left_out)


def load_dataset(
    table: SampleTable, options: ModelOptions, say: Callable[[str], None] = lambda _: None
) -> Dataset:
    """Read all images and split them.

    Args:
        table: The samples.
        options: Of the training.
        say: Receives lines for the user while it takes long.

    Raises:
        UsageError: No image can be read, or no patients are left for one of the parts.
    """
    how = LoadOptions(options.size, low_pass=options.low_pass or None)
    store = ImageStore.load(
        table.samples,
        options.size,
        options.jobs,
        options=how,
        minimum_side=options.minimum_side,
        cache=options.cache,
        progress=LoadProgress(len(table), say),
    )
    left_out = Counter(table.left_out) + Counter(store.report.left_out)
    store = replace(store, report=replace(store.report, left_out=dict(left_out)))
    duplicates = near_duplicates(store.images)
    split = _by_source(split_patients(store.patients, duplicates), store, options)
    dataset = Dataset(store, split, len(duplicates))
    for name, part in (("train", split.train), ("validation", split.validation), ("test", split.test)):
        if not len(part):
            raise UsageError(
                f"no patient is left for {name}: of {len(set(store.patients))} patients about 70, 10 and 20 "
                "% become train, validation and test. Give more patients (with --test-sources, of both)."
            )
    return dataset


def _by_source(split: Split, store: ImageStore, options: ModelOptions) -> Split:
    """To learn from some sources and be measured on others: of each part the images of its own."""
    if not options.test_sources:
        return split
    sources = np.array([sample.source for sample in store.samples])

    def of(part: NDArray[np.int64], names: tuple[str, ...]) -> NDArray[np.int64]:
        return part[np.isin(sources[part], names)]

    return Split(
        of(split.train, options.sources),
        of(split.validation, options.sources),
        of(split.test, options.test_sources),
    )
