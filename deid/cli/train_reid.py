"""``mami-deid train-reid``: a network that recognises patients."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deid.cli import training


def command(
    context: typer.Context,
    data: training.Data = None,
    out: training.Out = None,
    config: training.Config = None,
    name: Annotated[
        str | None, typer.Option(help="name of the model and of its folder in RUN", show_default="critic")
    ] = None,
    network: Annotated[
        str | None,
        typer.Option(
            help="mami, siamese, compact, or any network of timm; from random weights", show_default="mami"
        ),
    ] = None,
    size: Annotated[
        int | None, typer.Option(help="side of the network's input, in pixels", show_default="112")
    ] = None,
    width: Annotated[int | None, typer.Option(help="mami: channels of a token", show_default="192")] = None,
    depth: Annotated[int | None, typer.Option(help="mami: blocks", show_default="6")] = None,
    heads: Annotated[int | None, typer.Option(help="mami: attention heads", show_default="3")] = None,
    patch: Annotated[
        int | None, typer.Option(help="mami: side of a patch, in pixels", show_default="16")
    ] = None,
    gates: Annotated[
        int | None, typer.Option(help="mami: chunks of the modality context", show_default="8")
    ] = None,
    rank: Annotated[
        int | None,
        typer.Option(help="mami: rank of what the context adds to the weights; -1: none", show_default="4"),
    ] = None,
    stem: Annotated[
        str | None,
        typer.Option(help="mami: how pixels become patches; patch as published", show_default="convolution"),
    ] = None,
    dimension: Annotated[int | None, typer.Option(help="length of the embedding", show_default="192")] = None,
    backbone: Annotated[
        str | None, typer.Option(help="siamese: the network of timm in it", show_default="resnet18")
    ] = None,
    patients: Annotated[int | None, typer.Option(help="patients in a batch", show_default="16")] = None,
    images: Annotated[
        int | None, typer.Option(help="images of each patient in a batch", show_default="4")
    ] = None,
    paired_share: Annotated[
        float | None,
        typer.Option(help="share of a batch's patients that have several images", show_default="0.75"),
    ] = None,
    batch: Annotated[
        int | None, typer.Option(help="images at once in validation and test", show_default="128")
    ] = None,
    self_supervised: Annotated[
        int | None,
        typer.Option(
            help="epochs at the start in which two views of one image are told from others", show_default="5"
        ),
    ] = None,
    identity: Annotated[
        float | None, typer.Option(help="weight of the identity cross-entropy", show_default="0.1")
    ] = None,
    triplet: Annotated[
        float | None,
        typer.Option(
            help="weight of the soft-margin triplet loss at the end; grows from 0", show_default="0.2"
        ),
    ] = None,
    contrast: Annotated[
        float | None, typer.Option(help="weight of the supervised contrast", show_default="1.0")
    ] = None,
    prior: Annotated[
        float | None, typer.Option(help="mami: weight of the medical prior", show_default="0.01")
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(
            help="mami: model whose view of disease is the medical prior, by name or folder; empty: "
            "chest-classifier if it is there; none: no prior"
        ),
    ] = None,
    against: Annotated[
        Path | None, typer.Option(help="model folder to compare with on the same test pairs")
    ] = None,
    labels: training.Labels = None,
    low_pass: training.LowPass = None,
    minimum_side: training.MinimumSide = None,
    sources: training.Sources = None,
    modalities: training.Modalities = None,
    rate: Annotated[
        float | None,
        typer.Option(
            help="full learning rate; compact, siamese and timm learn faster with 1e-3", show_default="0.0003"
        ),
    ] = None,
    weight_decay: training.WeightDecay = None,
    augment: training.Augment = None,
    age: training.Age = None,
    body_parts: training.BodyParts = None,
    licence: training.Licence = None,
    half: training.Half = None,
    jobs: training.Jobs = None,
    cache: training.Cache = None,
    epochs: training.Epochs = None,
    steps: training.Steps = None,
    minutes: training.Minutes = None,
    patience: training.Patience = None,
    seed: training.Seed = None,
    device: training.Device = None,
    precision: training.Precision = None,
    warmup: training.Warmup = None,
    final_rate: training.FinalRate = None,
    clip: training.Clip = None,
    workers: training.Workers = None,
    save_every: training.SaveEvery = None,
    log_every: training.LogEvery = None,
    tensorboard: training.Tensorboard = None,
    resume: training.Resume = None,
    as_json: training.Json = False,
) -> None:
    """Train a network that recognises the patients of DATA, and measure it on patients it has not seen.

    It is the critic that the anonymizer is trained against. The run folder RUN gets checkpoints, logs and the
    model folder; the same command goes on with a run that was stopped. Without DATA it says what it needs.
    """
    from deid.core.errors import UsageError
    from deid.training.options import read_options
    from deid.workflows.train_reid import NEEDED, ReidOptions, train_reid

    if data is None or out is None:
        raise UsageError(NEEDED)
    options = read_options(ReidOptions, config, training.flags(context))
    trained = train_reid(data, out, options, training.say)
    training.print_trained(trained.model, trained.report, trained.metrics, as_json=as_json)
