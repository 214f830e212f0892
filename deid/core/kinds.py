"""What an identifier is: a value of a header and the kind of thing that it names."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What an identifier names; the value is safe to print in messages."""

    PATIENT_NAME = "patient name"
    PERSON = "person"
    ID = "identifier"
    PLACE = "place"
    PHONE = "phone number"
    DATE = "date"
    DEVICE = "device"
    UID = "UID"
    OTHER = "other"


@dataclass(frozen=True, order=True)
class Identifier:
    """One value that must not survive.

    Attributes:
        kind: What it names.
        value: Decoded header value. Names may be in PN form, ``Family^Given^Middle^Prefix^Suffix=..=..``;
            dates are ``YYYYMMDD`` or ISO 8601, a time may follow.
    """

    kind: Kind
    value: str
