"""``train-classifier``: from labelled images to a disease classifier in a model folder, measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field

from deid.core.errors import UsageError
from deid.core.model_card import Metric, ModelKind
from deid.training.options import ModelOptions, Name
from deid.training.trained import Trained

if TYPE_CHECKING:
    from deid.networks.classifier import Classifier
    from deid.training.dataset import Dataset
    from deid.training.diagnosis import DiagnosisSettings, LabelledImages

NEEDED = """train-classifier needs images with findings, of many patients:

    mami-deid train-classifier DATA --out RUN

DATA is a manifest, a CSV file with a line for each image (or a folder with a manifest.csv, or a folder of
DICOM or BIDS files with --labels LABELS.csv, its columns path or patient_id, and labels):

    path,patient_id,source,modality,study,view,labels,licence
    images/0001.png,P1,hospital-a,DX,S1,PA,Effusion;Edema,CC BY 4.0
    images/0002.dcm,P2,hospital-a,DX,S1,PA,No Finding,CC BY 4.0

path and patient_id are required. Images are PNG, JPEG, DICOM or NIfTI; a path may also name a folder that
holds the files of one DICOM series. Labels are separated by ';', 'No Finding' or 'Normal' says that none is
there, and an empty field that nobody looked. Each finding that is to be learned and measured needs some
hundred patients with and without it; about 70, 10 and 20 % of all patients become train, validation and test.
For example, on a CPU:

    mami-deid train-classifier manifest.csv --out runs/chest --findings Pneumonia --size 112 --minutes 60"""

_PURPOSE = (
    "Tells findings in an image, each on its own. It is the frozen reader by which mami-deid checks that a "
    "de-identified image still shows what the original showed; it is not made for diagnosis."
)


def _findings(value: Any) -> Any:
    """Findings as a mapping to their alternatives, from the forms that flags and YAML have."""
    if isinstance(value, str):
        value = [word.strip() for word in value.split(",") if word.strip()]
    if isinstance(value, Mapping):
        return {name: (a,) if isinstance(a, str) else a for name, a in value.items()}
    if not isinstance(value, Sequence):
        return value
    pairs = [str(word).partition("=") for word in value]
    return {name: tuple(labels.split("|")) if labels else (name,) for name, _, labels in pairs}


class ClassifierOptions(ModelOptions):
    """Options of ``train-classifier``."""

    name: Name = Field(default="classifier", description="name of the model and of its folder in RUN")
    findings: Annotated[Mapping[str, tuple[str, ...]], BeforeValidator(_findings)] = Field(
        default_factory=dict,
        description="findings to learn, between commas; NAME=A|B;C is there if label A is, or B and C are; "
        "empty: all that enough patients have",
    )
    backbone: str = Field(default="resnet18", description="any network of timm, from random weights")
    drop_rate: float = Field(default=0.2, ge=0, lt=1, description="dropout before the last layer")
    balance: bool = Field(
        default=True, strict=True, description="draw sources, and in each findings and their absence, evenly"
    )
    positive_weights: bool = Field(
        default=False, strict=True, description="weigh rare findings up in the loss"
    )
    least: int = Field(
        default=10, ge=2, description="patients with and without a finding in a source that a figure needs"
    )


def train_classifier(
    data: Path, out: Path, options: ClassifierOptions, say: Callable[[str], None] = lambda _: None
) -> Trained:
    """Train, measure on the test patients, and write the model folder.

    Args:
        data: A manifest, or a tree of DICOM or BIDS files.
        out: The run folder; the model goes into it, in a folder of its name.
        options: How.
        say: Receives lines for the user.

    Raises:
        UsageError: Data or options are not usable; the message says what to do.
    """
    import torch

    from deid.networks.classifier import Classifier
    from deid.training.card import check_record
    from deid.training.dataset import load_dataset, read_samples
    from deid.training.diagnosis import DiagnosisTask, LabelledImages
    from deid.training.export import Description, export_model
    from deid.training.loop import fit
    from deid.training.run_folder import RunFolder

    RunFolder(out).check(options)
    dataset = load_dataset(read_samples(data, options), options, say)
    _check_labels(options.findings, dataset, say)
    findings = options.findings or _common_findings(dataset, options.least)
    check_record(dataset.store.samples, options, tuple(findings))
    say(f"images: {dataset.store.report}; findings: {', '.join(findings)}")
    labels = dataset.store.labels(findings)
    train = LabelledImages(dataset.train, labels[dataset.split.train])
    validation = LabelledImages(dataset.validation, labels[dataset.split.validation])
    test = LabelledImages(dataset.test, labels[dataset.split.test])
    torch.manual_seed(options.seed)
    arguments: dict[str, Any] = {
        "backbone": options.backbone,
        "findings": list(findings),
        "size": options.size,
        "drop_rate": options.drop_rate,
    }
    network = Classifier(**arguments)
    task = DiagnosisTask(network, train, validation, _settings(options), dataset.digest())
    report, model = fit(task, options, out), out / options.name
    if not report.is_main:
        return Trained(model, report, ())
    metrics = _measured(network, test, options)
    description = Description(
        job="train-classifier",
        kind=ModelKind.CLASSIFIER,
        architecture="classifier",
        arguments=arguments,
        purpose=_PURPOSE,
        limits=_limits(dataset, options, metrics),
        findings=network.findings,
    )
    export_model(model, network, description, dataset, options, report, metrics)
    return Trained(model, report, metrics)


def _check_labels(
    findings: Mapping[str, tuple[str, ...]], dataset: Dataset, say: Callable[[str], None]
) -> None:
    """Refuse a finding of which no alternative can be there: its output would learn nothing, unseen."""
    from deid.training.samples import SampleTable

    have = SampleTable(dataset.store.samples).finding_names
    missing = {
        name: [{label.strip() for label in one.split(";")} - set(have) for one in alternatives]
        for name, alternatives in findings.items()
    }
    unknown = ", ".join(sorted({label for each in missing.values() for labels in each for label in labels}))
    if any(all(each) for each in missing.values()):
        known = ", ".join(have) or "no labels"
        raise UsageError(f"--findings: no image has the label {unknown}; the data have {known}.")
    if unknown:
        say(f"no image has the label {unknown}: it is passed over.")


def _common_findings(dataset: Dataset, least: int) -> Mapping[str, tuple[str, ...]]:
    """Every label that enough training patients of some source have, and enough have not."""
    from deid.training.diagnosis import LabelledImages
    from deid.training.samples import SampleTable

    names = SampleTable(dataset.train.samples).finding_names
    train = LabelledImages(dataset.train, dataset.train.labels(names))
    common = {cell.finding for cell in train.cells(names, least)} if names else set()
    if not common:
        raise UsageError(
            f"there is nothing to learn: no finding is both present in {least} training patients of a source "
            f"and absent in {least}. Fill in the column labels (an empty field says that nobody looked, 'No "
            "Finding' that there is none), give more patients, or lower --least."
        )
    return {name: (name,) for name in names if name in common}


def _settings(options: ClassifierOptions) -> DiagnosisSettings:
    from deid.training.augment import Augmentation
    from deid.training.diagnosis import DiagnosisSettings

    return DiagnosisSettings(
        batch=options.batch,
        rate=options.rate,
        weight_decay=options.weight_decay,
        balance=options.balance,
        positive_weights=options.positive_weights,
        augmentation=Augmentation() if options.augment else None,
        least=options.least,
    )


def _measured(network: Classifier, test: LabelledImages, options: ClassifierOptions) -> tuple[Metric, ...]:
    """The AUC of each finding in each source that has enough test patients."""
    from deid.training.card import metric
    from deid.training.diagnosis import predict

    measurable = test.cells(network.findings, options.least)
    logits = predict(network, test.store, options.batch)
    return tuple(
        metric(
            f"ROC AUC, {cell.finding}",
            cell.interval(logits, seed=options.seed),
            test.store.subset(cell.images),
            "test",
            cell.source,
        )
        for cell in measurable
    )


def _limits(dataset: Dataset, options: ClassifierOptions, metrics: Sequence[Metric]) -> list[str]:
    limits = ["Labels are those of the data; nobody has looked at the images for this model."]
    if options.balance:
        limits.append(
            "Trained on batches in which findings are about as often present as absent, so the outputs are "
            "no probabilities at a clinic's prevalence; only their order is measured."
        )
    measured = {found.source for found in metrics}
    silent = sorted({s.source or "not stated" for s in dataset.store.samples} - measured)
    if silent:
        limits.append(
            f"Not measured, because the test patients are too few or all alike: {', '.join(silent)}."
        )
    if len(measured) < 2:
        limits.append("Measured on one source at most; how it does elsewhere is not known.")
    return limits
