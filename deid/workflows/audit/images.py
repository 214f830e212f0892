"""The pictures of a release as networks see them, both sides alike."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deid.audit.release import Instance, Release
from deid.core.coverage import age_group
from deid.core.errors import Held, Skipped
from deid.workflows.audit.labels import Labels, read_labels

if TYPE_CHECKING:
    from deid.audit.pictures import AuditImages
    from deid.training.images import LoadOptions

_VOLUMES = frozenset({"CT", "MR", "PT"})
_IN_MEMORY = 1 << 30
UNEQUAL, UNREADABLE = "the two sides show different slices", "unreadable file"
_Progress = Callable[[int], object]


@dataclass(frozen=True)
class Item:
    """One image, or the files of one volume, with its original.

    Attributes:
        instances: Its files; all of one series.
    """

    instances: tuple[Instance, ...]

    @property
    def first(self) -> Instance:
        """Stands for patient, study and kind."""
        return self.instances[0]


@dataclass(frozen=True, eq=False)
class Pictures:
    """What could be read.

    Attributes:
        images: For the attacks; None if nothing could be read.
        left_out: Items without pictures and labels without items, by reason.
    """

    images: AuditImages | None
    left_out: Mapping[str, int]


def load_pictures(
    release: Release,
    size: int,
    most: int,
    seed: int,
    labels: Path | None,
    folder: Path,
    progress: _Progress | None = None,
) -> Pictures:
    """Decode both sides, map each to 0..1 by its own values, and resize.

    A volume gives the slices of the default rule (:class:`deid.pixels.slices.SliceRule`), the same ones on
    both sides.

    Args:
        release: What is audited.
        size: Side of the square pictures, in pixels.
        most: Images and volumes at most, patients with several studies first.
        seed: Of the draw.
        labels: CSV of what the images show (:mod:`deid.workflows.audit.labels`); None without.
        folder: A private temporary folder for pictures that do not fit into memory.
        progress: Called with 1 after each image.
    """
    from deid.training.images import LoadOptions

    options = LoadOptions(size, bits=16)
    left_out: Counter[str] = Counter()
    blocks: list[tuple[Item, list[NDArray[np.uint16]]]] = []
    for item in chosen_items(release, most, seed):
        loaded = _sides(item, release.paired, options)
        if isinstance(loaded, str):
            left_out[loaded] += 1
        else:
            blocks.append((item, loaded))
        if progress is not None:
            progress(1)
    known = read_labels(labels, _items(release))
    left_out.update(known.unused)
    images = _joined(blocks, size, known, folder) if blocks else None
    return Pictures(images, dict(sorted(left_out.items())))


def chosen_items(release: Release, most: int, seed: int) -> list[Item]:
    """Images or volumes of whole patients, up to a number: those with several studies first, then drawn."""
    items: defaultdict[str, list[Item]] = defaultdict(list)
    for item in _items(release):
        items[item.first.patient].append(item)
    names = sorted(items)
    order = [names[index] for index in np.random.default_rng(seed).permutation(len(names))]
    order.sort(key=lambda name: len({item.first.study for item in items[name]}) < 2)
    taken: list[Item] = []
    for name in order:
        if taken and len(taken) + len(items[name]) > most:
            break
        taken += items[name]
    return sorted(taken, key=lambda item: item.first.name)


def all_items(release: Release) -> list[Item]:
    """Every image and volume of a release."""
    return list(_items(release))


def pictures_of(item: Item, paired: bool, size: int) -> int:
    """Read one image or volume as :func:`load_pictures` does; how many pictures it gives, 0 if unreadable."""
    from deid.training.images import LoadOptions

    loaded = _sides(item, paired, LoadOptions(size, bits=16))
    return 0 if isinstance(loaded, str) else len(loaded[0])


def _items(release: Release) -> Iterator[Item]:
    """Files that show pictures; those of one series of CT, MR or PT are one volume."""
    volumes: defaultdict[str, list[Instance]] = defaultdict(list)
    for instance in release.instances:
        if instance.modality in _VOLUMES and instance.series:
            volumes[instance.series].append(instance)
        else:
            yield Item((instance,))
    yield from (Item(tuple(instances)) for instances in volumes.values())


def _sides(item: Item, paired: bool, options: LoadOptions) -> list[NDArray[np.uint16]] | str:
    """Pictures `[image, row, column]` of the original, if there is one, and of the output; or why not."""
    from deid.training.images import load_sample
    from deid.training.samples import Sample

    paths = [tuple(each.scrubbed for each in item.instances)]
    if paired:
        paths.insert(0, tuple(each.original for each in item.instances if each.original is not None))
    try:
        loaded = [
            load_sample(Sample(files[0], "", modality=item.first.modality, parts=files), options)
            for files in paths
        ]
    except (Held, Skipped) as verdict:
        return verdict.reason
    except OSError:
        return UNREADABLE
    common = sorted(set.intersection(*(set(side.frames.tolist()) for side in loaded)))
    if not common:
        return UNEQUAL
    return [side.images[np.isin(side.frames, common)] for side in loaded]


def _joined(
    blocks: Sequence[tuple[Item, list[NDArray[np.uint16]]]],
    size: int,
    labels: Labels,
    folder: Path,
) -> AuditImages:
    from deid.audit.pictures import AuditImages

    of = [item for item, sides in blocks for _ in sides[0]]
    arrays = []
    for side in range(len(blocks[0][1])):
        array = _room((len(of), size, size), folder / f"side{side}")
        start = 0
        for _, sides in blocks:
            array[start : start + len(sides[side])] = sides[side].astype(np.float32) / np.iinfo(np.uint16).max
            start += len(sides[side])
        arrays.append(array)
    matrix, findings = labels.matrix(of)
    return AuditImages(
        originals=arrays[0] if len(arrays) > 1 else None,
        scrubbed=arrays[-1],
        patients=tuple(item.first.patient for item in of),
        studies=tuple(item.first.study for item in of),
        sources=_sources([item.first for item in of]),
        labels=matrix,
        findings=findings,
        refs=tuple(item.first.ref for item in of),
    )


def _sources(instances: Sequence[Instance]) -> tuple[str, ...]:
    """What images must have in common to be compared: modality, view, and whether they show children.

    A radiograph is one with any detector. Nobody takes a child for an adult, so that an impostor of the other
    group would be no impostor. A patient who grew up between two studies stays in the group of the first.
    """
    ages: dict[str, float] = {}
    for each in instances:
        if each.age is not None:
            ages[each.patient] = min(each.age, ages.get(each.patient, each.age))
    kinds = (
        ("DX" if each.modality == "CR" else each.modality, each.view, age_group(ages.get(each.patient)))
        for each in instances
    )
    return tuple(" ".join(word for word in kind if word) for kind in kinds)


def _room(shape: tuple[int, ...], path: Path) -> NDArray[np.float32]:
    """An array in memory, or in a file where it is large."""
    if int(np.prod(shape)) * 4 <= _IN_MEMORY:
        return np.empty(shape, np.float32)
    return np.memmap(path, np.float32, "w+", shape=shape)
