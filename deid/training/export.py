"""The last step of every training: the network, its record and its card in a model folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from deid.core.card_text import card_text
from deid.core.model_card import AgeGroup, DataRole, Metric, ModelKind, ModelRecord, WeightsType
from deid.networks.folder import save_model
from deid.training.card import CREATED_BY, about, command_line, data_sources, input_range
from deid.training.dataset import Dataset
from deid.training.loop import FitReport
from deid.training.options import ModelOptions


@dataclass(frozen=True)
class Description:
    """What a record says of a model beside its data and options.

    Attributes:
        job: The command that made it.
        kind: What it is.
        architecture: A name in `deid.networks.architectures`.
        arguments: Of the architecture.
        purpose: What it is for, in one or two sentences.
        limits: What it cannot do, each in a sentence or two.
        findings: What its logits stand for.
        companions: Names of the models that it was trained with.
        earlier: Record of the model that the training went on from: its commands, training data and
            companions made this one, too.
    """

    job: str
    kind: ModelKind
    architecture: str
    arguments: Mapping[str, object]
    purpose: str
    limits: Sequence[str]
    findings: tuple[str, ...] = ()
    companions: tuple[str, ...] = ()
    earlier: ModelRecord | None = None


def export_model(
    folder: Path,
    network: nn.Module,
    description: Description,
    dataset: Dataset,
    options: ModelOptions,
    report: FitReport,
    metrics: tuple[Metric, ...],
) -> Path:
    """Write a model folder, in the place of one that is there; the network is moved to the CPU.

    Args:
        folder: Its name is the model's.
        network: The trained network.
        description: What it is.
        dataset: What it was trained, chosen and measured on.
        options: Of the training.
        report: How the training ended.
        metrics: Figures on the test patients.

    Returns:
        The folder.

    Raises:
        UsageError: The folder cannot be written.
    """
    samples = dataset.train.samples
    parts = {
        DataRole.TRAINING: samples,
        DataRole.VALIDATION: dataset.validation.samples,
        DataRole.TEST: dataset.test.samples,
    }
    earlier = description.earlier
    training = data_sources(parts)
    commands: tuple[str, ...] = (command_line(description.job, options),)
    companions = description.companions
    if earlier is not None:
        training += tuple(
            each for each in earlier.training if each.role is DataRole.TRAINING and each not in training
        )
        commands = (*earlier.commands, *commands)
        companions = tuple(dict.fromkeys((*earlier.companions, *companions)))
    record = ModelRecord(
        name=folder.name,
        kind=description.kind,
        architecture=description.architecture,
        arguments=description.arguments,
        findings=description.findings,
        input=input_range(samples, options.size, AgeGroup(options.age), options.body_parts),
        training=training,
        commands=commands,
        metrics=metrics,
        licence=options.licence,
        created_by=CREATED_BY,
        companions=companions,
    )
    card = card_text(record, about(description.purpose, report, dataset.store.report, description.limits))
    dtype = WeightsType.FLOAT16 if options.half else WeightsType.FLOAT32
    save_model(folder, network.cpu(), record, card, dtype=dtype, overwrite=True)
    return folder
