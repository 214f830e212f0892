"""Ages above 89 years are one group (HIPAA 164.514(b)(2)(i)(C)); PS3.15 leaves the limit to the profile."""

import re

OLDEST = 89
_NUMBER = re.compile(r"(\d{1,3})(\.\d{1,6})?", re.ASCII)
_DICOM = re.compile(r"(\d{3})([DWMY])", re.ASCII)
_ABOVE = re.compile(r"(\d{1,3})\s*\+|>=?\s*(\d{1,3})", re.ASCII)
_DAYS = {"D": 1, "W": 7, "M": 30, "Y": 365}


def cap_age(text: str, per_year: int = 1) -> str | None:
    """An age with everything above 89 years set to 90.

    Args:
        text: A number, a DICOM age (AS, ``045Y``) or a bound such as ``89+``.
        per_year: Units of a plain number in one year: 1 for years, 12 for months, 52 for weeks, 365 for days.

    Returns:
        None where it is none of these.
    """
    text = text.strip()
    dicom = _DICOM.fullmatch(text)
    if dicom:
        years = int(dicom[1]) * _DAYS[dicom[2]] / 365
        return text if years < OLDEST + 1 else "090Y"
    if _NUMBER.fullmatch(text):
        return text if float(text) < (OLDEST + 1) * per_year else str((OLDEST + 1) * per_year)
    above = _ABOVE.fullmatch(text)
    if above:
        bound = int(above[1] or above[2])
        return str((OLDEST + 1) * per_year) if bound >= OLDEST * per_year else text
    return None
