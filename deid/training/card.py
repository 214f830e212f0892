"""What a trained model's record and card say, from what was done and measured; for every training."""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import deid
from deid.core.errors import UsageError
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
    Slices,
    Weights,
    WeightsType,
    record_text,
)
from deid.pixels.network_range import IntensityRule
from deid.pixels.slices import SliceRule
from deid.reid.metrics import Interval
from deid.training.images import ImageStore, LoadReport
from deid.training.loop import FitReport
from deid.training.options import LoopOptions, ModelOptions, option_text
from deid.training.samples import Sample

CREATED_BY = f"mami-deid {deid.__version__}"
UNKNOWN = "not stated"

_CODE = re.compile(r"[A-Z0-9_]{1,16}")
_OTHER = "OT"
_NOT_OF_DICOM = {"XR": ("CR", "DX")}
"""Words of manifests that are no Modality (0008,0060), and what they stand for."""


def command_line(job: str, options: LoopOptions) -> str:
    """The command that makes a model again, with every option that is not as it is by default.

    Of paths only the kind is told (DATA, RUN, LABELS), and of a model's folder its name: the rest is the
    user's own. Options that only say where, how fast and how talkatively are left out.
    """
    parts = ["mami-deid", job, "DATA", "--out", "RUN"]
    for name, field in type(options).model_fields.items():
        value = getattr(options, name)
        if name in options.FREE - options.TOLD or value == field.get_default(call_default_factory=True):
            continue
        flag = name.replace("_", "-")
        if name in options.MODELS:
            parts += [f"--{flag}", _model_names(value)]
        elif isinstance(value, Path):
            parts += [f"--{flag}", name.upper()]
        elif isinstance(value, bool):
            parts.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            parts += [f"--{flag}", option_text(value)]
    return shlex.join(parts)


def _model_names(given: object) -> str:
    """Models named by name or folder, by name."""
    models = given if isinstance(given, tuple) else (given,)
    return ",".join(Path(str(model)).resolve().name for model in models)


def data_sources(parts: Mapping[DataRole, Sequence[Sample]]) -> tuple[DataSource, ...]:
    """How many patients and images of each source were used for what.

    Args:
        parts: The sample of each image, by use.
    """
    found = []
    for role, samples in parts.items():
        by_source: dict[tuple[str, str], list[str]] = defaultdict(list)
        for sample in samples:
            by_source[sample.source or UNKNOWN, sample.licence or UNKNOWN].append(sample.patient)
        for (source, licence), patients in sorted(by_source.items()):
            found.append(DataSource(source, licence, len(set(patients)), len(patients), role))
    return tuple(found)


def input_range(
    samples: Sequence[Sample],
    size: int,
    age: AgeGroup,
    body_parts: tuple[str, ...] = (),
    rule: IntensityRule | None = None,
) -> InputRange:
    """The images that a model was made for: those it has seen.

    Args:
        samples: What it was trained on, one an image: slices of a volume share theirs.
        size: Rows and columns of the network's input.
        age: Of the patients.
        body_parts: Values of Body Part Examined (0018,0015); what the samples say if none are given.
        rule: How values became 0..1; the default rule if None.
    """
    named = {_code(sample.modality) or _OTHER for sample in samples}
    modalities = tuple(sorted({code for name in named for code in _NOT_OF_DICOM.get(name, (name,))}))
    views = {_code(sample.view) for sample in samples}
    shown = {sample.body_part for sample in samples}
    return InputRange(
        modalities=modalities,
        photometric=("MONOCHROME1", "MONOCHROME2"),
        views=() if "" in views else tuple(sorted(views)),
        body_parts=body_parts or (() if "" in shown else tuple(sorted(shown))),
        age=age,
        size=(size, size),
        geometry=STRETCH,
        intensity=Intensity(NETWORK_RANGE, (rule or IntensityRule()).to_json()),
        slices=_slices(samples),
    )


def _slices(samples: Sequence[Sample]) -> Slices | None:
    """Which slices of a volume were taken; None where no sample gave several images."""
    rule = SliceRule()  # that of every training
    if rule.count is None or len({sample.path for sample in samples}) == len(samples):
        return None
    return Slices(rule.count, rule.middle)


def check_record(samples: Sequence[Sample], options: ModelOptions, findings: Sequence[str] = ()) -> None:
    """Find out before a training what its record could not hold.

    Args:
        samples: All that is trained on.
        options: Of the training.
        findings: What a classifier's logits will stand for.

    Raises:
        UsageError: A text is not of one line, or too long.
    """
    draft = ModelRecord(
        name=options.name,
        kind=ModelKind.CLASSIFIER,
        architecture="draft",
        arguments={"findings": list(findings)},
        findings=tuple(findings),
        input=input_range(samples, options.size, AgeGroup(options.age), options.body_parts),
        training=data_sources({DataRole.TRAINING: samples}),
        commands=(command_line("draft", options),),
        metrics=(),
        licence=options.licence,
        created_by=CREATED_BY,
        weights=Weights("0" * 64, WeightsType.FLOAT32, 0),
    )
    try:
        record_text(draft)
    except UsageError:
        raise UsageError(
            "the model's record could not hold what the data or the options say: source, licence, each label "
            "and each option must be of one line, without control characters, labels of up to 200 and all "
            "options together of up to 2000 characters."
        ) from None


def metric(name: str, found: Interval, store: ImageStore, split: str, source: str) -> Metric:
    """A measured figure with its interval of 95 %, for the record.

    Args:
        name: What was measured.
        found: The figure.
        store: The images that it was measured on.
        split: The part of the data, such as ``"test"``.
        source: The data.
    """
    known = found.low <= found.high  # both are NaN where too few replicates could be measured
    return Metric(
        name=name,
        value=found.value,
        low=found.low if known else None,
        high=found.high if known else None,
        confidence=0.95 if known else None,
        images=len(store),
        patients=len(set(store.patients)),
        split=split,
        source=source or UNKNOWN,
    )


def about(purpose: str, report: FitReport, loaded: LoadReport, limits: Iterable[str]) -> str:
    """The free part of a card: what the model is for, how it was trained, what it cannot do.

    Args:
        purpose: In one or two sentences.
        report: How the training ended.
        loaded: What became of the samples.
        limits: Each in a sentence or two.
    """
    best = ", ".join(f"{name} {value:.4g}" for name, value in report.best.items())
    return "\n".join(
        [
            purpose,
            "",
            "## Training",
            "",
            f"- Images: {loaded}.",
            f"- {report.steps} steps in {report.epochs} epochs, {report.seconds / 60:.1f} minutes on "
            f"{report.device}, {report.precision}; ended by: {report.reason}.",
            f"- Weights of epoch {report.best_epoch}, chosen on the validation patients ({best}).",
            "",
            "## Limits",
            "",
            *(f"- {limit}" for limit in limits),
            "- Weights remember: of the training images something can be drawn from them. Treat the model as "
            "its data's licences ask.",
        ]
    )


def _code(text: str) -> str:
    """The DICOM code at the start of a text such as ``AP (paediatric)``; empty if there is none."""
    first = text.split(maxsplit=1)[0].upper() if text.split() else ""
    return first if _CODE.fullmatch(first) else ""
