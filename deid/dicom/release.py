"""One DICOM instance from input to verified output bytes."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from mmap import ACCESS_READ, mmap
from pathlib import Path

from deid.core.errors import Held
from deid.core.pseudonyms import Pseudonyms
from deid.dicom.elements import Buffer
from deid.dicom.index import DicomRecord
from deid.dicom.marks import Claims, file_meta, marks
from deid.dicom.part10 import NotDicom, Part10, parse_part10
from deid.dicom.profile import Option, Override, Profile, Step, Wish
from deid.dicom.rewrite import Piece, Rewriter
from deid.dicom.risk import ENCAPSULATED_DOCUMENT, Risk
from deid.dicom.values import Patient, ValueCleaner, is_well_known
from deid.dicom.verify import Expectation, Verifier, is_compared, release_pages

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
        self._rewriters: dict[Profile, Rewriter] = {}
        self._verifier = Verifier(patient.known, expectation)

    def prepare(self, source: Part10, record: DicomRecord, claims: Claims) -> Prepared:
        """Rewrite an opened instance.

        Args:
            source: The input, open until the output is written.
            record: Its index entry.
            claims: What the output may say about itself.

        Raises:
            Held: It cannot be released.
        """
        added = marks(source.body, source.elements, claims, self._cleaner)
        sop_class = record.sop_class
        # a document gets here only where the user has asked to keep it
        rewriter = self._rewriter(record.modality, keep_document=record.risk is Risk.DOCUMENT)
        pieces = rewriter.rewrite(source.body, source.elements, sop_class, added)
        shown = sop_class if is_well_known(sop_class) else self._pseudonyms.uid(sop_class)
        retained = Option.RETAIN_UIDS in self._profile.options
        instance = record.instance if retained else self._cleaner.uid(record.instance.encode()).decode()
        return Prepared(source, file_meta(shown, instance, source.syntax), pieces)

    def _rewriter(self, modality: str, *, keep_document: bool) -> Rewriter:
        profile = self._profile.for_modality(modality)
        if keep_document:
            profile = replace(profile, overrides=(*profile.overrides, _KEEP_DOCUMENT))
        if profile not in self._rewriters:
            self._rewriters[profile] = Rewriter(profile, self._cleaner)
        return self._rewriters[profile]

    def verify(self, source: Part10, written: Buffer, size: int | None = None) -> None:
        """Walk the written bytes again and compare them with the source.

        Args:
            source: The input.
            written: The output.
            size: Bytes of the output, where ``written`` is without its :attr:`Prepared.tail`.

        Raises:
            Held: They are not what they must be.
        """
        try:
            with parse_part10(written, wanted=is_compared, size=size) as output:
                self._verifier.verify(source, output)
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
        """Whether the whole output fits comfortably into memory."""
        return isinstance(self.source.body, bytes)

    @property
    def tail(self) -> tuple[int, int] | None:
        """Offset and length of the pixel data of the source that is to be copied behind :meth:`to_bytes`."""
        last = self.pieces[-1] if self.pieces and self.source.is_header else b""
        if isinstance(last, bytes) or last[1] != self.source.size:
            return None
        start = self.source.elements[-1].start
        return start, last[1] - start

    def to_bytes(self) -> bytes:
        """The output file, without its :attr:`tail`."""
        body = memoryview(self.source.body)
        end = self.tail[0] if self.tail is not None else len(body)
        pieces = self.pieces
        parts = [p if isinstance(p, bytes) else body[p[0] : min(p[1], end)] for p in pieces]
        if self.source.deflated:
            return self.head + _deflate(b"".join(parts))
        return b"".join([self.head, *parts])

    def chunks(self) -> Iterator[bytes]:
        """The output file in pieces of at most one MiB; mapped pages are given back on the way."""
        yield self.head
        yield from _deflated(self._plain()) if self.source.deflated else self._plain()

    def _plain(self) -> Iterator[bytes]:
        body = self.source.body
        for piece in self.pieces:
            if isinstance(piece, bytes):
                yield piece
                continue
            for start in range(piece[0], piece[1], _PIECE):
                yield body[start : min(start + _PIECE, piece[1])]
                release_pages(body)


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
