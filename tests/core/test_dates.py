from datetime import date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deid.core.dates import Shift, shift_date, shift_datetime, shift_iso, shift_pair, shift_time

SHIFT = Shift(-100, 90)
shifts = st.builds(Shift, st.integers(-3652, -31), st.integers(0, 1439))
days = st.dates(date(1905, 1, 1), date(2150, 12, 31)).filter(lambda d: d != date(1970, 1, 1))
moments = st.datetimes(datetime(1905, 1, 1), datetime(2150, 12, 31)).filter(
    lambda d: d.date() != date(1970, 1, 1)
)


@pytest.mark.parametrize(("days", "minutes"), [(-30, 0), (-3653, 0), (0, 0), (-31, -1), (-31, 1440)])
def test_a_shift_outside_the_bounds_is_refused(days: int, minutes: int) -> None:
    with pytest.raises(ValueError, match="shift"):
        Shift(days, minutes)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("20240301", "20231122"),
        ("2024.03.01", "2023.11.22"),
        ("20240301 ", "20231122"),
        ("20240301\0", "20231122"),
        ("20240301-20240302", "20231122-20231123"),
        ("20240301-", "20231122-"),
        ("-2024.03.01", "-2023.11.22"),
        ("", ""),
        ("  ", ""),
        ("20240230", None),
        ("20230229", None),
        ("00000000", None),
        ("00010101", None),
        ("19000101", None),
        ("19700101", None),
        ("99991231", None),
        ("18500201", None),
        ("2024", None),
        ("2024-03-01", None),
        ("-", None),
        ("20240301--", None),
        ("20240301-20240302-20240303", None),
        ("٢٠٢٤٠٣٠١", None),
        ("20240301x", None),
        ("Zürich", None),
    ],
)
def test_dates(value: str, expected: str | None) -> None:
    assert shift_date(value, SHIFT) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("10", "11"),
        ("1015", "1145"),
        ("101559", "114559"),
        ("101559.1", "114559.1"),
        ("101559.123456", "114559.123456"),
        ("235960", "012960"),
        ("10:15", "11:45"),
        ("10:15:59.25", "11:45:59.25"),
        ("1015-1115", "1145-1245"),
        ("-1115", "-1245"),
        ("", ""),
        ("24", None),
        ("1060", None),
        ("101561", None),
        ("101559.", None),
        ("101559.1234567", None),
        ("10:1559", None),
        ("1", None),
        ("noon", None),
    ],
)
def test_times(value: str, expected: str | None) -> None:
    assert shift_time(value, SHIFT) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2024", "2024"),
        ("202403", "202312"),
        ("20240301", "20231122"),
        ("2024030110", "2023112211"),
        ("202403012300", "202311230030"),
        ("20240301101559.123456+0100", "20231122114559.123456+0100"),
        ("20240301101559-0530", "20231122114559-0530"),
        ("20240301-20240302", "20231122-20231123"),
        ("20240301101559-0500-20240302101559-0500", "20231122114559-0500-20231123114559-0500"),
        ("20240301-", "20231122-"),
        ("-20240301", "-20231122"),
        ("2019-2020", "2019-2020"),
        ("2024-0500", "2024-0500"),
        ("", ""),
        ("20240301+1500", None),
        ("20240301101559+0160", None),
        ("20241301", None),
        ("20240230101010", None),
        ("-", None),
        ("20240301101559Z", None),
        ("00010101", None),
    ],
)
def test_datetimes(value: str, expected: str | None) -> None:
    assert shift_datetime(value, SHIFT) == expected


@pytest.mark.parametrize(
    ("da", "tm", "expected"),
    [
        ("20240301", "101559", ("20231122", "114559")),
        ("20240301", "2330", ("20231123", "0100")),
        ("2024.03.01", "23:30:60", ("2023.11.23", "01:00:60")),
        ("20240301", "", ("20231122", "")),
        ("", "2330", ("", "0100")),
        ("", "", ("", "")),
        ("20240301-20240302", "2330-1000", ("20231123-20231123", "0100-1130")),
        ("20240301", "2330-1000", None),
        ("20240301", "25", None),
        ("20249901", "10", None),
    ],
)
def test_pairs(da: str, tm: str, expected: tuple[str, str] | None) -> None:
    assert shift_pair(da, tm, SHIFT) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2024-03-01", "2023-11-22"),
        ("2024-03-01T23:30:04.12", "2023-11-23T01:00:04.12"),
        ("2024-03-01 23:30", "2023-11-23 01:00"),
        ("2024-03-01T10:15:04Z", "2023-11-22T11:45:04Z"),
        ("2024-03-01T10:15:04.123456789+01:00", "2023-11-22T11:45:04.123456789+01:00"),
        ("1925-06-01T00:00:00", "1925-02-21T01:30:00"),
        ("1877-06-15", "1877-03-07"),
        ("2024-03", "2023-12"),
        ("20240301", "20231122"),
        ("20240301T233004.5", "20231123T010004.5"),
        ("23:30:04.120000", "01:00:04.120000"),
        ("", None),
        ("n/a", None),
        ("2024-02-30", None),
        ("2024-03-01T24:00", None),
        ("0001-01-01", None),
        ("1970-01-01T00:00:00", None),
    ],
)
def test_iso(value: str, expected: str | None) -> None:
    assert shift_iso(value, SHIFT) == expected


@given(moments, moments, shifts)
def test_intervals_inside_a_patient_are_exact(first: datetime, second: datetime, shift: Shift) -> None:
    def moved(moment: datetime) -> datetime:
        pair = shift_pair(f"{moment:%Y%m%d}", f"{moment:%H%M%S.%f}", shift)
        assert pair is not None
        whole = shift_datetime(f"{moment:%Y%m%d%H%M%S.%f}", shift)
        assert whole == pair[0] + pair[1]
        assert shift_iso(f"{moment.isoformat(timespec='microseconds')}", shift) == (
            datetime.strptime(whole, "%Y%m%d%H%M%S.%f").isoformat(timespec="microseconds")
        )
        return datetime.strptime(whole, "%Y%m%d%H%M%S.%f")

    assert moved(second) - moved(first) == second - first
    assert timedelta(days=-3652) <= moved(first) - first < timedelta(days=-30)


@given(days, shifts)
def test_a_shifted_date_is_valid_other_and_comes_back(day: date, shift: Shift) -> None:
    moved = shift_date(f"{day:%Y%m%d}", shift)
    assert moved is not None and moved != "00010101"
    assert datetime.strptime(moved, "%Y%m%d").date() - day == timedelta(days=shift.days)
    assert shift_iso(day.isoformat(), shift) == datetime.strptime(moved, "%Y%m%d").date().isoformat()


@given(st.times(), shifts, st.sampled_from([2, 4, 6, 8, 13]))
def test_a_shifted_time_keeps_precision_and_seconds(time: object, shift: Shift, length: int) -> None:
    text = f"{time:%H%M%S.%f}"[:length]
    moved = shift_time(text, shift)
    assert moved is not None and len(moved) == length and moved[4:] == text[4:]
    back = Shift(shift.days, -shift.minutes % 1440)
    if length >= 4:
        assert shift_time(moved, back) == text


@settings(max_examples=300)
@given(st.text(alphabet="0123456789.:-+TZ &\0é", max_size=30), shifts)
def test_any_text_is_shifted_to_a_valid_value_or_refused(text: str, shift: Shift) -> None:
    for function in (shift_date, shift_time, shift_datetime, shift_iso):
        moved = function(text, shift)
        if moved:
            assert function(moved, shift) is not None or moved[:4] < "1861"
            assert "00010101" not in moved
            assert len(moved) == len(text.strip(" \0"))
