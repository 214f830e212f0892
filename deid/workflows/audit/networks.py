"""The released models that an audit needs: attackers, critics, the classifier and the anonymizer itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from deid.audit.release import Release
from deid.core.errors import Held, Skipped, UsageError
from deid.core.model_card import ModelKind, ModelRecord, read_record
from deid.core.models import MANIFEST, find_model, find_models
from deid.dicom.derived import WEIGHTS

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from torch import nn

    from deid.networks.anonymizer import Anonymizer
    from deid.networks.classifier import Classifier

_MULTIPLE = 16  # what U-Nets divide by
_LOOKED_AT = 8  # released files whose headers are asked for the model
UNNAMED = "nothing says which anonymizer made the release; name it by --model"
NOT_HERE = "the anonymizer that made the release is not installed"
DEFAULT_SIZE = 128
"""Side of the images in pixels where no model says another."""


@dataclass
class Networks:
    """Networks of one audit, on the CPU and in evaluation mode.

    Attributes:
        frozen: Re-identification networks that have never seen an image of this anonymizer, by name; where
            it is not known, attackers of other ones as well, which prove no absence.
        shipped: Attackers that were trained on what the anonymizer makes, by name.
        classifier: Reads the findings.
        anonymizer: What made the release.
        digests: SHA-256 of the weights by name.
        size: Largest side of their inputs, in pixels.
        missing: Why there is no anonymizer; empty where there is one.
    """

    frozen: dict[str, nn.Module] = field(default_factory=dict)
    shipped: dict[str, nn.Module] = field(default_factory=dict)
    classifier: Classifier | None = None
    anonymizer: Anonymizer | None = None
    digests: dict[str, str] = field(default_factory=dict)
    size: int = DEFAULT_SIZE
    missing: str = ""


def noted_digest(release: Release) -> str:
    """SHA-256 of the anonymizer's weights as most headers of a release say; empty if none says it."""
    from deid.dicom.image_header import READING_FAILURES
    from deid.dicom.pixels import read_header

    found: Counter[str] = Counter()
    pictured = [each for each in release.instances if each.modality]
    for instance in pictured[:: max(1, len(pictured) // _LOOKED_AT)]:
        try:
            found.update(_digests(read_header(instance.scrubbed)))
        except (Held, Skipped, *READING_FAILURES):
            continue
    return found.most_common(1)[0][0] if found else ""


def load_networks(
    modalities: Collection[str], given: str | None, noted: str, digest: str, device: str
) -> Networks:
    """Load every model that was made for one of the modalities.

    Args:
        modalities: Of the release.
        given: Name or folder of the anonymizer; None for ``noted``.
        noted: Name of the anonymizer by the journal; empty if it says none.
        digest: SHA-256 of its weights by the headers, which goes before the name; empty likewise.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.

    Raises:
        UsageError: A model is damaged or is not the one that was asked for, or the device is not there.
    """
    from deid.networks.classifier import Classifier
    from deid.networks.folder import load_network
    from deid.training.device import choose_device

    choose_device(device)
    chosen = _anonymizer(given, noted, digest)
    found = Networks(missing="" if chosen else NOT_HERE if noted or digest else UNNAMED)
    folders = {folder: read_record(folder) for folder in find_models()}
    if chosen is not None:
        folders[chosen] = read_record(chosen)
    for folder, record in folders.items():
        if not _applies(record, modalities, folder, chosen, folders):
            continue
        network, _ = load_network(folder)
        assert record.weights is not None
        found.digests[record.name] = record.weights.sha256
        found.size = max(found.size, *(-(-side // _MULTIPLE) * _MULTIPLE for side in record.input.size))
        if record.kind is ModelKind.ATTACKER and record.companions and chosen is not None:
            found.shipped[record.name] = network
        elif record.kind in (ModelKind.REID, ModelKind.ATTACKER):
            found.frozen[record.name] = network
        elif isinstance(network, Classifier):
            found.classifier = found.classifier or network
        else:
            found.anonymizer = _as_anonymizer(network)
    return found


def _anonymizer(given: str | None, noted: str, digest: str) -> Path | None:
    """The folder of the anonymizer that was asked for, or of the one that made the release if it is here."""
    if given:
        folder = Path(given) if (Path(given) / MANIFEST).is_file() else find_model(given)
        if read_record(folder).kind is not ModelKind.ANONYMIZER:
            raise UsageError("--model takes an anonymizer: a name of 'mami-deid models list', or a folder.")
        return folder
    if digest:
        return next((folder for folder in find_models() if _holds(folder, digest)), None)
    return next((folder for folder in find_models() if folder.name == noted), None)


def _holds(folder: Path, digest: str) -> bool:
    """Whether a folder holds the anonymizer of these weights."""
    record = read_record(folder)
    return (
        record.kind is ModelKind.ANONYMIZER and record.weights is not None and record.weights.sha256 == digest
    )


def _digests(header: Dataset) -> list[str]:
    """Of the weights that an image says were at work on it."""
    items = header.get("ContributingEquipmentSequence") or ()
    said = (str(item.get("ContributionDescription", "")) for item in items)
    return [words[-1] for text in said if len(words := text.split(WEIGHTS)) == 2]


def _applies(
    record: ModelRecord,
    modalities: Collection[str],
    folder: Path,
    chosen: Path | None,
    folders: dict[Path, ModelRecord],
) -> bool:
    """Whether a model has a part in the audit; an attacker only where its anonymizer may have been used."""
    if record.kind is ModelKind.ANONYMIZER:
        return folder == chosen
    if not set(modalities) & set(record.input.modalities):
        return False
    if record.kind is ModelKind.ATTACKER and chosen is not None and record.companions:
        return folders[chosen].name in record.companions
    return True


def _as_anonymizer(network: nn.Module) -> Anonymizer:
    from deid.networks.anonymizer import Anonymizer

    if not isinstance(network, Anonymizer):
        raise UsageError("the model's network is no anonymizer; import the model again.")
    return network
