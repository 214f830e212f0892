"""What `review` shows: the images whose identity cues a run has removed, before and after.

The pictures show patients, and `change` gives back what was taken away: they lie in the private state folder
and nowhere else. Every unit has a folder of its own, ``<first 2 hex digits>/<other 30>``, with one PNG a
picture, ``templates.json`` where critics have looked, and ``entry.json``, which comes last: an entry without
it does not exist.
"""

import fcntl
import json
import os
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deid.core.errors import Held, UsageError
from deid.core.files import strerror, sync_folder
from deid.core.unrelated import Templates, Unrelated, unrelated_cosines

PICTURES = ("before", "after", "change", "heat")
"""The pictures of a unit: the image before and after, the difference after - before (128 is no change), and
where the anonymizer acted, as colours to lay over ``before``."""

LARGEST_SIDE = 320
"""Pixels of the longer side of a picture that is kept; larger ones are shrunk."""

SAMPLED = 1000
"""Entries whose templates are kept once a run has ended: the first by ref, which is a keyed digest, so a fair
sample that depends on no order."""

_ENTRY = "entry.json"
_TEMPLATES = "templates.json"
_REF_BYTES = 16
_WORDS = ("output", "modality", "view", "model", "held")
_NUMBERS = ("strength", "psnr", "ssim")
_PNG_START, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
# Black over red and orange to pale yellow: grows in lightness, so that it reads without colour vision too.
_HEAT = ((0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164))
_HEAT_OPACITY = 200
_PNG_LEVEL = 3
"""Half the time of the usual level, for a tenth more space."""


@dataclass(frozen=True)
class ReviewEntry:
    """One image whose pixels a run has changed.

    Attributes:
        ref: Keyed digest of the unit (16 bytes); its name in messages is ``#`` and the first ten hex digits.
        output: Relative pseudonymous name of the output file.
        modality: Header word; "" if none.
        view: Header word; "" if none.
        model: Name of the anonymizer.
        strength: How strongly it was applied, 0..1.
        critics: Cosine of the original to the scrubbed image, -1..1, by the name of the re-identification
            network: how much alike they still look to it. NaN where it could not be measured.
        held_out: Names of the critics that the anonymizer was not trained against.
        findings: What the disease classifier says before and after, 0..1, by finding.
        psnr: Peak signal-to-noise ratio of the two in dB; infinite where they are equal.
        ssim: Structural similarity of the two, -1..1.
        held: Why the unit was held after all; "" if it was released.
        references: Cosines of unrelated patients by critic, to read ``critics`` by. They change with every
            image, so they are not stored but taken from :meth:`ReviewStore.unrelated` when it is read.
    """

    ref: bytes
    output: str
    modality: str
    view: str
    model: str
    strength: float
    critics: Mapping[str, float]
    held_out: tuple[str, ...]
    findings: Mapping[str, tuple[float, float]]
    psnr: float
    ssim: float
    held: str
    references: Mapping[str, Unrelated] = field(default_factory=dict)

    @property
    def reference(self) -> str:
        """The name of the unit in messages, which `show` resolves."""
        return "#" + self.ref[:5].hex()


class ReviewStore:
    """The entries and pictures of a project; several processes may use it at once.

    Args:
        folder: ``review`` in the state folder; made at the first write.

    Attributes:
        damaged: How many entries the last whole pass over :meth:`entries` has skipped.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.damaged = 0

    def write(
        self,
        entry: ReviewEntry,
        pictures: Mapping[str, NDArray[np.uint8]],
        templates: Templates | None = None,
    ) -> None:
        """Keeps one image; an earlier entry of the same unit gives way.

        Args:
            entry: What is known of it.
            pictures: One `[row, column]` of grey for each of :data:`PICTURES`; ``heat`` is 0 where the image
                was left alone and 255 where it was changed most.
            templates: What critics made of it.

        Raises:
            ValueError: A picture is missing, unknown or not a grey image of bytes, or the ref has not 16.
            Held: The disk is full or cannot be written.
        """
        if len(entry.ref) != _REF_BYTES:
            raise ValueError(f"a ref has {_REF_BYTES} bytes, not {len(entry.ref)}")
        if set(pictures) != set(PICTURES):
            raise ValueError(f"the pictures are {sorted(pictures)}; exactly {list(PICTURES)} are needed")
        files = {f"{name}.png": _png(name, pictures[name]) for name in PICTURES}
        if templates:
            files[_TEMPLATES] = templates.to_json()
        files[_ENTRY] = _to_json(entry)
        try:
            with self._unit(entry.ref, create=True) as folder:
                # Without its entry the unit is not there, so nobody meets an entry beside another's pictures.
                (folder / _ENTRY).unlink(missing_ok=True)
                (folder / _TEMPLATES).unlink(missing_ok=True)
                for name, data in files.items():
                    _write_file(folder / name, data)
                sync_folder(folder)
        except OSError as error:
            raise Held(f"the pictures for review cannot be written: {strerror(error)}") from None

    def entries(self) -> Iterator[ReviewEntry]:
        """All entries, sorted by ref; damaged ones are skipped and counted in :attr:`damaged`.

        Raises:
            UsageError: The folder cannot be read.
        """
        damaged = 0
        for folder in self._folders():
            try:
                yield _from_json((folder / _ENTRY).read_bytes(), folder)
            except FileNotFoundError:
                # Half written or just removed by another run: no entry (yet).
                continue
            except (OSError, ValueError, TypeError, LookupError, AttributeError):
                damaged += 1
        self.damaged = damaged

    def unrelated(self) -> dict[tuple[str, float], dict[str, Unrelated]]:
        """Cosines of unrelated patients, by model and strength, and then by critic.

        Damaged templates count for nothing; a model with too few patients has no critic here.

        Raises:
            UsageError: The folder cannot be read.
        """
        sample: defaultdict[tuple[str, float], list[Templates]] = defaultdict(list)
        for entry in islice(self.entries(), SAMPLED):
            with suppress(OSError, ValueError, TypeError, LookupError, AttributeError):
                data = (self._folder_of(entry.ref) / _TEMPLATES).read_bytes()
                sample[entry.model, entry.strength].append(Templates.from_json(data))
        return {made: unrelated_cosines(templates) for made, templates in sample.items()}

    def trim_templates(self) -> None:
        """Deletes the templates of what :meth:`unrelated` does not look at.

        Raises:
            UsageError: One cannot be deleted.
        """
        try:
            for folder in islice(self._folders(), SAMPLED, None):
                (folder / _TEMPLATES).unlink(missing_ok=True)
        except OSError as error:
            raise UsageError(f"templates of the review cannot be deleted: {strerror(error)}.") from None

    def picture(self, ref: bytes, name: str) -> bytes:
        """One picture as PNG: grey, or (``heat``) a palette with transparency to lay over ``before``.

        Raises:
            UsageError: There is no such picture, or it is damaged.
        """
        if name not in PICTURES:
            raise UsageError(f"there is no picture {name!r} of a unit; there are {', '.join(PICTURES)}.")
        try:
            data = (self._folder_of(ref) / f"{name}.png").read_bytes()
        except OSError as error:
            raise UsageError(f"a picture of the review cannot be read: {strerror(error)}.") from None
        if not (data.startswith(_PNG_START) and data.endswith(_PNG_END)):
            raise UsageError("a picture of the review is damaged; scrub the unit again.")
        return data

    def remove(self, refs: Iterable[bytes]) -> None:
        """Deletes entries and pictures of units (withdrawn, pruned, made anew); unknown ones are passed over.

        Raises:
            UsageError: One cannot be deleted.
        """
        try:
            for ref in refs:
                with suppress(FileNotFoundError), self._unit(ref, create=False) as folder:
                    (folder / _ENTRY).unlink(missing_ok=True)
                    shutil.rmtree(folder)
        except OSError as error:
            raise UsageError(f"pictures of the review cannot be deleted: {strerror(error)}.") from None

    def _folder_of(self, ref: bytes) -> Path:
        return self.folder / ref[:1].hex() / ref[1:].hex()

    def _folders(self) -> Iterator[Path]:
        try:
            for first in sorted(self.folder.iterdir()):
                if first.is_dir():
                    yield from sorted(first.iterdir())
        except FileNotFoundError:
            return  # nothing was ever written
        except OSError as error:
            raise UsageError(f"the folder of the review cannot be read: {strerror(error)}.") from None

    @contextmanager
    def _unit(self, ref: bytes, *, create: bool) -> Iterator[Path]:
        """The folder of a unit, locked against other processes that write or remove the same one."""
        folder = self._folder_of(ref)
        while True:
            if create:
                _make_private(self.folder, folder.parent, folder)
            try:
                lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except FileNotFoundError:
                if create:
                    continue  # removed between the two lines above
                raise
            try:
                with suppress(OSError):  # a file system without locks: two runs do not share units there
                    fcntl.flock(lock, fcntl.LOCK_EX)
                if os.fstat(lock).st_nlink:  # else another run removed it while we waited
                    yield folder
                    return
            finally:
                os.close(lock)


def _make_private(*folders: Path) -> None:
    for folder in folders:
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)


def _write_file(path: Path, data: bytes) -> None:
    """A durable file, mode 0600, under its name only when it is whole."""
    # The folder is locked, so one name is enough, and what a killed run left under it goes.
    partial = path.with_name(f".{path.name}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)


def _png(name: str, pixels: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    if pixels.dtype != np.uint8 or pixels.ndim != 2 or not pixels.size:
        raise ValueError(
            f"{name} is {pixels.dtype} with shape {pixels.shape}; a grey image of uint8 is needed"
        )
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.thumbnail((LARGEST_SIDE, LARGEST_SIDE), Image.Resampling.BOX)
    written = BytesIO()
    if name == "heat":
        image = Image.frombytes("P", image.size, image.tobytes())
        image.putpalette(_heat_palette())
        opacity = bytes(level * _HEAT_OPACITY // 255 for level in range(256))
        image.save(written, "PNG", transparency=opacity, compress_level=_PNG_LEVEL)
    else:
        image.save(written, "PNG", compress_level=_PNG_LEVEL)
    return written.getvalue()


def _heat_palette() -> bytes:
    """256 colours of three bytes, straight lines between those of ``_HEAT``."""
    stops = np.linspace(0, 255, len(_HEAT))
    levels = [np.interp(np.arange(256), stops, channel) for channel in np.transpose(_HEAT)]
    return np.stack(levels, 1).round().astype(np.uint8).tobytes()


def _to_json(entry: ReviewEntry) -> bytes:
    words = {name: getattr(entry, name) for name in _WORDS}
    numbers = {name: float(getattr(entry, name)) for name in _NUMBERS}
    fields = {
        "ref": entry.ref.hex(),
        "critics": {name: float(value) for name, value in entry.critics.items()},
        "held_out": list(entry.held_out),
        "findings": {name: [float(pair[0]), float(pair[1])] for name, pair in entry.findings.items()},
    }
    return json.dumps(words | numbers | fields).encode("ascii")


def _from_json(data: bytes, folder: Path) -> ReviewEntry:
    """An entry as it was written; any error of type or value means that it is damaged."""
    fields: dict[str, Any] = json.loads(data)
    ref = bytes.fromhex(fields["ref"])
    if f"{ref[:1].hex()}/{ref[1:].hex()}" != f"{folder.parent.name}/{folder.name}":
        raise ValueError("the entry of another unit")
    if not all((folder / f"{name}.png").is_file() for name in PICTURES):
        raise ValueError("a picture is missing")
    texts = (*(fields[name] for name in _WORDS), *fields["held_out"])
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("not a text")
    return ReviewEntry(
        ref=ref,
        output=fields["output"],
        modality=fields["modality"],
        view=fields["view"],
        model=fields["model"],
        strength=float(fields["strength"]),
        critics={name: float(value) for name, value in fields["critics"].items()},
        held_out=tuple(fields["held_out"]),
        findings={name: (float(pair[0]), float(pair[1])) for name, pair in fields["findings"].items()},
        psnr=float(fields["psnr"]),
        ssim=float(fields["ssim"]),
        held=fields["held"],
    )
