"""The identity step of ``scrub``: which images it changes, by which model, and what it reports of each."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any, BinaryIO

from deid.core.draws import normal_values
from deid.core.errors import Held, UsageError
from deid.core.model_card import read_record
from deid.core.review_store import ReviewStore
from deid.dicom.index import DicomRecord
from deid.nifti.index import NiftiRecord
from deid.nifti.kinds import FileKind
from deid.workflows.scrub.identity_setup import IdentitySetup
from deid.workflows.scrub.options import Identity
from deid.workflows.scrub.stacks import Stack
from deid.workflows.scrub.units import Unit
from deid.workflows.scrub.verdicts import Chosen, Verdict, Verdicts, covering

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom.dataset import Dataset

    from deid.core.image import Image
    from deid.dicom.derived import PixelChange
    from deid.networks.scrubber import Scrubber
    from deid.nifti.volume import NewVoxels
    from deid.workflows.scrub.frames import Frames, Series, Shown
    from deid.workflows.scrub.proof import Proof

APPLIED, NOT_APPLIED = "identity", "identity_not_applied"
"""Keys of an outcome's details: what was done to its pixels, or why nothing was."""
SERIES = "identity_series"
"""Key of an outcome's details: the series that it was judged with (a token, its modality) and the verdict."""
NO_NIFTI_MODALITY = "neither name nor sidecar of the NIfTI volume says of what modality it is"
NIFTI_WORDS = "voxels: written in their own type"
NIFTI_SERIES = "NIfTI file of several volumes"
NO_MODEL = "no validated model is installed"
NO_MODALITY = "no model for this modality"
UNUSABLE = "identity: a model cannot be loaded; import it again"
RETAINED_UIDS = "the recipe retains UIDs, which a changed image may not keep"
_KEPT_DECODED = 256 << 20


def how(model: str, strength: float) -> str:
    """By what an image was changed, in the words of the summary."""
    return f"{model}, strength {strength:g}"


@dataclass(frozen=True)
class Treated:
    """What the step made of an instance.

    Attributes:
        change: Its new pixel data, valid inside the ``with`` block; None if they stay.
        voxels: The same of a NIfTI volume.
        details: For its outcome.
        remember: Keeps the pictures for the review; called once the instance is released.
    """

    change: PixelChange | None = None
    voxels: NewVoxels | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    remember: Callable[[], None] = lambda: None


class IdentityStep:
    """The step in one process; networks are loaded when the first image needs them.

    Args:
        setup: Of the run.
        subkey: From which the noise of every image comes.
        pictures: Folder of the review store.
    """

    def __init__(self, setup: IdentitySetup, subkey: bytes, pictures: Path) -> None:
        self._setup, self._subkey, self._pictures = setup, subkey, pictures
        self._records = [(each, read_record(each)) for each in setup.anonymizers]
        self._scrubbers: dict[Path, Scrubber] = {}
        self._proofs: dict[Path, Proof] = {}
        self._verdicts = Verdicts(self._records, self._scrubber)

    @contextmanager
    def treated(self, unit: Unit, record: DicomRecord, folder: Path) -> Iterator[Treated]:
        """Change the pixels of an instance, if a model covers it.

        Args:
            unit: The instance.
            record: What the index knows of it.
            folder: For a temporary file with pixel data.

        Raises:
            Held: No model covers it and one is required, or the change failed.
        """
        if self._setup.mode is Identity.OFF or not record.frames:
            yield Treated()
            return
        verdict = self._verdicts.of(unit.stack) if unit.stack else None
        if isinstance(verdict, str):
            yield self._of_series(self.not_applied(verdict), unit.stack, verdict)
            return
        chosen = self._choose(unit, record, verdict)
        if isinstance(chosen, str):
            yield self._of_series(self.not_applied(chosen), unit.stack, verdict)
            return
        series = verdict.series if verdict else None
        with TemporaryFile(dir=folder) as stream:
            treated = self._change(unit, record, *chosen, series, stream)
            yield self._of_series(treated, unit.stack, verdict)

    def treated_volume(self, unit: Unit, record: NiftiRecord) -> Treated:
        """Change the voxels of a NIfTI volume, if a model covers it.

        Raises:
            Held: As of :meth:`treated`.
        """
        if self._setup.mode is Identity.OFF or record.kind not in (FileKind.VOLUME, FileKind.PAIR):
            return Treated()
        if not self._records:
            return self.not_applied(NO_MODEL)
        from deid.nifti.facts import facts_of
        from deid.nifti.volume import read_header

        facts = facts_of(unit.path, unit.relative)
        chosen = covering(self._records, [facts]) if facts.modality else NO_NIFTI_MODALITY
        if isinstance(chosen, str):
            return self.not_applied(chosen)
        if math.prod(read_header(unit.path).dims[3:]) > 1:
            return self.not_applied(NIFTI_SERIES)
        return self._change_volume(unit, chosen)

    def not_applied(self, reason: str) -> Treated:
        """What becomes of an image that is not changed.

        Raises:
            Held: A change is required.
        """
        if self._setup.mode is Identity.REQUIRE:
            raise Held(f"identity: {reason}")
        return Treated(details={NOT_APPLIED: reason} if self._setup.mode is Identity.AUTO else {})

    def _of_series(self, treated: Treated, stack: Stack | None, verdict: Verdict | str | None) -> Treated:
        """The same with the verdict on its series, where it was judged with one."""
        if stack is None or verdict is None:
            return treated
        words = verdict if isinstance(verdict, str) else how(verdict.chosen.record.name, self._setup.strength)
        found = {"id": stack.token[:8].hex(), "modality": stack.modality, "verdict": words}
        return replace(treated, details={**treated.details, SERIES: found})

    def _choose(
        self, unit: Unit, record: DicomRecord, verdict: Verdict | None
    ) -> tuple[Chosen, Dataset] | str:
        """The model for an instance, by its series if it has a verdict, and its header; or why none is."""
        if not self._records:
            return NO_MODEL
        modality = record.modality.upper()
        if not any(modality in made.input.modalities for _, made in self._records):
            return NO_MODALITY
        if self._setup.retains_uids:
            return RETAINED_UIDS
        from deid.dicom.image_facts import facts_of
        from deid.dicom.image_header import BITMAP, FLOATING, PALETTE, refuse_unsupported
        from deid.dicom.pixels import read_header

        header = read_header(unit.path)
        chosen = verdict.chosen if verdict else covering(self._records, [facts_of(header)])
        if isinstance(chosen, str):
            return chosen
        try:
            refuse_unsupported(header)
        except Held as held:
            if held.reason in (BITMAP, FLOATING, PALETTE):
                return held.reason.removeprefix("pixels: ")
            raise
        return chosen, header

    def _change(
        self,
        unit: Unit,
        record: DicomRecord,
        chosen: Chosen,
        header: Dataset,
        series: Series | None,
        stream: BinaryIO,
    ) -> Treated:
        from deid.dicom.derived import Derivation, PixelChange
        from deid.dicom.pixel_writer import PixelWriter
        from deid.workflows.scrub.frames import EMPTY, Frames

        writer = PixelWriter(stream, header)
        frames = Frames(_frames(unit.path, header), bool(record.region) and record.frames > 1, series)
        shown = self._scrubbed(chosen, frames, _shared_by(record), writer.add)
        if shown == EMPTY:  # it was changed like the rest of its series, so that nothing is missing
            return Treated(details={NOT_APPLIED: EMPTY})
        if isinstance(shown, str):
            return self.not_applied(shown)
        change = PixelChange(writer.finish(), Derivation(chosen.record.name, chosen.digest))
        details, remember = self._reported(unit, chosen, writer.target.words, shown)
        return Treated(change=change, details=details, remember=remember)

    def _change_volume(self, unit: Unit, chosen: Chosen) -> Treated:
        import numpy as np

        from deid.dicom.pixels import FRAMES_AT_ONCE
        from deid.nifti.pixels import NO_GREY, read_volume
        from deid.nifti.volume import NewVoxels
        from deid.workflows.scrub.frames import Frames

        try:
            image, layout = read_volume(unit.path, chosen.facts.modality)
        except Held as held:
            if held.reason == NO_GREY:
                return self.not_applied(held.reason.removeprefix("pixels: "))
            raise
        changed: list[NDArray[Any]] = []
        starts = range(0, image.frames, FRAMES_AT_ONCE)
        frames = Frames(
            lambda: (image.part(start, start + FRAMES_AT_ONCE) for start in starts), image.frames > 1
        )
        shown = self._scrubbed(
            chosen, frames, f"nifti\x1f{unit.relative}", lambda part: changed.append(part.array[..., 0])
        )
        if isinstance(shown, str):
            return self.not_applied(shown)
        # The name comes last: of 80 characters it is what may be cut.
        words = f"mami-deid: identity cues removed; not for diagnosis; model {chosen.record.name}"
        voxels = NewVoxels(layout.to_voxels(np.concatenate(changed)), words.encode("ascii"))
        details, remember = self._reported(unit, chosen, NIFTI_WORDS, shown)
        return Treated(voxels=voxels, details=details, remember=remember)

    def _scrubbed(
        self, chosen: Chosen, frames: Frames, shared_by: str, take: Callable[[Image], None]
    ) -> Shown | str:
        """Scrub an object by the noise that is drawn for it; a frame to show, or why it must stay."""
        from deid.workflows.scrub.frames import scrub_frames

        scrubber, strength = self._scrubber(chosen.folder), self._setup.strength
        name = "\x1f".join((chosen.digest, repr(strength), shared_by))
        noise = normal_values(self._subkey, name, scrubber.noise)
        return scrub_frames(scrubber, chosen.record.input, frames, strength, noise, take)

    def _reported(
        self, unit: Unit, chosen: Chosen, words: str, shown: Shown
    ) -> tuple[dict[str, Any], Callable[[], None]]:
        """The figures of one frame for the journal, and what keeps the review's pictures."""
        proof = self._proof(chosen)
        figures = proof.figures(shown.before, shown.after)
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

        return {APPLIED: details}, remember

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

    def _proof(self, chosen: Chosen) -> Proof:
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


def _frames(path: Path, header: Dataset) -> Callable[[], Iterator[Image]]:
    """Reads an object a few frames at a time, again at each call; a small one is decoded once."""
    from deid.dicom.image_header import frame_bytes, frame_count
    from deid.dicom.pixels import read_frames

    if frame_bytes(header) * frame_count(header) > _KEPT_DECODED:
        return lambda: read_frames(path, header=header)
    kept = list(read_frames(path, header=header))
    return lambda: iter(kept)


def _shared_by(record: DicomRecord) -> str:
    """What the noise is drawn for: a series of slices has one for all of them, any other image its own.

    Patient and study count, too: two people may have the same UIDs where somebody made them up, and whoever
    knows one of two images that were changed alike learns how the other was.
    """
    shared = record.series and (record.region or record.stack)
    one = ("series", record.series) if shared else ("instance", record.instance)
    return "\x1f".join((*one, record.study, record.patient or ""))
