"""From the active profile to what a released instance says of itself, and to what verification expects."""

from __future__ import annotations

import functools

from deid import __version__
from deid.dicom.marks import Claims
from deid.dicom.profile import Option, Profile
from deid.dicom.verify import Expectation


@functools.lru_cache(maxsize=1024)
def claims_of(profile: Profile, sop_class: str, modality: str, *, released_unseen: bool) -> Claims:
    """What may be said of an instance.

    Args:
        profile: The active profile.
        sop_class: Its SOP Class UID.
        modality: Its Modality.
        released_unseen: It may hold text, a face or a document that no step has looked at.
    """
    said = profile.claims(sop_class, modality)
    return Claims(
        removed=said.identity_removed and not released_unseen,
        codes=said.codes,
        temporal=profile.temporal,
        method=f"mami-deid {__version__}, PS3.15 2026d, {profile.name}",
    )


def expectation_of(profile: Profile, keep_times: bool) -> Expectation:
    """What verification lets stand under a profile."""
    full_dates = Option.RETAIN_FULL_DATES in profile.options
    return Expectation(
        dates_change=not full_dates,
        times_change=not (full_dates or keep_times),
        uids_change=Option.RETAIN_UIDS not in profile.options,
        verbatim=profile.verbatim,
        kept=profile.kept,
    )


def weaker_rows(profile: Profile) -> list[str]:
    """Exceptions of the recipe that let more through than the standard, as the recipe names them."""
    return list(profile.claims().weakened)
