"""``train-reid``: from images of patients to a network that recognises them, in a model folder, measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from deid.core.errors import UsageError
from deid.core.model_card import Metric, ModelKind
from deid.training.options import ModelOptions, Name
from deid.training.trained import Trained

if TYPE_CHECKING:
    from torch import nn

    from deid.reid.metrics import Interval
    from deid.training.dataset import Dataset
    from deid.training.images import ImageStore
    from deid.training.recognition import RecognitionSettings

NEEDED = """train-reid needs images of many patients, some of them with images of several studies:

    mami-deid train-reid DATA --out RUN

DATA is a manifest, a CSV file with a line for each image (or a folder with a manifest.csv, or a folder of
DICOM or BIDS files):

    path,patient_id,source,modality,study,view,labels,licence
    images/0001.png,P1,hospital-a,DX,S1,PA,Effusion;Edema,CC BY 4.0
    images/0002.dcm,P1,hospital-a,DX,S2,PA,No Finding,CC BY 4.0

path and patient_id are required, and patient_id must be right: the same text is the same person. Images are
PNG, JPEG, DICOM or NIfTI; a path may also name a folder that holds the files of one DICOM series. Patients
are compared within one source, view, size and finding group (some finding, none, nobody looked), so each of
these needs several patients with two studies; some hundred patients with several studies in all give a critic
that is worth its name. About 70, 10 and 20 % of the patients become train, validation and test. For example,
on a CPU:

    mami-deid train-reid manifest.csv --out runs/critic --epochs 200 --minutes 60"""

_PURPOSE = (
    "Tells whether two images show one patient. It is the critic that mami-deid trains its anonymizer "
    "against, and an attacker that shows what others could do; it is not made to identify anybody."
)
DEFAULT_TEACHER = "chest-classifier"


class ReidOptions(ModelOptions):
    """Options of ``train-reid``."""

    MODELS: ClassVar[frozenset[str]] = frozenset({"teacher", "against"})

    name: Name = Field(default="critic", description="name of the model and of its folder in RUN")
    network: str = Field(
        default="mami", description="mami, siamese, compact, or any network of timm; from random weights"
    )
    size: int = Field(default=112, ge=16, le=1024, description="side of the network's input, in pixels")
    width: int = Field(default=192, ge=8, description="mami: channels of a token")
    depth: int = Field(default=6, ge=1, description="mami: blocks")
    heads: int = Field(default=3, ge=1, description="mami: attention heads")
    patch: int = Field(default=16, ge=4, description="mami: side of a patch, in pixels")
    gates: int = Field(default=8, ge=1, description="mami: chunks of the modality context")
    rank: int = Field(
        default=4, ge=-1, description="mami: rank of what the context adds to the weights; -1: none"
    )
    stem: Literal["convolution", "patch"] = Field(
        default="convolution", description="mami: how pixels become patches; patch as published"
    )
    dimension: int = Field(default=192, ge=2, description="length of the embedding")
    backbone: str = Field(default="resnet18", description="siamese: the network of timm in it")
    patients: int = Field(default=16, ge=2, description="patients in a batch")
    images: int = Field(default=4, ge=2, description="images of each patient in a batch")
    paired_share: float = Field(
        default=0.75, gt=0, le=1, description="share of a batch's patients that have several images"
    )
    batch: int = Field(default=128, ge=2, description="images at once in validation and test")
    rate: float = Field(
        default=3e-4, gt=0, description="full learning rate; compact, siamese and timm learn faster with 1e-3"
    )
    self_supervised: int = Field(
        default=5,
        ge=0,
        description="epochs at the start in which two views of one image are told from others",
    )
    identity: float = Field(default=0.1, ge=0, description="weight of the identity cross-entropy")
    triplet: float = Field(
        default=0.2, ge=0, description="weight of the soft-margin triplet loss at the end; grows from 0"
    )
    contrast: float = Field(default=1.0, ge=0, description="weight of the supervised contrast")
    prior: float = Field(default=0.01, ge=0, description="mami: weight of the medical prior")
    teacher: str = Field(
        default="",
        description="mami: model whose view of disease is the medical prior, by name or folder; empty: "
        f"{DEFAULT_TEACHER} if it is there; none: no prior",
    )
    against: Path | None = Field(
        default=None, description="model folder to compare with on the same test pairs"
    )


def train_reid(
    data: Path, out: Path, options: ReidOptions, say: Callable[[str], None] = lambda _: None
) -> Trained:
    """Train, measure on the test patients, and write the model folder.

    Args:
        data: A manifest, or a folder with images.
        out: The run folder; the model goes into it, in a folder of its name.
        options: How.
        say: Receives lines for the user.

    Raises:
        UsageError: Data or options are not usable; the message says what to do.
    """
    import torch

    from deid.networks.architectures import build
    from deid.training.dataset import load_dataset, read_samples
    from deid.training.export import Description, export_model
    from deid.training.loop import fit
    from deid.training.recognition import RecognitionTask
    from deid.training.run_folder import RunFolder

    RunFolder(out).check(options)
    architecture = _architecture(options)
    torch.manual_seed(options.seed)
    network = build(*architecture)
    teacher, rival = _teacher(options, say), _rival(options)
    dataset = load_dataset(read_samples(data, options), options, say)
    say(f"images: {dataset.store.report}")
    task = RecognitionTask(
        network, dataset.train, dataset.validation, _settings(options), dataset.digest(), teacher
    )
    report = fit(task, options, out)
    if not report.is_main:
        return Trained(out / options.name, report, ())
    metrics = _measured(network.cpu(), dataset.test, options, rival)
    description = Description(
        job="train-reid",
        kind=ModelKind.ATTACKER if options.network == "siamese" else ModelKind.REID,
        architecture=architecture[0],
        arguments=architecture[1],
        purpose=_PURPOSE,
        limits=_limits(dataset, metrics),
        companions=() if teacher is None else (Path(options.teacher or DEFAULT_TEACHER).resolve().name,),
    )
    model = export_model(out / options.name, network, description, dataset, options, report, metrics)
    return Trained(model, report, metrics)


def compare(one: Path, other: Path, test: ImageStore) -> dict[str, Interval]:
    """AUC of one model minus that of another on the same pairs of test images, by source, patients resampled.

    Args:
        one: A model folder.
        other: Another.
        test: Images that neither was trained on.

    Raises:
        UsageError: A model cannot be read, or nothing can be measured.
    """
    from deid.networks.folder import load_network
    from deid.training.split import near_duplicates
    from deid.training.verification import difference, fair_pairs, pair_scores

    first, second = (load_network(folder)[0] for folder in (one, other))
    return {
        pairs.source: difference(pairs, pair_scores(first, test, pairs), pair_scores(second, test, pairs))
        for pairs in fair_pairs(test, near_duplicates(test.images))
    }


def _architecture(options: ReidOptions) -> tuple[str, dict[str, object]]:
    """The architecture's name and the arguments of its constructor."""
    size, dimension = options.size, options.dimension
    if options.network == "mami":
        names = ("size", "patch", "width", "depth", "heads", "gates", "rank", "stem", "dimension")
        shape: dict[str, object] = {name: getattr(options, name) for name in names}
        return "mami", shape | {"adapter": options.width // 2}
    if options.network == "siamese":
        return "siamese-resnet", {"backbone": options.backbone, "size": size, "dimension": dimension}
    if options.network == "compact":
        return "compact-resnet", {"size": size, "dimension": dimension}
    return "timm-encoder", {"backbone": options.network, "size": size, "dimension": dimension}


def _teacher(options: ReidOptions, say: Callable[[str], None]) -> nn.Module | None:
    """The frozen network of the medical prior, if there is to be one."""
    from deid.core.models import find_model, find_models
    from deid.networks.folder import load_network

    if options.network != "mami" or not options.prior or options.teacher == "none":
        return None
    name = options.teacher or DEFAULT_TEACHER
    if not options.teacher and name not in {folder.name for folder in find_models()}:
        say(
            f"no medical prior: there is no model {name}; train one with train-classifier and give --teacher."
        )
        return None
    given = Path(name)
    teacher, _ = load_network(given if given.is_dir() else find_model(name))
    if not hasattr(teacher, "embed"):
        raise UsageError(
            "--teacher: that model gives no features; a classifier or a re-identification model does."
        )
    return teacher


def _settings(options: ReidOptions) -> RecognitionSettings:
    from deid.training.augment import Augmentation
    from deid.training.recognition import RecognitionSettings

    return RecognitionSettings(
        patients=options.patients,
        images=options.images,
        paired_share=options.paired_share,
        rate=options.rate,
        weight_decay=options.weight_decay,
        warm_up=options.self_supervised,
        identity=options.identity,
        triplet=options.triplet,
        contrast=options.contrast,
        prior=options.prior,
        augmentation=Augmentation() if options.augment else None,
        batch=options.batch,
    )


def _rival(options: ReidOptions) -> nn.Module | None:
    """The network to compare with, if one was named."""
    from deid.networks.folder import load_network

    if options.against is None:
        return None
    rival, _ = load_network(options.against)
    if not hasattr(rival, "embed"):
        raise UsageError("--against: that model recognises nobody; give one that train-reid made.")
    return rival


def _measured(
    network: nn.Module, test: ImageStore, options: ReidOptions, rival: nn.Module | None
) -> tuple[Metric, ...]:
    """Figures of each source that can be measured, and the difference to another model if one was named."""
    from deid.networks.siamese import SiameseResNet
    from deid.reid.metrics import patient_bootstrap
    from deid.training.card import metric
    from deid.training.split import near_duplicates
    from deid.training.verification import difference, fair_pairs, figures, pair_scores, search_figures

    try:
        sources = fair_pairs(test, near_duplicates(test.images))
    except UsageError:
        return ()
    metrics: list[Metric] = []
    for pairs in sources:
        scores = pair_scores(network, test, pairs, options.batch)
        found = figures(pairs, scores) | search_figures(test, pairs, scores)
        if isinstance(network, SiameseResNet):
            cosines = pair_scores(network, test, pairs, options.batch, by_cosine=True)
            found["ROC AUC by cosine"] = patient_bootstrap(pairs.scored(cosines), weights=pairs.weights)
        if rival is not None and options.against is not None:
            minus = difference(pairs, scores, pair_scores(rival, test, pairs, options.batch))
            found[f"ROC AUC minus that of {options.against.resolve().name}"] = minus
        measured_on = test.subset(pairs.images)
        metrics += [metric(name, value, measured_on, "test", pairs.source) for name, value in found.items()]
    return tuple(metrics)


def _limits(dataset: Dataset, metrics: Sequence[Metric]) -> list[str]:
    limits = [
        "Figures are of impostors of the patient's own source, view, size and finding group; each patient "
        "counts alike.",
        "What it does not recognise, another attacker may: a low score proves nothing.",
    ]
    if any(found.name == "ROC AUC by cosine" for found in metrics):
        limits.append(
            'Figures are of its verification of two images; "by cosine" is of their embeddings alone, as an '
            "audit compares them."
        )
    measured = {found.source for found in metrics}
    silent = sorted({sample.source or "not stated" for sample in dataset.store.samples} - measured)
    if silent:
        limits.append(
            f"Not measured, because too few test patients have several images: {', '.join(silent)}."
        )
    if len(measured) < 2:
        limits.append("Measured on one source at most; how it does elsewhere is not known.")
    return limits
