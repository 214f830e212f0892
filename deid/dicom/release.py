"""One DICOM instance from input to verified output bytes."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from mmap import ACCESS_READ, mmap
from pathlib import Path

from deid.core.errors import Held
from deid.core.files import strerror
from deid.core.pseudonyms import Pseudonyms
from deid.core.staging import FileRange
from deid.dicom.codestream import blanked, identifying
from deid.dicom.derived import (
    Derivation,
    PixelChange,
    check_replaceable,
    pixel_description,
)
from deid.dicom.elements import Buffer
from deid.dicom.index import DicomRecord
from deid.dicom.marks import Claims, file_meta, marks
from deid.dicom.part10 import NotDicom, Part10, parse_part10
from deid.dicom.profile import Option, Override, Profile, Step, Wish
from deid.dicom.rewrite import Piece, Rewriter
from deid.dicom.risk import ENCAPSULATED_DOCUMENT, Risk
from deid.dicom.values import Patient, ValueCleaner, is_well_known
from deid.dicom.verify import Expectation, Verifier, is_compared, is_compared_in_change
from deid.dicom.verify_pixels import release_pages

_PIECE = 1 << 20


class PatientRelease:
    """De-identifies instances of one patient.

    Args:
        profile: What to do with which attribute.
        patient: Whose instances.
        pseudonyms: Of the project.
        expectation: What verification lets stand.
    """

    def __init__(
        self, profile: Profile, patient: Patient, pseudonyms: Pseudonyms, expectation: Expectation
    ) -> None:
        self._profile = profile
        self._pseudonyms = pseudonyms
        self._cleaner = ValueCleaner(patient, pseudonyms)
        self._rewriters: dict[tuple[Profile, Derivation | None], Rewriter] = {}
        self._verifier = Verifier(patient.known, expectation)

    def prepare(
        self, source: Part10, record: DicomRecord, claims: Claims, change: PixelChange | None = None
    ) -> Prepared:
        """Rewrite an opened instance.

        Args:
            source: The input, open until the output is written.
            record: Its index entry.
            claims: What the output may say about itself.
            change: New pixel data in place of the input's, and what made it.

        Raises:
            Held: It cannot be released.
        """
        derivation = change.derivation if change is not None else None
        added = marks(source.body, source.elements, claims, self._cleaner, derivation)
        sop_class = record.sop_class
        # a document gets here only where the user has asked to keep it
        profile = self._profile_of(record.modality, keep_document=record.risk is Risk.DOCUMENT)
        if change is not None:
            added += self._of_change(source, change)
        rewriter = self._rewriter(profile, derivation)
        pixels = change.pixels if change is not None else None
        pieces = rewriter.rewrite(source.body, source.elements, sop_class, added, pixels)
        if change is None:
            pieces = self._without_comments(source, pieces)
        shown = sop_class if is_well_known(sop_class) else self._pseudonyms.uid(sop_class)
        retained = Option.RETAIN_UIDS in self._profile.options
        instance = record.instance if retained else self._cleaner.uid(record.instance.encode()).decode()
        syntax = pixels.syntax if pixels is not None else source.syntax
        return Prepared(source, file_meta(shown, instance, syntax), pieces)

    def _without_comments(self, source: Part10, pieces: list[Piece]) -> list[Piece]:
        """The same pieces with blanks for what the code streams of compressed pixel data say of somebody."""
        ranges = identifying(source.body, source.elements, self._cleaner.patient.known)
        if not ranges:
            return pieces
        cut = (blanked(piece, ranges) if isinstance(piece, tuple) else (piece,) for piece in pieces)
        return list(chain.from_iterable(cut))

    def _of_change(self, source: Part10, change: PixelChange) -> list[tuple[int, str, bytes]]:
        """Check that an image may be changed, and describe its new pixels."""
        # an image that is not the same any more needs another UID (PS3.3 C.7.6.1.1.2)
        if Option.RETAIN_UIDS in self._profile.options:
            raise Held("identity: the recipe retains UIDs, which a changed image may not keep")
        check_replaceable(source, change.pixels)
        elements = {e.tag: e for e in source.elements}
        return pixel_description(source.body, elements, change.pixels, source.syntax)

    def _profile_of(self, modality: str, *, keep_document: bool) -> Profile:
        profile = self._profile.for_modality(modality)
        if keep_document:
            profile = replace(profile, overrides=(*profile.overrides, _KEEP_DOCUMENT))
        return profile

    def _rewriter(self, profile: Profile, derivation: Derivation | None) -> Rewriter:
        key = profile, derivation
        if key not in self._rewriters:
            self._rewriters[key] = Rewriter(profile, self._cleaner, derivation)
        return self._rewriters[key]

    def verify(
        self, source: Part10, written: Buffer, size: int | None = None, change: PixelChange | None = None
    ) -> None:
        """Walk the written bytes again and compare them with the source.

        Args:
            source: The input.
            written: The output.
            size: Bytes of the output, where ``written`` is without its :attr:`Prepared.tail`.
            change: What :meth:`prepare` was given; ``written`` is then the whole output.

        Raises:
            Held: They are not what they must be.
        """
        try:
            wanted = is_compared if change is None else is_compared_in_change
            with parse_part10(written, wanted=wanted, size=size) as output:
                self._verifier.verify(source, output, change)
        except NotDicom:
            raise Held("verification: the written file cannot be read") from None


_KEEP_DOCUMENT = Override(
    "--encapsulated keep", (Step(0xFFFFFFFF, ENCAPSULATED_DOCUMENT),), Wish.KEEP_VERBATIM
)


@dataclass(frozen=True)
class Prepared:
    """A rewritten instance that is not written yet."""

    source: Part10
    head: bytes
    pieces: list[Piece]

    @property
    def in_memory(self) -> bool:
        """Whether the whole output fits comfortably into memory; new pixel data is taken to be large."""
        changed = any(isinstance(piece, FileRange) for piece in self.pieces)
        return isinstance(self.source.body, bytes) and not changed

    @property
    def tail(self) -> tuple[int, int] | None:
        """Offset and length of the pixel data of the source that is to be copied behind :meth:`to_bytes`.

        None for an output with new pixel data, which :meth:`chunks` names.
        """
        last = self.pieces[-1] if self.pieces and self.source.is_header else b""
        if not isinstance(last, tuple) or last[1] != self.source.size:
            return None
        start = self.source.elements[-1].start
        return start, last[1] - start

    def to_bytes(self) -> bytes:
        """The output file, without its :attr:`tail`."""
        body = memoryview(self.source.body)
        end = self.tail[0] if self.tail is not None else len(body)
        parts: list[bytes | memoryview] = []
        for piece in self.pieces:
            if isinstance(piece, bytes):
                parts.append(piece)
            elif isinstance(piece, FileRange):
                parts += _contents(piece)
            else:
                parts.append(body[piece[0] : min(piece[1], end)])
        if self.source.deflated:
            return self.head + _deflate(b"".join(parts))
        return b"".join([self.head, *parts])

    def chunks(self) -> Iterator[bytes | FileRange]:
        """The output file in pieces of at most one MiB; mapped pages are given back on the way.

        New pixel data is a range of its file to copy, unless the output is deflated.
        """
        yield self.head
        if not self.source.deflated:
            yield from self._plain()
            return
        parts = ([part] if isinstance(part, bytes) else _contents(part) for part in self._plain())
        yield from _deflated(chain.from_iterable(parts))

    def _plain(self) -> Iterator[bytes | FileRange]:
        body = self.source.body
        for piece in self.pieces:
            if not isinstance(piece, tuple):
                yield piece
                continue
            for start in range(piece[0], piece[1], _PIECE):
                yield body[start : min(start + _PIECE, piece[1])]
                release_pages(body)


def _contents(part: FileRange) -> Iterator[bytes]:
    """The bytes of a file's range, piece by piece."""
    offset, stop = part.offset, part.offset + part.length
    while offset < stop:
        try:
            data = os.pread(part.descriptor, min(_PIECE, stop - offset), offset)
        except OSError as error:
            raise Held(f"unreadable: {strerror(error)}") from None
        if not data:
            raise Held("unreadable: truncated")
        yield data
        offset += len(data)


def _deflate(data: bytes) -> bytes:
    return b"".join(_deflated([data]))


def _deflated(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Deflate as PS3.5 A.5 asks: no zlib header, an even number of bytes."""
    deflater = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    total = 0
    for chunk in chunks:
        piece = deflater.compress(chunk)
        total += len(piece)
        yield piece
    piece = deflater.flush()
    yield piece
    if (total + len(piece)) % 2:
        yield b"\0"


def map_file(path: Path) -> mmap:
    """Map a written file for verification."""
    with path.open("rb") as stream:
        return mmap(stream.fileno(), 0, access=ACCESS_READ)
