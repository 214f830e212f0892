"""What the index pass remembers of one NIfTI or BIDS file."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from deid.core.identifiers import Identifier, Kind
from deid.nifti.bids import subject_label
from deid.nifti.collect import collect_identifiers
from deid.nifti.kinds import FileKind
from deid.nifti.scrub import face_risk_of

_OF_ONE_PATIENT = frozenset({FileKind.VOLUME, FileKind.PAIR, FileKind.PAIR_DATA, FileKind.GRADIENTS})


@dataclass(frozen=True)
class NiftiRecord:
    """Index entry of one file.

    Attributes:
        kind: What it is.
        of_all: It speaks of all patients of its data set (``participants.tsv``, a sidecar at the root).
        risk: Why it may show a face; empty if nothing says so.
        identifiers: What must not survive.
    """

    kind: FileKind
    of_all: bool
    risk: str
    identifiers: tuple[Identifier, ...]

    def bare(self) -> NiftiRecord:
        """The record without its identifiers."""
        return replace(self, identifiers=())

    def to_bytes(self) -> bytes:
        """Serialise for the sealed index."""
        identifiers = [(str(i.kind), i.value) for i in self.identifiers]
        return json.dumps([str(self.kind), self.of_all, self.risk, identifiers]).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> NiftiRecord:
        """Read what :meth:`to_bytes` wrote."""
        kind, of_all, risk, identifiers = json.loads(data)
        return cls(
            FileKind(kind), of_all, risk, tuple(Identifier(Kind(k), value) for k, value in identifiers)
        )


def index_nifti(source: Path, relative: str, kind: FileKind) -> NiftiRecord:
    """Read what a file says of its patient.

    Args:
        source: The file.
        relative: Its source path in the tree.
        kind: What :func:`deid.nifti.scrub.classify` says it is.

    Raises:
        Held: It cannot be read as its kind.
    """
    voxels = kind in (FileKind.VOLUME, FileKind.PAIR)
    return NiftiRecord(
        kind,
        kind not in _OF_ONE_PATIENT and subject_label(relative) is None,
        (face_risk_of(source, relative) or "") if voxels else "",
        tuple(collect_identifiers(source, relative, kind)),
    )
