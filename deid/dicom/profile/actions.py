"""What can happen to an attribute, and the options of PS3.15 that decide it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Action(StrEnum):
    """Action codes of PS3.15 Table E.1-1a.

    ``CLEAN`` on a sequence means that its items are walked, ``DUMMY`` on a sequence that every text in its
    items is replaced, ``UID`` on a sequence that its items are walked and the UIDs in them replaced.
    """

    KEEP = "K"
    CLEAN = "C"
    REMOVE = "X"
    EMPTY = "Z"
    DUMMY = "D"
    UID = "U"


REVEALS: Mapping[Action, int] = MappingProxyType(
    {
        Action.REMOVE: 0,
        Action.EMPTY: 0,
        Action.DUMMY: 0,
        Action.UID: 1,
        Action.CLEAN: 2,
        Action.KEEP: 3,
    }
)
"""How much of the source an action lets through: an action is weaker than another if its number is higher."""


class Option(StrEnum):
    """The option columns of PS3.15 Table E.1-1, named by their columns in the compiled table."""

    RETAIN_SAFE_PRIVATE = "rtnSafePrivOpt"
    RETAIN_UIDS = "rtnUIDsOpt"
    RETAIN_DEVICE_IDENTITY = "rtnDevIdOpt"
    RETAIN_INSTITUTION_IDENTITY = "rtnInstIdOpt"
    RETAIN_PATIENT_CHARACTERISTICS = "rtnPatCharsOpt"
    RETAIN_FULL_DATES = "rtnLongFullDatesOpt"
    RETAIN_MODIFIED_DATES = "rtnLongModifDatesOpt"
    CLEAN_DESCRIPTORS = "cleanDescOpt"
    CLEAN_STRUCTURED_CONTENT = "cleanStructContOpt"
    CLEAN_GRAPHICS = "cleanGraphOpt"

    @property
    def key(self) -> str:
        """Name in recipes and on the command line, such as ``clean-descriptors``."""
        return self.name.lower().replace("_", "-")

    @property
    def code(self) -> str:
        """Code value of the option in CID 7050 (coding scheme DCM)."""
        return _CODES[self]

    @property
    def retains(self) -> bool:
        """Whether the option promises that something stays."""
        return self.name.startswith("RETAIN")


_CODES: Mapping[Option, str] = MappingProxyType(
    {
        Option.CLEAN_GRAPHICS: "113103",
        Option.CLEAN_STRUCTURED_CONTENT: "113104",
        Option.CLEAN_DESCRIPTORS: "113105",
        Option.RETAIN_FULL_DATES: "113106",
        Option.RETAIN_MODIFIED_DATES: "113107",
        Option.RETAIN_PATIENT_CHARACTERISTICS: "113108",
        Option.RETAIN_DEVICE_IDENTITY: "113109",
        Option.RETAIN_UIDS: "113110",
        Option.RETAIN_SAFE_PRIVATE: "113111",
        Option.RETAIN_INSTITUTION_IDENTITY: "113112",
    }
)

BASIC_CODE = "113100"
CLEAN_PIXEL_DATA_CODE = "113101"
CLEAN_RECOGNIZABLE_FEATURES_CODE = "113102"

METHOD_CODES: Mapping[str, str] = MappingProxyType(
    {
        BASIC_CODE: "Basic Application Confidentiality Profile",
        CLEAN_PIXEL_DATA_CODE: "Clean Pixel Data Option",
        CLEAN_RECOGNIZABLE_FEATURES_CODE: "Clean Recognizable Visual Features Option",
        "113103": "Clean Graphics Option",
        "113104": "Clean Structured Content Option",
        "113105": "Clean Descriptors Option",
        "113106": "Retain Longitudinal Temporal Information Full Dates Option",
        "113107": "Retain Longitudinal Temporal Information Modified Dates Option",
        "113108": "Retain Patient Characteristics Option",
        "113109": "Retain Device Identity Option",
        "113110": "Retain UIDs Option",
        "113111": "Retain Safe Private Option",
        "113112": "Retain Institution Identity Option",
    }
)
"""CID 7050 De-identification Method: code value to meaning, coding scheme DCM."""


class Pseudonym(StrEnum):
    """Attributes whose replacement is a keyed pseudonym instead of a plain dummy or an empty value."""

    PATIENT = "patient"
    ACCESSION = "accession"
    STUDY = "study"


PSEUDONYMS: Mapping[int, Pseudonym] = MappingProxyType(
    {
        0x00100010: Pseudonym.PATIENT,  # Patient's Name
        0x00100020: Pseudonym.PATIENT,  # Patient ID
        0x00080050: Pseudonym.ACCESSION,  # Accession Number
        0x00200010: Pseudonym.STUDY,  # Study ID
    }
)
"""Their rows are Z or Z/D, and a dummy value is what both allow; the pseudonym is that dummy."""
