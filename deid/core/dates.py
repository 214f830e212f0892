"""Shifting of dates and times: DICOM DA, TM and DT (PS3.5 6.2) and the ISO 8601 forms of BIDS.

One patient has one :class:`Shift`: whole days back, and whole minutes forward that count only where a date
and a time are known together, with the day carried over. So the sum lies in [-3652, -30] days, intervals
inside one patient stay exact to the fraction of a second, and precision and format of every value are kept.

A function returns None where the value is not valid for its VR: the caller removes or holds it. An empty
value is returned empty. None is also returned for the zero dates of computer systems (1900-01-01, 1970-01-01,
years from 2900 on, ...): everyone knows what they were before the shift, so one would tell the whole shift.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import ClassVar

_PADDING = " \0\t\r\n"
_MINUTES = 1440
_FIRST_YEAR = 1850
_LAST_YEAR = 2899
_ZERO_DATES = frozenset(
    day.toordinal()
    for day in (
        date(1858, 11, 17),  # VMS, modified Julian day
        date(1899, 12, 30),  # OLE automation
        date(1899, 12, 31),  # spreadsheets
        date(1900, 1, 1),  # SQL servers, NTP
        date(1904, 1, 1),  # classic Mac OS
        date(1970, 1, 1),  # Unix
    )
)

_TIME = r"(?:[01]\d|2[0-3])(?:[0-5]\d(?:(?:[0-5]\d|60)(?:\.\d{1,6})?)?)?"
_LEGACY_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d(?::(?:[0-5]\d|60)(?:\.\d{1,6})?)?"
# -1200 to +1400 (PS3.5 6.2, DT): this is what tells an offset from the second year of a range.
_ZONE = r"[+-](?:0\d|1[01])[0-5]\d|[+-]1200|\+1[23][0-5]\d|\+1400"
_DATETIME = rf"\d{{4}}(?:\d\d(?:\d\d(?:{_TIME})?)?)?(?:{_ZONE})?"

_TM = re.compile(rf"{_TIME}|{_LEGACY_TIME}", re.ASCII)
_DT = re.compile(rf"(\d{{4}})(\d\d)?(\d\d)?({_TIME})?({_ZONE})?", re.ASCII)
_DT_RANGE = re.compile(rf"({_DATETIME})?-({_DATETIME})?", re.ASCII)
_ISO = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:([T ])((?:[01]\d|2[0-3]):[0-5]\d)((?::(?:[0-5]\d|60)(?:[.,]\d{1,9})?)?)"
    r"(Z|[+-](?:0\d|1[0-4])(?::?[0-5]\d)?)?)?)?)?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Shift:
    """The shift of one patient.

    Attributes:
        days: Days added to every date, -3652 to -31.
        minutes: Minutes added where a date and a time pair up, 0 to 1439; 0 where times are kept.
    """

    days: int
    minutes: int

    EARLIEST: ClassVar[int] = -3652
    LATEST: ClassVar[int] = -31

    def __post_init__(self) -> None:
        if not (self.EARLIEST <= self.days <= self.LATEST and 0 <= self.minutes < _MINUTES):
            raise ValueError("a shift is -3652 to -31 days and 0 to 1439 minutes")


def shift_date(value: str, shift: Shift) -> str | None:
    """Shifts a DA value: ``YYYYMMDD``, legacy ``YYYY.MM.DD``, or a range (``a-b``, ``a-``, ``-b``)."""
    value = value.strip(_PADDING)
    if "-" in value:
        return _shift_range(value, shift, _shift_one_date)
    return _shift_one_date(value, shift, 0) if value else value


def shift_time(value: str, shift: Shift) -> str | None:
    """Shifts a TM value that has no date, modulo 24 hours.

    Forms: ``HH``, ``HHMM``, ``HHMMSS``, ``HHMMSS.F`` with 1 to 6 digits, legacy ``HH:MM[:SS[.F]]``, ranges.
    """
    value = value.strip(_PADDING)
    if "-" in value:
        return _shift_range(value, shift, _shift_one_time)
    return _shift_one_time(value, shift) if value else value


def shift_datetime(value: str, shift: Shift) -> str | None:
    """Shifts a DT value of any precision; an offset from UTC is kept. Ranges are shifted at both ends.

    A value of a year or a month only is shifted as its middle: right to half its own precision.
    """
    value = value.strip(_PADDING)
    if not value:
        return value
    match = _DT.fullmatch(value)
    if match:
        return _shift_one_datetime(match, shift)
    ends = _DT_RANGE.fullmatch(value)
    if not ends or value == "-":
        return None
    shifted = []
    for end in ends.groups(""):
        one = _DT.fullmatch(end)
        moved = _shift_one_datetime(one, shift) if one else ""
        if moved is None:
            return None
        shifted.append(moved)
    return "-".join(shifted)


def shift_pair(da: str, tm: str, shift: Shift) -> tuple[str, str] | None:
    """Shifts a DA and a TM that belong together; a time past midnight carries one day into the date.

    Either may be empty. Two ranges are shifted end by end; a range beside a single value is refused (None).
    """
    da, tm = da.strip(_PADDING), tm.strip(_PADDING)
    if "-" in da or "-" in tm:
        return _shift_range_pair(da, tm, shift)
    if not da or not tm:
        moved_date, moved_time = shift_date(da, shift), shift_time(tm, shift)
        return None if moved_date is None or moved_time is None else (moved_date, moved_time)
    clock = _move_clock(tm, shift)
    if clock is None:
        return None
    moved = _shift_one_date(da, shift, clock[1])
    return None if moved is None else (moved, clock[0])


def shift_iso(value: str, shift: Shift) -> str | None:
    """Shifts an ISO 8601 value as BIDS and dcm2niix write it.

    Forms: ``YYYY``, ``YYYY-MM``, ``YYYY-MM-DD``, the last with ``T`` or a space, ``HH:MM[:SS[.F]]`` and ``Z``
    or an offset; the compact ``YYYYMMDD`` and ``YYYYMMDDTHHMMSS[.F]``; a time alone (``HH:MM[:SS[.F]]``).
    """
    value = value.strip(_PADDING)
    match = _ISO.fullmatch(value)
    if not match:
        return _shift_compact_iso(value, shift)
    year, month, day, separator, clock, rest, zone = match.groups("")
    carry = 0
    if clock:
        carry, minute = divmod(int(clock[:2]) * 60 + int(clock[3:]) + shift.minutes, _MINUTES)
        clock = f"{minute // 60:02d}:{minute % 60:02d}"
    moved = _move_day(int(year), int(month or 7), int(day or 15), shift.days + carry)
    if moved is None:
        return None
    text = moved.isoformat()[: 4 + 3 * bool(month) + 3 * bool(day)]
    return f"{text}{separator}{clock}{rest}{zone}"


def _move_day(year: int, month: int, day: int, days: int) -> date | None:
    try:
        ordinal = date(year, month, day).toordinal()
    except ValueError:
        return None
    if year > _LAST_YEAR or ordinal in _ZERO_DATES or year < _FIRST_YEAR:
        return None
    moved = date.fromordinal(ordinal + days)
    return moved if moved.year >= _FIRST_YEAR else None


def _shift_one_date(value: str, shift: Shift, carry: int = 0) -> str | None:
    if len(value) == 10 and value[4] == value[7] == ".":
        digits, point = value[:4] + value[5:7] + value[8:], "."
    else:
        digits, point = value, ""
    if len(digits) != 8 or not (digits.isascii() and digits.isdigit()):
        return None
    moved = _move_day(int(digits[:4]), int(digits[4:6]), int(digits[6:]), shift.days + carry)
    return None if moved is None else f"{moved.year:04d}{point}{moved.month:02d}{point}{moved.day:02d}"


def _move_clock(value: str, shift: Shift) -> tuple[str, int] | None:
    """The shifted time in the format of ``value``, and the days to carry (0 or 1)."""
    if not _TM.fullmatch(value):
        return None
    colon = ":" if value[2:3] == ":" else ""
    start = 2 + len(colon)
    minute = int(value[start : start + 2] or 0)
    carry, moved = divmod(int(value[:2]) * 60 + minute + shift.minutes, _MINUTES)
    if len(value) == 2:
        return f"{moved // 60:02d}", carry
    return f"{moved // 60:02d}{colon}{moved % 60:02d}{value[start + 2 :]}", carry


def _shift_one_time(value: str, shift: Shift) -> str | None:
    clock = _move_clock(value, shift)
    return None if clock is None else clock[0]


def _shift_one_datetime(match: re.Match[str], shift: Shift) -> str | None:
    year, month, day, time, zone = match.groups("")
    carry = 0
    if time:
        clock = _move_clock(time, shift)
        if clock is None:
            return None
        time, carry = clock
    moved = _move_day(int(year), int(month or 7), int(day or 15), shift.days + carry)
    if moved is None:
        return None
    text = f"{moved.year:04d}{moved.month:02d}{moved.day:02d}"
    return text[: 4 + len(month) + len(day)] + time + zone


def _shift_compact_iso(value: str, shift: Shift) -> str | None:
    if len(value) > 8 and value[8] == "T":
        moved = shift_pair(value[:8], value[9:], shift) if "-" not in value else None
        return None if moved is None else "T".join(moved)
    if value.isdigit():
        return _shift_one_date(value, shift)
    return _shift_one_time(value, shift) if ":" in value else None


def _split_range(value: str) -> tuple[str, str] | None:
    start, _, end = value.partition("-")
    if "-" in end or not (start or end):
        return None
    return start.strip(_PADDING), end.strip(_PADDING)


def _shift_range(value: str, shift: Shift, one: Callable[[str, Shift], str | None]) -> str | None:
    ends = _split_range(value)
    if ends is None:
        return None
    shifted = [one(end, shift) if end else "" for end in ends]
    return None if None in shifted else "-".join(end or "" for end in shifted)


def _shift_range_pair(da: str, tm: str, shift: Shift) -> tuple[str, str] | None:
    days, times = _split_range(da), _split_range(tm)
    if days is None or times is None or not ("-" in da and "-" in tm):
        return None
    start = shift_pair(days[0], times[0], shift)
    end = shift_pair(days[1], times[1], shift)
    if start is None or end is None:
        return None
    return f"{start[0]}-{end[0]}", f"{start[1]}-{end[1]}"
