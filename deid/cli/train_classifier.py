"""``mami-deid train-classifier``: a disease classifier from labelled images."""

from __future__ import annotations

from typing import Annotated

import typer

from deid.cli import training


def command(
    context: typer.Context,
    data: training.Data = None,
    out: training.Out = None,
    config: training.Config = None,
    name: Annotated[
        str | None,
        typer.Option(help="name of the model and of its folder in RUN", show_default="classifier"),
    ] = None,
    findings: Annotated[
        str | None,
        typer.Option(
            help="findings to learn, between commas; NAME=A|B;C is there if label A is, or B and C are; "
            "empty: all that enough patients have"
        ),
    ] = None,
    backbone: Annotated[
        str | None, typer.Option(help="any network of timm, from random weights", show_default="resnet18")
    ] = None,
    drop_rate: Annotated[
        float | None, typer.Option(help="dropout before the last layer", show_default="0.2")
    ] = None,
    balance: Annotated[
        bool | None,
        typer.Option(
            "--balance/--no-balance",
            help="draw sources, and in each findings and their absence, evenly",
            show_default="on",
        ),
    ] = None,
    positive_weights: Annotated[
        bool | None,
        typer.Option(
            "--positive-weights/--no-positive-weights",
            help="weigh rare findings up in the loss",
            show_default="off",
        ),
    ] = None,
    least: Annotated[
        int | None,
        typer.Option(
            help="patients with and without a finding in a source that a figure needs", show_default="10"
        ),
    ] = None,
    labels: training.Labels = None,
    size: training.Size = None,
    low_pass: training.LowPass = None,
    minimum_side: training.MinimumSide = None,
    sources: training.Sources = None,
    modalities: training.Modalities = None,
    batch: training.Batch = None,
    rate: training.Rate = None,
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
    """Train a disease classifier on the labelled images of DATA.

    It is what tells whether a de-identified image still shows what the original showed. The run folder RUN
    gets checkpoints, logs and the model folder; the same command goes on with a run that was stopped. Without
    DATA it says what it needs.
    """
    from deid.core.errors import UsageError
    from deid.training.options import read_options
    from deid.workflows.train_classifier import NEEDED, ClassifierOptions, train_classifier

    if data is None or out is None:
        raise UsageError(NEEDED)
    options = read_options(ClassifierOptions, config, training.flags(context))
    trained = train_classifier(data, out, options, training.say)
    training.print_trained(trained.model, trained.report, trained.metrics, as_json=as_json)
