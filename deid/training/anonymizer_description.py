"""What the records of an anonymizer and of the attacker beside it say of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deid.core.model_card import ModelKind, ModelRecord
from deid.training.attacker import Attack
from deid.training.export import Description

TOO_FEW = "too few patients are labelled with and without a finding that the classifier knows."
"""Ends a sentence on findings that cannot be measured."""
_PURPOSE = (
    "Takes cues of identity out of images: large forms and tone give way to those of a mean over other "
    "patients, and the rest is displaced by noise under the project's key, so what is lost cannot be "
    "computed from the result. Scrubbed images are not for diagnosis."
)
_LIMITS = (
    "The figures are those of the attackers trained here, on so many patients; a stronger one reaches more.",
    "The key's noise is taken to be secret: who has it can undo more than the inversions measured here.",
    "Findings that the classifier does not know may be lost; what it knows is measured above.",
)
_UNMEASURED = f"Findings may be lost: how much was not measured, for {TOO_FEW}"
_ATTACKER = (
    "Recognises patients on images that the anonymizer beside it has scrubbed at its highest measured "
    "strength: it was trained on such images with keys of its own, and serves the audit as an attacker."
)
_ATTACKER_LIMITS = ("It knows one anonymizer. Against another a new attacker must be trained.",)
_VERIFICATION = (
    "Figures by verification are of what it says of two images; an audit compares its embeddings by cosine."
)
_JOB = "train-unet"


def of_anonymizer(
    arguments: Mapping[str, Any], with_whom: Sequence[str], earlier: ModelRecord | None, *, is_measured: bool
) -> Description:
    """Of the anonymizer.

    Args:
        arguments: Of its architecture.
        with_whom: The classifier and the critics that are models, by name or folder.
        earlier: Record of the anonymizer that it went on from.
        is_measured: Whether it is known what findings lose.
    """
    return Description(
        _JOB,
        ModelKind.ANONYMIZER,
        "anonymizer",
        arguments,
        _PURPOSE,
        _LIMITS if is_measured else (*_LIMITS[:-1], _UNMEASURED),
        companions=tuple(dict.fromkeys(Path(given).resolve().name for given in with_whom)),
        earlier=earlier,
    )


def of_attacker(built: tuple[str, dict[str, Any]], anonymizer: str, attack: Attack) -> Description:
    """Of the attacker.

    Args:
        built: Its architecture and the arguments of that.
        anonymizer: Name of the anonymizer whose images it learned from.
        attack: How it was measured.
    """
    limits = _ATTACKER_LIMITS if attack.comparison == "cosine" else (*_ATTACKER_LIMITS, _VERIFICATION)
    return Description(_JOB, ModelKind.ATTACKER, *built, _ATTACKER, limits, companions=(anonymizer,))
