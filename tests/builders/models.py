"""Records of model folders."""

from dataclasses import replace

from deid.core.model_card import (
    NETWORK_RANGE,
    STRETCH,
    AgeGroup,
    DataRole,
    DataSource,
    InputRange,
    Intensity,
    Metric,
    ModelKind,
    ModelRecord,
)
from deid.pixels.network_range import IntensityRule

CHEST = InputRange(
    modalities=("CR", "DX"),
    photometric=("MONOCHROME1", "MONOCHROME2"),
    views=("PA",),
    body_parts=("CHEST",),
    age=AgeGroup.ADULT,
    size=(8, 8),
    geometry=STRETCH,
    intensity=Intensity(NETWORK_RANGE, IntensityRule().to_json()),
)


def record(name: str = "tiny", **changes: object) -> ModelRecord:
    """A record without weights."""
    made = ModelRecord(
        name=name,
        kind=ModelKind.CLASSIFIER,
        architecture="tiny",
        arguments={"width": 4},
        findings=("Effusion", "No Finding"),
        input=CHEST,
        training=(DataSource("phantoms", "CC0-1.0", 40, 80, DataRole.TRAINING),),
        commands=("mami-deid train-classifier phantoms --seed 1",),
        metrics=(Metric("ROC AUC", 0.9, 0.8, 0.95, 0.95, 20, 10, "test", "phantoms"),),
        licence="Apache-2.0",
        created_by="mami-deid 0",
    )
    return replace(made, **changes)
