"""Which time belongs to which date: Study Time to Study Date, Acquisition Time to Acquisition Date, ..."""

from __future__ import annotations

import functools

from deid.dicom.dictionary import attributes


@functools.cache
def _partners() -> dict[int, int]:
    tags = {entry[4]: (tag, entry[0]) for tag, entry in attributes().items() if entry[0] in ("DA", "TM")}
    partners: dict[int, int] = {}
    for keyword, (tag, vr) in tags.items():
        time = tags.get(keyword.replace("Date", "Time"))
        if vr == "DA" and time is not None and time[1] == "TM":
            partners[tag], partners[time[0]] = time[0], tag
    return partners


def partner_of(tag: int) -> int | None:
    """Tag of the TM attribute that completes a DA attribute, or the reverse, by their keywords (PS3.6)."""
    return _partners().get(tag)
