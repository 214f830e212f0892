"""Made-up persons and visits whose names and numbers are planted into headers, to be found again or not."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

import numpy as np

_CONSONANTS, _VOWELS, _SYLLABLES = "bdfgklmnprstvz", "aeiou", 4


@dataclass(frozen=True)
class Person:
    """A patient of no real name.

    Attributes:
        family: Family name.
        given: Given name.
        id: Patient ID.
        birth: YYYYMMDD.
        sex: ``F`` or ``M``.
        address: Street and town.
        phone: Telephone number.
    """

    family: str
    given: str
    id: str
    birth: str
    sex: str
    address: str
    phone: str

    @classmethod
    def draw(cls, rng: np.random.Generator, number: int) -> Person:
        """A person; the number makes the id unlike that of any other."""
        birth = datetime.date(1930, 1, 1) + datetime.timedelta(days=int(rng.integers(25_000)))
        return cls(
            family=_word(rng),
            given=_word(rng),
            id=f"PH{rng.integers(1000, 10_000)}{number:04d}",
            birth=f"{birth:%Y%m%d}",
            sex=str(rng.choice(["F", "M"])),
            address=f"{_word(rng)} {rng.integers(10, 100)}, {_word(rng)}",
            phone=f"+999 555 {rng.integers(10**6, 10**7)}",
        )

    @property
    def name(self) -> str:
        """Patient's Name (0010,0010)."""
        return f"{self.family}^{self.given}"

    @property
    def identifiers(self) -> tuple[str, ...]:
        """Every word or number that names the person or where they live."""
        street, _, town = self.address.partition(", ")
        return (self.family, self.given, self.id, street.partition(" ")[0], town, self.phone)


@dataclass(frozen=True)
class Visit:
    """One study of a person.

    Attributes:
        date: YYYYMMDD.
        time: HHMMSS.
        accession: Accession Number.
        referring: Family name of the physician who asked for it.
        performing: Family name of the physician who made it.
        operator: Family name of the technician.
        institution: Where it was made.
        serial: Of the device.
    """

    date: str
    time: str
    accession: str
    referring: str
    performing: str
    operator: str
    institution: str
    serial: str

    @classmethod
    def draw(cls, rng: np.random.Generator, number: int) -> Visit:
        """A visit; those of higher number are later."""
        days = number * 200 + int(rng.integers(150))
        date = datetime.date(2012, 1, 2) + datetime.timedelta(days=days)
        return cls(
            date=f"{date:%Y%m%d}",
            time=f"{rng.integers(8, 18):02d}{rng.integers(60):02d}{rng.integers(60):02d}",
            accession=f"AC{rng.integers(10**8, 10**9)}",
            referring=_word(rng),
            performing=_word(rng),
            operator=_word(rng),
            institution=_word(rng),
            serial=f"SN{rng.integers(10**7, 10**8)}",
        )

    @property
    def identifiers(self) -> tuple[str, ...]:
        """Every word or number that names the visit, the staff, the place or the device."""
        people = (self.referring, self.performing, self.operator)
        return (self.accession, *people, self.institution, self.serial)


def _word(rng: np.random.Generator) -> str:
    """A name of no language, long enough not to be part of another word."""
    letters = (f"{rng.choice(list(_CONSONANTS))}{rng.choice(list(_VOWELS))}" for _ in range(_SYLLABLES))
    return "".join(letters).capitalize()
