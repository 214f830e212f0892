"""A small anonymizer that knows phantom chests, with a critic and a classifier, all with random weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from builders.models import CHEST, record
from deid.core.model_card import AgeGroup, ModelKind
from deid.networks.anonymizer import Anonymizer
from deid.networks.architectures import build
from deid.networks.folder import save_model
from deid.training.phantoms import make_cohort

SIZE = 32
ANONYMIZER = {
    "size": SIZE, "encoder": "tu-regnetx_002", "depth": 3, "decoder": [16, 12, 8],
    "operators": {"ksame": {"templates": 4}, "residual": {}, "warp": {}},
}  # fmt: skip
COMPACT = {"size": SIZE, "width": 4, "dimension": 16}
CLASSIFIER = {"backbone": "lcnet_035", "findings": ["Effusion", "Mass"], "size": SIZE}


def chests(seed: int, patients: int) -> torch.Tensor:
    """`[image, 1, row, column]` in 0..1."""
    images = make_cohort(patients, 1, seed, "chest", 48).images
    return torch.from_numpy(images.astype("float32"))[:, None]


def save_models(folder: Path, **changes: object) -> Path:
    """``scrubber``, ``critic``, ``fresh`` and ``reader`` in a folder; the scrubber has met all but ``fresh``.

    Args:
        folder: Receives a folder for each.
        changes: Of the scrubber's input range.
    """
    made_for = replace(CHEST, age=AgeGroup.ANY, size=(SIZE, SIZE))
    made_for = replace(made_for, **changes)
    torch.manual_seed(3)
    scrubber = Anonymizer(**ANONYMIZER)
    scrubber.familiarity.fit(chests(1, 300), chests(2, 60))
    for operator in scrubber.operators.values():
        if hasattr(operator, "set_templates"):
            operator.set_templates(chests(4, 4))
    known = {"companions": ("critic", "reader"), "input": made_for}
    parts = (
        ("scrubber", scrubber.eval(), ModelKind.ANONYMIZER, "anonymizer", ANONYMIZER, known),
        ("critic", None, ModelKind.REID, "compact-resnet", COMPACT, {"input": made_for}),
        ("fresh", None, ModelKind.REID, "compact-resnet", COMPACT, {"input": made_for}),
        ("reader", None, ModelKind.CLASSIFIER, "classifier", CLASSIFIER, {"input": made_for}),
    )
    for name, network, kind, architecture, arguments, more in parts:
        findings = tuple(CLASSIFIER["findings"]) if kind is ModelKind.CLASSIFIER else ()
        made = record(
            name, kind=kind, architecture=architecture, arguments=arguments, findings=findings, **more
        )
        save_model(folder / name, network or build(architecture, arguments).eval(), made, f"# {name}\n")
    return folder
