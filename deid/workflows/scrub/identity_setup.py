"""What the identity step of a run is made of: its mode, its models, and the digest that outputs depend on."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from deid.core.errors import UsageError
from deid.core.model_card import ModelKind, ModelRecord, read_record
from deid.core.model_files import WEIGHTS, sha256_of
from deid.core.models import MANIFEST, find_model, find_models
from deid.workflows.scrub.options import Identity, ScrubOptions

_NOT_THERE = 2
_ASK_DEVICE = f"""
import sys
from deid.core.errors import UsageError
from deid.training.device import choose_device
try:
    choose_device(sys.argv[1])
except UsageError as error:
    print(error)
    sys.exit({_NOT_THERE})
"""


@dataclass(frozen=True)
class IdentitySetup:
    """What every process of a run needs for the step; picklable and hashable.

    Attributes:
        mode: Whether images are changed, and what happens to those that no model covers.
        strength: 0..1.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        anonymizers: Model folders, in the order in which they are asked.
        observers: Folders of the critics and classifiers that look at each image before and after.
        retains_uids: The profile retains UIDs.
        stacked: Modalities that the anonymizers take, whose series of slices are judged as one; none where no
            image is changed.
        share: Share of the changed images whose pictures are kept for the review, 0..1.
        digest: Of all that a changed image depends on.
    """

    mode: Identity = Identity.OFF
    strength: float = 1.0
    device: str = "auto"
    anonymizers: tuple[Path, ...] = ()
    observers: tuple[Path, ...] = ()
    retains_uids: bool = False
    stacked: frozenset[str] = frozenset()
    share: float = 0.0
    digest: str = "off"


def identity_setup(options: ScrubOptions, *, retains_uids: bool) -> IdentitySetup:
    """Find the models of a run and check their weights; torch is not loaded.

    Raises:
        UsageError: The model of ``--model`` is not there or no anonymizer, a model that would be used is
            damaged, or the device of ``--device`` is not there.
    """
    if options.identity is Identity.OFF:
        return IdentitySetup()
    found = {folder: _record(folder) for folder in find_models()}
    if options.model:
        folder = _given(options.model)
        found[folder] = _record(folder)
        if found[folder].kind is not ModelKind.ANONYMIZER:
            raise UsageError(
                "--model takes an anonymizer: a name of 'mami-deid models list', or a folder that "
                "train-unet made."
            )
        anonymizers: tuple[Path, ...] = (folder,)
    else:
        anonymizers = tuple(f for f, record in found.items() if record.kind is ModelKind.ANONYMIZER)
    if anonymizers and options.device not in ("auto", "cpu"):
        _check_device(options.device)
    chosen = [found[folder] for folder in anonymizers]
    observers = _observers(found, chosen) if options.proof and chosen else ()
    for folder in (*anonymizers, *observers):
        _check(folder, found[folder])
    described = repr((str(options.identity), options.strength, [_made_of(record) for record in chosen]))
    return IdentitySetup(
        options.identity,
        options.strength,
        options.device,
        anonymizers,
        observers,
        retains_uids,
        frozenset() if retains_uids else _modalities(chosen),
        options.review,
        hashlib.sha256(described.encode()).hexdigest(),
    )


def _given(model: str) -> Path:
    """The folder that ``--model`` means: a path, or the name of an installed model."""
    with suppress(OSError):  # a name that is too long for a file, a folder that may not be read
        if (Path(model) / MANIFEST).is_file():
            return Path(model)
    if os.sep in model:
        raise UsageError(f"--model: no {MANIFEST} can be read in that folder; check the path.")
    return find_model(model)


def _check_device(device: str) -> None:
    # in a process of its own: one that has asked CUDA may not be forked
    command = [sys.executable, "-P", "-c", _ASK_DEVICE, device]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - fixed words
    if asked.returncode == _NOT_THERE:
        raise UsageError(asked.stdout.strip())


def _record(folder: Path) -> ModelRecord:
    try:
        return read_record(folder)
    except UsageError as error:
        raise UsageError(f"the model {folder.name} cannot be used: {error}") from None


def _check(folder: Path, record: ModelRecord) -> None:
    from deid.pixels.network_range import IntensityRule

    assert record.weights is not None
    if sha256_of(folder, WEIGHTS) != record.weights.sha256:
        raise UsageError(
            f"the weights of the model {folder.name} are damaged: their SHA-256 is not the one in "
            f"{MANIFEST}; import the model again."
        )
    try:
        IntensityRule.from_json(record.input.intensity.parameters)
    except UsageError as error:
        raise UsageError(f"the model {folder.name} cannot be used: {error}") from None


def _made_of(record: ModelRecord) -> tuple[object, ...]:
    """All of a model that what it makes of an image depends on."""
    return record.name, record.weights, record.architecture, record.arguments, record.input


def _modalities(records: list[ModelRecord]) -> frozenset[str]:
    return frozenset(code for record in records for code in record.input.modalities)


def _observers(found: Mapping[Path, ModelRecord], anonymizers: list[ModelRecord]) -> tuple[Path, ...]:
    """Critics, attackers and classifiers for what the anonymizers take; no attacker of another anonymizer."""
    modalities = _modalities(anonymizers)
    names = {record.name for record in anonymizers}

    def looks_on(record: ModelRecord) -> bool:
        if record.kind is ModelKind.ANONYMIZER or modalities.isdisjoint(record.input.modalities):
            return False
        return record.kind is not ModelKind.ATTACKER or names.issuperset(record.companions)

    return tuple(folder for folder, record in found.items() if looks_on(record))
