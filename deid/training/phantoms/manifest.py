"""The manifest of written phantoms, and phantoms as plain pictures."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image as Picture

from deid.core.errors import UsageError
from deid.training.phantoms.cohort import Cohort, Study

COLUMNS = (
    *("path", "source", "modality", "patient_id", "study", "view", "labels", "licence", "width", "height"),
)
LICENCE = "CC0-1.0"


def new_folder(folder: Path) -> None:
    """Make the folder of a data set.

    Raises:
        UsageError: It holds something already, or cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = next(folder.iterdir(), None) is not None
    except OSError:
        raise UsageError(f"the folder {folder} cannot be made; give another one.") from None
    if taken:
        raise UsageError(f"the folder {folder} is not empty; delete what it holds, or give another one.")


def write_manifest(cohort: Cohort, folder: Path, paths: Sequence[Path]) -> None:
    """Write ``manifest.csv`` into the folder, one line an image or volume.

    Args:
        cohort: What was written.
        folder: Where to.
        paths: Of each study the file that stands for it.
    """
    with (folder / "manifest.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for study, path in zip(cohort.studies, paths, strict=True):
            height, width = cohort.images.shape[-2:]
            place = path.relative_to(folder).as_posix()
            writer.writerow((place, *_described(cohort, study), LICENCE, width, height))


def _described(cohort: Cohort, study: Study) -> tuple[str, ...]:
    return (
        f"phantom-{cohort.kind}",
        study.acquisition.modality,
        study.person.id,
        f"study{study.study + 1}",
        study.acquisition.view,
        ";".join(study.disease.findings) or "No Finding",
    )


def write_png(cohort: Cohort, folder: Path) -> tuple[Path, ...]:
    """Write one 8-bit picture a study, of a volume its middle slice, and ``manifest.csv``.

    Returns:
        The pictures, in the cohort's order.

    Raises:
        UsageError: The folder holds something already.
    """
    new_folder(folder)
    paths = []
    for image, study in zip(cohort.images, cohort.studies, strict=True):
        shown = image if image.ndim == 2 else image[len(image) * 2 // 3]
        path = folder / study.person.id / f"study{study.study + 1}.png"
        path.parent.mkdir(exist_ok=True)
        Picture.fromarray(np.rint(shown * 255).astype(np.uint8)).save(path)
        paths.append(path)
    write_manifest(cohort, folder, paths)
    return tuple(paths)
