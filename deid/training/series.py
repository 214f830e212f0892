"""The files of a DICOM series as samples: which of them are one volume, and what their headers say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from deid.core.errors import Held, Skipped, UsageError
from deid.core.files import UNREADABLE_FILE, VERSION_CONTROL, InputFile, SkippedInput, discover
from deid.core.noise import NoiseCounter
from deid.training.samples import Sample

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_VOLUMES = frozenset({"CT", "MR", "PT"})


@dataclass(frozen=True)
class SeriesFile:
    """One image file.

    Attributes:
        sample: What is known of it.
        relative: Its path below the folder.
        label_key: The patient's name in a file of labels.
        volume: What it has in common with the other slices of a volume; None for an image of its own.
        device: Manufacturer and model.
        series: Series Instance UID.
    """

    sample: Sample
    relative: str
    label_key: str
    volume: tuple[object, ...] | None = None
    device: str = ""
    series: str = ""


def read_image_header(path: Path) -> Dataset:
    """The header of a DICOM image that networks can see.

    Raises:
        Held: It cannot be read, or is no such image.
        Skipped: The file is no DICOM file.
        OSError: The system cannot read it.
    """
    from deid.dicom.image_header import refuse_unsupported
    from deid.dicom.pixels import read_header

    header = read_header(path)
    refuse_unsupported(header)
    return header


def series_file(found: InputFile, header: Dataset, patient: str = "", label_key: str = "") -> SeriesFile:
    """What a header says of a file.

    View and body part are words of the standard, or ``OTHER``. Slices of one volume have series, size and
    direction in common; an object with several frames is a volume of its own.

    Args:
        found: The file.
        header: Of :func:`read_image_header`.
        patient: Who it shows.
        label_key: The patient's name in a file of labels.

    Raises:
        Held: A value cannot be read.
    """
    from deid.dicom.defined_terms import BODY_PARTS, MODALITIES, VIEW_POSITIONS, defined
    from deid.dicom.image_facts import facts_of
    from deid.dicom.image_header import frame_count, orientation_of, text, whole

    facts, orientation = facts_of(header), orientation_of(header)
    modality, series = facts.modality, text(header, "SeriesInstanceUID")
    if modality in _VOLUMES:
        plane = "" if orientation is None else "SCA"[int(np.abs(np.cross(*orientation)).argmax())]
        alike = f"{text(header, 'SeriesDescription')} {plane}"
    else:
        alike = text(header, "ImageLaterality") or text(header, "Laterality")
    volume: tuple[object, ...] | None = None
    if modality in _VOLUMES and frame_count(header) == 1 and orientation is not None:
        sizes = (whole(header, "Rows"), whole(header, "Columns"))
        volume = (series, *sizes, *np.round(orientation, 2).ravel().tolist())
    sample = Sample(
        path=found.path,
        patient=patient,
        modality=defined(modality, MODALITIES, "OT"),
        study=text(header, "StudyInstanceUID"),
        view=defined(facts.view, VIEW_POSITIONS),
        body_part=defined(facts.body_part, BODY_PARTS),
        alike=" ".join(filter(None, (facts.body_part, facts.view, alike.strip()))),
    )
    device = " ".join((text(header, "Manufacturer"), text(header, "ManufacturerModelName"))).strip()
    return SeriesFile(sample, found.relative, label_key, volume, device, series)


def joined(files: list[SeriesFile]) -> Sample:
    """The sample of all files of one volume; they are sorted by name, and their planes when they are read."""
    files.sort(key=lambda file: file.relative)
    parts = tuple(file.sample.path for file in files) if len(files) > 1 else ()
    return replace(files[0].sample, parts=parts)


def read_series(folder: Path, where: str) -> tuple[Sample, Mapping[str, int]]:
    """Read a folder, at any depth, that holds one series and so one image or volume, as a tree reader does.

    Files that are no DICOM images (a DICOMDIR, documents, other formats) are passed over and counted. All
    others must be readable: a series with slices missing is another volume.

    Args:
        folder: The folder.
        where: What names it, for messages, such as ``the manifest's line 3``.

    Returns:
        A sample of no patient and no source; what was passed over, by reason.

    Raises:
        UsageError: It holds no image, several series or images, or what cannot be read.
    """
    from deid.dicom.image_header import NO_IMAGE

    NoiseCounter.installed()  # what the libraries say holds values of the files
    files: list[SeriesFile] = []
    beside: Counter[str] = Counter()
    unreadable: Counter[str] = Counter()
    for found in discover(folder):
        if isinstance(found, SkippedInput):
            (beside if found.reason == VERSION_CONTROL else unreadable)[found.reason] += 1
            continue
        try:
            files.append(series_file(found, read_image_header(found.path)))
        except Skipped as skipped:
            beside[skipped.reason] += 1
        except Held as held:
            (beside if held.reason == NO_IMAGE else unreadable)[held.reason] += 1
        except OSError:
            unreadable[UNREADABLE_FILE] += 1
    _refuse_unless_one(files, beside, unreadable, where)
    return joined(files), beside


def _refuse_unless_one(
    files: list[SeriesFile], beside: Counter[str], unreadable: Counter[str], where: str
) -> None:
    named = f"{where} names a folder"
    allowed = "a folder on a line must hold the files of one DICOM series"
    if unreadable:
        raise UsageError(
            f"{named} in which something cannot be read ({_listed(unreadable)}); {allowed}, whole and in "
            "files of its own. Mend it or take it out."
        )
    if not files:
        raise UsageError(
            f"{named} that holds no DICOM image ({_listed(beside) or 'it is empty'}); {allowed}. Name that "
            "folder; name pictures and NIfTI files themselves, with a line for each."
        )
    series = len({file.series for file in files})
    if series > 1:
        raise UsageError(
            f"{named} that holds {series} series (by Series Instance UID); {allowed}. Give each series a "
            "folder and a line of its own, or give the folder of all instead of a manifest."
        )
    volumes = {file.volume for file in files}
    if len(files) > 1 and (len(volumes) > 1 or None in volumes):
        raise UsageError(
            f"{named} that holds one series in {len(files)} files which are no slices of one volume (CT, MR "
            "or PET of one size and direction). Give the files of each volume a folder and a line of their "
            "own, and every other image a line with its file."
        )


def _listed(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
