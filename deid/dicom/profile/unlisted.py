"""The written rule for attributes that Table E.1-1 does not list.

PS3.15 E.1.1 lets unlisted standard attributes stay. This profile decides every one by its VR; none stays by
silence:

==============================  ===============================================================
what it is                      what happens
==============================  ===============================================================
not in the data dictionary      removed
group length, groups 0000-0002  removed (file meta and commands are the caller's, who writes them anew)
curves 50xx, overlays 60xx      the whole plane is removed; without its data the rest says nothing
SQ                              the items are walked, each attribute by its own rule
US SS UL SL SV UV FL FD AT      kept: nothing but numbers fits into them
DS IS CS                        kept; the rewriter checks grammar and identifiers
AS                              kept with Retain Patient Characteristics, otherwise removed
UI                              replaced, kept with Retain UIDs (registered UIDs always stay)
DA TM DT                        shifted (modified dates), kept (full dates), otherwise removed
SH LO                           cleaned
ST LT UT UC                     cleaned with Clean Descriptors, otherwise removed
PN                              emptied
AE UR UN                        removed
OB OW OF OD OL OV               kept where :data:`KNOWN_BULK` says what they hold, otherwise removed
==============================  ===============================================================

"Removed" and "emptied" give way to what the IOD asks: empty for type 2, a dummy for type 1.
"""

from __future__ import annotations

import functools

from deid.dicom.dictionary import entry_of
from deid.dicom.profile.actions import Action, Option
from deid.dicom.profile.tables import table_row

BINARY_VRS = frozenset({"US", "SS", "UL", "SL", "SV", "UV", "FL", "FD", "AT"})
BULK_VRS = frozenset({"OB", "OW", "OF", "OD", "OL", "OV"})
TEXT_VRS = frozenset({"SH", "LO", "ST", "LT", "UT", "UC"})
LONG_TEXT_VRS = frozenset({"ST", "LT", "UT", "UC"})
DATE_VRS = frozenset({"DA", "TM", "DT"})

KNOWN_BULK = frozenset(
    {
        # pixels and how to find them
        0x7FE00001,  # Extended Offset Table
        0x7FE00002,  # Extended Offset Table Lengths
        0x7FE00008,  # Float Pixel Data
        0x7FE00009,  # Double Float Pixel Data
        0x7FE00010,  # Pixel Data
        # look-up tables and colour
        *(0x00281201, 0x00281202, 0x00281203, 0x00281204),  # Palette Color Lookup Table Data
        *(0x00281211, 0x00281212, 0x00281213),  # Large Palette Color Lookup Table Data
        *(0x00281221, 0x00281222, 0x00281223, 0x00281224),  # Segmented Palette Color Lookup Table Data
        0x00281200,  # Gray Lookup Table Data
        0x00281408,  # Blending Lookup Table Data
        0x00282000,  # ICC Profile
        0x00283006,  # LUT Data
        0x003A032E,  # Filter Lookup Table Data
        0x00660103,  # Recommended Display CIELab Value List
        0x00701808,  # Weighting Lookup Table Data
        # waveforms and spectroscopy
        *(0x54000110, 0x54000112, 0x5400100A, 0x54001010),  # channel limits, padding, Waveform Data
        *(0x56000010, 0x56000020),  # First Order Phase Correction Angle, Spectroscopy Data
        # geometry: points, vectors, indices
        0x00181638,  # Vertices of the Polygonal Outline
        0x00221531,  # Two Dimensional to Three Dimensional Map Data
        0x00640009,  # Vector Grid Data
        *(0x00660016, 0x00660021, 0x00660022),  # Point and Vector Coordinates
        *(0x00660023, 0x00660024, 0x00660025, 0x00660029),  # Point Index Lists (retired)
        *(0x00660040, 0x00660041, 0x00660042, 0x00660043),  # Long Point Index Lists
        *(0x00660125, 0x00660129),  # Floating Point Values, Track Point Index List
        0x006A0011,  # Annotation Index List
        *(0x0070150D, 0x00701A07),  # Volumetric Curve Points, Up Directions
        *(0x00800010, 0x00800011),  # U and V Value Data of texture maps
        0x00700256,  # Fill Pattern: 128 bytes of bitmap
        # radiotherapy
        *(0x300A0664, 0x300A0665, 0x300A066B),  # Compensator Thickness Maps, Block Edge Data
    }
)
"""Bulk data whose meaning is known and that holds no text."""


@functools.lru_cache(16384)
def dictionary_vrs(tag: int) -> frozenset[str]:
    """VRs that the data dictionary (PS3.6) allows for a standard tag; empty if it does not list the tag."""
    entry = entry_of(tag)
    return frozenset(entry.vr.split(" or ")) if entry is not None else frozenset()


def is_never_kept(tag: int) -> bool:
    """Whether a tag has no place in a released data set: group lengths, groups 0000 to 0002, planes.

    Of groups 0000 and 0002 those that Table E.1-1 lists keep its action, for callers that write them.
    """
    group = tag >> 16
    if group <= 0x0002:
        return table_row(tag) is None
    return tag & 0xFFFF == 0 or is_plane(group)


def is_plane(group: int) -> bool:
    """Whether a group holds a curve (50xx) or an overlay (60xx)."""
    return group & 0xFF00 in (0x5000, 0x6000)


def is_other_kind(tag: int, vr: str) -> bool:
    """Whether a file gives a listed tag a VR of another kind than the data dictionary does.

    A description written as ``OB`` or a date as ``LO`` would pass by the rule meant for it; such values
    are removed.
    """
    allowed = dictionary_vrs(tag)
    if not allowed or vr in allowed:
        return not allowed and vr in BULK_VRS | BINARY_VRS
    if vr in TEXT_VRS:
        return not allowed & (TEXT_VRS | {"CS", "DS", "IS"})
    if vr in ("CS", "DS", "IS"):
        return not allowed & (TEXT_VRS | BINARY_VRS | {"CS", "DS", "IS"})
    numbers = BINARY_VRS | BULK_VRS
    return not (vr in numbers and allowed & numbers)


def unlisted(tag: int, vr: str, options: frozenset[Option]) -> Action:
    """Action for an attribute that no table lists, before the IOD is asked."""
    if not dictionary_vrs(tag):
        return Action.REMOVE
    if vr in BINARY_VRS or vr in ("DS", "IS", "CS"):
        return Action.KEEP
    if vr == "SQ" or vr in ("SH", "LO"):
        return Action.CLEAN
    if vr == "UI":
        return Action.KEEP if Option.RETAIN_UIDS in options else Action.UID
    if vr in LONG_TEXT_VRS and Option.CLEAN_DESCRIPTORS in options:
        return Action.CLEAN
    if vr in DATE_VRS and Option.RETAIN_MODIFIED_DATES in options:
        return Action.CLEAN
    if vr in DATE_VRS and Option.RETAIN_FULL_DATES in options:
        return Action.KEEP
    if vr == "AS" and Option.RETAIN_PATIENT_CHARACTERISTICS in options:
        return Action.KEEP
    if vr in BULK_VRS and tag in KNOWN_BULK:
        return Action.KEEP
    return Action.EMPTY if vr == "PN" else Action.REMOVE
