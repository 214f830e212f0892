"""Which instances may hold identity outside their header, so that they wait for a step that looks.

Judged by the header, and closed: an instance of a kind that often carries burned-in text, a face or a
document is of risk whatever its header denies (Burned In Annotation NO is often wrong).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum

PIXEL_TAGS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
BURNED_IN_ANNOTATION = 0x00280301
ENCAPSULATED_DOCUMENT = 0x00420011
_IMAGE_TYPE, _SOP_CLASS, _MODALITY = 0x00080008, 0x00080016, 0x00080060
_BODY_PART, _NUMBER_OF_FRAMES = 0x00180015, 0x00280008
_DESCRIPTIONS = (0x00081030, 0x0008103E, 0x00181030, 0x00321060, 0x00400254, 0x00400007)

LOOKED_AT = frozenset(
    {_IMAGE_TYPE, _SOP_CLASS, _MODALITY, _BODY_PART, _NUMBER_OF_FRAMES, BURNED_IN_ANNOTATION, *_DESCRIPTIONS}
)
"""Attributes that :func:`assess` asks for."""

_OVERLAY_POSITION, _ANY_OVERLAY = 0x60000102, 0xFF01FFFF
_LONGEST_INTEGER = 12  # characters of an IS value
VOLUME_SLICES = 16
"""From so many slices on, a volume of unknown region may show a face."""

_STORAGE = "1.2.840.10008.5.1.4.1.1."
_SECONDARY_CAPTURE = re.compile(re.escape(_STORAGE) + r"7(\.\d)?")
_DOCUMENT = re.compile(re.escape(_STORAGE) + r"104\.\d+")
_ULTRASOUND_OR_LIGHT = re.compile(re.escape(_STORAGE) + r"(3\.1|3|6|6\.1|6\.2|77\.\d+(\.\d+)*)")
_OPHTHALMIC_MEASUREMENT = re.compile(re.escape(_STORAGE) + r"77\.1\.5\.(4|5|6|7|8)")
_SLIDE = _STORAGE + "77.1.6"
_CRANIOFACIAL = _STORAGE + "13.1.2"
_VOLUME_MODALITIES = frozenset({"CT", "MR", "PT"})
_VOLUME_CLASSES = frozenset(
    {_STORAGE + "13.1.1", _CRANIOFACIAL}
    | {_STORAGE + number for number in ("2", "2.1", "2.2", "4", "4.1", "4.3", "4.4", "128", "128.1", "130")}
)
"""3D X-ray; CT, MR and PET, enhanced and legacy converted ones too."""
_PLAIN_MODALITIES = _VOLUME_MODALITIES | {
    *("NM", "CR", "DX", "MG", "XA", "RF", "PX", "IO", "BI", "BMD", "OPT", "OCT", "OPTENF", "OAM", "SM"),
    *("RTIMAGE", "RTDOSE", "SEG", "REG", "FID", "RWV", "PMAP", "M3D", "RTSTRUCT", "RTPLAN", "RTRECORD"),
}
"""Kinds of image that rarely carry burned-in text; every other kind, an unknown one too, is of risk."""
_SCREEN = re.compile(r"SCREEN|SAVE|CAPTURE|DOSE|REPORT|PASTED|SNAPSHOT")

_HEAD = re.compile(
    r"HEAD|BRAIN|SKULL|FACE|FACIAL|ORBIT|SINUS|\bIACS?\b|PITUIT|SELLA|CEREB|CRAN|NEURO|NECK|TEMPORAL|"
    r"PETROUS|MAXILL|MANDIB|DENTAL|\bTMJ\b|\bJAW|\bEYE|\bEARS?\b|NASAL|CSPINE|C-SPINE|CERVIC|CAROTID|"
    r"WHOLE ?_?BODY|\bWB\b|KOPF|SCH(AE|Ä)DEL|GEHIRN|HIRN|HALS|T(E|Ê)TE\b|CR(A|Â)NE|CERVEAU|CABEZA|TESTA|"
    r"ENCEF|HOOFD|HERSEN|\bT1.*MPR|MP-?RAGE|\bFLAIR\b|\bDTI\b|\bBOLD\b|\bFMRI|\bDWI_BRAIN"
)
_ELSEWHERE = re.compile(
    r"CHEST|THORA|LUNG|ABD|PELV|LIVER|KIDNEY|RENAL|HEART|CARDI|CORONAR|BREAST|MAMM|PROSTAT|UTER|BLADDER|"
    r"SPINE|LUMBAR|SACR|\bHIPS?\b|KNEE|ANKLE|FOOT|FEET|LEGS?\b|ARMS?\b|HAND|WRIST|ELBOW|SHOULDER|FEMUR|"
    r"TIBIA|EXTREM|AORT|PANCREA|SPLEEN|COLON|BOWEL|ENTERO|MRCP|PHANTOM|BECKEN|BAUCH|BEIN|KNIE|WIRBEL|"
    r"ABDOMEN|LSPINE|TSPINE|RECT(AL|UM)"
)


class Risk(StrEnum):
    """Why an instance is held back until a text or face step has run on it."""

    DECLARED = "burned-in text: the header declares it"
    MODALITY = "burned-in text: ultrasound, visible-light and unknown kinds of image often carry it"
    CAPTURE = "burned-in text: secondary capture or saved screen"
    SLIDE_LABEL = "burned-in text: slide label or overview"
    OVERLAY = "burned-in text: an overlay in unused bits of the pixel data"
    FACE = "face: volume of the head or neck"
    FACE_UNKNOWN = "face: volume of an unknown region"
    DOCUMENT = "document: its content cannot be cleaned yet"


def is_overlay_position(tag: int) -> bool:
    """Whether a tag is Overlay Bit Position (60xx,0102): not 0, the pixel data itself holds the overlay.

    This is retired but stands in old files. As it has no Overlay Data, no row of a table removes it.
    """
    return tag & _ANY_OVERLAY == _OVERLAY_POSITION


def assess(
    text: Callable[[int], str], has_pixels: bool, has_document: bool, has_overlay: bool = False
) -> tuple[Risk | None, str, int]:
    """Judge one instance.

    Args:
        text: Returns the stripped value of a top-level attribute, empty if it is missing.
        has_pixels: The data set holds pixel data.
        has_document: The data set holds an encapsulated document.
        has_overlay: Bits of the pixel data are an overlay (:func:`is_overlay_position`).

    Returns:
        The risk (None if there is none), the region (``head``, ``other``, ``unknown``; empty for what is no
        volume) and the number of frames.
    """
    sop_class, modality = text(_SOP_CLASS), text(_MODALITY).upper()
    number = text(_NUMBER_OF_FRAMES)
    stated = int(number) if number.isdecimal() and len(number) <= _LONGEST_INTEGER else 1
    frames = (stated or 1) if has_pixels else 0  # pixels that a header counts as no frame are pixels still
    if has_document or _DOCUMENT.fullmatch(sop_class):
        return Risk.DOCUMENT, "", frames
    if not has_pixels:
        return None, "", 0
    risk = _text_risk(text, sop_class, modality)
    if risk is not None:
        return risk, "", frames
    risk = Risk.OVERLAY if has_overlay else None
    if modality not in _VOLUME_MODALITIES and sop_class not in _VOLUME_CLASSES:
        return risk, "", frames
    region = "head" if sop_class == _CRANIOFACIAL else _region(text)
    return (Risk.FACE if region == "head" else risk), region, frames


def _text_risk(text: Callable[[int], str], sop_class: str, modality: str) -> Risk | None:
    image_type = text(_IMAGE_TYPE).upper()
    if text(BURNED_IN_ANNOTATION).upper() not in ("", "NO"):
        return Risk.DECLARED
    if sop_class == _SLIDE or modality == "SM":
        return Risk.SLIDE_LABEL if "LABEL" in image_type or "OVERVIEW" in image_type else None
    if _SECONDARY_CAPTURE.fullmatch(sop_class) or _SCREEN.search(image_type):
        return Risk.CAPTURE
    if _OPHTHALMIC_MEASUREMENT.fullmatch(sop_class) or sop_class in _VOLUME_CLASSES:
        return None
    if modality not in _PLAIN_MODALITIES or _ULTRASOUND_OR_LIGHT.fullmatch(sop_class):
        return Risk.MODALITY
    return None


def _region(text: Callable[[int], str]) -> str:
    """The region a volume shows; the head wins wherever it is named."""
    words = " ".join([text(_BODY_PART), *map(text, _DESCRIPTIONS)]).upper().replace("_", " ")
    if _HEAD.search(words):
        return "head"
    return "other" if _ELSEWHERE.search(words) else "unknown"
