"""The identity step of ``scrub``: which images it changes, by which model, and what it reports of each."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any, BinaryIO

from deid.core.coverage import ImageFacts, uncovered
from deid.core.draws import normal_values
from deid.core.errors import Held, UsageError
from deid.core.model_card import ModelKind, ModelRecord, read_record
from deid.core.model_files import WEIGHTS, sha256_of
from deid.core.models import MANIFEST, find_model, find_models
from deid.core.review_store import ReviewStore
from deid.dicom.index import DicomRecord
from deid.workflows.scrub.options import Identity, ScrubOptions
from deid.workflows.scrub.units import Unit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pydicom.dataset import Dataset

    from deid.core.image import Image
    from deid.dicom.derived import PixelChange
    from deid.networks.scrubber import Scrubber
    from deid.pixels.network_range import NetworkRange
    from deid.workflows.scrub.proof import Proof

APPLIED, NOT_APPLIED = "identity", "identity_not_applied"
"""Keys of an outcome's details: what was done to its pixels, or why nothing was."""
UNFAMILIAR = "the image does not look like those that the model was trained on"
NO_NIFTI_MODEL = "no model for NIfTI volumes"
NO_MODEL = "no validated model is installed"
UNTOUCHED = "the network left every pixel as it is"
UNUSABLE = "identity: a model cannot be loaded; import it again"
RETAINED_UIDS = "the recipe retains UIDs, which a changed image may not keep"
_KEPT_DECODED = 256 << 20


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
        share: Share of the changed images whose pictures are kept for the review, 0..1.
        digest: Of all that a changed image depends on.
    """

    mode: Identity = Identity.OFF
    strength: float = 1.0
    device: str = "auto"
    anonymizers: tuple[Path, ...] = ()
    observers: tuple[Path, ...] = ()
    retains_uids: bool = False
    share: float = 0.0
    digest: str = "off"


def identity_setup(options: ScrubOptions, *, retains_uids: bool) -> IdentitySetup:
    """Find the models of a run and check their weights; torch is not loaded.

    Raises:
        UsageError: The model of ``--model`` is not there or no anonymizer, or a model that would be used is
            damaged.
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


def _observers(found: Mapping[Path, ModelRecord], anonymizers: list[ModelRecord]) -> tuple[Path, ...]:
    """Critics, attackers and classifiers for what the anonymizers take; no attacker of another anonymizer."""
    modalities = {code for record in anonymizers for code in record.input.modalities}
    names = {record.name for record in anonymizers}

    def looks_on(record: ModelRecord) -> bool:
        if record.kind is ModelKind.ANONYMIZER or modalities.isdisjoint(record.input.modalities):
            return False
        return record.kind is not ModelKind.ATTACKER or names.issuperset(record.companions)

    return tuple(folder for folder, record in found.items() if looks_on(record))


@dataclass(frozen=True)
class Treated:
    """What the step made of an instance.

    Attributes:
        change: Its new pixel data, valid inside the ``with`` block; None if they stay.
        details: For its outcome.
        remember: Keeps the pictures for the review; called once the instance is released.
    """

    change: PixelChange | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    remember: Callable[[], None] = lambda: None


class IdentityStep:
    """The step in one process; networks are loaded when the first image needs them.

    Args:
        setup: Of the run.
        subkey: From which the noise of every image comes.
        folder: For temporary files with pixel data.
        pictures: Folder of the review store.
    """

    def __init__(self, setup: IdentitySetup, subkey: bytes, folder: Path, pictures: Path) -> None:
        self._setup, self._subkey, self._folder, self._pictures = setup, subkey, folder, pictures
        self._records = [(each, read_record(each)) for each in setup.anonymizers]
        self._scrubbers: dict[Path, Scrubber] = {}
        self._proofs: dict[Path, Proof] = {}

    @contextmanager
    def treated(self, unit: Unit, record: DicomRecord) -> Iterator[Treated]:
        """Change the pixels of an instance, if a model covers it.

        Raises:
            Held: No model covers it and one is required, or the change failed.
        """
        if self._setup.mode is Identity.OFF or not record.frames:
            yield Treated()
            return
        chosen = self._choose(unit, record)
        if isinstance(chosen, str):
            yield self.not_applied(chosen)
            return
        with TemporaryFile(dir=self._folder) as stream:
            yield self._change(unit, record, chosen, stream)

    def not_applied(self, reason: str) -> Treated:
        """What becomes of an image that is not changed.

        Raises:
            Held: A change is required.
        """
        if self._setup.mode is Identity.REQUIRE:
            raise Held(f"identity: {reason}")
        return Treated(details={NOT_APPLIED: reason} if self._setup.mode is Identity.AUTO else {})

    def _choose(self, unit: Unit, record: DicomRecord) -> _Chosen | str:
        """The first model that covers an instance by its header, or why none does."""
        if not self._records:
            return NO_MODEL
        modality = record.modality.upper()
        if not any(modality in made.input.modalities for _, made in self._records):
            return "no model for this modality"
        if self._setup.retains_uids:
            return RETAINED_UIDS
        from deid.dicom.image_facts import facts_of
        from deid.dicom.image_header import BITMAP, FLOATING, PALETTE, refuse_unsupported
        from deid.dicom.pixels import read_header

        header = read_header(unit.path)
        facts = facts_of(header)
        reasons = {folder: uncovered(facts, made.input) for folder, made in self._records}
        chosen = next((folder for folder, reason in reasons.items() if not reason), None)
        if chosen is None:
            return next(iter(reasons.values()))
        try:
            refuse_unsupported(header)
        except Held as held:
            if held.reason in (BITMAP, FLOATING, PALETTE):
                return held.reason.removeprefix("pixels: ")
            raise
        return _Chosen(chosen, dict(self._records)[chosen], facts, header)

    def _change(self, unit: Unit, record: DicomRecord, chosen: _Chosen, stream: BinaryIO) -> Treated:
        import numpy as np

        from deid.dicom.derived import Derivation, PixelChange
        from deid.dicom.pixel_writer import PixelWriter
        from deid.pixels.network_range import IntensityRule, apply_range, from_network, measure_range

        model, strength = chosen.record, self._setup.strength
        scrubber = self._scrubber(chosen.folder)
        frames = _frames(unit.path, chosen.header)
        found = measure_range(frames(), IntensityRule.from_json(model.input.intensity.parameters))
        assert model.weights is not None
        name = "\x1f".join((model.weights.sha256, repr(strength), _shared_by(record)))
        noise = normal_values(self._subkey, name, scrubber.noise)
        writer = PixelWriter(stream, chosen.header)
        shown: _Shown | None = None
        touched = False
        for image in frames():
            unit_values = apply_range(image, found)
            if not scrubber.is_familiar(unit_values):
                return self.not_applied(UNFAMILIAR)
            changed = from_network(scrubber.scrub(unit_values, strength, noise), found, image)
            touched = touched or not np.array_equal(changed.array, image.array)
            writer.add(changed)
            shown = shown or _Shown(unit_values, changed, found)
        if not touched:  # what is as it was must not say that it was changed
            return self.not_applied(UNTOUCHED)
        pixels = writer.finish()
        change = PixelChange(pixels, Derivation(model.name, model.weights.sha256))
        assert shown is not None
        return self._reported(unit, chosen, change, writer.target.words, shown)

    def _reported(
        self, unit: Unit, chosen: _Chosen, change: PixelChange, words: str, shown: _Shown
    ) -> Treated:
        """The new pixels with the figures of their first frame for the journal, and the review's pictures."""
        proof = self._proof(chosen)
        before, after = shown.pair()
        figures = proof.figures(before, after)
        details = {
            "model": chosen.record.name,
            "strength": self._setup.strength,
            "encoding": words,
        } | figures.to_json()

        def remember() -> None:
            if int.from_bytes(unit.ref[:4]) < self._setup.share * (1 << 32):
                proof.keep(self._pictures, unit, chosen.facts, self._setup.strength, figures)
            else:  # those of an earlier run show other pixels
                ReviewStore(self._pictures).remove([unit.ref])

        return Treated(change, {APPLIED: details}, remember)

    def _scrubber(self, folder: Path) -> Scrubber:
        if folder not in self._scrubbers:
            from deid.networks.anonymizer import Anonymizer
            from deid.networks.folder import load_network
            from deid.networks.scrubber import Scrubber
            from deid.workflows.scrub.proof import device_of

            with _usable():
                network, _ = load_network(folder)
            if not isinstance(network, Anonymizer):
                raise Held("identity: the model's network is no anonymizer")
            self._scrubbers[folder] = Scrubber(network, device_of(self._setup.device))
        return self._scrubbers[folder]

    def _proof(self, chosen: _Chosen) -> Proof:
        if chosen.folder not in self._proofs:
            from deid.workflows.scrub.proof import Proof, device_of

            with _usable():
                self._proofs[chosen.folder] = Proof(
                    self._setup.observers, chosen.record, device_of(self._setup.device)
                )
        return self._proofs[chosen.folder]


@contextmanager
def _usable() -> Iterator[None]:
    """Hold an image where a model does not load; which one is said where a run begins, or by ``models``."""
    try:
        yield
    except UsageError:
        raise Held(UNUSABLE) from None


@dataclass(frozen=True)
class _Chosen:
    """A model for an instance, and the header that it was chosen by."""

    folder: Path
    record: ModelRecord
    facts: ImageFacts
    header: Dataset


@dataclass(frozen=True, eq=False)
class _Shown:
    """The first frames of an object before, in 0..1, and after, as stored values."""

    unit: NDArray[np.float32]
    changed: Image
    found: NetworkRange

    def pair(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The first frame before and after, `[row, column]` in 0..1, the latter as it will be read."""
        from deid.pixels.network_range import apply_range

        return self.unit[0], apply_range(self.changed.part(0, 1), self.found)[0]


def _frames(path: Path, header: Dataset) -> Callable[[], Iterator[Image]]:
    """Reads an object a few frames at a time, again at each call; a small one is decoded once."""
    from deid.dicom.image_header import frame_bytes, frame_count
    from deid.dicom.pixels import read_frames

    if frame_bytes(header) * frame_count(header) > _KEPT_DECODED:
        return lambda: read_frames(path)
    kept = list(read_frames(path))
    return lambda: iter(kept)


def _shared_by(record: DicomRecord) -> str:
    """What the noise is drawn for: a volume has one for all its slices, any other image its own."""
    return f"series\x1f{record.series}" if record.region else f"instance\x1f{record.instance}"
