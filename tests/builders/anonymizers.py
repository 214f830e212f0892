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


def heads(seed: int, patients: int, size: int = 32) -> torch.Tensor:
    """All slices of phantom heads, `[image, 1, row, column]` in 0..1."""
    volumes = make_cohort(patients, 1, seed, "head", size).images
    return torch.from_numpy(volumes.astype("float32")).flatten(0, 1)[:, None]


def save_models(folder: Path, **changes: object) -> Path:
    """``scrubber``, ``critic``, ``fresh`` and ``reader`` in a folder; the scrubber has met all but ``fresh``.

    Args:
        folder: Receives a folder for each.
        changes: Of the scrubber's input range.
    """
    made_for = replace(CHEST, age=AgeGroup.ANY, size=(SIZE, SIZE))
    made_for = replace(made_for, **changes)
    scrubber = _scrubber(chests(4, 4))
    scrubber.familiarity.fit(chests(1, 300), chests(2, 60))
    known = {"companions": ("critic", "reader"), "input": made_for}
    _save(folder, "scrubber", scrubber, ModelKind.ANONYMIZER, "anonymizer", ANONYMIZER, **known)
    for name in ("critic", "fresh"):
        _save(folder, name, None, ModelKind.REID, "compact-resnet", COMPACT, input=made_for)
    findings = tuple(CLASSIFIER["findings"])
    _save(
        folder, "reader", None, ModelKind.CLASSIFIER, "classifier", CLASSIFIER,
        input=made_for, findings=findings,
    )  # fmt: skip
    return folder


def save_attacker(folder: Path, name: str, anonymizer: str) -> None:
    """An attacker that was trained on what an anonymizer makes, in a folder."""
    made_for = replace(CHEST, age=AgeGroup.ANY, size=(SIZE, SIZE))
    known = {"companions": (anonymizer,), "input": made_for}
    _save(folder, name, None, ModelKind.ATTACKER, "compact-resnet", COMPACT, **known)


def save_head_scrubber(folder: Path, modality: str = "MR", **changes: object) -> Path:
    """An anonymizer called ``heads`` for head volumes that only displaces and replaces, in a folder."""
    made_for = replace(
        CHEST, modalities=(modality,), views=(), body_parts=("HEAD",), age=AgeGroup.ANY, size=(SIZE, SIZE)
    )
    scrubber = _scrubber(heads(4, 1)[8:24:4])
    scrubber.familiarity.fit(heads(1, 40), heads(2, 12), share=1.0)
    known = {"input": replace(made_for, **changes)}
    _save(folder, "heads", scrubber, ModelKind.ANONYMIZER, "anonymizer", ANONYMIZER, **known)
    return folder


def save_open_scrubber(folder: Path, **changes: object) -> Path:
    """An anonymizer called ``any`` that finds every image familiar, for whatever the changes say."""
    scrubber = _scrubber(chests(4, 4))
    scrubber.familiarity.fit(chests(1, 60), chests(2, 20))
    scrubber.familiarity.limits.fill_(1e30)
    made_for = replace(CHEST, views=(), body_parts=(), age=AgeGroup.ANY, size=(SIZE, SIZE))
    known = {"input": replace(made_for, **changes)}
    _save(folder, "any", scrubber, ModelKind.ANONYMIZER, "anonymizer", ANONYMIZER, **known)
    return folder


def _scrubber(means: torch.Tensor) -> Anonymizer:
    torch.manual_seed(3)
    scrubber = Anonymizer(**ANONYMIZER)
    for operator in scrubber.operators.values():
        if hasattr(operator, "set_templates"):
            operator.set_templates(means)
    return scrubber.eval()


def _save(
    folder: Path,
    name: str,
    network: torch.nn.Module | None,
    kind: ModelKind,
    architecture: str,
    arguments: dict,
    findings: tuple[str, ...] = (),
    **more: object,
) -> None:
    made = record(name, kind=kind, architecture=architecture, arguments=arguments, findings=findings, **more)
    save_model(folder / name, network or build(architecture, arguments).eval(), made, f"# {name}\n")
