"""``mami-deid train-unet``: an anonymizer from images of patients with several studies."""

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
        str | None, typer.Option(help="name of the model; its folder in the run folder", show_default="unet")
    ] = None,
    size: Annotated[
        int | None, typer.Option(help="side at which the U-Net sees images, in pixels", show_default="112")
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(
            help="images in a batch: 2 of 3 of patients with several, the rest of any", show_default="26"
        ),
    ] = None,
    rate: Annotated[
        float | None, typer.Option(help="full learning rate of the U-Net", show_default="0.0015")
    ] = None,
    weight_decay: Annotated[
        float | None, typer.Option(help="decay of matrices and kernels", show_default="0.02")
    ] = None,
    classifier: Annotated[
        str | None,
        typer.Option(
            help="classifier that must still read the images: a model or folder",
            show_default="chest-classifier",
        ),
    ] = None,
    critics: Annotated[
        str | None,
        typer.Option(
            help="critics, between commas: compact, siamese or mami from random weights, or models",
            show_default="compact,siamese",
        ),
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(
            help="encoder of segmentation-models-pytorch, from random weights", show_default="tu-regnetx_002"
        ),
    ] = None,
    depth: Annotated[int | None, typer.Option(help="stages of the encoder", show_default="4")] = None,
    operators: Annotated[
        str | None,
        typer.Option(
            help="what may be done to an image: ksame, residual, warp", show_default="ksame,residual,warp"
        ),
    ] = None,
    templates: Annotated[int | None, typer.Option(help="templates of ksame", show_default="64")] = None,
    k: Annotated[int | None, typer.Option(help="patients whose mean is a template", show_default="8")] = None,
    critic_rate: Annotated[
        float | None, typer.Option(help="full learning rate of the critics", show_default="0.001")
    ] = None,
    privacy: Annotated[
        float | None, typer.Option(help="weight: genuine scores like impostors' scores", show_default="2.0")
    ] = None,
    utility: Annotated[
        float | None, typer.Option(help="weight: what the classifier sees stays", show_default="1.0")
    ] = None,
    fidelity: Annotated[
        float | None, typer.Option(help="weight: the picture stays", show_default="0.5")
    ] = None,
    critic_steps: Annotated[
        int | None, typer.Option(help="steps at first in which only the critics learn", show_default="300")
    ] = None,
    steps_per_epoch: Annotated[
        int | None, typer.Option(help="steps between two validations", show_default="100")
    ] = None,
    strengths: Annotated[
        str | None, typer.Option(help="strengths to measure, between commas", show_default="0.33,0.66,1.0")
    ] = None,
    attacker: Annotated[
        str | None,
        typer.Option(
            help="attacker to train for the measurement: compact, siamese or mami", show_default="compact"
        ),
    ] = None,
    attack_epochs: Annotated[
        int | None, typer.Option(help="epochs that each attacker learns", show_default="20")
    ] = None,
    attack_steps: Annotated[
        int | None, typer.Option(help="steps of such an epoch", show_default="60")
    ] = None,
    attack_versions: Annotated[
        int | None, typer.Option(help="scrubbings of each image that it learns from", show_default="3")
    ] = None,
    inverted: Annotated[
        int | None, typer.Option(help="test images to invert at most; 0: none", show_default="200")
    ] = None,
    least: Annotated[
        int | None,
        typer.Option(
            help="patients with and without a finding in a source that a figure needs", show_default="10"
        ),
    ] = None,
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
    labels: training.Labels = None,
    low_pass: training.LowPass = None,
    minimum_side: training.MinimumSide = None,
    sources: training.Sources = None,
    modalities: training.Modalities = None,
    augment: training.Augment = None,
    age: training.Age = None,
    body_parts: training.BodyParts = None,
    licence: training.Licence = None,
    half: training.Half = None,
    jobs: training.Jobs = None,
    cache: training.Cache = None,
    as_json: training.Json = False,
) -> None:
    """Train an anonymizer on the images of DATA, and attack what it makes.

    A U-Net learns to take the identity out of images, against critics that learn to find it again, while a
    frozen disease classifier must still read them. Then attackers are trained on scrubbed images, and their
    figures on the test patients go into the model's card. The run folder RUN gets checkpoints, logs and the
    model folders; the same command goes on with a run that was stopped. Without DATA it says what it needs.
    """
    from deid.core.errors import UsageError
    from deid.training.options import read_options
    from deid.workflows.train_unet import NEEDED, UnetOptions, train_unet

    if data is None or out is None:
        raise UsageError(NEEDED)
    options = read_options(UnetOptions, config, training.flags(context))
    trained = train_unet(data, out, options, training.say)
    training.print_trained(trained.model, trained.report, trained.metrics, as_json=as_json)
