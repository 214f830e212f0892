"""What a released file says about its own de-identification (PS3.15 E.1.1, PS3.3 C.12.1)."""

from __future__ import annotations

from dataclasses import dataclass

from deid import __version__
from deid.dicom.derived import OUR_CODE, Derivation
from deid.dicom.elements import EXPLICIT_LITTLE, Buffer, Element
from deid.dicom.encode import code_items, element
from deid.dicom.values import ValueCleaner

IMPLEMENTATION_CLASS_UID = "2.25.263486532973168913517087906318571483901"
IMPLEMENTATION_VERSION = f"MAMIDEID_{__version__}"[:16]

PATIENT_IDENTITY_REMOVED = 0x00120062
DEIDENTIFICATION_METHOD = 0x00120063
METHOD_CODE_SEQUENCE = 0x00120064
LONGITUDINAL_MODIFIED = 0x00280303
OUR_TAGS = frozenset(
    {PATIENT_IDENTITY_REMOVED, DEIDENTIFICATION_METHOD, METHOD_CODE_SEQUENCE, LONGITUDINAL_MODIFIED}
)
"""Attributes that hold our own words (and methods of earlier tools, which are cleaned and coded)."""
PATIENT_NAME, PATIENT_ID, STUDY_UID = 0x00100010, 0x00100020, 0x0020000D
_CODE_VALUE, _SCHEME = 0x00080100, 0x00080102
_LONGEST_METHOD = 64


@dataclass(frozen=True)
class Claims:
    """What may be said of an instance.

    Attributes:
        removed: Every row of every claimed option was applied and no risk was released unseen.
        codes: Code value and meaning of CID 7050 for each option that was applied in full.
        temporal: Value of Longitudinal Temporal Information Modified: REMOVED, MODIFIED or UNMODIFIED.
        method: One line for De-identification Method, at most 64 ASCII characters.
    """

    removed: bool
    codes: tuple[tuple[str, str], ...]
    temporal: str
    method: str


def marks(
    body: Buffer,
    elements: list[Element],
    claims: Claims,
    cleaner: ValueCleaner,
    derivation: Derivation | None = None,
) -> list[tuple[int, str, bytes]]:
    """Attributes that this tool writes itself: tag, VR and value, in place of the source's.

    Methods of an earlier de-identification are kept and ours appended, so the history stays readable.

    Args:
        body: What the offsets of ``elements`` point into.
        elements: The source's data set.
        claims: What may be said of the instance.
        cleaner: Of the patient.
        derivation: Which network has changed the pixels, if any.
    """
    source = {e.tag: e for e in elements}
    label = cleaner.patient.label.encode()
    ours: list[tuple[int, str, bytes]] = []
    if STUDY_UID in source or PATIENT_ID in source or PATIENT_NAME in source:
        ours += [(PATIENT_NAME, "PN", label), (PATIENT_ID, "LO", label)]
    encoding = elements[0].encoding if elements else EXPLICIT_LITTLE
    codes = [(value, "DCM", meaning) for value, meaning in claims.codes]
    codes += [OUR_CODE] if derivation is not None else []
    codes = [code for code in _earlier_codes(body, source) if code not in codes] + codes
    methods = [claims.method.encode("ascii")[:_LONGEST_METHOD]]
    methods += [derivation.method] if derivation is not None else []
    return [
        *ours,
        (PATIENT_IDENTITY_REMOVED, "CS", b"YES" if claims.removed else b"NO"),
        (DEIDENTIFICATION_METHOD, "LO", _methods(body, source, methods, cleaner)),
        (METHOD_CODE_SEQUENCE, "SQ", code_items(tuple(codes), encoding)),
        (LONGITUDINAL_MODIFIED, "CS", claims.temporal.encode()),
    ]


def _methods(body: Buffer, source: dict[int, Element], ours: list[bytes], cleaner: ValueCleaner) -> bytes:
    earlier = source.get(DEIDENTIFICATION_METHOD)
    values: list[bytes] = []
    if earlier is not None:
        cleaned = cleaner.text(body[earlier.start : earlier.end], "LO", ("ascii",))
        values = [value.strip() for value in cleaned.split(b"\\") if value.strip() and value.isascii()]
    return b"\\".join([value for value in values if value not in ours] + ours)


def _earlier_codes(body: Buffer, source: dict[int, Element]) -> list[tuple[str, str, str]]:
    """Codes of CID 7050 and ours that an earlier run claimed; any other code is text and goes."""
    from deid.dicom.profile import METHOD_CODES

    sequence = source.get(METHOD_CODE_SEQUENCE)
    found: list[tuple[str, str, str]] = []
    for item in (sequence.items if sequence is not None else None) or []:
        values = {e.tag: body[e.start : e.end].strip(b" \0").decode("latin-1") for e in item if not e.items}
        if (values.get(_CODE_VALUE), values.get(_SCHEME)) == OUR_CODE[:2]:
            found.append(OUR_CODE)
            continue
        meaning = METHOD_CODES.get(values.get(_CODE_VALUE, ""))
        if meaning is not None and values.get(_SCHEME) == "DCM":
            found.append((values[_CODE_VALUE], "DCM", meaning))
    return found


def file_meta(sop_class: str, instance: str, syntax: str) -> bytes:
    """Encode preamble, prefix and File Meta Information (PS3.10 7.1); nothing of the source's is kept.

    Args:
        sop_class: SOP Class UID.
        instance: SOP Instance UID, already replaced.
        syntax: Transfer Syntax UID of the data set that follows.
    """
    group = b"".join(
        element(0x00020000 | number, vr, value, EXPLICIT_LITTLE)
        for number, vr, value in (
            (0x0001, "OB", b"\0\1"),
            (0x0002, "UI", sop_class.encode()),
            (0x0003, "UI", instance.encode()),
            (0x0010, "UI", syntax.encode()),
            (0x0012, "UI", IMPLEMENTATION_CLASS_UID.encode()),
            (0x0013, "SH", IMPLEMENTATION_VERSION.encode()),
        )
    )
    length = element(0x00020000, "UL", len(group).to_bytes(4, "little"), EXPLICIT_LITTLE)
    return bytes(128) + b"DICM" + length + group
