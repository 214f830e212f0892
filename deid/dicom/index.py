"""What the index pass remembers of one DICOM file: whose it is, where it belongs, what may not survive.

The index sees every header before the first file is written, so that a name that stands in one file of a
patient is removed from the texts of all his files, whatever the order of the work.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from deid.core.errors import Held, Skipped
from deid.core.identifiers import Kind
from deid.dicom.elements import Buffer, Element, StructureError, dictionary_vr, walk_items
from deid.dicom.identifying import (
    CODE_ATTRIBUTES,
    coded_kind,
    concept_kinds,
    concept_retained_by,
    identifier_kinds,
    retained_by,
)
from deid.dicom.identity import identity_of
from deid.dicom.part10 import Part10, open_part10
from deid.dicom.profile import Option
from deid.dicom.risk import (
    ENCAPSULATED_DOCUMENT,
    LOOKED_AT,
    PIXEL_TAGS,
    Risk,
    assess,
    is_overlay_position,
)
from deid.dicom.structured import concepts
from deid.dicom.values import codecs_of, decode

_CHARSET = 0x00080005
_CONTENT_SEQUENCE, _TEXT_VALUE = 0x0040A730, 0x0040A160
_DIRECTORY_RECORDS = 0x00041220
_TEXT_LIMIT = 1 << 14
_SELDOM = frozenset({"CS", "LO", "PN", "SH", "UN"})
"""VRs of the attributes that need a closer look: character set, code, person name, unknown."""
_LOOKED_AT = LOOKED_AT | {
    *(_CHARSET, _TEXT_VALUE, 0x00080016, 0x00080018, 0x0020000D, 0x0020000E),
    *(0x00100020, 0x00100021, 0x00080050, 0x00080060),
}
_CODED = CODE_ATTRIBUTES | {0x00080102}
Pair = tuple[str, str]
"""Kind and value of an identifier, plain, because a tree has millions of them."""
Found = dict[Option | None, set[Pair]]
"""Identifiers by the option that would keep them."""
_IDENTIFIERS = ("identifiers", "of_device", "of_institution")


@dataclass(frozen=True)
class DicomRecord:
    """Index entry of one file.

    Attributes:
        patient: Identity string; None where the id names nobody.
        study: Study Instance UID of the source.
        series: Series Instance UID of the source.
        instance: SOP Instance UID of the source.
        sop_class: SOP Class UID.
        modality: Modality (0008,0060).
        accession: Accession Number, for the crosswalk.
        risk: What may hold identity outside the header; None if nothing is known to.
        region: ``head``, ``other`` or ``unknown``.
        frames: Number of Frames, 1 for single-frame images, 0 without pixels.
        identifiers: Kind and value of everything that must not survive.
        of_device: The same for devices, which Retain Device Identity keeps.
        of_institution: The same for institutions, which Retain Institution Identity keeps.
    """

    patient: str | None
    study: str
    series: str
    instance: str
    sop_class: str
    modality: str
    accession: str
    risk: Risk | None
    region: str
    frames: int
    identifiers: tuple[Pair, ...] = ()
    of_device: tuple[Pair, ...] = ()
    of_institution: tuple[Pair, ...] = ()

    def known(self, options: frozenset[Option]) -> Iterator[Pair]:
        """What must not survive under these options."""
        yield from self.identifiers
        if Option.RETAIN_DEVICE_IDENTITY not in options:
            yield from self.of_device
        if Option.RETAIN_INSTITUTION_IDENTITY not in options:
            yield from self.of_institution

    def bare(self) -> DicomRecord:
        """The record without its identifiers."""
        return replace(self, identifiers=(), of_device=(), of_institution=())

    def to_bytes(self) -> bytes:
        """Serialise for the sealed index."""
        return json.dumps(vars(self), separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> DicomRecord:
        """Read what :meth:`to_bytes` wrote."""
        fields = json.loads(data)
        for name in _IDENTIFIERS:
            fields[name] = tuple(map(tuple, fields[name]))
        fields["risk"] = Risk(fields["risk"]) if fields["risk"] else None
        return cls(**fields)


def index_file(path: Path | str) -> DicomRecord:
    """Read the header of one file for the index.

    Raises:
        Skipped: It is no DICOM file, or a DICOMDIR.
        Held: The file cannot be understood, or lacks what a release needs.
    """
    with open_part10(path, wanted=_is_indexed, header=True) as source:
        return index_part10(source)


def _is_indexed(tag: int, vr: str) -> bool:
    """Whether the index looks at plain elements of a tag and VR."""
    looked_at = tag in _LOOKED_AT or tag in _CODED or tag in PIXEL_TAGS or tag == ENCAPSULATED_DOCUMENT
    return looked_at or vr in ("PN", "UN", "SQ") or tag in identifier_kinds() or is_overlay_position(tag)


def index_part10(source: Part10) -> DicomRecord:
    """Make the index entry of an opened file; see :func:`index_file`."""
    body = source.body
    top = {element.tag: element for element in source.elements}
    named = top.get(_CHARSET)
    charset = codecs_of(body[named.start : named.end]) if named else ("iso8859",)

    def text(tag: int) -> str:
        assert tag in _LOOKED_AT
        element = top.get(tag)
        if element is None or element.end - element.start > _TEXT_LIMIT:
            return ""
        return decode(body[element.start : element.end], charset).strip(" \0")

    if _DIRECTORY_RECORDS in top:
        raise Skipped("DICOMDIR: it would not match the output")
    meta = {element.tag: element for element in source.meta}
    sop_class = text(0x00080016) or _meta_uid(source, meta, 0x00020002)
    instance = text(0x00080018) or _meta_uid(source, meta, 0x00020003)
    if not sop_class:
        raise Held("unreadable: no SOP Class UID")
    if not instance:
        raise Held("unreadable: no SOP Instance UID")
    risk, region, frames = assess(
        text,
        not top.keys().isdisjoint(PIXEL_TAGS),
        ENCAPSULATED_DOCUMENT in top,
        any(is_overlay_position(tag) and any(body[e.start : e.end]) for tag, e in top.items()),
    )
    found: Found = {}
    _collect(body, source.elements, charset, 0, found)
    return DicomRecord(
        patient=identity_of(text(0x00100020), text(0x00100021)),
        study=text(0x0020000D),
        series=text(0x0020000E),
        instance=instance,
        sop_class=sop_class,
        modality=text(0x00080060),
        accession=text(0x00080050),
        risk=risk,
        region=region,
        frames=frames,
        identifiers=tuple(sorted(found.get(None, ()))),
        of_device=tuple(sorted(found.get(Option.RETAIN_DEVICE_IDENTITY, ()))),
        of_institution=tuple(sorted(found.get(Option.RETAIN_INSTITUTION_IDENTITY, ()))),
    )


def _meta_uid(source: Part10, meta: dict[int, Element], tag: int) -> str:
    element = meta.get(tag)
    return source.file[element.start : element.end].decode("latin-1").strip(" \0") if element else ""


def _collect(
    body: Buffer,
    elements: list[Element],
    charset: tuple[str, ...],
    coded_in: int,
    found: Found,
) -> None:
    """Collect the identifiers of a data set and of everything nested in it (at most 64 levels)."""
    kinds = identifier_kinds()
    for tag, vr, _, start, end, _, items, _ in elements:
        if items is not None:
            for item in items:
                _collect(body, item, charset, tag if coded_kind(tag) else 0, found)
                if tag == _CONTENT_SEQUENCE:
                    _collect_content(body, item, charset, found)
            continue
        kind = kinds.get(tag)
        if kind is None and vr in _SELDOM:
            if tag == _CHARSET:
                charset = codecs_of(body[start:end])
            elif vr == "UN" and dictionary_vr(tag) == "SQ":
                for item in _unknown_items(body, start, end):
                    _collect(body, item, charset, tag if coded_kind(tag) else 0, found)
            elif vr == "PN" or (vr == "UN" and dictionary_vr(tag) == "PN"):
                kind = Kind.PERSON
            elif coded_in and tag in CODE_ATTRIBUTES:
                kind = coded_kind(coded_in)
        if kind is not None and 0 < end - start <= _TEXT_LIMIT:
            text = decode(body[start:end], charset)
            values = (value.strip(" \0") for value in text.split("\\"))
            option = retained_by(coded_in or tag)
            found.setdefault(option, set()).update((str(kind), value) for value in values if value)


def _collect_content(body: Buffer, item: list[Element], charset: tuple[str, ...], found: Found) -> None:
    """Collect the text of a content item whose concept name says that it names somebody or something."""
    kinds = concept_kinds()
    concept = next((concept for concept in concepts(body, item) if concept in kinds), None)
    if concept is None:
        return
    for element in item:
        if element.tag == _TEXT_VALUE and element.end - element.start <= _TEXT_LIMIT:
            value = decode(body[element.start : element.end], charset).strip(" \0")
            found.setdefault(concept_retained_by(concept), set()).add((str(kinds[concept]), value))


def _unknown_items(body: Buffer, start: int, end: int) -> list[list[Element]]:
    """The items of a sequence that is written as an unknown value; none where it is not one."""
    try:
        return walk_items(body, start, end)
    except StructureError:
        return []
