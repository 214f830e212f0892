"""``train-unet``: from patients with several studies to an anonymizer in a model folder, attacked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from deid.core.errors import UsageError
from deid.core.model_card import ModelRecord
from deid.training.options import ModelOptions, Name, Shares, Words
from deid.training.trained import Trained

if TYPE_CHECKING:
    from torch import Tensor, nn

    from deid.networks.anonymizer import Anonymizer
    from deid.networks.classifier import Classifier
    from deid.training.dataset import Dataset
    from deid.training.diagnosis_figures import Cell
    from deid.training.images import ImageStore
    from deid.training.scrub_figures import MeasureSettings
    from deid.training.scrubbing import ScrubbingSettings, ScrubbingTask

NEEDED = """train-unet needs images of patients with several studies, and a disease classifier:

    mami-deid train-unet DATA --out RUN --classifier chest-classifier

DATA is a manifest, a CSV file with a line for each image (or a folder with a manifest.csv, or a folder of
DICOM or BIDS files):

    path,patient_id,source,modality,study,view,labels,licence
    images/0001.png,P1,hospital-a,DX,S1,PA,Effusion;Edema,CC BY 4.0
    images/0002.dcm,P1,hospital-a,DX,S2,PA,No Finding,CC BY 4.0

path and patient_id are required; a path may also name a folder that holds the files of one DICOM series. Some
hundred patients with two or more studies from one source are needed: they teach the critics what identity is.
--classifier is a model from 'mami-deid models list' or a folder that train-classifier made; its features,
logits and findings are what must stay. For example, on a CPU:

    mami-deid train-unet manifest.csv --out runs/unet --classifier chest-classifier --size 112 --minutes 60"""


_FITTED = 4096  # images of a part, at most, that say what is familiar


class UnetOptions(ModelOptions):
    """Options of ``train-unet``."""

    MODELS: ClassVar[frozenset[str]] = frozenset({"classifier", "critics", "start"})

    name: Name = Field(default="unet", description="name of the model; its folder in the run folder")
    size: int = Field(
        default=112, ge=32, le=1024, description="side at which the U-Net sees images, in pixels"
    )
    classifier: str = Field(
        default="chest-classifier",
        description="classifier that must still read the images: a model or folder",
    )
    critics: Words = Field(
        default=("compact", "siamese"),
        min_length=1,
        description="critics, between commas: compact, siamese or mami from random weights, or models; "
        "one may come twice",
    )
    start: str = Field(
        default="",
        description="anonymizer to go on from, a model or folder, with its shape; empty: from random weights",
    )
    encoder: str = Field(
        default="tu-regnetx_002", description="encoder of segmentation-models-pytorch, from random weights"
    )
    fold: int = Field(
        default=2,
        ge=1,
        le=4,
        description="rows and columns that the U-Net sees as one; what it predicts is as coarse",
    )
    depth: int = Field(default=3, ge=3, le=5, description="stages of the encoder")
    operators: Words = Field(
        default=("ksame", "residual", "warp"),
        min_length=1,
        description="what may be done to an image: ksame, residual, warp",
    )
    templates: int = Field(default=64, ge=1, le=4096, description="templates of ksame")
    k: int = Field(default=8, ge=2, description="patients whose mean is a template")
    batch: int = Field(
        default=26, ge=4, description="images in a batch: 2 of 3 of patients with several, the rest of any"
    )
    rate: float = Field(default=1.5e-3, gt=0, description="full learning rate of the U-Net")
    critic_rate: float = Field(default=1e-3, gt=0, description="full learning rate of the critics")
    weight_decay: float = Field(default=0.02, ge=0, description="decay of matrices and kernels")
    privacy: float = Field(default=2.0, ge=0, description="weight: genuine scores like impostors' scores")
    utility: float = Field(default=1.0, ge=0, description="weight: what the classifier sees stays")
    fidelity: float = Field(default=0.5, ge=0, description="weight: the picture stays")
    critic_size: int = Field(
        default=64,
        ge=32,
        le=1024,
        description="side at which critics that are built in see images, in pixels; --size if that is less",
    )
    critic_steps: int = Field(default=300, ge=0, description="steps at first in which only the critics learn")
    critic_turns: int = Field(default=2, ge=1, description="lessons of critics in a step, by turns")
    critic_patients: int = Field(default=32, ge=2, description="patients in a lesson of a critic")
    fresh_steps: int = Field(
        default=240,
        ge=0,
        description="steps that a new attacker learns at each validation of the second half; 0: none",
    )
    steps_per_epoch: int = Field(default=100, ge=1, description="steps between two validations")
    strengths: Shares = Field(
        default=(0.33, 0.66, 1.0), min_length=1, description="strengths to measure, between commas"
    )
    attacker: str = Field(
        default="compact", description="attacker to train for the measurement: compact, siamese or mami"
    )
    attack_epochs: int = Field(default=20, ge=1, description="epochs that each attacker learns")
    attack_steps: int = Field(default=60, ge=1, description="steps of such an epoch")
    attack_versions: int = Field(default=3, ge=1, description="scrubbings of each image that it learns from")
    inverted: int = Field(default=200, ge=0, description="test images to invert at most; 0: none")
    least: int = Field(
        default=10, ge=2, description="patients with and without a finding in a source that a figure needs"
    )


@dataclass(frozen=True)
class TrainedUnet(Trained):
    """What a training gave; the model is the anonymizer.

    Attributes:
        attacker: The model folder of the attacker that was trained on images at the highest strength.
    """

    attacker: Path


def train_unet(
    data: Path, out: Path, options: UnetOptions, say: Callable[[str], None] = lambda _: None
) -> TrainedUnet:
    """Train, attack what it makes of the test patients' images, and write the model folders.

    Args:
        data: A manifest, or a folder.
        out: The run folder; the models go into it, in folders of their names.
        options: How.
        say: Receives lines for the user.

    Raises:
        UsageError: Data or options are not usable; the message says what to do.
    """
    import torch

    from deid.networks.architectures import build
    from deid.training.anonymizer_description import of_anonymizer, of_attacker
    from deid.training.dataset import load_dataset, read_samples
    from deid.training.export import export_model
    from deid.training.loop import fit
    from deid.training.recognisers import BUILT_IN, built_in
    from deid.training.run_folder import RunFolder
    from deid.training.scrub_figures import attacked_pairs, measure_anonymizer

    RunFolder(out).check(options)
    built = built_in(options.attacker, options.size)
    classifier = _classifier(options.classifier)
    started = _started(options) if options.start else None
    dataset = load_dataset(read_samples(data, options), options, say)
    say(f"images: {dataset.store.report}")
    attacked_pairs(dataset.test)  # data that cannot be measured are refused now, not after the training
    torch.manual_seed(options.seed)
    network, arguments, earlier = started or _anonymizer(dataset, options)
    network.familiarity.fit(_some(dataset.train), _some(dataset.validation))
    critics = _critics(options)
    cells = _cells(classifier, dataset, options, say)
    task = _task(network, critics, classifier, dataset, cells["validation"], options)
    report = fit(task, options, out)
    model, attacker = out / options.name, out / f"{options.name}-attacker"
    if not report.is_main:
        return TrainedUnet(model, report, (), attacker)
    network.cpu().eval()
    figures = measure_anonymizer(
        network,
        classifier.cpu().eval(),
        cells["test"],
        dataset,
        lambda: build(*built),
        _measure_settings(options),
        out / "attackers",
        say,
    )
    with_whom = (options.classifier, *(name for name in options.critics if name not in BUILT_IN))
    made = of_anonymizer(arguments, with_whom, earlier, is_measured=bool(cells["test"]))
    export_model(model, network, made, dataset, options, report, figures.metrics)
    strongest = figures.attackers[max(figures.attackers)]
    made = of_attacker(built, options.name, strongest)
    found = tuple(each for each in figures.metrics if "attacker" in each.name)
    export_model(attacker, strongest.network, made, dataset, options, report, found)
    return TrainedUnet(model, report, figures.metrics, attacker)


def _classifier(given: str) -> Classifier:
    from deid.core.models import find_model
    from deid.networks.classifier import Classifier
    from deid.networks.folder import load_network

    folder = Path(given) if (Path(given) / "model.json").is_file() else find_model(given)
    network, _ = load_network(folder)
    if not isinstance(network, Classifier):
        raise UsageError(
            "--classifier is a model, but no classifier; 'mami-deid models list' says what each is."
        )
    return network


def _critics(options: UnetOptions) -> dict[str, nn.Module]:
    """Recognisers by name; one that comes again has its place in the list behind its name."""
    from deid.training.recognisers import make_recogniser

    side = min(options.critic_size, options.size)
    return {
        name if place == options.critics.index(name) else f"{name} {place + 1}": make_recogniser(name, side)
        for place, name in enumerate(options.critics)
    }


def _arguments(options: UnetOptions) -> dict[str, Any]:
    operators: dict[str, dict[str, Any]] = {name: {} for name in options.operators}
    if "ksame" in operators:
        operators["ksame"] = {"templates": options.templates}
    return {
        "size": options.size,
        "encoder": options.encoder,
        "depth": options.depth,
        "decoder": [64, 48, 32, 24, 16][-options.depth - (options.fold > 1) :][: options.depth],
        "operators": operators,
        "fold": options.fold,
    }


def _started(options: UnetOptions) -> tuple[Anonymizer, Mapping[str, Any], ModelRecord]:
    """The anonymizer to go on from, its arguments and its record."""
    from deid.core.models import find_model
    from deid.networks.anonymizer import Anonymizer
    from deid.networks.folder import load_network

    if given := sorted(
        {"encoder", "fold", "depth", "operators", "templates", "k"} & options.model_fields_set
    ):
        raise UsageError(
            f"--start brings its own shape: leave out {', '.join('--' + name for name in given)}, or --start."
        )
    start = Path(options.start)
    network, record = load_network(start if (start / "model.json").is_file() else find_model(options.start))
    if not isinstance(network, Anonymizer):
        raise UsageError("--start is a model, but no anonymizer; 'mami-deid models list' says what each is.")
    if network.size != options.size:
        raise UsageError(
            f"--start sees images at a side of {network.size} pixels, and --size is {options.size}; give "
            f"--size {network.size}."
        )
    return network, record.arguments, record


def _anonymizer(dataset: Dataset, options: UnetOptions) -> tuple[Anonymizer, Mapping[str, Any], None]:
    """A U-Net of random weights with templates of the training patients, its arguments, and no record."""
    from deid.networks.anonymizer import Anonymizer
    from deid.networks.operators import KSame
    from deid.training.templates import mean_templates

    arguments = _arguments(options)
    try:
        network = Anonymizer(**arguments)
    except (ValueError, KeyError, RuntimeError) as error:  # the last is timm's, for a name that it lacks
        raise UsageError(
            f"the U-Net cannot be built from --size, --encoder, --fold, --depth and --operators: {error}"
        ) from None
    for operator in network.operators.values():
        if isinstance(operator, KSame):
            operator.set_templates(mean_templates(dataset.train, options.templates, options.k, options.seed))
    return network, arguments, None


def _some(store: ImageStore) -> Tensor:
    """All images of a store, or evenly chosen ones of many: `[image, 1, row, column]`."""
    count = min(len(store), _FITTED)
    return store.tensor(np.linspace(0, len(store) - 1, count).astype(np.int64))


def _cells(
    classifier: Classifier, dataset: Dataset, options: UnetOptions, say: Callable[[str], None]
) -> dict[str, list[Cell]]:
    """Of validation and test, the findings that can be measured; says where there are none."""
    from deid.training.anonymizer_description import TOO_FEW
    from deid.training.diagnosis import LabelledImages

    labels = dataset.store.labels(classifier.findings)
    cells = {
        part: LabelledImages(store, labels[index]).cells(classifier.findings, options.least)
        for part, store, index in (
            ("validation", dataset.validation, dataset.split.validation),
            ("test", dataset.test, dataset.split.test),
        )
    }
    for part in filter(lambda part: not cells[part], cells):
        say(f"{part}: what is lost of findings is not measured: {TOO_FEW}")
    return cells


def _task(
    network: Anonymizer,
    critics: Mapping[str, nn.Module],
    classifier: Classifier,
    dataset: Dataset,
    cells: list[Cell],
    options: UnetOptions,
) -> ScrubbingTask:
    from deid.networks.architectures import build
    from deid.training.fresh_attacker import FreshAttack
    from deid.training.pairs import group_names
    from deid.training.recognisers import built_in
    from deid.training.scrub_checks import ScrubCheck
    from deid.training.scrubbing import ScrubbingImages, ScrubbingTask
    from deid.training.split import near_duplicates

    store = dataset.train
    labels = dataset.store.labels(classifier.findings)[dataset.split.train]
    images = ScrubbingImages(store, group_names(store), labels)
    check = ScrubCheck(dataset.validation, cells, near_duplicates(dataset.validation.images))
    fresh = None
    if options.fresh_steps:
        built = built_in(options.attacker, options.size)
        fresh = FreshAttack(lambda: build(*built), store, dataset.validation, options.fresh_steps)
    settings = _settings(options)
    return ScrubbingTask(network, critics, classifier, images, check, settings, fresh, dataset.digest())


def _settings(options: UnetOptions) -> ScrubbingSettings:
    from deid.training.augment import Augmentation
    from deid.training.critics import CriticSettings
    from deid.training.scrubbing import ScrubbingSettings

    return ScrubbingSettings(
        patients=max(2, options.batch * 2 // 3),
        others=max(1, options.batch - options.batch * 2 // 3),
        rate=options.rate,
        critic_rate=options.critic_rate,
        weight_decay=options.weight_decay,
        privacy=options.privacy,
        utility=options.utility,
        fidelity=options.fidelity,
        critics=CriticSettings(
            warm_up=options.critic_steps,
            turns=options.critic_turns,
            patients=options.critic_patients,
            augmentation=Augmentation() if options.augment else None,
        ),
        steps_per_epoch=options.steps_per_epoch,
    )


def _measure_settings(options: UnetOptions) -> MeasureSettings:
    from deid.training.attacker import AttackSettings
    from deid.training.options import LoopOptions
    from deid.training.scrub_figures import MeasureSettings

    loop = LoopOptions(epochs=options.attack_epochs, seed=options.seed, device=options.device)
    return MeasureSettings(
        strengths=options.strengths,
        versions=options.attack_versions,
        loop=loop,
        attack=AttackSettings(steps_per_epoch=options.attack_steps),
        inverted=options.inverted,
    )
