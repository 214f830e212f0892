"""Free text as it is found in headers: medical words to keep amid identity to remove."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

# (text, words to keep). Upper case in braces is filled in upper case. Eponyms are also surnames, on purpose.
_SHORT = (
    ("CT CHEST W CONTRAST {shown} {phone}", "CT CHEST W CONTRAST"),
    ("MR HEAD W/O CONTRAST {id}", "MR HEAD W/O CONTRAST"),
    ("Parkinson disease fu {shown}", "Parkinson disease"),
    ("ABD PELVIS KIDNEY STONE {date}", "ABD PELVIS KIDNEY STONE"),
    ("Wilson disease, ref Dr. {dr}", "Wilson disease"),
    ("T1 MPRAGE SAG {SHOWN}", "T1 MPRAGE SAG"),
    ("Baker's cyst left knee {phone}", "Baker's cyst left knee"),
    ("Hodgkin lymphoma MRN {mrn}", "Hodgkin lymphoma"),
    ("LUNG LOW DOSE {last}, {first}", "LUNG LOW DOSE"),
    ("Foley catheter check DOB {birth}", "Foley catheter"),
    ("AX T2 FLAIR FS {mrn}", "AX T2 FLAIR FS"),
)
_LONG = (
    (
        "Patient {shown} (DOB {birth}) was seen by Dr. {dr} on {date}. Parkinson disease, no acute finding. "
        "Call {phone}.",
        "Parkinson disease, no acute finding",
    ),
    (
        "Known Wilson disease with liver cirrhosis. Lives at {street}, {city}, {state} {zip}. "
        "E-mail {email}.",
        "Wilson disease with liver cirrhosis",
    ),
    (
        "Baker's cyst of 3 cm in the left knee. SSN {ssn}, accession {accession}. Technologist: {tech}.",
        "Baker's cyst of 3 cm in the left knee",
    ),
    (
        "Axial T2 with fat saturation. Allen test positive. Pt {last}, {first} MRN {mrn}; "
        "sent from {hospital}.",
        "Axial T2 with fat saturation",
    ),
    (
        "Hodgkin lymphoma, Graves disease excluded. Read by {dr}, MD on {date}. Pager {phone}.",
        "Hodgkin lymphoma, Graves disease excluded",
    ),
    (
        "Sinus rhythm at 72 bpm. Mr. {last} is {old} years old and takes 5 mg. Fax {phone}",
        "Sinus rhythm at 72 bpm",
    ),
    (
        "Right upper lobe nodule 8 mm, stable. Discussed with {first} {last} by phone {phone}.",
        "nodule 8 mm, stable",
    ),
)
# Surnames that are also eponyms: identity after a title, medicine before `disease`.
EPONYMS = ("Wilson", "Parkinson", "Hodgkin", "Baker", "Graves", "Allen", "Crohn", "Addison", "Bouchard")
_DATES = ("%m/%d/%Y", "%d.%m.%Y", "%Y-%m-%d", "%d-%b-%Y", "%B %d, %Y", "%Y%m%d")


@dataclass(frozen=True)
class Phrase:
    """One free text.

    Attributes:
        text: The value to plant.
        keep: What must stand in the output.
        remove: What must not.
    """

    text: str
    keep: str
    remove: tuple[str, ...]


def written_date(draw: random.Random, day: date) -> str:
    """Return the day in one of the forms that people write."""
    return day.strftime(draw.choice(_DATES))


def phrases(draw: random.Random, values: dict[str, str], short: bool) -> Iterator[Phrase]:
    """Yield phrases filled with the values, without end, in a random order; short ones fit an LO."""
    while True:
        for text, keep in draw.sample(_SHORT if short else _LONG, len(_SHORT if short else _LONG)):
            fields = re.findall(r"\{(\w+)\}", text)
            filled = text
            for name in fields:
                value = values[name.lower()]
                filled = filled.replace(f"{{{name}}}", value.upper() if name.isupper() else value)
            ambiguous = any(
                name in text for name in EPONYMS if name in (values["tech"], values["dr"].split()[-1])
            )
            if ambiguous or (short and len(filled) > 64):
                continue
            yield Phrase(filled, keep, tuple(dict.fromkeys(_removed(fields, values))))


def _removed(fields: list[str], values: dict[str, str]) -> Iterator[str]:
    for name in map(str.lower, fields):
        if name in ("shown", "dr", "tech"):
            yield from values[name].split(" ")
        elif name == "street":
            yield " ".join(values[name].split(" ")[:2])
        elif name == "old":
            if int(values[name]) > 89:
                yield f"{values[name]} years"
        elif name != "state":
            yield values[name]
