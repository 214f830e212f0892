"""What a header says of an image's kind: view, body part, age (PS3.3 C.8.7.5, C.8.11, C.7.2.2)."""

from __future__ import annotations

import re
from datetime import datetime

from pydicom.dataset import Dataset

from deid.core.coverage import FRONTAL, ImageFacts
from deid.dicom.image_header import text, value_of

_VIEW_CODES = {"399348003": "AP", "272479007": "PA", "399033003": FRONTAL, "R-10206": "AP", "R-10214": "PA"}
"""CID 4010, SNOMED CT and the older SNOMED-RT."""
_CHEST_CODES = frozenset({"51185008", "816094009", "43799004", "T-D3000"})
"""Chest, thorax, thoracic cavity (CID 4030, CID 4031)."""
_AGE = re.compile(r"(\d{3})([DWMY])")
_PER_YEAR = {"D": 365.25, "W": 52.18, "M": 12.0, "Y": 1.0}
_OTHER = "OTHER"


def facts_of(header: Dataset) -> ImageFacts:
    """The facts in a header that a model's coverage depends on.

    Raises:
        Held: A value cannot be read.
    """
    return ImageFacts(
        modality=text(header, "Modality"),
        photometric=text(header, "PhotometricInterpretation"),
        view=text(header, "ViewPosition") or _coded(header, "ViewCodeSequence", _VIEW_CODES),
        body_part=text(header, "BodyPartExamined")
        or _coded(header, "AnatomicRegionSequence", dict.fromkeys(_CHEST_CODES, "CHEST")),
        age=_age(header),
        for_processing=text(header, "PresentationIntentType") == "FOR PROCESSING",
    )


def _coded(header: Dataset, sequence: str, words: dict[str, str]) -> str:
    """The word for the code in a sequence; :data:`_OTHER` for a code that none stands for."""
    items = value_of(header, sequence)
    if not items:
        return ""
    return words.get(text(items[0], "CodeValue"), _OTHER)


def _age(header: Dataset) -> float | None:
    """Patient's Age in years, or what birth and study date make of it."""
    match = _AGE.fullmatch(text(header, "PatientAge"))
    if match is not None:
        return int(match[1]) / _PER_YEAR[match[2]]
    try:
        born, seen = (
            datetime.strptime(text(header, name), "%Y%m%d") for name in ("PatientBirthDate", "StudyDate")
        )
    except ValueError:
        return None
    return (seen - born).days / _PER_YEAR["D"]
