"""Whether a model was made for an image, as far as the header tells."""

from __future__ import annotations

from dataclasses import dataclass

from deid.core.model_card import AgeGroup, InputRange

FRONTAL = "FRONTAL"
_FRONTAL_VIEWS = frozenset({"AP", "PA", FRONTAL})
_ADULT = 18.0
_SAME_PART = {"THORAX": "CHEST", "LUNG": "CHEST", "LUNGS": "CHEST", "THX": "CHEST"}


@dataclass(frozen=True)
class ImageFacts:
    """What a header says of an image, as far as a model's coverage depends on it.

    Attributes:
        modality: Modality (0008,0060).
        photometric: Photometric Interpretation (0028,0004).
        view: ``AP``, ``PA``, ``FRONTAL``, any other word for another view, empty where nothing says it.
        body_part: Body Part Examined (0018,0015), or the meaning of the Anatomic Region; empty where nothing
            says it.
        age: Of the patient in years; None where nothing says it.
        for_processing: Presentation Intent Type is FOR PROCESSING: raw detector values.
    """

    modality: str
    photometric: str
    view: str = ""
    body_part: str = ""
    age: float | None = None
    for_processing: bool = False


def age_group(age: float | None) -> AgeGroup:
    """Whether a patient of an age in years is a child or an adult; any where nothing says the age."""
    if age is None:
        return AgeGroup.ANY
    return AgeGroup.ADULT if age >= _ADULT else AgeGroup.CHILD


def uncovered(facts: ImageFacts, made_for: InputRange) -> str:
    """Why a model does not cover an image; empty where nothing in the header speaks against it.

    A view or body part that the header does not state is left to the look at the image itself.

    Args:
        facts: Of the image.
        made_for: Of the model.
    """
    if facts.modality not in made_for.modalities:
        return "no model for this modality"
    if facts.photometric not in made_for.photometric:
        return "no model for this photometric interpretation"
    if facts.for_processing:
        return "image for processing, not for presentation"
    if facts.view and made_for.views and not _is_view(facts.view, made_for.views):
        return "no model for this view"
    if facts.body_part and made_for.body_parts and not _shows(facts.body_part, made_for.body_parts):
        return "no model for this body part"
    if made_for.age is not AgeGroup.ANY:
        group = age_group(facts.age)
        if group is AgeGroup.ANY:
            return "the patient's age is not stated"
        if group is not made_for.age:
            return "no model for this age"
    return ""


def _is_view(view: str, views: tuple[str, ...]) -> bool:
    frontal = FRONTAL in views or {"AP", "PA"} <= set(views)
    return view in views or (frontal and view in _FRONTAL_VIEWS)


def _shows(body_part: str, body_parts: tuple[str, ...]) -> bool:
    """Whether the words for a body part name one of those that a model was made for, and no other."""
    named = _parts(body_part)
    return bool(named) and named <= {word for part in body_parts for word in _parts(part)}


def _parts(text: str) -> set[str]:
    words = text.replace("_", " ").replace("^", " ").split()
    return {_SAME_PART.get(word, word) for word in words}
