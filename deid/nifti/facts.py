"""What a NIfTI volume shows, by its BIDS name and its sidecar: the file itself says nothing of it."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from deid.core.coverage import ImageFacts
from deid.nifti.bids import parse_name, subject_label
from deid.nifti.labels import split_extension
from deid.nifti.sidecar import read_object

_MR_SUFFIXES = frozenset(
    {"T1w", "T2w", "PDw", "T2starw", "FLAIR", "PDT2", "inplaneT1", "inplaneT2", "angio", "UNIT1"}
    | {"bold", "sbref", "dwi", "asl", "m0scan"}
)
PICTURES = {"ct": "CT", "CT": "CT", "pet": "PT", **dict.fromkeys(sorted(_MR_SUFFIXES), "MR")}
"""BIDS suffixes of pictures of a patient, and their modality; maps, masks and fields are none."""
_MODALITIES = frozenset(PICTURES.values())


def facts_of(source: Path, relative: str) -> ImageFacts:
    """What a model's coverage depends on.

    The modality is empty where nothing says it, where name and sidecar contradict each other, and for maps
    and masks, whose values are no picture.

    Args:
        source: The volume, or the header of a pair.
        relative: Its source path in the tree.
    """
    stem, _ = split_extension(source.name)
    sidecar = read_object(source.with_name(stem + ".json"))
    said, body_part = (str(sidecar.get(key, "")).strip().upper() for key in ("Modality", "BodyPartExamined"))
    entities = parse_name(split_extension(PurePosixPath(relative).name)[0], subject_label(relative))
    suffix = entities[-1][1] if entities else ""
    named = PICTURES.get(suffix, "") if suffix else said
    known = named in _MODALITIES and said in ("", named)
    return ImageFacts(named if known else "", "MONOCHROME2", body_part=body_part)
