"""The de-identification profile: PS3.15 Annex E as data, options, exceptions, and what may be claimed.

Importing this package reads no table and no other library; tables are read on first use.
"""

from deid.dicom.profile.actions import METHOD_CODES, PSEUDONYMS, REVEALS, Action, Option, Pseudonym
from deid.dicom.profile.claims import ProfileClaims, profile_claims
from deid.dicom.profile.overrides import Override, Step, Wish, parse_step
from deid.dicom.profile.private import PRIVATE_SOURCES, PrivateRule
from deid.dicom.profile.profile import DEFAULT_PRESET, PRESETS, Profile, preset_profile
from deid.dicom.profile.statement import ProfileRow, conformance_statement, profile_rows
from deid.dicom.profile.tables import TableRow, editions, table_row, table_rows

__all__ = [
    "DEFAULT_PRESET",
    "METHOD_CODES",
    "PRESETS",
    "PRIVATE_SOURCES",
    "PSEUDONYMS",
    "REVEALS",
    "Action",
    "Option",
    "Override",
    "PrivateRule",
    "Profile",
    "ProfileClaims",
    "ProfileRow",
    "Pseudonym",
    "Step",
    "TableRow",
    "Wish",
    "conformance_statement",
    "editions",
    "parse_step",
    "preset_profile",
    "profile_claims",
    "profile_rows",
    "table_row",
    "table_rows",
]
