"""Who a file belongs to: Patient ID with its issuer, or, without a usable id, its study."""

from __future__ import annotations

import re

_PLACEHOLDERS = frozenset(
    {"UNKNOWN", "UNK", "ANON", "ANONYMOUS", "ANONYMIZED", "ANONYMISED", "NONE", "NULL", "NA", "NAN", "NOID"}
    | {"PATIENT", "PATIENTID", "ID", "TEST", "DEFAULT", "DUMMY", "REMOVED", "DEIDENTIFIED", "NOTAVAILABLE"}
    | {"NOTAPPLICABLE", "UNDEFINED", "UNSPECIFIED", "EMPTY", "MISSING", "NOPATIENTID", "TEMP"}
)
_SEPARATORS = re.compile(r"[\W_]+")


def identity_of(patient_id: str, issuer: str) -> str | None:
    """Identity string of a patient, the root of his pseudonyms and his shift.

    Args:
        patient_id: Patient ID (0010,0020); padding does not matter.
        issuer: Issuer of Patient ID (0010,0021); the same number of two issuers is two patients.

    Returns:
        The identity, or None for an id that names nobody (empty, zeros, UNKNOWN, ANON and the like): many
        patients may share it, so the caller must not join their files.
    """
    stripped = patient_id.strip(" \0")
    word = _SEPARATORS.sub("", stripped).upper()
    if not word.strip("0X") or word in _PLACEHOLDERS:
        return None
    return stripped + "\x1f" + issuer.strip(" \0")
